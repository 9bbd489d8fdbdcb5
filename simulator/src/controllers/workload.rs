//! Workloads: Deployments make ReplicaSets, these make Pods, and Pods run at once (or as they are told to).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::sets;
use crate::api::{Api, DeleteOptions, PatchType, WriteOptions, now};
use crate::storage::{Owner, Stored};

const MANAGER: &str = "kube-controller-manager";
const ANNOTATION: &str = "sluice.dev/simulate";
const HASH_LABEL: &str = "pod-template-hash";

/// What an annotation tells a pod to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Ready,
    Slow(Duration),
    Fail,
    Never,
}

impl Behaviour {
    fn of(metadata: &Value) -> Self {
        match metadata["annotations"][ANNOTATION].as_str() {
            Some("fail") => Self::Fail,
            Some("never") => Self::Never,
            Some(text) => text.strip_prefix("slow=").and_then(seconds).map_or(Self::Ready, Self::Slow),
            None => Self::Ready,
        }
    }
}

/// Reads `90s`, `1m`, `500ms`.
fn seconds(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let number: f64 = text.get(..split)?.parse().ok()?;
    let unit = match text.get(split..)? {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * unit).ok()
}

/// Brings a workload a step on; gives the time after which to look again.
pub(super) fn changed(api: &Arc<Api>, object: &Arc<Stored>) -> Option<Duration> {
    match &*object.collection.resource {
        "deployments" => deployment(api, object),
        "replicasets" => replica_set(api, object),
        "statefulsets" => sets::stateful_set(api, object),
        "daemonsets" => sets::daemon_set(api, object),
        "persistentvolumeclaims" => sets::claim(api, object),
        "jobs" => job(api, object),
        "pods" => return pod(api, object),
        _ => {}
    }
    None
}

fn deployment(api: &Arc<Api>, object: &Stored) {
    if object.deleting {
        return;
    }
    let value = object.value();
    let spec = &value["spec"];
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    let hash = hash(&spec["template"]);
    let name = format!("{}-{hash}", object.key.name);
    let mut sets = owned(api, object, "replicasets");
    if !sets.iter().any(|set| set.key.name == name) {
        let mut template = spec["template"].clone();
        template["metadata"]["labels"][HASH_LABEL] = hash.as_str().into();
        inherit(&value, &mut template);
        let mut selector = spec["selector"].clone();
        selector["matchLabels"][HASH_LABEL] = hash.as_str().into();
        let body = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": name, "labels": template["metadata"]["labels"],
                         "annotations": {"deployment.kubernetes.io/revision": (sets.len() + 1).to_string()},
                         "ownerReferences": [owner_reference("apps/v1", "Deployment", object)]},
            "spec": {"replicas": wanted, "selector": selector, "template": template},
        });
        create(api, "apps", "replicasets", &object.key.namespace, body);
        sets = owned(api, object, "replicasets");
    }
    let Some(current) = sets.iter().find(|set| set.key.name == name) else { return };
    let current_value = current.value();
    if current_value["spec"]["replicas"].as_i64() != Some(wanted) {
        patch(api, current, "", json!({"spec": {"replicas": wanted}}));
    }
    let count = |value: &Value, field: &str| value["status"][field].as_i64().unwrap_or(0);
    let current_value =
        api.store.get(&current.collection, &current.key).map(|set| set.value()).unwrap_or_default();
    let (updated, ready) = (count(&current_value, "replicas"), count(&current_value, "readyReplicas"));
    let up = ready >= wanted && updated == wanted;
    let mut old_ready = 0;
    for old in sets.iter().filter(|set| set.key.name != name) {
        let old_value = old.value();
        if up && old_value["spec"]["replicas"].as_i64() != Some(0) {
            patch(api, old, "", json!({"spec": {"replicas": 0}}));
        } else {
            old_ready += count(&old_value, "readyReplicas");
        }
    }
    let behaviour = match Behaviour::of(&value["metadata"]) {
        Behaviour::Ready => Behaviour::of(&spec["template"]["metadata"]),
        other => other,
    };
    let total = updated + old_ready;
    let available = ready + old_ready;
    let enough = available >= wanted;
    let conditions = [
        match enough {
            true => (
                "Available",
                "True",
                "MinimumReplicasAvailable",
                "Deployment has minimum availability.".to_owned(),
            ),
            false => (
                "Available",
                "False",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.".to_owned(),
            ),
        },
        match (up, behaviour) {
            (true, _) => (
                "Progressing",
                "True",
                "NewReplicaSetAvailable",
                format!("ReplicaSet \"{name}\" has successfully progressed."),
            ),
            (false, Behaviour::Fail) => (
                "Progressing",
                "False",
                "ProgressDeadlineExceeded",
                format!("ReplicaSet \"{name}\" has timed out progressing."),
            ),
            (false, _) => {
                ("Progressing", "True", "ReplicaSetUpdated", format!("ReplicaSet \"{name}\" is progressing."))
            }
        },
    ];
    let mut status = json!({
        "observedGeneration": value["metadata"]["generation"], "conditions": merged(&value["status"]["conditions"], &conditions),
    });
    for (field, number) in [
        ("replicas", total),
        ("updatedReplicas", updated),
        ("readyReplicas", available),
        ("availableReplicas", available),
        ("unavailableReplicas", (wanted - available).max(0)),
    ] {
        status[field] = if number == 0 { Value::Null } else { number.into() };
    }
    patch(api, object, "status", json!({"status": status}));
}

