//! StatefulSets and DaemonSets, which make Pods without a ReplicaSet between, and claims, which get their volume.

use std::sync::Arc;

use serde_json::{Value, json};

use super::workload::{create, hash, inherit, is_ready, owned, owner_reference, patch};
use crate::api::{Api, DeleteOptions};
use crate::storage::{CollectionId, Query, Stored};

const REVISION: &str = "controller-revision-hash";
/// More pods than this are not made, whatever a set asks for.
const MAX_PODS: i64 = 500;

/// Takes the next step of a StatefulSet: pods one after the other (or all at once), updates from the highest on.
pub(super) fn stateful_set(api: &Arc<Api>, object: &Stored) {
    if object.deleting {
        return;
    }
    let value = object.value();
    let spec = &value["spec"];
    let name = &object.key.name;
    let wanted = spec["replicas"].as_i64().unwrap_or(1).clamp(0, MAX_PODS);
    let revision = format!("{name}-{}", hash(&spec["template"]));
    let parallel = spec["podManagementPolicy"] == "Parallel";
    for ordinal in 0..wanted {
        let pod = format!("{name}-{ordinal}");
        let known = owned(api, object, "pods").into_iter().find(|known| known.key.name == pod);
        match known {
            Some(known) if parallel || is_ready(&known.value()) => {}
            Some(_) => break,
            None => {
                claims(api, object, spec, &pod);
                let labels = json!({
                    "statefulset.kubernetes.io/pod-name": pod, "apps.kubernetes.io/pod-index": ordinal.to_string(),
                });
                create(
                    api,
                    "",
                    "pods",
                    &object.key.namespace,
                    pod_of(object, &value, json!({"name": pod}), &revision, &labels),
                );
                if !parallel {
                    break;
                }
            }
        }
    }
    let mut pods = owned(api, object, "pods");
    pods.sort_by_key(|pod| std::cmp::Reverse(ordinal(name, pod)));
    let surplus = pods.iter().find(|pod| ordinal(name, pod).is_none_or(|number| number >= wanted));
    let partition = spec["updateStrategy"]["rollingUpdate"]["partition"].as_i64().unwrap_or(0);
    let settled = pods.iter().all(|pod| is_ready(&pod.value()));
    let outdated = pods.iter().find(|pod| {
        spec["updateStrategy"]["type"] != "OnDelete"
            && pod.label(REVISION) != Some(&revision)
            && ordinal(name, pod).is_some_and(|number| number >= partition)
            && (settled || !is_ready(&pod.value()))
    });
    if let Some(pod) = surplus.or(outdated).filter(|pod| !pod.deleting) {
        remove(api, pod); // and its end brings the set back here
    }
    let pods = owned(api, object, "pods");
    let ready = pods.iter().filter(|pod| is_ready(&pod.value())).count();
    let updated = pods.iter().filter(|pod| pod.label(REVISION) == Some(&revision)).count();
    let done = i64::try_from(updated) == Ok(wanted);
    let before = value["status"]["currentRevision"].as_str().filter(|_| !done).unwrap_or(&revision);
    let current = pods.iter().filter(|pod| pod.label(REVISION) == Some(before)).count();
    let status = json!({
        "observedGeneration": value["metadata"]["generation"], "replicas": pods.len(), "readyReplicas": some(ready),
        "availableReplicas": ready, "currentReplicas": some(current), "updatedReplicas": some(updated),
        "currentRevision": before, "updateRevision": revision, "collisionCount": 0,
    });
    patch(api, object, "status", json!({"status": status}));
}

