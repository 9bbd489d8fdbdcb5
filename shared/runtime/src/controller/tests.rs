//! The controller loop against a stand-in for the API server.

use super::*;
use crate::metrics::Metrics;
use crate::testing::client;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

fn object(name: &str, generation: i64) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "namespace": "ns", "name": name, "uid": name, "resourceVersion": "1", "generation": generation,
        "managedFields": [{"manager": "x"}],
    }})
}

/// Lists these objects; the watch stays silent.
fn api(names: &'static [&'static str]) -> Api<ConfigMap> {
    let answering = client(move |seen| {
        if seen.path.contains("watch=true") {
            return None;
        }
        let items: Vec<Value> = names.iter().map(|name| object(name, 1)).collect();
        Some((
            200,
            json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}),
        ))
    });
    Api::all(answering)
}

fn options(concurrent: usize) -> Options {
    Options {
        name: "configmap".into(),
        concurrent,
        selector: String::new(),
        jitter: 0,
        backoff: Backoff { min: Duration::from_secs(1), max: Duration::from_secs(60) },
        grace: Duration::from_secs(5),
        metrics: Metrics::new(),
    }
}

type Script = Box<dyn Fn(usize) -> Outcome + Send + Sync>;

/// Reports each pass and ends it as the script says.
struct Scripted {
    passes: mpsc::UnboundedSender<(String, Cause, tokio::time::Instant)>,
    count: Mutex<usize>,
    script: Script,
}

impl Reconciler for Scripted {
    type Object = ConfigMap;

    async fn reconcile(&self, pass: Pass<ConfigMap>) -> Outcome {
        assert!(pass.object.metadata.managed_fields.is_none());
        let n = {
            let mut count = self.count.lock();
            *count += 1;
            *count
        };
        let _ = self.passes.send((pass.key.to_string(), pass.cause.clone(), tokio::time::Instant::now()));
        (self.script)(n)
    }
}

fn scripted(
    script: impl Fn(usize) -> Outcome + Send + Sync + 'static,
) -> (Arc<Scripted>, mpsc::UnboundedReceiver<(String, Cause, tokio::time::Instant)>) {
    let (passes, seen) = mpsc::unbounded_channel();
    (Arc::new(Scripted { passes, count: Mutex::new(0), script: Box::new(script) }), seen)
}

