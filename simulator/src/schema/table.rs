//! The schemas of the built-in kinds, from the generated table.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use serde_json::Value;

use super::node::{Extra, Format, Kind, ListType, Node, NodeId, Table};

/// Definitions by name, as `examples/generate-schemas.rs` writes them.
const DEFINITIONS: &str = include_str!("../../schemas/definitions.json");

/// The JSON of every definition. Parsed when first asked for, then immutable.
pub(super) static RAW: LazyLock<BTreeMap<String, Value>> =
    LazyLock::new(|| serde_json::from_str(DEFINITIONS).expect("the generated table is checked by a test"));

static BUILTIN: LazyLock<Builtin> = LazyLock::new(|| Builtin::new(&RAW));

/// The name of the definition that every `metadata` has.
pub(super) const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

struct Builtin {
    table: Arc<Table>,
    kinds: HashMap<String, NodeId>,
}

/// The table and the root of a built-in kind.
pub(super) fn builtin(group: &str, version: &str, kind: &str) -> Option<(Arc<Table>, NodeId)> {
    let root = *BUILTIN.kinds.get(&key(group, version, kind))?;
    Some((BUILTIN.table.clone(), root))
}

fn key(group: &str, version: &str, kind: &str) -> String {
    format!("{group}/{version}/{kind}")
}

/// Group, version and kind pairs of one definition.
pub(super) fn kinds(definition: &Value) -> impl Iterator<Item = (&str, &str, &str)> {
    definition["x-kubernetes-group-version-kind"].as_array().into_iter().flatten().map(|kind| {
        (
            kind["group"].as_str().unwrap_or_default(),
            kind["version"].as_str().unwrap_or_default(),
            kind["kind"].as_str().unwrap_or_default(),
        )
    })
}

impl Builtin {
    fn new(definitions: &BTreeMap<String, Value>) -> Self {
        let mut table = Table::default();
        let ids = load(&mut table, definitions.iter().map(|(name, schema)| (name.as_str(), schema)));
        let mut by_kind = HashMap::new();
        for (name, definition) in definitions {
            for (group, version, kind) in kinds(definition) {
                by_kind.insert(key(group, version, kind), ids[name.as_str()]);
            }
        }
        Self { table: Arc::new(table), kinds: by_kind }
    }
}

/// Adds `ObjectMeta` and what it refers to, for the schemas of custom kinds.
pub(super) fn load_object_meta(table: &mut Table) -> NodeId {
    let mut wanted: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut open = vec![OBJECT_META];
    while let Some(name) = open.pop() {
        let Some((name, schema)) = RAW.get_key_value(name) else { continue };
        if wanted.insert(name, schema).is_none() {
            references(schema, &mut |target| {
                if let Some((target, _)) = RAW.get_key_value(target) {
                    open.push(target);
                }
            });
        }
    }
    load(table, wanted.into_iter())[OBJECT_META]
}

/// Calls `found` for every reference in `schema`.
pub(super) fn references(schema: &Value, found: &mut dyn FnMut(&str)) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(target) if key == "$ref" => found(target),
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn load<'a>(
    table: &mut Table,
    definitions: impl Iterator<Item = (&'a str, &'a Value)>,
) -> HashMap<&'a str, NodeId> {
    let definitions: Vec<_> = definitions.collect();
    let ids: HashMap<&str, NodeId> =
        definitions.iter().map(|(name, _)| (*name, table.add(Node::default()))).collect();
    for (name, schema) in definitions {
        let mut node = build(table, &ids, schema);
        if name.ends_with(".resource.Quantity") {
            node.kind = Kind::Quantity;
        }
        node.name = name.rsplit('.').next().map(Into::into);
        table.set(ids[name], node);
    }
    ids
}

fn build(table: &mut Table, ids: &HashMap<&str, NodeId>, schema: &Value) -> Node {
    let mut node = Node::default();
    let Some(map) = schema.as_object() else { return node };
    read_common(&mut node, schema);
    if let Some(target) = map.get("$ref").and_then(Value::as_str) {
        node.reference = ids.get(target).copied();
    }
    if schema["format"] == "int-or-string" {
        node.kind = Kind::IntOrString;
    }
    if let Some(properties) = map.get("properties").and_then(Value::as_object) {
        for (name, property) in properties {
            let property = build(table, ids, property);
            node.properties.insert(name.as_str().into(), table.add(property));
        }
    }
    match map.get("additionalProperties") {
        Some(Value::Object(_)) => {
            let inner = build(table, ids, &schema["additionalProperties"]);
            node.additional = Extra::Typed(table.add(inner));
        }
        Some(Value::Bool(true)) => node.additional = Extra::Any,
        _ => {}
    }
    // An object without any declared field is a free one: FieldsV1, RawExtension, JSON.
    if node.kind == Kind::Object && node.properties.is_empty() && node.additional == Extra::No {
        node.additional = Extra::Any;
        node.preserve_unknown = true;
    }
    if let Some(items) = map.get("items") {
        let inner = build(table, ids, items);
        node.items = Some(table.add(inner));
    }
    node
}

/// Reads what schemas of built-in and custom kinds write alike.
pub(super) fn read_common(node: &mut Node, schema: &Value) {
    let texts = |value: &Value| -> Box<[Box<str>]> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(Into::into).collect()
    };
    node.kind = match schema["type"].as_str() {
        Some("object") => Kind::Object,
        Some("array") => Kind::Array,
        Some("string") => Kind::String,
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Number,
        Some("boolean") => Kind::Boolean,
        _ => Kind::Any,
    };
    node.format = schema["format"].as_str().and_then(Format::parse);
    node.required = texts(&schema["required"]);
    node.default = schema.get("default").cloned();
    node.list_type = match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(texts(&schema["x-kubernetes-list-map-keys"])),
        _ => ListType::Atomic,
    };
    node.atomic_map = schema["x-kubernetes-map-type"].as_str().map(|kind| kind == "atomic");
    node.patch_strategy = schema["x-kubernetes-patch-strategy"]
        .as_str()
        .map(|strategies| strategies.split(',').map(Into::into).collect())
        .unwrap_or_default();
    node.patch_merge_key = schema["x-kubernetes-patch-merge-key"].as_str().map(Into::into);
}
