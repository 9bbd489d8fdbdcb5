//! Watches the metadata of applied objects, so that drift is corrected within a second and waiting needs no polling.
//!
//! One watch per kind and cluster, limited to objects with the ownership label, whatever the number of owners. Nothing
//! is kept per object beyond what the memory of applied objects holds, and a kind that nobody applies is not watched.
//! Workloads are watched whole, not by their metadata: so each event tells their readiness, and nobody has to ask.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use futures::StreamExt;
use http::Method;
use kube::core::WatchEvent;
use serde_json::Value;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::Inner,
    discovery::Resource,
    memory::Seen,
    object::{GroupKind, ObjectId, Owner, join_api_version, metadata_text, resource_version},
    rest::{self, RequestError, encode},
    status,
};

/// What happened to an applied object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// A field that its owner had set was changed, or one was added by a manager that the owner takes over.
    Changed,
    /// It was deleted, or lost its ownership label.
    Deleted,
}

/// An applied object is not any more as its owner left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// Who applied it, and should reconcile now.
    pub owner: Owner,
    /// The object.
    pub id: ObjectId,
    /// What happened to it.
    pub moved: Move,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.moved {
            Move::Changed => "changed",
            Move::Deleted => "deleted",
        };
        write!(f, "{} of {} {what}", self.id, self.owner)
    }
}

/// Whether objects of the kind are watched whole: those whose readiness is a matter of their status, and whose size is
/// not one of their users' making.
fn is_whole(kind: &GroupKind) -> bool {
    matches!(
        (&*kind.group, &*kind.kind),
        ("apps", "DaemonSet" | "Deployment" | "ReplicaSet" | "StatefulSet") | ("batch", "Job")
    )
}

/// The watches of a cluster.
#[derive(Default)]
pub(crate) struct Watches {
    running: HashMap<GroupKind, Watch>,
}

struct Watch {
    task: AbortHandle,
    synced: bool,
}

impl Watches {
    /// Starts the watch of a kind, unless it runs.
    pub(crate) fn start(
        &mut self,
        inner: &Arc<Inner>,
        kind: &GroupKind,
        resource: &Arc<Resource>,
        stopped: &CancellationToken,
    ) {
        if self.running.get(kind).is_some_and(|watch| !watch.task.is_finished()) {
            return;
        }
        let runner = Runner {
            inner: Arc::downgrade(inner),
            client: inner.client.clone(),
            label: inner.keys.name.clone(),
            kind: kind.clone(),
            resource: resource.clone(),
        };
        let task = tokio::spawn(stopped.clone().run_until_cancelled_owned(runner.run())).abort_handle();
        self.running.insert(kind.clone(), Watch { task, synced: false });
    }

    /// Stops the watch of a kind.
    pub(crate) fn stop(&mut self, kind: &GroupKind) {
        if let Some(watch) = self.running.remove(kind) {
            watch.task.abort();
        }
    }

    /// Whether the watch of a kind tells of every change.
    pub(crate) fn synced(&self, kind: &GroupKind) -> bool {
        self.running.get(kind).is_some_and(|watch| watch.synced && !watch.task.is_finished())
    }

    /// Whether the watch of a kind tells of every change, and of readiness.
    pub(crate) fn tells_health(&self, kind: &GroupKind) -> bool {
        is_whole(kind) && self.synced(kind)
    }

    pub(crate) fn set_synced(&mut self, kind: &GroupKind, synced: bool) {
        if let Some(watch) = self.running.get_mut(kind) {
            watch.synced = synced;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }
}

/// Pause after the first failure; it doubles up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause between attempts.
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// Pause where the identity may not list or watch the kind.
const FORBIDDEN_PAUSE: Duration = Duration::from_secs(300);
/// The server ends each watch after this many seconds.
const WATCH_SECONDS: u64 = 290;
/// Objects per page of a list of metadata, and of whole objects.
const PAGE: usize = 500;
const WHOLE_PAGE: usize = 100;

/// One watch, from its start until nobody applies the kind.
struct Runner {
    inner: Weak<Inner>,
    client: kube::Client,
    label: String,
    kind: GroupKind,
    resource: Arc<Resource>,
}

/// Why a list or watch ended.
enum End {
    /// Nobody needs it any more.
    Unneeded,
    /// It can go on from this version.
    Resume(String),
    /// A new list is needed at once.
    Relist,
    /// A new list is needed after a pause.
    Failed(RequestError),
}

impl Runner {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.list_and_watch(&mut pause).await {
                End::Unneeded => return,
                End::Resume(_) | End::Relist => {
                    let Some(inner) = self.inner.upgrade() else { return };
                    inner.unsynced(&self.kind);
                }
                End::Failed(error) => {
                    let Some(inner) = self.inner.upgrade() else { return };
                    inner.unsynced(&self.kind);
                    if matches!(error.code(), 401 | 403) {
                        tracing::warn!(kind = %self.kind.kind, group = %self.kind.group, %error,
                            "cannot watch applied objects; drift is found at the interval only");
                        drop(inner);
                        tokio::time::sleep(FORBIDDEN_PAUSE).await;
                        continue;
                    }
                    tracing::debug!(kind = %self.kind.kind, group = %self.kind.group, %error, "watch of applied objects failed");
                    if error.kind_not_served() && !self.relocate(&inner).await {
                        inner.kind_vanished(&self.kind);
                    }
                    if !inner.holds(&self.kind) {
                        return;
                    }
                    drop(inner);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
    }

