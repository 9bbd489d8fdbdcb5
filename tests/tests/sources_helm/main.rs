//! Charts as a user gets them: objects in, a chart to download out, and a new one as soon as there is one.

mod charts;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};
use sluice_git::testing::{GitServer, Options, Repository};
use sluice_helm::Chart;
use sluice_helm::chart::LoadOptions;
use sluice_tests::flux::{self, NAMESPACE};
use sluice_tests::{Cluster, Controller, Kind, on_both_servers, oracle};
use source_controller::testing::{Registry, Website};

use charts::{HELM_LAYER, index, packed};

on_both_servers!(
    charts_are_published_as_they_are,
    charts_are_packed_from_a_git_repository,
    a_bad_chart_leaves_the_good_one,
);

const PROGRAM: &str = env!("CARGO_BIN_EXE_controller");

async fn start(cluster: &Cluster) -> Result<Controller> {
    flux::install(cluster).await?;
    Controller::start(cluster, PROGRAM, Kind::Source, &[]).await
}

fn source(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    })
}

fn chart(name: &str, kind: &str, from: &str, extra: &Value) -> Value {
    let mut spec = json!({"chart": "app", "interval": "1h", "sourceRef": {"kind": kind, "name": from}});
    merge(&mut spec, extra);
    source("HelmChart", name, &spec)
}

fn merge(into: &mut Value, extra: &Value) {
    if let (Some(into), Some(extra)) = (into.as_object_mut(), extra.as_object()) {
        into.extend(extra.clone());
    }
}

/// Waits until a chart is Ready with that revision, and downloads it.
async fn download(cluster: &Cluster, name: &str, revision: &str) -> Result<Vec<u8>> {
    let what = format!("to be Ready at {revision}");
    let object = flux::until(cluster, "HelmChart", name, &what, |object| {
        object.data["status"]["artifact"]["revision"] == revision && is_ready(object)
    })
    .await?;
    let artifact = &object.data["status"]["artifact"];
    let url = artifact["url"].as_str().context("no address")?;
    let bytes = reqwest::get(url).await?.error_for_status()?.bytes().await?;
    let digest = sluice_artifact::Algorithm::Sha256.digest(&bytes).to_string();
    ensure!(artifact["digest"] == digest.as_str(), "{artifact} is said to have digest {digest}");
    ensure!(artifact["size"] == bytes.len(), "{artifact} has {} bytes", bytes.len());
    Ok(bytes.to_vec())
}

fn is_ready(object: &DynamicObject) -> bool {
    let ready = flux::condition(object, "Ready");
    ready.is_some_and(|ready| ready["status"] == "True")
        && object.data["status"]["observedGeneration"] == json!(object.metadata.generation)
}

async fn charts_are_published_as_they_are(cluster: &Cluster) -> Result<()> {
    let mut controller = start(cluster).await?;
    let (site, registry) = (Website::start().await?, Registry::start().await?);
    let first = packed("app", "1.0.0");
    site.put("/app-1.0.0.tgz", first.clone()).put("/index.yaml", index(&["1.0.0"]));
    registry.push("charts/app", "1.0.0", &[(HELM_LAYER, first.clone())], &[]);

    // A chart before its source: it waits, and says for what.
    cluster.apply(&chart("from-site", "HelmRepository", "site", &json!({"version": "1.x"}))).await?;
    let waits = flux::failed(cluster, "HelmChart", "from-site", "SourceUnavailable").await?;
    let message = waits["message"].as_str().unwrap_or_default();
    ensure!(
        message.starts_with("failed to get source: ") && message.contains("\"site\" not found"),
        "{message}"
    );
    cluster.apply(&source("HelmRepository", "site", &json!({"url": site.url(), "interval": "1h"}))).await?;
    ensure!(download(cluster, "from-site", "1.0.0").await? == first, "the chart is not the published one");

    let oci = json!({"type": "oci", "url": registry.url("charts"), "insecure": true});
    cluster.apply(&source("HelmRepository", "registry", &oci)).await?;
    cluster
        .apply(&chart("from-registry", "HelmRepository", "registry", &json!({"version": ">=1.0.0"})))
        .await?;
    ensure!(download(cluster, "from-registry", "1.0.0").await? == first, "the chart is not the pushed one");

    // A new version in the index rolls the chart, which nobody asks for anything.
    let second = packed("app", "1.1.0");
    site.put("/app-1.1.0.tgz", second.clone()).put("/index.yaml", index(&["1.1.0", "1.0.0", "2.0.0"]));
    flux::request(cluster, "HelmRepository", "site").await?;
    ensure!(
        download(cluster, "from-site", "1.1.0").await? == second,
        "the new chart is not the published one"
    );

    registry.push("charts/app", "1.1.0", &[(HELM_LAYER, second.clone())], &[]);
    flux::reconcile(cluster, "HelmChart", "from-registry").await?;
    ensure!(
        download(cluster, "from-registry", "1.1.0").await? == second,
        "the new chart is not the pushed one"
    );

    // A suspended chart stays, and a deleted one takes its file along.
    let charts = flux::objects(cluster, "HelmChart")?;
    let suspend = |suspend: bool| Patch::Merge(json!({"spec": {"suspend": suspend}}));
    charts.patch("from-site", &PatchParams::default(), &suspend(true)).await?;
    site.put("/index.yaml", index(&["1.0.0"]));
    flux::reconcile(cluster, "HelmRepository", "site").await?;
    let kept = flux::reconcile(cluster, "HelmChart", "from-site").await?;
    ensure!(kept.data["status"]["artifact"]["revision"] == "1.1.0", "a suspended chart moved");
    charts.patch("from-site", &PatchParams::default(), &suspend(false)).await?;
    download(cluster, "from-site", "1.0.0").await?;
    let url = kept.data["status"]["artifact"]["url"].as_str().context("no address")?.to_owned();
    charts.delete("from-site", &DeleteParams::default()).await?;
    sluice_tests::eventually("the chart to be gone", async || {
        Ok(charts.get_opt("from-site").await?.is_none().then_some(()))
    })
    .await?;
    ensure!(reqwest::get(&url).await?.status() == 404, "{url} is still served");
    controller.stop().await
}

