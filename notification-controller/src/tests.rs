//! The endpoints against a local sink and a stand-in for the API server.

use crate::config::Config;
use crate::context::Context;
use crate::event::tests::example;
use crate::http::{self as server, answer};
use crate::{endpoint, receiver};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};
use sluice_runtime::controller::Key;
use sluice_runtime::events::{RecordedEvents, Recorder};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The objects of the stand-in, by path.
type Objects = Arc<Mutex<BTreeMap<String, Value>>>;

/// An API server that lists and gets objects by their path, and merges patches of annotations and statuses.
fn api(objects: &Objects) -> Client {
    let objects = objects.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let objects = objects.clone();
        async move {
            let path = request.uri().path().to_owned();
            let watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
            let patch = request.method() == http::Method::PATCH;
            let body = request.into_body().collect_bytes().await?;
            if watch {
                return std::future::pending().await;
            }
            let missing = json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404,
                "message": format!("{path} not found")});
            let mut objects = objects.lock();
            let (code, value) = match objects.get_mut(&path) {
                Some(object) if patch => {
                    let change: Value = serde_json::from_slice(&body).unwrap_or_default();
                    object["metadata"]["annotations"] = change["metadata"]["annotations"].clone();
                    (200, object.clone())
                }
                Some(object) => (200, object.clone()),
                None if path.matches('/').count() == 4 => {
                    let kind = path.rsplit('/').next().unwrap_or_default();
                    let items: Vec<Value> = objects
                        .iter()
                        .filter(|(path, _)| path.contains(&format!("/{kind}/")))
                        .map(|(_, object)| object.clone())
                        .collect();
                    (
                        200,
                        json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}),
                    )
                }
                None => (404, missing),
            };
            let body = Body::from(serde_json::to_vec(&value).unwrap());
            Ok::<_, kube::Error>(Response::builder().status(code).body(body).unwrap())
        }
    });
    Client::new(service, "default")
}

const GROUP: &str = "/apis/notification.toolkit.fluxcd.io";

fn object(version: &str, kind: &str, plural: &str, name: &str, more: Value) -> (String, Value) {
    let path = format!("{GROUP}/{version}/namespaces/flux-system/{plural}/{name}");
    let mut value = json!({
        "apiVersion": format!("notification.toolkit.fluxcd.io/{version}"), "kind": kind,
        "metadata": {"name": name, "namespace": "flux-system", "uid": name, "resourceVersion": "1", "generation": 1},
    });
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    (path, value)
}

fn secret(name: &str, data: Value) -> (String, Value) {
    let data: BTreeMap<String, k8s_openapi::ByteString> = data
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (key.clone(), k8s_openapi::ByteString(value.as_str().unwrap().into())))
        .collect();
    let value = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "namespace": "flux-system"}, "data": data});
    (format!("/api/v1/namespaces/flux-system/secrets/{name}"), value)
}

struct System {
    cx: Arc<Context>,
    objects: Objects,
    events: RecordedEvents,
    shutdown: CancellationToken,
}

/// The endpoints' state over some objects, when the watches have listed them.
async fn system(config: Config, objects: impl IntoIterator<Item = (String, Value)>) -> System {
    sluice_runtime::process::install_crypto();
    let objects: Objects = Arc::new(Mutex::new(objects.into_iter().collect()));
    let (recorder, events) = Recorder::for_tests();
    let gates = config.gates().unwrap();
    let cx = Arc::new(Context::new(config, gates, api(&objects), recorder));
    let shutdown = CancellationToken::new();
    let (alerts, providers, receivers) = (cx.alerts.clone(), cx.providers.clone(), cx.receivers.clone());
    let watch = kube::runtime::watcher::Config::default();
    let (client, stop) = (cx.client.clone(), shutdown.clone());
    tokio::spawn(async move {
        use crate::matching::Matcher;
        let alert = |alert: &sluice_api::notification::Alert| Arc::new(Matcher::new(Arc::new(alert.clone())));
        tokio::join!(
            alerts.run(kube::Api::all(client.clone()), watch.clone(), alert, |_| {}, stop.clone()),
            providers.run(
                kube::Api::all(client.clone()),
                watch.clone(),
                |p| Arc::new(Clone::clone(p)),
                |_| {},
                stop.clone()
            ),
            receivers.run(kube::Api::all(client), watch, |r| Arc::new(Clone::clone(r)), |_| {}, stop),
        );
    });
    cx.alerts.synced().await;
    cx.providers.synced().await;
    cx.receivers.synced().await;
    System { cx, objects, events, shutdown }
}

