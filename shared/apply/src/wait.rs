//! Waits until objects are ready, told by the watch when to look, and by a slow poll where no watch can tell.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    applier::Applier,
    cluster::{Inner, Waiter},
    object::{GroupKind, ObjectId, metadata_text, resource_version},
    rest::{self, encode},
    status::{self, Kind, Status},
};

/// An object to wait for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The object; it is read in the version that the API server prefers.
    pub id: ObjectId,
    /// A Job that deletes itself when it is done: gone counts as done.
    pub vanishes: bool,
}

/// A check that takes the place of the built-in rules for some kinds (health expressions).
pub trait Evaluate: Send + Sync {
    /// Whether it judges this kind.
    fn covers(&self, kind: &GroupKind) -> bool;

    /// Judges an object.
    ///
    /// # Errors
    /// A text that is shown as the cause of status Unknown.
    fn evaluate(&self, object: &Value) -> Result<Status, String>;
}

/// How to wait.
#[derive(Clone)]
pub struct WaitOptions {
    /// Longest time overall.
    pub timeout: Duration,
    /// End as soon as one object has failed.
    pub fail_fast: bool,
    /// How often objects are read that no watch tells about.
    pub interval: Duration,
    /// Custom checks; the first that covers a kind judges it.
    pub evaluators: Vec<Arc<dyn Evaluate>>,
}

impl Default for WaitOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(300),
            fail_fast: true,
            interval: Duration::from_secs(5),
            evaluators: Vec::new(),
        }
    }
}

/// The readiness of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The object.
    pub id: ObjectId,
    /// Its status, with a message for people.
    pub status: Status,
    /// Why the status is Unknown.
    pub error: Option<String>,
}

/// `<Kind>/<ns>/<name> status: '<Status>'[: <error>]`, Flux's form.
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.status.kind == Kind::Unknown && self.error.is_none() {
            return write!(f, "can't determine status for {}", self.id);
        }
        write!(f, "{} status: '{}'", self.id, self.status.kind)?;
        match &self.error {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}

/// Why a wait ended without all objects being ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// The time is up. Holds all that are not ready, sorted.
    #[error("timeout waiting for: [{}]", list(.0))]
    Timeout(Vec<Health>),
    /// Objects failed. Holds those, sorted.
    #[error("failed early due to stalled resources: [{}]", list(.0))]
    FailedEarly(Vec<Health>),
    /// The caller cancelled.
    #[error("the wait was canceled")]
    Canceled,
}

