//! When an object counts as ready by the rules of Helm 3 (`pkg/kube`, ready checker).

use serde_json::Value;
use sluice_apply::GroupKind;
use sluice_apply::status::{Kind, Status};

/// How far an object is. Kinds without a rule are ready once they are there.
pub(crate) fn status(object: &Value, kind: &GroupKind, jobs: bool) -> Status {
    let ready = match (&*kind.group, &*kind.kind) {
        ("", "Pod") => condition(object, "Ready"),
        ("batch", "Job") if jobs => {
            if number(object, "/status/failed") > int(object, "/spec/backoffLimit").unwrap_or(6) {
                return Status::new(Kind::Failed, "job is failed");
            }
            number(object, "/status/succeeded") >= int(object, "/spec/completions").unwrap_or(1)
        }
        ("apps", "Deployment") => deployment(object),
        ("", "PersistentVolumeClaim") => word(object, "/status/phase") == "Bound",
        ("", "Service") => service(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => {
            observed(object) && number(object, "/status/readyReplicas") >= replicas(object)
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            condition(object, "Established") || false_condition(object, "NamesAccepted")
        }
        _ => true,
    };
    Status::new(if ready { Kind::Current } else { Kind::InProgress }, "")
}

fn deployment(object: &Value) -> bool {
    if object.pointer("/spec/paused").is_some_and(|paused| paused == true) {
        return true;
    }
    let wanted = replicas(object);
    let rolling = word(object, "/spec/strategy/type") == "RollingUpdate";
    let away = match object.pointer("/spec/strategy/rollingUpdate/maxUnavailable") {
        Some(share) if rolling => share_of(share, wanted, false).unwrap_or(0),
        _ => 0,
    };
    // A share of less than one object still lets one be away, unless surplus objects are allowed.
    let surge = object
        .pointer("/spec/strategy/rollingUpdate/maxSurge")
        .and_then(|share| share_of(share, wanted, true))
        .unwrap_or(0);
    let away = if rolling && away == 0 && surge == 0 { 1 } else { away };
    observed(object) && number(object, "/status/readyReplicas") >= wanted - away.min(wanted)
}

fn daemon_set(object: &Value) -> bool {
    if word(object, "/spec/updateStrategy/type") != "RollingUpdate" {
        return true;
    }
    let wanted = number(object, "/status/desiredNumberScheduled");
    let away = object.pointer("/spec/updateStrategy/rollingUpdate/maxUnavailable");
    let away = away.and_then(|share| share_of(share, wanted, true)).unwrap_or(0);
    observed(object)
        && number(object, "/status/updatedNumberScheduled") == wanted
        && number(object, "/status/numberReady") >= wanted - away
}

fn stateful_set(object: &Value) -> bool {
    if word(object, "/spec/updateStrategy/type") != "RollingUpdate" {
        return true;
    }
    let wanted = replicas(object);
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition");
    let revision = |field: &str| word(object, &format!("/status/{field}"));
    observed(object)
        && number(object, "/status/updatedReplicas") >= wanted - partition
        && number(object, "/status/readyReplicas") == wanted
        && (partition != 0 || revision("currentRevision") == revision("updateRevision"))
}

fn service(object: &Value) -> bool {
    match word(object, "/spec/type") {
        "ExternalName" => true,
        _ if word(object, "/spec/clusterIP").is_empty() => false,
        "LoadBalancer" => {
            let some =
                |path: &str| object.pointer(path).and_then(Value::as_array).is_some_and(|l| !l.is_empty());
            some("/spec/externalIPs") || some("/status/loadBalancer/ingress")
        }
        _ => true,
    }
}

/// A number, or a share of all in per cent.
fn share_of(share: &Value, all: i64, up: bool) -> Option<i64> {
    if let Some(number) = share.as_i64() {
        return Some(number);
    }
    let percent: i64 = share.as_str()?.strip_suffix('%')?.parse().ok()?;
    let product = percent.checked_mul(all)?;
    Some(if up { product.checked_add(99)? / 100 } else { product / 100 })
}

fn observed(object: &Value) -> bool {
    match int(object, "/status/observedGeneration") {
        Some(observed) => int(object, "/metadata/generation").is_none_or(|generation| observed >= generation),
        None => true,
    }
}

fn condition(object: &Value, kind: &str) -> bool {
    has_condition(object, kind, "True")
}

fn false_condition(object: &Value, kind: &str) -> bool {
    has_condition(object, kind, "False")
}

fn has_condition(object: &Value, kind: &str, status: &str) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|c| c["type"] == kind && c["status"] == status)
}

fn replicas(object: &Value) -> i64 {
    int(object, "/spec/replicas").unwrap_or(1)
}

fn int(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

fn number(object: &Value, pointer: &str) -> i64 {
    int(object, pointer).unwrap_or(0)
}

fn word<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_are_ready_when_helm_3_says_so() {
        let rolling = |away: Value| json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": away, "maxSurge": 1}});
        for (group, kind, object, want) in [
            ("", "ConfigMap", json!({}), Kind::Current),
            (
                "",
                "Pod",
                json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
                Kind::Current,
            ),
            ("", "Pod", json!({"status": {"phase": "Running"}}), Kind::InProgress),
            ("batch", "Job", json!({"status": {"succeeded": 1}}), Kind::Current),
            ("batch", "Job", json!({"spec": {"backoffLimit": 0}, "status": {"failed": 1}}), Kind::Failed),
            (
                "batch",
                "Job",
                json!({"spec": {"completions": 2}, "status": {"succeeded": 1}}),
                Kind::InProgress,
            ),
            (
                "apps",
                "Deployment",
                json!({"spec": {"replicas": 4, "strategy": rolling(json!("25%"))}, "status": {"readyReplicas": 3}}),
                Kind::Current,
            ),
            (
                "apps",
                "Deployment",
                json!({"spec": {"replicas": 3, "strategy": rolling(json!("25%"))}, "status": {"readyReplicas": 2}}),
                Kind::InProgress,
            ),
            (
                "apps",
                "Deployment",
                json!({"metadata": {"generation": 2}, "status": {"observedGeneration": 1, "readyReplicas": 1}}),
                Kind::InProgress,
            ),
            ("apps", "Deployment", json!({"spec": {"paused": true}}), Kind::Current),
            (
                "",
                "Service",
                json!({"spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1"}}),
                Kind::InProgress,
            ),
            (
                "",
                "Service",
                json!({"spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1"}, "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}),
                Kind::Current,
            ),
            ("", "Service", json!({"spec": {"type": "ExternalName"}}), Kind::Current),
            ("", "PersistentVolumeClaim", json!({"status": {"phase": "Pending"}}), Kind::InProgress),
            (
                "apps",
                "StatefulSet",
                json!({"spec": {"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}, "status": {"updatedReplicas": 1, "readyReplicas": 3}}),
                Kind::Current,
            ),
            (
                "apps",
                "DaemonSet",
                json!({"spec": {"updateStrategy": {"type": "RollingUpdate"}}, "status": {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberReady": 1}}),
                Kind::InProgress,
            ),
        ] {
            let got = status(&object, &GroupKind::new(group, kind), true).kind;
            assert_eq!(got, want, "{kind} {object}");
        }
        assert_eq!(status(&json!({}), &GroupKind::new("batch", "Job"), false).kind, Kind::Current);
    }
}
