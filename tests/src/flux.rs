//! The two controllers with what they need in a cluster, the Flux objects of a test, and waiting for what comes of them.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, anyhow};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use sluice_api::meta::RECONCILE_REQUEST_ANNOTATION;

use crate::{Cluster, Controller, Kind, eventually};

/// Where the Flux objects of tests are.
pub const NAMESPACE: &str = "flux-system";

/// source-controller and kustomize-controller, each a process of its own.
pub struct Flux {
    /// source-controller.
    pub source: Controller,
    /// kustomize-controller.
    pub kustomize: Controller,
}

impl Flux {
    /// Installs CRDs and namespace, and starts both controllers. `program` is `env!("CARGO_BIN_EXE_controller")`, and
    /// both get `flags`.
    ///
    /// # Errors
    /// What the API server refused, or a controller that is not ready in time.
    pub async fn start(cluster: &Cluster, program: &str, flags: &[&str]) -> Result<Self> {
        install(cluster).await?;
        let source = Controller::start(cluster, program, Kind::Source, flags).await?;
        let kustomize = Controller::start(cluster, program, Kind::Kustomize, flags).await?;
        Ok(Self { source, kustomize })
    }

    /// Fails when a controller has ended by itself.
    ///
    /// # Errors
    /// As said; the message quotes its log.
    pub fn check(&self) -> Result<()> {
        self.source.check()?;
        self.kustomize.check()
    }

    /// Ends both, which must do so with success.
    ///
    /// # Errors
    /// When one does not.
    pub async fn stop(mut self) -> Result<()> {
        self.check()?;
        self.kustomize.stop().await?;
        self.source.stop().await
    }
}

/// Installs the CRDs of the four groups and the namespace of the Flux objects.
///
/// # Errors
/// What the API server refused.
pub async fn install(cluster: &Cluster) -> Result<()> {
    cluster.install_crds().await?;
    cluster.namespace(NAMESPACE).await
}

/// A `GitRepository` of the branch `main`. It looks at the remote rarely, so that a test says when ([`request`]).
pub fn git_repository(name: &str, url: &str) -> Value {
    json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"interval": "1h", "timeout": "20s", "url": url, "ref": {"branch": "main"}},
    })
}

/// An `OCIRepository` of a tag in a registry without TLS.
pub fn oci_repository(name: &str, url: &str, tag: &str) -> Value {
    json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"interval": "1h", "timeout": "20s", "url": url, "ref": {"tag": tag}, "insecure": true},
    })
}

/// A `Kustomization` of a folder in a source, which prunes and waits for readiness. It retries a failure every second.
pub fn kustomization(name: &str, source_kind: &str, source: &str, path: &str) -> Value {
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "interval": "1h", "retryInterval": "1s", "timeout": "1m", "path": path, "prune": true, "wait": true,
            "sourceRef": {"kind": source_kind, "name": source},
        },
    })
}

/// Reads and writes objects of a Flux kind (`GitRepository`, `Kustomization`, …).
///
/// # Errors
/// When Flux has no such kind.
pub fn objects(cluster: &Cluster, kind: &str) -> Result<Api<DynamicObject>> {
    let definition = sluice_api::crds()
        .into_iter()
        .find(|definition| definition.spec.names.kind == kind)
        .with_context(|| format!("Flux has no kind {kind}"))?;
    let version = definition.spec.versions.iter().find(|version| version.storage);
    let version = version.with_context(|| format!("no version of {kind} is stored"))?;
    let gvk = GroupVersionKind::gvk(&definition.spec.group, &version.name, kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, &definition.spec.names.plural);
    Ok(Api::namespaced_with(cluster.client(), NAMESPACE, &resource))
}

