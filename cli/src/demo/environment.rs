//! Where the demo runs: the API server (embedded, or the user's), and the controllers, in this process.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PropagationPolicy};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::discovery::ApiResource;
use kube::{Api, Client, Config, ResourceExt};
use sluice_simulator::Server;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::charts::{BLOG, SHOP};
use super::manifests::{KUSTOMIZATION, NAMESPACE, SOURCE};
use super::wait::eventually;

/// Field manager of what the demo itself applies.
const MANAGER: &str = "sluice-demo";
/// How long the controllers may take to come up, and to go.
const CONTROLLERS_LIMIT: Duration = Duration::from_secs(60);

/// The API server and the controllers.
pub(super) struct Environment {
    /// Talks to the API server as its administrator.
    pub(super) client: Client,
    kubeconfig: PathBuf,
    embedded: Option<Server>,
    shutdown: CancellationToken,
    controllers: Mutex<Controllers>,
    /// CRDs and namespaces that were not there before.
    created: Mutex<Created>,
}

/// Each running controller, by name.
type Controllers = Vec<(&'static str, JoinHandle<Result<()>>)>;

#[derive(Default)]
struct Created {
    crds: Vec<String>,
    namespace: bool,
}

impl Environment {
    /// Connects to the cluster of `kubeconfig`, or starts an embedded API server whose kubeconfig goes below `folder`.
    ///
    /// # Errors
    /// Where the cluster cannot be reached, or already runs Flux or Sluice: two sets of controllers would fight.
    pub(super) async fn open(kubeconfig: Option<&Path>, folder: &Path) -> Result<Self> {
        let (kubeconfig, embedded) = match kubeconfig {
            Some(file) => (file.to_owned(), None),
            None => {
                let server = Server::start(sluice_simulator::Options::default())
                    .await
                    .context("cannot start the embedded API server")?;
                let file = folder.join("kubeconfig");
                tokio::fs::write(&file, server.kubeconfig())
                    .await
                    .with_context(|| format!("cannot write {}", file.display()))?;
                (file, Some(server))
            }
        };
        let parsed = Kubeconfig::read_from(&kubeconfig)
            .with_context(|| format!("cannot read the kubeconfig {}", kubeconfig.display()))?;
        let config = Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default())
            .await
            .with_context(|| format!("cannot use the kubeconfig {}", kubeconfig.display()))?;
        let client = Client::try_from(config)?;
        Ok(Self {
            client,
            kubeconfig,
            embedded,
            shutdown: CancellationToken::new(),
            controllers: Mutex::default(),
            created: Mutex::default(),
        })
    }

    /// The kubeconfig that the demo uses.
    pub(super) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Asks the API server for its version, and makes sure that no other GitOps controllers run there.
    pub(super) async fn check(&self) -> Result<String> {
        let version = self.client.apiserver_version().await.context("the API server does not answer")?;
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        for name in ["source-controller", "kustomize-controller", "helm-controller"] {
            if deployments.get_opt(name).await?.is_some() {
                bail!(
                    "Deployment {NAMESPACE}/{name} exists in this cluster, and its controller would compete with the demo's; \
                     choose a cluster without Flux and Sluice"
                );
            }
        }
        let place = if self.embedded.is_some() { "embedded" } else { "yours" };
        Ok(format!("Kubernetes {} ({place})", version.git_version))
    }

    /// Installs the CRDs of the four groups and the namespace, and waits until they are served.
    pub(super) async fn install(&self) -> Result<String> {
        let crds: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let wanted = sluice_api::crds();
        let names: Vec<String> = wanted.iter().map(ResourceExt::name_any).collect();
        for crd in wanted {
            let name = crd.name_any();
            if crds.get_opt(&name).await?.is_none() {
                self.created().crds.push(name.clone());
            }
            crds.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&crd))
                .await
                .with_context(|| format!("cannot install CustomResourceDefinition {name}"))?;
        }
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        if namespaces.get_opt(NAMESPACE).await?.is_none() {
            self.created().namespace = true;
            let namespace =
                serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
            namespaces
                .patch(NAMESPACE, &PatchParams::apply(MANAGER).force(), &Patch::Apply(namespace))
                .await?;
        }
        eventually(self, CONTROLLERS_LIMIT, "the CRDs to be established", async || {
            for name in &names {
                let crd = crds.get(name).await?;
                let conditions = crd.status.and_then(|status| status.conditions).unwrap_or_default();
                if !conditions
                    .iter()
                    .any(|condition| condition.type_ == "Established" && condition.status == "True")
                {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await?;
        Ok(format!("{} CRDs are established", names.len()))
    }

    /// Starts source-controller, kustomize-controller and helm-controller.
    pub(super) async fn start_controllers(&self, folder: &Path) -> Result<String> {
        let storage = folder.join("artifacts");
        tokio::fs::create_dir_all(&storage).await?;
        let storage = storage.to_string_lossy().into_owned();
        let common = ["--metrics-addr=127.0.0.1:0", "--health-addr=127.0.0.1:0", "--log-level=error"];
        let source = source_controller::Config::try_parse_from(
            ["source-controller", "--storage-addr=127.0.0.1:0", "--storage-path", &storage]
                .into_iter()
                .chain(common),
        )?;
        let kustomize =
            kustomize_controller::Config::try_parse_from(["kustomize-controller"].into_iter().chain(common))?;
        let helm = helm_controller::Config::try_parse_from(["helm-controller"].into_iter().chain(common))?;
        let source = source_controller::run(source, self.client.clone(), self.shutdown.child_token());
        let kustomize =
            kustomize_controller::run(kustomize, self.client.clone(), self.shutdown.child_token());
        let helm = helm_controller::run(helm, self.client.clone(), self.shutdown.child_token());
        {
            let mut controllers = self.controllers();
            controllers.push(("source-controller", tokio::spawn(source)));
            controllers.push(("kustomize-controller", tokio::spawn(kustomize)));
            controllers.push(("helm-controller", tokio::spawn(helm)));
        }
        self.check_controllers()?;
        Ok("source-controller, kustomize-controller and helm-controller run".to_owned())
    }

    /// Fails where a controller has ended although nobody asked it to.
    pub(super) fn check_controllers(&self) -> Result<()> {
        for (name, task) in self.controllers().iter() {
            ensure!(!task.is_finished(), "{name} has ended");
        }
        Ok(())
    }

    /// Applies one manifest, server-side.
    pub(super) async fn apply(&self, manifest: &str) -> Result<()> {
        let value: serde_json::Value = sluice_yaml::from_str(manifest)?;
        let object: DynamicObject = serde_json::from_value(value)?;
        let types = object.types.clone().context("the manifest has no kind")?;
        let (group, version) = types.api_version.split_once('/').unwrap_or(("", &types.api_version));
        let plural = match types.kind.as_str() {
            "GitRepository" => "gitrepositories".to_owned(),
            "HelmRepository" => "helmrepositories".to_owned(),
            kind => format!("{}s", kind.to_lowercase()),
        };
        let resource = ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: types.api_version.clone(),
            kind: types.kind.clone(),
            plural,
        };
        let name = object.name_any();
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), NAMESPACE, &resource);
        api.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&object))
            .await
            .with_context(|| format!("cannot apply {} {NAMESPACE}/{name}", types.kind))?;
        Ok(())
    }

    /// Removes what the demo brought to a cluster of the user's, then ends the controllers and the embedded server.
    pub(super) async fn close(self) -> Result<()> {
        if self.embedded.is_none() {
            self.clean_up().await?;
        }
        self.shutdown.cancel();
        let controllers = std::mem::take(&mut *self.controllers());
        for (name, task) in controllers {
            match tokio::time::timeout(CONTROLLERS_LIMIT, task).await {
                Ok(ended) => ended?.with_context(|| format!("{name} failed"))?,
                Err(_) => bail!("{name} did not end within {} s", CONTROLLERS_LIMIT.as_secs()),
            }
        }
        if let Some(server) = self.embedded {
            server.stop().await;
        }
        Ok(())
    }

    /// Deletes the Flux objects (the controllers prune the app and uninstall the releases), then the CRDs and the
    /// namespace that were not there before.
    async fn clean_up(&self) -> Result<()> {
        let client = &self.client;
        let kustomizations: Api<sluice_api::kustomize::Kustomization> =
            Api::namespaced(client.clone(), NAMESPACE);
        let sources: Api<sluice_api::source::GitRepository> = Api::namespaced(client.clone(), NAMESPACE);
        let releases: Api<sluice_api::helm::HelmRelease> = Api::namespaced(client.clone(), NAMESPACE);
        let repositories: Api<sluice_api::source::HelmRepository> =
            Api::namespaced(client.clone(), NAMESPACE);
        self.remove(&releases, SHOP).await?;
        self.remove(&releases, BLOG).await?;
        self.remove(&repositories, SHOP).await?;
        self.remove(&kustomizations, KUSTOMIZATION).await?;
        self.remove(&sources, SOURCE).await?;
        let created = std::mem::take(&mut *self.created());
        for name in created.crds {
            delete(&Api::<CustomResourceDefinition>::all(client.clone()), &name).await?;
        }
        if created.namespace {
            delete(&Api::<Namespace>::all(client.clone()), NAMESPACE).await?;
        }
        Ok(())
    }

    /// Deletes an object and waits until its controller has let it go.
    async fn remove<K>(&self, api: &Api<K>, name: &str) -> Result<()>
    where
        K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
    {
        delete(api, name).await?;
        let what = format!("{name} to be deleted");
        eventually(self, CONTROLLERS_LIMIT, &what, async || {
            Ok(api.get_opt(name).await?.is_none().then_some(()))
        })
        .await
    }

    fn created(&self) -> std::sync::MutexGuard<'_, Created> {
        self.created.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn controllers(&self) -> std::sync::MutexGuard<'_, Controllers> {
        self.controllers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Deletes an object in the background; one that is gone already is no error.
async fn delete<K>(api: &Api<K>, name: &str) -> Result<()>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let background =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Background), ..DeleteParams::default() };
    match api.delete(name, &background).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot delete {name}")),
    }
}
