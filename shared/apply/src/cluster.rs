//! What is shared by all passes over one cluster: discovery, the memory of what was applied, the watches for drift.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    annotations::Keys,
    discovery::{Discovery, Resource},
    drift::{Drift, Move, Watches},
    fingerprint,
    inventory::Entry,
    managed::Takeover,
    memory::{Known, Left, Memory, Seen},
    object::{ObjectId, Owner},
    status,
};

/// Names under which a controller acts.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// Field manager of all applies.
    pub field_manager: String,
    /// API group of the owner, the prefix of its labels and annotations.
    pub owner_group: String,
    /// Managers whose fields are taken over and removed, besides kubectl's (`--override-manager`).
    pub override_managers: Vec<String>,
    /// Whether to watch applied objects. Without it every pass reads the metadata of every object.
    pub watch: bool,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            field_manager: "kustomize-controller".to_owned(),
            owner_group: "kustomize.toolkit.fluxcd.io".to_owned(),
            override_managers: Vec::new(),
            watch: true,
        }
    }
}

/// A cluster as this controller knows it. Cheap to clone; all clones share everything.
///
/// Keep one per cluster (per kubeconfig), not one per pass. Its watches end when the last clone is dropped.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) inner: Arc<Inner>,
}

/// The shared part.
pub(crate) struct Inner {
    pub(crate) client: kube::Client,
    pub(crate) discovery: Discovery,
    pub(crate) keys: Keys,
    pub(crate) field_manager: String,
    pub(crate) takeover: Takeover,
    watch: bool,
    state: Mutex<State>,
    on_drift: Box<dyn Fn(Drift) + Send + Sync>,
    stopped: CancellationToken,
    _stop: DropGuard,
}

#[derive(Default)]
struct State {
    memory: Memory,
    watches: Watches,
    waiters: HashMap<ObjectId, Vec<Weak<Waiter>>>,
}

/// Somebody who waits for objects to move.
#[derive(Default)]
pub(crate) struct Waiter {
    pub(crate) moved: Mutex<Vec<ObjectId>>,
    pub(crate) notify: Notify,
}

impl Cluster {
    /// Begins to know a cluster. Sends nothing yet.
    ///
    /// `client` is the controller's own identity: it reads discovery and the metadata of objects that carry the
    /// ownership label. Where it may not list or watch a kind, passes over that kind cost a request per object instead.
    /// `on_drift` is called from a watch task, at once and once per change, when an applied object is not any more as
    /// its owner left it; it must not block.
    pub fn new(
        client: kube::Client,
        options: ClusterOptions,
        on_drift: impl Fn(Drift) + Send + Sync + 'static,
    ) -> Self {
        let keys = Keys::new(&options.owner_group);
        let stopped = CancellationToken::new();
        Self {
            inner: Arc::new(Inner {
                discovery: Discovery::new(client.clone()),
                takeover: Takeover::new(&keys, &options.field_manager, &options.override_managers),
                client,
                keys,
                field_manager: options.field_manager,
                watch: options.watch,
                state: Mutex::default(),
                on_drift: Box::new(on_drift),
                _stop: stopped.clone().drop_guard(),
                stopped,
            }),
        }
    }

    /// The kinds that the cluster serves.
    pub fn discovery(&self) -> &Discovery {
        &self.inner.discovery
    }

    /// Labels and annotations that the owner reads.
    pub fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    /// Forgets objects that are not the owner's concern any more (stale with pruning off, orphaned at its deletion), so
    /// that they are not watched for it. Those that another owner has applied meanwhile stay.
    pub fn forget(&self, entries: &[Entry], owner: &Owner) {
        for entry in entries {
            if !self.inner.owned_by_other(&entry.id, owner) {
                self.inner.forget(&entry.id);
            }
        }
    }

    /// Number of objects that are remembered, for a metric.
    pub fn remembered(&self) -> usize {
        self.inner.state.lock().memory.len()
    }

    /// Number of kinds that are watched, for a metric.
    pub fn watched_kinds(&self) -> usize {
        self.inner.state.lock().watches.len()
    }
}

impl Inner {
    /// What is remembered of an unchanged object, and whether a watch vouches for it.
    pub(crate) fn known(
        &self,
        id: &ObjectId,
        owner: &Owner,
        wanted: &fingerprint::Sum,
    ) -> Option<(Known, bool)> {
        let state = self.state.lock();
        let known = state.memory.known(id, owner, wanted)?;
        Some((known, state.watches.synced(&id.group_kind())))
    }

    /// Whether the object is known to be ready without asking.
    pub(crate) fn is_ready(&self, id: &ObjectId) -> bool {
        let state = self.state.lock();
        state.memory.is_ready(id) && state.watches.synced(&id.group_kind())
    }

    /// Whether moves of the object will be told to waiters.
    pub(crate) fn is_watched(&self, id: &ObjectId) -> bool {
        let state = self.state.lock();
        state.memory.contains(id) && state.watches.synced(&id.group_kind())
    }

    /// The readiness of an object as a watch tells it; `None` where none does, and it has to be asked for.
    pub(crate) fn health(&self, id: &ObjectId) -> Option<status::Kind> {
        let state = self.state.lock();
        state.watches.tells_health(&id.group_kind()).then(|| state.memory.health(id))?
    }

    /// Whether the metadata of a live object call for nothing but an apply.
    pub(crate) fn is_plain(&self, live: &serde_json::Value) -> bool {
        !self.keys.left_alone(live) && (self.keys.merges(live) || !self.takeover.applies_to(live))
    }

