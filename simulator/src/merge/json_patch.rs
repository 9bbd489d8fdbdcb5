//! JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386).

use serde_json::{Map, Value};

use super::PatchError;
use crate::schema::MAX_DEPTH;

/// At most so many operations in one patch, as kube-apiserver.
const MAX_OPERATIONS: usize = 10_000;

/// Applies a JSON Patch.
///
/// # Errors
/// [`PatchError::Malformed`] when `patch` is no list of operations; [`PatchError::Unprocessable`] when an operation
/// is none, does not fit the object, or a `test` fails.
pub(crate) fn patch_json(object: &Value, patch: &Value) -> Result<Value, PatchError> {
    let operations = patch
        .as_array()
        .ok_or_else(|| PatchError::Malformed("error decoding patch: it is not a list".into()))?;
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::Unprocessable(format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    let mut out = object.clone();
    for operation in operations {
        let text = |name: &str| operation[name].as_str();
        let op =
            text("op").ok_or_else(|| PatchError::Unprocessable("a JSON patch operation has no op".into()))?;
        let path =
            text("path").ok_or_else(|| PatchError::Unprocessable(format!("{op} operation has no path")))?;
        let from =
            || text("from").ok_or_else(|| PatchError::Unprocessable(format!("{op} operation has no from")));
        let value = || operation.get("value").cloned().unwrap_or(Value::Null);
        let missing = |path: &str| {
            PatchError::Unprocessable(format!(
                "{op} operation does not apply: doc is missing path: {path:?}: missing value"
            ))
        };
        match op {
            "add" => add(&mut out, path, value()).ok_or_else(|| missing(path))?,
            "remove" => {
                remove(&mut out, path).ok_or_else(|| {
                    PatchError::Unprocessable(format!(
                        "remove operation does not apply: doc is missing path: {path:?}"
                    ))
                })?;
            }
            "replace" => {
                replace(&mut out, path, value()).ok_or_else(|| {
                    PatchError::Unprocessable(format!(
                        "replace operation does not apply: doc is missing key: {path}: missing value"
                    ))
                })?;
            }
            "move" => {
                let from = from()?;
                if path.strip_prefix(from).is_some_and(|rest| rest.starts_with('/')) {
                    return Err(PatchError::Unprocessable(format!(
                        "cannot move {from:?} into itself, to {path:?}"
                    )));
                }
                let value = remove(&mut out, from).ok_or_else(|| missing(from))?;
                add(&mut out, path, value).ok_or_else(|| missing(path))?;
            }
            "copy" => {
                let from = from()?;
                let value = out.pointer(from).cloned().ok_or_else(|| missing(from))?;
                add(&mut out, path, value).ok_or_else(|| missing(path))?;
            }
            "test" => {
                if out.pointer(path).unwrap_or(&Value::Null) != &value() {
                    return Err(PatchError::Unprocessable(format!(
                        "testing value {path} failed: test failed"
                    )));
                }
            }
            other => return Err(PatchError::Unprocessable(format!("unexpected kind: {other}"))),
        }
    }
    Ok(out)
}

fn split(path: &str) -> Option<(&str, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    Some((parent, last.replace("~1", "/").replace("~0", "~")))
}

/// A plain decimal, as RFC 6901 wants it; negative ones count from the end as kube-apiserver allows.
fn index(text: &str, len: usize) -> Option<usize> {
    match text.strip_prefix('-') {
        Some(back) => len.checked_sub(back.parse().ok()?),
        None => text.parse().ok(),
    }
}

fn add(object: &mut Value, path: &str, value: Value) -> Option<()> {
    if path.is_empty() {
        *object = value;
        return Some(());
    }
    let (parent, last) = split(path)?;
    match object.pointer_mut(parent)? {
        Value::Object(map) => {
            map.insert(last, value);
        }
        Value::Array(list) if last == "-" => list.push(value),
        Value::Array(list) => {
            let at = index(&last, list.len())?;
            if at > list.len() {
                return None;
            }
            list.insert(at, value);
        }
        _ => return None,
    }
    Some(())
}

/// As `add`, but within a list the item must be there. In a map upstream's library does not ask for it.
fn replace(object: &mut Value, path: &str, value: Value) -> Option<()> {
    if path.is_empty() {
        *object = value;
        return Some(());
    }
    let (parent, last) = split(path)?;
    match object.pointer_mut(parent)? {
        Value::Object(map) => drop(map.insert(last, value)),
        Value::Array(list) => {
            let at = index(&last, list.len())?;
            *list.get_mut(at)? = value;
        }
        _ => return None,
    }
    Some(())
}

fn remove(object: &mut Value, path: &str) -> Option<Value> {
    let (parent, last) = split(path)?;
    match object.pointer_mut(parent)? {
        Value::Object(map) => map.remove(&last),
        Value::Array(list) => {
            let at = index(&last, list.len())?;
            (at < list.len()).then(|| list.remove(at))
        }
        _ => None,
    }
}

/// Applies a JSON Merge Patch.
///
/// # Errors
/// [`PatchError::Malformed`] when the patch is no object, or nested too deeply.
pub(crate) fn patch_merge(object: &Value, patch: &Value) -> Result<Value, PatchError> {
    if !patch.is_object() {
        return Err(PatchError::Malformed("error decoding patch: it is not an object".into()));
    }
    let mut out = object.clone();
    merge(&mut out, patch, 0)?;
    Ok(out)
}

fn merge(target: &mut Value, patch: &Value, depth: usize) -> Result<(), PatchError> {
    if depth > MAX_DEPTH {
        return Err(PatchError::Malformed(format!("the patch is nested more than {MAX_DEPTH} levels deep")));
    }
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return Ok(()) };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.as_str()).or_insert(Value::Null), value, depth + 1)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_patches_apply_or_say_why_not() {
        let object = json!({"a": {"b/c": [1, 2]}, "x": null});
        for (patch, want) in [
            (
                json!([{"op": "add", "path": "/a/b~1c/-", "value": 3}]),
                Ok(json!({"a": {"b/c": [1, 2, 3]}, "x": null})),
            ),
            (
                json!([{"op": "add", "path": "/a/b~1c/0", "value": 0}]),
                Ok(json!({"a": {"b/c": [0, 1, 2]}, "x": null})),
            ),
            (json!([{"op": "remove", "path": "/a/b~1c/-1"}]), Ok(json!({"a": {"b/c": [1]}, "x": null}))),
            (
                json!([{"op": "move", "from": "/a", "path": "/y"}]),
                Ok(json!({"y": {"b/c": [1, 2]}, "x": null})),
            ),
            (
                json!([{"op": "copy", "from": "/a/b~1c/0", "path": "/x"}]),
                Ok(json!({"a": {"b/c": [1, 2]}, "x": 1})),
            ),
            (
                json!([{"op": "test", "path": "/nope", "value": null}, {"op": "replace", "path": "/x", "value": 1}]),
                Ok(json!({"a": {"b/c": [1, 2]}, "x": 1})),
            ),
            (json!([{"op": "test", "path": "/x", "value": 2}]), Err("testing value /x failed: test failed")),
            (
                json!([{"op": "remove", "path": "/nope"}]),
                Err("remove operation does not apply: doc is missing path: \"/nope\""),
            ),
            (
                json!([{"op": "replace", "path": "/nope/deep", "value": 1}]),
                Err("replace operation does not apply: doc is missing key: /nope/deep: missing value"),
            ),
            (
                json!([{"op": "add", "path": "/a/b~1c/9", "value": 1}]),
                Err("add operation does not apply: doc is missing path: \"/a/b~1c/9\": missing value"),
            ),
            (json!({"op": "add"}), Err("error decoding patch: it is not a list")),
        ] {
            let got = patch_json(&object, &patch);
            assert_eq!(got.map_err(|error| error.to_string()), want.map_err(str::to_owned), "{patch}");
        }
    }

    #[test]
    fn merge_patches_follow_the_rfc() {
        for (object, patch, want) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [1]}), json!({"a": {"b": {"c": null}}}), json!({"a": {"b": {}}})),
        ] {
            assert_eq!(patch_merge(&object, &patch), Ok(want), "{patch}");
        }
    }
}
