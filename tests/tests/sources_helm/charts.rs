//! Charts and indexes that the tests publish.

use sluice_helm::chart::LoadOptions;
use sluice_helm::{Chart, ChartFile, package};

/// Media type of a chart in a registry.
pub(crate) const HELM_LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

pub(crate) const TEMPLATE: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-{{ .Chart.Name }}
data:
  tag: {{ .Values.tag | quote }}
  replicas: {{ .Values.replicas | quote }}
";

pub(crate) const LIBRARY: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-lib
data:
  color: {{ .Values.color }}
  size: {{ .Values.size | quote }}
";

/// A packed chart.
pub(crate) fn packed(name: &str, version: &str) -> Vec<u8> {
    let chart_yaml = format!("apiVersion: v2\nname: {name}\nversion: {version}\n");
    let values = "tag: one\nreplicas: 1\n";
    let files =
        [("Chart.yaml", chart_yaml.as_str()), ("values.yaml", values), ("templates/app.yaml", TEMPLATE)];
    let files = files.map(|(name, text)| ChartFile {
        name: name.to_owned(),
        data: text.as_bytes().to_vec().into(),
        modified: None,
    });
    let chart = Chart::from_files(files.to_vec(), &LoadOptions::default()).expect("a chart");
    package::package(&chart, &package::Options::default()).expect("a package").data
}

/// An index of the chart `app` in these versions.
pub(crate) fn index(versions: &[&str]) -> String {
    let mut text = "apiVersion: v1\nentries:\n  app:\n".to_owned();
    for version in versions {
        text.push_str(&format!(
            "  - apiVersion: v2\n    name: app\n    version: {version}\n    urls: [app-{version}.tgz]\n"
        ));
    }
    text
}
