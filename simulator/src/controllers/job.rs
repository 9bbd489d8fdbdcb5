//! Jobs make pods until enough of them have completed, too many have failed, or their time is up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::workload::{Behaviour, create, directive, inherit, merged, owned, owner_reference, patch};
use crate::api::{Api, DeleteOptions, now};
use crate::storage::Stored;

/// More pods than this do not run at a time, whatever a Job asks for.
const MAX_PODS: usize = 500;
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// How a Job stands after a look at its pods.
struct Outcome {
    conditions: Vec<(&'static str, &'static str, &'static str, String)>,
    active: usize,
    is_over: bool,
}

impl Outcome {
    fn failed(reason: &'static str, message: &str) -> Self {
        Self::over("FailureTarget", "Failed", reason, message)
    }

    fn over(target: &'static str, end: &'static str, reason: &'static str, message: &str) -> Self {
        let conditions =
            vec![(target, "True", reason, message.to_owned()), (end, "True", reason, message.to_owned())];
        Self { conditions, active: 0, is_over: true }
    }
}

/// Takes the next step of a Job; gives the time after which to look again.
pub(super) fn changed(api: &Arc<Api>, object: &Stored) -> Option<Duration> {
    let value = object.value();
    if object.deleting {
        return None;
    }
    if is_over(&value) {
        return retire(api, object, &value);
    }
    let pods = owned(api, object, "pods");
    let is_suspended = value["spec"]["suspend"] == true;
    let started =
        value["status"]["startTime"].as_str().map(str::to_owned).or_else(|| (!is_suspended).then(now));
    let deadline = value["spec"]["activeDeadlineSeconds"].as_u64().map(Duration::from_secs);
    let left = deadline.and_then(|deadline| Some(deadline.saturating_sub(age(started.as_deref()?))));
    let outcome = next(api, object, &value, &pods, left.is_some_and(|left| left.is_zero()));
    if outcome.is_over || is_suspended {
        for pod in pods.iter().filter(|pod| is_active(pod)) {
            delete(api, pod);
        }
    }
    let count = |phase: &str| pods.iter().filter(|pod| pod.field("status.phase") == Some(phase)).count();
    let ready = if outcome.is_over || is_suspended {
        0
    } else {
        pods.iter().filter(|pod| is_active(pod) && super::workload::is_ready(&pod.value())).count()
    };
    let is_complete = outcome.conditions.iter().any(|(kind, ..)| *kind == "Complete");
    let status = json!({
        "startTime": if is_suspended { None } else { started },
        "active": some(outcome.active), "ready": ready, "terminating": 0, "uncountedTerminatedPods": {},
        "succeeded": some(count("Succeeded")), "failed": some(count("Failed")),
        "completionTime": is_complete.then(now), "completedIndexes": completed_indexes(&value["spec"], &pods),
        "conditions": conditions(&value["status"]["conditions"], &outcome.conditions),
    });
    patch(api, object, "status", json!({"status": status}));
    left.filter(|left| !left.is_zero() && !outcome.is_over)
}

/// The conditions so far with new ones; of Jobs they also say when they were looked at.
fn conditions(before: &Value, new: &[(&str, &str, &str, String)]) -> Value {
    let mut out = before.as_array().cloned().unwrap_or_default();
    for mut condition in merged(before, new).as_array_mut().into_iter().flatten().map(Value::take) {
        condition["lastProbeTime"] = condition["lastTransitionTime"].clone();
        match out.iter_mut().find(|old| old["type"] == condition["type"]) {
            Some(old) => *old = condition,
            None => out.push(condition),
        }
    }
    if out.is_empty() { Value::Null } else { out.into() }
}

fn next(api: &Arc<Api>, object: &Stored, value: &Value, pods: &[Arc<Stored>], is_late: bool) -> Outcome {
    let spec = &value["spec"];
    let in_phase = |phase: &str| pods.iter().filter(|pod| pod.field("status.phase") == Some(phase)).count();
    let (succeeded, failed) = (in_phase("Succeeded"), in_phase("Failed"));
    let active: Vec<&Arc<Stored>> = pods.iter().filter(|pod| is_active(pod)).collect();
    let parallelism = number(&spec["parallelism"], 1).min(MAX_PODS);
    let completions = match spec["completions"].is_null() {
        // A queue of work is done when one pod says so and no other runs any more.
        true if succeeded > 0 && active.is_empty() => succeeded,
        true => usize::MAX,
        false => number(&spec["completions"], 1),
    };
    let fails = directive(value) == Behaviour::Fail;
    let restarted = || active.iter().any(|pod| restarts(&pod.value()) > 0);
    if succeeded >= completions {
        let message = "Reached expected number of succeeded pods";
        return Outcome::over("SuccessCriteriaMet", "Complete", "CompletionsReached", message);
    }
    // A Job that is told to fail does so at once, rather than after the back-off of each try.
    if failed > number(&spec["backoffLimit"], 6) || (fails && (failed > 0 || restarted())) {
        return Outcome::failed("BackoffLimitExceeded", "Job has reached the specified backoff limit");
    }
    if is_late {
        return Outcome::failed("DeadlineExceeded", "Job was active longer than specified deadline");
    }
    if spec["suspend"] == true {
        let conditions = vec![("Suspended", "True", "JobSuspended", "Job suspended".to_owned())];
        return Outcome { conditions, active: 0, is_over: false };
    }
    let was_suspended = has_condition(value, "Suspended");
    let conditions = match was_suspended {
        true => vec![("Suspended", "False", "JobResumed", "Job resumed".to_owned())],
        false => Vec::new(),
    };
    let wanted = match completions {
        // Once a pod of a queue has succeeded, no new ones are made.
        usize::MAX if succeeded > 0 => active.len(),
        _ => parallelism.min(completions - succeeded),
    };
    for pod in active.iter().skip(wanted) {
        delete(api, pod);
    }
    let missing = wanted.saturating_sub(active.len());
    let indexes: Vec<Option<usize>> = match spec["completionMode"] == "Indexed" {
        true => free_indexes(pods, completions).take(missing).map(Some).collect(),
        false => vec![None; missing],
    };
    for index in indexes {
        create(api, "", "pods", &object.key.namespace, pod_of(object, value, index));
    }
    Outcome { conditions, active: wanted, is_over: false }
}

fn is_active(pod: &Stored) -> bool {
    !pod.deleting && !matches!(pod.field("status.phase"), Some("Succeeded" | "Failed"))
}

fn restarts(pod: &Value) -> u64 {
    let containers = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    containers.filter_map(|container| container["restartCount"].as_u64()).sum()
}

fn number(value: &Value, default: usize) -> usize {
    value.as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(default)
}

fn some(count: usize) -> Value {
    if count == 0 { Value::Null } else { count.into() }
}

fn has_condition(job: &Value, kind: &str) -> bool {
    let conditions = job["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().any(|condition| condition["type"] == kind && condition["status"] == "True")
}

pub(super) fn is_over(job: &Value) -> bool {
    has_condition(job, "Complete") || has_condition(job, "Failed")
}

/// When a Job ended, as far as its conditions tell.
pub(super) fn ended(job: &Value) -> Option<Timestamp> {
    let conditions = job["status"]["conditions"].as_array()?;
    let last = conditions.iter().find(|condition| {
        matches!(condition["type"].as_str(), Some("Complete" | "Failed")) && condition["status"] == "True"
    })?;
    last["lastTransitionTime"].as_str()?.parse().ok()
}

fn age(since: &str) -> Duration {
    let since: Timestamp = since.parse().unwrap_or_else(|_| Timestamp::now());
    Duration::try_from(Timestamp::now().duration_since(since)).unwrap_or_default()
}

/// A Job that is over goes when nobody can want it any more.
fn retire(api: &Api, object: &Stored, job: &Value) -> Option<Duration> {
    let keep = Duration::from_secs(job["spec"]["ttlSecondsAfterFinished"].as_u64()?);
    let left = keep.saturating_sub(age(&ended(job)?.to_string()));
    if left.is_zero() {
        delete(api, object);
        return None;
    }
    Some(left)
}

fn index_of(pod: &Stored) -> Option<usize> {
    pod.label(INDEX)?.parse().ok()
}

/// Indexes that no pod has, or only failed ones.
fn free_indexes(pods: &[Arc<Stored>], completions: usize) -> impl Iterator<Item = usize> {
    let lives = |pod: &&Arc<Stored>| pod.field("status.phase") != Some("Failed");
    let taken: BTreeSet<usize> = pods.iter().filter(lives).filter_map(|pod| index_of(pod)).collect();
    (0..completions).filter(move |index| !taken.contains(index))
}

/// Indexes whose pods have succeeded, such as `0-2,4`.
fn completed_indexes(spec: &Value, pods: &[Arc<Stored>]) -> Value {
    if spec["completionMode"] != "Indexed" {
        return Value::Null;
    }
    let done = pods.iter().filter(|pod| pod.field("status.phase") == Some("Succeeded"));
    let done: BTreeSet<usize> = done.filter_map(|pod| index_of(pod)).collect();
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for index in done {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == index => *last = index,
            _ => runs.push((index, index)),
        }
    }
    let run = |(first, last): &(usize, usize)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    };
    match runs.iter().map(run).collect::<Vec<_>>().join(",") {
        text if text.is_empty() => Value::Null,
        text => text.into(),
    }
}

