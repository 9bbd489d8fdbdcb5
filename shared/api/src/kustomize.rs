//! `kustomize.toolkit.fluxcd.io`: Kustomization, which applies the manifests of a source to a cluster.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::meta::{
    CommonMetadata, CustomHealthCheck, DependencyReference, IgnoreRule, Image, KubeConfigReference,
    NamespacedObjectKindReference, Patch, ResourceInventory, ResourceRef, Selector,
};
use crate::meta::{Condition, Duration, LocalObjectReference, Time, ValuesKind};
use crate::text_enum::text_enum;
use crate::{is_false, is_zero};

/// The API group of the Kustomization.
pub const GROUP: &str = "kustomize.toolkit.fluxcd.io";
/// The version of the Kustomization's API.
pub const VERSION: &str = "v1";

text_enum! {
    /// The kinds of source that a Kustomization can apply from.
    #[derive(Default)]
    pub enum SourceKind {
        /// A layer in a container registry.
        OCIRepository = "OCIRepository",
        /// A commit of a Git repository.
        #[default]
        GitRepository = "GitRepository",
        /// Files of an object store.
        Bucket = "Bucket",
        /// An artifact made by someone else.
        ExternalArtifact = "ExternalArtifact",
    }
}

text_enum! {
    /// What happens to the applied objects when the Kustomization is deleted.
    #[derive(Default)]
    pub enum DeletionPolicy {
        /// They are deleted if spec.prune is true.
        #[default]
        MirrorPrune = "MirrorPrune",
        /// They are deleted.
        Delete = "Delete",
        /// They are deleted, and the Kustomization stays until they are gone.
        WaitForTermination = "WaitForTermination",
        /// They stay.
        Orphan = "Orphan",
    }
}

text_enum! {
    /// Facts that the build can write into the annotations of objects.
    pub enum BuildMetadata {
        /// The file or generator that an object came from.
        OriginAnnotations = "originAnnotations",
        /// The transformers that changed an object.
        TransformerAnnotations = "transformerAnnotations",
    }
}

text_enum! {
    /// When post-build substitution runs.
    #[derive(Default)]
    pub enum SubstituteStrategy {
        /// Only if there are variables.
        #[default]
        WithVariables = "WithVariables",
        /// Always, so that defaults such as `${name:=value}` apply even without variables.
        Always = "Always",
    }
}

text_enum! {
    /// The tool that encrypted files of the source.
    #[derive(Default)]
    pub enum DecryptionProvider {
        /// SOPS.
        #[default]
        Sops = "sops",
    }
}

/// What to apply from a source, how often, and how.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "kustomize.toolkit.fluxcd.io",
    version = "v1",
    kind = "Kustomization",
    plural = "kustomizations",
    shortname = "ks",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-appliers",
    namespaced,
    status = "KustomizationStatus",
    doc = "Kustomization builds a directory of a source with kustomize, applies the result to a cluster, and keeps the cluster that way.",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#
)]
pub struct KustomizationSpec {
    /// The source to apply from.
    pub source_ref: CrossNamespaceSourceReference,

    /// Directory of the source to build; by default its root. Without a kustomization file one is generated for all
    /// manifests below the directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,

    /// How often to reconcile after a success.
    pub interval: Duration,

    /// How long to wait after a failure before the next try; by default spec.interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_interval: Option<Duration>,

    /// How long health checks may take; by default spec.interval less 30 seconds, and at least 30 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,

    /// Deletes objects that are no longer in the source.
    pub prune: bool,

    /// What to do with the applied objects when this Kustomization is deleted: MirrorPrune (as spec.prune says, the
    /// default), Delete, WaitForTermination (delete, and wait until they are gone) or Orphan (leave them).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,

    /// Waits until every applied object is ready before this Kustomization is. Spec.healthChecks is then not looked at.
    #[serde(default, skip_serializing_if = "is_false")]
    pub wait: bool,

    /// Objects that must be ready before this Kustomization is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_checks: Vec<NamespacedObjectKindReference>,

    /// How to tell whether objects of custom kinds are ready, as CEL expressions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_check_exprs: Vec<CustomHealthCheck>,

