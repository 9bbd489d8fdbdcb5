//! HelmReleases from birth to end, with the controllers as processes of their own.

mod golden;
mod killed;
mod world;

use anyhow::{Result, ensure};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use sluice_tests::{Cluster, flux, on_both_servers};
use world::{APP, World, is_text_of_base64, told};

on_both_servers!(
    a_chart_is_installed_upgraded_and_removed,
    a_failing_upgrade_is_rolled_back_until_no_try_is_left,
    a_failing_install_is_stalled_at_once,
    a_failing_install_is_removed_before_the_next_try,
    tests_decide_where_they_count,
    drift_is_put_right,
    a_suspended_release_is_left_and_taken_over_later,
    values_follow_what_they_come_from,
    another_release_name_is_another_release,
    a_chart_that_cannot_be_rendered_is_no_failed_release,
);

async fn a_chart_is_installed_upgraded_and_removed(cluster: &Cluster) -> Result<()> {
    let world = World::new(cluster).await?;
    world.apply(json!({"values": {"greeting": "hi"}})).await?;
    let status = world.ready(1).await?;
    let version = status["history"][0]["chartVersion"].as_str().unwrap_or_default().to_owned();
    ensure!(version.starts_with("1.0.0+") && version.len() == "1.0.0+".len() + 12, "{version}");
    ensure!(
        told(&status, "Ready")
            == format!(
                "True InstallSucceeded: Helm install succeeded for release flux-system/app.v1 with chart app@{version}"
            ),
        "{status:#}"
    );
    ensure!(
        status["history"][0]["action"] == "install" && status["history"][0]["appVersion"] == "7",
        "{status:#}"
    );
    ensure!(status["storageNamespace"] == "flux-system", "{status:#}");
    let inventory = flux::inventory(&world.object().await?);
    ensure!(inventory == ["flux-system_app__ConfigMap", "flux-system_app__Service"], "{inventory:?}");
    ensure!(world.says("greeting").await?.as_deref() == Some("hi"));
    ensure!(
        world.says("chart").await?.as_deref() == Some(&*version),
        "templates see the version as it is used"
    );
    golden::check("installed", &status)?;
    let labels = world.config_maps().get(APP).await?.metadata.labels.unwrap_or_default();
    for (label, value) in [
        ("app.kubernetes.io/managed-by", "Helm"),
        ("helm.toolkit.fluxcd.io/name", APP),
        ("helm.toolkit.fluxcd.io/namespace", "flux-system"),
    ] {
        ensure!(labels.get(label).map(String::as_str) == Some(value), "{label}: {labels:?}");
    }

    world.push("1.1.0")?;
    world.offer("1.1.0").await?;
    let status = world.ready(2).await?;
    ensure!(
        told(&status, "Ready")
            .starts_with("True UpgradeSucceeded: Helm upgrade succeeded for release flux-system/app.v2")
    );
    ensure!(
        status["history"][1]["status"] == "superseded" && status["history"][1]["action"] == "install",
        "{status:#}"
    );
    golden::check("upgraded", &status)?;
    let revisions = world.revisions().await?;
    ensure!(revisions == ["superseded:Install complete", "deployed:Upgrade complete"], "{revisions:?}");

    // A pass over a release that is in sync leaves it alone, and its history too.
    let before = world.stored().await?;
    world.settled_pass().await?;
    let object = world.object().await?;
    ensure!(object.data["status"]["history"] == status["history"], "the history has changed");
    ensure!(world.stored().await? == before, "the storage has changed");

    world.delete().await?;
    ensure!(world.stored().await?.is_empty() && world.says("chart").await?.is_none(), "something is left");
    world.stop().await
}

async fn a_failing_upgrade_is_rolled_back_until_no_try_is_left(cluster: &Cluster) -> Result<()> {
    let world = World::new(cluster).await?;
    world.apply(json!({"upgrade": {"remediation": {"retries": 1}}})).await?;
    world.ready(1).await?;
    world.patch(json!({"spec": {"values": {"port": 70000}}})).await?;
    let status = world.stalled().await?;
    ensure!(
        told(&status, "Stalled") == "True RetriesExceeded: Failed to upgrade after 2 attempt(s)",
        "{status:#}"
    );
    ensure!(
        told(&status, "Ready")
            .starts_with("False RollbackSucceeded: Helm rollback to previous release flux-system/app.v"),
        "{status:#}"
    );
    ensure!(told(&status, "Remediated").starts_with("True RollbackSucceeded"), "{status:#}");
    ensure!(
        told(&status, "Released").starts_with(
            "False UpgradeFailed: Helm upgrade failed for release flux-system/app with chart app@1.0.0+"
        ),
        "{status:#}"
    );
    ensure!(status["upgradeFailures"] == 2 && status["failures"] == 2, "{status:#}");
    golden::check("rolled-back", &status)?;
    let revisions = world.revisions().await?;
    ensure!(
        revisions
            == [
                "superseded:Install complete",
                "failed:Upgrade \"app\" failed",
                "superseded:Rollback to 1",
                "failed:Upgrade \"app\" failed",
                "deployed:Rollback to 3",
            ],
        "{revisions:?}"
    );

    // A repaired spec is tried at once, with all its tries.
    world.patch(json!({"spec": {"values": {"port": 8080}}})).await?;
    let status = world.ready(6).await?;
    ensure!(status.get("upgradeFailures").is_none(), "{status:#}");
    world.stop().await
}

