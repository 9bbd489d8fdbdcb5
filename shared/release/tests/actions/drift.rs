//! Drift, its correction, and what a release consists of.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use sluice_apply::ignore::{IgnoreRule, IgnoreRules};
use sluice_release::{DriftOptions, Install, Uninstall};

use crate::install::{CONFIG, DEPLOYMENT};
use crate::world::{World, chart, values};

const LEFT_ALONE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: free, labels: {helm.toolkit.fluxcd.io/driftDetection: disabled}}\n";

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_found_and_corrected() -> Result<()> {
    let world = World::start().await?;
    let app = chart(
        "1.0.0",
        &[("templates/a.yaml", CONFIG), ("templates/d.yaml", DEPLOYMENT), ("templates/l.yaml", LEFT_ALONE)],
    );
    let release = world.helm().install(&app, &values(json!({})), &Install::default()).await.result?;
    let helm = world.helm();
    let report = helm.drift(&release, &DriftOptions::default()).await?;
    assert!(!report.has_changes() && report.errors.is_empty(), "{report:?}");

    world.api("apps/v1", "Deployment").delete("web", &Default::default()).await?;
    world.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "labels": {"app.kubernetes.io/managed-by": "me", "mine": "x"}}, "data": {"color": "green", "more": "x"}})).await?;
    let report = helm.drift(&release, &DriftOptions::default()).await?;
    let lines: Vec<_> = report.drifts.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "ConfigMap/default/web changed (0 additions, 2 changes, 0 removals)",
            "ConfigMap/default/free excluded",
            "Deployment/default/web removed"
        ]
    );
    let corrected = helm.correct(&report, Duration::from_secs(60)).await;
    assert_eq!(corrected.corrected, ["ConfigMap/default/web configured", "Deployment/default/web created"]);
    assert!(corrected.failed.is_empty(), "{corrected:?}");
    let report = helm.drift(&release, &DriftOptions::default()).await?;
    assert!(!report.has_changes(), "{report:?}");
    assert_eq!(world.data("web").await?, Some(json!({"color": "red", "more": "x", "revision": "1"})));
    assert_eq!(world.stored().await?, ["v1 deployed: Install complete"], "no new revision");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_leave_drift_alone() -> Result<()> {
    let world = World::start().await?;
    let app = chart("1.0.0", &[("templates/a.yaml", CONFIG)]);
    let release = world.helm().install(&app, &values(json!({})), &Install::default()).await.result?;
    world.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"color": "green"}})).await?;
    for (path, want) in [
        ("/data/revision", "ConfigMap/default/web changed (0 additions, 1 changes, 0 removals)"),
        ("/data/color", ""),
        ("", "ConfigMap/default/web excluded"),
    ] {
        let ignore = IgnoreRules::new(&[IgnoreRule { paths: vec![path.into()], target: None }])?;
        let options = DriftOptions { ignore, ..DriftOptions::default() };
        let report = world.helm().drift(&release, &options).await?;
        let lines: Vec<_> = report.drifts.iter().map(ToString::to_string).collect();
        assert_eq!(lines.join("\n"), want, "{path}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_overridden_managers_go() -> Result<()> {
    let world = World::start().await?;
    let app = chart("1.0.0", &[("templates/a.yaml", CONFIG)]);
    let release = world.helm().install(&app, &values(json!({})), &Install::default()).await.result?;
    world.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"more": "x"}})).await?;
    let options = DriftOptions { override_managers: vec!["somebody".into()], ..DriftOptions::default() };
    let report = world.helm().drift(&release, &options).await?;
    let lines: Vec<_> = report.drifts.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["ConfigMap/default/web changed (0 additions, 0 changes, 1 removals)"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inventory_holds_objects_and_crds_but_no_hooks() -> Result<()> {
    let world = World::start().await?;
    let crd = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: gadgets.example.com}\nspec:\n  group: example.com\n  scope: Namespaced\n  names: {kind: Gadget, plural: gadgets, singular: gadget}\n  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]\n";
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: 'a:b'}\n";
    let hook =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: h, annotations: {helm.sh/hook: post-delete}}\n";
    let app = chart(
        "1.0.0",
        &[
            ("crds/c.yaml", crd),
            ("templates/a.yaml", CONFIG),
            ("templates/r.yaml", role),
            ("templates/h.yaml", hook),
        ],
    );
    let helm = world.helm();
    let release = helm.install(&app, &values(json!({})), &Install::default()).await.result?;
    let inventory = helm.inventory(&release, Some(&app)).await.expect("readable");
    let ids: Vec<_> = inventory
        .entries
        .iter()
        .map(|e| format!("{} {}", sluice_apply::inventory::format(&e.id), e.version))
        .collect();
    assert_eq!(
        ids,
        [
            "default_web__ConfigMap v1",
            "_a__b_rbac.authorization.k8s.io_ClusterRole v1",
            "_gadgets.example.com_apiextensions.k8s.io_CustomResourceDefinition v1"
        ]
    );
    helm.uninstall(&Uninstall::default()).await.result?;
    Ok(())
}
