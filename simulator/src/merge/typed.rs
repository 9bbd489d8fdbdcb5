//! Walks over values with their schema: which fields there are, what differs, merging, removing.
//!
//! Where there is no schema, values are as structured-merge-diff deduces them: maps field by field, lists as a whole.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fields::{Element, Scalar, Set};
use crate::schema::{Kind, ListType, MAX_DEPTH, View};

/// The schema of a value; `None` where it is deduced.
pub(super) type Type<'a> = Option<View<'a>>;

enum Shape<'a> {
    /// Owned as a whole.
    Leaf,
    Map,
    Set,
    Keyed(&'a [Box<str>]),
}

fn shape<'a>(ty: Type<'a>, value: &Value) -> Shape<'a> {
    match (value, ty) {
        (Value::Object(_), None) => Shape::Map,
        (Value::Object(_), Some(view)) => {
            let node = view.node();
            let untyped = node.kind == Kind::Any && !node.preserve_unknown;
            if untyped || view.atomic_map() { Shape::Leaf } else { Shape::Map }
        }
        (Value::Array(items), Some(view)) => match &view.node().list_type {
            ListType::Atomic => Shape::Leaf,
            ListType::Set => Shape::Set,
            ListType::Map(keys) if items.iter().all(Value::is_object) => Shape::Keyed(keys),
            ListType::Map(_) => Shape::Leaf,
        },
        _ => Shape::Leaf,
    }
}

fn child<'a>(ty: Type<'a>, name: &str) -> Type<'a> {
    let view = ty?;
    view.property(name).or_else(|| view.additional())
}

fn declared(ty: Type<'_>, name: &str) -> bool {
    ty.is_some_and(|view| view.property(name).is_some())
}

fn items(ty: Type<'_>) -> Type<'_> {
    ty.and_then(|view| view.items())
}

/// The step to a list item; the error names the key field that it lacks.
fn element<'a>(ty: Type<'a>, shape: &Shape<'a>, item: &Value) -> Result<Element, String> {
    let Shape::Keyed(keys) = shape else { return Ok(Element::Value(Scalar::new(item.clone()))) };
    let mut found = Vec::with_capacity(keys.len());
    for key in *keys {
        let default = || items(ty).and_then(|view| view.property(key)).and_then(|view| view.default());
        let value = item.get(&**key).filter(|value| !value.is_null()).or_else(default);
        let Some(value) = value else {
            return Err(format!(
                "associative list with keys has an element that omits key field {key:?} (and doesn't have default value)"
            ));
        };
        found.push((key.to_string(), Scalar::new(value.clone())));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Element::Key(found))
}

/// The steps to all items; those without a key go by their index.
fn elements<'a>(ty: Type<'a>, shape: &Shape<'a>, list: &[Value]) -> Vec<Element> {
    let one = |(at, item)| element(ty, shape, item).unwrap_or(Element::Index(at as i64));
    list.iter().enumerate().map(one).collect()
}

/// Every field that `value` sets.
pub(super) fn field_set(ty: Type<'_>, value: &Value) -> Set {
    let mut set = Set::default();
    collect(ty, value, &mut Vec::new(), &mut set);
    set
}

fn collect(ty: Type<'_>, value: &Value, path: &mut Vec<Element>, set: &mut Set) {
    let shape = if path.len() > MAX_DEPTH { Shape::Leaf } else { shape(ty, value) };
    match (&shape, value) {
        (Shape::Map, Value::Object(map)) => {
            for (name, value) in map {
                let inner = child(ty, name);
                path.push(Element::field(name));
                collect(inner, value, path, set);
                if value.as_object().is_some_and(Map::is_empty) || !declared(ty, name) {
                    set.insert(path);
                }
                path.pop();
            }
        }
        (Shape::Set | Shape::Keyed(_), Value::Array(list)) => {
            for (element, item) in elements(ty, &shape, list).into_iter().zip(list) {
                path.push(element);
                collect(items(ty), item, path, set);
                set.insert(path);
                path.pop();
            }
        }
        _ => set.insert(path),
    }
}

/// What differs between two values.
#[derive(Default)]
pub(super) struct Comparison {
    pub(super) added: Set,
    pub(super) modified: Set,
    pub(super) removed: Set,
}

