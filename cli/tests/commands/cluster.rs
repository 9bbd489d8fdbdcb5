//! An API server to run the program against, and what plays the controllers.

use std::process::Stdio;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use sluice_api::kustomize::Kustomization;
use sluice_api::source::GitRepository;
use sluice_simulator::{Options, Server};

pub(crate) const SHA1: &str = "696f056df216eea4f9401adbee0ff744d4df390f";

/// An API server with the CRDs of all kinds and a namespace.
pub(crate) struct Cluster {
    pub(crate) server: Server,
    pub(crate) client: kube::Client,
    folder: tempfile::TempDir,
}

/// What a run of the program said.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = Server::start(Options::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        server.write_kubeconfig(&folder.path().join("kubeconfig")).unwrap();
        let kubeconfig = Kubeconfig::from_yaml(&server.kubeconfig()).unwrap();
        let config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        let client = kube::Client::try_from(config).unwrap();
        let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
        for crd in sluice_api::crds() {
            crds.create(&PostParams::default(), &crd).await.unwrap();
        }
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some("flux-system".to_owned());
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
        Self { server, client, folder }
    }

    pub(crate) async fn run(&self, arguments: &str) -> Run {
        run(&format!("--kubeconfig {} {arguments}", self.folder.path().join("kubeconfig").display())).await
    }

    /// Creates an object and its status.
    pub(crate) async fn create<K>(&self, object: Value) -> K
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::Serialize
            + serde::de::DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), "flux-system");
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let created = api
            .create(&PostParams::default(), &serde_json::from_value(object.clone()).unwrap())
            .await
            .unwrap();
        if object["status"].is_null() {
            return created;
        }
        let status = json!({"status": object["status"]});
        api.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap()
    }

    pub(crate) async fn repository(&self, name: &str) {
        self.create::<GitRepository>(json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": name, "namespace": "flux-system"},
            "spec": {"url": "https://example.com/repo", "interval": "1m"},
            "status": {
                "observedGeneration": 1,
                "artifact": artifact("main"),
                "conditions": [ready("True", &format!("stored artifact for revision 'main@sha1:{SHA1}'"))],
            },
        }))
        .await;
    }

    pub(crate) async fn kustomization(&self, name: &str, entries: &[&str]) {
        let entries: Vec<_> = entries.iter().map(|id| json!({"id": id, "v": "v1"})).collect();
        self.create::<Kustomization>(json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": name, "namespace": "flux-system"},
            "spec": {"interval": "1m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "repo"}},
            "status": {
                "observedGeneration": 1,
                "lastAppliedRevision": format!("main@sha1:{SHA1}"),
                "inventory": {"entries": entries},
                "conditions": [ready("True", &format!("Applied revision: main@sha1:{SHA1}"))],
            },
        }))
        .await;
    }
}

pub(crate) fn artifact(branch: &str) -> Value {
    json!({
        "path": "gitrepository/flux-system/repo/x.tar.gz", "url": "http://source-controller/x.tar.gz",
        "revision": format!("{branch}@sha1:{SHA1}"), "digest": "sha256:ab", "lastUpdateTime": "2026-01-01T00:00:00Z",
    })
}

pub(crate) fn ready(status: &str, message: &str) -> Value {
    json!({
        "type": "Ready", "status": status, "reason": "Tested", "message": message,
        "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z",
    })
}

pub(crate) async fn run(arguments: &str) -> Run {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(arguments.split_whitespace())
        .env_remove("FLUX_SYSTEM_NAMESPACE")
        .env_remove("FLUX_NS_FOLLOWS_KUBE_CONTEXT")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Answers each request to reconcile an object, as its controller would, with what `status` makes of the request.
pub(crate) async fn answer<K>(client: kube::Client, name: &str, status: impl Fn(&str) -> Value)
where
    K: sluice_api::Reconcilable
        + kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + 'static,
{
    use futures::{StreamExt, TryStreamExt};
    use kube::runtime::{WatchStreamExt, watcher};
    let api: Api<K> = Api::namespaced(client, "flux-system");
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut objects = watcher(api.clone(), config).applied_objects().boxed();
    while let Some(object) = objects.try_next().await.unwrap() {
        let Some(request) = object.requested_at() else { continue };
        if object.last_handled_reconcile_at() != Some(request) {
            let patch = json!({"status": status(request)});
            api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
        }
    }
}