impl System {
    async fn post(&self, body: impl Into<Bytes>) -> server::Answer {
        let request = Request::new(Full::new(body.into()));
        endpoint::post(self.cx.clone(), self.shutdown.clone(), request).await
    }

    async fn hook(&self, uri: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> server::Answer {
        let mut request = Request::builder().method("POST").uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        receiver::handle(self.cx.clone(), request.body(Full::new(body.into())).unwrap()).await
    }

    /// Waits for the events on Alerts.
    async fn told(&mut self) -> Vec<(String, String)> {
        loop {
            let events = self.events.drain();
            if !events.is_empty() {
                return events.into_iter().map(|(object, event)| (object, event.message)).collect();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// A service that notes what it is sent and answers with a status; status 0 is no answer at all.
async fn sink(status: u16) -> (String, mpsc::UnboundedReceiver<(http::request::Parts, Bytes)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hooks/q1w2e3r4", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(server::serve(listener, CancellationToken::new(), move |request| {
        let sender = sender.clone();
        async move {
            let (parts, body) = request.into_parts();
            let _ = sender.send((parts, server::read(body).await.unwrap_or_default()));
            match status {
                0 => std::future::pending().await,
                status => answer(StatusCode::from_u16(status).unwrap(), "no q1w2e3r4 for hunter2"),
            }
        }
    }));
    (url, receiver)
}

fn provider(name: &str, spec: Value) -> (String, Value) {
    object("v1beta3", "Provider", "providers", name, json!({"spec": spec}))
}

fn alert(name: &str, provider: &str) -> (String, Value) {
    let spec =
        json!({"providerRef": {"name": provider}, "eventSources": [{"kind": "Kustomization", "name": "*"}]});
    object("v1beta3", "Alert", "alerts", name, json!({"spec": spec}))
}

fn event(message: &str) -> Vec<u8> {
    serde_json::to_vec(&crate::event::Event { message: message.into(), ..example() }).unwrap()
}

#[tokio::test]
async fn an_event_reaches_the_service_once() {
    let (url, mut got) = sink(204).await;
    let objects = [
        provider(
            "p",
            json!({"type": "generic-hmac", "address": "http://overridden.invalid", "secretRef": {"name": "s"}}),
        ),
        secret("s", json!({"token": "hunter2", "address": url, "headers": "X-Team: a"})),
        alert("a", "p"),
    ];
    let system = system(Config::default(), objects).await;
    let response = system.post(event("one")).await;
    assert_eq!(response.status(), 202);
    assert_eq!(response.headers()["x-ratelimit-limit"], "1");
    let (parts, body) = got.recv().await.unwrap();
    assert_eq!((parts.method.as_str(), parts.uri.path()), ("POST", "/hooks/q1w2e3r4"));
    assert_eq!(parts.headers["x-team"], "a");
    assert!(parts.headers["x-signature"].to_str().unwrap().starts_with("sha256="));
    let sent: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&sent["message"], &sent["involvedObject"]["name"]), (&json!("one"), &json!("apps")));
    let again = system.post(event("one")).await;
    assert_eq!(again.status(), 429);
    assert!(again.headers().contains_key("retry-after"));
    assert_eq!(system.post(event("two")).await.status(), 202);
    let (_, body) = got.recv().await.unwrap();
    assert!(String::from_utf8_lossy(&body).contains("\"two\""), "the repetition was not sent");
}

#[tokio::test]
async fn a_dead_service_holds_up_no_other() {
    let (dead, mut hangs) = sink(0).await;
    let (alive, mut got) = sink(200).await;
    let objects = [
        provider("dead", json!({"type": "generic", "address": dead, "timeout": "1h0m0s"})),
        provider("alive", json!({"type": "generic", "address": alive})),
        alert("a", "dead"),
        alert("b", "alive"),
    ];
    let system = system(Config::default(), objects).await;
    for n in 0..50 {
        assert_eq!(system.post(event(&n.to_string())).await.status(), 202);
    }
    hangs.recv().await.unwrap();
    for n in 0..50 {
        let (_, body) = got.recv().await.unwrap();
        let sent: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(sent["message"], n.to_string(), "the events of an object keep their order");
    }
}

