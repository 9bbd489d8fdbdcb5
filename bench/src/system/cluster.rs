//! What is done to the cluster in each phase.

use std::{collections::HashSet, path::Path, time::Duration};

use anyhow::{Context, anyhow, bail};
use futures::{TryStreamExt, stream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, Config,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use source_controller::testing::Registry;

/// Namespace of the custom resources.
pub(crate) const NAMESPACE: &str = "flux-system";
/// Namespace of the objects that the controllers apply.
const TARGET: &str = "sluice-bench";
/// Namespace of those that are applied directly.
const DIRECT: &str = "sluice-bench-direct";
/// Field manager of this benchmark's own writes.
pub(crate) const MANAGER: &str = "sluice-bench";

/// Which image an application runs.
#[derive(Clone, Copy)]
pub(crate) enum Version {
    First,
    Second,
}

impl Version {
    fn tag(self) -> &'static str {
        match self {
            Self::First => "v1",
            Self::Second => "v2",
        }
    }

    fn image(self) -> String {
        format!("registry.example.com/app:{}", self.tag())
    }
}

/// A cluster to measure on.
pub(crate) struct Bench {
    client: Client,
    apps: usize,
    concurrent: usize,
    timeout: Duration,
}

/// Artifacts in a registry of this process.
pub(crate) struct Artifacts {
    registry: Registry,
    /// Digests of the second version, by application.
    second: Vec<String>,
    first: Vec<String>,
}

impl Bench {
    pub(crate) async fn connect(
        kubeconfig: &Path,
        apps: usize,
        concurrent: usize,
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        let file = Kubeconfig::read_from(kubeconfig)
            .with_context(|| format!("cannot read {}", kubeconfig.display()))?;
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        Ok(Self { client: Client::try_from(config)?, apps, concurrent: concurrent.max(1), timeout })
    }