fn replica_set(api: &Arc<Api>, object: &Stored) {
    if object.deleting {
        return;
    }
    let value = object.value();
    let wanted = usize::try_from(value["spec"]["replicas"].as_i64().unwrap_or(1)).unwrap_or(0);
    let mut pods = owned(api, object, "pods");
    pods.retain(|pod| !pod.deleting);
    for _ in pods.len()..wanted.min(500) {
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
        "availableReplicas": number(ready), "observedGeneration": value["metadata"]["generation"],
    });
    patch(api, object, "status", json!({"status": status}));
}

fn pod(api: &Arc<Api>, object: &Stored) -> Option<Duration> {
    let value = object.value();
    let behaviour = Behaviour::of(&value["metadata"]);
    let nodes =
        api.store.list(&crate::storage::CollectionId::new("", "nodes"), &crate::storage::Query::default());
    let nodes = nodes.map(|listing| listing.objects).unwrap_or_default();
    if value["spec"]["nodeName"].is_null() {
        let index = usize::try_from(object.revision).unwrap_or(0).checked_rem(nodes.len())?;
        patch(api, object, "", json!({"spec": {"nodeName": nodes.get(index)?.key.name}}));
        return None;
    }
    let wait = match behaviour {
        Behaviour::Slow(wait) => {
            let created = value["metadata"]["creationTimestamp"].as_str().unwrap_or_default();
            let created = created.parse::<jiff::Timestamp>().unwrap_or_default();
            let age = jiff::Timestamp::now().duration_since(created).unsigned_abs();
            wait.checked_sub(age).filter(|left| !left.is_zero())
        }
        _ => None,
    };
    let ready = wait.is_none() && matches!(behaviour, Behaviour::Ready | Behaviour::Slow(_));
    let finished = value["spec"]["restartPolicy"] != "Always" && ready;
    let containers: Vec<Value> = value["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|container| {
            let state = match behaviour {
                _ if finished => json!({"terminated": {"exitCode": 0, "reason": "Completed"}}),
                _ if ready => json!({"running": {"startedAt": value["metadata"]["creationTimestamp"]}}),
                Behaviour::Fail => json!({"waiting": {"reason": "CrashLoopBackOff", "message": "the container was told to fail"}}),
                _ => json!({"waiting": {"reason": "ContainerCreating"}}),
            };
            json!({"name": container["name"], "image": container["image"], "imageID": "", "ready": ready && !finished,
                   "restartCount": i32::from(behaviour == Behaviour::Fail), "started": ready, "state": state})
        })
        .collect();
    let text = |yes: bool| if yes { "True" } else { "False" };
    let conditions = [
        ("Initialized", "True", "", String::new()),
        (
            "Ready",
            text(ready && !finished),
            if finished {
                "PodCompleted"
            } else if ready {
                ""
            } else {
                "ContainersNotReady"
            },
            String::new(),
        ),
        ("ContainersReady", text(ready && !finished), "", String::new()),
        ("PodScheduled", "True", "", String::new()),
    ];
    let phase = match behaviour {
        _ if finished => "Succeeded",
        Behaviour::Never => "Pending",
        _ if wait.is_some() => "Pending",
        _ => "Running",
    };
    let address = format!("10.244.{}.{}", (object.revision >> 8) & 0xFF, object.revision & 0xFF);
    let address = value["status"]["podIP"].as_str().map_or(address, str::to_owned);
    let status = json!({
        "phase": phase, "conditions": merged(&value["status"]["conditions"], &conditions), "containerStatuses": containers,
        "podIP": address, "podIPs": [{"ip": address}], "hostIP": "127.0.0.1", "startTime": value["metadata"]["creationTimestamp"],
    });
    patch(api, object, "status", json!({"status": status}));
    wait
}

