//! Whether the cluster still has what a release put there, and how to bring it back (helm-controller, `internal/diff`).
//!
//! The stored manifest is what is wanted; nothing is rendered again. An apply that is not stored tells what an object
//! would become; what differs from what it is, is drift.

use std::fmt;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use sluice_apply::ignore::{self, IgnoreRules};
use sluice_apply::managed::Takeover;
use sluice_apply::object::{metadata_map, metadata_text};
use sluice_apply::{ObjectId, order};
use sluice_helm::release::Release;
use tokio::time::Instant;

use crate::helm::Helm;
use crate::object::{Object, locate, parse};
use crate::send::masked;

/// Label or annotation that leaves an object alone.
const DETECTION: &str = "helm.toolkit.fluxcd.io/driftDetection";
/// Objects that are looked at at the same time.
const CONCURRENT: usize = 16;
/// How often an object is looked at again that moves under our eyes.
const LOOKS: usize = 3;

/// How drift is looked for.
#[derive(Debug, Clone, Default)]
pub struct DriftOptions {
    /// What is left alone.
    pub ignore: IgnoreRules,
    /// Managers whose fields are taken over first.
    pub override_managers: Vec<String>,
}

/// Drift could not be looked for.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct DriftError(String);

/// What is not as it should be.
#[derive(Debug, Clone, Default)]
pub struct DriftReport {
    /// Objects that drifted or were left out, in the manifest's order.
    pub drifts: Vec<Drift>,
    /// Objects that could not be looked at.
    pub errors: Vec<String>,
}

/// One object.
#[derive(Debug, Clone)]
pub struct Drift {
    /// The object.
    pub id: ObjectId,
    /// What is with it.
    pub difference: Difference,
    object: Object,
}

/// How an object differs from what it should be.
#[derive(Debug, Clone, PartialEq)]
pub enum Difference {
    /// It is not there.
    Removed,
    /// It is left alone.
    Excluded,
    /// It is not the same. Holds the operations of a JSON patch that corrects it.
    Changed(Vec<Value>),
}

/// `<Kind>/<ns>/<name> removed`, and so on.
impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count =
            |patch: &[Value], op: &str| patch.iter().filter(|operation| operation["op"] == op).count();
        match &self.difference {
            Difference::Removed => write!(f, "{} removed", self.id),
            Difference::Excluded => write!(f, "{} excluded", self.id),
            Difference::Changed(patch) => write!(
                f,
                "{} changed ({} additions, {} changes, {} removals)",
                self.id,
                count(patch, "add"),
                count(patch, "replace"),
                count(patch, "remove")
            ),
        }
    }
}

impl DriftReport {
    /// Whether anything drifted.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.drifts.iter().any(|drift| drift.difference != Difference::Excluded)
    }
}

/// What a correction did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Corrected {
    /// `<Kind>/<ns>/<name> created` or `… configured`, in the order in which it was done.
    pub corrected: Vec<String>,
    /// `<Kind>/<ns>/<name> creation failure: …` or `… patch failure: …`.
    pub failed: Vec<String>,
}

impl Helm {
    /// Compares the objects of a release with what the cluster has.
    ///
    /// # Errors
    /// A manifest that cannot be read, or kinds that the cluster does not serve. What goes wrong with single objects is
    /// in the report.
    pub async fn drift(&self, release: &Release, options: &DriftOptions) -> Result<DriftReport, DriftError> {
        let objects = parse(&release.manifest).map_err(DriftError)?;
        let objects = locate(objects, self.discovery(), &release.namespace).await.map_err(DriftError)?;
        let looks = stream::iter(objects.into_iter().filter(|object| !object.id.name.is_empty()));
        let looks = looks.map(|mut object| async move {
            object.own(&release.name, &release.namespace);
            let outcome = self.compare(&object, options).await;
            (object, outcome)
        });
        let mut report = DriftReport::default();
        for (object, outcome) in looks.buffered(CONCURRENT).collect::<Vec<_>>().await {
            match outcome {
                Ok(None) => {}
                Ok(Some(difference)) => {
                    report.drifts.push(Drift { id: object.id.clone(), difference, object });
                }
                Err(error) => report.errors.push(format!("{}: {error}", object.id)),
            }
        }
        Ok(report)
    }

