//! Garbage collection: what no owner needs any more is deleted.

use serde_json::Value;

use crate::api::{Api, DeleteOptions, PatchType, WriteOptions};
use crate::storage::Stored;

/// After an owner is gone, its dependents go, unless another owner lives.
pub(super) fn deleted(api: &Api, owner: &Stored) {
    for dependent in api.store.dependents(&owner.uid) {
        without_owner(api, &dependent);
    }
    // An owner that waits for its dependents may be free now.
    for reference in owner.owners.iter() {
        if let Some(waiting) = api.store.by_uid(&reference.uid).filter(|waiting| waiting.deleting) {
            deleting(api, &waiting);
        }
    }
}

/// Deletes an object none of whose owners is there; takes those that are gone off one that has another.
pub(super) fn without_owner(api: &Api, object: &Stored) {
    let (alive, gone): (Vec<_>, Vec<_>) =
        object.owners.iter().partition(|owner| api.store.by_uid(&owner.uid).is_some());
    if gone.is_empty() {
        return;
    }
    let Some(target) = api.target_of(object) else { return };
    if alive.is_empty() {
        // Gone already is as good.
        let _ = api.delete(&target, &DeleteOptions::default());
        return;
    }
    let mut references = object.value()["metadata"]["ownerReferences"].take();
    if let Some(references) = references.as_array_mut() {
        references.retain(|reference| alive.iter().any(|owner| reference["uid"] == owner.uid.as_str()));
    }
    let patch = serde_json::json!({"metadata": {"ownerReferences": references}});
    let _ = api.patch(&target, PatchType::Merge, &patch, &WriteOptions::by("kube-controller-manager"));
}

/// A foreground deletion: the dependents go first, then the mark is taken off the owner.
pub(super) fn deleting(api: &Api, object: &Stored) {
    let value = object.value();
    let finalizers = value["metadata"]["finalizers"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !finalizers.iter().any(|finalizer| finalizer == "foregroundDeletion") {
        return;
    }
    let dependents = api.store.dependents(&object.uid);
    for dependent in &dependents {
        if let Some(target) = api.target_of(dependent) {
            let _ = api.delete(&target, &DeleteOptions::default());
        }
    }
    if !api.store.dependents(&object.uid).is_empty() {
        return;
    }
    let rest: Vec<&Value> =
        finalizers.iter().filter(|finalizer| *finalizer != "foregroundDeletion").collect();
    if let Some(target) = api.target_of(object) {
        let patch = serde_json::json!({"metadata": {"finalizers": rest}});
        let _ = api.patch(&target, PatchType::Merge, &patch, &WriteOptions::by("kube-controller-manager"));
    }
}