impl Comparison {
    pub(super) fn is_same(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    /// Forgets what is at or below the paths of `ignored`.
    pub(super) fn without(mut self, ignored: &Set) -> Self {
        for set in [&mut self.added, &mut self.modified, &mut self.removed] {
            *set = set.recursive_difference(ignored);
        }
        self
    }

    fn leaf<T: PartialEq>(&mut self, old: Option<T>, new: Option<T>, path: &[Element]) {
        match (old, new) {
            (None, _) => self.added.insert(path),
            (_, None) => self.removed.insert(path),
            (Some(old), Some(new)) if old != new => self.modified.insert(path),
            _ => {}
        }
    }
}

/// Compares two objects.
pub(super) fn compare(ty: Type<'_>, old: &Value, new: &Value) -> Comparison {
    let mut out = Comparison::default();
    compare_at(ty, Some(old), Some(new), &mut Vec::new(), &mut out);
    out
}

fn compare_at(
    ty: Type<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<Element>,
    out: &mut Comparison,
) {
    if let (Some(old), Some(new)) = (old, new)
        && old == new
    {
        return;
    }
    let null = Value::Null;
    let left = old.unwrap_or(&null);
    let right = new.unwrap_or(&null);
    let known = if right.is_null() { left } else { right };
    let same_kind = left.is_null() || right.is_null() || left.is_object() == right.is_object();
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    let shape = if path.len() > MAX_DEPTH || !same_kind { Shape::Leaf } else { shape(ty, known) };
    if matches!(shape, Shape::Leaf) || (empty(left) && empty(right)) {
        return out.leaf(old, new, path);
    }
    match shape {
        Shape::Map => {
            let none = Map::new();
            let (left, right) = (left.as_object().unwrap_or(&none), right.as_object().unwrap_or(&none));
            for name in left.keys().chain(right.keys().filter(|name| !left.contains_key(*name))) {
                path.push(Element::field(name));
                compare_at(child(ty, name), left.get(name), right.get(name), path, out);
                path.pop();
            }
        }
        Shape::Set | Shape::Keyed(_) => {
            let mut pairs: BTreeMap<Element, [Vec<&Value>; 2]> = BTreeMap::new();
            for (side, list) in [left, right].into_iter().enumerate() {
                let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
                for (element, item) in elements(ty, &shape, list).into_iter().zip(list) {
                    pairs.entry(element).or_default()[side].push(item);
                }
            }
            for (element, [left, right]) in pairs {
                path.push(element);
                if left.len() > 1 || right.len() > 1 {
                    let some = |side: Vec<_>| (!side.is_empty()).then_some(side);
                    out.leaf(some(left), some(right), path);
                } else {
                    compare_at(items(ty), left.first().copied(), right.first().copied(), path, out);
                }
                path.pop();
            }
        }
        Shape::Leaf => {}
    }
    match (old, new) {
        (None, _) => out.added.insert(path),
        (_, None) => out.removed.insert(path),
        _ => {}
    }
}

/// Lays `applied` over `live`.
pub(super) fn merge(ty: Type<'_>, live: &Value, applied: &Value) -> Value {
    merge_at(ty, live, applied, 0)
}

fn merge_at(ty: Type<'_>, live: &Value, applied: &Value, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return applied.clone();
    }
    let shape = shape(ty, applied);
    match (&shape, live, applied) {
        (Shape::Map, Value::Object(old), Value::Object(new)) => {
            let mut out = old.clone();
            for (name, value) in new {
                let merged = match old.get(name) {
                    Some(old) => merge_at(child(ty, name), old, value, depth + 1),
                    None => value.clone(),
                };
                out.insert(name.clone(), merged);
            }
            Value::Object(out)
        }
        (Shape::Set | Shape::Keyed(_), Value::Array(old), Value::Array(new)) => {
            merge_lists(ty, &shape, old, new, depth)
        }
        _ => applied.clone(),
    }
}

/// Keeps the order of `new`; items that only `old` has stay where they were among the shared ones.
fn merge_lists(ty: Type<'_>, shape: &Shape<'_>, old: &[Value], new: &[Value], depth: usize) -> Value {
    let old_keys = elements(ty, shape, old);
    let new_keys = elements(ty, shape, new);
    let old_at: BTreeMap<&Element, usize> = old_keys.iter().enumerate().map(|(at, key)| (key, at)).collect();
    let in_new: std::collections::BTreeSet<&Element> = new_keys.iter().collect();
    let mut out = Vec::with_capacity(old.len().max(new.len()));
    let mut left = 0;
    for (key, value) in new_keys.iter().zip(new) {
        while left < old.len() && old_keys[left] != *key {
            if !in_new.contains(&old_keys[left]) {
                out.push(old[left].clone());
            } else if old_at.contains_key(key) {
                // A shared item that comes later in the new order: it is emitted there.
            } else {
                break;
            }
            left += 1;
        }
        if left < old.len() && old_keys[left] == *key {
            left += 1;
        }
        out.push(match old_at.get(key) {
            Some(at) => merge_at(items(ty), &old[*at], value, depth + 1),
            None => value.clone(),
        });
    }
    out.extend((left..old.len()).filter(|at| !in_new.contains(&old_keys[*at])).map(|at| old[at].clone()));
    Value::Array(out)
}

