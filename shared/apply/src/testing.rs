//! A tiny API server for behaviour tests: it applies by merging, keeps `managedFields`, watches, and notes requests.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use crate::{Applier, Cluster, ClusterOptions, Drift, Options, Owner, prepare};

/// The server. Clones share it.
#[derive(Clone)]
pub(crate) struct Mock {
    shared: Arc<Mutex<Shared>>,
    events: broadcast::Sender<Event>,
}

#[derive(Default)]
struct Shared {
    objects: BTreeMap<String, Value>,
    version: u64,
    log: Vec<Event>,
    requests: Vec<String>,
    deny_watch: bool,
}

#[derive(Clone)]
struct Event {
    version: u64,
    /// `configmaps`, `deployments` and so on.
    plural: String,
    kind: &'static str,
    object: Value,
}

impl Mock {
    pub(crate) fn new() -> Self {
        Self { shared: Arc::default(), events: broadcast::channel(256).0 }
    }

    pub(crate) fn deny_watch(&self) {
        self.shared.lock().deny_watch = true;
    }

    pub(crate) fn client(&self) -> kube::Client {
        kube::Client::new(Router::new().fallback(handle).with_state(self.clone()), "default")
    }

    /// A cluster, and where its drift is told.
    pub(crate) fn cluster(&self) -> (Cluster, Arc<Mutex<Vec<Drift>>>) {
        let drifts: Arc<Mutex<Vec<Drift>>> = Arc::default();
        let told = drifts.clone();
        (Cluster::new(self.client(), ClusterOptions::default(), move |drift| told.lock().push(drift)), drifts)
    }

    /// Requests on objects since the last call; discovery, lists and watches are left out.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.lock().requests)
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.shared.lock().objects.get(path).cloned()
    }

    /// Stores an object as another client would.
    pub(crate) fn put(&self, path: &str, object: Value) {
        let kind = if self.get(path).is_some() { "MODIFIED" } else { "ADDED" };
        self.store(&mut self.shared.lock(), path, object, kind);
    }

    /// Changes an object as another client would; `steal` takes our fields away, as a change of them does.
    pub(crate) fn edit(&self, path: &str, steal: bool, change: impl FnOnce(&mut Value)) {
        let mut object = self.get(path).unwrap_or_else(|| panic!("no {path}"));
        change(&mut object);
        if steal {
            for entry in object["metadata"]["managedFields"].as_array_mut().unwrap() {
                entry["fieldsV1"] = json!({"f:stolen": {}});
            }
        }
        self.put(path, object);
    }

    pub(crate) fn remove(&self, path: &str) {
        let mut shared = self.shared.lock();
        if let Some(object) = shared.objects.remove(path) {
            self.tell(&mut shared, path, object, "DELETED");
        }
    }

    fn store(&self, shared: &mut Shared, path: &str, object: Value, kind: &'static str) -> Value {
        let object = self.tell(shared, path, object, kind);
        shared.objects.insert(path.to_owned(), object.clone());
        object
    }

    fn tell(&self, shared: &mut Shared, path: &str, mut object: Value, kind: &'static str) -> Value {
        shared.version += 1;
        object["metadata"]["resourceVersion"] = json!(shared.version.to_string());
        let plural = path.rsplit('/').nth(1).unwrap().to_owned();
        let event = Event { version: shared.version, plural, kind, object: object.clone() };
        shared.log.push(event.clone());
        let _ = self.events.send(event);
        object
    }
}

/// Builds an applier for owner `flux-system/web`.
pub(crate) fn applier(mock: &Mock, cluster: &Cluster, options: Options) -> Applier {
    Applier::new(cluster, mock.client(), owner(), options)
}

pub(crate) fn owner() -> Owner {
    Owner { namespace: "flux-system".into(), name: "web".into() }
}

/// An object of that owner.
pub(crate) fn owned(cluster: &Cluster, mut object: Value) -> Value {
    prepare::own(&mut object, &owner(), cluster.keys());
    object
}