fn job(api: &Arc<Api>, object: &Stored) {
    let value = object.value();
    if value["spec"]["suspend"] == true || value["status"]["completionTime"].is_string() {
        return;
    }
    let completions = value["spec"]["completions"].as_i64().unwrap_or(1);
    let status = match directive(&value) {
        Behaviour::Never => {
            json!({"active": completions, "startTime": value["metadata"]["creationTimestamp"]})
        }
        Behaviour::Fail => json!({
            "failed": completions, "startTime": value["metadata"]["creationTimestamp"],
            "conditions": merged(&value["status"]["conditions"], &[
                ("Failed", "True", "BackoffLimitExceeded", "Job has reached the specified backoff limit".to_owned()),
            ]),
        }),
        Behaviour::Ready | Behaviour::Slow(_) => json!({
            "succeeded": completions, "startTime": value["metadata"]["creationTimestamp"], "completionTime": now(),
            "conditions": merged(&value["status"]["conditions"], &[
                ("SuccessCriteriaMet", "True", "CompletionsReached", "Reached expected number of succeeded pods".to_owned()),
                ("Complete", "True", "CompletionsReached", "Reached expected number of succeeded pods".to_owned()),
            ]),
        }),
    };
    patch(api, object, "status", json!({"status": status}));
}

fn directive(workload: &Value) -> Behaviour {
    match Behaviour::of(&workload["metadata"]) {
        Behaviour::Ready => Behaviour::of(&workload["spec"]["template"]["metadata"]),
        other => other,
    }
}

/// Passes the annotation of a workload on to its pods.
pub(super) fn inherit(workload: &Value, template: &mut Value) {
    let told = &workload["metadata"]["annotations"][ANNOTATION];
    if told.is_string() && template["metadata"]["annotations"][ANNOTATION].is_null() {
        template["metadata"]["annotations"][ANNOTATION] = told.clone();
    }
}

pub(super) fn owned(api: &Api, owner: &Stored, plural: &str) -> Vec<Arc<Stored>> {
    let mut all = api.store.dependents(&owner.uid);
    all.retain(|object| {
        &*object.collection.resource == plural
            && object.controller().is_some_and(|by: &Owner| by.uid == owner.uid)
    });
    all.sort_by(|a, b| a.key.cmp(&b.key));
    all
}

pub(super) fn owner_reference(api_version: &str, kind: &str, owner: &Stored) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "name": owner.key.name, "uid": owner.uid, "controller": true,
           "blockOwnerDeletion": true})
}

pub(super) fn create(api: &Api, group: &str, plural: &str, namespace: &str, body: Value) {
    let target = api.target(group, "v1", plural, namespace, "");
    if let Err(error) = target.and_then(|target| api.create(&target, body, &WriteOptions::by(MANAGER))) {
        tracing::debug!(%error, plural, namespace, "a controller cannot create");
    }
}

pub(super) fn patch(api: &Api, object: &Stored, subresource: &str, patch: Value) {
    let Some(mut target) = api.target_of(object) else { return };
    subresource.clone_into(&mut target.subresource);
    // It may be gone by now.
    let _: Result<_, _> = api.patch(&target, PatchType::Merge, &patch, &WriteOptions::by(MANAGER));
}

pub(super) fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Conditions with their transition times: kept where the status is the same.
fn merged(before: &Value, now_true: &[(&str, &str, &str, String)]) -> Value {
    let before = before.as_array().map(Vec::as_slice).unwrap_or_default();
    let conditions = now_true.iter().map(|(kind, status, reason, message)| {
        let old = before.iter().find(|old| old["type"] == *kind);
        let time = match old.filter(|old| old["status"] == *status) {
            Some(old) => old["lastTransitionTime"].clone(),
            None => now().into(),
        };
        let mut condition = json!({"type": kind, "status": status, "lastTransitionTime": time});
        for (field, text) in [("reason", *reason), ("message", message.as_str())] {
            if !text.is_empty() {
                condition[field] = text.into();
            }
        }
        condition
    });
    conditions.collect()
}

pub(super) fn hash(template: &Value) -> String {
    hex::encode(Sha256::digest(template.to_string())).chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_tell_pods_what_to_do() {
        for (text, want) in [
            ("fail", Behaviour::Fail),
            ("never", Behaviour::Never),
            ("slow=30s", Behaviour::Slow(Duration::from_secs(30))),
            ("slow=500ms", Behaviour::Slow(Duration::from_millis(500))),
            ("slow=x", Behaviour::Ready),
            ("other", Behaviour::Ready),
        ] {
            assert_eq!(Behaviour::of(&json!({"annotations": {ANNOTATION: text}})), want, "{text}");
        }
    }
}
