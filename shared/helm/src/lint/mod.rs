//! Finds mistakes in a chart, as `helm lint` does.