fn list(healths: &[Health]) -> String {
    let texts: Vec<String> = healths.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

/// Moves that come in a burst are looked at together.
const GATHER: Duration = Duration::from_millis(50);

impl Applier {
    /// Waits until all targets are ready. Objects that this process found ready, and that have not moved since as a
    /// watch tells, are not asked for.
    ///
    /// # Errors
    /// [`WaitError`]; its text is Flux's.
    pub async fn wait(
        &self,
        targets: &[Target],
        options: &WaitOptions,
        cancel: &CancellationToken,
    ) -> Result<Vec<Health>, WaitError> {
        let deadline = Instant::now() + options.timeout;
        let inner = &self.cluster.inner;
        let waiting = Waiting::new(inner, targets);
        let mut healths: Vec<Option<Health>> =
            targets.iter().map(|target| self.told(target, options)).collect();
        let mut due: Vec<usize> = (0..targets.len()).filter(|&i| healths[i].is_none()).collect();
        let mut poll = Duration::from_millis(250).min(options.interval);
        let mut next_poll = Instant::now() + poll;
        loop {
            let look = stream::iter(due.iter().copied())
                .map(|i| async move { (i, self.look(&targets[i], options).await) })
                .buffer_unordered(self.options.concurrent.max(1))
                .collect::<Vec<_>>();
            tokio::select! {
                looked = look => looked.into_iter().for_each(|(i, health)| healths[i] = Some(health)),
                () = cancel.cancelled() => return Err(WaitError::Canceled),
                () = tokio::time::sleep_until(deadline) => return Err(WaitError::Timeout(unready(targets, &healths))),
            }
            let open = |kind: &Kind| !matches!(kind, Kind::Current | Kind::Failed);
            let kinds = || healths.iter().flatten().map(|h| h.status.kind);
            let failed = kinds().any(|kind| kind == Kind::Failed);
            if !failed && kinds().all(|kind| kind == Kind::Current) {
                return Ok(healths.into_iter().flatten().collect());
            }
            if failed && (options.fail_fast || !kinds().any(|kind| open(&kind))) {
                let mut failed: Vec<Health> =
                    healths.into_iter().flatten().filter(|h| h.status.kind == Kind::Failed).collect();
                failed.sort_by_cached_key(|health| health.id.to_string());
                return Err(WaitError::FailedEarly(failed));
            }
            tokio::select! {
                () = waiting.waiter.notify.notified() => {
                    tokio::time::sleep(GATHER).await;
                    due = waiting.moved();
                    due.retain(|&i| match self.told(&targets[i], options) {
                        None => true,
                        told => {
                            healths[i] = told;
                            false
                        }
                    });
                }
                () = tokio::time::sleep_until(next_poll) => {
                    // Watched objects are polled at the full interval only: there may be more to them than a watch tells.
                    let slow = poll >= options.interval;
                    due = (0..targets.len())
                        .filter(|&i| {
                            let ready = healths[i].as_ref().is_some_and(|h| h.status.kind == Kind::Current);
                            let watched = inner.is_watched(&targets[i].id);
                            let told = !has_children(&targets[i].id) && self.told(&targets[i], options).is_some();
                            if watched { slow && !ready && !told } else { slow || !ready }
                        })
                        .collect();
                    poll = (poll * 2).min(options.interval);
                    next_poll = Instant::now() + poll;
                }
                () = cancel.cancelled() => return Err(WaitError::Canceled),
                () = tokio::time::sleep_until(deadline) => return Err(WaitError::Timeout(unready(targets, &healths))),
            }
        }
    }

    /// The readiness of objects now, each asked for once.
    pub async fn health(&self, targets: &[Target], options: &WaitOptions) -> Vec<Health> {
        stream::iter(targets)
            .map(|target| self.look(target, options))
            .buffered(self.options.concurrent.max(1))
            .collect()
            .await
    }

    /// The readiness of an object without asking for it, where a watch tells. A failure is looked at for its reason.
    fn told(&self, target: &Target, options: &WaitOptions) -> Option<Health> {
        let (id, inner) = (&target.id, &self.cluster.inner);
        if options.evaluators.iter().any(|evaluator| evaluator.covers(&id.group_kind())) {
            return None;
        }
        if inner.is_ready(id) {
            return Some(Health::current(id));
        }
        let kind = inner.health(id).filter(|kind| *kind == Kind::InProgress)?;
        Some(Health { id: id.clone(), status: Status::new(kind, ""), error: None })
    }

    /// Reads an object and judges it.
    async fn look(&self, target: &Target, options: &WaitOptions) -> Health {
        let id = &target.id;
        let unknown =
            |error: Option<String>| Health { id: id.clone(), status: Status::new(Kind::Unknown, ""), error };
        let inner = &self.cluster.inner;
        let resource = match inner.discovery.preferred(&id.group_kind()).await {
            Ok(resource) => resource,
            Err(error) => return unknown(Some(error.to_string())),
        };
        if resource.namespaced && id.namespace.is_empty() {
            return unknown(None);
        }
        let object = match rest::get(&self.client, &resource.path(&id.namespace, &id.name)).await {
            Ok(object) => object,
            Err(error) if error.kind_not_served() => {
                inner.discovery.forget(&resource.group, &resource.version);
                return unknown(Some(error.to_string()));
            }
            Err(error) if error.is_not_found() => {
                let gone = if target.vanishes { Kind::Current } else { Kind::NotFound };
                return Health {
                    id: id.clone(),
                    status: Status::new(gone, "the object does not exist"),
                    error: None,
                };
            }
            Err(error) => return unknown(Some(error.to_string())),
        };
        if let Some(custom) = options.evaluators.iter().find(|e| e.covers(&id.group_kind())) {
            return match custom.evaluate(&object) {
                Ok(status) => Health { id: id.clone(), status, error: None },
                Err(error) => unknown(Some(error)),
            };
        }
        let mut status = status::compute(&object, jiff::Timestamp::now());
        let mut error = status.error.take();
        if status.kind == Kind::InProgress && has_children(id) {
            match self.failed_pod(&object).await {
                Ok(Some(message)) => status = Status::new(Kind::Failed, message),
                Ok(None) => {}
                Err(cause) => (status, error) = (Status::new(Kind::Unknown, ""), Some(cause)),
            }
        }
        if status.kind == Kind::Current {
            inner.set_ready(id, resource_version(&object));
        }
        Health { id: id.clone(), status, error }
    }

    /// A pod of a workload that will not get well by itself.
    async fn failed_pod(&self, workload: &Value) -> Result<Option<String>, String> {
        let selector = pod_selector(workload).ok_or("the object has no usable spec.selector")?;
        let namespace = metadata_text(workload, "namespace");
        let path =
            format!("/api/v1/namespaces/{}/pods?labelSelector={}", encode(namespace), encode(&selector));
        let pods = rest::get(&self.client, &path).await.map_err(|error| error.to_string())?;
        let now = jiff::Timestamp::now();
        for pod in pods["items"].as_array().into_iter().flatten() {
            if !metadata_text(pod, "deletionTimestamp").is_empty() || status::unschedulable(pod) {
                continue;
            }
            let status = status::pod(pod, now);
            if status.kind == Kind::Failed {
                return Ok(Some(format!(
                    "Pod/{namespace}/{} {}",
                    metadata_text(pod, "name"),
                    status.message
                )));
            }
        }
        Ok(None)
    }
}

/// Whether the pods of an object, which are not watched, have a say in its readiness.
fn has_children(id: &ObjectId) -> bool {
    id.group == "apps" && matches!(&*id.kind, "StatefulSet" | "ReplicaSet")
}

impl Health {
    fn current(id: &ObjectId) -> Self {
        Self { id: id.clone(), status: Status::new(Kind::Current, ""), error: None }
    }
}

/// `spec.selector` as a query.
fn pod_selector(workload: &Value) -> Option<String> {
    use kube::core::Selector;
    let selector = workload.pointer("/spec/selector")?.clone();
    let selector: k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector =
        serde_json::from_value(selector).ok()?;
    let selector: Selector = selector.try_into().ok()?;
    (!selector.selects_all()).then(|| selector.to_string())
}

/// All that are not ready, sorted; an object that was never judged is one of them.
fn unready(targets: &[Target], healths: &[Option<Health>]) -> Vec<Health> {
    let mut open: Vec<Health> = targets
        .iter()
        .zip(healths)
        .filter_map(|(target, health)| match health {
            Some(health) => (health.status.kind != Kind::Current).then(|| health.clone()),
            None => {
                Some(Health { id: target.id.clone(), status: Status::new(Kind::Unknown, ""), error: None })
            }
        })
        .collect();
    open.sort_by_cached_key(|health| health.id.to_string());
    open
}

/// A registration for moves, withdrawn when dropped.
struct Waiting<'a> {
    inner: &'a Inner,
    index: HashMap<ObjectId, usize>,
    waiter: Arc<Waiter>,
}

impl<'a> Waiting<'a> {
    fn new(inner: &'a Inner, targets: &[Target]) -> Self {
        let index: HashMap<ObjectId, usize> =
            targets.iter().enumerate().map(|(i, t)| (t.id.clone(), i)).collect();
        let waiter = inner.wait_for(index.keys().cloned());
        Self { inner, index, waiter }
    }

    fn moved(&self) -> Vec<usize> {
        let moved = std::mem::take(&mut *self.waiter.moved.lock());
        moved.iter().filter_map(|id| self.index.get(id).copied()).collect()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waiter = Arc::default();
        self.inner.done_waiting(self.index.keys());
    }
}
