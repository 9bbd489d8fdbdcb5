//! The commands, one file each.

pub(crate) mod cluster;
pub(crate) mod debug;
pub(crate) mod events;
pub(crate) mod get;
pub(crate) mod helm;
pub(crate) mod history;
pub(crate) mod kustomize;
pub(crate) mod reconcile;
pub(crate) mod resume;
pub(crate) mod suspend;
pub(crate) mod tree;
