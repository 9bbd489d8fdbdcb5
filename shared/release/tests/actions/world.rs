//! A cluster and releases in it.

use std::sync::Arc;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Client, Config};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use sluice_helm::chart::LoadOptions;
use sluice_helm::release::Release;
use sluice_helm::{Chart, ChartFile};
use sluice_release::{Cluster, Done, Helm, Identity, LoadedChart, Target};
use sluice_simulator::{Options, Server};
use tokio_util::sync::CancellationToken;

pub(crate) const NAMESPACE: &str = "default";

/// The embedded API server, with a note of each request.
pub(crate) struct World {
    _server: Server,
    pub(crate) client: Client,
    pub(crate) cluster: Cluster,
    requests: Arc<Mutex<Vec<String>>>,
}

impl World {
    pub(crate) async fn start() -> Result<Self> {
        sluice_runtime::process::install_crypto();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = requests.clone();
        let server = Server::start(Options {
            observer: Some(Arc::new(move |request| {
                log.lock().push(format!("{} {}", request.method, request.uri))
            })),
            ..Options::default()
        })
        .await?;
        let kubeconfig = Kubeconfig::from_yaml(&server.kubeconfig())?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let client = Client::try_from(config)?;
        Ok(Self { _server: server, client: client.clone(), cluster: Cluster::new(client), requests })
    }

    /// A fresh handle on the release `web`.
    pub(crate) fn helm(&self) -> Helm {
        self.helm_until(CancellationToken::new())
    }

    pub(crate) fn helm_until(&self, cancel: CancellationToken) -> Helm {
        let target = Target {
            release: "web".into(),
            namespace: NAMESPACE.into(),
            storage_namespace: NAMESPACE.into(),
        };
        let origin =
            [("helm.toolkit.fluxcd.io/name", "web"), ("helm.toolkit.fluxcd.io/namespace", NAMESPACE)];
        let identity = Identity {
            field_manager: "helm-controller".into(),
            origin: origin.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        };
        Helm::new(&self.cluster, target, identity, cancel)
    }

    pub(crate) fn api(&self, api_version: &str, kind: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        match kind {
            "Namespace" | "CustomResourceDefinition" => Api::all_with(self.client.clone(), &resource),
            _ => Api::namespaced_with(self.client.clone(), NAMESPACE, &resource),
        }
    }

    /// A ConfigMap's `data`, if it is there.
    pub(crate) async fn data(&self, name: &str) -> Result<Option<Value>> {
        Ok(self.api("v1", "ConfigMap").get_opt(name).await?.map(|object| object.data["data"].clone()))
    }

    /// Applies an object as somebody else.
    pub(crate) async fn apply(&self, object: Value) -> Result<()> {
        let object: DynamicObject = serde_json::from_value(object)?;
        let types = object.types.clone().context("no kind")?;
        let name = object.metadata.name.clone().context("no name")?;
        let params = PatchParams::apply("somebody").force();
        self.api(&types.api_version, &types.kind).patch(&name, &params, &Patch::Apply(&object)).await?;
        Ok(())
    }

    /// Stores a revision as another program would.
    pub(crate) async fn store(&self, release: &Release) -> Result<()> {
        let content = STANDARD.encode(sluice_helm::release::encode(release));
        let name = sluice_helm::release::secret_name(&release.name, release.version);
        self.apply(serde_json::json!({
            "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
            "metadata": {"name": name, "labels": sluice_helm::release::labels(release, false, Timestamp::now())},
            "data": {"release": content},
        }))
        .await
    }

    /// Revisions in storage with their status and description, as a new handle reads them.
    pub(crate) async fn stored(&self) -> Result<Vec<String>> {
        let releases = self.helm().history().await?;
        Ok(releases.iter().map(told).collect())
    }

    /// The requests since the last call, without discovery; names are left out.
    pub(crate) fn requests(&self) -> Vec<String> {
        let mut requests = std::mem::take(&mut *self.requests.lock());
        requests.retain(|request| {
            let path = request.split(['?', ' ']).nth(1).unwrap_or_default();
            !matches!(path, "/version" | "/api" | "/apis") && path.split('/').count() > 4
        });
        requests
            .iter()
            .map(|request| {
                let (verb, uri) = request.split_once(' ').unwrap_or_default();
                let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
                let segments: Vec<_> = path.split('/').collect();
                let after = segments.iter().position(|s| *s == "namespaces").map_or(3, |at| at + 2);
                let watch = if query.contains("watch=true") { " (watch)" } else { "" };
                format!("{verb} {}{watch}", segments.get(after).copied().unwrap_or_default())
            })
            .collect()
    }
}

/// `v1 deployed: Install complete`
pub(crate) fn told(release: &Release) -> String {
    format!("v{} {}: {}", release.version, release.info.status, release.info.description)
}

/// What an action stored, in order.
pub(crate) fn written(done: &Done) -> Vec<String> {
    done.written.iter().map(|release| format!("v{} {}", release.version, release.info.status)).collect()
}

/// The text of a failed action.
pub(crate) fn failure(done: Done) -> String {
    match done.result {
        Ok(release) => panic!("it got through: {}", told(&release)),
        Err(error) => error.to_string(),
    }
}

/// A chart of templates and other files.
pub(crate) fn chart(version: &str, files: &[(&str, &str)]) -> LoadedChart {
    let file = |name: &str, text: String| ChartFile { name: name.into(), data: text.into(), modified: None };
    let mut all = vec![file("Chart.yaml", format!("apiVersion: v2\nname: app\nversion: {version}\n"))];
    all.extend(files.iter().map(|(name, text)| file(name, (*text).to_owned())));
    LoadedChart::new(Chart::from_files(all, &LoadOptions::default()).expect("a chart"))
}

pub(crate) fn values(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}
