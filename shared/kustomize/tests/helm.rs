//! `helmCharts`: what the renderer is asked for, and what becomes of its objects.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as expected")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use sluice_kustomize::{ChartRenderer, ChartRequest, Helm, Options, build, to_yaml};

/// Answers each request with one object that holds the values, and remembers it.
#[derive(Default)]
struct Recorder(Mutex<Vec<ChartRequest>>);

impl ChartRenderer for Recorder {
    fn render(&self, request: &ChartRequest) -> Result<String, String> {
        self.0.lock().unwrap().push(request.clone());
        let name = request.release_name.as_deref().unwrap_or("none");
        if name == "broken" {
            return Err("no such function".into());
        }
        Ok(format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n---\n# nothing\n"))
    }
}

struct Case {
    folder: tempfile::TempDir,
    recorder: Arc<Recorder>,
}

impl Case {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self { folder, recorder: Arc::default() }
    }

    fn build(&self, dir: &str) -> Result<String, String> {
        let helm = Helm {
            renderer: Arc::clone(&self.recorder) as Arc<dyn ChartRenderer>,
            api_versions: vec!["given/v1".into()],
            kube_version: Some("1.30".into()),
        };
        let options = Options { helm: Some(helm), shown_root: Some("/r".into()), ..Options::command_line() };
        build(self.folder.path(), Path::new(dir), &options)
            .map(|objects| to_yaml(&objects))
            .map_err(|error| error.to_string())
    }

    fn requests(&self) -> Vec<ChartRequest> {
        self.recorder.0.lock().unwrap().clone()
    }
}

const CHART: (&str, &str) = ("charts/c/Chart.yaml", "name: c");

