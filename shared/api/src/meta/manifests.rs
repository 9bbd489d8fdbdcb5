//! What Kustomizations and HelmReleases both say about manifests: patches, images, metadata, health expressions.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Selects objects. All fields that are set must match; an empty selector matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    /// API group, as a regular expression that must match the whole group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,

    /// API version, as a regular expression that must match the whole version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,

    /// Kind, as a regular expression that must match the whole kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,

    /// Name, as a regular expression that must match the whole name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// Namespace, as a regular expression that must match the whole namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,

    /// Selector over the annotations, in the syntax of `kubectl get --selector`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotation_selector: Option<String>,

    /// Selector over the labels, in the syntax of `kubectl get --selector`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<String>,
}

/// A patch and the objects it is made to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Patch {
    /// The patch as inline YAML: a partial object (strategic merge) or a list of operations (JSON6902).
    pub patch: String,

    /// Objects to patch. May be absent for a strategic merge patch, which then names its object itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Selector>,
}

/// Replaces a container image wherever it is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Name of the image to replace, without tag or digest.
    pub name: String,

    /// Name that replaces it; when absent, the name stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_name: Option<String>,

    /// Tag that replaces the original one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_tag: Option<String>,

    /// Digest that replaces the original tag or digest; wins over newTag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Labels and annotations added to every object, over those it has already.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CommonMetadata {
    /// Annotations to set on every object.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,

    /// Labels to set on every object.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Tells by CEL expressions whether objects of a custom kind are healthy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomHealthCheck {
    /// API group and version of the kind.
    pub api_version: String,

    /// The kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,

    /// Expression over the object's fields that is true when the object is healthy.
    pub current: String,

    /// Expression that is true while the object is on its way to healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_progress: Option<String>,

    /// Expression that is true when the object failed for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// Fields that drift correction leaves alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IgnoreRule {
    /// The fields, as JSON pointers (RFC 6901) such as `/spec/replicas`.
    pub paths: Vec<String>,

    /// Objects that the rule is about; when absent, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Selector>,
}
