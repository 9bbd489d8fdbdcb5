//! An API server in memory, as much as a pass over one object needs, and what drives passes in tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::client::Body;
use kube::{Client, Resource};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sluice_api::Reconcilable;
use sluice_artifact::{Advertised, Algorithm, Store, StoreOptions};
use sluice_runtime::controller::{Cause, Interrupt, Options, Slot};
use sluice_runtime::events::{Event, RecordedEvents, Recorder, Severity};
use sluice_runtime::flags::{Common, FeatureGates};
use sluice_runtime::hosts::HostLimits;
use sluice_runtime::metrics::Metrics;
use sluice_runtime::{Controller, Key, Outcome, Pass, Reconciler, Shutdown};
use tempfile::TempDir;

use crate::config::GATES;
use crate::context::Context;
use crate::kind::SourceKind;
use crate::machine::Machine;
use crate::object::SourceObject;

#[derive(Default)]
pub(crate) struct Api {
    /// By path, without query.
    objects: Mutex<BTreeMap<String, Value>>,
    version: Mutex<u64>,
    requests: Mutex<Vec<String>>,
    /// Every status that was written.
    written: Mutex<Vec<Value>>,
}

impl Api {
    fn client(self: &Arc<Self>) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move {
                let (parts, body) = request.into_parts();
                let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                let (status, answer) = api.answer(&parts.method, parts.uri.path(), &bytes);
                let body = Body::from(answer.to_string().into_bytes());
                Ok::<_, std::convert::Infallible>(Response::builder().status(status).body(body).unwrap())
            }
        });
        Client::new(service, "default")
    }

    fn next_version(&self) -> String {
        let mut version = self.version.lock();
        *version += 1;
        version.to_string()
    }

    pub(crate) fn put(&self, path: &str, mut object: Value) {
        object["metadata"]["resourceVersion"] = json!(self.next_version());
        self.objects.lock().insert(path.to_owned(), object);
    }

    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> (StatusCode, Value) {
        self.requests.lock().push(format!("{method} {path}"));
        let failed = |code: StatusCode, message: String| {
            let reason = if code == StatusCode::NOT_FOUND { "NotFound" } else { "Conflict" };
            (
                code,
                json!({"kind": "Status", "status": "Failure", "code": code.as_u16(), "message": message, "reason": reason}),
            )
        };
        let (object_path, is_status) = match path.strip_suffix("/status") {
            Some(path) => (path, true),
            None => (path, false),
        };
        let mut objects = self.objects.lock();
        let Some(object) = objects.get_mut(object_path) else {
            let mut parts = path.rsplit('/');
            let (name, kind) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            return failed(StatusCode::NOT_FOUND, format!("{kind} \"{name}\" not found"));
        };
        if *method == Method::GET {
            return (StatusCode::OK, object.clone());
        }
        assert_eq!(*method, Method::PATCH, "{path}");
        let mut patch: Value = serde_json::from_slice(body).unwrap();
        let asked = patch["metadata"]["resourceVersion"].take();
        if asked.is_string() && asked != object["metadata"]["resourceVersion"] {
            return failed(StatusCode::CONFLICT, "the object has been modified".to_owned());
        }
        let before = object.clone();
        if is_status {
            merge(&mut object["status"], &patch["status"]);
        } else {
            merge(&mut object["metadata"]["finalizers"], &patch["metadata"]["finalizers"]);
        }
        if *object != before {
            object["metadata"]["resourceVersion"] = json!(self.next_version());
        }
        if is_status {
            self.written.lock().push(object["status"].clone());
        }
        (StatusCode::OK, object.clone())
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in members {
        match value {
            Value::Null => {
                target.as_object_mut().unwrap().remove(key);
            }
            value => merge(&mut target[key], value),
        }
    }
}

/// One object and the machine that reconciles it.
pub(crate) struct Bench<K: SourceKind> {
    pub(crate) api: Arc<Api>,
    pub(crate) machine: Machine<K>,
    pub(crate) store: Arc<Store>,
    events: RecordedEvents,
    path: String,
    _dirs: (TempDir, TempDir),
}

impl<K: SourceKind> Bench<K> {
    /// With an object `flux-system/app` of that spec, which already has its finalizer.
    pub(crate) fn new(kind: K, spec: Value) -> Self {
        Self::with(kind, spec, "http://files")
    }

