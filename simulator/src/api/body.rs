//! What a body says of itself must fit the request, and its fields the schema. The refusals read as Go's decoders put
//! them.

use serde_json::{Map, Value, json};

use super::write::{FieldValidation, WriteOptions};
use super::{Api, ApiError, Resource, Target, defaults};
use crate::validate::{self, FieldError};

/// Why a body does not fit.
pub(super) enum Misfit {
    /// It cannot be read as the kind; the text is the decoder's.
    Unreadable(String),
    Refused(ApiError),
}

/// Who says that a body cannot be read.
pub(super) enum Reader<'a> {
    /// The decoder of a body; what is here is the body's kind and version, where it names others.
    Body(Option<(&'a str, &'a str)>),
    /// The decoder of what a patch made, which is made once more to be shown.
    Patched(&'a dyn Fn() -> Value),
    /// The decoder of what a strategic patch made; what is here is the patch.
    Strategic(&'a Value),
}

impl Reader<'_> {
    /// The refusal.
    pub(super) fn refuse(&self, resource: &Resource, why: &str) -> ApiError {
        let own = (resource.kind.as_str(), &*resource.version);
        match self {
            Self::Body(found) => {
                let (kind, version) = found.unwrap_or(own);
                let version = version.rsplit('/').next().unwrap_or_default();
                let wanted = &resource.kind;
                ApiError::bad_request(format!(
                    "{kind} in version \"{version}\" cannot be handled as a {wanted}: {why}"
                ))
            }
            Self::Patched(object) => ApiError::bad_patch(&in_order(&object()), why),
            Self::Strategic(patch) => ApiError::bad_patch(&crate::merge::go_print(patch), why),
        }
    }
}

impl Api {
    /// Kind and version of a body must be those of the request; where they are absent they are filled in.
    pub(super) fn check_types(&self, target: &Target, body: &mut Value) -> Result<(), Misfit> {
        let resource = &target.resource;
        let (api_version, kind) = (resource.api_version(), resource.kind.as_str());
        let Some(map) = body.as_object_mut() else {
            return Err(Misfit::Refused(ApiError::bad_request("the request body is not an object")));
        };
        let text = |field: &str| map.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (found_version, found_kind) = (text("apiVersion"), text("kind"));
        if resource.custom.is_some() {
            if !found_version.is_empty() && found_version != api_version {
                return Err(Misfit::Refused(ApiError::bad_request(format!(
                    "the API version in the data ({found_version}) does not match the expected API version ({api_version})"
                ))));
            }
            if !found_kind.is_empty() && found_kind != kind {
                let error = FieldError::invalid_text("kind", &found_kind, format!("must be {kind}"));
                let name = body["metadata"]["name"].as_str().unwrap_or_default();
                let causes = vec![super::write::cause(error)];
                return Err(Misfit::Refused(ApiError::invalid(&resource.group, &found_kind, name, causes)));
            }
        } else {
            let wanted_version = if found_version.is_empty() { &api_version } else { &found_version };
            let wanted_kind = if found_kind.is_empty() { kind } else { &found_kind };
            if *wanted_version != api_version || wanted_kind != kind {
                return Err(Misfit::Unreadable(self.unconvertible(wanted_version, wanted_kind, resource)));
            }
        }
        if let Some(map) = body.as_object_mut() {
            map.insert("apiVersion".into(), api_version.into());
            map.insert("kind".into(), kind.into());
        }
        Ok(())
    }

    /// Why an object of one kind is none of another.
    fn unconvertible(&self, api_version: &str, kind: &str, wanted: &Resource) -> String {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let served = self.registry.served();
        let known = served.group_version(group, version);
        if known.is_some_and(|known| known.resources.iter().any(|resource| resource.kind == kind)) {
            let package = wanted.group.split('.').next().filter(|name| !name.is_empty()).unwrap_or("core");
            return format!(
                "converting ({version}.{kind}) to ({package}.{}): unknown conversion",
                wanted.kind
            );
        }
        format!(
            "no kind \"{kind}\" is registered for version \"{api_version}\" in scheme \"pkg/runtime/scheme.go:111\""
        )
    }
}

