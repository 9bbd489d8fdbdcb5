//! Watches of other kinds: what a controller depends on but does not own.

use crate::controller::Key;
use futures::StreamExt;
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource};
use parking_lot::RwLock;
use serde::de::DeserializeOwned;
use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// A change that a watch saw.
#[derive(Debug)]
pub enum Change<'a, S> {
    /// An object that was not known: created, or part of the first list.
    Appeared {
        /// Which object.
        key: &'a Key,
        /// What is remembered of it.
        new: &'a S,
        /// Whether it is part of the first list after the start.
        first_list: bool,
    },
    /// What is remembered of an object changed.
    Changed {
        /// Which object.
        key: &'a Key,
        /// What was remembered.
        old: &'a S,
        /// What is remembered now.
        new: &'a S,
    },
    /// An object is gone.
    Gone {
        /// Which object.
        key: &'a Key,
        /// What was remembered.
        old: &'a S,
    },
}

/// What is remembered of the objects of a watched kind: a small projection, not the objects. Cheap to clone.
pub struct Watched<S> {
    known: Arc<RwLock<HashMap<Key, S>>>,
    synced: CancellationToken,
}

impl<S> Clone for Watched<S> {
    fn clone(&self) -> Self {
        Self { known: self.known.clone(), synced: self.synced.clone() }
    }
}

impl<S> Default for Watched<S> {
    fn default() -> Self {
        Self { known: Arc::default(), synced: CancellationToken::new() }
    }
}

impl<S> Debug for Watched<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("objects", &self.known.read().len()).finish_non_exhaustive()
    }
}

impl<S: Clone + PartialEq> Watched<S> {
    /// What is remembered of an object; `None` if there is no such object (or the first list is not in yet).
    pub fn get(&self, key: &Key) -> Option<S> {
        self.known.read().get(key).cloned()
    }

    /// Whether the first list is in.
    pub fn is_synced(&self) -> bool {
        self.synced.is_cancelled()
    }

    /// Waits for the first list.
    pub async fn synced(&self) {
        self.synced.cancelled().await;
    }

    /// Watches until `shutdown`, remembers `project` of each object and reports differences.
    ///
    /// API errors are retried without end, and logged. With `K` = `PartialObjectMeta<…>` only metadata is transferred.
    pub async fn run<K>(
        &self,
        api: Api<K>,
        config: watcher::Config,
        project: impl Fn(&K) -> S,
        changed: impl FnMut(Change<'_, S>),
        shutdown: CancellationToken,
    ) where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let stream = watcher::watcher(api, config).backoff(backoff());
        let kind = K::kind(&());
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.follow(stream, &kind, project, changed) => {}
        }
    }

    async fn follow<O: Resource>(
        &self,
        stream: impl futures::Stream<Item = Result<Event<O>, watcher::Error>>,
        kind: &str,
        project: impl Fn(&O) -> S,
        mut changed: impl FnMut(Change<'_, S>),
    ) {
        let mut stream = std::pin::pin!(stream);
        let mut unlisted: HashSet<Key> = HashSet::new();
        while let Some(event) = stream.next().await {
            match event {
                Ok(Event::Init) => unlisted = self.known.read().keys().cloned().collect(),
                Ok(Event::InitApply(object)) => {
                    let key = Key::of(&object);
                    unlisted.remove(&key);
                    self.set(key, project(&object), &mut changed);
                }
                Ok(Event::InitDone) => {
                    for key in unlisted.drain() {
                        self.unset(&key, &mut changed);
                    }
                    self.synced.cancel();
                }
                Ok(Event::Apply(object)) => self.set(Key::of(&object), project(&object), &mut changed),
                Ok(Event::Delete(object)) => self.unset(&Key::of(&object), &mut changed),
                Err(err) => log_error(kind, &err),
            }
        }
    }

    fn set(&self, key: Key, new: S, changed: &mut impl FnMut(Change<'_, S>)) {
        let old = self.known.write().insert(key.clone(), new.clone());
        match old {
            Some(old) if old == new => {}
            Some(old) => changed(Change::Changed { key: &key, old: &old, new: &new }),
            None => changed(Change::Appeared { key: &key, new: &new, first_list: !self.is_synced() }),
        }
    }

    fn unset(&self, key: &Key, changed: &mut impl FnMut(Change<'_, S>)) {
        let old = self.known.write().remove(key);
        if let Some(old) = old {
            changed(Change::Gone { key, old: &old });
        }
    }
}

/// Delay between tries of a watch: 0.8 s doubling to 30 s, with jitter.
pub(crate) fn backoff() -> impl Backoff {
    watcher::DefaultBackoff::default()
}

/// Logs why a watch is tried again. A lost connection and an expired version are routine.
pub(crate) fn log_error(kind: &str, err: &watcher::Error) {
    match err {
        watcher::Error::WatchError(status) if status.code == 410 => {
            debug!(kind, "watch expired, listing again");
        }
        watcher::Error::WatchFailed(_) => {
            debug!(kind, error = %crate::telemetry::chain(err), "watch broke off")
        }
        _ => warn!(kind, error = %crate::telemetry::chain(err), "cannot watch, trying again"),
    }
}
