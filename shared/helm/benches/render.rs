//! How long a chart takes: to load, to render the first time, and to render again.
//!
//! `cargo bench -p sluice-helm`. The chart is made from a size, so that anyone gets the same one; `SLUICE_CHART=DIR`
//! (and `SLUICE_VALUES=FILE`) measures another.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Map, Value};
use sluice_helm::chart::LoadOptions;
use sluice_helm::values::read_documents;
use sluice_helm::{Chart, ChartFile, Release, RenderOptions, Renderer};

const DEPLOYMENT: &str = r#"{{- range $name, $app := .Values.apps }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "c.fullname" (list $ $name) }}
  labels: {{- include "c.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ $name | quote }}
spec:
  replicas: {{ $app.replicas | default 1 | int }}
  template:
    metadata:
      annotations: {{- toYaml $app.annotations | nindent 8 }}
    spec:
      containers:
      - name: {{ $name }}
        image: "{{ $app.image.repository }}:{{ $app.image.tag | default $.Chart.AppVersion }}"
        env: {{- tpl (toYaml $app.env) $ | nindent 8 }}
        {{- with $app.resources }}
        resources: {{- toYaml . | nindent 10 }}
        {{- end }}
{{- end }}
"#;

const HELPERS: &str = r#"{{- define "c.fullname" }}{{ printf "%s-%s" (index . 0).Release.Name (index . 1) | trunc 63 | trimSuffix "-" }}{{ end }}
{{- define "c.labels" }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- if semverCompare ">=1.20" .Capabilities.KubeVersion.Version }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
{{- end }}
"#;

/// A chart with `apps` deployments and as many unused defaults.
fn files(apps: usize) -> Vec<ChartFile> {
    let mut values = String::from("apps:\n");
    for app in 0..apps {
        let _ = write!(
            values,
            "  app-{app}:\n    image: {{repository: registry.example.org/app-{app}}}\n    replicas: 2\n    annotations: {{a: b, c: \"{app}\"}}\n    env: [{{name: RELEASE, value: '{{{{ .Release.Name }}}}'}}]\n    resources: {{limits: {{cpu: 100m, memory: 64Mi}}}}\n"
        );
    }
    for unused in 0..apps {
        let _ = writeln!(values, "unused{unused}: {{a: [1, 2, 3], b: {{c: d, e: f}}, g: text}}");
    }
    [
        ("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\nappVersion: 1.2.3\n".to_owned()),
        ("values.yaml", values),
        ("templates/_helpers.tpl", HELPERS.to_owned()),
        ("templates/deployment.yaml", DEPLOYMENT.to_owned()),
    ]
    .into_iter()
    .map(|(name, text)| ChartFile { name: name.into(), data: text.into_bytes().into(), modified: None })
    .collect()
}

fn bench(c: &mut Criterion) {
    let given = std::env::var_os("SLUICE_CHART").map(PathBuf::from);
    let made = files(100);
    let options = LoadOptions { links_anywhere: true, ..LoadOptions::default() };
    let load = || match &given {
        Some(path) => Chart::load(path, &options).expect("a chart"),
        None => Chart::from_files(made.clone(), &options).expect("a chart"),
    };
    let values: Map<String, Value> = std::env::var_os("SLUICE_VALUES")
        .map_or_else(Map::new, |path| read_documents(&std::fs::read(path).expect("a file")).expect("values"));
    let release = Release { name: "r".into(), namespace: "n".into(), revision: 1, is_upgrade: false };
    let render_options = RenderOptions::default();
    let render = |renderer: &Renderer| renderer.render(&release, &values, &render_options).expect("rendered");
    c.bench_function("load", |b| b.iter(|| black_box(load())));
    let chart = Arc::new(load());
    c.bench_function("first render", |b| b.iter(|| black_box(render(&Renderer::new(Arc::clone(&chart))))));
    let renderer = Renderer::new(chart);
    c.bench_function("render again", |b| b.iter(|| black_box(render(&renderer))));
}

criterion_group!(benches, bench);
criterion_main!(benches);
