//! What the real Helm wrote, and the vectors of Flux.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::*;
use crate::chart::LoadOptions;
use crate::{Chart, ChartFile, Renderer};

/// A release as `helm install` stored it, before compression.
const INSTALLED: &str = include_str!("../../tests/release/installed.json");
/// One that Helm 3 stored: zero times are empty texts.
const HELM_3: &str = include_str!("../../tests/release/helm3.json");

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("no map: {other}"),
    }
}

fn read(json: &str) -> Release {
    use base64::Engine as _;
    let content = base64::engine::general_purpose::STANDARD.encode(json.trim_end());
    decode(content.as_bytes()).expect("a release")
}

#[test]
fn what_helm_wrote_is_written_again_byte_for_byte() {
    let release = read(INSTALLED);
    assert_eq!(codec::text(&release), INSTALLED.trim_end());
    assert_eq!(release.full_name(), "default/r.v1");
    assert_eq!(release.versioned_chart(), "c@1.2.3");
    assert_eq!(release.info.status, Status::Deployed);
    assert_eq!(release.hooks[0].last_run.phase, HookPhase::Succeeded);
    assert!(release.server_side());
    assert_eq!(release.config["u"], json!(1.0));
    assert_eq!(release.chart.values()["sub"], json!({"enabled": true, "global": {}, "z": 1.0}));
    assert_eq!(decode(&encode(&release)), Ok(release));
}

#[test]
fn a_chart_is_stored_as_helm_stores_it() {
    let stored = read(INSTALLED);
    let body: Value = serde_json::from_str(stored.chart.body().get()).expect("JSON");
    let files = |field: &str| {
        body[field].as_array().into_iter().flatten().map(|file| {
            use base64::Engine as _;
            let data = base64::engine::general_purpose::STANDARD.decode(file["data"].as_str().expect("data"));
            chart_file(file["name"].as_str().expect("name"), data.expect("base64"))
        })
    };
    let mut all: Vec<_> = files("templates").chain(files("files")).collect();
    for (name, text) in [
        (
            "Chart.yaml",
            "apiVersion: v2\nname: c\nversion: 1.2.3\nappVersion: \"9\"\nkubeVersion: \">=1.20.0-0\"\ndependencies:\n- name: sub\n  version: 0.1.0\n  condition: sub.enabled\n",
        ),
        ("values.yaml", "a: 1\nb: {c: [x, 2]}\nsub: {enabled: true}\nnul: null\n"),
        ("values.schema.json", "{\"type\":\"object\"}\n"),
        ("charts/sub/Chart.yaml", "{\"name\":\"sub\",\"version\":\"0.1.0\",\"apiVersion\":\"v2\"}\n"),
        ("charts/sub/values.yaml", "z: 1\n"),
    ] {
        all.push(chart_file(name, text.as_bytes().to_vec()));
    }
    let chart = Chart::from_files(all, &LoadOptions::default()).expect("a chart");
    let made = Renderer::new(Arc::new(chart)).stored_chart(&Map::new()).expect("no dependency fails");
    assert_eq!(made.body().get(), stored.chart.body().get());
}

fn chart_file(name: &str, data: Vec<u8>) -> ChartFile {
    let packaged: jiff::Timestamp = "2026-11-28T05:21:33Z".parse().expect("a time");
    ChartFile { name: name.into(), data: data.into(), modified: Some(packaged.into()) }
}

#[test]
fn releases_of_helm_3_are_read_and_their_chart_is_kept() {
    let release = read(HELM_3);
    assert_eq!(release.info.deleted, None);
    assert_eq!(release.apply_method, None);
    assert_eq!(release.hooks[0].last_run, HookRun::default());
    assert!(
        codec::text(&release).contains(
            r#""chart":{"metadata":{"name":"old","version":"0.1.0","apiVersion":"v1"},"unknown":1}"#
        )
    );
}

