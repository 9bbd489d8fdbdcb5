//! Upgrades and rollbacks.

use anyhow::{Context, Result};
use kube::api::PatchParams;
use serde_json::{Value, json};
use sluice_release::{ActionError, Install, Rollback, ServerSide, Upgrade};
use tokio_util::sync::CancellationToken;

use crate::install::{CONFIG, DEPLOYMENT, STUCK};
use crate::world::{World, chart, failure, values, written};

const EXTRA: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\ndata: {a: b}\n";
/// The server refuses it.
const BROKEN: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: broken}\nspec: {ports: [{port: 0}]}\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_goes_from_the_last_good_revision_to_a_new_one() -> Result<()> {
    let world = World::start().await?;
    let first = chart("1.0.0", &[("templates/a.yaml", CONFIG), ("templates/x.yaml", EXTRA)]);
    let second = chart("1.1.0", &[("templates/a.yaml", CONFIG)]);
    world.helm().install(&first, &values(json!({})), &Install::default()).await.result?;
    world.requests();
    let done = world.helm().upgrade(&second, &values(json!({"color": "blue"})), &Upgrade::default()).await;
    assert_eq!(written(&done), ["v2 pending-upgrade", "v2 deployed", "v1 superseded"]);
    assert_eq!(
        world.requests(),
        [
            "GET secrets",
            "GET secrets",
            "POST secrets",
            "PATCH configmaps",
            "GET configmaps",
            "DELETE configmaps",
            "PUT secrets",
            "PUT secrets"
        ]
    );
    let release = done.result?;
    assert_eq!(release.versioned_chart(), "app@1.1.0");
    assert_eq!(world.stored().await?, ["v1 superseded: Install complete", "v2 deployed: Upgrade complete"]);
    assert_eq!(world.data("web").await?, Some(json!({"color": "blue", "revision": "2"})));
    assert_eq!(world.data("extra").await?, None, "what is not part of the chart any more goes");
    let first = world.helm().get(1).await?.context("kept")?;
    assert_eq!(release.info.first_deployed, first.info.first_deployed);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_upgrade_leaves_the_baseline_and_what_it_made_goes_with_the_next() -> Result<()> {
    let world = World::start().await?;
    let good = chart("1.0.0", &[("templates/a.yaml", CONFIG)]);
    let bad = chart(
        "1.1.0",
        &[("templates/a.yaml", CONFIG), ("templates/x.yaml", EXTRA), ("templates/z.yaml", BROKEN)],
    );
    world.helm().install(&good, &values(json!({})), &Install::default()).await.result?;
    for (cleanup_on_fail, left) in [(true, None), (false, Some(json!({"a": "b"})))] {
        let options = Upgrade { cleanup_on_fail, ..Upgrade::default() };
        let done = world.helm().upgrade(&bad, &values(json!({})), &options).await;
        assert_eq!(done.written.last().map(|last| last.info.status.to_string()).as_deref(), Some("failed"));
        let error = failure(done);
        assert!(error.starts_with("server-side apply failed for object default/broken"), "{error}");
        assert_eq!(world.data("extra").await?, left, "{cleanup_on_fail}");
    }
    let statuses: Vec<_> =
        world.helm().revisions().await?.into_iter().map(|r| r.status.to_string()).collect();
    assert_eq!(statuses, ["deployed", "failed", "failed"]);
    world.helm().upgrade(&good, &values(json!({})), &Upgrade::default()).await.result?;
    assert_eq!(world.data("extra").await?, None, "what the failed attempt left");
    let statuses: Vec<_> =
        world.helm().revisions().await?.into_iter().map(|r| r.status.to_string()).collect();
    assert_eq!(statuses, ["superseded", "failed", "failed", "deployed"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_upgraded_is_told_without_a_trace() -> Result<()> {
    let world = World::start().await?;
    let app = chart("1.0.0", &[("templates/a.yaml", CONFIG)]);
    let done = world.helm().upgrade(&app, &values(json!({})), &Upgrade::default()).await;
    assert!(done.written.is_empty());
    assert_eq!(failure(done), "\"web\" has no deployed releases");
    let installed = world.helm().install(&app, &values(json!({})), &Install::default()).await;
    let mut pending = installed.result?;
    pending.info.status = sluice_helm::release::Status::PendingUpgrade;
    world.store(&pending).await?;
    let done = world.helm().upgrade(&app, &values(json!({})), &Upgrade::default()).await;
    assert_eq!(failure(done), "another operation (install/upgrade/rollback) is in progress");
    let done = world.helm().unlock().await;
    assert_eq!(written(&done), ["v1 failed"]);
    assert_eq!(world.stored().await?, ["v1 failed: Release unlocked from stale 'pending-upgrade' state"]);
    assert!(matches!(world.helm().unlock().await.result, Err(ActionError::NotFound(_))));
    world.helm().upgrade(&app, &values(json!({})), &Upgrade::default()).await.result?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_pruned_but_never_what_is_deployed() -> Result<()> {
    let world = World::start().await?;
    let good = chart("1.0.0", &[("templates/a.yaml", CONFIG)]);
    let bad = chart("1.1.0", &[("templates/z.yaml", BROKEN)]);
    world.helm().install(&good, &values(json!({})), &Install::default()).await.result?;
    let options = Upgrade { max_history: 2, ..Upgrade::default() };
    for _ in 0..3 {
        failure(world.helm().upgrade(&bad, &values(json!({})), &options).await);
    }
    let versions: Vec<_> =
        world.helm().revisions().await?.iter().map(|r| format!("{} {}", r.version, r.status)).collect();
    assert_eq!(versions, ["1 deployed", "4 failed"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn old_values_are_the_base_where_they_are_kept() -> Result<()> {
    let world = World::start().await?;
    let template =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {v: '{{ toJson .Values }}'}\n";
    let made = |defaults: &str| chart("1.0.0", &[("templates/a.yaml", template), ("values.yaml", defaults)]);
    world
        .helm()
        .install(&made("a: 1\nb: 1\n"), &values(json!({"b": 2.0})), &Install::default())
        .await
        .result?;
    let options = Upgrade { preserve_values: true, ..Upgrade::default() };
    let release =
        world.helm().upgrade(&made("a: 9\nc: 9\n"), &values(json!({"d": 3.0})), &options).await.result?;
    assert_eq!(Value::Object(release.config), json!({"b": 2.0, "d": 3.0}));
    assert_eq!(world.data("web").await?.context("there")?["v"], r#"{"a":1,"b":2,"d":3}"#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_of_applying_is_kept_until_told_otherwise() -> Result<()> {
    let world = World::start().await?;
    let app = |color: &str| chart("1.0.0", &[("templates/a.yaml", &CONFIG.replace("red", color) as &str)]);
    let by_client = Install { server_side: false, ..Install::default() };
    world.helm().install(&app("red"), &values(json!({})), &by_client).await.result?;
    let managers = async || -> Result<Vec<String>> {
        let live = world.api("v1", "ConfigMap").get("web").await?;
        let entries = live.metadata.managed_fields.unwrap_or_default();
        Ok(entries
            .iter()
            .map(|e| {
                format!(
                    "{} {}",
                    e.manager.as_deref().unwrap_or_default(),
                    e.operation.as_deref().unwrap_or_default()
                )
            })
            .collect())
    };
    assert_eq!(managers().await?, ["helm-controller Update"]);
    let mut color = 0;
    for (server_side, method, manager) in [
        (ServerSide::Auto, "csa", "helm-controller Update"),
        (ServerSide::Enabled, "ssa", "helm-controller Apply"),
        (ServerSide::Auto, "ssa", "helm-controller Apply"),
    ] {
        color += 1;
        let options = Upgrade { server_side, ..Upgrade::default() };
        let done = world.helm().upgrade(&app(&format!("c{color}")), &values(json!({})), &options).await;
        assert_eq!(done.result?.apply_method.map(sluice_helm::release::ApplyMethod::as_str), Some(method));
        assert_eq!(managers().await?, [manager], "{server_side:?}");
        assert_eq!(world.data("web").await?.context("there")?["color"], format!("c{color}"));
    }
    // Back to the first: its way was the client's.
    let done = world.helm().rollback(1, &Rollback::default()).await;
    assert!(!done.result?.server_side());
    assert_eq!(world.data("web").await?.context("there")?["color"], "red");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn client_side_upgrades_merge_with_what_others_did_and_force_replaces() -> Result<()> {
    let world = World::start().await?;
    let by_client = Install { server_side: false, ..Install::default() };
    let app = chart("1.0.0", &[("templates/d.yaml", DEPLOYMENT)]);
    world.helm().install(&app, &values(json!({})), &by_client).await.result?;
    let deployments = world.api("apps/v1", "Deployment");
    let paused = json!({"spec": {"minReadySeconds": 1}});
    deployments.patch("web", &PatchParams::default(), &kube::api::Patch::Merge(&paused)).await?;
    let changed = chart(
        "1.0.0",
        &[("templates/d.yaml", &DEPLOYMENT.replace("image: app", "image: app, args: [x]") as &str)],
    );
    let done = world.helm().upgrade(&changed, &values(json!({})), &Upgrade::default()).await;
    done.result?;
    let live = deployments.get("web").await?.data;
    assert_eq!(live["spec"]["minReadySeconds"], 1);
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["args"], json!(["x"]));
    let force = Upgrade { force: true, ..Upgrade::default() };
    world.helm().upgrade(&app, &values(json!({})), &force).await.result?;
    let live = deployments.get("web").await?.data;
    assert_eq!(live["spec"]["minReadySeconds"], Value::Null);
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["args"], Value::Null);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_a_new_revision() -> Result<()> {
    let world = World::start().await?;
    let first = chart("1.0.0", &[("templates/a.yaml", CONFIG), ("templates/x.yaml", EXTRA)]);
    let second = chart("1.1.0", &[("templates/a.yaml", CONFIG), ("templates/d.yaml", STUCK)]);
    world.helm().install(&first, &values(json!({"color": "blue"})), &Install::default()).await.result?;
    let short = Upgrade { timeout: std::time::Duration::from_millis(200), ..Upgrade::default() };
    let error = failure(world.helm().upgrade(&second, &values(json!({})), &short).await);
    assert_eq!(error, "timeout waiting for: [Deployment/default/web status: 'InProgress']");
    let done = world.helm().rollback(1, &Rollback::default()).await;
    assert_eq!(written(&done), ["v3 pending-rollback", "v3 deployed", "v1 superseded"]);
    assert_eq!(done.result?.versioned_chart(), "app@1.0.0");
    assert_eq!(
        world.stored().await?,
        [
            "v1 superseded: Install complete".to_owned(),
            format!("v2 failed: Upgrade \"web\" failed: {error}"),
            "v3 deployed: Rollback to 1".to_owned()
        ]
    );
    assert_eq!(world.data("web").await?, Some(json!({"color": "blue", "revision": "1"})));
    assert_eq!(world.data("extra").await?, Some(json!({"a": "b"})));
    assert!(
        world.api("apps/v1", "Deployment").get_opt("web").await?.is_none(),
        "not part of the first revision"
    );
    assert_eq!(failure(world.helm().rollback(9, &Rollback::default()).await), "release: not found");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_fails_is_stored_by_how_far_it_got() -> Result<()> {
    let world = World::start().await?;
    let stuck = chart("1.0.0", &[("templates/d.yaml", STUCK)]);
    let no_wait = sluice_release::Wait { enabled: false, ..sluice_release::Wait::default() };
    world
        .helm()
        .install(&stuck, &values(json!({})), &Install { wait: no_wait, ..Install::default() })
        .await
        .result?;
    world.helm().upgrade(&chart("2.0.0", &[]), &values(json!({})), &Upgrade::default()).await.result?;
    let short = Rollback { timeout: std::time::Duration::from_millis(200), ..Rollback::default() };
    let done = world.helm().rollback(1, &short).await;
    assert_eq!(written(&done), ["v3 pending-rollback", "v3 failed"]);
    let cause = "timeout waiting for: [Deployment/default/web status: 'InProgress']";
    assert_eq!(failure(done), format!("release web failed: {cause}"));
    assert_eq!(world.stored().await?[2], format!("v3 failed: Release \"web\" failed: {cause}"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_upgrade_leaves_no_lock_and_the_way_back() -> Result<()> {
    let world = World::start().await?;
    world
        .helm()
        .install(&chart("1.0.0", &[("templates/a.yaml", CONFIG)]), &values(json!({})), &Install::default())
        .await
        .result?;
    let cancel = CancellationToken::new();
    let helm = world.helm_until(cancel.clone());
    let (stuck, given, options) =
        (chart("1.1.0", &[("templates/d.yaml", STUCK)]), values(json!({})), Upgrade::default());
    let (done, ()) = tokio::join!(helm.upgrade(&stuck, &given, &options), async {
        while world.api("apps/v1", "Deployment").get_opt("web").await.ok().flatten().is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        cancel.cancel();
    });
    assert!(matches!(done.result, Err(ActionError::Canceled)), "{:?}", done.result);
    assert_eq!(
        world.stored().await?,
        ["v1 deployed: Install complete", "v2 failed: Upgrade \"web\" failed: context canceled"]
    );
    world.helm().rollback(1, &Rollback::default()).await.result?;
    Ok(())
}
