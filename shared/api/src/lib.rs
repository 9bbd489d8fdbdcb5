//! Flux's custom resources as Rust types, and the CRD manifests generated from them.
//!
//! Four API groups, eleven kinds: [`source`], [`kustomize`], [`helm`] and [`notification`]. Every kind is a
//! [`kube::CustomResource`], so `GitRepository` comes with `GitRepositorySpec` and `GitRepositoryStatus` and works with
//! [`kube::Api`]. Names, defaults and validation on the wire are those of Flux v2.9.
//!
//! **Invariant: no I/O and no behaviour.** This crate says what the objects look like, never what is done with them.
//!
//! The doc comment of a field is what `kubectl explain` shows: it is written for the people who use the field. The
//! manifests under `crds/` are written by `cargo run -p sluice-api --example generate-crds`.

pub mod crd;
pub mod helm;
pub mod kustomize;
pub mod meta;
pub mod notification;
mod object;
mod schema;
pub mod source;
mod text_enum;

pub use crd::crds;
pub use object::{ArtifactSource, Dependent, Reconcilable};

/// Omits a flag from the wire when it is not set, as Go's `omitempty` does.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
pub(crate) fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Omits a number from the wire when it is zero, as Go's `omitempty` does.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
pub(crate) fn is_zero(number: &i64) -> bool {
    *number == 0
}