    /// Brings what drifted back, without a new revision and without waiting. What is not done in time is a failure.
    pub async fn correct(&self, report: &DriftReport, timeout: Duration) -> Corrected {
        let deadline = Instant::now() + timeout;
        let mut drifts: Vec<&Drift> = report.drifts.iter().collect();
        drifts.sort_by(|a, b| order::compare(&a.id, &b.id));
        let mut corrected = Corrected::default();
        for drift in drifts {
            let object = &drift.object;
            let (done, failure) = match &drift.difference {
                Difference::Excluded => continue,
                Difference::Removed => ("created", "creation failure"),
                Difference::Changed(_) => ("configured", "patch failure"),
            };
            let change = async {
                match &drift.difference {
                    Difference::Changed(patch) => {
                        let patch = Value::Array(patch.clone());
                        let sent = self.sender().patch(object, "application/json-patch+json", &patch).await;
                        sent.map(drop).map_err(|error| masked(object, &error))
                    }
                    _ => {
                        let sent = self.sender().create(object.clone()).await;
                        sent.map(drop).map_err(|error| error.to_string())
                    }
                }
            };
            let outcome = tokio::select! {
                outcome = tokio::time::timeout_at(deadline, change) => {
                    outcome.unwrap_or_else(|_| Err("context deadline exceeded".to_owned()))
                }
                () = self.cancel().cancelled() => Err("context canceled".to_owned()),
            };
            match outcome {
                Ok(()) => corrected.corrected.push(format!("{} {done}", drift.id)),
                Err(error) => corrected.failed.push(format!("{} {failure}: {error}", drift.id)),
            }
        }
        corrected
    }

    async fn compare(&self, object: &Object, options: &DriftOptions) -> Result<Option<Difference>, String> {
        let paths = options.ignore.paths(&object.id, &object.resource.version, &object.value);
        if left_alone(&object.value) || paths.contains(&"") {
            return Ok(Some(Difference::Excluded));
        }
        let failed = |error: sluice_apply::rest::RequestError| masked(object, &error);
        let mut live = self.sender().get(object).await.map_err(failed)?;
        if live.as_ref().is_some_and(left_alone) {
            return Ok(Some(Difference::Excluded));
        }
        if let Some(is) = &live
            && !options.override_managers.is_empty()
            && let Some(patch) =
                Takeover::of_managers(self.sender().manager(), &options.override_managers).patch(is)
        {
            let patched = self.sender().patch(object, "application/json-patch+json", &patch).await;
            live = Some(patched.map_err(failed)?);
        }
        let mut wanted = self.sender().dry_run(object).await.map_err(failed)?;
        let Some(mut live) = live else { return Ok(Some(Difference::Removed)) };
        // What a controller writes in between is no drift.
        for _ in 0..LOOKS {
            let version = |object| metadata_text(object, "resourceVersion");
            if version(&wanted) == version(&live) {
                break;
            }
            match self.sender().get(object).await.map_err(failed)? {
                Some(is) => live = is,
                None => return Ok(Some(Difference::Removed)),
            }
            wanted = self.sender().dry_run(object).await.map_err(failed)?;
        }
        for path in paths {
            ignore::remove(&mut live, path);
            ignore::remove(&mut wanted, path);
        }
        let patch = difference(&live, &wanted);
        Ok((!patch.is_empty()).then_some(Difference::Changed(patch)))
    }
}

fn left_alone(object: &Value) -> bool {
    ["labels", "annotations"].iter().any(|field| {
        metadata_map(object, field)
            .and_then(|map| map.get(DETECTION))
            .is_some_and(|value| value == "disabled")
    })
}

