//! Executes a chart's templates.
