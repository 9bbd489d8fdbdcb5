//! The store: collections under one revision counter, with compare-and-swap writes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;
use serde_json::Value;
use tokio::sync::watch;

use super::log::Log;
use super::{Change, CollectionId, Event, Key, Stored};

/// Why a write did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteError {
    /// The object to create is there already.
    Exists,
    /// The object to change is not there (any more).
    Missing,
    /// The object changed since it was read.
    Changed,
}

/// Hears of changes.
type Observer = Box<dyn Fn(&Event) + Send + Sync>;

/// All objects of a cluster.
pub(crate) struct Store {
    state: RwLock<State>,
    history: usize,
    observer: OnceLock<Observer>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) revision: u64,
    pub(super) collections: HashMap<CollectionId, Collection>,
    /// Dependents by the uid of their owner.
    dependents: HashMap<String, HashSet<(CollectionId, Key)>>,
    /// Every live object by uid.
    uids: HashMap<String, (CollectionId, Key)>,
}

pub(super) struct Collection {
    pub(super) objects: BTreeMap<Key, Arc<Stored>>,
    pub(super) log: Log,
    changed: watch::Sender<u64>,
}

impl Store {
    /// An empty store that remembers `history` changes per collection.
    pub(crate) fn new(history: usize) -> Self {
        let state = State { revision: 1, ..State::default() };
        Self { state: RwLock::new(state), history, observer: OnceLock::new() }
    }

    /// Sets the one function that hears of every change, after it happened. It must be quick. Later calls do nothing.
    pub(crate) fn observe(&self, observer: impl Fn(&Event) + Send + Sync + 'static) {
        let _ = self.observer.set(Box::new(observer));
    }

    pub(crate) fn revision(&self) -> u64 {
        self.state.read().revision
    }

    pub(crate) fn get(&self, collection: &CollectionId, key: &Key) -> Option<Arc<Stored>> {
        self.state.read().collections.get(collection)?.objects.get(key).cloned()
    }

    pub(super) fn read<T>(&self, f: impl FnOnce(&State) -> T) -> T {
        f(&self.state.read())
    }

    /// The live object with this uid.
    pub(crate) fn by_uid(&self, uid: &str) -> Option<Arc<Stored>> {
        let state = self.state.read();
        let (collection, key) = state.uids.get(uid)?;
        state.collections.get(collection)?.objects.get(key).cloned()
    }

    /// The objects that name `uid` as an owner.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<Arc<Stored>> {
        let state = self.state.read();
        let Some(keys) = state.dependents.get(uid) else { return Vec::new() };
        keys.iter().filter_map(|(c, k)| state.collections.get(c)?.objects.get(k).cloned()).collect()
    }

    /// Every object in a namespace, of all collections.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Vec<Arc<Stored>> {
        let state = self.state.read();
        let from = Key::new(namespace, "");
        state
            .collections
            .values()
            .flat_map(|c| c.objects.range(from.clone()..).take_while(|(k, _)| k.namespace == namespace))
            .map(|(_, o)| o.clone())
            .collect()
    }

    /// A signal that moves when the collection changes.
    pub(crate) fn signal(&self, collection: &CollectionId) -> watch::Receiver<u64> {
        if let Some(found) = self.state.read().collections.get(collection) {
            return found.changed.subscribe();
        }
        self.state.write().collection(collection, self.history).changed.subscribe()
    }

    /// The changes of a collection after `revision`, and the revision up to which this is complete; `None` if it is
    /// too long ago.
    pub(crate) fn changes(&self, collection: &CollectionId, revision: u64) -> Option<(Vec<Arc<Event>>, u64)> {
        let state = self.state.read();
        match state.collections.get(collection) {
            None => Some((Vec::new(), state.revision)),
            Some(c) => Some((c.log.after(revision)?.cloned().collect(), state.revision)),
        }
    }

    pub(crate) fn create(
        &self,
        collection: &CollectionId,
        key: Key,
        value: Value,
        fields: Vec<(String, String)>,
    ) -> Result<Arc<Stored>, WriteError> {
        self.write(collection, |state, history| {
            let revision = state.revision + 1;
            let c = state.collection(collection, history);
            if c.objects.contains_key(&key) {
                return Err(WriteError::Exists);
            }
            let stored = Arc::new(Stored::encode(collection, key, revision, value, fields));
            state.revision = revision;
            Ok(Event::new(Change::Added, stored, None))
        })
    }

    /// Replaces the object that was read at `read` revision.
    pub(crate) fn update(
        &self,
        collection: &CollectionId,
        key: Key,
        read: u64,
        value: Value,
        fields: Vec<(String, String)>,
    ) -> Result<Arc<Stored>, WriteError> {
        self.write(collection, |state, history| {
            let revision = state.revision + 1;
            let c = state.collection(collection, history);
            let previous = c.objects.get(&key).ok_or(WriteError::Missing)?;
            if previous.revision != read {
                return Err(WriteError::Changed);
            }
            let previous = previous.clone();
            let stored = Arc::new(Stored::encode(collection, key, revision, value, fields));
            state.revision = revision;
            Ok(Event::new(Change::Modified, stored, Some(previous)))
        })
    }

    /// Removes the object that was read at `read` revision and returns its last state.
    pub(crate) fn delete(
        &self,
        collection: &CollectionId,
        key: &Key,
        read: u64,
    ) -> Result<Arc<Stored>, WriteError> {
        self.write(collection, |state, history| {
            let revision = state.revision + 1;
            let c = state.collection(collection, history);
            let previous = c.objects.get(key).ok_or(WriteError::Missing)?;
            if previous.revision != read {
                return Err(WriteError::Changed);
            }
            let previous = previous.clone();
            let fields = previous.fields.to_vec();
            let stored = Stored::encode(collection, key.clone(), revision, previous.value(), fields);
            state.revision = revision;
            Ok(Event::new(Change::Deleted, Arc::new(stored), Some(previous)))
        })
    }

    fn write(
        &self,
        collection: &CollectionId,
        f: impl FnOnce(&mut State, usize) -> Result<Event, WriteError>,
    ) -> Result<Arc<Stored>, WriteError> {
        let event = {
            let mut state = self.state.write();
            let event = Arc::new(f(&mut state, self.history)?);
            state.index(&event);
            let c = state.collection(collection, self.history);
            match event.change {
                Change::Deleted => c.objects.remove(&event.object.key),
                _ => c.objects.insert(event.object.key.clone(), event.object.clone()),
            };
            c.log.push(event.clone());
            c.changed.send_replace(event.revision());
            event
        };
        if let Some(observer) = self.observer.get() {
            observer(&event);
        }
        Ok(event.object.clone())
    }
}

impl State {
    fn collection(&mut self, id: &CollectionId, history: usize) -> &mut Collection {
        self.collections.entry(id.clone()).or_insert_with(|| Collection {
            objects: BTreeMap::new(),
            log: Log::new(history),
            changed: watch::Sender::new(0),
        })
    }

    fn index(&mut self, event: &Event) {
        let at = || (event.object.collection.clone(), event.object.key.clone());
        for owner in event.previous.iter().flat_map(|p| &p.owners) {
            if let Some(set) = self.dependents.get_mut(&owner.uid) {
                set.remove(&at());
                if set.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
        }
        if event.change == Change::Deleted {
            self.uids.remove(&event.object.uid);
            return;
        }
        for owner in &event.object.owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(at());
        }
        if event.change == Change::Added {
            self.uids.insert(event.object.uid.clone(), at());
        }
    }
}
