//! What is done to the cluster in each phase.

use std::{path::Path, time::Duration};

use anyhow::{Context, anyhow};
use futures::{TryStreamExt, stream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, Config,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

/// Namespace of the custom resources.
pub(crate) const NAMESPACE: &str = "flux-system";
/// Namespace of the objects that the controllers apply.
pub(crate) const TARGET: &str = "sluice-bench";
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
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::First => "v1",
            Self::Second => "v2",
        }
    }

    pub(crate) fn image(self) -> String {
        format!("registry.example.com/app:{}", self.tag())
    }
}

/// A cluster to measure on.
pub(crate) struct Bench {
    pub(crate) client: Client,
    pub(crate) apps: usize,
    pub(crate) timeout: Duration,
    concurrent: usize,
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
            for crd in sluice_api::crds() {
                let version = crd.spec.versions.iter().find(|version| version.storage);
                let version = version.map(|version| version.name.as_str()).unwrap_or_default();
                let resource = resource(&crd.spec.group, version, &crd.spec.names.kind);
                let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), NAMESPACE, &resource);
                while api.list(&Default::default()).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
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

    /// Applies objects, several at a time.
    pub(crate) async fn apply_all(&self, objects: Vec<Value>) -> anyhow::Result<()> {
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

    /// Merges a patch into the object of each application, several at a time.
    pub(crate) async fn patch_all(&self, api: &Api<DynamicObject>, patch: &Value) -> anyhow::Result<()> {
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
}

pub(crate) fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(group, version, kind))
}

/// Of an application.
pub(crate) fn name(index: usize) -> String {
    format!("app-{index:04}")
}

/// Of the application of this name.
pub(crate) fn index(name: &str) -> Option<usize> {
    name.strip_prefix("app-")?.parse().ok()
}