/// Asks for a pass over an object now, as `sluice reconcile` does, and returns the token of the request, which appears in
/// `status.lastHandledReconcileAt` when the pass is over.
///
/// # Errors
/// What the API server refused.
pub async fn request(cluster: &Cluster, kind: &str, name: &str) -> Result<String> {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let token = format!("request-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let patch = json!({"metadata": {"annotations": {RECONCILE_REQUEST_ANNOTATION: token}}});
    objects(cluster, kind)?.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(token)
}

/// Asks for a pass and waits until it is over, however it ended; returns the object.
///
/// # Errors
/// What the API server refused, or when it does not end in time.
pub async fn reconcile(cluster: &Cluster, kind: &str, name: &str) -> Result<DynamicObject> {
    let token = request(cluster, kind, name).await?;
    until(cluster, kind, name, "to have handled the request for a pass", |object| {
        object.data["status"]["lastHandledReconcileAt"] == token.as_str()
    })
    .await
}

/// Asks a source to look at its remote and waits until it has stored what `revision` ends (a commit, a digest).
///
/// # Errors
/// As [`until`].
pub async fn fetch(cluster: &Cluster, kind: &str, name: &str, revision: &str) -> Result<DynamicObject> {
    request(cluster, kind, name).await?;
    until(cluster, kind, name, &format!("to have the artifact of {revision}"), |object| {
        ends(&object.data["status"]["artifact"]["revision"], revision)
    })
    .await
}

/// Waits until a Kustomization is Ready at the revision that `revision` ends.
///
/// # Errors
/// As [`until`].
pub async fn applied(cluster: &Cluster, name: &str, revision: &str) -> Result<DynamicObject> {
    until(cluster, "Kustomization", name, &format!("to be Ready at {revision}"), |object| {
        ends(&object.data["status"]["lastAppliedRevision"], revision) && is_ready(object)
    })
    .await
}

/// Waits until the Ready condition of an object is False for `reason`, and returns the condition.
///
/// # Errors
/// As [`until`].
pub async fn failed(cluster: &Cluster, kind: &str, name: &str, reason: &str) -> Result<Value> {
    let object = until(cluster, kind, name, &format!("to fail with {reason}"), |object| {
        condition(object, "Ready")
            .is_some_and(|ready| ready["status"] == "False" && ready["reason"] == reason)
    })
    .await?;
    condition(&object, "Ready").cloned().context("the Ready condition is gone")
}

/// Waits until an object is as `wanted` says; `what` completes "waited for Kustomization x …".
///
/// # Errors
/// When it is not in time; the message shows the object's status.
pub async fn until(
    cluster: &Cluster,
    kind: &str,
    name: &str,
    what: &str,
    wanted: impl Fn(&DynamicObject) -> bool,
) -> Result<DynamicObject> {
    let api = objects(cluster, kind)?;
    let found = eventually(&format!("{kind} {name} {what}"), async || {
        Ok(api.get_opt(name).await?.filter(|object| wanted(object)))
    })
    .await;
    match found {
        Ok(object) => Ok(object),
        Err(error) => {
            let last = api.get_opt(name).await?;
            let last = last.map_or("is not there".to_owned(), |object| {
                let status = &object.data["status"];
                format!("of generation {:?}: {status:#}", object.metadata.generation)
            });
            Err(anyhow!("{error:#}; {kind} {name} {last}"))
        }
    }
}

/// A condition of an object.
pub fn condition<'a>(object: &'a DynamicObject, type_: &str) -> Option<&'a Value> {
    object.data["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == type_)
}

/// Whether Ready is True, and the controller has seen the newest spec.
pub fn is_ready(object: &DynamicObject) -> bool {
    condition(object, "Ready").is_some_and(|ready| ready["status"] == "True")
        && object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation
}

/// The ids (`namespace_name_group_kind`) in the inventory of a Kustomization, sorted.
pub fn inventory(object: &DynamicObject) -> Vec<String> {
    let entries = object.data["status"]["inventory"]["entries"].as_array();
    let mut ids: Vec<String> =
        entries.into_iter().flatten().filter_map(|entry| entry["id"].as_str().map(str::to_owned)).collect();
    ids.sort_unstable();
    ids
}

fn ends(value: &Value, end: &str) -> bool {
    value.as_str().is_some_and(|text| text.ends_with(end))
}
