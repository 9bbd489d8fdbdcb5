//! HelmChart: a packaged chart from a Helm repository, a Git repository or a bucket.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Artifact, ChartVerification};
use crate::meta::{Condition, Duration};
use crate::text_enum::text_enum;
use crate::{is_false, is_zero};

text_enum! {
    /// The kinds of source that a chart can come from.
    #[derive(Default)]
    pub enum HelmChartSourceKind {
        /// A Helm repository.
        #[default]
        HelmRepository = "HelmRepository",
        /// A directory of a Git repository.
        GitRepository = "GitRepository",
        /// A directory of a bucket.
        Bucket = "Bucket",
    }
}

text_enum! {
    /// What makes a new artifact of a chart.
    #[derive(Default)]
    pub enum ReconcileStrategy {
        /// Another version in Chart.yaml.
        #[default]
        ChartVersion = "ChartVersion",
        /// Another revision of the source.
        Revision = "Revision",
    }
}

/// Which chart to fetch from which source, and how often.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "source.toolkit.fluxcd.io",
    version = "v1",
    kind = "HelmChart",
    plural = "helmcharts",
    shortname = "hc",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-sources",
    namespaced,
    status = "HelmChartStatus",
    doc = "HelmChart makes an artifact of one chart of a Helm repository, or packages one from a Git repository or bucket.",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Chart","type":"string","jsonPath":".spec.chart"}"#,
    printcolumn = r#"{"name":"Version","type":"string","jsonPath":".spec.version"}"#,
    printcolumn = r#"{"name":"Source Kind","type":"string","jsonPath":".spec.sourceRef.kind"}"#,
    printcolumn = r#"{"name":"Source Name","type":"string","jsonPath":".spec.sourceRef.name"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#
)]
#[schemars(extend("x-kubernetes-validations" = json!([{
    "rule": "!has(self.verify) || self.sourceRef.kind == 'HelmRepository'",
    "message": "spec.verify is only supported when spec.sourceRef.kind is 'HelmRepository'"
}])))]
pub struct HelmChartSpec {
    /// Name of the chart in a HelmRepository, or its directory in a GitRepository or Bucket.
    pub chart: String,

    /// Version of the chart, or a range of semantic versions whose highest is taken. Not looked at for charts from a
    /// GitRepository or Bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "*"))]
    pub version: Option<String>,

    /// The source of the chart.
    pub source_ref: HelmChartSourceReference,

    /// How often to look for a new chart.
    pub interval: Duration,

    /// What makes a new artifact: ChartVersion (another version in Chart.yaml) or Revision (another revision of the
    /// source; the version then carries it).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "ChartVersion"))]
    pub reconcile_strategy: Option<ReconcileStrategy>,

    /// Values files to merge into the chart's own values.yaml; a later one wins over an earlier one. Paths are relative
    /// to the source, or to the chart when it comes from a HelmRepository.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values_files: Vec<String>,

    /// Leaves out values files that do not exist instead of failing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ignore_missing_values_files: bool,

    /// Stops fetching until it is unset; the last artifact stays available.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,

    /// Signature to demand before a chart is used; only for a HelmRepository of type oci.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<ChartVerification>,
}

/// A reference to the source of a chart, in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmChartSourceReference {
    /// API group and version of the source; not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,

    /// Kind of the source.
    pub kind: HelmChartSourceKind,

    /// Name of the source.
    pub name: String,
}

/// What the controller observed and stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HelmChartStatus {
    /// Generation of the object that was last reconciled; -1 before the first time.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,

    /// Revision of the source's artifact that the chart was taken from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_source_artifact_revision: Option<String>,

    /// Name of the chart that was last fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_chart_name: Option<String>,

    /// Values files that were merged into the chart.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub observed_values_files: Vec<String>,

    /// State of the object, as the standard conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,

    /// Stable address of the latest artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,

    /// The chart that was last fetched and passed all checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,

    /// Value of the annotation reconcile.fluxcd.io/requestedAt that was last acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}
