//! What was rendered, as objects of kinds that the cluster serves: kubectl's reading of a manifest.

use serde_json::{Map, Value};
use sluice_gotemplate::fmt::quoted;
use sluice_helm::manifest::split;
use sluice_yaml::{Reader, Schema};

use super::apis::{Apis, Served};

/// An object of a kind that the cluster serves.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found<'a> {
    pub(super) served: &'a Served,
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// Reads documents; lists are taken apart.
///
/// # Errors
/// All kinds that are not served, up to the first document that is no object.
pub(super) fn recognize<'a, 't>(
    documents: impl Iterator<Item = &'t str>,
    apis: &'a Apis,
    namespace: &str,
) -> Result<Vec<Found<'a>>, String> {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for document in documents.flat_map(split) {
        let value = match read(document) {
            Ok(Value::Null) => continue,
            Ok(value) => value,
            Err(problem) => {
                problems.push(format!("error parsing : error converting YAML to JSON: {problem}"));
                return Err(all(problems));
            }
        };
        if let Err(problem) = check(&value) {
            problems.push(format!("error validating \"\": error validating data: {problem}"));
            return Err(all(problems));
        }
        let Some(object) = value.as_object() else { continue }; // refused by the check
        if let Err(problem) = value.get("metadata").map_or(Ok(()), super::metadata::check) {
            problems.push(format!("unable to decode \"\": {problem}"));
            continue;
        }
        if let Some(items) = value.get("items").and_then(Value::as_array) {
            flatten(object, items, apis, namespace, &mut found, &mut problems);
            continue;
        }
        match find(object, apis, namespace) {
            Ok(object) => found.push(object),
            Err(problem) => problems.push(format!(
                "resource mapping not found for name: {} namespace: {} from \"\": {problem}\nensure CRDs are installed first",
                quoted(metadata(object, "name").as_bytes()),
                quoted(metadata(object, "namespace").as_bytes()),
            )),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(all(problems)) }
}

fn read(document: &str) -> Result<Value, String> {
    let node = Reader::yaml11().last_wins().first(document).map_err(|error| error.to_string())?;
    node.map_or(Ok(Value::Null), |node| node.into_value_by(Schema::Yaml11))
}

/// Refuses what does not say what it is.
fn check(value: &Value) -> Result<(), String> {
    const INVALID: &str = "invalid object to validate";
    let object = value.as_object().ok_or(INVALID)?;
    let mut problems = Vec::new();
    typed(object, &mut problems);
    if problems.is_empty() && text(object, "apiVersion") == "v1" && text(object, "kind") == "List" {
        match object.get("items") {
            None | Some(Value::Null) => {}
            Some(Value::Array(items)) => {
                for item in items {
                    typed(item.as_object().ok_or(INVALID)?, &mut problems);
                }
            }
            Some(_) => return Err(INVALID.to_owned()),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(all(problems)) }
}

/// Notes what an object does not say of its type.
fn typed(object: &Map<String, Value>, problems: &mut Vec<String>) {
    for key in ["apiVersion", "kind"] {
        match object.get(key) {
            None | Some(Value::Null) => problems.push(format!("{key} not set")),
            Some(Value::String(text)) if text.is_empty() => problems.push(format!("{key} not set")),
            Some(Value::String(_)) => {}
            Some(_) => problems.push(format!("{key} isn't string type")),
        }
    }
}

/// Adds the items of a list. They may leave out what the list says of them.
fn flatten<'a>(
    list: &Map<String, Value>,
    items: &[Value],
    apis: &'a Apis,
    namespace: &str,
    found: &mut Vec<Found<'a>>,
    problems: &mut Vec<String>,
) {
    let kind = text(list, "kind").strip_suffix("List").filter(|kind| !kind.is_empty());
    let mut objects = Vec::new();
    for item in items {
        let mut object = item.as_object().cloned().unwrap_or_default();
        if object.get("items").is_some_and(Value::is_array) {
            problems
                .push("*unstructured.Unstructured is not a list: no Items field in this object".to_owned());
            return;
        }
        if let Err(problem) = item.get("metadata").map_or(Ok(()), super::metadata::check) {
            problems.push(format!("unable to decode \"\": {problem}"));
            return;
        }
        if let (Some(kind), "") = (kind, text(&object, "kind")) {
            object.insert("kind".to_owned(), kind.into());
            object.insert("apiVersion".to_owned(), text(list, "apiVersion").into());
        }
        objects.push(object);
    }
    for object in objects {
        match find(&object, apis, namespace) {
            Ok(object) => found.push(object),
            Err(problem) => problems.push(format!("unable to recognize {problem}")),
        }
    }
}

fn find<'a>(object: &Map<String, Value>, apis: &'a Apis, namespace: &str) -> Result<Found<'a>, String> {
    let (api_version, kind) = (text(object, "apiVersion"), text(object, "kind"));
    let served = apis.find(api_version, kind).ok_or_else(|| {
        let (kind, api_version) = (quoted(kind.as_bytes()), quoted(api_version.as_bytes()));
        format!("no matches for kind {kind} in version {api_version}")
    })?;
    let namespace = match metadata(object, "namespace") {
        _ if !served.namespaced => "",
        "" => namespace,
        own => own,
    };
    Ok(Found {
        served,
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: metadata(object, "name").to_owned(),
    })
}

fn metadata<'v>(object: &'v Map<String, Value>, key: &str) -> &'v str {
    object.get("metadata").and_then(|metadata| metadata.get(key)).and_then(Value::as_str).unwrap_or_default()
}

fn text<'v>(object: &'v Map<String, Value>, key: &str) -> &'v str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Several problems as Go's aggregated errors print them: each of them once.
fn all(mut problems: Vec<String>) -> String {
    let mut seen = std::collections::HashSet::new();
    problems.retain(|problem| seen.insert(problem.clone()));
    match problems.len() {
        1 => problems.remove(0),
        _ => format!("[{}]", problems.join(", ")),
    }
}