#[tokio::test(start_paused = true)]
async fn listed_objects_run_once_and_triggers_run_them_again() {
    let (reconciler, mut seen) = scripted(|_| Outcome::Done);
    let (controller, handle) = Controller::new(api(&["a", "b"]), options(2));
    let shutdown = CancellationToken::new();
    let run = tokio::spawn(controller.run(reconciler, shutdown.clone()));
    let first: Vec<_> =
        [seen.recv().await.unwrap(), seen.recv().await.unwrap()].into_iter().map(|p| (p.0, p.1)).collect();
    assert_eq!(first, [("ns/a".into(), Cause::Start), ("ns/b".into(), Cause::Start)]);
    handle.trigger(Key::new("ns", "unknown"), Cause::Own);
    handle.trigger(Key::new("ns", "b"), Cause::related("GitRepository", "ns", "r"));
    let next = seen.recv().await.unwrap();
    assert_eq!((next.0.as_str(), next.1), ("ns/b", Cause::Related("GitRepository/ns/r".into())));
    assert_eq!(handle.store().len(), 2);
    shutdown.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_hides_no_other() {
    let unreadable = |version: &str| {
        let mut object = object("bad", 1);
        object["metadata"]["resourceVersion"] = json!(version);
        object["data"] = json!({"k": 5});
        object
    };
    let (events, watch) = mpsc::unbounded_channel::<Value>();
    let watch = Arc::new(Mutex::new(Some(watch)));
    let answering = client(move |seen| {
        if !seen.path.contains("watch=true") {
            let items = [unreadable("1"), object("good", 1)];
            let metadata = json!({"resourceVersion": "1"});
            let list =
                json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": metadata, "items": items});
            return Some((200, list));
        }
        // One event per watch: the client comes back after the end of each.
        let event = watch.lock().as_mut().and_then(|events| events.try_recv().ok());
        event.map(|event| (200, event))
    });
    let mut broken = object("good", 2);
    broken["metadata"]["resourceVersion"] = json!("2");
    broken["data"] = json!("x");
    events.send(json!({"type": "MODIFIED", "object": broken})).unwrap();
    let mut mended = object("bad", 2);
    mended["metadata"]["resourceVersion"] = json!("3");
    events.send(json!({"type": "MODIFIED", "object": mended})).unwrap();
    let (reconciler, mut seen) = scripted(|_| Outcome::Done);
    let (controller, handle) = Controller::new(Api::all(answering), options(1));
    let shutdown = CancellationToken::new();
    let run = tokio::spawn(controller.run(reconciler, shutdown.clone()));
    let mut woken = Vec::new();
    for _ in 0..2 {
        woken.push(seen.recv().await.unwrap().0);
    }
    assert_eq!(woken, ["ns/good", "ns/bad"], "the second one after it was mended");
    assert!(handle.store().get(&Key::new("ns", "good")).is_none(), "what it was is not what it is");
    shutdown.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn outcomes_decide_when_the_next_pass_comes() {
    let (reconciler, mut seen) = scripted(|n| match n {
        1 => panic!("a bug"),
        2 => Outcome::failed("an error"),
        3 => Outcome::Again,
        4 => Outcome::Interval(Duration::from_secs(100)),
        5 => Outcome::After(Duration::from_secs(7)),
        6 => Outcome::failed("an error"),
        _ => Outcome::terminal("hopeless"),
    });
    let (controller, handle) = Controller::new(api(&["a"]), options(1));
    let metrics = handle.clone();
    let shutdown = CancellationToken::new();
    let run = tokio::spawn(controller.run(reconciler, shutdown.clone()));
    let mut last = seen.recv().await.unwrap().2;
    for seconds in [1, 2, 4, 100, 7, 1] {
        let (_, cause, at) = seen.recv().await.unwrap();
        assert_eq!(((at - last).as_secs_f64().round() as u64, cause), (seconds, Cause::Timer));
        last = at;
    }
    tokio::time::sleep(Duration::from_secs(100_000)).await;
    assert!(seen.try_recv().is_err(), "a terminal failure is not retried");
    drop(metrics);
    shutdown.cancel();
    run.await.unwrap().unwrap();
}

/// Waits off its place until it is interrupted.
struct Waits(mpsc::UnboundedSender<String>);

impl Reconciler for Waits {
    type Object = ConfigMap;

    async fn reconcile(&self, pass: Pass<ConfigMap>) -> Outcome {
        let _ = self.0.send(format!("{} begins", pass.key));
        let cause = tokio::select! {
            cause = pass.slot.park(pass.interrupt.triggered()) => format!("{cause:?}"),
            () = std::future::pending() => String::new(),
        };
        let _ = self.0.send(format!("{} ends by {cause}", pass.key));
        Outcome::Done
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_waits_takes_no_place_and_is_interrupted() {
    let (passes, mut seen) = mpsc::unbounded_channel();
    let (controller, handle) = Controller::new(api(&["a", "b", "c"]), options(1));
    let shutdown = CancellationToken::new();
    let run = tokio::spawn(controller.run(Arc::new(Waits(passes)), shutdown.clone()));
    for name in ["a", "b", "c"] {
        assert_eq!(seen.recv().await.unwrap(), format!("ns/{name} begins"), "with a single place");
    }
    handle.trigger(Key::new("ns", "b"), Cause::Own);
    assert_eq!(seen.recv().await.unwrap(), "ns/b ends by Own");
    assert_eq!(seen.recv().await.unwrap(), "ns/b begins", "what was asked for meanwhile follows");
    let begun = tokio::time::Instant::now();
    shutdown.cancel();
    run.await.unwrap().unwrap();
    assert_eq!(begun.elapsed().as_secs(), 5, "passes in hand are abandoned after the grace");
}
