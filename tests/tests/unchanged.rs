//! What a pass costs: nothing per object when nothing changed, and requests about those objects only that did.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use sluice_git::testing::{GitServer, Options};
use sluice_tests::flux::{self, Flux};
use sluice_tests::{Cluster, Request, eventually, on_both_servers};

on_both_servers!(work_is_as_large_as_the_change);

const APP: &str = "app";
/// ConfigMaps of the app.
const OBJECTS: usize = 20;

async fn work_is_as_large_as_the_change(cluster: &Cluster) -> Result<()> {
    let controllers = Flux::start(cluster, env!("CARGO_BIN_EXE_controller"), &[]).await?;
    cluster.namespace(APP).await?;
    let server = GitServer::start(Options::default()).await;
    let repository = server.repository("app.git");
    for index in 0..OBJECTS {
        repository.write(&format!("app/{index}.yaml"), config_map(index, "first"));
    }
    let commit = repository.commit("add the app");
    cluster.apply(&flux::git_repository(APP, &server.url("app.git"))).await?;
    cluster.apply(&flux::kustomization(APP, "GitRepository", APP, "app")).await?;
    flux::applied(cluster, APP, &commit).await?;
    let installed = about_objects(cluster)?;
    ensure!(installed.len() >= OBJECTS, "the requests of kustomize-controller are not seen: {installed:?}");

    // Asked for, with everything as it was.
    cluster.forget_requests()?;
    flux::reconcile(cluster, "GitRepository", APP).await?;
    flux::reconcile(cluster, "Kustomization", APP).await?;
    expect(cluster, &[])?;

    // Another artifact, but the same objects.
    repository.write("README.md", "what the app is for");
    let commit = repository.commit("describe the app");
    flux::fetch(cluster, "GitRepository", APP, &commit).await?;
    flux::applied(cluster, APP, &commit).await?;
    expect(cluster, &[])?;

    // Another content of one.
    repository.write("app/3.yaml", config_map(3, "second"));
    let commit = repository.commit("change an object");
    flux::fetch(cluster, "GitRepository", APP, &commit).await?;
    flux::applied(cluster, APP, &commit).await?;
    expect(cluster, &["patch map-3"])?;

    // One changed by hand, which the controller sees by itself. Its metadata, which are watched, call for nothing else.
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), APP);
    cluster.forget_requests()?;
    let meddled = json!({"data": {"value": "by hand"}});
    maps.patch("map-7", &PatchParams::default(), &Patch::Merge(meddled)).await?;
    eventually("a changed object to be put right", async || {
        let value = maps.get("map-7").await?.data.and_then(|mut data| data.remove("value"));
        Ok((value.as_deref() == Some("first")).then_some(()))
    })
    .await?;
    flux::reconcile(cluster, "Kustomization", APP).await?;
    expect(cluster, &["patch map-7"])?;

    // One deleted by hand, or taken out of the watch by its label: a dry run tells.
    cluster.forget_requests()?;
    maps.delete("map-9", &DeleteParams::default()).await?;
    eventually("a deleted object to return", async || Ok(maps.get_opt("map-9").await?)).await?;
    flux::reconcile(cluster, "Kustomization", APP).await?;
    expect(cluster, &["try map-9", "patch map-9"])?;

    // One removed from Git. It is read before it is deleted: somebody else may own it by now.
    cluster.forget_requests()?;
    repository.remove("app/11.yaml");
    let commit = repository.commit("remove an object");
    flux::fetch(cluster, "GitRepository", APP, &commit).await?;
    flux::applied(cluster, APP, &commit).await?;
    ensure!(maps.get_opt("map-11").await?.is_none(), "the removed object is still there");
    expect(cluster, &["get map-11", "delete map-11"])?;
    controllers.stop().await
}

/// The requests that kustomize-controller made about single objects of the app.
fn about_objects(cluster: &Cluster) -> Result<Vec<String>> {
    let requests = cluster.requests()?;
    let own = requests.iter().filter(|request| request.user_agent.starts_with("kustomize-controller"));
    own.filter(|request| request.uri.contains(&format!("/namespaces/{APP}/"))).map(shown).collect()
}

/// `verb name`, where the verb of a dry run is `try`.
fn shown(request: &Request) -> Result<String> {
    let path = request.uri.split('?').next().unwrap_or_default();
    let name = path.rsplit('/').next().context("a path has segments")?;
    let verb = if request.uri.contains("dryRun=All") { "try" } else { &request.verb };
    Ok(format!("{verb} {name}"))
}

fn expect(cluster: &Cluster, wanted: &[&str]) -> Result<()> {
    let seen = about_objects(cluster)?;
    ensure!(seen == wanted, "kustomize-controller asked for {seen:?} instead of {wanted:?}");
    Ok(())
}

fn config_map(index: usize, value: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("map-{index}"), "namespace": APP},
        "data": {"value": value}})
    .to_string()
}
