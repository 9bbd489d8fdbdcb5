//! Follows the objects of releases whose drift counts, so that it is seen at once and an undisturbed pass need not look.
//!
//! One metadata watch per kind, limited to objects that carry the label of their HelmRelease. Nothing is compared here: an
//! object that may have changed wakes its HelmRelease, whose pass then looks. As long as none does, the last look holds.

use crate::context::Context;
use futures::StreamExt;
use kube::Api;
use kube::api::{ApiResource, DynamicObject};
use kube::core::{GroupVersionKind, ObjectMeta, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use parking_lot::Mutex;
use sluice_api::helm::HelmRelease;
use sluice_api::meta::{HELM_NAME_LABEL, HELM_NAMESPACE_LABEL, ResourceInventory};
use sluice_apply::GroupKind;
use sluice_apply::inventory;
use sluice_runtime::controller::{Cause, DriftBudget, Handle, Key};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use tokio::task::AbortHandle;
use tracing::debug;

/// The watches, and for whom they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Followed(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    kinds: HashMap<GroupKind, Kind>,
    /// HelmReleases all of whose kinds are watched.
    complete: HashSet<Key>,
    /// HelmReleases that were looked at, and of which nothing has moved since.
    clean: HashSet<Key>,
}

#[derive(Debug)]
struct Kind {
    task: AbortHandle,
    owners: HashSet<Key>,
    /// Whether the watch tells of every change.
    synced: bool,
    /// What was seen of each object: its HelmRelease, and a fingerprint of what can drift.
    objects: HashMap<Key, (Key, u64)>,
}

impl Drop for Kind {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Followed {
    /// Whether nothing has moved since the HelmRelease was found to be as it should.
    pub(crate) fn is_clean(&self, owner: &Key) -> bool {
        self.0.lock().clean.contains(owner)
    }

    /// Begins a look: from now on every move counts.
    pub(crate) fn begin(&self, owner: &Key) {
        let mut state = self.0.lock();
        let vouched = state.complete.contains(owner)
            && state.kinds.values().filter(|kind| kind.owners.contains(owner)).all(|kind| kind.synced);
        if vouched {
            state.clean.insert(owner.clone());
        } else {
            state.clean.remove(owner);
        }
    }

    /// Something of a HelmRelease has moved, or a look could not see.
    pub(crate) fn moved(&self, owner: &Key) {
        self.0.lock().clean.remove(owner);
    }

    /// Follows no object of a HelmRelease any more.
    pub(crate) fn forget(&self, owner: &Key) {
        let mut state = self.0.lock();
        state.clean.remove(owner);
        state.complete.remove(owner);
        state.kinds.retain(|_, kind| {
            kind.owners.remove(owner);
            !kind.owners.is_empty()
        });
    }

    /// The watch of a kind does not vouch for its objects for now.
    fn unsynced(&self, id: &GroupKind) {
        let mut state = self.0.lock();
        let State { kinds, clean, .. } = &mut *state;
        if let Some(kind) = kinds.get_mut(id) {
            kind.synced = false;
            clean.retain(|owner| !kind.owners.contains(owner));
        }
    }

    fn synced(&self, id: &GroupKind) {
        if let Some(kind) = self.0.lock().kinds.get_mut(id) {
            kind.synced = true;
        }
    }

    /// Takes in an object; with no fingerprint it is gone. Returns whose it is, if it moved.
    fn observe(&self, id: &GroupKind, object: Key, owner: Option<Key>, print: Option<u64>) -> Option<Key> {
        let mut state = self.0.lock();
        let kind = state.kinds.get_mut(id)?;
        let before = match (owner.clone(), print) {
            (Some(owner), Some(print)) => kind.objects.insert(object, (owner, print)),
            _ => kind.objects.remove(&object),
        };
        let moved = match (before, print) {
            (Some((owner, old)), Some(new)) if old != new => Some(owner),
            (Some((owner, _)), None) => Some(owner),
            (None, Some(_)) => owner,
            _ => None,
        };
        moved.filter(|owner| kind.owners.contains(owner))
    }

