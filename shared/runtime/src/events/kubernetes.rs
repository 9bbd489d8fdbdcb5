//! Writes events to the Kubernetes API (`core/v1`, as controller-runtime's recorder does).

use super::correlate::{Correlator, Write};
use super::{Recorded, Severity};
use k8s_openapi::api::core::v1::{Event as CoreEvent, EventSource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use std::time::Duration;
use tracing::warn;

/// Tries of a request that got no answer.
const TRIES: u32 = 3;
/// Longest message that `core/v1` accepts, in bytes.
const MAX_MESSAGE: usize = 1024;

pub(super) struct Sink {
    client: Client,
    controller: String,
    instance: String,
    correlator: Correlator,
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").field("controller", &self.controller).finish_non_exhaustive()
    }
}

impl Sink {
    pub(super) fn new(client: Client, controller: &str, instance: &str) -> Self {
        Self {
            client,
            controller: controller.to_owned(),
            instance: instance.to_owned(),
            correlator: Correlator::default(),
        }
    }

    pub(super) async fn deliver(&mut self, recorded: Recorded) {
        let namespace =
            recorded.object.namespace.clone().filter(|n| !n.is_empty()).unwrap_or_else(|| "default".into());
        let api: Api<CoreEvent> = Api::namespaced(self.client.clone(), &namespace);
        match self.correlator.judge(&recorded) {
            Write::Drop => {}
            Write::Create { id, message } => {
                let event = self.event(&recorded, &namespace, message);
                let name = event.metadata.name.clone().unwrap_or_default();
                if self.create(&api, &event).await {
                    self.correlator.created(id, name, recorded.at);
                }
            }
            Write::Count { id, name, count, message } => {
                let patch = json!({
                    "count": count, "lastTimestamp": Time(seconds(recorded.at)), "message": shorten(message.clone()),
                    "metadata": {"annotations": recorded.event.metadata},
                });
                let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
                let written = retried("patch", || api.patch(&name, &params, &patch)).await;
                if written == Some(false) {
                    // The API server drops events after an hour.
                    self.correlator.forget(&id);
                    let event = self.event(&recorded, &namespace, message);
                    let name = event.metadata.name.clone().unwrap_or_default();
                    if self.create(&api, &event).await {
                        self.correlator.created(id, name, recorded.at);
                    }
                }
            }
        }
    }

    async fn create(&self, api: &Api<CoreEvent>, event: &CoreEvent) -> bool {
        let params = PostParams::default();
        retried("create", || api.create(&params, event)).await == Some(true)
    }

    fn event(&self, recorded: &Recorded, namespace: &str, message: String) -> CoreEvent {
        let Recorded { object, event, at } = recorded;
        let name = object.name.clone().unwrap_or_default();
        let time = Some(Time(seconds(*at)));
        CoreEvent {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{:x}", at.as_nanosecond())),
                namespace: Some(namespace.to_owned()),
                annotations: (!event.metadata.is_empty()).then(|| event.metadata.clone()),
                ..ObjectMeta::default()
            },
            involved_object: object.clone(),
            reason: Some(event.reason.clone()),
            message: Some(shorten(message)),
            type_: Some(if event.severity == Severity::Error { "Warning" } else { "Normal" }.to_owned()),
            count: Some(1),
            first_timestamp: time.clone(),
            last_timestamp: time,
            source: Some(EventSource { component: Some(self.controller.clone()), host: None }),
            reporting_component: Some(self.controller.clone()),
            reporting_instance: Some(self.instance.clone()),
            ..CoreEvent::default()
        }
    }
}

/// Runs a request, again if there was no answer. `Some(true)` = done, `Some(false)` = the object is not there.
async fn retried<T, F>(what: &str, request: impl Fn() -> F) -> Option<bool>
where
    F: Future<Output = kube::Result<T>>,
{
    let mut delay = Duration::from_secs(1);
    for attempt in 1..=TRIES {
        match request().await {
            Ok(_) => return Some(true),
            Err(kube::Error::Api(status)) if status.code == 404 && what == "patch" => return Some(false),
            Err(kube::Error::Api(status)) if status.code < 500 => {
                // Such as a namespace that is being deleted: another try cannot help.
                warn!(error = status.message, "event refused by the API server");
                return None;
            }
            Err(err) if attempt == TRIES => {
                warn!(error = %crate::telemetry::chain(&err), "cannot {what} event")
            }
            Err(_) => {
                tokio::time::sleep(delay).await;
                delay *= 3;
            }
        }
    }
    None
}

fn seconds(at: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(at.as_second()).unwrap_or(at)
}

fn shorten(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        let end = (0..=MAX_MESSAGE - 3).rev().find(|i| message.is_char_boundary(*i)).unwrap_or(0);
        message.truncate(end);
        message.push_str("...");
    }
    message
}
