//! Events as the two sinks receive them.

use super::*;
use crate::testing::client;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc::unbounded_channel;

fn object() -> ConfigMap {
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "namespace": "apps", "name": "web", "uid": "u", "resourceVersion": "7",
            "annotations": {"event.toolkit.fluxcd.io/cluster": "eu", "other": "x"},
        },
    }))
    .unwrap()
}

#[tokio::test]
async fn both_sinks_receive_flux_events() {
    let (kubernetes, mut created) = unbounded_channel::<Value>();
    let answering = client(move |seen| {
        assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/api/v1/namespaces/apps/events?"));
        kubernetes.send(seen.body.clone()).unwrap();
        Some((201, seen.body))
    });
    let (posts, mut posted) = unbounded_channel::<Value>();
    let tries = Arc::new(AtomicUsize::new(0));
    let receive = axum::routing::post(move |axum::Json(body): axum::Json<Value>| {
        let first = tries.fetch_add(1, Ordering::SeqCst) == 0;
        if !first {
            posts.send(body).unwrap();
        }
        // The first try meets a server that is not ready.
        async move { if first { axum::http::StatusCode::BAD_GATEWAY } else { axum::http::StatusCode::ACCEPTED } }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/", receive)).await });

    crate::process::install_crypto();
    let (recorder, delivery) = Recorder::new("kustomize-controller", &answering, &address).unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(delivery.run(shutdown.clone()));
    recorder.record(&object(), Event::trace("UpToDate", "for Kubernetes only"));
    let event = Event::error("BuildFailed", "no such file")
        .with("kustomize.toolkit.fluxcd.io/revision", "main@sha1:1");
    recorder.record(&object(), event.with("kustomize.toolkit.fluxcd.io/originRevision", ""));

    let body = posted.recv().await.unwrap();
    let host = crate::leader::hostname();
    let timestamp = body["timestamp"].as_str().unwrap().to_owned();
    assert_eq!(
        body,
        json!({
            "involvedObject": {
                "apiVersion": "v1", "kind": "ConfigMap", "namespace": "apps", "name": "web", "uid": "u", "resourceVersion": "7",
            },
            "severity": "error", "timestamp": timestamp, "message": "no such file", "reason": "BuildFailed",
            "metadata": {"kustomize.toolkit.fluxcd.io/revision": "main@sha1:1", "event.toolkit.fluxcd.io/cluster": "eu"},
            "reportingController": "kustomize-controller", "reportingInstance": host,
        })
    );
    let (trace, warning) = (created.recv().await.unwrap(), created.recv().await.unwrap());
    assert_eq!((&trace["type"], &trace["reason"]), (&json!("Normal"), &json!("UpToDate")));
    assert_eq!(
        (&warning["type"], &warning["source"]),
        (&json!("Warning"), &json!({"component": "kustomize-controller"}))
    );
    assert_eq!(warning["metadata"]["annotations"]["kustomize.toolkit.fluxcd.io/revision"], "main@sha1:1");
    assert_eq!(warning["involvedObject"]["uid"], "u");
    shutdown.cancel();
    running.await.unwrap().unwrap();
    assert!(posted.try_recv().is_err(), "traces are not posted");
}

#[tokio::test(start_paused = true)]
async fn recording_never_waits() {
    let (recorder, _stuck) = Recorder::new("x", &client(|_| None), "").unwrap();
    for i in 0..3 * QUEUE {
        recorder.record(&object(), Event::info("R", i.to_string()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_paced_and_a_burst_is_not() {
    let mut pace = Pace::default();
    let begun = Instant::now();
    for _ in 0..BURST {
        pace.turn().await;
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    for _ in 0..BURST {
        pace.turn().await;
    }
    assert!(begun.elapsed() > PAUSE * (BURST - 2), "{:?}", begun.elapsed());
    tokio::time::advance(PAUSE * BURST * 2).await;
    let later = Instant::now();
    for _ in 0..BURST {
        pace.turn().await;
    }
    assert_eq!(later.elapsed(), Duration::ZERO, "the burst is there again");
}

#[test]
fn addresses_that_cannot_be_posted_to_are_refused() {
    crate::process::install_crypto();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _in = runtime.enter();
    for address in ["notification-controller", "ftp://x/"] {
        assert!(Recorder::new("x", &client(|_| None), address).is_err(), "{address}");
    }
}
