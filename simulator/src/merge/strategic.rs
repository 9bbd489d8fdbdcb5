//! Strategic merge patches: merge patches that know by the schema how lists merge.

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
                let live = items.clone();
                *items = arrange(std::mem::take(items), listed(order), &live, key);
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
    let live = old.clone();
    let order = order.map_or(new, listed);
    let Some(key) = ty.and_then(|view| view.patch_merge_key()) else {
        let mut out = old;
        for item in new {
            if !out.contains(item) {
                out.push(item.clone());
            }
        }
        return Ok(arrange(out, order, &live, None));
    };
    let replace = new.iter().any(|item| item[DIRECTIVE] == "replace" && item.get(key).is_none());
    if replace {
        return new.iter().filter(|item| !is_directive(item)).map(|item| clean(item, depth)).collect();
    }
    let mut out = old;
    for item in new {
        let (Value::Object(fields), Some(value)) = (item, item.get(key)) else {
            let item = go_print(item);
            return Err(PatchError::Unfit(format!("map: {item} does not contain declared merge key: {key}")));
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
    Ok(arrange(out, order, &live, Some(key)))
}

/// The items of a directive that should be a list.
fn listed(order: &Value) -> &[Value] {
    order.as_array().map(Vec::as_slice).unwrap_or_default()
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

/// Puts the items of a merged list in order: those that `order` names in its order, and among them the others, each
/// before the first one that it lay before in `live`.
fn arrange(items: Vec<Value>, order: &[Value], live: &[Value], key: Option<&str>) -> Vec<Value> {
    let id = |item: &Value| key.map_or_else(|| item.clone(), |key| item[key].clone());
    let place = |list: &[Value], item: &Value| list.iter().position(|known| id(known) == id(item));
    let (mut named, others): (Vec<Value>, Vec<Value>) =
        items.into_iter().partition(|item| place(order, item).is_some());
    named.sort_by_key(|item| place(order, item));
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    let mut out = Vec::new();
    loop {
        let other_first = match (named.peek(), others.peek()) {
            (Some(named), Some(other)) => {
                place(live, other).zip(place(live, named)).is_some_and(|(other, named)| other < named)
            }
            (None, _) => true,
            _ => false,
        };
        match if other_first { others.next() } else { named.next() } {
            Some(item) => out.push(item),
            None => return out,
        }
    }
}

/// A value as Go's `%v` prints it.
pub(crate) fn go_print(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go_print).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{key}:{}", go_print(value))).collect();
            format!("map[{}]", entries.join(" "))
        }
        other => other.to_string(),
    }
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
            Ok(containers(json!([{"name": "a", "image": "2"}, {"name": "c"}, {"name": "b"}]))),
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
            Err("map: map[image:x] does not contain declared merge key: name"),
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
            Ok(json!({"metadata": {"finalizers": ["c", "b"]}})),
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
