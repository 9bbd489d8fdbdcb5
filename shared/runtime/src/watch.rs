//! Watches of other kinds: what a controller depends on but does not own.

use crate::controller::Key;
use futures::StreamExt;
use kube::core::error_boundary::InvalidObject;
use kube::core::{DeserializeGuard, NamespaceResourceScope};
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

    /// What is remembered of all objects, in no order.
    pub fn all(&self) -> Vec<S> {
        self.known.read().values().cloned().collect()
    }

    /// What is remembered of an object that `wanted` accepts, if there is one.
    pub fn find(&self, wanted: impl Fn(&S) -> bool) -> Option<S> {
        self.known.read().values().find(|known| wanted(known)).cloned()
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
    /// API errors are retried without end, and logged. With `K` = `PartialObjectMeta<…>` only metadata is transferred. An
    /// object that is no `K` (a value that this version does not know) is logged, and counts as absent.
    pub async fn run<K>(
        &self,
        api: Api<K>,
        config: watcher::Config,
        project: impl Fn(&K) -> S,
        changed: impl FnMut(Change<'_, S>),
        shutdown: CancellationToken,
    ) where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let kind = K::kind(&());
        let follow = async {
            if K::metadata_api() {
                // Metadata always reads, and the guard would ask for whole objects.
                let stream = watcher::watcher(api, config).backoff(backoff());
                self.follow(stream, &kind, |object: K| Some(project(&object)), changed).await;
            } else {
                let stream = watcher::watcher(guarded(api), config).backoff(backoff());
                let project = |DeserializeGuard(object)| match object {
                    Ok(object) => Some(project(&object)),
                    Err(invalid) => {
                        log_invalid(&kind, &invalid);
                        None
                    }
                };
                self.follow(stream, &kind, project, changed).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = follow => {}
        }
    }

    async fn follow<O: Resource>(
        &self,
        stream: impl futures::Stream<Item = Result<Event<O>, watcher::Error>>,
        kind: &str,
        project: impl Fn(O) -> Option<S>,
        mut changed: impl FnMut(Change<'_, S>),
    ) {
        let mut stream = std::pin::pin!(stream);
        let mut unlisted: HashSet<Key> = HashSet::new();
        while let Some(event) = stream.next().await {
            match event {
                Ok(Event::Init) => unlisted = self.known.read().keys().cloned().collect(),
                Ok(Event::InitApply(object)) => {
                    let key = Key::of(&object);
                    if let Some(new) = project(object) {
                        unlisted.remove(&key);
                        self.set(key, new, &mut changed);
                    }
                }
                Ok(Event::InitDone) => {
                    for key in unlisted.drain() {
                        self.unset(&key, &mut changed);
                    }
                    self.synced.cancel();
                }
                Ok(Event::Apply(object)) => {
                    let key = Key::of(&object);
                    match project(object) {
                        Some(new) => self.set(key, new, &mut changed),
                        None => self.unset(&key, &mut changed),
                    }
                }
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

/// The same objects, each of which may turn out not to be a `K`: one that cannot be read must not hide all others.
pub(crate) fn guarded<K>(api: Api<K>) -> Api<DeserializeGuard<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let namespace = api.namespace().map(str::to_owned);
    match (api.into_client(), namespace) {
        (client, None) => Api::all(client),
        (client, Some(namespace)) => Api::namespaced(client, &namespace),
    }
}

/// Logs that an object is left alone because it cannot be read.
pub(crate) fn log_invalid(kind: &str, invalid: &InvalidObject) {
    let name = |text: &Option<String>| text.clone().unwrap_or_default();
    warn!(
        kind,
        namespace = name(&invalid.metadata.namespace),
        name = name(&invalid.metadata.name),
        error = invalid.error,
        "the object cannot be read and is left alone until it is changed; compare it with the definition of its kind"
    );
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