/// Name and namespace of a body must be those of the request; where they are absent they are filled in.
pub(super) fn check_names(target: &Target, body: &mut Value) -> Result<(), ApiError> {
    let resource = &target.resource;
    let Some(map) = body.as_object_mut() else {
        return Err(ApiError::bad_request("the request body is not an object"));
    };
    let metadata = map.entry("metadata").or_insert_with(|| json!({}));
    if metadata.is_null() {
        *metadata = json!({});
    }
    // Of another type: the decoder says so.
    let Some(metadata) = metadata.as_object_mut() else { return Ok(()) };
    if resource.namespaced {
        match metadata.get("namespace").and_then(Value::as_str).unwrap_or_default() {
            "" => drop(metadata.insert("namespace".into(), target.namespace.clone().into())),
            namespace if namespace == target.namespace => {}
            _ => {
                return Err(ApiError::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
        }
    } else {
        metadata.remove("namespace");
    }
    if target.name.is_empty() || metadata.get("name").is_some_and(|name| !name.is_string()) {
        return Ok(());
    }
    match metadata.get("name").and_then(Value::as_str).unwrap_or_default() {
        "" => drop(metadata.insert("name".into(), target.name.clone().into())),
        name if name == target.name => {}
        name => {
            return Err(ApiError::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                target.name
            )));
        }
    }
    Ok(())
}

/// Types, unknown fields, defaults; gives the warnings.
///
/// # Errors
/// What Go's decoder says.
pub(super) fn decode(
    resource: &Resource,
    object: &mut Value,
    options: &WriteOptions,
) -> Result<Vec<String>, String> {
    let Some(schema) = &resource.schema else { return Ok(Vec::new()) };
    let unknown = validate::decode(schema, object).map_err(|error| error.to_string())?;
    defaults::defaults(resource, object);
    if options.validation == FieldValidation::Ignore {
        return Ok(Vec::new());
    }
    let mut complaints: Vec<String> =
        options.duplicates.iter().map(|path| format!("duplicate field \"{path}\"")).collect();
    complaints.extend(unknown);
    if options.validation == FieldValidation::Strict && !complaints.is_empty() {
        return Err(format!("strict decoding error: {}", complaints.join(", ")));
    }
    Ok(complaints)
}

/// The JSON text of an object, with its metadata in the order of the Go type.
fn in_order(object: &Value) -> String {
    const METADATA: &[&str] = &[
        "name",
        "generateName",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "labels",
        "annotations",
        "ownerReferences",
        "finalizers",
    ];
    const MANAGED: &[&str] =
        &["manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1", "subresource"];
    let Some(map) = object.as_object() else { return object.to_string() };
    let entries = map.iter().map(|(key, value)| {
        let text = match (key.as_str(), value) {
            ("metadata", Value::Object(metadata)) => {
                let managed = metadata.get("managedFields").and_then(Value::as_array).map(|entries| {
                    let entries = entries.iter().filter_map(Value::as_object);
                    format!(
                        "[{}]",
                        entries.map(|entry| ordered(entry, MANAGED, None)).collect::<Vec<_>>().join(",")
                    )
                });
                ordered(metadata, METADATA, managed.map(|text| ("managedFields", text)))
            }
            _ => value.to_string(),
        };
        format!("{}:{text}", Value::from(key.as_str()))
    });
    format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
}

fn ordered(map: &Map<String, Value>, order: &[&str], last: Option<(&str, String)>) -> String {
    let entry = |key: &str, text: &str| format!("{}:{text}", Value::from(key));
    let known = order.iter().filter_map(|key| map.get(*key).map(|value| entry(key, &value.to_string())));
    let is_last = |key: &str| last.as_ref().is_some_and(|(name, _)| *name == key);
    let others = map
        .iter()
        .filter(|(key, _)| !order.contains(&key.as_str()) && !is_last(key))
        .map(|(key, value)| entry(key, &value.to_string()));
    let last = last.iter().map(|(key, text)| entry(key, text));
    format!("{{{}}}", known.chain(others).chain(last).collect::<Vec<_>>().join(","))
}