    /// Deletes and creates an object anew when a field changed that the API does not allow to change.
    #[serde(default)]
    pub force: bool,

    /// Stops reconciling until it is unset; nothing is deleted even if this Kustomization is.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,

    /// Other Kustomizations that must be ready first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<DependencyReference>,

    /// ServiceAccount in this namespace whose rights are used to apply and delete; by default the controller's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,

    /// Cluster to apply to; by default the one that the controller runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_config: Option<KubeConfigReference>,

    /// Namespace to put all objects into, over what the manifests say. It must exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub target_namespace: Option<String>,

    /// Text to put before the names of all objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub name_prefix: Option<String>,

    /// Text to put after the names of all objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub name_suffix: Option<String>,

    /// Labels and annotations to set on all objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common_metadata: Option<CommonMetadata>,

    /// Patches to make, after those of the kustomization file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,

    /// Images to replace, over those of the kustomization file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,

    /// Kustomize components to add, as paths relative to spec.path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,

    /// Leaves out components whose path is not in the source instead of failing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ignore_missing_components: bool,

    /// Facts about the build to write into annotations: originAnnotations, transformerAnnotations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build_metadata: Vec<BuildMetadata>,

    /// Substitution of variables in the built manifests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_build: Option<PostBuild>,

    /// How to decrypt encrypted files of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decryption: Option<Decryption>,

    /// Fields of applied objects that drift correction leaves as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<IgnoreRule>,
}

/// A reference to a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CrossNamespaceSourceReference {
    /// API group and version of the source; not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,

    /// Kind of the source.
    pub kind: SourceKind,

    /// Name of the source.
    pub name: String,

    /// Namespace of the source; by default that of the Kustomization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Variables for the built manifests: `${name}` is replaced by its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PostBuild {
    /// Variables and their values; they win over those of substituteFrom.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub substitute: BTreeMap<String, String>,

    /// ConfigMaps and Secrets whose data are variables; a later one wins over an earlier one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub substitute_from: Vec<SubstituteReference>,

    /// When to substitute: WithVariables (only if there are any, the default) or Always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub substitute_strategy: Option<SubstituteStrategy>,
}

/// A ConfigMap or Secret with variables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubstituteReference {
    /// ConfigMap or Secret.
    pub kind: ValuesKind,

    /// Name of the object, in the namespace of the Kustomization.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Goes on without the object when it does not exist.
    #[serde(default)]
    pub optional: bool,
}

/// How to decrypt files of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decryption {
    /// Tool that encrypted the files: sops.
    pub provider: DecryptionProvider,

    /// Secret with the private keys and the credentials of key services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,

    /// ServiceAccount whose cloud identity is used for key services; by default the controller's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
}

/// What the controller observed and applied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KustomizationStatus {
    /// Generation of the object that was last reconciled; -1 before the first time.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,

    /// State of the object, as the standard conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,

    /// Revision of the source that was last applied with success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_applied_revision: Option<String>,

    /// Revision that the last applied artifact says it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_applied_origin_revision: Option<String>,

    /// Revision of the source that was last tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_revision: Option<String>,

    /// The objects that this Kustomization applied and takes care of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory: Option<ResourceInventory>,

    /// The last reconciliations that differ in what they applied or how they ended, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Snapshot>,

    /// Value of the annotation reconcile.fluxcd.io/requestedAt that was last acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

/// Reconciliations that applied the same manifests and ended in the same way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Digest of the built manifests.
    pub digest: String,

    /// When this was first seen.
    #[schemars(schema_with = "crate::schema::time")]
    pub first_reconciled: Time,

    /// When this was last seen.
    #[schemars(schema_with = "crate::schema::time")]
    pub last_reconciled: Time,

    /// How long the last of these reconciliations took.
    #[schemars(schema_with = "crate::schema::text")]
    pub last_reconciled_duration: Duration,

    /// How they ended, as the reason of the Ready condition.
    pub last_reconciled_status: String,

    /// How many there were.
    pub total_reconciliations: i64,

    /// Facts about the last of them: revision and originRevision.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}
