//! `helm.toolkit.fluxcd.io`: HelmRelease, which installs a chart on a cluster and keeps it upgraded.

mod actions;
mod status;

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use actions::{
    ChartNameChangeStrategy, CrdsPolicy, DeletionPropagation, Install, InstallRemediation, InstallStrategy,
    RemediationStrategy, Rollback, ServerSideApplyMode, StrategyName, Test, TestFilter, Uninstall, Upgrade,
    UpgradeRemediation, UpgradeStrategy,
};
pub use status::{HelmReleaseStatus, ReleaseAction, ReleaseSnapshot, TestHookStatus};

use crate::is_false;
pub use crate::meta::{
    CommonMetadata, CustomHealthCheck, DependencyReference, IgnoreRule, Image, KubeConfigReference, Patch,
    Selector,
};
use crate::meta::{Duration, LocalObjectReference, ValuesKind};
use crate::source::{HelmChartSourceKind, ReconcileStrategy, SignatureProvider};
use crate::text_enum::text_enum;

/// The API group of the HelmRelease.
pub const GROUP: &str = "helm.toolkit.fluxcd.io";
/// The version of the HelmRelease's API.
pub const VERSION: &str = "v2";

text_enum! {
    /// The kinds that a release can take a ready chart from.
    #[derive(Default)]
    pub enum ChartRefKind {
        /// A chart in a container registry.
        #[default]
        OCIRepository = "OCIRepository",
        /// A HelmChart.
        HelmChart = "HelmChart",
        /// An artifact made by someone else.
        ExternalArtifact = "ExternalArtifact",
    }
}

text_enum! {
    /// What is done about objects that differ from the release.
    #[derive(Default)]
    pub enum DriftMode {
        /// They are put right.
        Enabled = "enabled",
        /// They are reported.
        Warn = "warn",
        /// Nothing.
        #[default]
        Disabled = "disabled",
    }
}

text_enum! {
    /// What post-renderers see of a chart's hooks.
    #[derive(Default)]
    pub enum PostRenderStrategy {
        /// Nothing.
        NoHooks = "nohooks",
        /// Hooks and other objects together.
        #[default]
        Combined = "combined",
        /// Hooks and other objects one after the other.
        Separate = "separate",
    }
}

text_enum! {
    /// How readiness is found out.
    #[derive(Default)]
    pub enum WaitStrategyName {
        /// By kstatus, on every object.
        #[default]
        Poller = "poller",
        /// As Helm 3 did.
        Legacy = "legacy",
    }
}

/// Which chart to install, with which values, and what to do when that fails.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "helm.toolkit.fluxcd.io",
    version = "v2",
    kind = "HelmRelease",
    plural = "helmreleases",
    shortname = "hr",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-appliers",
    namespaced,
    status = "HelmReleaseStatus",
    doc = "HelmRelease installs a Helm chart on a cluster, upgrades it when chart or values change, and repairs it when that fails.",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#
)]
#[schemars(extend("x-kubernetes-validations" = json!([{
    "rule": "(has(self.chart) && !has(self.chartRef)) || (!has(self.chart) && has(self.chartRef))",
    "message": "either chart or chartRef must be set"
}])))]
pub struct HelmReleaseSpec {
    /// Chart to fetch: a HelmChart is created from this. Either this or chartRef is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart: Option<HelmChartTemplate>,

    /// Existing source whose artifact is the chart. Either this or chart is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart_ref: Option<CrossNamespaceChartReference>,

    /// How often to reconcile.
    pub interval: Duration,

    /// Cluster to install on; by default the one that the controller runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_config: Option<KubeConfigReference>,

    /// Stops reconciling until it is unset; nothing is uninstalled even if this HelmRelease is deleted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,

    /// Name of the Helm release; by default made of the target namespace and this object's name. A change installs anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 53))]
    pub release_name: Option<String>,

    /// Namespace of the Helm release; by default that of this object. A change installs anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub target_namespace: Option<String>,

    /// Namespace in which Helm keeps its records; by default that of this object. A change installs anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub storage_namespace: Option<String>,

    /// Other HelmReleases that must be ready first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<DependencyReference>,

    /// How long each wait of an action may take; by default 5 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,

    /// How many revisions of the release to keep; 0 keeps all. By default 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::integer")]
    pub max_history: Option<i64>,

    /// ServiceAccount in this namespace whose rights are used; by default the controller's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub service_account_name: Option<String>,

    /// Keeps one client during an action, which is faster; set to false for charts that replace their own CRDs while
    /// they are installed. By default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent_client: Option<bool>,

    /// Whether to correct objects that were changed by hand, and which of their fields not to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_detection: Option<DriftDetection>,

    /// How to install.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install: Option<Install>,

