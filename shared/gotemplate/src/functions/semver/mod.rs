//! Semantic versions and constraints with the rules of Masterminds/semver 3.5, which Helm uses everywhere.
//!
//! The rules are looser than those of semver.org (`v1.2`, `01.2.3`) and the constraints differ from Cargo's (`1.2` means
//! `1.2.x`, spaces mean *and*), so no crate of the Rust world fits.

mod constraint;
mod version;

pub use constraint::{Constraint, ConstraintError};
pub use version::{Version, VersionError};