#[test]
fn digests_are_those_of_flux() {
    let mut release = Release { name: "foo".into(), ..Release::default() };
    release.info.status = Status::Other(String::new());
    assert_eq!(
        snapshot_digest(&release, ""),
        "sha256:f1498f27a16a09cd7e1ee610d924df065c03d30035638babc95dd9a8d412ce4d"
    );
    assert_ne!(snapshot_digest(&release, "sha256:00"), snapshot_digest(&release, ""));
    let stored = read(INSTALLED);
    let mut tested = stored.clone();
    tested.hooks[0].last_run = HookRun::default();
    assert_eq!(snapshot_digest(&stored, ""), snapshot_digest(&tested, ""), "the hook is a test, too");
    assert!(snapshot_text(&stored, "").contains(r#""hooks":null,"namespace":"default"}"#));
}

#[test]
fn values_have_fluxs_digest() {
    let values = json!({"replicas": 3.0, "image": {"repository": "nginx", "tag": "latest"},
        "ports": [{"port": 8080, "protocol": "TCP"}, {"port": 9090, "protocol": "UDP"}]});
    assert_eq!(
        config_digest(&object(values)),
        "sha256:fcdc2b0de1581a3633ada4afee3f918f6eaa5b5ab38c3fef03d5b48d3f85d9f6"
    );
    assert_eq!(
        config_digest(&Map::new()),
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    for (values, text) in [
        (
            json!({"a": 1234567.5, "b": 1e20, "c": 0.00001, "d": 1_000_000.0}),
            "a: 1.2345675e+06\nb: 1e+20\nc: 1e-05\nd: 1000000\n",
        ),
        (
            json!({"a2": 1, "a10": 2, "B": "yes", "c": "0x1", "d": "1:30"}),
            "B: \"yes\"\na10: 2\na2: 1\nc: \"0x1\"\nd: \"1:30\"\n",
        ),
        (json!({"l": [], "m": {}, "n": null, "t": "a\nb\n"}), "l: []\nm: {}\n\"n\": null\nt: |\n  a\n  b\n"),
    ] {
        assert_eq!(config_text(&object(values)), text);
    }
}

#[test]
fn content_that_is_no_release_is_refused_without_showing_it() {
    use base64::Engine as _;
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes).into_bytes();
    for (content, want) in [
        (b"!".to_vec(), "the content is not base64"),
        (base64(&[0x1f, 0x8b, 8, 0]), "the content cannot be decompressed: "),
        (base64(b"3"), "the content is not a release in JSON: unusable at line 1, column "),
        (
            base64(b"{\"config\": \"hunter2\"}"),
            "the content is not a release in JSON: unusable at line 1, column ",
        ),
        (
            base64(b"{\"info\": {\"deleted\": \"soon\"}}"),
            "the content is not a release in JSON: \"soon\" is no time",
        ),
    ] {
        let error = decode(&content).expect_err("refused").to_string();
        assert!(error.starts_with(want) && !error.contains("hunter2"), "{error}");
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut zeros = std::io::Read::take(std::io::repeat(b' '), codec::LONGEST + 1);
    std::io::copy(&mut zeros, &mut packed).expect("a vector");
    assert_eq!(decode(&base64(&packed.finish().expect("a vector"))), Err(DecodeError::TooLarge));
}

#[test]
fn secrets_have_helms_name_and_labels() {
    let mut release = read(INSTALLED);
    release.labels = own_labels(&BTreeMap::from(
        [
            ("team", "a"),
            ("owner", "me"),
            ("createdAt", "1"),
            ("modifiedAt", "1"),
            ("status", "x"),
            ("version", "9"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    ));
    assert_eq!(secret_name("r", 1), "sh.helm.release.v1.r.v1");
    let now = jiff::Timestamp::from_second(7).expect("a time");
    let text = |created| format!("{:?}", labels(&release, created, now));
    assert_eq!(
        text(true),
        r#"{"createdAt": "7", "name": "r", "owner": "helm", "status": "deployed", "team": "a", "version": "1"}"#
    );
    assert_eq!(
        text(false),
        r#"{"modifiedAt": "7", "name": "r", "owner": "helm", "status": "deployed", "team": "a", "version": "1"}"#
    );
}
