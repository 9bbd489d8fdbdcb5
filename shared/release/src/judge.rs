//! When an object that is waited for is as it should be.

use serde_json::Value;
use sluice_apply::GroupKind;
use sluice_apply::object::{split_api_version, text};
use sluice_apply::status::{self, Kind, Status};

use crate::legacy;
use crate::options::{Wait, WaitStrategy};

/// What is waited for.
#[derive(Clone, Copy)]
pub(crate) enum Judge<'a> {
    /// That objects of a release are ready.
    Ready(&'a Wait),
    /// That a hook has run.
    Hook(&'a Wait),
    /// That a CRD can be used.
    Established,
}

impl Judge<'_> {
    /// How far an object is. Whoever asks has to ask again while it is in progress.
    pub(crate) fn status(self, object: &Value) -> Status {
        let (group, _) = split_api_version(text(object, "apiVersion"));
        let kind = GroupKind::new(group, text(object, "kind"));
        match self {
            Self::Established => status::compute(object, jiff::Timestamp::now()),
            Self::Ready(wait) => {
                if wait.strategy == WaitStrategy::Legacy {
                    return legacy::status(object, &kind, wait.jobs);
                }
                if let Some(status) = custom(wait, &kind, object) {
                    return status;
                }
                let job = kind.group == "batch" && kind.kind == "Job";
                let paused = matches!(&*kind.group, "apps" | "extensions")
                    && kind.kind == "Deployment"
                    && object.pointer("/spec/paused").is_some_and(|paused| paused == true);
                if job && !wait.jobs || paused {
                    return Status::new(Kind::Current, "");
                }
                status::compute(object, jiff::Timestamp::now())
            }
            Self::Hook(wait) => {
                if let Some(status) = custom(wait, &kind, object) {
                    return status;
                }
                match (&*kind.group, &*kind.kind) {
                    ("batch", "Job") => job(object),
                    ("", "Pod") => pod(object),
                    _ => Status::new(Kind::Current, ""),
                }
            }
        }
    }
}

/// What a custom check says of the object, if one covers its kind.
fn custom(wait: &Wait, kind: &GroupKind, object: &Value) -> Option<Status> {
    if wait.strategy == WaitStrategy::Legacy {
        return None;
    }
    let evaluator = wait.evaluators.iter().find(|evaluator| evaluator.covers(kind))?;
    Some(match evaluator.evaluate(object) {
        Ok(status) => status,
        Err(error) => Status { kind: Kind::Unknown, message: String::new(), error: Some(error) },
    })
}

fn job(object: &Value) -> Status {
    for (condition, kind) in [("Failed", Kind::Failed), ("Complete", Kind::Current)] {
        if let Some(found) = true_condition(object, condition) {
            return Status::new(kind, found["message"].as_str().unwrap_or_default());
        }
    }
    Status::new(Kind::InProgress, "")
}

fn pod(object: &Value) -> Status {
    let reason = object.pointer("/status/message").and_then(Value::as_str).unwrap_or_default();
    match object.pointer("/status/phase").and_then(Value::as_str) {
        Some("Succeeded") => Status::new(Kind::Current, ""),
        Some("Failed") => Status::new(Kind::Failed, reason),
        _ => Status::new(Kind::InProgress, ""),
    }
}

fn true_condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().find(|c| c["type"] == kind && c["status"] == "True")
}
