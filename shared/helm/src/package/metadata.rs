//! `Chart.yaml` and `Chart.lock` as Helm writes them: from what was understood, so comments and unknown keys are gone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::Metadata;
use crate::chart::{Dependency, ImportValue, Lock};

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
    let mut map = Map::new();
    for (key, text) in [
        ("name", &metadata.name),
        ("home", &metadata.home),
        ("version", &metadata.version),
        ("description", &metadata.description),
        ("icon", &metadata.icon),
        ("apiVersion", &metadata.api_version),
        ("condition", &metadata.condition),
        ("tags", &metadata.tags),
        ("appVersion", &metadata.app_version),
        ("kubeVersion", &metadata.kube_version),
        ("type", &metadata.kind),
    ] {
        put_text(&mut map, key, text);
    }
    put_list(&mut map, "sources", texts(&metadata.sources));
    put_list(&mut map, "keywords", texts(&metadata.keywords));
    if metadata.deprecated {
        map.insert("deprecated".into(), Value::Bool(true));
    }
    if !metadata.annotations.is_empty() {
        let pairs = metadata.annotations.iter().map(|(key, text)| (key.clone(), Value::String(text.clone())));
        map.insert("annotations".into(), Value::Object(pairs.collect()));
    }
    let maintainers = metadata.maintainers.iter().map(|maintainer| {
        let mut map = Map::new();
        put_text(&mut map, "name", &maintainer.name);
        put_text(&mut map, "email", &maintainer.email);
        put_text(&mut map, "url", &maintainer.url);
        Value::Object(map)
    });
    put_list(&mut map, "maintainers", maintainers.collect());
    put_list(&mut map, "dependencies", metadata.dependencies.iter().map(dependency_value).collect());
    map
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
        some => Value::Array(some.iter().map(dependency_value).collect()),
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

fn dependency_value(dependency: &Dependency) -> Value {
    let mut map = Map::new();
    map.insert("name".into(), Value::String(dependency.name.clone()));
    map.insert("repository".into(), Value::String(dependency.repository.clone()));
    put_text(&mut map, "version", &dependency.version);
    put_text(&mut map, "condition", &dependency.condition);
    put_text(&mut map, "alias", &dependency.alias);
    put_list(&mut map, "tags", texts(&dependency.tags));
    if dependency.enabled {
        map.insert("enabled".into(), Value::Bool(true));
    }
    let imports = dependency.import_values.iter().map(|import| match import {
        ImportValue::Export(name) => Value::String(name.clone()),
        ImportValue::Paths { child, parent } => {
            let mut map = Map::new();
            map.insert("child".into(), Value::String(child.clone()));
            map.insert("parent".into(), Value::String(parent.clone()));
            Value::Object(map)
        }
        ImportValue::Other(value) => value.clone(),
    });
    put_list(&mut map, "import-values", imports.collect());
    Value::Object(map)
}

fn put_text(map: &mut Map<String, Value>, key: &str, text: &str) {
    if !text.is_empty() {
        map.insert(key.into(), Value::String(text.to_owned()));
    }
}

fn put_list(map: &mut Map<String, Value>, key: &str, items: Vec<Value>) {
    if !items.is_empty() {
        map.insert(key.into(), Value::Array(items));
    }
}

fn texts(texts: &[String]) -> Vec<Value> {
    texts.iter().cloned().map(Value::String).collect()
}
