//! `spec.dependsOn` between objects of one kind: in which order they are woken, who waits for whom, and cycles.

use crate::conditions;
use crate::controller::{Cause, Handle, Key, Store};
use parking_lot::Mutex;
use sluice_api::Dependent;
use sluice_api::meta::{DEPENDENCY_NOT_READY_REASON, DependencyReference, READY};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// What an entry of `dependsOn` of the object `own` means.
pub fn target(own: &Key, dependency: &DependencyReference) -> Key {
    let namespace = dependency.namespace.as_deref().filter(|n| !n.is_empty()).unwrap_or(&own.namespace);
    Key::new(namespace, &dependency.name)
}

/// The objects, dependencies before dependents. A cycle is entered once, so that all of it comes in some order.
pub fn in_order<K: Dependent>(objects: &BTreeMap<Key, Arc<K>>) -> Vec<Key> {
    let (mut order, mut seen) = (Vec::new(), HashSet::new());
    // An explicit stack: chains of dependencies can be as long as there are objects.
    let mut stack: Vec<(Key, bool)> = objects.keys().rev().map(|key| (key.clone(), false)).collect();
    while let Some((key, done)) = stack.pop() {
        let Some(object) = objects.get(&key) else { continue };
        if done {
            order.push(key);
        } else if seen.insert(key.clone()) {
            let needs = object.depends_on().iter().rev().map(|dependency| (target(&key, dependency), false));
            let needs: Vec<_> = needs.collect();
            stack.push((key, true));
            stack.extend(needs);
        }
    }
    order
}

/// The path of dependencies that leads back to `start`, if there is one among the known objects.
pub fn cycle<K: Dependent>(store: &Store<K>, start: &Key) -> Option<String> {
    let mut seen = HashSet::new();
    let mut paths = vec![vec![start.clone()]];
    while let Some(path) = paths.pop() {
        let Some((own, object)) = path.last().and_then(|key| Some((key, store.get(key)?))) else { continue };
        for dependency in object.depends_on() {
            let next = target(own, dependency);
            if next == *start {
                let names: Vec<String> = path.iter().chain([start]).map(ToString::to_string).collect();
                return Some(names.join(" -> "));
            }
            if seen.insert(next.clone()) {
                paths.push(path.iter().cloned().chain([next]).collect());
            }
        }
    }
    None
}

/// Wakes the objects that wait for this one, instead of letting them wait for their timer.
pub fn wake<K: Dependent>(handle: &Handle<K>, held: &Held, key: &Key) {
    for object in handle.store().list() {
        // Most depend on nothing, and this runs after each success.
        if object.depends_on().is_empty() {
            continue;
        }
        let own = Key::of(object.as_ref());
        let told = conditions::reason(object.conditions(), READY) == DEPENDENCY_NOT_READY_REASON;
        let depends = object.depends_on().iter().any(|dependency| target(&own, dependency) == *key);
        if depends && (told || held.contains(&own)) {
            handle.trigger(own, Cause::related(&K::kind(&()), &key.namespace, &key.name));
        }
    }
}

/// The objects whose pass waits for another object without having said so in the status.
#[derive(Debug, Default)]
pub struct Held(Mutex<HashSet<Key>>);

impl Held {
    /// Notes a wait, until what is returned is dropped.
    pub fn enter(&self, key: &Key) -> impl Drop + use<'_> {
        self.0.lock().insert(key.clone());
        HeldGuard { held: self, key: key.clone() }
    }

    fn contains(&self, key: &Key) -> bool {
        self.0.lock().contains(key)
    }
}

struct HeldGuard<'a> {
    held: &'a Held,
    key: Key,
}

impl Drop for HeldGuard<'_> {
    fn drop(&mut self) {
        self.held.0.lock().remove(&self.key);
    }
}
