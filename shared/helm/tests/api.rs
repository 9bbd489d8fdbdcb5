//! What users of the crate rely on beyond the texts that Helm prints.

use std::fs;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};
use sluice_helm::chart::LoadOptions;
use sluice_helm::render::{Lookup, check_name};
use sluice_helm::values::Sources;
use sluice_helm::{Chart, ChartFile, Release, RenderError, RenderOptions, Rendered, Renderer};

const CHART: &str = "apiVersion: v2\nname: c\nversion: 1.0.0\n";

fn chart(files: &[(&str, &str)]) -> Arc<Chart> {
    let with_default = [("Chart.yaml", CHART)];
    let own = files.iter().any(|(name, _)| *name == "Chart.yaml");
    let files = with_default.iter().filter(|_| !own).chain(files).map(|(name, text)| ChartFile {
        name: (*name).to_owned(),
        data: text.as_bytes().to_vec().into(),
        modified: None,
    });
    Arc::new(Chart::from_files(files.collect(), &LoadOptions::default()).expect("a chart"))
}

fn release() -> Release {
    Release { name: "r".into(), namespace: "n".into(), revision: 1, is_upgrade: false }
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no map"),
    }
}

fn render(renderer: &Renderer, values: Value) -> Result<Rendered, RenderError> {
    renderer.render(&release(), &map(values), &RenderOptions::default())
}

#[test]
fn one_renderer_serves_threads_and_choices_of_subcharts() {
    let renderer = Renderer::new(chart(&[
        (
            "Chart.yaml",
            "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies: [{name: s, version: '*', condition: wanted}, \
             {name: s, version: '*', alias: t}]\n",
        ),
        ("values.yaml", "wanted: true\nnum: 0\n"),
        ("templates/x.yaml", "n: {{ .Values.num }} {{ len .Subcharts }} {{ include \"who\" . }}"),
        ("charts/s/Chart.yaml", "name: s\nversion: 1.0.0\n"),
        ("charts/s/templates/_h.tpl", "{{ define \"who\" }}{{ .Template.Name }}{{ end }}"),
        ("charts/s/templates/y.yaml", "{{ include \"who\" . }}"),
    ]));
    let texts = |rendered: Rendered| {
        rendered.files.into_iter().map(|file| (file.name, file.text)).collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let renderer = &renderer;
            scope.spawn(move || {
                for round in 0..50 {
                    let (n, on) = (thread * 100 + round, round % 2 == 0);
                    let rendered = render(renderer, json!({ "num": n, "wanted": on })).expect("rendered");
                    let mut want = vec![];
                    if on {
                        want.push(("c/charts/s/templates/y.yaml", "c/charts/s/templates/y.yaml".to_owned()));
                    }
                    want.push(("c/charts/t/templates/y.yaml", "c/charts/t/templates/y.yaml".to_owned()));
                    let count = if on { 2 } else { 1 };
                    want.push(("c/templates/x.yaml", format!("n: {n} {count} c/templates/x.yaml")));
                    let want: Vec<_> = want.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
                    assert_eq!(texts(rendered), want);
                }
            });
        }
    });
}

#[test]
fn a_render_does_not_change_the_next() {
    let renderer = Renderer::new(chart(&[
        ("values.yaml", "m: {a: 1}\n"),
        ("templates/x.yaml", "{{ $_ := set .Values.m \"b\" 2 }}{{ .Values.m | toJson }}{{ .Values.m.c }}"),
    ]));
    for _ in 0..2 {
        let rendered = render(&renderer, json!({})).expect("rendered");
        assert_eq!(rendered.files[0].text, r#"{"a":1,"b":2}"#);
    }
}

#[test]
fn notes_and_crds_stand_apart() {
    let renderer = Renderer::new(chart(&[
        ("templates/NOTES.txt", "hello {{ .Release.Name }}"),
        ("templates/x.yaml", "x"),
        ("crds/a.yaml", "{{ raw }}"),
        ("crds/readme.md", "no"),
        ("charts/s/Chart.yaml", "name: s\nversion: 1.0.0\n"),
        ("charts/s/crds/b/c.yml", "b"),
        ("charts/s/templates/NOTES.txt", "sub"),
    ]));
    let rendered = render(&renderer, json!({})).expect("rendered");
    assert_eq!(rendered.notes.as_deref(), Some("hello r"));
    let names =
        |files: &[sluice_helm::RenderedFile]| files.iter().map(|file| file.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&rendered.files), ["c/templates/x.yaml"]);
    assert_eq!(names(&rendered.crds), ["c/crds/a.yaml", "c/charts/s/crds/b/c.yml"]);
    assert_eq!(names(&rendered.subchart_notes), ["c/charts/s/templates/NOTES.txt"]);
    assert_eq!(rendered.crds[0].text, "{{ raw }}");
}