#[tokio::test]
async fn failures_are_told_on_the_alert_without_secrets() {
    let (url, mut got) = sink(400).await;
    let objects = [
        provider("refuses", json!({"type": "slack", "secretRef": {"name": "s"}})),
        secret("s", json!({"token": "hunter2", "address": url})),
        alert("a", "refuses"),
    ];
    let mut one = system(Config::default(), objects).await;
    one.post(event("one")).await;
    got.recv().await.unwrap();
    let told = one.told().await;
    assert_eq!(told[0].0, "Alert/flux-system/a");
    assert!(told[0].1.contains("failed to send notification for Kustomization/flux-system/apps: postMessage failed: request failed: request failed with status code 400: no"), "{told:?}");
    assert!(!told[0].1.contains("hunter2") && !told[0].1.contains("/hooks/q1w2e3r4"), "{told:?}");

    for (providers, want) in [
        (vec![], "failed to read provider: providers.notification.toolkit.fluxcd.io \"p\" not found"),
        (
            vec![provider("p", json!({"type": "generic", "secretRef": {"name": "none"}}))],
            "failed to initialize notifier for provider 'p': failed to get secret 'flux-system/none'",
        ),
        (
            vec![provider("p", json!({"type": "nats", "address": "nats://x"}))],
            "provider nats is not built yet",
        ),
        (
            vec![provider(
                "p",
                json!({"type": "generic", "address": "https://x", "serviceAccountName": "x"}),
            )],
            "please enable the ObjectLevelWorkloadIdentity feature gate",
        ),
    ] {
        let mut system = system(Config::default(), providers.into_iter().chain([alert("a", "p")])).await;
        assert_eq!(system.post(event("one")).await.status(), 202);
        let told = system.told().await;
        assert!(told[0].1.contains(want), "{told:?}");
    }
    // A suspended one says nothing, whatever is wrong with it.
    let (url, mut got) = sink(200).await;
    let quiet = [
        provider("p", json!({"type": "generic", "secretRef": {"name": "none"}, "suspend": true})),
        provider("q", json!({"type": "generic", "address": url})),
        alert("a", "p"),
        alert("b", "q"),
    ];
    let mut system = system(Config::default(), quiet).await;
    system.post(event("one")).await;
    got.recv().await.unwrap();
    assert_eq!(system.events.drain(), []);
}

#[tokio::test]
async fn another_namespace_s_events_are_refused_where_that_is_forbidden() {
    let mut own = alert("a", "p");
    own.1["spec"]["eventSources"][0]["namespace"] = json!("other");
    let config = Config { no_cross_namespace_refs: true, ..Config::default() };
    let mut system =
        system(config, [provider("p", json!({"type": "generic", "address": "http://x"})), own]).await;
    let mut foreign = example();
    foreign.involved_object.namespace = "other".into();
    system.post(serde_json::to_vec(&foreign).unwrap()).await;
    let told = system.told().await;
    assert!(told[0].1.contains("alert 'flux-system/a' can't process event from 'Kustomization/other/apps', cross-namespace references have been blocked"), "{told:?}");
}

#[tokio::test]
async fn bodies_are_bounded_before_anything_else() {
    let system = system(Config::default(), []).await;
    for (size, want) in [(server::MAX_BODY, 400), (server::MAX_BODY + 1, 413)] {
        assert_eq!(system.post(vec![b'x'; size]).await.status(), want);
    }
    assert_eq!(system.post("{").await.status(), 400);
    assert_eq!(system.post("[".repeat(100_000)).await.status(), 400);
    for (size, want) in [(server::MAX_BODY, 404), (server::MAX_BODY + 1, 413)] {
        assert_eq!(system.hook("/hook/x", &[], vec![b'x'; size]).await.status(), want);
    }
}

const TOKEN: &str = "s3cr3t-t0ken";
const PATH: &str = "/hook/b0fa0533de3c38d03a53393b6a2982d4f1aa1c697aeaf16ec08d55c54d53f6f3";

