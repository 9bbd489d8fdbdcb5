//! What the kinds of all groups share: conditions, durations, references, revisions and well-known names.

mod duration;
mod manifests;
mod references;
mod revision;
mod well_known;

pub use duration::{Duration, DurationError};
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
pub use manifests::{CommonMetadata, CustomHealthCheck, IgnoreRule, Image, Patch, Selector};
pub use references::{
    ConfigMapReference, DependencyReference, KubeConfigReference, LocalObjectReference,
    NamespacedObjectKindReference, ObjectRef, SecretKeyReference, ValuesKind,
};
pub use revision::{Revision, normalize_revision, same_revision};
pub use well_known::*;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The objects that a controller put on the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceInventory {
    /// The objects, in the order in which they were applied.
    pub entries: Vec<ResourceRef>,
}

/// One object of an inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ResourceRef {
    /// Which object, as `<namespace>_<name>_<group>_<kind>`.
    pub id: String,

    /// API version of the object's kind, without the group.
    #[serde(rename = "v")]
    pub version: String,
}
