//! Charts among the files of a source.

use std::path::Path;

use serde_json::json;
use sluice_runtime::Outcome;
use sluice_runtime::conditions::{READY, STALLED};

use super::*;
use crate::kind::{BUILD_FAILED, FETCH_FAILED};
use crate::oci::select::HELM_LAYER;
use crate::testing::{Auth, Registry};

const COMMIT: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334";

/// Puts a GitRepository `src` whose artifact holds these files.
fn put(bench: &Bench<Charts>, revision: &str, files: &[(&str, &str)]) {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    put_bytes(bench, revision, &files);
}

fn put_bytes(bench: &Bench<Charts>, revision: &str, files: &[(&str, &[u8])]) {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    put_folder(bench, revision, dir.path());
}

fn put_folder(bench: &Bench<Charts>, revision: &str, dir: &Path) {
    let location = Location::new("GitRepository", "flux-system", "src");
    let (stored, _) = bench.store.archive(&location, "src.tar.gz", dir, |_, _| true).unwrap();
    bench.api.put(
        "/apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/gitrepositories/src",
        json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": "src", "namespace": "flux-system", "uid": "src"},
            "spec": {"url": "https://example.com/app.git", "interval": "1m"},
            "status": {"artifact": artifact(&stored, revision)},
        }),
    );
}

fn git(extra: Value) -> Value {
    let mut spec = spec("GitRepository", extra);
    spec["chart"] = json!("charts/app");
    spec
}

const CHART: (&str, &str) = ("charts/app/Chart.yaml", "apiVersion: v2\nname: app\nversion: 0.1.0\n");
const VALUES: (&str, &str) = ("charts/app/values.yaml", "a: 1\nb: {c: 2}\n");
const TEMPLATE: (&str, &str) = ("charts/app/templates/a.yaml", "a: {{ .Values.a }}\n");

#[tokio::test]
async fn a_folder_is_packed_again_when_its_version_moves() {
    let mut bench = bench(git(json!({})));
    put(&bench, &format!("main@sha1:{COMMIT}"), &[CHART, VALUES, TEMPLATE]);
    bench.pass().await;
    let message = "packaged 'app' chart with version '0.1.0'";
    assert_eq!(bench.condition(READY).unwrap(), format!("True ChartPackageSucceeded {message}"));
    assert_eq!(bench.events(), [format!("info ChartPackageSucceeded {message}")]);
    let chart = stored(&bench);
    assert_eq!(json!(chart.values), json!({"a": 1.0, "b": {"c": 2.0}}));
    assert_eq!(&chart.templates[0].data[..], TEMPLATE.1.as_bytes());
    let before = digest(&bench);

    // Another commit without another version is, by the strategy, the same chart.
    put(&bench, "main@sha1:other", &[CHART, VALUES, ("charts/app/templates/a.yaml", "b: 1\n")]);
    bench.pass().await;
    assert_eq!(digest(&bench), before);
    assert_eq!(bench.condition(READY).unwrap(), format!("True ChartPackageSucceeded {message}"));

    put(
        &bench,
        "main@sha1:third",
        &[("charts/app/Chart.yaml", "apiVersion: v2\nname: app\nversion: 0.2.0\n")],
    );
    bench.pass().await;
    assert_eq!(revision(&bench), "0.2.0");
    assert_ne!(digest(&bench), before);
}

#[tokio::test]
async fn by_revision_each_commit_is_another_chart() {
    let bench = bench(git(json!({"reconcileStrategy": "Revision"})));
    put(&bench, &format!("main@sha1:{COMMIT}"), &[CHART, VALUES]);
    bench.pass().await;
    assert_eq!(revision(&bench), "0.1.0+a1b2c3d4e5f6");
    assert!(bench.file().ends_with("app-0.1.0+a1b2c3d4e5f6.tgz"));
    assert_eq!(stored(&bench).metadata.version, "0.1.0+a1b2c3d4e5f6");
    let other = COMMIT.replace("a1b2", "ffff");
    put(&bench, &format!("main@sha1:{other}"), &[CHART, VALUES]);
    bench.pass().await;
    assert_eq!(revision(&bench), "0.1.0+ffffc3d4e5f6");
    bench.edit(|object| object["spec"]["valuesFiles"] = json!(["charts/app/values.yaml", "prod.yaml"]));
    put(&bench, &format!("main@sha1:{COMMIT}"), &[CHART, VALUES, ("prod.yaml", "b: {c: 3}\n")]);
    bench.pass().await;
    assert_eq!(revision(&bench), "0.1.0+a1b2c3d4e5f6.2");
    assert_eq!(json!(stored(&bench).values), json!({"a": 1.0, "b": {"c": 3.0}}));
}

