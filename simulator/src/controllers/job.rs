//! Jobs make pods until enough of them have completed, or too many have failed.

use std::sync::Arc;

use serde_json::{Value, json};

use super::workload::{Behaviour, create, directive, inherit, merged, owned, owner_reference, patch};
use crate::api::{Api, DeleteOptions, now};
use crate::storage::Stored;

/// More pods than this do not run at a time, whatever a Job asks for.
const MAX_PODS: usize = 500;

/// Takes the next step of a Job.
pub(super) fn changed(api: &Arc<Api>, object: &Stored) {
    let value = object.value();
    if object.deleting || is_over(&value) {
        return;
    }
    let spec = &value["spec"];
    let pods = owned(api, object, "pods");
    let in_phase = |phase: &str| pods.iter().filter(|pod| pod.field("status.phase") == Some(phase)).count();
    let (succeeded, failed) = (in_phase("Succeeded"), in_phase("Failed"));
    let active: Vec<_> = pods
        .iter()
        .filter(|pod| !pod.deleting && !matches!(pod.field("status.phase"), Some("Succeeded" | "Failed")))
        .collect();
    let number = |value: &Value, default: usize| {
        value.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(default)
    };
    let parallelism = number(&spec["parallelism"], 1).min(MAX_PODS);
    let completions = number(&spec["completions"], parallelism.max(1));
    let start = match value["status"]["startTime"].as_str() {
        Some(start) => start.to_owned(),
        None => now(),
    };
    let mut status = json!({"startTime": start, "active": null, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}});
    let mut conditions: Vec<(&str, &str, &str, String)> = Vec::new();
    if spec["suspend"] == true {
        for pod in &active {
            delete(api, pod);
        }
        status["startTime"] = Value::Null;
        conditions.push(("Suspended", "True", "JobSuspended", "Job suspended".to_owned()));
    } else if succeeded >= completions {
        let message = "Reached expected number of succeeded pods".to_owned();
        conditions.push(("SuccessCriteriaMet", "True", "CompletionsReached", message.clone()));
        conditions.push(("Complete", "True", "CompletionsReached", message));
        status["completionTime"] = now().into();
    } else if failed > number(&spec["backoffLimit"], 6)
        || (failed > 0 && directive(&value) == Behaviour::Fail)
    {
        // A Job that is told to fail does so at once, rather than after the back-off of each try.
        for pod in &active {
            delete(api, pod);
        }
        let message = "Job has reached the specified backoff limit".to_owned();
        conditions.push(("FailureTarget", "True", "BackoffLimitExceeded", message.clone()));
        conditions.push(("Failed", "True", "BackoffLimitExceeded", message));
    } else {
        let wanted = parallelism.min(completions - succeeded);
        for _ in active.len()..wanted {
            create(api, "", "pods", &object.key.namespace, pod_of(object, &value));
        }
        status["active"] = wanted.into();
    }
    let counted = |count: usize| if count == 0 { Value::Null } else { count.into() };
    status["succeeded"] = counted(succeeded);
    status["failed"] = counted(failed);
    status["conditions"] = match conditions.is_empty() {
        true => Value::Null,
        false => merged(&value["status"]["conditions"], &conditions),
    };
    patch(api, object, "status", json!({"status": status}));
}

fn is_over(job: &Value) -> bool {
    let conditions = job["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().any(|condition| {
        matches!(condition["type"].as_str(), Some("Complete" | "Failed")) && condition["status"] == "True"
    })
}

fn pod_of(object: &Stored, job: &Value) -> Value {
    let mut template = job["spec"]["template"].clone();
    inherit(job, &mut template);
    for (label, value) in [
        ("batch.kubernetes.io/job-name", &object.key.name),
        ("batch.kubernetes.io/controller-uid", &object.uid),
        ("job-name", &object.key.name),
        ("controller-uid", &object.uid),
    ] {
        template["metadata"]["labels"][label] = value.as_str().into();
    }
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"generateName": format!("{}-", object.key.name), "labels": template["metadata"]["labels"],
                     "annotations": template["metadata"]["annotations"],
                     "ownerReferences": [owner_reference("batch/v1", "Job", object)]},
        "spec": template["spec"],
    })
}

fn delete(api: &Api, pod: &Stored) {
    if let Some(target) = api.target_of(pod) {
        // It may be gone by now.
        let _ = api.delete(&target, &DeleteOptions::default());
    }
}
