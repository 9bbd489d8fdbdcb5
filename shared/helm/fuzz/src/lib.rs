//! What untrusted bytes reach, each with what must hold whatever the bytes are. Every function tells whether the bytes
//! were taken; none may panic, run for long or use much memory.

use std::sync::{Arc, LazyLock};

use sluice_gotemplate::{Functions, Parsed};
use sluice_helm::capabilities::KubeVersion;
use sluice_helm::chart::LoadOptions;
use sluice_helm::manifest::{KindOrder, Manifests, split};
use sluice_helm::render::Limits;
use sluice_helm::values::Sources;
use sluice_helm::{Chart, ChartFile, Release, RenderOptions, RenderedFile, Renderer};
use sluice_yaml::{Layout, Reader, Schema, to_string, to_string_with};

/// Lexer and parser of templates: an error has a line and a text.
pub fn parse(data: &[u8]) -> bool {
    static FUNCTIONS: LazyLock<Functions> = LazyLock::new(Functions::builtin);
    match Parsed::parse("t", data, &FUNCTIONS) {
        Ok(_) => true,
        Err(error) => {
            assert!(error.line >= 1 && !error.message.is_empty(), "{error:?}");
            false
        }
    }
}

/// A template of a chart, with all functions and some values, within small limits.
pub fn render(data: &[u8]) -> bool {
    const FILES: [(&str, &str); 4] = [
        ("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"),
        (
            "values.yaml",
            "f: 3\nbig: 12345678\na: str\nm: {x: 1, b: q}\nl: [1, b]\nt: true\nnest: {a: {b: [{k: v}]}}\n",
        ),
        ("templates/_helpers.tpl", "{{ define \"d\" }}{{ . | toYaml }}{{ end }}"),
        ("files/a.txt", "one\ntwo\n"),
    ];
    let file = |name: &str, data: &[u8]| ChartFile {
        name: name.to_owned(),
        data: data.to_vec().into(),
        modified: None,
    };
    let mut files: Vec<_> = FILES.iter().map(|(name, text)| file(name, text.as_bytes())).collect();
    files.push(file("templates/t.yaml", data));
    let Ok(chart) = Chart::from_files(files, &LoadOptions::default()) else { return false };
    let release = Release { name: "r".into(), namespace: "n".into(), revision: 1, is_upgrade: false };
    let limits = Limits { output: 1 << 20, steps: 20_000, items: 10_000, time: None };
    let options = RenderOptions { limits, ..RenderOptions::default() };
    match Renderer::new(Arc::new(chart)).render(&release, &serde_json::Map::new(), &options) {
        Ok(_) => true,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

/// The arguments of `--set`, `--set-string`, `--set-json` and `--set-literal`, and a version of Kubernetes.
pub fn set(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let sources = |text: &str| {
        let arguments = || vec!["a.b=1,l={x,y},o[1].k=v".to_owned(), text.to_owned()];
        [
            Sources { set: arguments(), ..Sources::default() },
            Sources { set_string: arguments(), ..Sources::default() },
            Sources { set_json: vec![text.to_owned()], ..Sources::default() },
            Sources { set_literal: vec![text.to_owned()], ..Sources::default() },
        ]
    };
    let merged = sources(text).map(|sources| sources.merge(&mut |_| Err("no file".to_owned())).is_ok());
    let _ = KubeVersion::parse(text);
    merged[0]
}

/// YAML, read as manifests and as values: what is written of it reads as the same.
pub fn yaml(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let mut taken = false;
    for (reader, schema) in
        [(Reader::manifest(), Schema::Manifest), (Reader::yaml11().last_wins(), Schema::Yaml11)]
    {
        let Ok(Some(node)) = reader.first(text) else { continue };
        let Ok(value) = node.into_value_by(schema) else { continue };
        taken = true;
        if schema == Schema::Yaml11 {
            for written in [to_string(&value), to_string_with(&value, Layout::KUBERNETES)] {
                let again = reader.first(&written).unwrap_or_else(|error| panic!("{error}\n{written}"));
                let again = again.map_or(Ok(serde_json::Value::Null), |node| node.into_value_by(schema));
                // Negative zero is written as zero, as in Go.
                assert_eq!(again.as_ref().map(to_string), Ok(to_string(&value)), "{written}");
            }
        }
    }
    let _ = sluice_yaml::parse_documents(text);
    taken
}

/// What a template printed: it is cut into documents, and their heads are read.
pub fn manifest(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data).into_owned();
    let documents = split(&text).len();
    let files = [RenderedFile { name: "c/templates/x.yaml".into(), text }];
    match Manifests::new(&files, KindOrder::Install) {
        Ok(manifests) => {
            assert!(manifests.objects.len() + manifests.hooks.len() <= documents);
            true
        }
        Err(error) => {
            assert!(!error.message.is_empty());
            false
        }
    }
}

/// An archive of a chart.
pub fn archive(data: &[u8]) -> bool {
    Chart::from_archive(data, &LoadOptions::default()).is_ok()
}