#[tokio::test]
async fn the_same_files_give_the_same_bytes() {
    let mut digests = Vec::new();
    for _ in 0..2 {
        let bench = bench(git(json!({"valuesFiles": ["x.yaml"]})));
        put(&bench, "main@sha1:one", &[CHART, VALUES, TEMPLATE, ("x.yaml", "a: 2\n")]);
        bench.pass().await;
        assert_eq!(revision(&bench), "0.1.0+1");
        digests.push(digest(&bench));
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn an_archive_in_the_source_is_taken_as_it_is() {
    let bytes = packed("app", "1.0.0", &[]);
    let bench = bench(spec("GitRepository", json!({"chart": "dist/app.tgz"})));
    put_bytes(&bench, "main@sha1:one", &[("dist/app.tgz", &bytes), ("prod.yaml", b"replicas: 5\n")]);
    bench.pass().await;
    assert_eq!(
        bench.condition(READY).unwrap(),
        "True ChartPullSucceeded pulled 'app' chart with version '1.0.0'"
    );
    assert_eq!(std::fs::read(bench.file()).unwrap(), bytes);
    bench.edit(|object| object["spec"]["valuesFiles"] = json!(["prod.yaml"]));
    bench.pass().await;
    assert_eq!(revision(&bench), "1.0.0+2");
    assert_eq!(json!(stored(&bench).values), json!({"replicas": 5.0}));
}

#[tokio::test]
async fn what_is_no_chart_stalls_until_the_source_moves() {
    for (chart, files, want) in [
        ("missing", &[CHART][..], "/missing"),
        ("../../etc", &[CHART], "/etc"),
        ("charts", &[CHART], "unable to detect chart at /charts/Chart.yaml"),
        (
            "charts/app",
            &[("charts/app/Chart.yaml", "apiVersion: v2\nname: app\n")],
            "chart.metadata.version is required",
        ),
        (
            "charts/app",
            &[("charts/app/Chart.yaml", "apiVersion: v2\nname: ../app\nversion: 1.0.0\n")],
            "invalid",
        ),
        (
            "charts/app",
            &[("charts/app/Chart.yaml", "apiVersion: v2\nname: App\nversion: 1.0.0\n")],
            "invalid chart name 'App'",
        ),
        ("charts/app", &[("charts/app/Chart.yaml", ": [")], "cannot load Chart.yaml"),
    ] {
        let mut spec = git(json!({}));
        spec["chart"] = json!(chart);
        let bench = bench(spec);
        put(&bench, "main@sha1:one", files);
        assert!(matches!(bench.pass().await, Outcome::Terminal(_)), "{chart}");
        let stalled = bench.condition(STALLED).unwrap();
        assert!(
            stalled.starts_with("True InvalidChartReference invalid chart reference: ")
                && stalled.contains(want),
            "{stalled}"
        );
        assert!(!stalled.contains("/tmp"), "{stalled}");
    }
    let bench = bench(git(json!({})));
    let large = "x".repeat((16 << 10) + 1);
    put(&bench, "main@sha1:one", &[CHART, ("charts/app/templates/large", &large)]);
    bench.pass().await;
    assert_eq!(
        bench.condition(BUILD_FAILED).unwrap(),
        "True ChartPackageError chart package error: cannot load file templates/large as file size (16385) exceeds limit (16384)"
    );
    put(&bench, "main@sha1:two", &[CHART]);
    bench.pass().await;
    assert_eq!((bench.condition(BUILD_FAILED), bench.condition(FETCH_FAILED)), (None, None));
}

#[tokio::test]
async fn subcharts_come_from_the_source_from_websites_and_from_registries() {
    let server = Website::start().await.unwrap();
    server.put("/web-1.2.0.tgz", packed("web", "1.2.0", &[]));
    server.put("/index.yaml", "apiVersion: v1\nentries:\n  web:\n  - {apiVersion: v2, name: web, version: 1.2.0, urls: [web-1.2.0.tgz]}\n");
    server.demand("Basic dXNlcjpwYXNz");
    let registry = Registry::start_with(Auth::Basic("user".into(), "pass".into())).await.unwrap();
    registry.push("libs/reg", "2.0.0", &[(HELM_LAYER, packed("reg", "2.0.0", &[]))], &[]);
    let repositories = [
        repository("web", json!({"url": server.url(), "secretRef": {"name": "login"}})),
        repository(
            "reg",
            json!({"url": registry.url("libs/"), "type": "oci", "secretRef": {"name": "login"}}),
        ),
    ];
    let chart = format!(
        "apiVersion: v2\nname: app\nversion: 0.1.0\ndependencies:
- {{name: near, version: 0.x, repository: 'file://../near'}}
- {{name: web, version: ^1, repository: '{}', alias: front}}
- {{name: web, version: ^1, repository: '{}/', alias: back}}
- {{name: reg, version: 2.0.0, repository: '{}'}}\n",
        server.url(),
        server.url(),
        registry.url("libs")
    );
    let near = ("charts/near/Chart.yaml", "apiVersion: v2\nname: near\nversion: 0.3.0\n");
    let files =
        [("charts/app/Chart.yaml", chart.as_str()), VALUES, near, ("charts/near/values.yaml", "n: 1\n")];
    let mut bench = bench_with(git(json!({})), &repositories);
    bench.add_secret("login", "Opaque", &[("username", "user"), ("password", "pass")]);
    put(&bench, "main@sha1:one", &files);
    bench.pass().await;
    assert_eq!(
        bench.condition(READY).unwrap(),
        "True ChartPackageSucceeded packaged 'app' chart with version '0.1.0'"
    );
    assert_eq!(bench.events()[0], "trace ResolvedDependencies resolved 4 chart dependencies");
    let chart = stored(&bench);
    let mut subcharts: Vec<_> = chart
        .dependencies
        .iter()
        .map(|chart| format!("{} {}", chart.name(), chart.metadata.version))
        .collect();
    subcharts.sort();
    assert_eq!(subcharts, ["near 0.3.0", "reg 2.0.0", "web 1.2.0"]);
    let asked = server.take_requests();
    assert_eq!(asked.iter().filter(|asked| asked.contains("index.yaml")).count(), 1, "{asked:?}");
}

#[tokio::test]
async fn a_subchart_that_cannot_be_had_is_named() {
    let server = Website::start().await.unwrap();
    server.put("/index.yaml", "<html>not found</html>");
    let web = server.url();
    for (dependency, want) in [
        (
            "{name: near, version: 0.x, repository: 'file://../near'}",
            "failed to add local dependency 'near': no chart found at '/charts/near' (reference 'file://../near')",
        ),
        (
            "{name: near, version: 0.x, repository: 'file://../../../../etc'}",
            "failed to add local dependency 'near': no chart found at '/etc' (reference 'file://../../../../etc')",
        ),
        (
            "{name: near, version: 9.x, repository: 'file://../other'}",
            "failed to add local dependency 'near': can't get a valid version for constraint '9.x'",
        ),
        (
            "{name: near, version: 9.x, repository: ''}",
            "no chart found at '/charts/app/charts/near' (reference '')",
        ),
        (
            "{name: near, version: 1.x, repository: '@stable'}",
            "failed to add remote dependency 'near': aliased repository dependency is not supported: @stable",
        ),
        ("{name: near, version: 1.x, repository: 's3://x'}", "invalid dependency repository URL: s3://x"),
        (
            &format!("{{name: near, version: 1.x, repository: '{web}'}}"),
            "failed to add remote dependency 'near': failed to load index: ",
        ),
        (&format!("{{name: near, version: 1.x, repository: '{web}/none'}}"), "404 Not Found"),
    ] {
        let chart = format!("apiVersion: v2\nname: app\nversion: 0.1.0\ndependencies:\n- {dependency}\n");
        let other = ("charts/other/Chart.yaml", "apiVersion: v2\nname: near\nversion: 0.3.0\n");
        let bench = bench(git(json!({})));
        put(&bench, "main@sha1:one", &[("charts/app/Chart.yaml", &chart), other]);
        assert!(matches!(bench.pass().await, Outcome::Failed(_)), "{dependency}");
        let failed = bench.condition(BUILD_FAILED).unwrap();
        assert!(
            failed.starts_with("True DependencyBuildError dependency build error: ") && failed.contains(want),
            "{failed}"
        );
    }
}

#[tokio::test]
async fn two_versions_of_one_subchart_go_by_their_aliases() {
    let chart = "apiVersion: v2\nname: app\nversion: 0.1.0\ndependencies:
- {name: near, version: 1.x, repository: 'file://../one', alias: a}
- {name: near, version: 2.x, repository: 'file://../two', alias: b}\n";
    let bench = bench(git(json!({})));
    put(
        &bench,
        "main@sha1:one",
        &[
            ("charts/app/Chart.yaml", chart),
            ("charts/one/Chart.yaml", "apiVersion: v2\nname: near\nversion: 1.0.0\n"),
            ("charts/two/Chart.yaml", "apiVersion: v2\nname: near\nversion: 2.0.0\n"),
        ],
    );
    bench.pass().await;
    let chart = stored(&bench);
    let subcharts: Vec<_> =
        chart.dependencies.iter().map(|chart| (chart.name(), &*chart.metadata.version)).collect();
    assert_eq!(subcharts, [("b", "2.0.0"), ("near", "1.0.0")]);
}

#[tokio::test]
async fn a_source_that_is_damaged_is_no_fault_of_the_chart() {
    let bench = bench(git(json!({})));
    put(&bench, "main@sha1:one", &[CHART]);
    let path = bench.store.root().join("gitrepository/flux-system/src/src.tar.gz");
    std::fs::write(path, "nonsense").unwrap();
    assert!(matches!(bench.pass().await, Outcome::Failed(_)));
    let failed = bench.condition(FETCH_FAILED).unwrap();
    assert!(failed.starts_with("True Unknown unknown build error: artifact untar error: "), "{failed}");
}
