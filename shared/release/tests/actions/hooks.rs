//! Hooks and tests.

use anyhow::Result;
use serde_json::json;
use sluice_helm::release::{HookPhase, Release};
use sluice_release::{Filter, Install, Test, Uninstall, Upgrade};

use crate::install::CONFIG;
use crate::world::{World, chart, failure, values};

fn hook(name: &str, annotations: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, annotations: {{{annotations}}}}}\n")
}

fn job(name: &str, hook: &str, does: &str) -> String {
    let policy = "helm.sh/hook-delete-policy: before-hook-creation";
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, annotations: {{helm.sh/hook: '{hook}', {policy}}}}}\nspec:\n  backoffLimit: 0\n  template:\n    metadata: {{annotations: {{sluice.dev/simulate: {does}}}}}\n    spec: {{restartPolicy: Never, containers: [{{name: c, image: x}}]}}\n"
    )
}

fn phases(release: &Release) -> Vec<String> {
    let mut phases: Vec<_> = release
        .hooks
        .iter()
        .map(|stored| format!("{} {}", stored.hook.name, stored.last_run.phase))
        .collect();
    phases.sort();
    phases
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_run_by_weight_and_go_by_their_policies() -> Result<()> {
    let world = World::start().await?;
    let app = chart(
        "1.0.0",
        &[
            ("templates/a.yaml", CONFIG),
            ("templates/1.yaml", &hook("late", "helm.sh/hook: pre-install, helm.sh/hook-weight: '5'")),
            (
                "templates/2.yaml",
                &hook(
                    "early",
                    "helm.sh/hook: pre-install, helm.sh/hook-weight: '-5', helm.sh/hook-delete-policy: hook-succeeded",
                ),
            ),
            ("templates/3.yaml", &job("last", "post-install", "ready")),
            ("templates/4.yaml", &hook("never", "helm.sh/hook: pre-upgrade")),
        ],
    );
    let release = world.helm().install(&app, &values(json!({})), &Install::default()).await.result?;
    assert_eq!(phases(&release), ["early Succeeded", "last Succeeded", "late Succeeded", "never "]);
    let order: Vec<_> = world
        .requests()
        .into_iter()
        .filter(|request| !request.contains("secrets") && !request.contains("watch"))
        .collect();
    assert_eq!(
        order,
        [
            "PATCH configmaps",  // early
            "DELETE configmaps", // before late is created
            "PATCH configmaps",  // late
            "DELETE configmaps", // early has succeeded
            "PATCH configmaps",  // the release
            "DELETE jobs",
            "PATCH jobs"
        ]
    );
    assert!(world.data("early").await?.is_none());
    let late = world.api("v1", "ConfigMap").get("late").await?;
    assert_eq!(
        late.metadata.labels.map(|labels| labels.contains_key("app.kubernetes.io/managed-by")),
        Some(false)
    );
    assert!(!release.manifest.contains("name: late"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_fails_fails_the_action() -> Result<()> {
    let world = World::start().await?;
    let with = |event: &str| {
        chart("1.0.0", &[("templates/a.yaml", CONFIG), ("templates/j.yaml", &job("task", event, "fail"))])
    };
    let done = world.helm().install(&with("pre-install"), &values(json!({})), &Install::default()).await;
    let phases = done.written.last().map(phases);
    assert_eq!(phases.as_deref(), Some(&["task Failed".to_owned()][..]));
    assert_eq!(
        failure(done),
        "failed pre-install: failed early due to stalled resources: [Job/default/task status: 'Failed']"
    );
    assert!(world.data("web").await?.is_none(), "nothing was created after it");
    let again = Upgrade { disable_hooks: true, ..Upgrade::default() };
    world.helm().upgrade(&with("pre-upgrade"), &values(json!({})), &again).await.result?;
    let error =
        failure(world.helm().upgrade(&with("post-upgrade"), &values(json!({})), &Upgrade::default()).await);
    assert!(error.starts_with("post-upgrade hooks failed: failed early"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tests_run_by_filter_and_their_phases_are_stored() -> Result<()> {
    let world = World::start().await?;
    let app = chart(
        "1.0.0",
        &[
            ("templates/a.yaml", CONFIG),
            ("templates/1.yaml", &job("good", "test", "ready")),
            ("templates/2.yaml", &job("bad", "test-success", "fail")),
        ],
    );
    let installed = world.helm().install(&app, &values(json!({})), &Install::default()).await.result?;
    assert_eq!(phases(&installed), ["bad ", "good "]);
    let only = |name: &str, exclude| Test {
        filters: vec![Filter { name: name.into(), exclude }],
        ..Test::default()
    };
    let done = world.helm().test(&only("bad", true)).await;
    let tested = done.result?;
    assert_eq!(phases(&tested), ["bad ", "good Succeeded"]);
    assert_eq!(
        sluice_helm::release::snapshot_digest(&tested, ""),
        sluice_helm::release::snapshot_digest(&installed, ""),
        "a test is no change of the release"
    );
    let done = world.helm().test(&only("bad", false)).await;
    assert_eq!(done.written.last().map(phases), Some(vec!["bad Failed".into(), "good Succeeded".into()]));
    assert!(failure(done).contains("Job/default/bad status: 'Failed'"));
    let again = world.helm().last().await?.map(|release| release.hooks[0].last_run.phase.clone());
    assert!(again.is_some_and(|phase| phase != HookPhase::Running));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uninstall_runs_its_hooks_and_leaves_what_asks_for_it() -> Result<()> {
    let world = World::start().await?;
    let kept = hook("kept", "helm.sh/resource-policy: ' KEEP '");
    let app = chart(
        "1.0.0",
        &[
            ("templates/a.yaml", CONFIG),
            ("templates/k.yaml", &kept),
            ("templates/o.yaml", &hook("other", "x: y")),
            ("templates/h.yaml", &hook("before", "helm.sh/hook: pre-delete")),
        ],
    );
    world.helm().install(&app, &values(json!({})), &Install::default()).await.result?;
    world.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "annotations": {"meta.helm.sh/release-name": "another"}}})).await?;
    let history = Uninstall { keep_history: true, ..Uninstall::default() };
    let done = world.helm().uninstall(&history).await;
    assert_eq!(crate::world::written(&done), ["v1 uninstalling", "v1 uninstalled"]);
    assert!(done.result?.info.deleted.is_some());
    for (name, stays) in [("web", false), ("kept", true), ("other", true), ("before", true)] {
        assert_eq!(world.data(name).await?.is_some(), stays, "{name}");
    }
    assert_eq!(world.stored().await?, ["v1 uninstalled: Uninstallation complete"]);
    assert_eq!(
        failure(world.helm().uninstall(&history).await),
        "the release named \"web\" is already deleted"
    );
    world.helm().uninstall(&Uninstall::default()).await.result?;
    assert!(world.helm().revisions().await?.is_empty());
    assert_eq!(
        failure(world.helm().uninstall(&Uninstall::default()).await),
        "uninstall: Release not loaded: web: release: not found"
    );
    Ok(())
}
