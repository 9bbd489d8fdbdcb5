//! Schemas of CustomResourceDefinitions must be structural: every field has a type, and what the API server does with a
//! field can be told without looking at values.

use serde_json::Value;

use super::FieldError;
use crate::schema::MAX_DEPTH;

/// Validates a schema whose path in the definition is `path`.
pub(super) fn schema(schema: &Value, path: &str, out: &mut Vec<FieldError>) {
    node(schema, path, Place::Root, 0, out);
    if let Some(kind) = schema["type"].as_str().filter(|kind| *kind != "object" && !kind.is_empty()) {
        out.push(FieldError::invalid_text(format!("{path}.type"), kind, "must be object at the root"));
    }
    let metadata = &schema["properties"]["metadata"]["properties"];
    if metadata
        .as_object()
        .into_iter()
        .flatten()
        .any(|(name, _)| !matches!(name.as_str(), "name" | "generateName"))
    {
        let path = format!("{path}.properties[metadata]");
        let why = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        out.push(FieldError::forbidden(path, why));
    }
}

/// Where a schema stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    Field,
    Item,
    /// Below `allOf`, `anyOf`, `oneOf` or `not`, where values are only judged.
    Junctor,
}

fn node(schema: &Value, path: &str, place: Place, depth: usize, out: &mut Vec<FieldError>) {
    if depth > MAX_DEPTH {
        out.push(FieldError::forbidden(path, format!("nested more than {MAX_DEPTH} levels deep")));
        return;
    }
    let flag = |name: &str| schema[name] == true;
    let kind = schema["type"].as_str().unwrap_or_default();
    if schema["properties"].is_object() && schema["additionalProperties"].is_object() {
        let path = format!("{path}.additionalProperties");
        out.push(FieldError::forbidden(path, "additionalProperties and properties are mutual exclusive"));
    }
    if flag("uniqueItems") {
        let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        out.push(FieldError::forbidden(format!("{path}.uniqueItems"), why));
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && let Err(error) = regex::Regex::new(pattern)
    {
        let why = format!(
            "must be a valid regular expression, but isn't: error parsing regexp: {}",
            fault(pattern, &error)
        );
        out.push(FieldError::invalid_text(format!("{path}.pattern"), pattern, why));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let place = if place == Place::Junctor { place } else { Place::Field };
        node(property, &format!("{path}.properties[{name}]"), place, depth + 1, out);
    }
    if schema["additionalProperties"].is_object() {
        let inner = &schema["additionalProperties"];
        let place = if place == Place::Junctor { place } else { Place::Field };
        node(inner, &format!("{path}.additionalProperties"), place, depth + 1, out);
    }
    if schema["items"].is_object() {
        let place = if place == Place::Junctor { place } else { Place::Item };
        node(&schema["items"], &format!("{path}.items"), place, depth + 1, out);
    } else if kind == "array" && place != Place::Junctor {
        out.push(FieldError::required(format!("{path}.items"), "must be specified"));
    }
    for name in ["allOf", "anyOf", "oneOf"] {
        for (at, inner) in schema[name].as_array().into_iter().flatten().enumerate() {
            node(inner, &format!("{path}.{name}[{at}]"), Place::Junctor, depth + 1, out);
        }
    }
    if schema["not"].is_object() {
        node(&schema["not"], &format!("{path}.not"), Place::Junctor, depth + 1, out);
    }
    lists(schema, path, out);
    let open = flag("x-kubernetes-int-or-string") || flag("x-kubernetes-preserve-unknown-fields");
    let must = match place {
        Place::Root => "must not be empty at the root",
        Place::Field if !open => "must not be empty for specified object fields",
        Place::Item if !open => "must not be empty for specified array items",
        _ => "",
    };
    if kind.is_empty() && !must.is_empty() {
        out.push(FieldError::required(format!("{path}.type"), must));
    }
    if place == Place::Junctor {
        judged_only(schema, path, out);
    }
}

/// Lists that merge by keys say which.
fn lists(schema: &Value, path: &str, out: &mut Vec<FieldError>) {
    let keys = schema["x-kubernetes-list-map-keys"].as_array().map_or(0, Vec::len);
    match schema["x-kubernetes-list-type"].as_str() {
        Some("map") if keys == 0 => {
            let why = "must not be empty if x-kubernetes-list-type is map";
            out.push(FieldError::required(format!("{path}.x-kubernetes-list-map-keys"), why));
        }
        None | Some("atomic" | "map" | "set") => {}
        Some(other) => {
            let known = ["atomic", "map", "set"];
            out.push(FieldError::not_supported(
                format!("{path}.x-kubernetes-list-type"),
                &Value::from(other),
                &known,
            ));
        }
    }
    if keys > 0 && schema["x-kubernetes-list-type"] != "map" {
        let why = "must be map if x-kubernetes-list-map-keys is non-empty";
        let shown = &schema["x-kubernetes-list-type"];
        out.push(FieldError::invalid(format!("{path}.x-kubernetes-list-type"), shown, why));
    }
}

/// What has a meaning beyond judging values has no place below a junctor.
fn judged_only(schema: &Value, path: &str, out: &mut Vec<FieldError>) {
    let shape = schema["x-kubernetes-int-or-string"] == true;
    for field in ["additionalProperties", "default", "description", "nullable", "title", "type"] {
        let value = &schema[field];
        let is_unset = matches!(value, Value::Null | Value::Bool(false));
        let is_allowed = shape && field == "type";
        if !is_unset && !is_allowed {
            out.push(FieldError::forbidden(format!("{path}.{field}"), "must be empty to be structural"));
        }
    }
}

/// The fault of a regular expression, as Go's parser names the commonest ones.
fn fault(pattern: &str, error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    let last = last.trim_start_matches("error: ");
    match last {
        "unclosed group" => format!("missing closing ): `{pattern}`"),
        "unclosed character class" => format!("missing closing ]: `{pattern}`"),
        "repetition operator missing expression" => {
            format!("missing argument to repetition operator: `{pattern}`")
        }
        other => format!("{other}: `{pattern}`"),
    }
}
