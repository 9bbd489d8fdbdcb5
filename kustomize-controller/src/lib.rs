//! Builds, applies, prunes and health-checks what sources deliver.

pub mod substitute;
