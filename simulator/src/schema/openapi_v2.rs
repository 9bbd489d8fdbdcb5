//! The OpenAPI v2 document: all kinds in one, for clients that do not read version 3.

use serde_json::{Map, Value, json};

use super::discovery::builtin_groups;
use super::openapi::{CustomKind, add_paths, custom_definition};
use super::table::{OBJECT_META, RAW};

/// The document of everything that is served; `custom` holds group, version and kinds.
pub(crate) fn openapi_v2(custom: &[(&str, &str, Vec<CustomKind<'_>>)]) -> Value {
    let mut definitions: Map<String, Value> =
        RAW.iter().map(|(name, schema)| (name.clone(), builtin(schema))).collect();
    let mut paths = Map::new();
    for group in builtin_groups() {
        for (version, resources) in &group.versions {
            for resource in resources {
                let (kind, plural) = (&resource.kind, &resource.plural);
                add_paths(&mut paths, &group.name, version, kind, plural, resource.namespaced);
            }
        }
    }
    for (group, version, kinds) in custom {
        for kind in kinds {
            let metadata = json!({"$ref": reference(OBJECT_META)});
            let schema = structural(kind.schema);
            let (name, definition) = custom_definition(group, version, kind, schema, metadata);
            definitions.insert(name, definition);
            add_paths(&mut paths, group, version, kind.kind, kind.plural, kind.namespaced);
        }
    }
    paths.values_mut().filter_map(Value::as_object_mut).for_each(|operations| {
        operations.values_mut().for_each(operation);
    });
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.36.3"},
        "paths": paths,
        "definitions": definitions,
    })
}

fn reference(name: &str) -> String {
    format!("#/definitions/{name}")
}

/// Parameters have their type beside their name in version 2, and an operation must have a response.
fn operation(operation: &mut Value) {
    for parameter in operation["parameters"].as_array_mut().into_iter().flatten() {
        if let Some(parameter) = parameter.as_object_mut()
            && let Some(Value::Object(schema)) = parameter.remove("schema")
        {
            parameter.extend(schema);
        }
    }
    operation["responses"] = json!({"200": {"description": "OK"}});
}

/// A definition of a built-in type. What version 3 calls one of several types is a string here.
fn builtin(schema: &Value) -> Value {
    let mut out = structural(schema);
    if schema["oneOf"].is_array() && schema["type"].is_null() {
        out["type"] = "string".into();
    }
    out
}

/// A schema without what only version 3 has, as apiextensions-apiserver and kube-openapi take it out.
fn structural(schema: &Value) -> Value {
    let Some(map) = schema.as_object() else { return schema.clone() };
    let untyped = schema["nullable"] == true;
    // kubectl stumbles over what is open and has fields nevertheless.
    let open = untyped || schema["x-kubernetes-preserve-unknown-fields"] == true;
    let mut out = Map::new();
    for (key, value) in map {
        let value = match (key.as_str(), value) {
            ("default" | "nullable" | "allOf" | "anyOf" | "oneOf" | "not", _) => continue,
            ("type", _) if untyped => continue,
            ("properties" | "items", _) if open => continue,
            ("$ref", Value::String(target)) => reference(target).into(),
            ("properties", Value::Object(fields)) => {
                let fields = fields.iter().map(|(name, field)| (name.clone(), structural(field)));
                Value::Object(fields.collect())
            }
            ("items" | "additionalProperties", _) => structural(value),
            ("required", Value::Array(names)) => {
                let may_be_null = |name: &&Value| {
                    let name = name.as_str().unwrap_or_default();
                    schema["properties"][name]["nullable"] == true
                };
                let names: Vec<&Value> = names.iter().filter(|name| !may_be_null(name)).collect();
                if names.is_empty() {
                    continue;
                }
                json!(names)
            }
            _ => value.clone(),
        };
        out.insert(key.clone(), value);
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_version_2_cannot_say_is_left_out() {
        for (schema, want) in [
            (
                json!({"type": "object", "required": ["a", "b"], "properties": {
                    "a": {"type": "string", "default": "x"}, "b": {"type": "array", "nullable": true, "items": {}},
                    "default": {"anyOf": [{"type": "integer"}], "x-kubernetes-int-or-string": true}}}),
                json!({"type": "object", "required": ["a"], "properties": {
                    "a": {"type": "string"}, "b": {}, "default": {"x-kubernetes-int-or-string": true}}}),
            ),
            (
                json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"a": {}}}),
                json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
            ),
            (
                json!({"additionalProperties": {"$ref": "a.B", "default": {}}}),
                json!({"additionalProperties": {"$ref": "#/definitions/a.B"}}),
            ),
        ] {
            assert_eq!(structural(&schema), want, "{schema}");
        }
    }

    #[test]
    fn the_document_has_built_in_and_custom_kinds_and_no_reference_leads_nowhere() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object"}}});
        let kind = CustomKind { kind: "Thing", plural: "things", namespaced: true, schema: &schema };
        let document = openapi_v2(&[("example.com", "v1", vec![kind])]);
        let thing = &document["definitions"]["com.example.v1.Thing"];
        assert_eq!(thing["properties"]["metadata"]["$ref"], reference(OBJECT_META));
        assert_eq!(thing["x-kubernetes-group-version-kind"][0]["kind"], "Thing");
        let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
        assert_eq!(patch["parameters"][0], json!({"name": "dryRun", "in": "query", "type": "string"}));
        super::super::table::references(&document, &mut |target| {
            let name = target.strip_prefix("#/definitions/");
            assert!(name.is_some_and(|name| document["definitions"][name].is_object()), "{target}");
        });
    }
}