    /// How to upgrade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Upgrade>,

    /// How to run the chart's tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,

    /// How to roll back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,

    /// How to uninstall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uninstall: Option<Uninstall>,

    /// ConfigMaps and Secrets with values; a later one wins over an earlier one, and spec.values over all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values_from: Vec<ValuesReference>,

    /// Values for the chart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::anything")]
    pub values: Option<Value>,

    /// Labels and annotations to set on all objects of the chart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common_metadata: Option<CommonMetadata>,

    /// Changes to make to the rendered objects, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_renderers: Vec<PostRenderer>,

    /// What post-renderers see of hooks: combined (together with all objects), separate, or nohooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_render_strategy: Option<PostRenderStrategy>,

    /// How to find out whether objects are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_strategy: Option<WaitStrategy>,

    /// How to tell whether objects of custom kinds are ready, as CEL expressions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_check_exprs: Vec<CustomHealthCheck>,
}

/// A HelmChart to create.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HelmChartTemplate {
    /// Labels and annotations of the HelmChart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<HelmChartTemplateMetadata>,

    /// What the HelmChart fetches.
    pub spec: HelmChartTemplateSpec,
}

/// Labels and annotations of the created HelmChart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HelmChartTemplateMetadata {
    /// Labels to set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,

    /// Annotations to set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What the created HelmChart fetches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmChartTemplateSpec {
    /// Name of the chart in a HelmRepository, or its directory in a GitRepository or Bucket.
    #[schemars(length(min = 1, max = 2048))]
    pub chart: String,

    /// Version of the chart, or a range of semantic versions whose highest is taken. Not looked at for charts from a
    /// GitRepository or Bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "*"))]
    pub version: Option<String>,

    /// The source of the chart.
    pub source_ref: CrossNamespaceObjectReference,

    /// How often to look for a new chart; by default spec.interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,

    /// What makes a new artifact: ChartVersion (another version in Chart.yaml) or Revision (another revision of the
    /// source).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "ChartVersion"))]
    pub reconcile_strategy: Option<ReconcileStrategy>,

    /// Values files to merge into the chart's own values.yaml; a later one wins over an earlier one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values_files: Vec<String>,

    /// Leaves out values files that do not exist instead of failing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ignore_missing_values_files: bool,

    /// Signature to demand before a chart is used; only for a HelmRepository of type oci.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<HelmChartTemplateVerification>,
}

/// How the signature of a chart is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmChartTemplateVerification {
    /// Tool that made the signature: cosign or notation.
    #[schemars(extend("default" = "cosign"))]
    pub provider: SignatureProvider,

    /// Secret with the trusted public keys or certificates. When absent, cosign signatures are checked without keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
}

/// A reference to the source of a chart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CrossNamespaceObjectReference {
    /// API group and version of the source; not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,

    /// Kind of the source.
    pub kind: HelmChartSourceKind,

    /// Name of the source.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Namespace of the source; by default that of the HelmRelease.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// A reference to a source whose artifact is a chart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CrossNamespaceChartReference {
    /// API group and version of the source; not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,

    /// Kind of the source.
    pub kind: ChartRefKind,

    /// Name of the source.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Namespace of the source; by default that of the HelmRelease.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// What is done about objects that differ from the release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DriftDetection {
    /// What to do about changed objects: enabled (put them right), warn (report them) or disabled, the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<DriftMode>,

    /// Fields not to look at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<IgnoreRule>,
}

/// A ConfigMap or Secret with values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValuesReference {
    /// ConfigMap or Secret.
    pub kind: ValuesKind,

    /// Name of the object, in the namespace of the HelmRelease.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Key of the object's data that holds the values; by default values.yaml.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = r"^[\-._a-zA-Z0-9]+$"))]
    pub values_key: Option<String>,

    /// Where in the values the data is put, as a path in the syntax of helm --set; by default the data is YAML and is
    /// merged at the top.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 250), regex(pattern = r"^([a-zA-Z0-9_\-.\\\/]|\[[0-9]{1,5}\])+$"))]
    pub target_path: Option<String>,

    /// Goes on without the object, or without the key, when it does not exist.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,

    /// Takes the data as one text at targetPath, as helm --set-literal does.
    #[serde(default, skip_serializing_if = "is_false")]
    pub literal: bool,
}

/// A change to rendered objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PostRenderer {
    /// Patches and images, as in a kustomization file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kustomize: Option<KustomizePostRenderer>,
}

/// Patches and images, as in a kustomization file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KustomizePostRenderer {
    /// Patches to make, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,

    /// Images to replace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
}

/// How readiness is found out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitStrategy {
    /// poller (kstatus on every object) or legacy (as Helm 3 did).
    pub name: WaitStrategyName,
}
