//! Installs.

use anyhow::{Context, Result};
use serde_json::json;
use sluice_release::{ActionError, CrdPolicy, Install};
use tokio_util::sync::CancellationToken;

use crate::world::{NAMESPACE, World, chart, failure, told, values, written};

pub(crate) const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}'}\ndata: {color: '{{ .Values.color | default \"red\" }}', revision: '{{ .Release.Revision }}'}\n";
pub(crate) const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: '{{ .Release.Name }}'}\nspec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: c, image: app}]}\n";
/// It never gets ready.
pub(crate) const STUCK: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, annotations: {sluice.dev/simulate: never}}\nspec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: c, image: app}]}\n";
const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: '{{ .Release.Name }}'}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_install_is_stored_as_pending_and_then_as_deployed() -> Result<()> {
    let world = World::start().await?;
    let app = chart(
        "1.0.0",
        &[("templates/a.yaml", CONFIG), ("templates/d.yaml", DEPLOYMENT), ("templates/NOTES.txt", "hi")],
    );
    let done = world.helm().install(&app, &values(json!({"color": "blue"})), &Install::default()).await;
    assert_eq!(written(&done), ["v1 pending-install", "v1 deployed"]);
    let release = done.result?;
    assert_eq!(told(&release), "v1 deployed: Install complete");
    assert_eq!(release.info.notes, "hi");
    assert_eq!(world.helm().last().await?, Some(release.clone()), "what was returned is what is stored");
    let live = world.api("v1", "ConfigMap").get("web").await?;
    assert_eq!(live.data["data"], json!({"color": "blue", "revision": "1"}));
    let marks = serde_json::to_value([live.metadata.labels, live.metadata.annotations])?;
    assert_eq!(
        marks,
        json!([
            {"app.kubernetes.io/managed-by": "Helm", "helm.toolkit.fluxcd.io/name": "web", "helm.toolkit.fluxcd.io/namespace": NAMESPACE},
            {"meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": NAMESPACE},
        ])
    );
    assert!(!release.manifest.contains("managed-by"), "Helm's own marks are not part of the manifest");
    assert!(
        release.manifest.starts_with("---\n# Source: app/templates/a.yaml\napiVersion: v1\ndata:\n"),
        "{}",
        release.manifest
    );
    let available =
        world.api("apps/v1", "Deployment").get("web").await?.data["status"]["availableReplicas"].clone();
    assert_eq!(available, 1, "it was waited for");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_install_takes_few_requests() -> Result<()> {
    let world = World::start().await?;
    let app = chart("1.0.0", &[("templates/a.yaml", CONFIG), ("templates/s.yaml", SERVICE)]);
    world.helm().install(&app, &values(json!({})), &Install::default()).await.result?;
    assert_eq!(
        world.requests(),
        ["GET secrets", "POST secrets", "PATCH configmaps", "PATCH services", "PUT secrets"]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_before_anything_is_stored_leaves_no_trace() -> Result<()> {
    let world = World::start().await?;
    let schema = ("values.schema.json", "{\"properties\": {\"color\": {\"type\": \"string\"}}}");
    for (files, given, want) in [
        (
            vec![("templates/a.yaml", "{{ fail \"no\" }}")],
            json!({}),
            "execution error at (app/templates/a.yaml:1:3): no",
        ),
        (vec![schema], json!({"color": 1}), "values don't meet the specifications of the schema(s)"),
        (
            vec![("templates/a.yaml", "apiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: g}\n")],
            json!({}),
            "unable to build kubernetes objects from release manifest: resource mapping not found for name: \"g\" namespace: \"\" from \"\": no matches for kind \"Gadget\" in version \"example.com/v1\"\nensure CRDs are installed first",
        ),
        (
            vec![("templates/a.yaml", "apiVersion: v1\nkind: ConfigMap\n")],
            json!({}),
            "error while running post render on files: ",
        ),
    ] {
        let done = world.helm().install(&chart("1.0.0", &files), &values(given), &Install::default()).await;
        assert!(done.written.is_empty());
        let error = failure(done);
        assert!(error.contains(want), "{error}");
    }
    assert_eq!(world.stored().await?, [""; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_install_that_the_server_refuses_is_stored_as_failed() -> Result<()> {
    let world = World::start().await?;
    let broken = chart(
        "1.0.0",
        &[("templates/a.yaml", CONFIG), ("templates/s.yaml", &SERVICE.replace("port: 80", "port: 0"))],
    );
    let done = world.helm().install(&broken, &values(json!({})), &Install::default()).await;
    assert_eq!(written(&done), ["v1 pending-install", "v1 failed"]);
    assert!(!done.logs.is_empty());
    let error = failure(done);
    assert!(
        error.starts_with("server-side apply failed for object default/web /v1, Kind=Service: "),
        "{error}"
    );
    assert_eq!(world.stored().await?, [format!("v1 failed: Release \"web\" failed: {error}")]);
    assert!(world.data("web").await?.is_some(), "what was made stays");

    let again = world.helm().install(&broken, &values(json!({})), &Install::default()).await;
    assert_eq!(failure(again), "release name check failed: cannot reuse a name that is still in use");
    let app = chart("1.0.0", &[("templates/a.yaml", CONFIG)]);
    let replace = Install { replace: true, ..Install::default() };
    let done = world.helm().install(&app, &values(json!({})), &replace).await;
    assert_eq!(written(&done), ["v1 superseded", "v2 pending-install", "v2 deployed"]);
    assert_eq!(
        world.data("web").await?.context("there")?["revision"],
        "1",
        "templates see the first revision"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_in_time_or_when_it_is_cancelled() -> Result<()> {
    let world = World::start().await?;
    let app = chart("1.0.0", &[("templates/d.yaml", STUCK)]);
    let short = Install { timeout: std::time::Duration::from_millis(300), ..Install::default() };
    let done = world.helm().install(&app, &values(json!({})), &short).await;
    assert_eq!(written(&done), ["v1 pending-install", "v1 failed"]);
    assert_eq!(failure(done), "timeout waiting for: [Deployment/default/web status: 'InProgress']");

    let cancel = CancellationToken::new();
    let helm = world.helm_until(cancel.clone());
    let long = Install { replace: true, ..Install::default() };
    let given = values(json!({}));
    let (done, ()) = tokio::join!(helm.install(&app, &given, &long), async {
        while world.helm().last().await.ok().flatten().is_none_or(|last| last.version != 2) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        cancel.cancel();
    });
    assert!(matches!(done.result, Err(ActionError::Canceled)), "{:?}", done.result);
    assert_eq!(world.stored().await?[1], "v2 failed: Release \"web\" failed: context canceled");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_are_there_are_taken_over_or_refused() -> Result<()> {
    let world = World::start().await?;
    world.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"color": "green", "more": "x"}})).await?;
    let app = chart("1.0.0", &[("templates/a.yaml", CONFIG)]);
    let strict = Install { take_ownership: false, ..Install::default() };
    let done = world.helm().install(&app, &values(json!({})), &strict).await;
    assert!(done.written.is_empty());
    assert_eq!(
        failure(done),
        "unable to continue with install: ConfigMap \"web\" in namespace \"default\" exists and cannot be imported into the current release: invalid ownership metadata; label validation error: missing key \"app.kubernetes.io/managed-by\": must be set to \"Helm\"; annotation validation error: missing key \"meta.helm.sh/release-name\": must be set to \"web\"; annotation validation error: missing key \"meta.helm.sh/release-namespace\": must be set to \"default\""
    );
    for server_side in [true, false] {
        let options = Install { server_side, replace: true, ..Install::default() };
        let done = world.helm().install(&app, &values(json!({"color": "blue"})), &options).await;
        assert_eq!(done.result?.server_side(), server_side);
        assert_eq!(world.data("web").await?, Some(json!({"color": "blue", "more": "x", "revision": "1"})));
        world.helm().uninstall(&sluice_release::Uninstall::default()).await.result?;
        world.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"color": "green", "more": "x"}})).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn crds_come_first_and_by_policy() -> Result<()> {
    let crd = |more: &str| {
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: gadgets.example.com, annotations: {{v: '{more}'}}}}\nspec:\n  group: example.com\n  scope: Namespaced\n  names: {{kind: Gadget, plural: gadgets, singular: gadget}}\n  versions: [{{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object}}}}}}]\n"
        )
    };
    let gadget = "{{ if .Capabilities.APIVersions.Has \"example.com/v1/Gadget\" }}\napiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: g}\n{{ end }}";
    let world = World::start().await?;
    let made = |n: &str| chart("1.0.0", &[("crds/c.yaml", &crd(n)), ("templates/g.yaml", gadget)]);
    world.helm().install(&made("1"), &values(json!({})), &Install::default()).await.result?;
    assert!(
        world.api("example.com/v1", "Gadget").get_opt("g").await?.is_some(),
        "templates saw the new kind"
    );
    let version = async || -> Result<_> {
        let live = world
            .api("apiextensions.k8s.io/v1", "CustomResourceDefinition")
            .get("gadgets.example.com")
            .await?;
        assert_eq!(live.metadata.labels.context("labels")?["helm.toolkit.fluxcd.io/name"], "web");
        Ok(live.metadata.annotations.context("annotations")?["v"].clone())
    };
    for (policy, n, want) in
        [(CrdPolicy::Create, "2", "1"), (CrdPolicy::Skip, "3", "1"), (CrdPolicy::CreateReplace, "4", "4")]
    {
        for server_side in [true, false] {
            world.helm().uninstall(&sluice_release::Uninstall::default()).await.result?;
            let options = Install { crds: policy, server_side, ..Install::default() };
            world.helm().install(&made(n), &values(json!({})), &options).await.result?;
            assert_eq!(version().await?, want, "{policy:?} {server_side}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_can_ask_the_cluster() -> Result<()> {
    let world = World::start().await?;
    world.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "there"}, "data": {"a": "b"}})).await?;
    let asking = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata:\n  one: {{ (lookup \"v1\" \"ConfigMap\" \"default\" \"there\").data.a | quote }}\n  none: {{ lookup \"v1\" \"ConfigMap\" \"default\" \"missing\" | toJson | quote }}\n  kind: {{ lookup \"v1\" \"Gadget\" \"default\" \"x\" | toJson | quote }}\n  many: {{ (index (lookup \"v1\" \"ConfigMap\" \"default\" \"\").items 0).kind | quote }}\n  has: {{ .Capabilities.APIVersions.Has \"apps/v1/Deployment\" | quote }}\n";
    world
        .helm()
        .install(&chart("1.0.0", &[("templates/a.yaml", asking)]), &values(json!({})), &Install::default())
        .await
        .result?;
    assert_eq!(
        world.data("web").await?,
        Some(json!({"one": "b", "none": "{}", "kind": "{}", "many": "ConfigMap", "has": "true"}))
    );
    let unserved =
        chart("1.0.0", &[("templates/a.yaml", "{{ lookup \"example.com/v1\" \"Gadget\" \"\" \"\" }}")]);
    let error = failure(
        world.helm().upgrade(&unserved, &values(json!({})), &sluice_release::Upgrade::default()).await,
    );
    assert!(error.contains("unable to get apiresource from unstructured: example.com/v1, Kind=Gadget: the server could not find the requested resource"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_namespace_is_made_and_stays() -> Result<()> {
    let world = World::start().await?;
    let app = chart("1.0.0", &[("templates/a.yaml", CONFIG)]);
    let target = sluice_release::Target {
        release: "web".into(),
        namespace: "new".into(),
        storage_namespace: NAMESPACE.into(),
    };
    let identity = sluice_release::Identity { field_manager: "helm-controller".into(), ..Default::default() };
    let helm = sluice_release::Helm::new(&world.cluster, target, identity, CancellationToken::new());
    let options = Install { create_namespace: true, ..Install::default() };
    helm.install(&app, &values(json!({})), &options).await.result?;
    let namespace = world.api("v1", "Namespace").get("new").await?;
    assert_eq!(namespace.metadata.labels.context("labels")?["name"], "new");
    assert_eq!(world.data("web").await?, None, "it is in the new namespace");
    helm.uninstall(&sluice_release::Uninstall::default()).await.result?;
    helm.install(&app, &values(json!({})), &options).await.result?;
    Ok(())
}
