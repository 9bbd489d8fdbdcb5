//! Validation of `metadata`, for every kind.

use serde_json::Value;

use super::FieldError;
use super::names;

const MAX_ANNOTATIONS: u64 = 256 * 1024;
/// Finalizers that need no domain before their names.
const STANDARD_FINALIZERS: &[&str] = &["foregroundDeletion", "kubernetes", "orphan"];

/// Validates the metadata of an object; on an update also that its identity stays.
pub(crate) fn metadata(
    object: &Value,
    old: Option<&Value>,
    namespaced: bool,
    name_rule: fn(&str) -> Vec<String>,
) -> Vec<FieldError> {
    let mut out = Vec::new();
    let meta = &object["metadata"];
    let name = meta["name"].as_str().unwrap_or_default();
    if let Some(prefix) = meta["generateName"].as_str().filter(|prefix| !prefix.is_empty()) {
        // A prefix may end in what a name may not.
        let probe = format!("{}a", prefix.trim_end_matches('-'));
        out.extend(
            name_rule(&probe)
                .into_iter()
                .map(|why| FieldError::invalid_text("metadata.generateName", prefix, why)),
        );
    }
    if name.is_empty() {
        out.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else if old.is_none() {
        out.extend(
            name_rule(name).into_iter().map(|why| FieldError::invalid_text("metadata.name", name, why)),
        );
    }
    let namespace = meta["namespace"].as_str().unwrap_or_default();
    if namespaced {
        if namespace.is_empty() {
            out.push(FieldError::required("metadata.namespace", ""));
        } else {
            out.extend(
                names::label(namespace)
                    .into_iter()
                    .map(|why| FieldError::invalid_text("metadata.namespace", namespace, why)),
            );
        }
    } else if !namespace.is_empty() {
        out.push(FieldError::forbidden("metadata.namespace", "not allowed on this type"));
    }
    out.extend(labels(&meta["labels"], "metadata.labels"));
    out.extend(annotations(&meta["annotations"], "metadata.annotations"));
    out.extend(owners(&meta["ownerReferences"]));
    for finalizer in meta["finalizers"].as_array().into_iter().flatten() {
        let text = finalizer.as_str().unwrap_or_default();
        let path = "metadata.finalizers";
        out.extend(names::qualified(text).into_iter().map(|why| FieldError::invalid_text(path, text, why)));
    }
    let finalizers = &meta["finalizers"];
    let has = |name: &str| finalizers.as_array().is_some_and(|all| all.iter().any(|one| one == name));
    if has("orphan") && has("foregroundDeletion") {
        let why = "finalizer orphan and foregroundDeletion cannot be both set";
        out.push(FieldError::invalid("metadata.finalizers", finalizers, why));
    }
    if let Some(old) = old {
        out.extend(identity(meta, &old["metadata"]));
    }
    out
}

/// Labels, here and in pod templates.
pub(super) fn labels(labels: &Value, path: &str) -> Vec<FieldError> {
    let mut out = Vec::new();
    for (key, value) in labels.as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        out.extend(names::qualified(key).into_iter().map(|why| FieldError::invalid_text(path, key, why)));
        out.extend(
            names::label_value(value).into_iter().map(|why| FieldError::invalid_text(path, value, why)),
        );
    }
    out
}

/// Annotations, here and in pod templates.
pub(super) fn annotations(annotations: &Value, path: &str) -> Vec<FieldError> {
    let mut out = Vec::new();
    let mut size = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        let lower = key.to_lowercase();
        out.extend(names::qualified(&lower).into_iter().map(|why| FieldError::invalid_text(path, key, why)));
        size += (key.len() + value.as_str().map_or(0, str::len)) as u64;
    }
    if size > MAX_ANNOTATIONS {
        out.push(FieldError::too_long(path, MAX_ANNOTATIONS));
    }
    out
}

/// A list of texts as Go's `%#v` prints it.
pub(crate) fn go_strings(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    format!("[]string{{{}}}", texts.join(", "))
}

/// Owner references with their fields in the order of the Go type.
fn owners_in_order(owners: &Value) -> String {
    let fields = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    let owners = owners.as_array().into_iter().flatten().map(|owner| {
        let known = fields.iter().filter_map(|field| Some(format!("\"{field}\":{}", owner.get(*field)?)));
        format!("{{{}}}", known.collect::<Vec<_>>().join(","))
    });
    format!("[{}]", owners.collect::<Vec<_>>().join(","))
}

fn owners(owners: &Value) -> Vec<FieldError> {
    let mut out = Vec::new();
    let mut controllers = Vec::new();
    for owner in owners.as_array().into_iter().flatten() {
        let path = "metadata.ownerReferences"; // without an index, as upstream writes it
        for (field, why) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if owner[field].as_str().unwrap_or_default().is_empty() {
                out.push(FieldError::invalid_text(format!("{path}.{field}"), "", why));
            }
        }
        if owner["apiVersion"] == "v1" && owner["kind"] == "Event" {
            out.push(FieldError::invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner"));
        }
        if owner["controller"] == true {
            let text = |field: &str| owner[field].as_str().unwrap_or_default();
            controllers.push(format!("{}/{}", text("kind"), text("name")));
        }
    }
    if let [first, second, ..] = &controllers[..] {
        out.push(FieldError::invalid_omitted(
            "metadata.ownerReferences",
            format!("{}: Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}", owners_in_order(owners)),
        ));
    }
    out
}

/// What a client may not change. An absent value was filled in by the server before.
pub(crate) fn identity(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut out = Vec::new();
    for field in
        ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        if new[field] != old[field] {
            out.push(FieldError::invalid(format!("metadata.{field}"), &new[field], "field is immutable"));
        }
    }
    if !old["deletionTimestamp"].is_null() {
        let list = |meta: &Value| -> Vec<String> {
            meta["finalizers"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(Into::into)
                .collect()
        };
        let before = list(old);
        let added: Vec<String> = list(new).into_iter().filter(|one| !before.contains(one)).collect();
        if !added.is_empty() {
            out.push(FieldError::forbidden(
                "metadata.finalizers",
                format!(
                    "no new finalizers can be added if the object is being deleted, found new finalizers {}",
                    go_strings(&added)
                ),
            ));
        }
    }
    out
}
/// What built-in kinds want of finalizers besides: a group in front of the name, unless it is one of Kubernetes' own.
pub(crate) fn finalizers(object: &Value) -> Vec<FieldError> {
    let names = object["metadata"]["finalizers"].as_array().into_iter().flatten().enumerate();
    names
        .map(|(at, name)| (at, name.as_str().unwrap_or_default()))
        .filter(|(_, name)| !name.contains('/') && !STANDARD_FINALIZERS.contains(name))
        .map(|(at, name)| {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            FieldError::invalid_text(format!("metadata.finalizers[{at}]"), name, why)
        })
        .collect()
}