    /// The version of an object that a watch vouches for: as its owner's last apply left it, but for its status, or
    /// changed in a way that an apply puts right.
    pub(crate) fn current(&self, id: &ObjectId, owner: &Owner) -> Option<u64> {
        let state = self.state.lock();
        state.watches.synced(&id.group_kind()).then(|| state.memory.current(id, owner))?
    }

    pub(crate) fn set_ready(&self, id: &ObjectId, version: u64) {
        self.state.lock().memory.set_ready(id, version);
    }

    pub(crate) fn forget(&self, id: &ObjectId) {
        let mut state = self.state.lock();
        if state.memory.forget(id) {
            state.watches.stop(&id.group_kind());
        }
    }

    /// Marks a request under way and makes sure that the kind is watched.
    pub(crate) fn begin(
        self: &Arc<Self>,
        id: &ObjectId,
        resource: &Arc<Resource>,
        owner: &Arc<Owner>,
    ) -> Pending {
        let mut state = self.state.lock();
        state.memory.begin(id, owner);
        if self.watch {
            state.watches.start(self, &id.group_kind(), resource, &self.stopped);
        }
        Pending { inner: self.clone(), id: id.clone(), owner: owner.clone(), done: false }
    }

    /// Takes in one object from a watch.
    pub(crate) fn observe(&self, id: &ObjectId, seen: Seen) {
        let drift = {
            let mut state = self.state.lock();
            let owner = state.memory.observe(id, seen);
            state.wake(id);
            owner
        };
        if let Some(owner) = drift {
            let moved = if seen.print.is_some() { Move::Changed } else { Move::Deleted };
            self.tell(owner, id.clone(), moved);
        }
    }

    /// Takes in the end of a complete list. `listed` tells whether an object was in it.
    pub(crate) fn resync(
        &self,
        kind: &crate::GroupKind,
        version: u64,
        newest: u64,
        listed: &dyn Fn(&ObjectId) -> bool,
    ) {
        let gone = {
            let mut state = self.state.lock();
            let gone = state.memory.resync(kind, version, newest, listed);
            state.watches.set_synced(kind, true);
            for (id, _) in &gone {
                state.wake(id);
            }
            gone
        };
        for (id, owner) in gone {
            self.tell(owner, id, Move::Deleted);
        }
    }

    /// Notes that the watch of a kind does not vouch for its objects for now.
    pub(crate) fn unsynced(&self, kind: &crate::GroupKind) {
        self.state.lock().watches.set_synced(kind, false);
    }

    /// Notes that a kind is not served any more: its objects are gone.
    pub(crate) fn kind_vanished(&self, kind: &crate::GroupKind) {
        let gone = self.state.lock().memory.distrust(kind);
        for (id, owner) in gone {
            self.tell(owner, id, Move::Deleted);
        }
    }

    /// The newest version known of a kind, to be read before a list.
    pub(crate) fn newest(&self, kind: &crate::GroupKind) -> u64 {
        self.state.lock().memory.newest(kind)
    }

    /// Whether any object of the kind is remembered.
    pub(crate) fn holds(&self, kind: &crate::GroupKind) -> bool {
        self.state.lock().memory.holds(kind)
    }

    /// Registers a waiter for moves of objects; it is forgotten when it is dropped.
    pub(crate) fn wait_for(&self, ids: impl Iterator<Item = ObjectId>) -> Arc<Waiter> {
        let waiter = Arc::new(Waiter::default());
        let mut state = self.state.lock();
        for id in ids {
            state.waiters.entry(id).or_default().push(Arc::downgrade(&waiter));
        }
        waiter
    }

    /// Removes what a dropped waiter left behind.
    pub(crate) fn done_waiting<'a>(&self, ids: impl Iterator<Item = &'a ObjectId>) {
        let mut state = self.state.lock();
        for id in ids {
            if let Some(waiters) = state.waiters.get_mut(id) {
                waiters.retain(|waiter| waiter.strong_count() > 0);
                if waiters.is_empty() {
                    state.waiters.remove(id);
                }
            }
        }
    }

    /// The fingerprint of an object's metadata.
    pub(crate) fn print(&self, object: &serde_json::Value) -> u64 {
        fingerprint::of_metadata(object, &self.field_manager, &self.keys, &self.takeover)
    }

    fn owned_by_other(&self, id: &ObjectId, owner: &Owner) -> bool {
        self.state.lock().memory.owner(id).is_some_and(|o| **o != *owner)
    }

    fn tell(&self, owner: Arc<Owner>, id: ObjectId, moved: Move) {
        (self.on_drift)(Drift { owner: (*owner).clone(), id, moved });
    }
}

impl State {
    fn wake(&mut self, id: &ObjectId) {
        for waiter in self.waiters.get(id).into_iter().flatten().filter_map(Weak::upgrade) {
            let mut moved = waiter.moved.lock();
            if !moved.contains(id) {
                moved.push(id.clone());
            }
            drop(moved);
            waiter.notify.notify_one();
        }
    }
}

/// A request under way. Dropped before its end, the object is forgotten: nobody knows whether it was written.
pub(crate) struct Pending {
    inner: Arc<Inner>,
    id: ObjectId,
    owner: Arc<Owner>,
    done: bool,
}

impl Pending {
    /// Stores the outcome.
    pub(crate) fn finish(mut self, left: Left) {
        self.done = true;
        let moved = {
            let mut state = self.inner.state.lock();
            let moved = state.memory.finish(&self.id, left);
            state.wake(&self.id);
            moved
        };
        if moved {
            self.inner.tell(self.owner.clone(), self.id.clone(), Move::Changed);
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.done {
            let mut state = self.inner.state.lock();
            if state.memory.abandon(&self.id) {
                state.watches.stop(&self.id.group_kind());
            }
        }
    }
}