/// The JSON patch from one object to another, as far as it is drift: of the metadata only labels and annotations that
/// are missing or have another value, nothing of the status.
fn difference(live: &Value, wanted: &Value) -> Vec<Value> {
    let mut patch = Vec::new();
    for field in ["labels", "annotations"] {
        let Some(wanted) = metadata_map(wanted, field) else { continue };
        let live = metadata_map(live, field);
        if live.is_none() && !wanted.is_empty() {
            patch.push(json!({"op": "add", "path": format!("/metadata/{field}"), "value": wanted}));
            continue;
        }
        for (key, value) in wanted {
            let path = format!("/metadata/{field}/{}", escaped(key));
            match live.and_then(|live| live.get(key)) {
                Some(is) if is == value => {}
                Some(_) => patch.push(json!({"op": "replace", "path": path, "value": value})),
                None => patch.push(json!({"op": "add", "path": path, "value": value})),
            }
        }
    }
    let (Some(live), Some(wanted)) = (live.as_object(), wanted.as_object()) else { return patch };
    let counts = |key: &str| !matches!(key, "metadata" | "status");
    for (key, is) in live.iter().filter(|(key, _)| counts(key)) {
        let path = format!("/{}", escaped(key));
        match wanted.get(key) {
            Some(wanted) => compare(&path, is, wanted, &mut patch),
            None => patch.push(json!({"op": "remove", "path": path})),
        }
    }
    for (key, value) in wanted.iter().filter(|(key, _)| counts(key) && !live.contains_key(*key)) {
        patch.push(json!({"op": "add", "path": format!("/{}", escaped(key)), "value": value}));
    }
    patch
}

fn compare(path: &str, is: &Value, wanted: &Value, patch: &mut Vec<Value>) {
    match (is, wanted) {
        (is, wanted) if is == wanted => {}
        (Value::Object(is), Value::Object(wanted)) => {
            for (key, value) in is {
                let path = format!("{path}/{}", escaped(key));
                match wanted.get(key) {
                    Some(wanted) => compare(&path, value, wanted, patch),
                    None => patch.push(json!({"op": "remove", "path": path})),
                }
            }
            for (key, value) in wanted.iter().filter(|(key, _)| !is.contains_key(*key)) {
                patch.push(json!({"op": "add", "path": format!("{path}/{}", escaped(key)), "value": value}));
            }
        }
        (Value::Array(is), Value::Array(wanted)) => {
            for (index, (is, wanted)) in is.iter().zip(wanted).enumerate() {
                compare(&format!("{path}/{index}"), is, wanted, patch);
            }
            // From the end, so that no removal moves what a later one is about.
            for index in (wanted.len()..is.len()).rev() {
                patch.push(json!({"op": "remove", "path": format!("{path}/{index}")}));
            }
            for value in wanted.iter().skip(is.len()) {
                patch.push(json!({"op": "add", "path": format!("{path}/-"), "value": value}));
            }
        }
        (_, wanted) => patch.push(json!({"op": "replace", "path": path, "value": wanted})),
    }
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_drift_is_patched() {
        let live = json!({"metadata": {"resourceVersion": "1", "labels": {"a/b": "1", "other": "x"}}, "spec": {"n": 1, "extra": 1, "l": [1, 2, 3], "m": [{"a": 1}]}, "status": {"s": 1}});
        let wanted = json!({"metadata": {"resourceVersion": "2", "labels": {"a/b": "2"}, "annotations": {"k": "v"}}, "spec": {"n": 2, "l": [1], "m": [{"a": 1}, {"b": 1}]}, "data": {}});
        assert_eq!(
            difference(&live, &wanted),
            [
                json!({"op": "replace", "path": "/metadata/labels/a~1b", "value": "2"}),
                json!({"op": "add", "path": "/metadata/annotations", "value": {"k": "v"}}),
                json!({"op": "remove", "path": "/spec/extra"}),
                json!({"op": "remove", "path": "/spec/l/2"}),
                json!({"op": "remove", "path": "/spec/l/1"}),
                json!({"op": "add", "path": "/spec/m/-", "value": {"b": 1}}),
                json!({"op": "replace", "path": "/spec/n", "value": 2}),
                json!({"op": "add", "path": "/data", "value": {}}),
            ]
        );
        assert!(difference(&live, &live).is_empty());
    }
}