fn pod_of(object: &Stored, job: &Value, index: Option<usize>) -> Value {
    let mut template = job["spec"]["template"].clone();
    inherit(job, &mut template);
    let mut prefix = format!("{}-", object.key.name);
    if let Some(index) = index {
        prefix = format!("{prefix}{index}-");
        let index = index.to_string();
        template["metadata"]["labels"][INDEX] = index.as_str().into();
        template["metadata"]["annotations"][INDEX] = index.as_str().into();
        template["spec"]["hostname"] = format!("{}-{index}", object.key.name).into();
        let variable = json!({"name": "JOB_COMPLETION_INDEX", "value": index});
        for container in template["spec"]["containers"].as_array_mut().into_iter().flatten() {
            match container["env"].as_array_mut() {
                Some(variables) => variables.push(variable.clone()),
                None => container["env"] = json!([variable]),
            }
        }
    }
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"generateName": prefix, "labels": template["metadata"]["labels"],
                     "annotations": template["metadata"]["annotations"],
                     "ownerReferences": [owner_reference("batch/v1", "Job", object)]},
        "spec": template["spec"],
    })
}

pub(super) fn delete(api: &Api, object: &Stored) {
    if let Some(target) = api.target_of(object) {
        // It may be gone by now.
        let _ = api.delete(&target, &DeleteOptions::default());
    }
}