/// A repository with a chart that depends on another one, and values beside it.
fn write_charts(repository: &Repository, version: &str) {
    let chart = format!(
        "apiVersion: v2\nname: app\nversion: {version}\ndependencies:\n- {{name: lib, version: 1.x, repository: 'file://../lib'}}\n"
    );
    repository
        .write("charts/app/Chart.yaml", chart)
        .write("charts/app/values.yaml", "tag: one\nreplicas: 1\nlib: {color: red}\n")
        .write("charts/app/templates/app.yaml", charts::TEMPLATE)
        .write("charts/app/templates/NOTES.txt", "Thanks for {{ .Chart.Name }}.\n")
        .write("charts/lib/Chart.yaml", "apiVersion: v2\nname: lib\nversion: 1.2.0\n")
        .write("charts/lib/values.yaml", "color: green\nsize: 1\n")
        .write("charts/lib/templates/lib.yaml", charts::LIBRARY)
        .write("prod.yaml", "replicas: 3\nlib: {size: 2}\n");
}

async fn charts_are_packed_from_a_git_repository(cluster: &Cluster) -> Result<()> {
    let mut controller = start(cluster).await?;
    let server = GitServer::start(Options::default()).await;
    let repository = server.repository("charts.git");
    write_charts(&repository, "0.1.0");
    let first = repository.commit("first");
    cluster.apply(&flux::git_repository("charts", &server.url("charts.git"))).await?;
    let path = json!({"chart": "charts/app"});
    cluster.apply(&chart("plain", "GitRepository", "charts", &path)).await?;
    let mut merged =
        json!({"reconcileStrategy": "Revision", "valuesFiles": ["charts/app/values.yaml", "prod.yaml"]});
    merge(&mut merged, &path);
    cluster.apply(&chart("merged", "GitRepository", "charts", &merged)).await?;

    let plain = download(cluster, "plain", "0.1.0").await?;
    let by_revision = download(cluster, "merged", &format!("0.1.0+{}.1", &first[..12])).await?;
    for bytes in [&plain, &by_revision] {
        let chart = Chart::from_archive(bytes, &LoadOptions::default())?;
        ensure!(chart.dependencies.len() == 1 && chart.dependencies[0].metadata.version == "1.2.0");
    }
    let values = Chart::from_archive(&by_revision, &LoadOptions::default())?.values;
    let want = json!({"tag": "one", "replicas": 3.0, "lib": {"color": "red", "size": 2.0}});
    ensure!(json!(values) == want, "{}", json!(values));
    // The real helm is there where the real server is.
    if cluster.is_real() {
        renders_alike(cluster.folder(), &repository, &plain, &[])?;
        renders_alike(cluster.folder(), &repository, &by_revision, &["prod.yaml"])?;
    }

    // Without another version only the chart that follows revisions moves.
    repository.write("charts/app/templates/app.yaml", "kind: None\n");
    let second = repository.commit("second");
    flux::fetch(cluster, "GitRepository", "charts", &second).await?;
    download(cluster, "merged", &format!("0.1.0+{}.1", &second[..12])).await?;
    flux::reconcile(cluster, "HelmChart", "plain").await?;
    ensure!(download(cluster, "plain", "0.1.0").await? == plain, "the chart moved without its version");
    write_charts(&repository, "0.2.0");
    let third = repository.commit("third");
    flux::fetch(cluster, "GitRepository", "charts", &third).await?;
    download(cluster, "plain", "0.2.0").await?;

    // Another controller finds what this one stored, and packs nothing again.
    controller.kill().await?;
    controller.resume().await?;
    let before = download(cluster, "plain", "0.2.0").await?;
    flux::reconcile(cluster, "HelmChart", "plain").await?;
    ensure!(download(cluster, "plain", "0.2.0").await? == before);
    controller.stop().await
}