    pub(crate) fn with(kind: K, spec: Value, advertised: &str) -> Self {
        sluice_runtime::process::install_crypto();
        let dirs = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let api = Arc::new(Api::default());
        let client = api.client();
        let store = Arc::new(
            Store::open(StoreOptions {
                root: dirs.0.path().to_path_buf(),
                advertised: Advertised::new(advertised, "", ""),
                algorithm: Algorithm::Sha256,
                retention_ttl: Duration::from_secs(60),
                retention_records: 2,
            })
            .unwrap(),
        );
        let (events, recorded) = Recorder::for_tests();
        let cx = Arc::new(Context {
            client: client.clone(),
            store: store.clone(),
            events,
            requeue_dependency: Duration::from_secs(30),
            gates: FeatureGates::parse("", &GATES).unwrap(),
            hosts: HostLimits::new(4),
            waiting: tokio::sync::Semaphore::new(2),
            charts: std::sync::OnceLock::new(),
            work_root: dirs.1.path().to_path_buf(),
        });
        let options = Options::new("test", 1, &Common::default(), &Metrics::new());
        let (_, handle) = Controller::new(kube::Api::<K::Object>::all(client), options);
        let plural = K::Object::plural(&());
        let path = format!("/apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/{plural}/app");
        let bench = Self {
            api,
            machine: Machine::new(cx, kind, &handle),
            store,
            events: recorded,
            path,
            _dirs: dirs,
        };
        bench.api.put(
            &bench.path,
            json!({
                "apiVersion": "source.toolkit.fluxcd.io/v1",
                "kind": K::Object::kind(&()),
                "metadata": {
                    "name": "app", "namespace": "flux-system", "generation": 1, "uid": "1",
                    "finalizers": ["finalizers.fluxcd.io"],
                },
                "spec": spec,
                "status": {"observedGeneration": -1},
            }),
        );
        bench
    }

    pub(crate) fn object(&self) -> K::Object {
        serde_json::from_value(self.api.objects.lock()[&self.path].clone()).unwrap()
    }

    /// Changes the stored object; a change of the spec counts its generation up.
    pub(crate) fn edit(&self, change: impl FnOnce(&mut Value)) {
        let mut object = self.api.objects.lock()[&self.path].clone();
        let spec = object["spec"].clone();
        change(&mut object);
        if object["spec"] != spec {
            object["metadata"]["generation"] = json!(object["metadata"]["generation"].as_i64().unwrap() + 1);
        }
        self.api.put(&self.path, object);
    }

    pub(crate) fn add_secret(&self, name: &str, type_: &str, data: &[(&str, &str)]) {
        let data: BTreeMap<&str, k8s_openapi::ByteString> = data
            .iter()
            .map(|(key, value)| (*key, k8s_openapi::ByteString(value.as_bytes().to_vec())))
            .collect();
        self.api.put(
            &format!("/api/v1/namespaces/flux-system/secrets/{name}"),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "flux-system"},
                   "type": type_, "data": data}),
        );
    }

    /// Runs a pass over the stored object.
    pub(crate) async fn pass(&self) -> Outcome {
        let object = self.object();
        self.machine
            .reconcile(Pass {
                key: Key::of(&object),
                object: Arc::new(object),
                cause: Cause::Own,
                id: "pass".to_owned(),
                interrupt: Interrupt::never(),
                slot: Slot::alone(),
                shutdown: Shutdown::new(),
            })
            .await
    }

    /// `status reason message` of a condition.
    pub(crate) fn condition(&self, type_: &str) -> Option<String> {
        let object = self.object();
        object.condition(type_).map(|c| format!("{} {} {}", c.status, c.reason, c.message))
    }

    /// Types of the conditions, in order.
    pub(crate) fn types(&self) -> Vec<String> {
        self.object().conditions().iter().map(|c| c.type_.clone()).collect()
    }

    /// `severity reason message` of the events since the last call.
    pub(crate) fn events(&mut self) -> Vec<String> {
        let text = |event: Event| {
            let severity = match event.severity {
                Severity::Trace => "trace",
                Severity::Info => "info",
                Severity::Error => "error",
            };
            format!("{severity} {} {}", event.reason, event.message)
        };
        self.events.drain().into_iter().map(|(_, event)| text(event)).collect()
    }

    /// `Ready`'s message, or Reconciling's, of every status written since the last call.
    pub(crate) fn written(&self) -> Vec<String> {
        std::mem::take(&mut *self.api.written.lock())
            .iter()
            .map(|status| {
                let find = |type_: &str| {
                    let list = status["conditions"].as_array().cloned().unwrap_or_default();
                    list.into_iter()
                        .find(|c| c["type"] == type_)
                        .and_then(|c| c["message"].as_str().map(str::to_owned))
                };
                find("Reconciling").or_else(|| find("Ready")).unwrap_or_default()
            })
            .collect()
    }

    /// The requests since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        let short = |request: &String| request.replace(&self.path, "…");
        std::mem::take(&mut *self.api.requests.lock()).iter().map(short).collect()
    }

    /// Path of the current artifact's file.
    pub(crate) fn file(&self) -> std::path::PathBuf {
        use sluice_api::ArtifactSource;
        self.store.root().join(&self.object().artifact().unwrap().path)
    }

    pub(crate) fn interval(&self) -> Duration {
        self.object().interval()
    }
}