/// Removes the fields of `set`; what becomes empty by that goes too.
pub(super) fn remove(ty: Type<'_>, value: &Value, set: &Set) -> Value {
    let shape = shape(ty, value);
    match (&shape, value) {
        (Shape::Map, Value::Object(map)) => {
            let mut out = Map::new();
            for (name, value) in map {
                let element = Element::field(name);
                if set.has(&element) {
                    continue;
                }
                match set.below(&element) {
                    None => {
                        out.insert(name.clone(), value.clone());
                    }
                    Some(below) => {
                        let rest = remove(child(ty, name), value, below);
                        if rest != Value::Object(Map::new()) && rest != Value::Array(Vec::new()) {
                            out.insert(name.clone(), rest);
                        }
                    }
                }
            }
            Value::Object(out)
        }
        (Shape::Set | Shape::Keyed(_), Value::Array(list)) => elements(ty, &shape, list)
            .into_iter()
            .zip(list)
            .filter(|(element, _)| !set.has(element))
            .map(|(element, item)| match set.below(&element) {
                Some(below) => remove(items(ty), item, below),
                None => item.clone(),
            })
            .collect(),
        _ => value.clone(),
    }
}

/// Says what does not fit the schema, as the typed conversion of server-side apply does.
pub(super) fn misfits(ty: Type<'_>, value: &Value) -> Vec<String> {
    let mut out = Vec::new();
    misfits_at(ty, value, "", 0, &mut out);
    out
}

/// A value as Go's `%#v` prints it.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => format!("{text:?}"),
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", items.iter().map(go_syntax).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{key:?}:{}", go_syntax(value))).collect();
            format!("map[string]interface {{}}{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

fn misfits_at(ty: Type<'_>, value: &Value, path: &str, depth: usize, out: &mut Vec<String>) {
    let Some(view) = ty else { return };
    if value.is_null() {
        return;
    }
    let node = view.node();
    let expected = match node.kind {
        Kind::Object if !value.is_object() => "map",
        Kind::Array if !value.is_array() => "list",
        Kind::String if !value.is_string() => "string",
        Kind::Integer | Kind::Number if !value.is_number() => "numeric (int or float)",
        Kind::Boolean if !value.is_boolean() => "boolean",
        Kind::IntOrString | Kind::Quantity if value.is_object() || value.is_array() => "scalar",
        _ => "",
    };
    if !expected.is_empty() {
        // Upstream prints values in full where it expects a scalar.
        let got = match expected {
            "map" | "list" => format!("&{{{}}}", super::go_print(value)),
            _ => format!("&value.valueUnstructured{{Value:{}}}", go_syntax(value)),
        };
        out.push(format!("{path}: expected {expected}, got {got}"));
        return;
    }
    if depth > MAX_DEPTH {
        out.push(format!("{path}: nested too deeply"));
        return;
    }
    match value {
        Value::Object(map) if node.kind == Kind::Object => {
            for (name, value) in map {
                let inner = child(ty, name);
                let open = node.preserve_unknown || node.additional == crate::schema::Extra::Any;
                if inner.is_none() && !open {
                    out.push(format!("{path}.{name}: field not declared in schema"));
                }
                misfits_at(inner, value, &format!("{path}.{name}"), depth + 1, out);
            }
        }
        Value::Array(list) => {
            let shape = shape(ty, value);
            let mut seen = std::collections::BTreeSet::new();
            for (at, item) in list.iter().enumerate() {
                let step = match &shape {
                    Shape::Set | Shape::Keyed(_) => match element(ty, &shape, item) {
                        Ok(step) => step,
                        Err(why) => {
                            out.push(format!("{path}: element {at}: {why}"));
                            continue;
                        }
                    },
                    _ => Element::Index(at as i64),
                };
                misfits_at(items(ty), item, &format!("{path}{}", step.display()), depth + 1, out);
                let text = step.display();
                if !seen.insert(step) {
                    out.push(format!("{path}: duplicate entries for key {text}"));
                }
            }
        }
        _ => {}
    }
}
