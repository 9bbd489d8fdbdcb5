use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-01-01T00:01:00Z";

fn judge(api_version: &str, kind: &str, rest: Value) -> Status {
    let mut object =
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "generation": 1}});
    for (field, value) in rest.as_object().unwrap() {
        if field == "metadata" {
            object["metadata"].as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        } else {
            object[field] = value.clone();
        }
    }
    compute(&object, NOW.parse().unwrap())
}

fn condition(kind: &str, status: &str, reason: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": "m"})
}

#[test]
fn every_kind_obeys_the_generic_rules() {
    for kind in ["Deployment", "Widget", "Secret"] {
        for (rest, want) in [
            (json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}), Kind::Terminating),
            (json!({"status": {"observedGeneration": 0}}), Kind::InProgress),
            (json!({"status": {"observedGeneration": -1}}), Kind::InProgress),
            (json!({"status": {"observedGeneration": "1"}}), Kind::Unknown),
            (
                json!({"status": {"observedGeneration": 1, "conditions": [condition("Reconciling", "True", "")]}}),
                Kind::InProgress,
            ),
            (json!({"status": {"conditions": [condition("Stalled", "True", "")]}}), Kind::Failed),
            (
                json!({"status": {"conditions": [condition("Stalled", "True", ""), condition("Reconciling", "True", "")]}}),
                Kind::Failed,
            ),
            (
                json!({"status": {"conditions": [condition("Reconciling", "True", ""), condition("Stalled", "True", "")]}}),
                Kind::InProgress,
            ),
        ] {
            assert_eq!(judge("apps/v1", kind, rest.clone()).kind, want, "{kind} {rest}");
        }
    }
}

#[test]
fn custom_resources_are_judged_by_ready() {
    for (conditions, want) in [
        (json!([]), Kind::Current),
        (json!(null), Kind::Current),
        (json!([condition("Other", "False", "")]), Kind::Current),
        (json!([condition("Ready", "True", "")]), Kind::Current),
        (json!([condition("Ready", "False", "")]), Kind::InProgress),
        (json!([condition("Ready", "Unknown", "")]), Kind::InProgress),
    ] {
        assert_eq!(
            judge("e.com/v1", "Widget", json!({"status": {"conditions": conditions}})).kind,
            want,
            "{conditions}"
        );
    }
    assert_eq!(judge("e.com/v1", "Widget", json!({})).kind, Kind::Current);
}

#[test]
fn deployments() {
    let good =
        [condition("Progressing", "True", "NewReplicaSetAvailable"), condition("Available", "True", "")];
    let status = |replicas: i64, updated: i64, ready: i64, available: i64, conditions: &[Value]| {
        json!({"observedGeneration": 1, "replicas": replicas, "updatedReplicas": updated, "readyReplicas": ready,
            "availableReplicas": available, "conditions": conditions})
    };
    let spec = json!({"replicas": 2, "progressDeadlineSeconds": 600});
    for (name, spec, status, want) in [
        ("no status", &spec, json!({}), Kind::InProgress),
        ("ready", &spec, status(2, 2, 2, 2, &good), Kind::Current),
        ("too few", &spec, status(1, 1, 1, 1, &good), Kind::InProgress),
        ("not updated", &spec, status(2, 1, 2, 2, &good), Kind::InProgress),
        ("old replicas left", &spec, status(3, 2, 3, 2, &good), Kind::InProgress),
        ("not available", &spec, status(2, 2, 2, 1, &good), Kind::InProgress),
        ("not ready", &spec, status(2, 2, 1, 2, &good), Kind::InProgress),
        (
            "replica set is new",
            &spec,
            status(2, 2, 2, 2, &[condition("Progressing", "True", "ReplicaSetUpdated"), good[1].clone()]),
            Kind::InProgress,
        ),
        ("no deadline", &json!({"replicas": 2}), status(2, 2, 2, 2, &good[1..]), Kind::Current),
        (
            "deadline passed",
            &spec,
            status(2, 1, 1, 1, &[condition("Progressing", "False", "ProgressDeadlineExceeded")]),
            Kind::Failed,
        ),
        ("zero replicas need Available", &json!({"replicas": 0}), status(0, 0, 0, 0, &[]), Kind::InProgress),
        ("zero replicas", &json!({"replicas": 0}), status(0, 0, 0, 0, &good), Kind::Current),
        ("default is one", &json!({}), status(1, 1, 1, 1, &good), Kind::Current),
    ] {
        assert_eq!(
            judge("apps/v1", "Deployment", json!({"spec": spec, "status": status})).kind,
            want,
            "{name}"
        );
    }
}