#[test]
fn failures_have_a_hint_where_the_cause_is_known() {
    for (template, hint) in [
        ("{{ .Values.a.b }}", Some("what stands before `.b` is not set")),
        ("{{ upper .Values.num }}", Some("numbers in values are floats")),
        ("{{ upper .Values.a }}", Some("`.Values.a` is not set")),
        ("{{ range .Values.num }}{{ end }}", Some("must be a list or a map")),
        ("x: {{ .Values.num", Some("c/templates/x.yaml:1: x: {{ .Values.num")),
        ("{{ fail \"as said\" }}", None),
        ("{{ index (list 1) 3 }}", None),
    ] {
        let renderer = Renderer::new(chart(&[("values.yaml", "num: 3\n"), ("templates/x.yaml", template)]));
        let error = render(&renderer, json!({})).expect_err(template);
        match hint {
            Some(hint) => assert!(
                error.hint().is_some_and(|given| given.contains(hint)),
                "{template}: {:?}",
                error.hint()
            ),
            None => assert_eq!(error.hint(), None, "{template}"),
        }
    }
}

/// Answers with what it was asked.
#[derive(Default)]
struct Cluster(Mutex<Vec<String>>);

impl Lookup for Cluster {
    fn lookup(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<Value, String> {
        if kind == "Nope" {
            return Err("unable to get apiresource".into());
        }
        let asked = format!("{api_version} {kind} {namespace}/{name}");
        self.0.lock().expect("the list").push(asked.clone());
        Ok(json!({ "metadata": { "generation": 3, "name": asked } }))
    }
}

#[test]
fn lookup_asks_the_cluster_but_never_while_linting() {
    let template = "{{ with lookup \"v1\" \"Secret\" \"n\" \"s\" }}{{ .metadata.name }} \
                    {{ add .metadata.generation 1 }} {{ typeOf .metadata.generation }}{{ end }}";
    let renderer = Renderer::new(chart(&[("templates/x.yaml", template)]));
    let cluster = Arc::new(Cluster::default());
    let mut options = RenderOptions { lookup: Some(cluster.clone()), ..RenderOptions::default() };
    let rendered = renderer.render(&release(), &Map::new(), &options).expect("rendered");
    assert_eq!(rendered.files[0].text, "v1 Secret n/s 4 int64");
    options.lint = true;
    let rendered = renderer.render(&release(), &Map::new(), &options).expect("rendered");
    assert_eq!(rendered.files[0].text, "");
    assert_eq!(cluster.0.lock().expect("the list").len(), 1);
    options.lint = false;
    let renderer = Renderer::new(chart(&[("templates/x.yaml", "{{ lookup \"v1\" \"Nope\" \"\" \"\" }}")]));
    let error = renderer.render(&release(), &Map::new(), &options).expect_err("unknown").to_string();
    assert!(error.ends_with("error calling lookup: unable to get apiresource"), "{error}");
}

#[test]
fn linting_goes_on_where_a_render_fails() {
    let renderer = Renderer::new(chart(&[(
        "templates/x.yaml",
        "a{{ required \"need a\" .Values.a }}b{{ fail \"boom\" }}c",
    )]));
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let options = RenderOptions {
        lint: true,
        log: Some(Arc::new(move |line| {
            sink.lock().expect("the log").push(format!("{} {}", line.level, line.message))
        })),
        ..RenderOptions::default()
    };
    let rendered = renderer.render(&release(), &Map::new(), &options).expect("rendered");
    assert_eq!(rendered.files[0].text, "abc");
    let lines = lines.lock().expect("the log");
    assert_eq!(*lines, ["WARN missing required value message=\"need a\"", "INFO funcMap fail message=boom"]);
}

#[test]
fn names_of_releases_are_names_of_objects() {
    for good in ["a", "a-b.c0", "0", &"a".repeat(53)] {
        assert!(check_name(good).is_ok(), "{good}");
    }
    for bad in ["", "A", "a_b", "-a", "a-", "a..b", ".a", "é", &"a".repeat(54)] {
        let error = check_name(bad).expect_err(bad).to_string();
        assert!(error.starts_with("release name check failed: release name "), "{error}");
    }
}

#[test]
fn what_is_no_chart_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, content, want) in [
        (
            "a.tgz",
            "hello\n".to_owned(),
            "does not appear to be a gzipped archive; got 'application/octet-stream'",
        ),
        (
            "b.txt",
            "hello\n".repeat(200),
            "does not appear to be a gzipped archive; got 'text/plain; charset=utf-8'",
        ),
        ("c.yaml", "a: 1\n".to_owned(), "seems to be a YAML file, but expected a gzipped archive"),
        ("d", String::new(), "does not appear to be a gzipped archive; got 'application/octet-stream'"),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, content).expect("written");
        let error = Chart::load(&path, &LoadOptions::default()).expect_err(name).to_string();
        assert_eq!(error, format!("file '{}' {want}", path.display()));
    }
    let error = Chart::load(dir.path(), &LoadOptions::default()).expect_err("no chart").to_string();
    let path = dir.path().join("Chart.yaml").display().to_string();
    assert_eq!(error, format!("unable to detect chart at {path}: open {path}: no such file or directory"));
}