    /// Looks for another version that serves the kind.
    async fn relocate(&mut self, inner: &Inner) -> bool {
        inner.discovery.forget(&self.resource.group, &self.resource.version);
        match inner.discovery.preferred(&self.kind).await {
            Ok(found) => {
                self.resource = found;
                true
            }
            Err(_) => false,
        }
    }

    async fn list_and_watch(&self, pause: &mut Duration) -> End {
        let mut version = match self.list().await {
            Ok(Some(version)) => version,
            Ok(None) => return End::Unneeded,
            Err(error) => return End::Failed(error),
        };
        *pause = FIRST_PAUSE;
        let mut failures = 0;
        loop {
            let before = version.clone();
            match self.watch(version).await {
                End::Resume(next) => {
                    // A server that closes at once, again and again, must not be asked in a tight loop.
                    failures = if next == before { failures + 1 } else { 0 };
                    if failures > 1 {
                        tokio::time::sleep(FIRST_PAUSE * failures.min(50)).await;
                    }
                    version = next;
                }
                other => return other,
            }
        }
    }

    /// Reads all objects and compares them with the memory. Returns the version of the list.
    async fn list(&self) -> Result<Option<String>, RequestError> {
        let collection = self.resource.collection("");
        let mut listed: HashSet<String> = HashSet::new();
        let Some(newest) = self.inner.upgrade().map(|inner| inner.newest(&self.kind)) else {
            return Ok(None);
        };
        let mut first_version = String::new();
        let mut token = String::new();
        loop {
            let more = if token.is_empty() { String::new() } else { format!("&continue={}", encode(&token)) };
            let (accept, limit) = match is_whole(&self.kind) {
                true => (rest::JSON, WHOLE_PAGE),
                false => (rest::METADATA_LIST, PAGE),
            };
            let uri = format!("{collection}?labelSelector={}&limit={limit}{more}", encode(&self.label));
            let request = rest::request(Method::GET, &uri, rest::JSON, accept, Vec::new())?;
            let mut page: Value = rest::send(&self.client, request).await?;
            let Some(inner) = self.inner.upgrade() else { return Ok(None) };
            for object in page["items"].as_array_mut().into_iter().flatten() {
                // The items of a list do not say what they are, and readiness depends on it.
                if let Some(members) = object.as_object_mut() {
                    let version = join_api_version(&self.resource.group, &self.resource.version);
                    members.insert("apiVersion".to_owned(), version.into());
                    members.insert("kind".to_owned(), self.kind.kind.as_str().into());
                }
                let id = self.id(object);
                listed.insert(format!("{}/{}", id.namespace, id.name));
                inner.observe(&id, self.seen(&inner, object));
            }
            if first_version.is_empty() {
                first_version = metadata_text(&page, "resourceVersion").to_owned();
            }
            token = metadata_text(&page, "continue").to_owned();
            if token.is_empty() {
                let at = first_version.parse().unwrap_or(0);
                inner.resync(&self.kind, at, newest, &|id| {
                    listed.contains(&format!("{}/{}", id.namespace, id.name))
                });
                return Ok(Some(first_version));
            }
        }
    }

    /// Follows changes from `version` until the connection ends.
    async fn watch(&self, mut version: String) -> End {
        let uri = format!(
            "{}?watch=true&labelSelector={}&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={}",
            self.resource.collection(""),
            encode(&self.label),
            encode(&version),
        );
        let accept = if is_whole(&self.kind) { rest::JSON } else { rest::METADATA };
        let request = match rest::request(Method::GET, &uri, rest::JSON, accept, Vec::new()) {
            Ok(request) => request,
            Err(error) => return End::Failed(error),
        };
        let events = match self.client.request_events::<Value>(request).await {
            Ok(events) => events,
            Err(error) => return ended(error.into()),
        };
        let mut events = std::pin::pin!(events);
        // A connection that died silently must not be trusted for longer than the server said that it lasts.
        let deadline = tokio::time::sleep(Duration::from_secs(WATCH_SECONDS + 10));
        let mut deadline = std::pin::pin!(deadline);
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = &mut deadline => return End::Resume(version),
            };
            let Some(inner) = self.inner.upgrade() else { return End::Unneeded };
            match event {
                None => return End::Resume(version),
                Some(Err(error)) => return ended(error.into()),
                Some(Ok(WatchEvent::Error(status))) => return ended(RequestError::Api(status)),
                Some(Ok(WatchEvent::Bookmark(bookmark))) => version = bookmark.metadata.resource_version,
                Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                    metadata_text(&object, "resourceVersion").clone_into(&mut version);
                    inner.observe(&self.id(&object), self.seen(&inner, &object));
                }
                Some(Ok(WatchEvent::Deleted(object))) => {
                    metadata_text(&object, "resourceVersion").clone_into(&mut version);
                    let version = resource_version(&object);
                    let gone = Seen { version, print: None, health: None, plain: false };
                    inner.observe(&self.id(&object), gone);
                }
            }
        }
    }

    fn seen(&self, inner: &Inner, object: &Value) -> Seen {
        let health = is_whole(&self.kind).then(|| status::compute(object, jiff::Timestamp::now()).kind);
        let (version, print) = (resource_version(object), Some(inner.print(object)));
        Seen { version, print, health, plain: inner.is_plain(object) }
    }

    fn id(&self, object: &Value) -> ObjectId {
        ObjectId {
            group: self.kind.group.clone(),
            kind: self.kind.kind.clone(),
            namespace: metadata_text(object, "namespace").to_owned(),
            name: metadata_text(object, "name").to_owned(),
        }
    }
}

/// How to go on after an error: an expired version needs a new list at once, all else after a pause.
fn ended(error: RequestError) -> End {
    if error.code() == 410 { End::Relist } else { End::Failed(error) }
}
