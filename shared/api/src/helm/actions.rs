//! How each Helm action is carried out, and what follows when it fails.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::is_false;
use crate::meta::Duration;
use crate::text_enum::text_enum;

text_enum! {
    /// What is done with the CRDs of a chart.
    #[derive(Default)]
    pub enum CrdsPolicy {
        /// Nothing.
        Skip = "Skip",
        /// Those that do not exist are created.
        #[default]
        Create = "Create",
        /// They are created or replaced.
        CreateReplace = "CreateReplace",
    }
}

text_enum! {
    /// What follows a failed action.
    #[derive(Default)]
    pub enum StrategyName {
        /// Remediation, then the next try.
        #[default]
        RemediateOnFailure = "RemediateOnFailure",
        /// The next try.
        RetryOnFailure = "RetryOnFailure",
    }
}

text_enum! {
    /// How a failed upgrade is remediated.
    #[derive(Default)]
    pub enum RemediationStrategy {
        /// By going back to the last good revision.
        #[default]
        Rollback = "rollback",
        /// By uninstalling, so that the next try installs.
        Uninstall = "uninstall",
    }
}

text_enum! {
    /// Who merges fields: the API server or the client.
    #[derive(Default)]
    pub enum ServerSideApplyMode {
        /// The API server.
        Enabled = "enabled",
        /// The client.
        Disabled = "disabled",
        /// Whoever did it in the release's last revision.
        #[default]
        Auto = "auto",
    }
}

text_enum! {
    /// What is done when the chart of a release is replaced by one of another name.
    #[derive(Default)]
    pub enum ChartNameChangeStrategy {
        /// An upgrade.
        InPlaceUpdate = "InPlaceUpdate",
        /// Uninstall and install.
        #[default]
        Reinstall = "Reinstall",
    }
}

text_enum! {
    /// How dependent objects are deleted.
    #[derive(Default)]
    pub enum DeletionPropagation {
        /// After their owner.
        #[default]
        Background = "background",
        /// Before their owner.
        Foreground = "foreground",
        /// Not at all.
        Orphan = "orphan",
    }
}

/// How a release is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Install {
    /// How long each wait may take; by default spec.timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,

    /// What to do when the installation fails: remediate or retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<InstallStrategy>,

    /// How to remediate a failed installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediation: Option<InstallRemediation>,

    /// Fails when an object of the chart exists and belongs to another release, instead of taking it over.
    #[serde(skip_serializing_if = "is_false")]
    pub disable_take_ownership: bool,

    /// Does not wait until the objects are ready.
    #[serde(skip_serializing_if = "is_false")]
    pub disable_wait: bool,

    /// Does not wait until Jobs are complete.
    #[serde(skip_serializing_if = "is_false")]
    pub disable_wait_for_jobs: bool,

    /// Does not run the chart's hooks.
    #[serde(skip_serializing_if = "is_false")]
    pub disable_hooks: bool,

    /// Does not check the objects against the cluster's OpenAPI schema.
    #[serde(rename = "disableOpenAPIValidation", skip_serializing_if = "is_false")]
    pub disable_open_api_validation: bool,

    /// Does not check the values against the chart's schema.
    #[serde(skip_serializing_if = "is_false")]
    pub disable_schema_validation: bool,

    /// Uses the name again even if a deleted release of that name is still in the history.
    #[serde(skip_serializing_if = "is_false")]
    pub replace: bool,

    /// Has no effect; use crds with the value Skip.
    #[serde(rename = "skipCRDs", skip_serializing_if = "is_false")]
    pub skip_crds: bool,

    /// What to do with the chart's CRDs: Skip, Create (the default) or CreateReplace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crds: Option<CrdsPolicy>,

    /// Creates the target namespace if it does not exist.
    #[serde(skip_serializing_if = "is_false")]
    pub create_namespace: bool,

    /// Lets the API server merge fields; by default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_apply: Option<bool>,
}

/// What is done when an installation fails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = json!([{
    "rule": "!has(self.retryInterval) || self.name != 'RemediateOnFailure'",
    "message": ".retryInterval cannot be set when .name is 'RemediateOnFailure'"
}])))]
pub struct InstallStrategy {
    /// RemediateOnFailure (uninstall, then try again) or RetryOnFailure (try again without uninstalling).
    pub name: StrategyName,

    /// How long to wait before the next try; only for RetryOnFailure. By default 5 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_interval: Option<Duration>,
}

/// How a failed installation is remediated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct InstallRemediation {
    /// How often to uninstall and try again; a negative number means without end. By default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::integer")]
    pub retries: Option<i64>,

    /// Does not count failed tests as a failure; by default what spec.test.ignoreFailures says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_test_failures: Option<bool>,

    /// Also remediates the last failure, when no try is left. By default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediate_last_failure: Option<bool>,
}

