//! Is an object ready? The rules of kstatus and Flux's rule for Jobs, as pure functions of the object.

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use crate::object::{metadata_text, split_api_version, text};

/// The readiness of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// On its way.
    InProgress,
    /// It will not get ready by itself.
    Failed,
    /// Ready.
    Current,
    /// Being deleted.
    Terminating,
    /// Not there.
    NotFound,
    /// It could not be judged.
    Unknown,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A readiness and why, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The readiness.
    pub kind: Kind,
    /// Why.
    pub message: String,
    /// With [`Kind::Unknown`]: what is wrong with the object's status.
    pub error: Option<String>,
}

impl Status {
    /// A status with a message.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), error: None }
    }
}

fn in_progress(message: impl Into<String>) -> Status {
    Status::new(Kind::InProgress, message)
}

fn current(message: impl Into<String>) -> Status {
    Status::new(Kind::Current, message)
}

fn failed(message: impl Into<String>) -> Status {
    Status::new(Kind::Failed, message)
}

/// A pod that cannot be scheduled has this long to be.
const SCHEDULE_SECONDS: i64 = 15;

/// Judges an object by the rules of its kind; kinds without rules by their condition Ready, and as current without it.
pub fn compute(object: &Value, now: Timestamp) -> Status {
    if let Some(status) = generic(object) {
        return status;
    }
    let (group, _) = split_api_version(text(object, "apiVersion"));
    match (group, text(object, "kind")) {
        ("apps" | "extensions", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps" | "extensions", "ReplicaSet") => replica_set(object),
        ("apps" | "extensions", "DaemonSet") => daemon_set(object),
        ("", "Pod") => pod_rules(object, now),
        ("batch", "Job") => job(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("", "Service") => service(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        ("policy", "PodDisruptionBudget") | ("", "Secret" | "ConfigMap") | ("batch", "CronJob") => {
            current("Resource is always ready")
        }
        _ => by_ready(object),
    }
}

/// Judges a pod, generic rules first.
pub(crate) fn pod(object: &Value, now: Timestamp) -> Status {
    generic(object).unwrap_or_else(|| pod_rules(object, now))
}

/// Whether the scheduler found no node for a pod.
pub(crate) fn unschedulable(pod: &Value) -> bool {
    condition(pod, "PodScheduled").is_some_and(|c| c["status"] == "False" && c["reason"] == "Unschedulable")
}

/// Rules for every kind.
fn generic(object: &Value) -> Option<Status> {
    if !metadata_text(object, "deletionTimestamp").is_empty() {
        return Some(Status::new(Kind::Terminating, "Resource scheduled for deletion"));
    }
    match object.pointer("/status/observedGeneration") {
        None | Some(Value::Null) => {}
        Some(value) => match value.as_i64() {
            None => {
                let error = format!("status.observedGeneration is not an integer: {value}");
                return Some(Status { kind: Kind::Unknown, message: String::new(), error: Some(error) });
            }
            Some(observed) => {
                let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
                if observed != generation {
                    let text = format!(
                        "{} generation is {generation}, but latest observed generation is {observed}",
                        text(object, "kind")
                    );
                    return Some(in_progress(text));
                }
            }
        },
    }
    for condition in conditions(object).filter(|c| c["status"] == "True") {
        match condition["type"].as_str() {
            Some("Reconciling") => return Some(in_progress(message(condition))),
            Some("Stalled") => return Some(failed(message(condition))),
            _ => {}
        }
    }
    None
}

fn by_ready(object: &Value) -> Status {
    match condition(object, "Ready") {
        None => current("Resource is current"),
        Some(ready) if ready["status"] == "True" => current("Resource is Ready"),
        Some(ready) => in_progress(message(ready)),
    }
}

fn deployment(object: &Value) -> Status {
    if let Some(progressing) = condition(object, "Progressing")
        && progressing["reason"] == "ProgressDeadlineExceeded"
    {
        return failed(message(progressing));
    }
    let wanted = int(object, "/spec/replicas").unwrap_or(1);
    let [replicas, updated, ready, available] =
        ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"].map(|f| count(object, f));
    let has_deadline = int(object, "/spec/progressDeadlineSeconds").is_some_and(|s| s != i64::from(i32::MAX));
    if wanted > replicas {
        in_progress(format!("replicas: {replicas}/{wanted}"))
    } else if wanted > updated {
        in_progress(format!("Updated: {updated}/{wanted}"))
    } else if replicas > updated {
        in_progress(format!("Pending termination: {}", replicas - updated))
    } else if replicas > wanted {
        in_progress(format!("Pending termination: {}", replicas - wanted))
    } else if updated > available {
        in_progress(format!("Available: {available}/{updated}"))
    } else if wanted > ready {
        in_progress(format!("Ready: {ready}/{wanted}"))
    } else if has_deadline
        && !condition(object, "Progressing")
            .is_some_and(|c| c["status"] == "True" && c["reason"] == "NewReplicaSetAvailable")
    {
        in_progress("ReplicaSet not Available")
    } else if condition(object, "Available").is_none_or(|c| c["status"] != "True") {
        in_progress("Deployment not Available")
    } else {
        current(format!("Deployment is available. Replicas: {replicas}"))
    }
}

fn stateful_set(object: &Value) -> Status {
    if object.pointer("/spec/updateStrategy/type").is_some_and(|t| t == "OnDelete") {
        return current("StatefulSet is using the ondelete update strategy");
    }
    let wanted = int(object, "/spec/replicas").unwrap_or(1);
    let [replicas, ready, current_replicas, updated] =
        ["replicas", "readyReplicas", "currentReplicas", "updatedReplicas"].map(|f| count(object, f));
    if wanted > replicas {
        return in_progress(format!("Replicas: {replicas}/{wanted}"));
    }
    if wanted > ready {
        return in_progress(format!("Ready: {ready}/{wanted}"));
    }
    if replicas > wanted {
        return in_progress(format!("Pending termination: {}", replicas - wanted));
    }
    match int(object, "/spec/updateStrategy/rollingUpdate/partition").filter(|&p| p != 0) {
        Some(partition) => {
            if updated < wanted - partition {
                return in_progress(format!("updated: {updated}/{}", wanted - partition));
            }
            current(format!("Partition rollout complete. updated: {updated}"))
        }
        None => {
            if wanted > current_replicas {
                return in_progress(format!("current: {current_replicas}/{wanted}"));
            }
            let revision = |field: &str| object.pointer(&format!("/status/{field}")).and_then(Value::as_str);
            if revision("currentRevision") != revision("updateRevision") {
                return in_progress("Waiting for updated revision to match current");
            }
            current(format!("All replicas scheduled as expected. Replicas: {replicas}"))
        }
    }
}

fn replica_set(object: &Value) -> Status {
    if let Some(failure) = condition(object, "ReplicaFailure")
        && failure["status"] == "True"
    {
        return in_progress(message(failure));
    }
    let wanted = int(object, "/spec/replicas").unwrap_or(1);
    let [replicas, labelled, available, ready] =
        ["replicas", "fullyLabeledReplicas", "availableReplicas", "readyReplicas"].map(|f| count(object, f));
    for (what, have) in [("Labelled", labelled), ("Available", available), ("Ready", ready)] {
        if wanted > have {
            return in_progress(format!("{what}: {have}/{wanted}"));
        }
    }
    if replicas > wanted {
        return in_progress(format!("Pending termination: {}", replicas - wanted));
    }
    current(format!("ReplicaSet is available. Replicas: {replicas}"))
}

fn daemon_set(object: &Value) -> Status {
    if int(object, "/metadata/generation").is_none() || int(object, "/status/observedGeneration").is_none() {
        return in_progress("Controller has not observed the DaemonSet yet");
    }
    let Some(wanted) = int(object, "/status/desiredNumberScheduled") else {
        return in_progress("Missing .status.desiredNumberScheduled");
    };
    for (what, field) in [
        ("Current", "currentNumberScheduled"),
        ("Updated", "updatedNumberScheduled"),
        ("Available", "numberAvailable"),
        ("Ready", "numberReady"),
    ] {
        let have = count(object, field);
        if wanted > have {
            return in_progress(format!("{what}: {have}/{wanted}"));
        }
    }
    current(format!("All replicas scheduled as expected. Replicas: {wanted}"))
}

fn pod_rules(object: &Value, now: Timestamp) -> Status {
    match object.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default() {
        "Succeeded" => current("Pod has completed successfully"),
        "Failed" => current("Pod has completed, but not successfully"),
        "Running" => {
            if condition(object, "Ready").is_some_and(|c| c["status"] == "True") {
                return current("Pod is Ready");
            }
            let containers = object.pointer("/status/containerStatuses").and_then(Value::as_array);
            let crashing: Vec<&str> = containers
                .into_iter()
                .flatten()
                .filter(|c| c.pointer("/state/waiting/reason").is_some_and(|r| r == "CrashLoopBackOff"))
                .filter_map(|c| c["name"].as_str())
                .collect();
            if crashing.is_empty() {
                in_progress("Pod is running but is not Ready")
            } else {
                failed(format!("Containers in CrashLoop state: {}", crashing.join(",")))
            }
        }
        "Pending" => {
            if !unschedulable(object) {
                return in_progress("Pod is in the Pending phase");
            }
            let created = metadata_text(object, "creationTimestamp").parse::<Timestamp>();
            match created {
                Ok(created) if now.duration_since(created).as_secs() > SCHEDULE_SECONDS => {
                    failed("Pod could not be scheduled")
                }
                _ => in_progress("Pod has not been scheduled"),
            }
        }
        "" => in_progress("Pod phase not available"),
        other => Status {
            kind: Kind::Unknown,
            message: String::new(),
            error: Some(format!("unknown phase {other}")),
        },
    }
}

/// Flux's rule: a Job that runs is not ready.
fn job(object: &Value) -> Status {
    if let Some(failure) = condition(object, "Failed")
        && failure["status"] == "True"
    {
        return failed(format!("Job Failed. failed: {}: {}", count(object, "failed"), message(failure)));
    }
    if condition(object, "Complete").is_some_and(|c| c["status"] == "True") {
        return current(format!("Job Completed. succeeded: {}", count(object, "succeeded")));
    }
    if object.pointer("/spec/suspend").is_some_and(|s| s == true) {
        return current("Job is suspended");
    }
    in_progress(format!("Job in progress. active: {}", count(object, "active")))
}

fn claim(object: &Value) -> Status {
    match object.pointer("/status/phase").and_then(Value::as_str).unwrap_or("unknown") {
        "Bound" => current("PVC is Bound"),
        phase => in_progress(format!("PVC is not Bound. phase: {phase}")),
    }
}

fn service(object: &Value) -> Status {
    let balanced = object.pointer("/spec/type").is_some_and(|t| t == "LoadBalancer");
    let address = object.pointer("/spec/clusterIP").and_then(Value::as_str).unwrap_or_default();
    if balanced && address.is_empty() {
        in_progress("ClusterIP not set. Service type: LoadBalancer")
    } else {
        current("Service is ready")
    }
}

fn definition(object: &Value) -> Status {
    if let Some(names) = condition(object, "NamesAccepted")
        && names["status"] == "False"
    {
        return failed(message(names));
    }
    match condition(object, "Established") {
        Some(established) if established["status"] == "True" => current("CRD is established"),
        Some(established) if established["status"] == "False" && established["reason"] != "Installing" => {
            failed(message(established))
        }
        _ => in_progress("Install in progress"),
    }
}

fn conditions(object: &Value) -> impl Iterator<Item = &Value> {
    object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten()
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    conditions(object).find(|c| c["type"] == kind)
}

fn message(condition: &Value) -> String {
    condition["message"].as_str().unwrap_or_default().to_owned()
}

fn int(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

/// A number of `status`, 0 when absent.
fn count(object: &Value, field: &str) -> i64 {
    object.get("status").and_then(|s| s.get(field)).and_then(Value::as_i64).unwrap_or(0)
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
