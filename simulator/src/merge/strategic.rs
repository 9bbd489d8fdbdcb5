//! Strategic merge patches: merge patches that know by the schema how lists merge.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::PatchError;
use super::typed::Type;
use crate::schema::{MAX_DEPTH, Schema};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE_PRIMITIVES: &str = "$deleteFromPrimitiveList/";

/// Applies a strategic merge patch.
///
/// # Errors
/// [`PatchError::Malformed`] for a patch that is no object or has an unknown directive; an item without its merge key.
pub(crate) fn patch_strategic(schema: &Schema, object: &Value, patch: &Value) -> Result<Value, PatchError> {
    let (Value::Object(object), Value::Object(patch)) = (object, patch) else {
        return Err(PatchError::Malformed("error decoding patch: it is not an object".into()));
    };
    merge_map(Some(schema.view()), object.clone(), patch, 0).map(Value::Object)
}

fn malformed<T>(message: String) -> Result<T, PatchError> {
    Err(PatchError::Malformed(message))
}

fn merge_map(
    ty: Type<'_>,
    mut object: Map<String, Value>,
    patch: &Map<String, Value>,
    depth: usize,
) -> Result<Map<String, Value>, PatchError> {
    if depth > MAX_DEPTH {
        return malformed(format!("the patch is nested more than {MAX_DEPTH} levels deep"));
    }
    match patch.get(DIRECTIVE) {
        None => {}
        Some(Value::String(directive)) if directive == "replace" => {
            let mut new = patch.clone();
            new.remove(DIRECTIVE);
            return Ok(new);
        }
        Some(Value::String(directive)) if directive == "delete" => return Ok(Map::new()),
        Some(Value::String(directive)) if directive == "merge" => {}
        Some(other) => return malformed(format!("unknown patch type found: {other}")),
    }
    if let Some(retain) = patch.get(RETAIN_KEYS) {
        let Some(retain) = retain.as_array() else {
            return malformed(format!("{RETAIN_KEYS} must be a list"));
        };
        object.retain(|name, _| retain.iter().any(|keep| keep == name));
    }
    for (name, value) in patch {
        if name == DIRECTIVE || name == RETAIN_KEYS {
            continue;
        }
        if name.starts_with(ORDER) {
            continue; // used beside the list that it orders, or below
        }
        if let Some(list) = name.strip_prefix(DELETE_PRIMITIVES) {
            let gone = value.as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(Value::Array(items)) = object.get_mut(list) {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        let inner = ty.and_then(|view| view.property(name).or_else(|| view.additional()));
        let order = patch.get(&format!("{ORDER}{name}"));
        match (value, object.remove(name)) {
            (Value::Null, _) => {}
            (Value::Object(new), Some(Value::Object(old))) => {
                if new.get(DIRECTIVE).is_some_and(|directive| directive == "delete") {
                    continue;
                }
                let has = |wanted: &str| {
                    inner.is_some_and(|view| view.patch_strategy().iter().any(|s| **s == *wanted))
                };
                let merged = if has("replace") && !new.contains_key(DIRECTIVE) {
                    clean(value, depth)?
                } else {
                    Value::Object(merge_map(inner, old, new, depth + 1)?)
                };
                object.insert(name.clone(), merged);
            }
            (Value::Array(new), old) => {
                let old = match old {
                    Some(Value::Array(old)) => old,
                    _ => Vec::new(),
                };
                object.insert(name.clone(), Value::Array(merge_list(inner, name, old, new, order, depth)?));
            }
            (value, _) => {
                object.insert(name.clone(), clean(value, depth)?);
            }
        }
    }
    // An order without a patch of the list itself reorders what is there.
    for (name, order) in patch.iter().filter_map(|(name, order)| Some((name.strip_prefix(ORDER)?, order))) {
        if !patch.contains_key(name) {
            let key = ty.and_then(|view| view.property(name)).and_then(|view| view.patch_merge_key());
            if let Some(Value::Array(items)) = object.get_mut(name) {
                *items = reorder(std::mem::take(items), order, key);
            }
        }
    }
    Ok(object)
}

fn merge_list(
    ty: Type<'_>,
    name: &str,
    old: Vec<Value>,
    new: &[Value],
    order: Option<&Value>,
    depth: usize,
) -> Result<Vec<Value>, PatchError> {
    let merges = ty.is_some_and(|view| view.patch_strategy().iter().any(|strategy| **strategy == *"merge"));
    if !merges {
        return new.iter().filter(|item| !is_directive(item)).map(|item| clean(item, depth)).collect();
    }
    let Some(key) = ty.and_then(|view| view.patch_merge_key()) else {
        let mut out = old;
        for item in new {
            if !out.contains(item) {
                out.push(item.clone());
            }
        }
        return Ok(match order {
            Some(order) => reorder(out, order, None),
            None => out,
        });
    };
    let replace = new.iter().any(|item| item[DIRECTIVE] == "replace" && item.get(key).is_none());
    if replace {
        return new.iter().filter(|item| !is_directive(item)).map(|item| clean(item, depth)).collect();
    }
    let mut out = old;
    for item in new {
        let (Value::Object(fields), Some(value)) = (item, item.get(key)) else {
            return malformed(format!("map: {item} does not contain declared merge key: {key}"));
        };
        let at = out.iter().position(|known| known.get(key) == Some(value));
        match (item.get(DIRECTIVE).and_then(Value::as_str), at) {
            (Some("delete"), Some(_)) => out.retain(|known| known.get(key) != Some(value)),
            (Some("delete"), None) => {}
            (Some("replace"), Some(at)) => out[at] = clean(item, depth)?,
            (None | Some("merge"), Some(at)) => {
                let known = match out[at].take() {
                    Value::Object(known) => known,
                    _ => Map::new(),
                };
                out[at] =
                    Value::Object(merge_map(ty.and_then(|view| view.items()), known, fields, depth + 1)?);
            }
            (None | Some("merge" | "replace"), None) => out.push(clean(item, depth)?),
            (Some(other), _) => {
                return malformed(format!("unknown patch type found: {other} in list {name}"));
            }
        }
    }
    Ok(match order {
        Some(order) => reorder(out, order, Some(key)),
        None => out,
    })
}

/// A list item that holds a directive only.
fn is_directive(item: &Value) -> bool {
    item.as_object().is_some_and(|map| map.len() == 1 && map.contains_key(DIRECTIVE))
}

/// What a patch adds, without its directives.
fn clean(value: &Value, depth: usize) -> Result<Value, PatchError> {
    if depth > MAX_DEPTH {
        return malformed(format!("the patch is nested more than {MAX_DEPTH} levels deep"));
    }
    Ok(match value {
        Value::Object(map) => {
            let mut out = Map::new();
            for (name, value) in map {
                if !name.starts_with('$') && !value.is_null() && value[DIRECTIVE] != "delete" {
                    out.insert(name.clone(), clean(value, depth + 1)?);
                }
            }
            Value::Object(out)
        }
        Value::Array(items) => Value::Array(
            items
                .iter()
                .filter(|item| !is_directive(item) && item[DIRECTIVE] != "delete")
                .map(|item| clean(item, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
        other => other.clone(),
    })
}

/// Puts listed items into the given order; the others stay behind the item that they followed.
fn reorder(items: Vec<Value>, order: &Value, key: Option<&str>) -> Vec<Value> {
    let order = order.as_array().map(Vec::as_slice).unwrap_or_default();
    let id = |item: &Value| key.map_or_else(|| item.clone(), |key| item[key].clone());
    let rank = |item: &Value| order.iter().position(|wanted| id(wanted) == id(item));
    let mut listed: Vec<(usize, Value)> = Vec::new();
    let mut others: Vec<(Option<usize>, Value)> = Vec::new();
    let mut last = None;
    for item in items {
        match rank(&item) {
            Some(rank) => {
                last = Some(rank);
                listed.push((rank, item));
            }
            None => others.push((last, item)),
        }
    }
    listed.sort_by_key(|(rank, _)| *rank);
    let known: BTreeSet<usize> = listed.iter().map(|(rank, _)| *rank).collect();
    let mut out: Vec<Value> = Vec::new();
    let mut put = |out: &mut Vec<Value>, after: Option<usize>| {
        let (now, later) = std::mem::take(&mut others).into_iter().partition(|(place, _)| *place == after);
        others = later;
        let now: Vec<(Option<usize>, Value)> = now;
        out.extend(now.into_iter().map(|(_, item)| item));
    };
    put(&mut out, None);
    for (rank, item) in listed {
        out.push(item);
        if known.contains(&rank) {
            put(&mut out, Some(rank));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(object: Value, patch: Value, want: Result<Value, &str>) {
        let schema = Schema::builtin("", "v1", "Pod").unwrap();
        let got = patch_strategic(&schema, &object, &patch).map_err(|error| error.to_string());
        assert_eq!(got, want.map_err(str::to_owned), "{patch}");
    }

    #[test]
    fn lists_merge_by_their_key() {
        let containers = |list: Value| json!({"spec": {"containers": list}});
        check(
            containers(json!([{"name": "a", "image": "1"}, {"name": "b"}])),
            containers(json!([{"name": "a", "image": "2"}, {"name": "c"}])),
            Ok(containers(json!([{"name": "a", "image": "2"}, {"name": "b"}, {"name": "c"}]))),
        );
        check(
            containers(json!([{"name": "a"}, {"name": "b"}])),
            containers(json!([{"name": "a", "$patch": "delete"}])),
            Ok(containers(json!([{"name": "b"}]))),
        );
        check(
            containers(json!([{"name": "a"}, {"name": "b"}])),
            containers(json!([{"$patch": "replace"}, {"name": "c"}])),
            Ok(containers(json!([{"name": "c"}]))),
        );
        check(
            containers(json!([{"name": "a"}])),
            containers(json!([{"image": "x"}])),
            Err("map: {\"image\":\"x\"} does not contain declared merge key: name"),
        );
    }

    #[test]
    fn directives() {
        check(
            json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}),
            json!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}),
            Ok(json!({"spec": {"containers": [{"name": "b"}, {"name": "a"}]}})),
        );
        check(
            json!({"metadata": {"finalizers": ["a", "b"]}}),
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}}),
            Ok(json!({"metadata": {"finalizers": ["b", "c"]}})),
        );
        check(
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}}),
            json!({"metadata": {"labels": {"$patch": "replace", "c": "3"}, "annotations": {"x": null, "y": "1"}}}),
            Ok(json!({"metadata": {"labels": {"c": "3"}, "annotations": {"y": "1"}}})),
        );
        check(
            json!({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}),
            json!({"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}]}}),
            Ok(json!({"spec": {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}})),
        );
        check(json!({}), json!({"spec": {"a": {}, "$patch": "nope"}}), Ok(json!({"spec": {"a": {}}})));
    }
}