#[test]
fn what_helm_takes_without_a_word_is_told_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    write("Chart.yaml", CHART);
    write(
        "values.yaml",
        "a: {x: 1, z: 2, x: 3}\n---\non: 1\n\"y\": 1\nbig: 9007199254740993\nfits: -9007199254740992\n",
    );
    write(".helmignore", "!*.yaml\n");
    assert_eq!(
        Chart::load(folder.path(), &LoadOptions::default()).expect("a chart").advice,
        [
            "values.yaml:1: the key \"x\" was set in line 1 already: the last one counts",
            "values.yaml:3: the key on is read as true: put it in quotes if it is a name",
            "values.yaml:5: 9007199254740993 is above 2^53 and may not be kept exactly: put it in quotes, or give it with --set",
            ".helmignore: !*.yaml leaves out everything that it does not match, unlike in .gitignore",
        ]
    );
}

#[test]
fn subcharts_of_another_version_are_told() {
    let chart = chart(&[
        (
            "Chart.yaml",
            "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies: [{name: s, version: ^2.0.0}, {name: t, version: '>=1'}]\n",
        ),
        ("charts/s/Chart.yaml", "apiVersion: v2\nname: s\nversion: 1.9.0\n"),
        ("charts/s/values.yaml", "a: 1\na: 2\n"), // not the user's affair
        ("charts/t/Chart.yaml", "apiVersion: v2\nname: t\nversion: 1.9.0\n"),
    ]);
    assert_eq!(
        chart.advice,
        ["Chart.yaml: the dependency s asks for version ^2.0.0, but charts/ holds 1.9.0, which is taken"]
    );
}

#[test]
fn values_files_are_looked_at_like_those_of_charts() {
    let sources = Sources { files: vec!["a.yaml".into(), "b.yaml".into()], ..Sources::default() };
    let mut read = |name: &str| Ok(format!("x: 1\n---\n{}: 2\nm: 1\nm: {name}\n", &name[..1]).into_bytes());
    let mut advice = Vec::new();
    let values = sources.merge_with_advice(&mut read, &mut |line| advice.push(line)).expect("values");
    assert_eq!(Value::Object(values), json!({"x": 1.0, "a": 2.0, "b": 2.0, "m": "b.yaml"}));
    assert_eq!(
        advice,
        [
            "a.yaml:5: the key \"m\" was set in line 4 already: the last one counts",
            "b.yaml:5: the key \"m\" was set in line 4 already: the last one counts",
        ]
    );
}
