//! `Chart.yaml` and `Chart.lock` as Helm writes them: from what was understood, so comments and unknown keys are gone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::Metadata;
use crate::chart::Lock;

/// `Chart.yaml` for a package; dependencies of a `v1` chart stay in `requirements.yaml`.
#[must_use]
pub fn chart_yaml(metadata: &Metadata) -> String {
    let mut map = metadata_value(metadata);
    if metadata.api_version == "v1" {
        map.remove("dependencies");
    }
    sluice_yaml::to_string(&Value::Object(map))
}

/// All of the metadata, as `helm show chart` prints it.
pub(crate) fn metadata_value(metadata: &Metadata) -> Map<String, Value> {
    match serde_json::to_value(metadata) {
        Ok(Value::Object(map)) => map,
        // Texts, flags and lists of them always are a map.
        _ => Map::new(),
    }
}

/// `Chart.lock` for a package.
#[must_use]
pub fn lock_yaml(lock: &Lock, epoch: Option<u64>) -> String {
    let generated = epoch.and_then(|epoch| rfc3339(UNIX_EPOCH + Duration::from_secs(epoch)));
    let mut map = Map::new();
    map.insert("generated".into(), Value::String(generated.unwrap_or_else(|| lock.generated.clone())));
    map.insert("digest".into(), Value::String(lock.digest.clone()));
    let dependencies = match lock.dependencies.as_slice() {
        [] => Value::Null,
        some => serde_json::to_value(some).unwrap_or_default(),
    };
    map.insert("dependencies".into(), dependencies);
    sluice_yaml::to_string(&Value::Object(map))
}

/// When a lock was written.
pub(super) fn lock_time(lock: &Lock) -> Option<SystemTime> {
    let time: jiff::Timestamp = lock.generated.parse().ok()?;
    Some(SystemTime::from(time))
}

fn rfc3339(time: SystemTime) -> Option<String> {
    jiff::Timestamp::try_from(time).ok().map(|time| time.to_string())
}
