//! What the controllers of workloads share: telling them apart, what the annotation tells them, and writing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{cron_job, deployment, job, pod, sets};
use crate::api::{Api, PatchType, WriteOptions, now};
use crate::storage::{Owner, Stored};

pub(super) const MANAGER: &str = "kube-controller-manager";
const ANNOTATION: &str = "sluice.dev/simulate";

/// What an annotation tells a pod to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    Ready,
    Slow(Duration),
    Fail,
    Never,
}

impl Behaviour {
    pub(super) fn of(metadata: &Value) -> Self {
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
        "deployments" => deployment::changed(api, object),
        "replicasets" => deployment::replica_set(api, object),
        "statefulsets" => sets::stateful_set(api, object),
        "daemonsets" => sets::daemon_set(api, object),
        "nodes" => pod::node(api, object),
        "persistentvolumeclaims" => sets::claim(api, object),
        "persistentvolumes" => sets::unprotect(api, object),
        "cronjobs" => return cron_job::changed(api, object),
        "jobs" => return job::changed(api, object),
        "pods" => return pod::changed(api, object),
        _ => {}
    }
    None
}

pub(super) fn directive(workload: &Value) -> Behaviour {
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
pub(super) fn merged(before: &Value, now_true: &[(&str, &str, &str, String)]) -> Value {
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