    fn objects(&self, id: &GroupKind) -> HashSet<Key> {
        self.0.lock().kinds.get(id).map(|kind| kind.objects.keys().cloned().collect()).unwrap_or_default()
    }
}

/// Follows the kinds of a HelmRelease's inventory.
pub(crate) async fn follow(
    cx: &Context,
    target: &crate::target::Target,
    owner: &Key,
    objects: &ResourceInventory,
) {
    let mut wanted: BTreeMap<(String, String), String> = BTreeMap::new();
    for entry in &objects.entries {
        if let Ok(id) = inventory::parse(&entry.id) {
            wanted.insert((id.group, id.kind), entry.version.clone());
        }
    }
    let ids: HashSet<GroupKind> = wanted.keys().map(|(group, kind)| GroupKind::new(group, kind)).collect();
    {
        let mut state = cx.followed.0.lock();
        state.kinds.retain(|id, kind| {
            if !ids.contains(id) {
                kind.owners.remove(owner);
            }
            !kind.owners.is_empty()
        });
    }
    let mut complete = true;
    for ((group, kind), version) in wanted {
        let id = GroupKind::new(&group, &kind);
        let known = cx.followed.0.lock().kinds.get_mut(&id).is_some_and(|known| {
            known.owners.insert(owner.clone());
            !known.task.is_finished()
        });
        if known {
            continue;
        }
        let Ok(resource) = target.cluster.discovery().resource(&group, &version, &kind).await else {
            complete = false;
            continue;
        };
        let gvk = GroupVersionKind::gvk(&group, &version, &kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, &resource.plural);
        let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(cx.client.clone(), &resource);
        let task = tokio::spawn(watch(
            cx.followed.clone(),
            cx.handle.clone(),
            cx.drift_budget.clone(),
            id.clone(),
            api,
        ));
        let mut state = cx.followed.0.lock();
        match state.kinds.get_mut(&id).filter(|kind| !kind.task.is_finished()) {
            // Another pass was faster.
            Some(kind) => {
                task.abort();
                kind.owners.insert(owner.clone());
            }
            None => {
                let (task, owners) = (task.abort_handle(), HashSet::from([owner.clone()]));
                state.kinds.insert(id, Kind { task, owners, synced: false, objects: HashMap::new() });
            }
        }
    }
    if complete {
        cx.followed.0.lock().complete.insert(owner.clone());
    }
}

async fn watch(
    followed: Followed,
    handle: Handle<HelmRelease>,
    budget: Arc<DriftBudget>,
    id: GroupKind,
    api: Api<PartialObjectMeta<DynamicObject>>,
) {
    let config = watcher::Config::default().page_size(500).labels(HELM_NAME_LABEL);
    let stream = watcher::watcher(api, config).backoff(watcher::DefaultBackoff::default());
    let mut stream = std::pin::pin!(stream);
    let mut unlisted = HashSet::new();
    let mut listed = false;
    let wake = |owner: Key, object: &Key| {
        followed.moved(&owner);
        if budget.spend(&owner) {
            debug!(kind = id.kind, %object, "drift seen");
            handle.trigger(owner, Cause::related(&id.kind, &object.namespace, &object.name));
        }
    };
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Init) => unlisted = followed.objects(&id),
            Ok(Event::InitApply(object) | Event::Apply(object)) => {
                let key = key(&object.metadata);
                unlisted.remove(&key);
                let moved = followed.observe(
                    &id,
                    key.clone(),
                    owner(&object.metadata),
                    Some(print(&object.metadata)),
                );
                // The first list tells what is there, not what has changed.
                if let Some(owner) = moved.filter(|_| listed) {
                    wake(owner, &key);
                }
            }
            Ok(Event::InitDone) => {
                listed = true;
                for key in unlisted.drain() {
                    if let Some(owner) = followed.observe(&id, key.clone(), None, None) {
                        wake(owner, &key);
                    }
                }
                followed.synced(&id);
            }
            Ok(Event::Delete(object)) => {
                let key = key(&object.metadata);
                if let Some(owner) = followed.observe(&id, key.clone(), None, None) {
                    wake(owner, &key);
                }
            }
            Err(err) => {
                followed.unsynced(&id);
                debug!(kind = id.kind, error = %sluice_runtime::telemetry::chain(&err), "watch of released objects broke off");
            }
        }
    }
}

fn key(meta: &ObjectMeta) -> Key {
    Key::new(meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}

/// The HelmRelease of an object.
fn owner(meta: &ObjectMeta) -> Option<Key> {
    let labels = meta.labels.as_ref()?;
    Some(Key::new(labels.get(HELM_NAMESPACE_LABEL)?, labels.get(HELM_NAME_LABEL)?))
}

/// A fingerprint of what can drift: the generation, which moves with the spec, or where a kind has none the version;
/// labels and annotations; and that the object is going.
fn print(meta: &ObjectMeta) -> u64 {
    let mut hash = DefaultHasher::new();
    match meta.generation.filter(|generation| *generation > 0) {
        Some(generation) => generation.hash(&mut hash),
        None => meta.resource_version.hash(&mut hash),
    }
    meta.uid.hash(&mut hash);
    meta.labels.hash(&mut hash);
    meta.annotations.hash(&mut hash);
    meta.deletion_timestamp.is_some().hash(&mut hash);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(owner: &Key) -> (Followed, GroupKind) {
        let (followed, id) = (Followed::default(), GroupKind::new("", "ConfigMap"));
        let task = tokio::spawn(std::future::pending::<()>()).abort_handle();
        let kind =
            Kind { task, owners: HashSet::from([owner.clone()]), synced: false, objects: HashMap::new() };
        let mut state = followed.0.lock();
        state.kinds.insert(id.clone(), kind);
        state.complete.insert(owner.clone());
        drop(state);
        (followed, id)
    }

    #[tokio::test]
    async fn a_look_holds_until_something_moves() {
        let (owner, object) = (Key::new("ns", "app"), Key::new("ns", "map"));
        let (followed, id) = followed(&owner);
        followed.begin(&owner);
        assert!(!followed.is_clean(&owner), "nobody vouches for the objects yet");
        followed.synced(&id);
        followed.begin(&owner);
        assert!(followed.is_clean(&owner));
        let see = |print| followed.observe(&id, object.clone(), Some(owner.clone()), print);
        assert_eq!(see(Some(1)), Some(owner.clone()), "a new object");
        assert_eq!(see(Some(1)), None, "the same again");
        assert_eq!(see(Some(2)), Some(owner.clone()), "a change");
        assert_eq!(see(None), Some(owner.clone()), "its end");
        let foreign = Key::new("ns", "other");
        assert_eq!(
            followed.observe(&id, object.clone(), Some(foreign), Some(1)),
            None,
            "nobody asked for it"
        );
        followed.moved(&owner);
        assert!(!followed.is_clean(&owner));
        followed.begin(&owner);
        followed.unsynced(&id);
        assert!(!followed.is_clean(&owner), "a watch that broke off vouches for nothing");
        followed.forget(&owner);
        assert!(followed.0.lock().kinds.is_empty(), "nothing is watched for nobody");
    }
}