/// Takes the next step of a DaemonSet: a pod per node that its selector picks, updates one by one.
pub(super) fn daemon_set(api: &Arc<Api>, object: &Stored) {
    if object.deleting {
        return;
    }
    let value = object.value();
    let spec = &value["spec"];
    let revision = hash(&spec["template"]);
    let selector = spec["template"]["spec"]["nodeSelector"].as_object().cloned().unwrap_or_default();
    let nodes =
        api.store.list(&CollectionId::new("", "nodes"), &Query::default()).map(|listing| listing.objects);
    let nodes: Vec<String> = nodes
        .unwrap_or_default()
        .iter()
        .filter(|node| selector.iter().all(|(key, value)| node.label(key) == value.as_str()))
        .map(|node| node.key.name.clone())
        .collect();
    let placed: Vec<(Arc<Stored>, String)> = owned(api, object, "pods")
        .into_iter()
        .map(|pod| {
            let node = pod.value()["spec"]["nodeName"].as_str().unwrap_or_default().to_owned();
            (pod, node)
        })
        .collect();
    for node in nodes.iter().filter(|node| !placed.iter().any(|(_, taken)| taken == *node)) {
        let metadata = json!({"generateName": format!("{}-", object.key.name)});
        let labels = json!({"pod-template-generation": value["metadata"]["generation"].to_string()});
        let mut body = pod_of(object, &value, metadata, &revision, &labels);
        body["spec"]["nodeName"] = node.as_str().into();
        create(api, "", "pods", &object.key.namespace, body);
    }
    let settled = placed.iter().all(|(pod, _)| is_ready(&pod.value()));
    let misplaced = placed.iter().find(|(_, node)| !nodes.contains(node));
    let outdated = placed.iter().find(|(pod, _)| {
        spec["updateStrategy"]["type"] != "OnDelete"
            && pod.label(REVISION) != Some(&revision)
            && (settled || !is_ready(&pod.value()))
    });
    if let Some((pod, _)) = misplaced.or(outdated).filter(|(pod, _)| !pod.deleting) {
        remove(api, pod);
    }
    let pods = owned(api, object, "pods");
    let ready = pods.iter().filter(|pod| is_ready(&pod.value())).count();
    let updated = pods.iter().filter(|pod| pod.label(REVISION) == Some(&revision)).count();
    let status = json!({
        "observedGeneration": value["metadata"]["generation"], "desiredNumberScheduled": nodes.len(),
        "currentNumberScheduled": pods.len().min(nodes.len()), "updatedNumberScheduled": some(updated),
        "numberReady": ready, "numberAvailable": some(ready), "numberMisscheduled": 0,
        "numberUnavailable": some(nodes.len().saturating_sub(ready)),
    });
    patch(api, object, "status", json!({"status": status}));
}

/// Binds a claim, to a volume that nobody looks at.
pub(super) fn claim(api: &Arc<Api>, object: &Stored) {
    let value = object.value();
    if object.deleting {
        return unprotect(api, object);
    }
    if value["status"]["phase"] == "Bound" {
        return;
    }
    if value["spec"]["volumeName"].is_null() {
        patch(api, object, "", json!({"spec": {"volumeName": format!("pvc-{}", object.uid)}}));
    }
    let status = json!({
        "phase": "Bound", "accessModes": value["spec"]["accessModes"],
        "capacity": {"storage": value["spec"]["resources"]["requests"]["storage"]},
    });
    patch(api, object, "status", json!({"status": status}));
}

/// Nothing is mounted here, so nothing holds up the end of a claim or volume.
pub(super) fn unprotect(api: &Arc<Api>, object: &Stored) {
    if !object.deleting {
        return;
    }
    let mut finalizers = object.value()["metadata"]["finalizers"].take();
    if let Some(list) = finalizers.as_array_mut() {
        let before = list.len();
        list.retain(|one| one != "kubernetes.io/pvc-protection" && one != "kubernetes.io/pv-protection");
        if list.len() < before {
            patch(api, object, "", json!({"metadata": {"finalizers": finalizers}}));
        }
    }
}

fn claims(api: &Api, object: &Stored, spec: &Value, pod: &str) {
    for template in spec["volumeClaimTemplates"].as_array().into_iter().flatten() {
        let name = format!("{}-{pod}", template["metadata"]["name"].as_str().unwrap_or_default());
        let body = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "labels": spec["selector"]["matchLabels"]}, "spec": template["spec"],
        });
        create(api, "", "persistentvolumeclaims", &object.key.namespace, body);
    }
}

fn pod_of(object: &Stored, value: &Value, mut metadata: Value, revision: &str, labels: &Value) -> Value {
    let mut template = value["spec"]["template"].clone();
    inherit(value, &mut template);
    for field in ["labels", "annotations"] {
        if template["metadata"][field].is_object() {
            metadata[field] = template["metadata"][field].take();
        }
    }
    for (key, label) in labels.as_object().into_iter().flatten() {
        metadata["labels"][key] = label.clone();
    }
    metadata["labels"][REVISION] = revision.into();
    let kind = value["kind"].as_str().unwrap_or_default();
    metadata["ownerReferences"] = json!([owner_reference("apps/v1", kind, object)]);
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

fn remove(api: &Api, pod: &Stored) {
    if let Some(target) = api.target_of(pod) {
        // Gone already is as good.
        let _ = api.delete(&target, &DeleteOptions::default());
    }
}

fn ordinal(set: &str, pod: &Stored) -> Option<i64> {
    pod.key.name.strip_prefix(set)?.strip_prefix('-')?.parse().ok()
}

fn some(count: usize) -> Value {
    if count == 0 { Value::Null } else { count.into() }
}