#[test]
fn an_entry_says_all_that_the_renderer_needs() {
    let case = Case::new(&[
        (
            "kustomization.yaml",
            "namespace: own\nnamePrefix: my-\nhelmCharts:\n- {name: c, releaseName: r, includeCRDs: true, skipHooks: true, skipTests: true, apiVersions: [a/v1], kubeVersion: '1.29', nameTemplate: t, additionalValuesFiles: [more.yaml], valuesInline: {a: 1}}\n- {name: c}\n",
        ),
        CHART,
        ("charts/c/values.yaml", "a: 0\nb: {c: 1}\n"),
        ("more.yaml", "z: 1\n"),
    ]);
    // Names change, the namespace does not: it is the chart's business.
    assert_eq!(
        case.build("").unwrap(),
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: my-none\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: my-r\n"
    );
    let requests = case.requests();
    let root = case.folder.path().canonicalize().unwrap();
    let first = &requests[0];
    assert_eq!((&first.chart, &first.root), (&root.join("charts/c"), &root));
    assert_eq!(first.release_name.as_deref(), Some("r"));
    assert_eq!(first.name_template.as_deref(), Some("t"));
    assert_eq!(first.namespace, "own");
    assert_eq!((first.include_crds, first.skip_hooks, first.skip_tests), (true, true, true));
    assert_eq!(
        (first.api_versions.as_slice(), first.kube_version.as_deref()),
        (&["a/v1".to_owned()][..], Some("1.29"))
    );
    let values = serde_json::to_string(&first.values).unwrap();
    assert_eq!(values, r#"[{"a":1,"b":{"c":1}},{"z":1}]"#);
    // What the command line says counts where the entry says nothing.
    let second = &requests[1];
    assert_eq!(
        (second.api_versions.as_slice(), second.kube_version.as_deref()),
        (&["given/v1".to_owned()][..], Some("1.30"))
    );
    assert_eq!((second.release_name.as_deref(), second.include_crds), (None, false));
}

#[test]
fn values_are_merged_in_three_ways() {
    for (merge, want) in [
        ("override", r#"{"a":2,"l":[3],"m":{"k":2,"x":1}}"#),
        ("", r#"{"a":2,"l":[3],"m":{"k":2,"x":1}}"#),
        ("merge", r#"{"a":1,"gone":0,"l":[1,2],"m":{"k":2,"x":1}}"#),
        ("replace", r#"{"a":2,"gone":null,"l":[3],"m":{"k":2}}"#),
    ] {
        let entry = format!(
            "helmCharts:\n- {{name: c, valuesMerge: '{merge}', valuesFile: v.yaml, valuesInline: {{a: 2, l: [3], m: {{k: 2}}, gone: null}}}}\n"
        );
        let case = Case::new(&[
            ("kustomization.yaml", &entry),
            CHART,
            ("v.yaml", "a: 1\nl: [1, 2]\nm: {x: 1}\ngone: 0\n"),
        ]);
        case.build("").unwrap();
        assert_eq!(serde_json::to_string(&case.requests()[0].values[0]).unwrap(), want, "{merge}");
    }
}

#[test]
fn charts_lie_in_the_chart_home() {
    for (globals, entry, folder) in [
        ("", "{name: c}", "charts/c"),
        ("helmGlobals: {chartHome: vendor}\n", "{name: c}", "vendor/c"),
        ("", "{name: c, version: 1.0.0}", "charts/c"),
        ("", "{name: c, version: 1.0.0, repo: 'https://charts.example'}", "charts/c-1.0.0/c"),
    ] {
        let case = Case::new(&[
            ("kustomization.yaml", &format!("{globals}helmCharts: [{entry}]\n")),
            (&format!("{folder}/Chart.yaml"), "name: c"),
        ]);
        case.build("").unwrap();
        assert!(case.requests()[0].chart.ends_with(folder), "{entry}");
    }
}

#[test]
fn the_deprecated_form_is_understood() {
    let case = Case::new(&[
        (
            "kustomization.yaml",
            "helmChartInflationGenerator:\n- {chartName: c, releaseName: r, chartHome: old, values: v.yaml, valuesLocal: {a: 1}, extraArgs: [x]}\n",
        ),
        ("old/c/Chart.yaml", "name: c"),
        ("v.yaml", "b: 2\n"),
    ]);
    case.build("").unwrap();
    assert_eq!(serde_json::to_string(&case.requests()[0].values).unwrap(), r#"[{"a":1,"b":2}]"#);
}

#[test]
fn a_base_renders_into_the_namespace_of_its_overlay() {
    let case = Case::new(&[
        ("kustomization.yaml", "namespace: above\nresources: [base]\n"),
        ("base/kustomization.yaml", "helmCharts: [{name: c, releaseName: r}]\n"),
        ("base/charts/c/Chart.yaml", "name: c"),
    ]);
    let text = case.build("").unwrap();
    assert_eq!(case.requests()[0].namespace, "above");
    assert!(!text.contains("namespace"), "{text}");
}

#[test]
fn faults_name_the_chart() {
    for (entry, want) in [
        ("{releaseName: r}", "chart name cannot be empty"),
        ("{name: '-c'}", "chart name must not start with '-', got \"-c\""),
        ("{name: c, releaseName: '-x'}", "releaseName must not start with '-', got \"-x\""),
        ("{name: c, valuesMerge: x}", "valuesMerge must be one of [merge override replace]"),
        ("{name: none}", "no repo specified for pull, no chart found at '/r/charts/none'"),
        (
            "{name: none, repo: 'https://charts.example'}",
            "chart none is not at '/r/charts/none', and charts are not fetched from https://charts.example: put it there",
        ),
        ("{name: c, releaseName: broken}", "cannot render chart c in /r/charts/c: no such function"),
        ("{name: c, additionalValuesFiles: [none.yaml]}", "could not load additionalValuesFile: "),
        ("{name: c, unknown: 1}", "helmCharts: unknown field `unknown`"),
        ("{name: ../../../etc}", "security; file "),
    ] {
        let case = Case::new(&[("kustomization.yaml", &format!("helmCharts: [{entry}]\n")), CHART]);
        let error = case.build("").unwrap_err();
        assert!(error.contains(want), "{entry}: {error}");
    }
}
