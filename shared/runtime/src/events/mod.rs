//! Events about objects: to the Kubernetes API, and to notification-controller.
//!
//! Recording never waits: both sinks have a bounded queue, and what does not fit is dropped with a warning. A flood of
//! events is written to the Kubernetes API at a measured pace, so that news of the work do not slow down the work.

mod correlate;
mod kubernetes;
mod post;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Client, Resource, ResourceExt};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Events that wait for each sink at most.
const QUEUE: usize = 4096;
/// Events that are written to the Kubernetes API at once, and the pause between those that follow: 25 a second, about
/// the pace to which controller-runtime holds its recorder.
const BURST: u32 = 50;
const PAUSE: Duration = Duration::from_millis(40);
/// Annotations with this prefix become metadata of the object's events.
const ANNOTATION_PREFIX: &str = "event.toolkit.fluxcd.io/";

/// How much an event matters, which also decides who hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Kubernetes only, type Normal.
    Trace,
    /// Kubernetes type Normal, posted with severity `info`.
    Info,
    /// Kubernetes type Warning, posted with severity `error`.
    Error,
}

/// What happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who hears of it.
    pub severity: Severity,
    /// Machine-readable cause.
    pub reason: String,
    /// Text for people. Never contains a secret.
    pub message: String,
    /// Metadata with full keys, such as `kustomize.toolkit.fluxcd.io/revision`.
    pub metadata: BTreeMap<String, String>,
}

impl Event {
    /// An event that only Kubernetes hears of.
    pub fn trace(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Severity::Trace, reason, message)
    }

    /// A good event.
    pub fn info(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Severity::Info, reason, message)
    }

    /// A bad event.
    pub fn error(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, reason, message)
    }

    /// An event of any severity.
    pub fn new(severity: Severity, reason: &str, message: impl Into<String>) -> Self {
        Self { severity, reason: reason.to_owned(), message: message.into(), metadata: BTreeMap::new() }
    }

    /// Adds metadata; an empty value is left out.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.metadata.insert(key.into(), value);
        }
        self
    }
}

/// An event with what identifies it.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) object: ObjectReference,
    pub(crate) event: Event,
    pub(crate) at: Timestamp,
}

/// Takes events. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder {
    kubernetes: mpsc::Sender<Recorded>,
    post: Option<mpsc::Sender<Recorded>>,
}

/// What delivers the events of a [`Recorder`]; to be run as a task.
#[derive(Debug)]
pub struct Delivery {
    kubernetes: kubernetes::Sink,
    from: mpsc::Receiver<Recorded>,
    post: Option<(post::Sink, mpsc::Receiver<Recorded>)>,
}

impl Recorder {
    /// A recorder for a controller, and what delivers. Without `address` nothing is posted.
    ///
    /// # Errors
    /// The address is no HTTP URL.
    pub fn new(controller: &str, client: &Client, address: &str) -> Result<(Self, Delivery), String> {
        let (kubernetes, from) = mpsc::channel(QUEUE);
        let instance = crate::leader::hostname();
        let (post, posting) = if address.is_empty() {
            (None, None)
        } else {
            let (sender, receiver) = mpsc::channel(QUEUE);
            (Some(sender), Some((post::Sink::new(address, controller, &instance)?, receiver)))
        };
        let sink = kubernetes::Sink::new(client.clone(), controller, &instance);
        Ok((Self { kubernetes, post }, Delivery { kubernetes: sink, from, post: posting }))
    }

    /// Records an event about an object. Never waits.
    pub fn record<K: Resource<DynamicType = ()>>(&self, object: &K, event: Event) {
        let meta = object.meta();
        let reference = ObjectReference {
            api_version: Some(K::api_version(&()).into_owned()),
            kind: Some(K::kind(&()).into_owned()),
            namespace: object.namespace(),
            name: Some(object.name_any()),
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
            field_path: None,
        };
        let mut event = event;
        for (key, value) in object.annotations().iter().filter(|(key, _)| key.starts_with(ANNOTATION_PREFIX))
        {
            event.metadata.entry(key.clone()).or_insert_with(|| value.clone());
        }
        self.record_about(reference, event);
    }

    /// Records an event about an object known by reference.
    pub fn record_about(&self, object: ObjectReference, event: Event) {
        let recorded = Recorded { object, event, at: Timestamp::now() };
        if let Some(post) = &self.post
            && recorded.event.severity != Severity::Trace
        {
            offer(post, recorded.clone(), "notification");
        }
        offer(&self.kubernetes, recorded, "Kubernetes");
    }

    /// A recorder whose events can be read, for tests of reconcilers.
    pub fn for_tests() -> (Self, RecordedEvents) {
        let (kubernetes, from) = mpsc::channel(QUEUE);
        (Self { kubernetes, post: None }, RecordedEvents(from))
    }
}

/// What a recorder of [`Recorder::for_tests`] took.
#[derive(Debug)]
pub struct RecordedEvents(mpsc::Receiver<Recorded>);

impl RecordedEvents {
    /// The events since the last call, with the `Kind/namespace/name` of their objects.
    pub fn drain(&mut self) -> Vec<(String, Event)> {
        let mut events = Vec::new();
        while let Ok(Recorded { object, event, .. }) = self.0.try_recv() {
            let part = |text: &Option<String>| text.clone().unwrap_or_default();
            events.push((
                format!("{}/{}/{}", part(&object.kind), part(&object.namespace), part(&object.name)),
                event,
            ));
        }
        events
    }
}

fn offer(queue: &mpsc::Sender<Recorded>, event: Recorded, sink: &str) {
    if let Err(mpsc::error::TrySendError::Full(event)) = queue.try_send(event) {
        warn!(sink, reason = event.event.reason, "event dropped, too many wait for delivery");
    }
}

impl Delivery {
    /// Delivers until `shutdown`; then what is queued is still tried once, for five seconds at most.
    ///
    /// # Errors
    /// None; failures to deliver are logged.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), std::convert::Infallible> {
        let Delivery { mut kubernetes, mut from, post } = self;
        let to_kubernetes = async {
            let mut pace = Pace::default();
            while let Some(event) = next(&mut from, &shutdown).await {
                tokio::select! {
                    () = pace.turn() => {}
                    () = shutdown.cancelled() => {}
                }
                kubernetes.deliver(event).await;
            }
        };
        let to_post = async {
            if let Some((sink, mut from)) = post {
                while let Some(event) = next(&mut from, &shutdown).await {
                    sink.deliver(event, &shutdown).await;
                }
            }
        };
        let deadline = async {
            shutdown.cancelled().await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        };
        tokio::select! {
            _ = async { tokio::join!(to_kubernetes, to_post) } => {
                // All recorders are gone; the task must not end before the process does.
                shutdown.cancelled().await;
            }
            () = deadline => {}
        }
        Ok(())
    }
}

/// Lets a burst pass, then one at a time.
#[derive(Debug, Default)]
struct Pace {
    /// When the next one would be due if there were no bursts.
    due: Option<Instant>,
}

impl Pace {
    async fn turn(&mut self) {
        let now = Instant::now();
        let burst = PAUSE * BURST;
        let due = self.due.map_or(now, |due| due.max(now));
        tokio::time::sleep_until(due.checked_sub(burst).unwrap_or(now)).await;
        self.due = Some(due + PAUSE);
    }
}

/// The next event; after the shutdown only what is queued already.
async fn next(from: &mut mpsc::Receiver<Recorded>, shutdown: &CancellationToken) -> Option<Recorded> {
    tokio::select! {
        biased;
        event = from.recv() => event,
        () = shutdown.cancelled() => None,
    }
}
