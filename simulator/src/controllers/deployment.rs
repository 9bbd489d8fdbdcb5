//! Deployments make a ReplicaSet for each template, and these make pods.

use std::sync::Arc;

use serde_json::{Value, json};

use super::recorder::record;
use super::workload::{
    Behaviour, create, directive, hash, inherit, is_ready, merged, owned, owner_reference, patch,
};
use crate::api::{Api, DeleteOptions, now};
use crate::storage::Stored;

const HASH_LABEL: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";
/// More pods than this are not made, whatever a ReplicaSet asks for.
const MAX_PODS: usize = 500;

/// Takes the next step of a Deployment: a ReplicaSet for its template, the pods of the others away once those are ready.
pub(super) fn changed(api: &Arc<Api>, object: &Stored) {
    if object.deleting {
        return;
    }
    let value = object.value();
    let spec = &value["spec"];
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    let name = format!("{}-{}", object.key.name, hash(&spec["template"]));
    let mut sets = owned(api, object, "replicasets");
    let latest = sets.iter().map(|set| revision(&set.value())).max().unwrap_or(0);
    let annotations = |revision: i64| {
        json!({
            REVISION: revision.to_string(), "deployment.kubernetes.io/desired-replicas": wanted.to_string(),
            "deployment.kubernetes.io/max-replicas": (wanted + surge(spec, wanted)).to_string(),
        })
    };
    if !sets.iter().any(|set| set.key.name == name) {
        create(
            api,
            "apps",
            "replicasets",
            &object.key.namespace,
            replica_set_of(object, &value, &name, &annotations(latest + 1)),
        );
        record(api, object, &scaled(&name, 0, wanted));
        sets = owned(api, object, "replicasets");
    }
    let Some(current) = sets.iter().find(|set| set.key.name == name) else { return };
    let current_value = current.value();
    // A template that comes back, as `kubectl rollout undo` brings it, becomes the latest revision again.
    let number = revision(&current_value);
    let number = if number < latest { latest + 1 } else { number };
    let replicas = current_value["spec"]["replicas"].as_i64().unwrap_or(0);
    let annotations = annotations(number);
    let told = &current_value["metadata"]["annotations"];
    let stale = annotations.as_object().into_iter().flatten().any(|(key, value)| told[key] != *value);
    if replicas != wanted || stale {
        patch(
            api,
            current,
            "",
            json!({"metadata": {"annotations": annotations}, "spec": {"replicas": wanted}}),
        );
        if replicas != wanted {
            record(api, object, &scaled(&name, replicas, wanted));
        }
    }
    if value["metadata"]["annotations"][REVISION] != number.to_string().as_str() {
        patch(api, object, "", json!({"metadata": {"annotations": {REVISION: number.to_string()}}}));
    }
    let current = api.store.get(&current.collection, &current.key).map(|set| set.value()).unwrap_or_default();
    let (updated, ready) = (count(&current, "replicas"), count(&current, "readyReplicas"));
    let up = ready >= wanted && updated == wanted;
    let old_ready = retire(api, object, spec, &name, sets, up);
    report(api, object, &value, &Progress { set: name, wanted, updated, ready, old_ready, up });
}

/// The number of a ReplicaSet in the history of its Deployment.
fn revision(set: &Value) -> i64 {
    set["metadata"]["annotations"][REVISION].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// How many pods a rolling update may add.
fn surge(spec: &Value, wanted: i64) -> i64 {
    match &spec["strategy"]["rollingUpdate"]["maxSurge"] {
        Value::Number(number) => number.as_i64().unwrap_or(0),
        Value::String(text) => {
            let percent = text.trim_end_matches('%').parse::<i64>().unwrap_or(0);
            wanted.saturating_mul(percent).saturating_add(99) / 100
        }
        _ => 0,
    }
}

fn scaled(set: &str, from: i64, to: i64) -> String {
    let direction = if to >= from { "up" } else { "down" };
    format!("Scaled {direction} replica set {set} from {from} to {to}")
}

fn count(value: &Value, field: &str) -> i64 {
    value["status"][field].as_i64().unwrap_or(0)
}

fn replica_set_of(object: &Stored, value: &Value, name: &str, annotations: &Value) -> Value {
    let spec = &value["spec"];
    let hash = name.rsplit('-').next().unwrap_or_default();
    let mut template = spec["template"].clone();
    template["metadata"]["labels"][HASH_LABEL] = hash.into();
    inherit(value, &mut template);
    let mut selector = spec["selector"].clone();
    selector["matchLabels"][HASH_LABEL] = hash.into();
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": name, "labels": template["metadata"]["labels"], "annotations": annotations,
                     "ownerReferences": [owner_reference("apps/v1", "Deployment", object)]},
        "spec": {"replicas": spec["replicas"].as_i64().unwrap_or(1), "selector": selector, "template": template},
    })
}