async fn a_failing_install_is_stalled_at_once(cluster: &Cluster) -> Result<()> {
    let world = World::new(cluster).await?;
    world.apply(json!({"values": {"port": 70000}})).await?;
    let status = world.stalled().await?;
    ensure!(
        told(&status, "Stalled") == "True RetriesExceeded: Failed to install after 1 attempt(s)",
        "{status:#}"
    );
    ensure!(
        told(&status, "Ready").starts_with(
            "False InstallFailed: Helm install failed for release flux-system/app with chart app@1.0.0+"
        ),
        "{status:#}"
    );
    golden::check("failed-install", &status)?;

    // Asked for by hand, it is tried once more, as an upgrade of what is there.
    world
        .patch(json!({"metadata": {"annotations":
        {"reconcile.fluxcd.io/requestedAt": "1", "reconcile.fluxcd.io/forceAt": "1"}}}))
        .await?;
    let status = world
        .until("to be tried once more", |status| {
            status["lastHandledForceAt"] == "1" && status["history"][0]["version"] == 2
        })
        .await?;
    ensure!(status["history"][0]["action"] == "upgrade", "{status:#}");
    world.patch(json!({"spec": {"values": {"port": 80}}})).await?;
    world.ready(3).await?;
    world.stop().await
}

async fn a_failing_install_is_removed_before_the_next_try(cluster: &Cluster) -> Result<()> {
    let world = World::new(cluster).await?;
    world.apply(json!({"values": {"port": 70000}, "install": {"remediation": {"retries": 1}}})).await?;
    let status = world.stalled().await?;
    ensure!(
        told(&status, "Stalled") == "True RetriesExceeded: Failed to install after 2 attempt(s)",
        "{status:#}"
    );
    let revisions = world.revisions().await?;
    ensure!(
        revisions == ["failed:Release \"app\" failed"],
        "the first try is gone, the last one stays: {revisions:?}"
    );
    world.delete().await?;
    ensure!(world.stored().await?.is_empty(), "something is left");
    world.stop().await
}

async fn tests_decide_where_they_count(cluster: &Cluster) -> Result<()> {
    let world = World::new(cluster).await?;
    world.apply(json!({"test": {"enable": true}})).await?;
    let status = world.ready(1).await?;
    ensure!(
        told(&status, "TestSuccess").ends_with("1 test hook completed successfully")
            && told(&status, "Ready").starts_with("True TestSucceeded"),
        "{status:#}"
    );
    golden::check("tested", &status)?;

    world.patch(json!({"spec": {"values": {"testPort": 70000}}})).await?;
    let status = world.stalled().await?;
    ensure!(
        told(&status, "Ready")
            .starts_with("False TestFailed: Helm test failed for release flux-system/app.v2"),
        "{status:#}"
    );
    ensure!(status["upgradeFailures"] == 1, "{status:#}");
    let revisions = world.revisions().await?;
    ensure!(revisions[1] == "deployed:Upgrade complete", "a failed test leaves the release: {revisions:?}");

    world.patch(json!({"spec": {"test": {"ignoreFailures": true}, "values": {"greeting": "again"}}})).await?;
    let status = world.ready(3).await?;
    ensure!(told(&status, "TestSuccess").starts_with("False TestFailed"), "{status:#}");
    world.stop().await
}

async fn drift_is_put_right(cluster: &Cluster) -> Result<()> {
    let world = World::new(cluster).await?;
    world.apply(json!({"driftDetection": {"mode": "enabled"}})).await?;
    let status = world.ready(1).await?;
    ensure!(told(&status, "Drifted").starts_with("False NoDriftDetected"), "{status:#}");
    world.settled_pass().await?;
    let change = json!({"data": {"greeting": "meddled"}});
    world.config_maps().patch(APP, &PatchParams::default(), &Patch::Merge(change)).await?;
    // Nobody asks for a pass: it is seen.
    world.until_says("hello").await?;
    world.config_maps().delete(APP, &DeleteParams::default()).await?;
    world.until_says("hello").await?;
    let status = world.ready(1).await?;
    ensure!(told(&status, "Drifted").starts_with("False NoDriftDetected"), "no new revision: {status:#}");

    world.patch(json!({"spec": {"driftDetection": {"mode": "warn"}}})).await?;
    world.ready(1).await?;
    let change = json!({"data": {"greeting": "meddled"}});
    world.config_maps().patch(APP, &PatchParams::default(), &Patch::Merge(change)).await?;
    let object = flux::reconcile(cluster, "HelmRelease", APP).await?;
    ensure!(
        told(&object.data["status"], "Drifted").starts_with("True DriftDetected: Cluster state of release flux-system/app.v1 has drifted from the desired state:"),
        "{:#}",
        object.data
    );
    ensure!(world.says("greeting").await?.as_deref() == Some("meddled"), "a warning changes nothing");
    world.stop().await
}

