//! The charts of the demo's second act, and the registry that serves one of them.

use anyhow::Result;
use serde_json::json;
use sluice_helm::chart::LoadOptions;
use sluice_helm::{Chart, ChartFile};
use source_controller::testing::Registry;

use super::manifests::NAMESPACE;

/// Name of the chart in the registry, of its repository object and of its release.
pub(super) const SHOP: &str = "shop";
/// Name of the chart in Git and of its release.
pub(super) const BLOG: &str = "blog";
/// Folder of the chart in the Git repository.
pub(super) const BLOG_PATH: &str = "charts/blog";
/// The first version of either chart.
pub(super) const FIRST: &str = "1.0.0";
/// The version that works as well.
pub(super) const SECOND: &str = "1.1.0";
/// The version whose Service no API server takes.
pub(super) const BROKEN: &str = "2.0.0";
/// Replicas that the charts ask for.
pub(super) const REPLICAS: i32 = 2;

/// Pushes all versions of the chart `shop` to a registry of this process.
pub(super) async fn push() -> Result<Registry> {
    let registry = Registry::start().await?;
    for version in [FIRST, SECOND, BROKEN] {
        let port = if version == BROKEN { "800000" } else { "80" };
        let files = files(SHOP, version, port).map(|(name, text)| ChartFile {
            name: name.into(),
            data: text.into_bytes().into(),
            modified: None,
        });
        let chart = Chart::from_files(files.into(), &LoadOptions::default())?;
        let archive = sluice_helm::package::package(&chart, &sluice_helm::package::Options::default())?;
        let metadata = json!({"apiVersion": "v2", "name": SHOP, "version": version});
        registry.push_chart(&format!("charts/{SHOP}"), version, &metadata, archive.data);
    }
    Ok(registry)
}

/// The files of a chart of a Deployment and a Service: path and text.
pub(super) fn files(name: &str, version: &str, port: &str) -> [(&'static str, String); 4] {
    [
        ("Chart.yaml", format!("apiVersion: v2\nname: {name}\nversion: {version}\nappVersion: 6.8.0\n")),
        ("values.yaml", format!("replicas: {REPLICAS}\nport: {port}\n")),
        (
            "templates/deployment.yaml",
            "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  labels:
    helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels:
      app: {{ .Release.Name }}
  template:
    metadata:
      labels:
        app: {{ .Release.Name }}
    spec:
      containers:
        - name: web
          image: ghcr.io/stefanprodan/podinfo:{{ .Chart.AppVersion }}
"
            .to_owned(),
        ),
        (
            "templates/service.yaml",
            "apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}
spec:
  selector:
    app: {{ .Release.Name }}
  ports:
    - name: http
      port: {{ .Values.port }}
"
            .to_owned(),
        ),
    ]
}

/// The `HelmRepository` of the registry at `url`.
pub(super) fn repository(url: &str) -> String {
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {{name: {SHOP}, namespace: {NAMESPACE}}}
spec: {{type: oci, url: {url}, insecure: true, interval: 1m}}
"
    )
}

/// A `HelmRelease`, which corrects drift, and rolls an upgrade back that fails.
///
/// `chart` is its name in the repository, or its path; `kind` and `source` name where it comes from.
pub(super) fn release(name: &str, chart: &str, version: &str, kind: &str, source: &str) -> String {
    format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  interval: 10m
  chart:
    spec:
      chart: {chart}
      version: {version}
      sourceRef: {{kind: {kind}, name: {source}}}
  upgrade:
    remediation: {{remediateLastFailure: true}}
  driftDetection: {{mode: enabled}}
"
    )
}