/// Lets everything else run until the condition holds. Time is paused, so this takes none.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..100_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("never happened: {what}");
}

async fn handle(State(mock): State<Mock>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    if let Some(answer) = discovery(&path) {
        return axum::Json(answer).into_response();
    }
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let depth = if segments[0] == "api" { 2 } else { 3 };
    if segments.len() <= depth {
        return failure(404, "", "404 page not found", json!({}));
    }
    let namespace = (segments[depth] == "namespaces" && segments.len() > depth + 2)
        .then(|| segments[depth + 1].to_owned());
    let rest = if namespace.is_some() { &segments[depth + 2..] } else { &segments[depth..] };
    let (plural, name) = (rest[0].to_owned(), rest.get(1).map(ToString::to_string));
    if parts.method == "GET" && name.is_none() {
        return mock.collection(&plural, &query);
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let content_type =
        parts.headers.get("content-type").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    let verb = match (parts.method.as_str(), content_type.as_str()) {
        ("PATCH", "application/apply-patch+yaml") if query.contains("dryRun") => "TRY",
        ("PATCH", "application/apply-patch+yaml") => "APPLY",
        ("PATCH", _) => "PATCH",
        (method, _) => method,
    };
    let object_name = name.clone().unwrap_or_default();
    let mut shared = mock.shared.lock();
    shared.requests.push(format!("{verb} {plural}/{object_name}").trim_end_matches('/').to_owned());
    let live = shared.objects.get(&path).cloned();
    let missing = || {
        failure(
            404,
            "NotFound",
            &format!("{plural} \"{object_name}\" not found"),
            json!({"name": object_name, "kind": plural}),
        )
    };
    match verb {
        "GET" => live.map_or_else(missing, |live| axum::Json(live).into_response()),
        "DELETE" => {
            let Some(mut live) = live else { return missing() };
            if live.pointer("/metadata/annotations/mock~1undeletable").is_some() {
                return failure(403, "Forbidden", "deletion is denied", json!({"name": object_name}));
            }
            if live.pointer("/metadata/finalizers").is_some() {
                live["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
                mock.store(&mut shared, &path, live, "MODIFIED");
            } else {
                shared.objects.remove(&path);
                mock.tell(&mut shared, &path, live, "DELETED");
            }
            axum::Json(json!({"kind": "Status", "status": "Success"})).into_response()
        }
        "PATCH" => {
            let Some(mut live) = live else { return missing() };
            for operation in body.as_array().unwrap() {
                let pointer = operation["path"].as_str().unwrap();
                let (parent, key) = pointer.rsplit_once('/').unwrap();
                let parent = live.pointer_mut(parent).unwrap().as_object_mut().unwrap();
                match operation["op"].as_str().unwrap() {
                    "remove" => drop(parent.remove(&key.replace("~1", "/")).unwrap()),
                    _ => drop(parent.insert(key.to_owned(), operation["value"].clone())),
                }
            }
            axum::Json(mock.store(&mut shared, &path, live, "MODIFIED")).into_response()
        }
        _ => {
            if let Some(namespace) = &namespace
                && namespace != "a"
                && !shared.objects.contains_key(&format!("/api/v1/namespaces/{namespace}"))
            {
                let text = format!("namespaces \"{namespace}\" not found");
                return failure(404, "NotFound", &text, json!({"name": namespace, "kind": "namespaces"}));
            }
            if let Some(reason) = body.pointer("/data/refuse").and_then(Value::as_str) {
                let text = format!(
                    "{} \"{object_name}\" is invalid: data.refuse: Invalid value: \"{reason}\": nope",
                    body["kind"].as_str().unwrap()
                );
                return failure(
                    422,
                    "Invalid",
                    &text,
                    json!({"name": object_name, "causes": [{"message": "Invalid value: nope"}]}),
                );
            }
            if verb == "POST" {
                return axum::Json(body).into_response();
            }
            if let Some(live) = &live
                && let (Some(a), Some(b)) = (live.pointer("/data/fixed"), body.pointer("/data/fixed"))
                && a != b
            {
                let text = "data.fixed: Invalid value: field is immutable";
                return failure(
                    422,
                    "Invalid",
                    text,
                    json!({"name": object_name, "causes": [{"message": "Invalid value: field is immutable"}]}),
                );
            }
            let applied = apply(live.as_ref(), body);
            if live.as_ref() == Some(&applied) || verb == "TRY" {
                return axum::Json(applied).into_response();
            }
            let kind = if live.is_some() { "MODIFIED" } else { "ADDED" };
            axum::Json(mock.store(&mut shared, &path, applied, kind)).into_response()
        }
    }
}

impl Mock {
    fn collection(&self, plural: &str, query: &str) -> Response {
        let labelled =
            |object: &Value| object.pointer("/metadata/labels/kustomize.toolkit.fluxcd.io~1name").is_some();
        let shared = self.shared.lock();
        if shared.deny_watch {
            return failure(403, "Forbidden", "list is denied", json!({}));
        }
        if !query.contains("watch=true") {
            let items: Vec<&Value> = shared
                .objects
                .iter()
                .filter(|(path, object)| path.rsplit('/').nth(1) == Some(plural) && labelled(object))
                .map(|(_, object)| object)
                .collect();
            return axum::Json(
                json!({"metadata": {"resourceVersion": shared.version.to_string()}, "items": items}),
            )
            .into_response();
        }
        let from: u64 = query.rsplit("resourceVersion=").next().unwrap().parse().unwrap();
        let past: Vec<Event> = shared.log.iter().filter(|event| event.version > from).cloned().collect();
        let live = BroadcastStream::new(self.events.subscribe()).filter_map(|event| async { event.ok() });
        let plural = plural.to_owned();
        let lines = stream::iter(past).chain(live).filter_map(move |event| {
            let fits = event.plural == plural && labelled(&event.object);
            let line = format!("{}\n", json!({"type": event.kind, "object": event.object}));
            async move { fits.then_some(Ok::<_, Infallible>(line)) }
        });
        Body::from_stream(lines).into_response()
    }
}

/// What an apply makes of the live object: a merge, and our entry in `managedFields`.
fn apply(live: Option<&Value>, body: Value) -> Value {
    let mut object = live.cloned().unwrap_or_else(|| json!({"metadata": {"uid": "1"}}));
    let fields: Value = body
        .as_object()
        .unwrap()
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "metadata" | "kind" | "apiVersion"))
        .map(|(key, value)| (format!("f:{key}"), value.clone()))
        .collect::<serde_json::Map<String, Value>>()
        .into();
    merge(&mut object, &body);
    let ours = json!({"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": fields});
    let mut entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    entries.retain(|entry| entry["manager"] != "kustomize-controller" || entry["operation"] != "Apply");
    entries.push(ours);
    object["metadata"]["managedFields"] = json!(entries);
    object
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn discovery(path: &str) -> Option<Value> {
    let resource = |name: &str, kind: &str, namespaced: bool| json!({"name": name, "kind": kind, "namespaced": namespaced});
    match path {
        "/api/v1" => Some(json!({"resources": [
            resource("configmaps", "ConfigMap", true), resource("secrets", "Secret", true),
            resource("namespaces", "Namespace", false), resource("pods", "Pod", true)]})),
        "/apis/apps/v1" => Some(json!({"resources": [
            resource("deployments", "Deployment", true), resource("deployments/status", "Deployment", true)]})),
        "/apis/apps" => Some(json!({"versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}})),
        _ => None,
    }
}

fn failure(code: u16, reason: &str, message: &str, details: Value) -> Response {
    let status = json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message, "details": details});
    (StatusCode::from_u16(code).unwrap(), axum::Json(status)).into_response()
}
