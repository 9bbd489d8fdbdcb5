//! OpenAPI v3 documents, as kubectl's explain, apply and diff read them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::discovery::builtin_groups;
use super::table::{OBJECT_META, RAW, kinds, references};

/// A kind of a custom resource definition in one version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CustomKind<'a> {
    pub(crate) kind: &'a str,
    pub(crate) plural: &'a str,
    pub(crate) namespaced: bool,
    /// The `openAPIV3Schema`.
    pub(crate) schema: &'a Value,
}

/// The document of a built-in group version.
pub(crate) fn openapi_v3_builtin(group: &str, version: &str) -> Option<Value> {
    let resources = builtin_groups()
        .iter()
        .find(|known| known.name == group)?
        .versions
        .iter()
        .find_map(|(name, resources)| (name == version).then_some(resources))?;
    let wanted = RAW
        .iter()
        .filter(|(_, schema)| kinds(schema).any(|(g, v, _)| (g, v) == (group, version)))
        .map(|(name, _)| name.as_str());
    let schemas = closure(wanted);
    let mut paths = serde_json::Map::new();
    for resource in resources {
        add_paths(&mut paths, group, version, &resource.kind, &resource.plural, resource.namespaced);
    }
    Some(document(paths, schemas))
}

/// The document of a group version whose kinds are all custom.
pub(crate) fn openapi_v3_custom(group: &str, version: &str, custom: &[CustomKind<'_>]) -> Value {
    let mut schemas =
        closure([OBJECT_META, "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"].into_iter());
    let mut paths = serde_json::Map::new();
    for kind in custom {
        let metadata = json!({"allOf": [{"$ref": reference(OBJECT_META)}]});
        let (name, schema) = custom_definition(group, version, kind, kind.schema.clone(), metadata);
        schemas.insert(name, schema);
        add_paths(&mut paths, group, version, kind.kind, kind.plural, kind.namespaced);
    }
    document(paths, schemas)
}

/// The document of a path that is no resource, such as `version`.
pub(crate) fn openapi_v3_plain(path: &str) -> Value {
    let get = json!({"get": {
        "responses": {"200": {"description": "OK"}, "401": {"description": "Unauthorized"}},
    }});
    document(serde_json::Map::from_iter([(format!("/{path}/"), get)]), serde_json::Map::new())
}

/// The name and the definition of a custom kind: its `schema` with what all objects have.
pub(super) fn custom_definition(
    group: &str,
    version: &str,
    kind: &CustomKind<'_>,
    mut schema: Value,
    metadata: Value,
) -> (String, Value) {
    if let Some(map) = schema.as_object_mut() {
        map.insert(
            "x-kubernetes-group-version-kind".into(),
            json!([{"group": group, "kind": kind.kind, "version": version}]),
        );
        let properties = map.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            properties.entry("apiVersion").or_insert_with(|| json!({"type": "string"}));
            properties.entry("kind").or_insert_with(|| json!({"type": "string"}));
            properties.insert("metadata".into(), metadata);
        }
    }
    let prefix: Vec<&str> = group.split('.').rev().collect();
    (format!("{}.{version}.{}", prefix.join("."), kind.kind), schema)
}

fn document(paths: serde_json::Map<String, Value>, schemas: serde_json::Map<String, Value>) -> Value {
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "1.36"},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn reference(name: &str) -> String {
    format!("#/components/schemas/{name}")
}

/// The named definitions and all that they refer to.
fn closure<'a>(names: impl Iterator<Item = &'a str>) -> serde_json::Map<String, Value> {
    let mut open: Vec<String> = names.map(Into::into).collect();
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    while let Some(name) = open.pop() {
        let Some(schema) = RAW.get(&name) else { continue };
        if found.contains_key(&name) {
            continue;
        }
        references(schema, &mut |target| open.push(target.into()));
        found.insert(name, expand(schema));
    }
    found.into_iter().collect()
}

/// Writes `$ref` with siblings as OpenAPI v3.0 wants it: inside `allOf`.
fn expand(schema: &Value) -> Value {
    match schema {
        Value::Object(map) => {
            let mut out = serde_json::Map::new();
            for (key, value) in map {
                match value {
                    Value::String(target) if key == "$ref" => {
                        let target = reference(target);
                        if map.len() == 1 {
                            out.insert("$ref".into(), target.into());
                        } else {
                            out.insert("allOf".into(), json!([{"$ref": target}]));
                        }
                    }
                    _ => {
                        out.insert(key.clone(), expand(value));
                    }
                }
            }
            Value::Object(out)
        }
        Value::Array(items) => items.iter().map(expand).collect(),
        other => other.clone(),
    }
}

pub(super) fn add_paths(
    paths: &mut serde_json::Map<String, Value>,
    group: &str,
    version: &str,
    kind: &str,
    plural: &str,
    namespaced: bool,
) {
    let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    let base = if namespaced {
        format!("{root}/namespaces/{{namespace}}/{plural}")
    } else {
        format!("{root}/{plural}")
    };
    let gvk = json!({"group": group, "kind": kind, "version": version});
    let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string"}});
    let writes = json!([
        parameter("dryRun"),
        parameter("fieldManager"),
        parameter("fieldValidation"),
        parameter("pretty")
    ]);
    let operation = |action: &str, parameters: &Value| {
        json!({
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": gvk,
            "parameters": parameters,
        })
    };
    let none = json!([]);
    paths.insert(
        base.clone(),
        json!({"get": operation("list", &none), "post": operation("post", &writes),
               "delete": operation("deletecollection", &none)}),
    );
    paths.insert(
        format!("{base}/{{name}}"),
        json!({"get": operation("get", &none), "put": operation("put", &writes),
               "patch": operation("patch", &writes), "delete": operation("delete", &none)}),
    );
}
