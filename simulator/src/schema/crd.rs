//! Compiles the schema of a custom resource definition.

use regex::Regex;
use serde_json::Value;

use super::MAX_DEPTH;
use super::node::{Bounds, Combinator, Extra, Kind, Node, NodeId, Rules, Table};
use super::table::{load_object_meta, read_common};

/// Why a schema cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SchemaError {
    /// The regular expression of a `pattern`.
    #[error("{path}: pattern {pattern:?} is not a regular expression")]
    Pattern {
        path: String,
        pattern: String,
        #[source]
        cause: Box<regex::Error>,
    },
    /// Nested too deeply.
    #[error("{path}: nested more than {MAX_DEPTH} levels deep")]
    TooDeep { path: String },
}

pub(super) fn compile(schema: &Value) -> Result<(Table, NodeId), SchemaError> {
    let mut table = Table::default();
    let mut root = build(&mut table, schema, "openAPIV3Schema", 0)?;
    let metadata = load_object_meta(&mut table);
    complete_object(&mut table, &mut root, metadata);
    let root = table.add(root);
    Ok((table, root))
}

/// Gives an object, or an embedded one, the three fields that every object has.
fn complete_object(table: &mut Table, node: &mut Node, metadata: NodeId) {
    for name in ["apiVersion", "kind"] {
        let text = table.add(Node { kind: Kind::String, ..Node::default() });
        node.properties.insert(name.into(), text);
    }
    node.properties.insert("metadata".into(), metadata);
    if node.kind == Kind::Any {
        node.kind = Kind::Object;
    }
}

fn build(table: &mut Table, schema: &Value, path: &str, depth: usize) -> Result<Node, SchemaError> {
    if depth > MAX_DEPTH {
        return Err(SchemaError::TooDeep { path: path.into() });
    }
    let mut node = Node::default();
    read_common(&mut node, schema);
    let flag = |name: &str| schema[name] == true;
    node.preserve_unknown = flag("x-kubernetes-preserve-unknown-fields");
    node.embedded = flag("x-kubernetes-embedded-resource");
    node.nullable = flag("nullable");
    if flag("x-kubernetes-int-or-string") {
        node.kind = Kind::IntOrString;
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let property = build(table, property, &format!("{path}.properties[{name}]"), depth + 1)?;
        node.properties.insert(name.as_str().into(), table.add(property));
    }
    match &schema["additionalProperties"] {
        Value::Bool(true) => node.additional = Extra::Any,
        inner @ Value::Object(_) => {
            let inner = build(table, inner, &format!("{path}.additionalProperties"), depth + 1)?;
            node.additional = Extra::Typed(table.add(inner));
        }
        _ => {}
    }
    if schema["items"].is_object() {
        let items = build(table, &schema["items"], &format!("{path}.items"), depth + 1)?;
        node.items = Some(table.add(items));
    }
    if node.embedded {
        let metadata = load_object_meta(table);
        complete_object(table, &mut node, metadata);
    }
    let rules = Rules {
        allowed: schema["enum"].as_array().cloned().unwrap_or_default().into(),
        pattern: match schema["pattern"].as_str() {
            Some(pattern) => Some(Regex::new(pattern).map_err(|cause| SchemaError::Pattern {
                path: path.into(),
                pattern: pattern.into(),
                cause: Box::new(cause),
            })?),
            None => None,
        },
        bounds: bounds(schema),
        unique_items: flag("uniqueItems"),
        combinators: combinators(table, schema, path, depth)?,
        cel: cel(schema),
    };
    let none = rules.allowed.is_empty()
        && rules.pattern.is_none()
        && rules.bounds == Bounds::default()
        && !rules.unique_items
        && rules.combinators.is_empty()
        && rules.cel.is_none();
    node.rules = (!none).then(|| Box::new(rules));
    Ok(node)
}

fn bounds(schema: &Value) -> Bounds {
    let count = |name: &str| schema[name].as_u64();
    Bounds {
        minimum: schema["minimum"].as_f64(),
        exclusive_minimum: schema["exclusiveMinimum"] == true,
        maximum: schema["maximum"].as_f64(),
        exclusive_maximum: schema["exclusiveMaximum"] == true,
        multiple_of: schema["multipleOf"].as_f64().filter(|of| *of > 0.0),
        min_length: count("minLength"),
        max_length: count("maxLength"),
        min_items: count("minItems"),
        max_items: count("maxItems"),
        min_properties: count("minProperties"),
        max_properties: count("maxProperties"),
    }
}

fn combinators(
    table: &mut Table,
    schema: &Value,
    path: &str,
    depth: usize,
) -> Result<Box<[Combinator]>, SchemaError> {
    let mut found = Vec::new();
    for (name, make) in [
        ("allOf", Combinator::AllOf as fn(Box<[NodeId]>) -> Combinator),
        ("anyOf", Combinator::AnyOf),
        ("oneOf", Combinator::OneOf),
    ] {
        let Some(branches) = schema[name].as_array().filter(|branches| !branches.is_empty()) else {
            continue;
        };
        let mut ids = Vec::new();
        for (at, branch) in branches.iter().enumerate() {
            let branch = build(table, branch, &format!("{path}.{name}[{at}]"), depth + 1)?;
            ids.push(table.add(branch));
        }
        found.push(make(ids.into()));
    }
    if schema["not"].is_object() {
        let inner = build(table, &schema["not"], &format!("{path}.not"), depth + 1)?;
        found.push(Combinator::Not(table.add(inner)));
    }
    Ok(found.into())
}

/// Compiles the CEL rules of this node alone: the walk over the object evaluates each node's rules at its own place, so
/// that `oldSelf` of list items is found by their keys.
fn cel(schema: &Value) -> Option<Box<kube_cel::CompiledSchema>> {
    schema["x-kubernetes-validations"].as_array().filter(|rules| !rules.is_empty())?;
    let mut own = schema.clone();
    for (_, child) in own.as_object_mut().into_iter().flatten() {
        strip_rules(child);
    }
    // `strip_rules` went into the rules of this node as well, which are plain texts: nothing there to strip.
    Some(Box::new(kube_cel::compile_schema(&own)))
}

fn strip_rules(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("x-kubernetes-validations").is_some_and(Value::is_array) {
                map.remove("x-kubernetes-validations");
            }
            map.values_mut().for_each(strip_rules);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_rules),
        _ => {}
    }
}