/// The archive must render as the folder does, with the real helm.
fn renders_alike(folder: &Path, repository: &Repository, archive: &[u8], files: &[&str]) -> Result<()> {
    let tree = tempfile::tempdir_in(folder)?;
    let prefix = format!("--prefix={}/", tree.path().join("clone").display());
    repository.git(&["checkout-index", "--all", &prefix]);
    let (clone, packed) = (tree.path().join("clone"), tree.path().join("packed.tgz"));
    std::fs::write(&packed, archive)?;
    helm(tree.path(), &["dependency", "build", &clone.join("charts/app").to_string_lossy()])?;
    let mut of_folder =
        vec!["template".to_owned(), "web".to_owned(), clone.join("charts/app").display().to_string()];
    for file in files {
        of_folder.extend(["-f".to_owned(), clone.join(file).display().to_string()]);
    }
    let of_folder: Vec<&str> = of_folder.iter().map(String::as_str).collect();
    let want = helm(tree.path(), &of_folder)?;
    let got = helm(tree.path(), &["template", "web", &packed.to_string_lossy()])?;
    // The version is part of the archive's own name for itself.
    ensure!(got == want, "the archive renders as\n{got}\nand the folder as\n{want}");
    Ok(())
}

fn helm(home: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(oracle::find("helm")?)
        .args(arguments)
        .env("HOME", home)
        .env("HELM_CACHE_HOME", home.join("cache"))
        .env("HELM_CONFIG_HOME", home.join("config"))
        .env("HELM_DATA_HOME", home.join("data"))
        .output()?;
    ensure!(output.status.success(), "helm {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// What goes wrong on the other side, the reason that is given, and a part of the message.
type Fault = (&'static str, fn(&Website), &'static str, &'static str);

const FAULTS: [Fault; 4] = [
    (
        "an index that is a web page",
        |site| {
            site.put("/index.yaml", "<!DOCTYPE html><html><body>Sign in</body></html>");
        },
        "HelmRepository",
        "failed to load Helm repository from index YAML: ",
    ),
    (
        "an index of more than 50 MiB",
        |site| {
            site.put("/index.yaml", vec![b'#'; 51 << 20]);
        },
        "HelmRepository",
        "index exceeds the maximum index file size of 52428800 bytes",
    ),
    (
        "an index that lies about a digest",
        |site| {
            let text = index(&["1.1.0"]).replace("urls:", &format!("digest: {}\n    urls:", "f".repeat(64)));
            site.put("/index.yaml", text).put("/app-1.1.0.tgz", packed("app", "1.1.0"));
        },
        "HelmChart",
        "but the index says sha256:ffff",
    ),
    (
        "a chart that is a web page",
        |site| {
            site.put("/index.yaml", index(&["1.1.0"])).put("/app-1.1.0.tgz", "<html></html>");
        },
        "HelmChart",
        "does not appear to be a valid chart file",
    ),
];

async fn a_bad_chart_leaves_the_good_one(cluster: &Cluster) -> Result<()> {
    let mut controller = start(cluster).await?;
    let site = Website::start().await?;
    let good = packed("app", "1.0.0");
    site.put("/app-1.0.0.tgz", good.clone()).put("/index.yaml", index(&["1.0.0"]));
    cluster.apply(&source("HelmRepository", "site", &json!({"url": site.url(), "interval": "1h"}))).await?;
    cluster.apply(&chart("site", "HelmRepository", "site", &json!({}))).await?;
    download(cluster, "site", "1.0.0").await?;
    for (name, spoil, kind, says) in FAULTS {
        spoil(&site);
        flux::reconcile(cluster, "HelmRepository", "site").await.with_context(|| name.to_owned())?;
        flux::until(cluster, kind, "site", &format!("to say '{says}'"), |object| {
            let ready = flux::condition(object, "Ready");
            ready.is_some_and(|ready| {
                ready["status"] == "False"
                    && ready["message"].as_str().is_some_and(|text| text.contains(says))
            })
        })
        .await
        .with_context(|| name.to_owned())?;
        let kept = flux::objects(cluster, "HelmChart")?.get("site").await?;
        let url = kept.data["status"]["artifact"]["url"].as_str().context("no address")?.to_owned();
        ensure!(reqwest::get(&url).await?.bytes().await? == good, "{name}: the good chart is gone");
        site.put("/index.yaml", index(&["1.0.0"]));
        flux::reconcile(cluster, "HelmRepository", "site").await?;
        flux::until(cluster, "HelmChart", "site", "to be Ready again", is_ready).await?;
    }
    controller.stop().await
}