/// How a release is upgraded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Upgrade {
    /// How long each wait may take; by default spec.timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,

    /// What to do when the upgrade fails: remediate or retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<UpgradeStrategy>,

    /// How to remediate a failed upgrade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediation: Option<UpgradeRemediation>,

    /// What to do when the chart is replaced by one of another name: Reinstall (the default) or InPlaceUpdate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart_name_change_strategy: Option<ChartNameChangeStrategy>,

    /// Fails when an object of the chart exists and belongs to another release, instead of taking it over.
    #[serde(skip_serializing_if = "is_false")]
    pub disable_take_ownership: bool,

    /// Does not wait until the objects are ready.
    #[serde(skip_serializing_if = "is_false")]
    pub disable_wait: bool,

    /// Does not wait until Jobs are complete.
    #[serde(skip_serializing_if = "is_false")]
    pub disable_wait_for_jobs: bool,

    /// Does not run the chart's hooks.
    #[serde(skip_serializing_if = "is_false")]
    pub disable_hooks: bool,

    /// Does not check the objects against the cluster's OpenAPI schema.
    #[serde(rename = "disableOpenAPIValidation", skip_serializing_if = "is_false")]
    pub disable_open_api_validation: bool,

    /// Does not check the values against the chart's schema.
    #[serde(skip_serializing_if = "is_false")]
    pub disable_schema_validation: bool,

    /// Replaces objects instead of patching them.
    #[serde(skip_serializing_if = "is_false")]
    pub force: bool,

    /// Merges the values of the last revision below the new ones.
    #[serde(skip_serializing_if = "is_false")]
    pub preserve_values: bool,

    /// Deletes objects that a failed upgrade created.
    #[serde(skip_serializing_if = "is_false")]
    pub cleanup_on_fail: bool,

    /// What to do with the chart's CRDs: Skip, Create (the default) or CreateReplace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crds: Option<CrdsPolicy>,

    /// Lets the API server merge fields: enabled, disabled, or auto (as the last revision did, the default).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_apply: Option<ServerSideApplyMode>,
}

/// What is done when an upgrade fails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = json!([{
    "rule": "!has(self.retryInterval) || self.name == 'RetryOnFailure'",
    "message": ".retryInterval can only be set when .name is 'RetryOnFailure'"
}])))]
pub struct UpgradeStrategy {
    /// RemediateOnFailure (roll back or uninstall, then try again) or RetryOnFailure (try again as it is).
    pub name: StrategyName,

    /// How long to wait before the next try; only for RetryOnFailure. By default 5 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_interval: Option<Duration>,
}

/// How a failed upgrade is remediated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UpgradeRemediation {
    /// How often to remediate and try again; a negative number means without end. By default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::integer")]
    pub retries: Option<i64>,

    /// Does not count failed tests as a failure; by default what spec.test.ignoreFailures says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_test_failures: Option<bool>,

    /// Also remediates the last failure, when no try is left. By default true if retries is above 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediate_last_failure: Option<bool>,

    /// What to do: rollback (the default) or uninstall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<RemediationStrategy>,
}

/// How the chart's tests are run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Test {
    /// Runs the tests after each installation and upgrade.
    #[serde(skip_serializing_if = "is_false")]
    pub enable: bool,

    /// How long each test may take; by default spec.timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,

    /// Does not count failed tests as a failure of the release.
    #[serde(skip_serializing_if = "is_false")]
    pub ignore_failures: bool,

    /// Which tests to run; by default all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<TestFilter>,
}

/// Names a test to run, or not to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestFilter {
    /// Name of the test.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Runs all tests but this one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub exclude: bool,
}

/// How a release is rolled back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Rollback {
    /// How long each wait may take; by default spec.timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,

    /// Does not wait until the objects are ready.
    #[serde(skip_serializing_if = "is_false")]
    pub disable_wait: bool,

    /// Does not wait until Jobs are complete.
    #[serde(skip_serializing_if = "is_false")]
    pub disable_wait_for_jobs: bool,

    /// Does not run the chart's hooks.
    #[serde(skip_serializing_if = "is_false")]
    pub disable_hooks: bool,

    /// Has no effect; Helm no longer restarts Pods on a rollback.
    #[serde(skip_serializing_if = "is_false")]
    pub recreate: bool,

    /// Replaces objects instead of patching them.
    #[serde(skip_serializing_if = "is_false")]
    pub force: bool,

    /// Deletes objects that a failed rollback created.
    #[serde(skip_serializing_if = "is_false")]
    pub cleanup_on_fail: bool,

    /// Lets the API server merge fields: enabled, disabled, or auto (as the revision to go back to did, the default).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_apply: Option<ServerSideApplyMode>,
}

/// How a release is uninstalled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Uninstall {
    /// How long each wait may take; by default spec.timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,

    /// Does not run the chart's hooks.
    #[serde(skip_serializing_if = "is_false")]
    pub disable_hooks: bool,

    /// Keeps the record of the release, marked as uninstalled.
    #[serde(skip_serializing_if = "is_false")]
    pub keep_history: bool,

    /// Does not wait until the objects are gone.
    #[serde(skip_serializing_if = "is_false")]
    pub disable_wait: bool,

    /// How to delete dependent objects: background, foreground or orphan.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "background"))]
    pub deletion_propagation: Option<DeletionPropagation>,
}
