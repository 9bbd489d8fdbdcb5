//! CronJobs make a Job whenever their schedule says so, and keep the last few.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::job::{delete, ended, is_over};
use super::workload::{create, inherit, owned, owner_reference, patch};
use crate::api::Api;
use crate::storage::Stored;
use crate::validate::Schedule;

/// So many missed times are counted before a CronJob starts anew from the present.
const MOST_MISSED: usize = 100;
/// A CronJob is looked at again after this, however far its next time is.
const LONGEST: Duration = Duration::from_secs(3600);

/// Takes the next step of a CronJob; gives the time after which to look again.
pub(super) fn changed(api: &Arc<Api>, object: &Stored) -> Option<Duration> {
    if object.deleting {
        return None;
    }
    let value = object.value();
    let spec = &value["spec"];
    let jobs = owned(api, object, "jobs");
    tidy(api, spec, &jobs);
    let mut active: Vec<Value> =
        jobs.iter().filter(|job| !is_over(&job.value())).map(|job| reference(job)).collect();
    let mut last = value["status"]["lastScheduleTime"].clone();
    let now = Timestamp::now();
    let (due, next) = times(&value, now)?;
    if let Some(due) = due.filter(|_| spec["suspend"] != true) {
        let waits = spec["concurrencyPolicy"] == "Forbid" && !active.is_empty();
        if !waits {
            if spec["concurrencyPolicy"] == "Replace" {
                jobs.iter().filter(|job| !is_over(&job.value())).for_each(|job| delete(api, job));
                active.clear();
            }
            create(api, "batch", "jobs", &object.key.namespace, job_of(object, &value, due));
            last = due.to_string().into();
            active.extend(
                owned(api, object, "jobs")
                    .iter()
                    .map(|job| reference(job))
                    .filter(|job| job["name"].as_str().is_some_and(|name| name == job_name(object, due))),
            );
        }
    }
    let succeeded =
        jobs.iter().map(|job| job.value()).filter(|job| job["status"]["completionTime"].is_string());
    let succeeded =
        succeeded.map(|job| job["status"]["completionTime"].as_str().unwrap_or_default().to_owned()).max();
    let succeeded = succeeded.map_or(value["status"]["lastSuccessfulTime"].clone(), Value::String);
    let active = if active.is_empty() { Value::Null } else { active.into() };
    let status = json!({"active": active, "lastScheduleTime": last, "lastSuccessfulTime": succeeded});
    patch(api, object, "status", json!({"status": status}));
    let wait = next.and_then(|next| Duration::try_from(next.duration_since(now)).ok());
    Some(wait.unwrap_or(LONGEST).min(LONGEST))
}

/// The newest time that has come and that no Job was made for, and the next one.
fn times(cron: &Value, now: Timestamp) -> Option<(Option<Timestamp>, Option<Timestamp>)> {
    let spec = &cron["spec"];
    let schedule = Schedule::parse(spec["schedule"].as_str()?).ok()?;
    let zone = match spec["timeZone"].as_str() {
        Some(name) => TimeZone::get(name).ok()?,
        None => TimeZone::UTC,
    };
    let time = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let since =
        time(&cron["status"]["lastScheduleTime"]).or_else(|| time(&cron["metadata"]["creationTimestamp"]))?;
    // Too late is as good as never.
    let patience = spec["startingDeadlineSeconds"].as_i64().map(jiff::SignedDuration::from_secs);
    let earliest = patience.and_then(|patience| now.checked_sub(patience).ok());
    let mut at = earliest.map_or(since, |earliest| earliest.max(since));
    let (mut due, mut missed) = (None, 0);
    loop {
        match schedule.next(at, &zone) {
            Some(next) if next <= now && missed < MOST_MISSED => {
                due = Some(next);
                at = next;
                missed += 1;
            }
            Some(next) if next <= now => at = now,
            next => return Some((due, next)),
        }
    }
}

fn job_name(object: &Stored, due: Timestamp) -> String {
    format!("{}-{}", object.key.name, due.as_second() / 60)
}

fn job_of(object: &Stored, cron: &Value, due: Timestamp) -> Value {
    let mut template = cron["spec"]["jobTemplate"].clone();
    inherit(cron, &mut template);
    let mut annotations = template["metadata"]["annotations"].take();
    annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"] = due.to_string().into();
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": job_name(object, due), "labels": template["metadata"]["labels"], "annotations": annotations,
                     "ownerReferences": [owner_reference("batch/v1", "CronJob", object)]},
        "spec": template["spec"],
    })
}

fn reference(job: &Stored) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "name": job.key.name, "namespace": job.key.namespace,
           "uid": job.uid, "resourceVersion": job.revision.to_string()})
}

/// Jobs that are over go, but for the last ones.
fn tidy(api: &Api, spec: &Value, jobs: &[Arc<Stored>]) {
    for (end, limit) in [("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")] {
        let Some(limit) = spec[limit].as_u64().and_then(|limit| usize::try_from(limit).ok()) else {
            continue;
        };
        let has_end = |job: &Value| {
            let conditions = job["status"]["conditions"].as_array().into_iter().flatten();
            conditions.filter(|one| one["status"] == "True").any(|one| one["type"] == end)
        };
        let mut over: Vec<_> = jobs
            .iter()
            .map(|job| (job.value(), job))
            .filter(|(value, _)| has_end(value))
            .map(|(value, job)| (ended(&value), job))
            .collect();
        over.sort_by_key(|(time, job)| (*time, job.key.clone()));
        let surplus = over.len().saturating_sub(limit);
        over.into_iter().take(surplus).for_each(|(_, job)| delete(api, job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_missed_time_is_due_unless_it_is_too_late() {
        let cron = |deadline: Value| {
            json!({"metadata": {"creationTimestamp": "2024-01-01T00:00:00Z"},
                   "spec": {"schedule": "*/10 * * * *", "startingDeadlineSeconds": deadline}})
        };
        let time = |text: &str| text.parse::<Timestamp>().expect(text);
        for (deadline, now, due, next) in [
            (Value::Null, "2024-01-01T00:05:00Z", None, "2024-01-01T00:10:00Z"),
            (Value::Null, "2024-01-01T00:25:00Z", Some("2024-01-01T00:20:00Z"), "2024-01-01T00:30:00Z"),
            (json!(60), "2024-01-01T00:25:00Z", None, "2024-01-01T00:30:00Z"),
            (json!(600), "2024-01-01T00:25:00Z", Some("2024-01-01T00:20:00Z"), "2024-01-01T00:30:00Z"),
        ] {
            let got = times(&cron(deadline.clone()), time(now));
            assert_eq!(got, Some((due.map(time), Some(time(next)))), "{deadline} at {now}");
        }
    }
}
