//! What kustomize knows about Kubernetes' kinds, as compile-time tables.

mod field_specs;
pub mod merge_keys;
mod name_references;
mod scope;

pub(crate) use field_specs::*;
pub(crate) use merge_keys::{ListMerge, Type, root_type};
pub(crate) use name_references::NAME_REFERENCES;
pub(crate) use scope::is_cluster_scoped;
