//! HelmChart against servers in this process.

mod files;
mod registry;
mod website;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use sluice_api::ArtifactSource;
use sluice_api::source::HelmRepository;
use sluice_artifact::Location;
use sluice_helm::chart::LoadOptions;
use sluice_helm::{Chart, ChartFile, index, package};
use sluice_runtime::controller::Store;

use super::{Charts, Sizes, Sources};
use crate::fake::Bench;
use crate::testing::Website;

/// Largest index, chart and file of a chart in these tests.
const SIZES: Sizes = Sizes { index: 64 << 10, chart: 64 << 10, file: 16 << 10 };
const REPOSITORIES: &str = "/apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/helmrepositories";

/// A packed chart of that name and version, with more files.
fn packed(name: &str, version: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let chart_yaml = format!("apiVersion: v2\nname: {name}\nversion: {version}\n");
    let values = "image: {tag: one, debug: false}\nreplicas: 1\n";
    let template = "a: {{ .Values.replicas }}\n";
    let own = [("Chart.yaml", chart_yaml.as_str()), ("values.yaml", values), ("templates/a.yaml", template)];
    let files = own.iter().chain(files).map(|(name, text)| ChartFile {
        name: (*name).to_owned(),
        data: text.as_bytes().to_vec().into(),
        modified: None,
    });
    let chart = Chart::from_files(files.collect(), &LoadOptions::default()).unwrap();
    package::package(&chart, &package::Options::default()).unwrap().data
}

fn charts(repositories: &[Value]) -> Charts {
    let repositories =
        repositories.iter().map(|repository| serde_json::from_value(repository.clone()).unwrap());
    let repositories: Store<HelmRepository> = repositories.collect();
    let sources = Sources { repositories, ..Sources::default() };
    Charts::new(sources, SIZES, Arc::default()).unwrap()
}

fn bench(spec: Value) -> Bench<Charts> {
    bench_with(spec, &[])
}

fn bench_with(spec: Value, repositories: &[Value]) -> Bench<Charts> {
    sluice_runtime::process::install_crypto();
    Bench::new(charts(repositories), spec)
}

fn spec(kind: &str, extra: Value) -> Value {
    let mut spec = json!({"chart": "app", "interval": "1m", "sourceRef": {"kind": kind, "name": "src"}});
    spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    spec
}

fn repository(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository",
        "metadata": {"name": name, "namespace": "flux-system", "uid": name},
        "spec": spec,
    })
}

/// An index as HelmRepository stores it: name, version, address and digest of each chart.
fn store_index(bench: &Bench<Charts>, revision: &str, entries: &[(&str, &str, &str, &str)]) -> Value {
    let mut by_name: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (name, version, url, digest) in entries {
        by_name.entry(name).or_default().push(
            json!({"apiVersion": "v2", "name": name, "version": version, "urls": [url], "digest": digest}),
        );
    }
    let text = json!({"apiVersion": "v1", "entries": by_name}).to_string();
    let mut stored = Vec::new();
    index::convert(&text, &mut stored).unwrap();
    let location = Location::new("HelmRepository", "flux-system", "src");
    let stored = bench.store.copy(&location, &format!("index-{revision}.yaml"), &stored[..]).unwrap();
    artifact(&stored, revision)
}

fn artifact(stored: &sluice_artifact::Stored, revision: &str) -> Value {
    json!({
        "path": stored.path, "url": stored.url, "digest": stored.digest.to_string(), "revision": revision,
        "lastUpdateTime": "2026-01-01T00:00:00Z", "size": stored.size,
    })
}

/// Puts a HelmRepository `src` with that index where a pass finds it.
fn put_repository(bench: &Bench<Charts>, spec: Value, index: &Value) {
    let mut object = repository("src", spec);
    object["status"] = json!({"artifact": index});
    bench.api.put(&format!("{REPOSITORIES}/src"), object);
}

fn revision(bench: &Bench<Charts>) -> String {
    bench.object().artifact().unwrap().revision.clone()
}

fn digest(bench: &Bench<Charts>) -> String {
    bench.object().artifact().unwrap().digest.clone()
}

fn stored(bench: &Bench<Charts>) -> Chart {
    Chart::load(&bench.file(), &LoadOptions::default()).unwrap()
}
