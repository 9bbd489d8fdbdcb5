//! What a HelmRelease's status records about its release.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::is_zero;
use crate::meta::{Condition, ResourceInventory, Time};
use crate::text_enum::text_enum;

text_enum! {
    /// The actions that make a new revision of a release.
    pub enum ReleaseAction {
        /// Installation.
        Install = "install",
        /// Upgrade.
        Upgrade = "upgrade",
    }
}

/// What the controller observed and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HelmReleaseStatus {
    /// Generation of the object that was last reconciled; -1 before the first time.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,

    /// Digest of the post-renderers that the release was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_post_renderers_digest: Option<String>,

    /// Digest of the common metadata that the release was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_common_metadata_digest: Option<String>,

    /// Generation of the object that an action was last tried for.
    #[serde(skip_serializing_if = "is_zero")]
    pub last_attempted_generation: i64,

    /// State of the object, as the standard conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,

    /// The HelmChart created for this release, as namespace/name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub helm_chart: Option<String>,

    /// Namespace in which Helm keeps the records of the current release; empty when nothing is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub storage_namespace: Option<String>,

    /// The last revisions of the release, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<ReleaseSnapshot>,

    /// The objects of the release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory: Option<ResourceInventory>,

    /// Action that was last tried: install or upgrade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_release_action: Option<ReleaseAction>,

    /// How long that action took.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::text")]
    pub last_attempted_release_action_duration: Option<crate::meta::Duration>,

    /// Failures in a row since the last success or change.
    #[serde(skip_serializing_if = "is_zero")]
    pub failures: i64,

    /// Failed installations in a row since the last success or change.
    #[serde(skip_serializing_if = "is_zero")]
    pub install_failures: i64,

    /// Failed upgrades in a row since the last success or change.
    #[serde(skip_serializing_if = "is_zero")]
    pub upgrade_failures: i64,

    /// Version of the chart that was last tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_revision: Option<String>,

    /// Digest of that chart, when it came from a container registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_revision_digest: Option<String>,

    /// No longer written; lastAttemptedConfigDigest replaces it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_values_checksum: Option<String>,

    /// No longer written; history replaces it.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(schema_with = "crate::schema::integer")]
    pub last_release_revision: i64,

    /// Digest of the values that were last tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_config_digest: Option<String>,

    /// Value of the annotation reconcile.fluxcd.io/requestedAt that was last acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,

    /// Value of the annotation reconcile.fluxcd.io/forceAt that was last acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_force_at: Option<String>,

    /// Value of the annotation reconcile.fluxcd.io/resetAt that was last acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reset_at: Option<String>,
}

/// One revision of a release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseSnapshot {
    /// Version of the rules by which digest was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,

    /// Digest of Helm's record of the revision.
    pub digest: String,

    /// Name of the release.
    pub name: String,

    /// Namespace of the release.
    pub namespace: String,

    /// Number of the revision.
    #[schemars(schema_with = "crate::schema::integer")]
    pub version: i64,

    /// State of the revision, in Helm's words.
    pub status: String,

    /// Name of the chart.
    pub chart_name: String,

    /// Version of the chart.
    pub chart_version: String,

    /// Version of the application in the chart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,

    /// Digest of the values.
    pub config_digest: String,

    /// When the release was first installed.
    #[schemars(schema_with = "crate::schema::time")]
    pub first_deployed: Time,

    /// When this revision was made.
    #[schemars(schema_with = "crate::schema::time")]
    pub last_deployed: Time,

    /// When the release was uninstalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::time")]
    pub deleted: Option<Time>,

    /// The tests that were run, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_hooks: Option<BTreeMap<String, TestHookStatus>>,

    /// Digest of the chart, when it came from a container registry.
    #[serde(rename = "ociDigest", skip_serializing_if = "Option::is_none")]
    pub oci_digest: Option<String>,

    /// Action that made the revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

/// How a test went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TestHookStatus {
    /// When it was last started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::time")]
    pub last_started: Option<Time>,

    /// When it last ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::time")]
    pub last_completed: Option<Time>,

    /// How it ended, in Helm's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}
