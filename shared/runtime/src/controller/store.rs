//! The controller's own objects in memory, as fresh as the watch or the controller's own writes.

use super::key::Key;
use kube::Resource;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;

/// Objects of the watched kind, without their managed fields. Cheap to clone; clones share the objects.
///
/// It holds what the watch delivers, so it is bounded by what the selector matches. After a write the controller hands
/// in what the API server answered, so that the next pass does not start from an older state than the last one ended
/// with.
pub struct Store<K> {
    objects: Arc<RwLock<HashMap<Key, Arc<K>>>>,
}

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self { objects: self.objects.clone() }
    }
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        Self { objects: Arc::default() }
    }
}

impl<K> std::fmt::Debug for Store<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("objects", &self.objects.read().len()).finish()
    }
}

impl<K: Resource> Store<K> {
    /// The object, if it exists.
    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.objects.read().get(key).cloned()
    }

    /// All objects, in no order.
    pub fn list(&self) -> Vec<Arc<K>> {
        self.objects.read().values().cloned().collect()
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.objects.read().len()
    }

    /// Whether there are no objects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes over what the API server answered to a write of an object that the watch has delivered before.
    ///
    /// Ignored if the watch already knows a newer state, or that the object is gone.
    pub fn observe(&self, mut object: K) {
        object.meta_mut().managed_fields = None;
        let key = Key::of(&object);
        let mut objects = self.objects.write();
        if let Some(known) = objects.get_mut(&key)
            && known.meta().uid == object.meta().uid
            && version(&object) >= version(known.as_ref())
        {
            *known = Arc::new(object);
        }
    }

    /// Takes over an object from the watch, and returns the former state and the one held now. A state older than one
    /// that [`Store::observe`] brought is dropped.
    pub(super) fn apply(&self, mut object: K) -> (Key, Option<Arc<K>>, Arc<K>) {
        object.meta_mut().managed_fields = None;
        let key = Key::of(&object);
        let mut objects = self.objects.write();
        let before = objects.get(&key).cloned();
        if let Some(known) = &before
            && known.meta().uid == object.meta().uid
            && version(&object) < version(known.as_ref())
        {
            return (key, before.clone(), known.clone());
        }
        let object = Arc::new(object);
        objects.insert(key.clone(), object.clone());
        (key, before, object)
    }

    pub(super) fn remove(&self, key: &Key) -> Option<Arc<K>> {
        self.objects.write().remove(key)
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        self.objects.read().keys().cloned().collect()
    }
}

/// A store of objects that no watch follows, for reconcilers that look things up in one.
impl<K: Resource> FromIterator<K> for Store<K> {
    fn from_iter<I: IntoIterator<Item = K>>(objects: I) -> Self {
        let store = Self::default();
        for object in objects {
            store.apply(object);
        }
        store
    }
}

/// Resource versions of one kind can be compared as numbers (guaranteed since Kubernetes 1.35, true before).
fn version<K: Resource>(object: &K) -> u64 {
    object.meta().resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    fn object(version: &str, uid: &str) -> ConfigMap {
        serde_json::from_value(json!({
            "metadata": {"namespace": "a", "name": "b", "uid": uid, "resourceVersion": version, "managedFields": [{}]},
        }))
        .unwrap()
    }

    fn held(store: &Store<ConfigMap>) -> Option<String> {
        store.get(&Key::new("a", "b")).and_then(|o| o.metadata.resource_version.clone())
    }

    #[test]
    fn the_newest_state_wins_whoever_brings_it() {
        let store = Store::default();
        store.observe(object("5", "x"));
        assert_eq!(held(&store), None, "only the watch brings objects in");
        store.apply(object("9", "x"));
        store.observe(object("10", "x"));
        assert_eq!(held(&store).as_deref(), Some("10"), "versions are numbers, not texts");
        store.apply(object("9", "x"));
        assert_eq!(held(&store).as_deref(), Some("10"), "a late watch event is dropped");
        store.observe(object("11", "y"));
        assert_eq!(held(&store).as_deref(), Some("10"), "another incarnation is not ours");
        store.apply(object("3", "z"));
        assert_eq!(held(&store).as_deref(), Some("3"), "the watch saw it recreated");
        store.remove(&Key::new("a", "b"));
        store.observe(object("12", "z"));
        assert_eq!(held(&store), None, "a write does not bring a deleted object back");
    }

    #[test]
    fn managed_fields_are_not_kept() {
        let store = Store::default();
        let (key, _, _) = store.apply(object("1", "x"));
        assert!(store.get(&key).unwrap().metadata.managed_fields.is_none());
    }
}