async fn a_suspended_release_is_left_and_taken_over_later(cluster: &Cluster) -> Result<()> {
    let world = World::new(cluster).await?;
    world.apply(json!({})).await?;
    world.ready(1).await?;
    world.patch(json!({"spec": {"suspend": true, "values": {"greeting": "later"}}})).await?;
    let object = flux::reconcile(cluster, "HelmRelease", APP).await?;
    ensure!(object.data["status"]["observedGeneration"] == 1, "a suspended one is not looked at");
    world.delete().await?;
    ensure!(world.revisions().await? == ["deployed:Install complete"], "a suspended one leaves its release");
    // Another HelmRelease of the same name finds it, and takes it over.
    world.apply(json!({})).await?;
    world.ready(2).await?;
    world.stop().await
}

async fn values_follow_what_they_come_from(cluster: &Cluster) -> Result<()> {
    let world = World::new(cluster).await?;
    let values = |text: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "flux-system", "name": "values",
            "labels": {"reconcile.fluxcd.io/watch": "Enabled"}}, "data": {"values.yaml": text}})
    };
    world.apply(json!({"valuesFrom": [{"kind": "ConfigMap", "name": "values"}]})).await?;
    let ready = flux::failed(cluster, "HelmRelease", APP, "ValuesError").await?;
    ensure!(
        ready["message"]
            == "could not resolve ConfigMap chart values reference 'flux-system/values' with key 'values.yaml': configmaps \"values\" not found",
        "{ready}"
    );
    cluster.apply(&values("greeting: from a map\n")).await?;
    world.ready(1).await?;
    ensure!(world.says("greeting").await?.as_deref() == Some("from a map"));
    cluster.apply(&values("greeting: changed\n")).await?;
    world.ready(2).await?;
    ensure!(world.says("greeting").await?.as_deref() == Some("changed"), "a labelled map wakes who reads it");
    let stored = world.stored().await?;
    ensure!(stored.last().is_some_and(|it| json!(it.config) == json!({"greeting": "changed"})));
    world.stop().await
}

async fn another_release_name_is_another_release(cluster: &Cluster) -> Result<()> {
    let world = World::new(cluster).await?;
    world.apply(json!({})).await?;
    world.ready(1).await?;
    world.patch(json!({"spec": {"releaseName": "other"}})).await?;
    let status = world
        .until("to be another release", |status| {
            status["history"][0]["name"] == "other"
                && told(status, "Ready").starts_with("True InstallSucceeded")
        })
        .await?;
    ensure!(status["history"].as_array().is_some_and(|history| history.len() == 1), "{status:#}");
    ensure!(
        world.stored().await?.is_empty() && world.says("chart").await?.is_none(),
        "the old one is still there"
    );
    let secrets: kube::Api<k8s_openapi::api::core::v1::Secret> =
        kube::Api::namespaced(cluster.client(), "flux-system");
    let secret = secrets.get("sh.helm.release.v1.other.v1").await?;
    let data = secret.data.unwrap_or_default();
    ensure!(data.get("release").is_some_and(|data| is_text_of_base64(&data.0)), "not as Helm stores it");
    world.stop().await
}

async fn a_chart_that_cannot_be_rendered_is_no_failed_release(cluster: &Cluster) -> Result<()> {
    let world = World::new(cluster).await?;
    // A map where the template wants a number: nothing gets as far as the storage.
    world.apply(json!({"values": {"greeting": {"a": "b"}, "port": {}}, "postRenderers": [{"kustomize": {"patches": [
        {"patch": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: no-such}\ndata: {a: b}\n"}]}}]})).await?;
    let status = world
        .until("to fail without a trace", |status| told(status, "Ready").starts_with("False InstallFailed"))
        .await?;
    ensure!(
        status.get("installFailures").is_none(),
        "nothing was installed, so nothing is counted: {status:#}"
    );
    ensure!(told(&status, "Stalled") == "none", "{status:#}");
    ensure!(world.stored().await?.is_empty(), "something was stored");
    world.stop().await
}
