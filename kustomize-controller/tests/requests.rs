//! What a pass costs in requests: the controller in this process, against the embedded API server, which tells of each.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::runtime::wait::await_condition;
use kube::{Client, Config};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sluice_simulator::{Options, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

/// Field manager of what the test itself writes.
const TEST: &str = "test";
const NAMESPACE: &str = "default";

/// An API server, a file server, and the controller under test.
struct World {
    server: Server,
    client: Client,
    requests: Arc<Mutex<Vec<String>>>,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    address: std::net::SocketAddr,
    shutdown: CancellationToken,
    controller: tokio::task::JoinHandle<Result<()>>,
}

impl World {
    async fn start() -> Result<Self> {
        sluice_runtime::process::install_crypto();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = requests.clone();
        let server = Server::start(Options {
            observer: Some(Arc::new(move |request| {
                // What the test writes, and where it waits for one object by name.
                let own = ["fieldManager=test", "fieldSelector="].iter().any(|own| request.uri.contains(own));
                if !own && !request.uri.contains("watch=") {
                    log.lock().push(classify(&request.method, &request.uri));
                }
            })),
            ..Options::default()
        })
        .await?;
        let kubeconfig = Kubeconfig::from_yaml(&server.kubeconfig())?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let client = Client::try_from(config)?;
        let (files, address) = serve_files().await?;
        let shutdown = CancellationToken::new();
        let mut world = Self {
            server,
            client: client.clone(),
            requests,
            files,
            address,
            shutdown: shutdown.clone(),
            controller: tokio::spawn(async { Ok(()) }),
        };
        for crd in sluice_api::crds() {
            world.apply(&serde_json::to_value(&crd)?).await?;
        }
        let config = <kustomize_controller::Config as clap::Parser>::parse_from([
            "kustomize-controller",
            "--metrics-addr=0",
            "--health-addr=127.0.0.1:0",
            "--events-addr=",
            "--enable-leader-election=false",
        ]);
        world.controller = tokio::spawn(kustomize_controller::run(config, client, shutdown));
        Ok(world)
    }

    async fn apply(&self, object: &Value) -> Result<()> {
        self.patch(object, "").await
    }

    async fn patch(&self, object: &Value, subresource: &str) -> Result<()> {
        let object: DynamicObject = serde_json::from_value(object.clone())?;
        let types = object.types.clone().context("no kind")?;
        let api = self.api(&types.api_version, &types.kind, object.metadata.namespace.is_some());
        let name = object.metadata.name.clone().unwrap_or_default();
        let params = PatchParams::apply(TEST).force();
        match subresource {
            "" => drop(api.patch(&name, &params, &Patch::Apply(&object)).await?),
            _ => drop(api.patch_status(&name, &params, &Patch::Apply(&object)).await?),
        }
        Ok(())
    }

    fn api(&self, api_version: &str, kind: &str, namespaced: bool) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        match namespaced {
            true => Api::namespaced_with(self.client.clone(), NAMESPACE, &resource),
            false => Api::all_with(self.client.clone(), &resource),
        }
    }

    fn kustomizations(&self) -> Api<DynamicObject> {
        self.api("kustomize.toolkit.fluxcd.io/v1", "Kustomization", true)
    }

    /// Offers manifests as the artifact of a source, as source-controller would.
    async fn offer(&self, revision: &str, manifests: &str) -> Result<()> {
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("all.yaml"), manifests)?;
        let (_, bytes) = sluice_artifact::pack(dir.path(), |_, _| true, Vec::new())?;
        let digest = sluice_artifact::Algorithm::Sha256.digest(&bytes).to_string();
        let path = format!("{}.tar.gz", digest.replace(':', "-"));
        let size = bytes.len();
        self.files.lock().insert(path.clone(), bytes);
        self.apply(&source(&json!({"spec": {"interval": "1h", "url": "oci://example.com/app"}}))).await?;
        let artifact = json!({
            "path": path, "url": format!("http://{}/{path}", self.address), "revision": revision, "digest": digest,
            "lastUpdateTime": "2026-01-01T00:00:00Z", "size": size,
        });
        self.patch(&source(&json!({"status": {"artifact": artifact}})), "status").await
    }

    async fn until(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Result<()> {
        let fulfilled = |object: Option<&DynamicObject>| object.is_some_and(|o| condition(&o.data["status"]));
        let wait = await_condition(self.kustomizations(), "app", fulfilled);
        match tokio::time::timeout(std::time::Duration::from_secs(120), wait).await {
            Ok(outcome) => drop(outcome?),
            Err(_) => bail!("never happened: {what}; requests: {:?}", self.take()),
        }
        Ok(())
    }

    /// The requests of the controller since the last call, sorted; events are left out: they are told later.
    fn take(&self) -> Vec<String> {
        let mut requests = std::mem::take(&mut *self.requests.lock());
        requests.retain(|request| !request.ends_with(" events"));
        requests.sort();
        requests
    }

    async fn stop(self) -> Result<()> {
        self.shutdown.cancel();
        self.controller.await??;
        self.server.stop().await;
        Ok(())
    }
}