/// Scales the ReplicaSets of earlier templates down once the new pods are up, and forgets the oldest beyond the limit of
/// the history. Gives the ready pods that are left of them.
fn retire(
    api: &Arc<Api>,
    object: &Stored,
    spec: &Value,
    current: &str,
    sets: Vec<Arc<Stored>>,
    up: bool,
) -> i64 {
    let mut ready = 0;
    let mut past = Vec::new();
    for old in sets.into_iter().filter(|set| set.key.name != current) {
        let value = old.value();
        let replicas = value["spec"]["replicas"].as_i64().unwrap_or(0);
        if up && replicas != 0 {
            patch(api, &old, "", json!({"spec": {"replicas": 0}}));
            record(api, object, &scaled(&old.key.name, replicas, 0));
        } else {
            ready += count(&value, "readyReplicas");
            if replicas == 0 && count(&value, "replicas") == 0 {
                past.push((revision(&value), old));
            }
        }
    }
    let limit = usize::try_from(spec["revisionHistoryLimit"].as_i64().unwrap_or(10)).unwrap_or(0);
    past.sort_by_key(|(revision, _)| *revision);
    let surplus = if up { past.len().saturating_sub(limit) } else { 0 };
    for (_, old) in past.iter().take(surplus) {
        if let Some(target) = api.target_of(old) {
            // It may be gone by now.
            let _ = api.delete(&target, &DeleteOptions::default());
        }
    }
    ready
}

/// How far a Deployment is.
struct Progress {
    /// The ReplicaSet of the present template.
    set: String,
    wanted: i64,
    updated: i64,
    ready: i64,
    old_ready: i64,
    up: bool,
}

fn report(api: &Arc<Api>, object: &Stored, value: &Value, progress: &Progress) {
    let Progress { set, wanted, updated, ready, old_ready, up } = progress;
    let available = ready + old_ready;
    let availability = match available >= *wanted {
        true => ("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        false => (
            "Available",
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        ),
    };
    let (status, reason, message) = match (up, directive(value)) {
        (true, _) => {
            ("True", "NewReplicaSetAvailable", format!("ReplicaSet \"{set}\" has successfully progressed."))
        }
        (false, Behaviour::Fail) => {
            ("False", "ProgressDeadlineExceeded", format!("ReplicaSet \"{set}\" has timed out progressing."))
        }
        (false, _) => ("True", "ReplicaSetUpdated", format!("ReplicaSet \"{set}\" is progressing.")),
    };
    let mut conditions = merged(
        &value["status"]["conditions"],
        &[
            (availability.0, availability.1, availability.2, availability.3.to_owned()),
            ("Progressing", status, reason, message),
        ],
    );
    stamp(&value["status"]["conditions"], &mut conditions);
    let mut status = json!({
        "observedGeneration": value["metadata"]["generation"], "conditions": conditions, "terminatingReplicas": 0,
    });
    for (field, number) in [
        ("replicas", updated + old_ready),
        ("updatedReplicas", *updated),
        ("readyReplicas", available),
        ("availableReplicas", available),
        ("unavailableReplicas", (wanted - available).max(0)),
    ] {
        status[field] = if number == 0 { Value::Null } else { number.into() };
    }
    patch(api, object, "status", json!({"status": status}));
}

/// Tells when each condition last changed in any way, which conditions of Deployments have beside the transition time.
fn stamp(before: &Value, conditions: &mut Value) {
    let before = before.as_array().map(Vec::as_slice).unwrap_or_default();
    for condition in conditions.as_array_mut().into_iter().flatten() {
        let same = |old: &&Value| {
            ["type", "status", "reason", "message"].iter().all(|key| old[key] == condition[key])
        };
        let time = before.iter().find(same).map_or_else(|| now().into(), |old| old["lastUpdateTime"].clone());
        condition["lastUpdateTime"] = time;
    }
}

/// Makes or removes the pods of a ReplicaSet.
pub(super) fn replica_set(api: &Arc<Api>, object: &Stored) {
    if object.deleting {
        return;
    }
    let value = object.value();
    let wanted = usize::try_from(value["spec"]["replicas"].as_i64().unwrap_or(1)).unwrap_or(0);
    let mut pods = owned(api, object, "pods");
    pods.retain(|pod| !pod.deleting);
    for _ in pods.len()..wanted.min(MAX_PODS) {
        let template = &value["spec"]["template"];
        let body = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"generateName": format!("{}-", object.key.name), "labels": template["metadata"]["labels"],
                         "annotations": template["metadata"]["annotations"],
                         "ownerReferences": [owner_reference("apps/v1", "ReplicaSet", object)]},
            "spec": template["spec"],
        });
        create(api, "", "pods", &object.key.namespace, body);
    }
    for surplus in pods.iter().skip(wanted) {
        if let Some(target) = api.target_of(surplus) {
            let _ = api.delete(&target, &DeleteOptions::default());
        }
    }
    let pods = owned(api, object, "pods");
    let ready = pods.iter().filter(|pod| is_ready(&pod.value())).count();
    let number = |count: usize| if count == 0 { Value::Null } else { count.into() };
    let status = json!({
        "replicas": pods.len(), "fullyLabeledReplicas": number(pods.len()), "readyReplicas": number(ready),
        "availableReplicas": number(ready), "observedGeneration": value["metadata"]["generation"], "terminatingReplicas": 0,
    });
    patch(api, object, "status", json!({"status": status}));
}