fn webhook(spec: Value, ready: &str) -> (String, Value) {
    let condition = json!({"type": "Ready", "status": ready, "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let mut all = json!({"type": "generic", "secretRef": {"name": "s"}, "resources": []});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let more = json!({"spec": all, "status": {"observedGeneration": 1, "webhookPath": PATH, "conditions": [condition]}});
    object("v1", "Receiver", "receivers", "github-receiver", more)
}

const REPOSITORY: &str = "/apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/gitrepositories/app";

fn repository() -> (String, Value) {
    let value = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": "app", "namespace": "flux-system", "labels": {"team": "a"}}});
    (REPOSITORY.to_owned(), value)
}

#[tokio::test]
async fn a_webhook_asks_for_what_it_names() {
    let app = json!({"kind": "GitRepository", "name": "app"});
    let with = |more: Value| {
        let mut app = app.clone();
        app.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"resources": [app]})
    };
    let json = ("Content-Type", "application/json");
    for (spec, headers, body, want, asked) in [
        (with(json!({})), vec![], "", 200, true),
        (with(json!({"name": "none"})), vec![], "", 500, false),
        (with(json!({"name": "*"})), vec![], "", 500, false),
        (with(json!({"kind": "Kustomization"})), vec![], "", 500, false),
        (with(json!({"filter": "res.metadata.name == 'app'"})), vec![], "", 200, true),
        (with(json!({"filter": "res.metadata.name == 'other'"})), vec![], "", 200, false),
        (with(json!({"filter": "req.ref == 'main'"})), vec![json], r#"{"ref":"main"} trailing"#, 200, true),
        (with(json!({"filter": "req.ref == 'main'"})), vec![json], r#"{"ref":"other"}"#, 200, false),
        (with(json!({"filter": "req.ref == 'main'"})), vec![json], "[]", 500, false),
        (with(json!({"filter": "req.ref == 'main'"})), vec![json], "", 500, false),
        (with(json!({"filter": "req.ref == 'main'"})), vec![], r#"{"ref":"main"}"#, 500, false),
        (with(json!({"filter": "req.ref =="})), vec![json], "{}", 500, false),
        (json!({"type": "gitlab", "resources": [app]}), vec![("X-Gitlab-Token", TOKEN)], "{}", 200, true),
        (json!({"type": "gitlab", "resources": [app]}), vec![("X-Gitlab-Token", "x")], "{}", 400, false),
    ] {
        let objects = [webhook(spec.clone(), "True"), repository(), secret("s", json!({"token": TOKEN}))];
        let system = system(Config::default(), objects).await;
        let response = system.hook(PATH, &headers, body).await;
        assert_eq!(response.status(), want, "{spec} {body}");
        let stored = system.objects.lock()[REPOSITORY].clone();
        let annotation = &stored["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"];
        assert_eq!(annotation.is_string(), asked, "{spec} {body}");
    }
}

#[tokio::test]
async fn calls_that_lead_nowhere_have_flux_s_codes() {
    let token = || secret("s", json!({"token": TOKEN}));
    for (receiver, secret, uri, want) in [
        (webhook(json!({}), "True"), token(), PATH.to_owned(), 200),
        (webhook(json!({}), "True"), token(), format!("{PATH}?x=1"), 404),
        (webhook(json!({}), "True"), token(), "/hook/none".into(), 404),
        (webhook(json!({}), "True"), token(), "/".into(), 404),
        (webhook(json!({}), "True"), token(), format!("/{PATH}"), 307),
        (webhook(json!({}), "False"), token(), PATH.into(), 503),
        (webhook(json!({"suspend": true}), "True"), token(), PATH.into(), 503),
        (webhook(json!({"secretRef": {"name": "none"}}), "True"), token(), PATH.into(), 400),
        (
            webhook(json!({"type": "gitlab"}), "True"),
            self::secret("s", json!({"token": ""})),
            PATH.into(),
            400,
        ),
    ] {
        let what = format!("{receiver:?} {uri}");
        let system = system(Config::default(), [receiver, secret]).await;
        assert_eq!(system.hook(&uri, &[], "").await.status(), want, "{what}");
    }
    let redirect = system(Config::default(), []).await.hook("//hook/x", &[], "").await;
    assert_eq!(redirect.headers()["location"], "/hook/x");
}

#[tokio::test]
async fn connections_that_send_nothing_are_closed_and_others_served() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let serving =
        tokio::spawn(server::serve(listener, shutdown.clone(), |_| async { answer(StatusCode::OK, "ok") }));
    let _silent = TcpStream::connect(address).await.unwrap();
    let text = reqwest::get(format!("http://{address}/")).await.unwrap().text().await.unwrap();
    assert_eq!(text, "ok");
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_provider_that_is_gone_leaves_no_lane() {
    let (url, mut got) = sink(200).await;
    let system = system(
        Config::default(),
        [provider("p", json!({"type": "generic", "address": url})), alert("a", "p")],
    )
    .await;
    system.post(event("one")).await;
    got.recv().await.unwrap();
    let key = Key::new("flux-system", "p");
    assert_eq!(format!("{:?}", system.cx.lanes).matches("flux-system/p").count(), 1);
    system.cx.lanes.forget(&key);
    assert_eq!(format!("{:?}", system.cx.lanes).matches("flux-system/p").count(), 0);
}