fn source(more: &Value) -> Value {
    let mut object = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository",
        "metadata": {"namespace": NAMESPACE, "name": "app"}});
    if let (Some(object), Some(more)) = (object.as_object_mut(), more.as_object()) {
        object.extend(more.clone());
    }
    object
}

/// `apply configmaps`, `try configmaps` for a dry run, `PATCH kustomizations/status`, …
fn classify(method: &str, uri: &str) -> String {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let mut segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    segments.drain(..if segments[0] == "apis" { segments.len().min(3) } else { segments.len().min(2) });
    if segments.len() > 2 && segments[0] == "namespaces" {
        segments.drain(..2);
    }
    let verb = match (query.contains("force=true"), query.contains("dryRun=All")) {
        (true, true) => "try",
        (true, false) => "apply",
        _ => method,
    };
    let resource = segments.first().copied().unwrap_or("discovery");
    let subresource = segments.get(2).map(|part| format!("/{part}")).unwrap_or_default();
    format!("{verb} {resource}{subresource}")
}

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Serves files by name, one request per connection.
async fn serve_files() -> Result<(Files, std::net::SocketAddr)> {
    let files = Files::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let served = files.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => request.push(byte),
                    Err(_) => break,
                }
            }
            let request = String::from_utf8_lossy(&request).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
            let found = served.lock().get(path).cloned();
            let (status, body) = found.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&body).await;
        }
    });
    Ok((files, address))
}

fn run(test: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(test)
}

fn manifests(image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings, namespace: default}}\ndata: {{a: b}}\n---\n\
         apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, namespace: default}}\nspec:\n\
         \x20 selector: {{matchLabels: {{app: web}}}}\n\x20 template:\n\x20   metadata: {{labels: {{app: web}}}}\n\
         \x20   spec: {{containers: [{{name: app, image: {image}}}]}}\n"
    )
}

fn is_ready(status: &Value, revision: &str) -> bool {
    let ready = status["conditions"].as_array().into_iter().flatten();
    status["lastAppliedRevision"] == revision
        && ready.clone().any(|c| c["type"] == "Ready" && c["status"] == "True")
        && !ready.clone().any(|c| c["type"] == "Reconciling")
}

#[test]
fn an_unchanged_pass_costs_one_write_and_a_change_one_apply() -> Result<()> {
    run(async {
        let world = World::start().await?;
        world.offer("latest@sha256:1", &manifests("app:v1")).await?;
        let kustomization = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"namespace": NAMESPACE, "name": "app"},
            "spec": {"interval": "1h", "prune": true, "wait": true, "timeout": "2m",
                "sourceRef": {"kind": "OCIRepository", "name": "app"}},
        });
        world.apply(&kustomization).await?;
        world.until("the first revision is ready", |status| is_ready(status, "latest@sha256:1")).await?;
        let first = world.take();
        for object in ["configmaps", "deployments"] {
            let count = |request: String| first.iter().filter(|r| **r == request).count();
            assert_eq!(
                (count(format!("try {object}")), count(format!("apply {object}"))),
                (1, 1),
                "each object is tried before any is applied: {first:?}"
            );
        }

        let asked = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}});
        let params = PatchParams { field_manager: Some(TEST.into()), ..PatchParams::default() };
        world.kustomizations().patch("app", &params, &Patch::Merge(asked)).await?;
        world.until("the request is handled", |status| status["lastHandledReconcileAt"] == "now").await?;
        assert_eq!(world.take(), ["PATCH kustomizations/status"]);

        world.offer("latest@sha256:2", &manifests("app:v2")).await?;
        world.until("the second revision is ready", |status| is_ready(status, "latest@sha256:2")).await?;
        let mut second = world.take();
        second.dedup();
        assert_eq!(
            second,
            ["PATCH kustomizations/status", "apply deployments"],
            "no request tells of readiness"
        );
        world.stop().await
    })
}

#[test]
fn a_source_that_is_about_to_come_is_not_complained_about() -> Result<()> {
    run(async {
        let world = World::start().await?;
        world.apply(&source(&json!({"spec": {"interval": "1h", "url": "oci://example.com/app"}}))).await?;
        let kustomization = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"namespace": NAMESPACE, "name": "app"},
            "spec": {"interval": "1h", "prune": true, "path": "./no/such/directory",
                "sourceRef": {"kind": "OCIRepository", "name": "app"}},
        });
        world.apply(&kustomization).await?;
        let ready = |status: &Value| {
            let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
            let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready");
            ready.map(|condition| condition["message"].as_str().unwrap_or_default().to_owned())
        };
        world
            .until("a source without artifact is told of in the end", |status| {
                ready(status).is_some_and(|message| message == "Source artifact not found, retrying in 30s")
            })
            .await?;
        world.take();
        world.offer("latest@sha256:1", &manifests("app:v1")).await?;
        world
            .until("a path is named as it is in the artifact", |status| {
                ready(status).is_some_and(|message| {
                    message
                        == "kustomization path not found: stat no/such/directory: no such file or directory"
                })
            })
            .await?;
        world.stop().await
    })
}
