//! Checks values against the charts' JSON schemas.