    /// Installs the custom resource definitions that the cluster lacks, and namespaces; waits until they are served.
    pub(crate) async fn prepare(&self) -> anyhow::Result<()> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        for crd in sluice_api::crds() {
            // Those of another implementation stay as they are.
            if definitions.get_opt(crd.metadata.name.as_deref().unwrap_or_default()).await?.is_none() {
                self.apply(&serde_json::to_value(&crd)?).await?;
            }
        }
        for name in [NAMESPACE, TARGET, DIRECT] {
            self.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).await?;
        }
        let served = async {
            while self.sources().list(&Default::default()).await.is_err()
                || self.kustomizations().list(&Default::default()).await.is_err()
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(self.timeout, served)
            .await
            .map_err(|_| anyhow!("the custom resources are not served"))
    }

    /// Applies all objects from here, as the measure of what is possible.
    pub(crate) async fn apply_directly(&self, version: Version) -> anyhow::Result<()> {
        let objects =
            (0..self.apps).flat_map(|index| sluice_bench::app(&name(index), DIRECT, &version.image()));
        self.apply_all(objects.collect()).await
    }

    /// Waits until what was applied directly is rolled out, so that no phase pays for an earlier one.
    pub(crate) async fn settled(&self) -> anyhow::Result<()> {
        let deployments: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), DIRECT, &resource("apps", "v1", "Deployment"));
        let rolled_out = |object: &DynamicObject| {
            let status = &object.data["status"];
            let generation = object.metadata.generation.map(Value::from).unwrap_or_default();
            status["observedGeneration"] == generation
                && ["replicas", "updatedReplicas", "availableReplicas"]
                    .iter()
                    .all(|field| status[*field] == 1)
        };
        let wait = async {
            while !deployments.list(&Default::default()).await?.items.iter().all(rolled_out) {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(self.timeout, wait)
            .await
            .map_err(|_| anyhow!("the Deployments of namespace {DIRECT} do not get ready"))?
    }

    /// Packs all applications in both versions.
    pub(crate) async fn publish(&self) -> anyhow::Result<Artifacts> {
        let registry = Registry::start().await?;
        let mut digests = [Vec::new(), Vec::new()];
        for index in 0..self.apps {
            for (version, digests) in [Version::First, Version::Second].into_iter().zip(&mut digests) {
                let dir = tempfile::tempdir()?;
                sluice_bench::write_app(dir.path(), &name(index), TARGET, &version.image())?;
                let (_, bytes) = sluice_artifact::pack(dir.path(), |_, _| true, Vec::new())?;
                digests.push(registry.push_tar_gz(&format!("apps/{}", name(index)), version.tag(), bytes));
            }
        }
        let [first, second] = digests;
        Ok(Artifacts { registry, first, second })
    }

    /// Creates a source and a Kustomization per application, and waits until all are ready.
    pub(crate) async fn install(&self, artifacts: &Artifacts) -> anyhow::Result<()> {
        let objects = (0..self.apps).flat_map(|index| {
            let metadata = json!({"name": name(index), "namespace": NAMESPACE});
            let url = artifacts.registry.url(&format!("apps/{}", name(index)));
            [
                json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository", "metadata": metadata,
                    "spec": {"interval": "60m", "url": url, "insecure": true, "ref": {"tag": Version::First.tag()}}}),
                json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": metadata,
                    "spec": {"interval": "60m", "path": "./", "prune": true, "wait": true, "timeout": "5m",
                        "sourceRef": {"kind": "OCIRepository", "name": name(index)}}}),
            ]
        });
        let work = self.apply_all(objects.collect());
        self.until(work, |index, object| ready_at(object, &artifacts.first[index])).await
    }

    /// Moves all sources to the second version, and waits until all Kustomizations have applied it.
    pub(crate) async fn upgrade(&self, artifacts: &Artifacts) -> anyhow::Result<()> {
        let sources = self.sources();
        let patch = json!({"spec": {"ref": {"tag": Version::Second.tag()}}});
        let work = self.patch_all(&sources, &patch);
        self.until(work, |index, object| ready_at(object, &artifacts.second[index])).await
    }

    /// Asks all Kustomizations to reconcile, though nothing has changed, and waits until all have.
    pub(crate) async fn force(&self) -> anyhow::Result<()> {
        let token = format!("bench-{}", std::process::id());
        let kustomizations = self.kustomizations();
        let patch = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": token}}});
        let work = self.patch_all(&kustomizations, &patch);
        self.until(work, |_, object| {
            object["status"]["lastHandledReconcileAt"] == token.as_str() && ready(object)
        })
        .await
    }

    /// Does the work and watches the Kustomizations until each fulfils `done` once.
    async fn until(
        &self,
        work: impl Future<Output = anyhow::Result<()>>,
        done: impl Fn(usize, &Value) -> bool,
    ) -> anyhow::Result<()> {
        let mut open: HashSet<String> = (0..self.apps).map(name).collect();
        let mut last = Value::Null;
        let watch = async {
            let stream = watcher(self.kustomizations(), watcher::Config::default())
                .default_backoff()
                .applied_objects();
            let mut stream = std::pin::pin!(stream);
            while !open.is_empty() {
                let Some(object) = stream.try_next().await? else {
                    bail!("the watch of Kustomizations ended")
                };
                let name = object.metadata.name.clone().unwrap_or_default();
                let Some(index) = index(&name) else { continue };
                let object = serde_json::to_value(&object)?;
                if done(index, &object) {
                    open.remove(&name);
                } else {
                    last = object["status"]["conditions"].clone();
                }
            }
            Ok(())
        };
        let both = async { tokio::try_join!(work, watch) };
        match tokio::time::timeout(self.timeout, both).await {
            Ok(outcome) => outcome.map(drop),
            Err(_) => bail!(
                "{} of {} Kustomizations are not done after {:?}; the last one said {last}",
                open.len(),
                self.apps,
                self.timeout
            ),
        }
    }

    async fn apply_all(&self, objects: Vec<Value>) -> anyhow::Result<()> {
        stream::iter(objects.iter().map(Ok))
            .try_for_each_concurrent(self.concurrent, |object| self.apply(object))
            .await
    }

    async fn apply(&self, object: &Value) -> anyhow::Result<()> {
        let object: DynamicObject = serde_json::from_value(object.clone())?;
        let types = object.types.clone().unwrap_or_default();
        let (group, version) = types.api_version.split_once('/').unwrap_or(("", &types.api_version));
        let resource = resource(group, version, &types.kind);
        let name = object.metadata.name.clone().unwrap_or_default();
        let api: Api<DynamicObject> = match &object.metadata.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let params = PatchParams::apply(MANAGER).force();
        api.patch(&name, &params, &Patch::Apply(&object))
            .await
            .with_context(|| format!("cannot apply {} {name}", types.kind))?;
        Ok(())
    }

    async fn patch_all(&self, api: &Api<DynamicObject>, patch: &Value) -> anyhow::Result<()> {
        let params = &PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        stream::iter((0..self.apps).map(Ok))
            .try_for_each_concurrent(self.concurrent, |index| async move {
                let name = name(index);
                api.patch(&name, params, &Patch::Merge(patch))
                    .await
                    .with_context(|| format!("cannot patch {name}"))?;
                Ok(())
            })
            .await
    }

    fn sources(&self) -> Api<DynamicObject> {
        Api::namespaced_with(
            self.client.clone(),
            NAMESPACE,
            &resource("source.toolkit.fluxcd.io", "v1", "OCIRepository"),
        )
    }

    fn kustomizations(&self) -> Api<DynamicObject> {
        Api::namespaced_with(
            self.client.clone(),
            NAMESPACE,
            &resource("kustomize.toolkit.fluxcd.io", "v1", "Kustomization"),
        )
    }
}

fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(group, version, kind))
}

fn name(index: usize) -> String {
    format!("app-{index:04}")
}

fn index(name: &str) -> Option<usize> {
    name.strip_prefix("app-")?.parse().ok()
}

/// Ready for the present generation.
fn ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let is =
        |kind: &str| conditions.into_iter().flatten().any(|c| c["type"] == kind && c["status"] == "True");
    is("Ready")
        && !is("Reconciling")
        && object["status"]["observedGeneration"] == object["metadata"]["generation"]
}

/// Ready, and what was applied is the artifact with this digest.
fn ready_at(object: &Value, digest: &str) -> bool {
    ready(object)
        && object["status"]["lastAppliedRevision"].as_str().is_some_and(|revision| revision.ends_with(digest))
}
