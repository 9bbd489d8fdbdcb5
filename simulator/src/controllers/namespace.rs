//! Namespaces: what a new one gets, and how a deleted one empties itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::{Api, DeleteOptions, WriteOptions, now};
use crate::storage::Stored;

/// What the annotation of the ConfigMap with the cluster's certificates says.
const CA_DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal \
endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of \
Kubernetes clusters.";

/// Brings a namespace to the state that it should be in.
pub(super) fn changed(api: &Api, namespace: &Stored) {
    let name = &namespace.key.name;
    if !namespace.deleting {
        provide(
            api,
            name,
            "serviceaccounts",
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}),
        );
        let ca = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt", "annotations": {"kubernetes.io/description": CA_DESCRIPTION}},
                        "data": {"ca.crt": api.ca_pem()}});
        return provide(api, name, "configmaps", ca);
    }
    for object in api.store.in_namespace(name) {
        if let Some(target) = api.target_of(&object) {
            let _ = api.delete(&target, &DeleteOptions::default());
        }
    }
    let remaining = api.store.in_namespace(name);
    if remaining.is_empty() {
        return api.finish(namespace);
    }
    // Something waits for its finalizers; its deletion brings the namespace back here.
    let Some(current) = api.store.get(&namespace.collection, &namespace.key) else { return };
    let mut value = current.value();
    tell(&mut value["status"], &remaining);
    if value["status"] != current.value()["status"] {
        // A write in between comes back here by itself.
        let fields = current.fields.to_vec();
        let _ = api.store.update(&current.collection, current.key.clone(), current.revision, value, fields);
    }
}

/// Writes the conditions of a namespace that cannot go yet.
fn tell(status: &mut Value, remaining: &[Arc<Stored>]) {
    let (mut resources, mut finalizers) = (BTreeMap::new(), BTreeMap::new());
    for object in remaining {
        let resource = format!("{}.{}", object.collection.resource, object.collection.group);
        *resources.entry(resource).or_insert(0) += 1;
        let value = object.value();
        let names =
            value["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str);
        names.for_each(|name| *finalizers.entry(name.to_owned()).or_insert(0) += 1);
    }
    let count = |counts: BTreeMap<String, usize>, verb: &str| {
        let each =
            counts.into_iter().map(|(name, count)| format!("{name} {verb} {count} resource instances"));
        each.collect::<Vec<_>>().join(", ")
    };
    let has_finalizers = !finalizers.is_empty();
    let (resources, finalizers) = (count(resources, "has"), count(finalizers, "in"));
    let (held, held_reason) = if has_finalizers {
        let message = format!("Some content in the namespace has finalizers remaining: {finalizers}");
        (message, "SomeFinalizersRemain")
    } else {
        ("All content-preserving finalizers finished".to_owned(), "ContentHasNoFinalizers")
    };
    let known = status["conditions"].take();
    let conditions = [
        (
            "NamespaceDeletionDiscoveryFailure",
            false,
            "ResourcesDiscovered",
            "All resources successfully discovered".to_owned(),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed".to_owned(),
        ),
        (
            "NamespaceDeletionContentFailure",
            false,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization".to_owned(),
        ),
        (
            "NamespaceContentRemaining",
            true,
            "SomeResourcesRemain",
            format!("Some resources are remaining: {resources}"),
        ),
        ("NamespaceFinalizersRemaining", has_finalizers, held_reason, held),
    ];
    let conditions = conditions.map(|(kind, is, reason, message)| {
        let is = if is { "True" } else { "False" };
        let before =
            known.as_array().into_iter().flatten().find(|one| one["type"] == kind && one["status"] == is);
        let since = before.map_or_else(|| now().into(), |one| one["lastTransitionTime"].clone());
        json!({"type": kind, "status": is, "reason": reason, "message": message, "lastTransitionTime": since})
    });
    status["conditions"] = conditions.to_vec().into();
}

fn provide(api: &Api, namespace: &str, plural: &str, body: serde_json::Value) {
    if let Ok(target) = api.target("", "v1", plural, namespace, "") {
        // It is there already, or the namespace is going away.
        let _ = api.create(&target, body, &WriteOptions::by("kube-controller-manager"));
    }
}