#[test]
fn other_workloads() {
    for (name, kind, spec, status, want) in [
        (
            "on delete",
            "StatefulSet",
            json!({"updateStrategy": {"type": "OnDelete"}}),
            json!({}),
            Kind::Current,
        ),
        (
            "starting",
            "StatefulSet",
            json!({"replicas": 2}),
            json!({"replicas": 1, "readyReplicas": 1}),
            Kind::InProgress,
        ),
        (
            "ready",
            "StatefulSet",
            json!({"replicas": 1}),
            json!({"replicas": 1, "readyReplicas": 1, "currentReplicas": 1, "currentRevision": "a", "updateRevision": "a"}),
            Kind::Current,
        ),
        (
            "revision",
            "StatefulSet",
            json!({"replicas": 1}),
            json!({"replicas": 1, "readyReplicas": 1, "currentReplicas": 1, "currentRevision": "a", "updateRevision": "b"}),
            Kind::InProgress,
        ),
        (
            "too many",
            "StatefulSet",
            json!({"replicas": 1}),
            json!({"replicas": 2, "readyReplicas": 2}),
            Kind::InProgress,
        ),
        (
            "partition",
            "StatefulSet",
            json!({"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}}),
            json!({"replicas": 3, "readyReplicas": 3, "updatedReplicas": 1}),
            Kind::Current,
        ),
        (
            "partition, not yet",
            "StatefulSet",
            json!({"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}}),
            json!({"replicas": 3, "readyReplicas": 3}),
            Kind::InProgress,
        ),
        (
            "ready",
            "ReplicaSet",
            json!({"replicas": 1}),
            json!({"replicas": 1, "fullyLabeledReplicas": 1, "availableReplicas": 1, "readyReplicas": 1}),
            Kind::Current,
        ),
        (
            "failure",
            "ReplicaSet",
            json!({"replicas": 0}),
            json!({"conditions": [condition("ReplicaFailure", "True", "")]}),
            Kind::InProgress,
        ),
        ("unseen", "DaemonSet", json!({}), json!({}), Kind::InProgress),
        ("no nodes counted", "DaemonSet", json!({}), json!({"observedGeneration": 1}), Kind::InProgress),
        (
            "no nodes",
            "DaemonSet",
            json!({}),
            json!({"observedGeneration": 1, "desiredNumberScheduled": 0}),
            Kind::Current,
        ),
        (
            "not all ready",
            "DaemonSet",
            json!({}),
            json!({"observedGeneration": 1, "desiredNumberScheduled": 2, "currentNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2, "numberReady": 1}),
            Kind::InProgress,
        ),
    ] {
        assert_eq!(
            judge("apps/v1", kind, json!({"spec": spec, "status": status})).kind,
            want,
            "{kind} {name}"
        );
    }
}

#[test]
fn pods_jobs_and_the_rest() {
    let old = json!({"creationTimestamp": "2026-01-01T00:00:00Z"});
    let young = json!({"creationTimestamp": "2026-01-01T00:00:50Z"});
    let unscheduled =
        json!({"phase": "Pending", "conditions": [condition("PodScheduled", "False", "Unschedulable")]});
    for (version, kind, rest, want) in [
        ("v1", "Pod", json!({"status": {"phase": "Succeeded"}}), Kind::Current),
        ("v1", "Pod", json!({"status": {"phase": "Failed"}}), Kind::Current),
        (
            "v1",
            "Pod",
            json!({"status": {"phase": "Running", "conditions": [condition("Ready", "True", "")]}}),
            Kind::Current,
        ),
        ("v1", "Pod", json!({"status": {"phase": "Running"}}), Kind::InProgress),
        (
            "v1",
            "Pod",
            json!({"status": {"phase": "Running", "containerStatuses": [{"name": "a", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}}),
            Kind::Failed,
        ),
        ("v1", "Pod", json!({"metadata": old, "status": unscheduled}), Kind::Failed),
        ("v1", "Pod", json!({"metadata": young, "status": unscheduled}), Kind::InProgress),
        ("v1", "Pod", json!({}), Kind::InProgress),
        ("batch/v1", "Job", json!({"status": {"active": 1}}), Kind::InProgress),
        ("batch/v1", "Job", json!({}), Kind::InProgress),
        ("batch/v1", "Job", json!({"spec": {"suspend": true}}), Kind::Current),
        (
            "batch/v1",
            "Job",
            json!({"status": {"conditions": [condition("Complete", "True", "")]}}),
            Kind::Current,
        ),
        (
            "batch/v1",
            "Job",
            json!({"status": {"conditions": [condition("Failed", "True", "")]}}),
            Kind::Failed,
        ),
        ("v1", "PersistentVolumeClaim", json!({"status": {"phase": "Bound"}}), Kind::Current),
        ("v1", "PersistentVolumeClaim", json!({"status": {"phase": "Pending"}}), Kind::InProgress),
        ("v1", "Service", json!({"spec": {"type": "LoadBalancer"}}), Kind::InProgress),
        ("v1", "Service", json!({"spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1"}}), Kind::Current),
        ("v1", "Service", json!({"spec": {}}), Kind::Current),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition", json!({}), Kind::InProgress),
        (
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            json!({"status": {"conditions": [condition("NamesAccepted", "False", "")]}}),
            Kind::Failed,
        ),
        (
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            json!({"status": {"conditions": [condition("Established", "False", "Installing")]}}),
            Kind::InProgress,
        ),
        (
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            json!({"status": {"conditions": [condition("Established", "False", "Bad")]}}),
            Kind::Failed,
        ),
        (
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            json!({"status": {"conditions": [condition("Established", "True", "")]}}),
            Kind::Current,
        ),
        (
            "batch/v1",
            "CronJob",
            json!({"status": {"conditions": [condition("Ready", "False", "")]}}),
            Kind::Current,
        ),
        ("v1", "Namespace", json!({"status": {"phase": "Terminating"}}), Kind::Current),
    ] {
        assert_eq!(judge(version, kind, rest.clone()).kind, want, "{kind} {rest}");
    }
}
