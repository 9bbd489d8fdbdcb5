//! What leaves the cluster and what comes in: events reach a service, and a signed webhook makes a commit land at once.

use anyhow::{Context, Result, ensure};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sluice_git::testing::{GitServer, Options};
use sluice_tests::flux::{self, Flux, NAMESPACE};
use sluice_tests::{Cluster, Controller, Kind, eventually, on_both_servers};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

on_both_servers!(events_go_out_and_webhooks_come_in);

const PROGRAM: &str = env!("CARGO_BIN_EXE_controller");
const APP: &str = "app";
/// A push as GitHub tells it, and its signature under the token.
const TOKEN: &str = "s3cr3t-t0ken";
const PUSH: &str = r#"{"ref":"refs/heads/main","repository":{"full_name":"org/repo"}}"#;
const SIGNATURE: &str = "sha256=fb83dce192c3bc196f9314504d520e4ae1d3d0b720bfcca9a168a9f05113b611";

async fn events_go_out_and_webhooks_come_in(cluster: &Cluster) -> Result<()> {
    let sink = Sink::start().await?;
    flux::install(cluster).await?;
    let mut notification = Controller::start(cluster, PROGRAM, Kind::Notification, &[]).await?;
    let events = format!("--events-addr=http://{}/", notification.flag("--events-addr")?);
    let controllers = Flux::start(cluster, PROGRAM, &[&events]).await?;
    cluster.namespace(APP).await?;
    let server = GitServer::start(Options::default()).await;
    let repository = server.repository("app.git");
    let map = |value: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map", "namespace": APP},
            "data": {"value": value}})
        .to_string()
    };

    cluster
        .apply(&notification_object("v1beta3", "Provider", json!({"type": "generic", "address": sink.url})))
        .await?;
    let sources = json!([{"kind": "Kustomization", "name": "*"}]);
    let alert = json!({"providerRef": {"name": APP}, "eventSources": sources, "summary": "the test's"});
    cluster.apply(&notification_object("v1beta3", "Alert", alert)).await?;
    cluster.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "webhook", "namespace": NAMESPACE},
        "stringData": {"token": TOKEN}})).await?;
    let receiver = json!({"type": "github", "events": ["push"], "secretRef": {"name": "webhook"},
        "resources": [{"kind": "GitRepository", "name": APP}]});
    cluster.apply(&notification_object("v1", "Receiver", receiver)).await?;
    let receiver = flux::until(cluster, "Receiver", APP, "to be ready", flux::is_ready).await?;
    let path = receiver.data["status"]["webhookPath"].as_str().context("the receiver has no path")?;
    let hook = format!("http://{}{path}", notification.flag("--receiverAddr")?);

    repository.write("app/map.yaml", map("first"));
    let first = repository.commit("add the app");
    cluster.apply(&flux::git_repository(APP, &server.url("app.git"))).await?;
    cluster.apply(&flux::kustomization(APP, "GitRepository", APP, "app")).await?;
    flux::applied(cluster, APP, &first).await?;
    sink.told(&first).await?;

    repository.write("app/map.yaml", map("second"));
    let second = repository.commit("change the app");
    let call = async |signature: &str| -> Result<u16> {
        let request = reqwest::Client::new().post(&hook).header("content-type", "application/json");
        let request = request.header("x-github-event", "push").header("x-hub-signature-256", signature);
        Ok(request.body(PUSH).send().await?.status().as_u16())
    };
    ensure!(call("sha256=00").await? == 400, "a wrong signature is accepted");
    let object = flux::objects(cluster, "GitRepository")?.get(APP).await?;
    let asked =
        object.metadata.annotations.unwrap_or_default().contains_key("reconcile.fluxcd.io/requestedAt");
    ensure!(!asked, "a wrong signature led to a request");
    // The interval is an hour: nothing else would fetch the commit.
    ensure!(call(SIGNATURE).await? == 200, "a signed webhook is refused: {}", notification.tail());
    flux::applied(cluster, APP, &second).await?;
    sink.told(&second).await?;

    controllers.stop().await?;
    notification.stop().await
}

fn notification_object(version: &str, kind: &str, spec: Value) -> Value {
    json!({"apiVersion": format!("notification.toolkit.fluxcd.io/{version}"), "kind": kind,
        "metadata": {"name": APP, "namespace": NAMESPACE}, "spec": spec})
}

/// A service that keeps the events it is sent.
struct Sink {
    url: String,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Sink {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let events: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = events.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = kept.clone();
                tokio::spawn(async move {
                    if let Ok(event) = take(stream).await {
                        kept.lock().push(event);
                    }
                });
            }
        });
        Ok(Self { url, events })
    }

    /// Waits for an event that says that a commit was applied, with what the Alert adds.
    async fn told(&self, commit: &str) -> Result<()> {
        eventually("the service to be told of a commit", async || {
            let events = self.events.lock().clone();
            let told = events.iter().any(|event| {
                let revision = event["metadata"]["revision"].as_str().unwrap_or_default();
                revision.ends_with(commit)
                    && event["involvedObject"]["kind"] == "Kustomization"
                    && event["metadata"]["summary"] == "the test's"
                    && event["reportingController"] == "kustomize-controller"
            });
            Ok(told.then_some(()))
        })
        .await
    }
}

/// Reads one request with a body of JSON, and answers it.
async fn take(stream: TcpStream) -> Result<Value> {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
    Ok(serde_json::from_slice(&body)?)
}
