//! JSON patches: RFC 6902 with the leniencies of the library that kustomize uses.

use sluice_yaml::{Map, Value};

use crate::error::{BuildError, ErrorKind, Result};

/// Bytes that the `copy` operations of one patch may add.
const COPY_LIMIT: usize = 16 << 20;
/// Levels of nesting that a patch may leave.
const DEPTH_LIMIT: usize = 400;

/// A patch: its operations, unchecked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonPatch(Vec<Map<String, Value>>);

impl JsonPatch {
    /// Reads a patch: JSON if it begins with `[`, else YAML.
    ///
    /// # Errors
    /// The parser's reason, or that it is no list of operations.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let value: Value = if text.starts_with('[') {
            serde_json::from_str(text).map_err(|error| error.to_string())?
        } else {
            sluice_yaml::from_str(text).map_err(|error| error.to_string())?
        };
        let kind = match value {
            Value::Array(items) => {
                let operations = items.into_iter().map(|item| match item {
                    Value::Object(map) => Ok(map),
                    other => Err(format!(
                        "json: cannot unmarshal {} into Go value of type jsonpatch.Operation",
                        kind_of(&other)
                    )),
                });
                return operations.collect::<Result<_, _>>().map(Self);
            }
            other => kind_of(&other),
        };
        Err(format!("json: cannot unmarshal {kind} into Go value of type jsonpatch.Patch"))
    }

    /// Applies every operation in turn.
    pub(crate) fn apply(&self, mut document: Value) -> Result<Value> {
        let mut copied = 0;
        for operation in &self.0 {
            apply(&mut document, operation, &mut copied)?;
        }
        Ok(document)
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn wrong<T>(text: String) -> Result<T> {
    Err(BuildError::invalid(text))
}

fn apply(document: &mut Value, operation: &Map<String, Value>, copied: &mut usize) -> Result<()> {
    let op = operation.get("op").and_then(Value::as_str).unwrap_or("unknown");
    if !matches!(op, "add" | "remove" | "replace" | "move" | "copy" | "test") {
        return wrong(format!("Unexpected kind: {op}"));
    }
    let text = |field: &str| match operation.get(field) {
        Some(Value::String(text)) => Ok(text.as_str()),
        _ => wrong(format!("{op} operation failed to decode {field}: missing value")),
    };
    let path = text("path")?;
    let value = || operation.get("value").cloned().unwrap_or(Value::Null);
    let no_parent =
        |path: &str| format!("{op} operation does not apply: doc is missing path: \"{path}\": missing value");
    match op {
        "add" => add(document, op, path, value()),
        "remove" => {
            let Some((parent, key)) = find(document, path) else { return wrong(no_parent(path)) };
            remove(parent, &key)
                .map(|_| ())
                .or_else(|why| wrong(format!("error in remove for path: '{path}': {why}")))
        }
        "replace" => {
            check_depth(path, operation.get("value").unwrap_or(&Value::Null))?;
            if path.is_empty() {
                *document = value();
                return Ok(());
            }
            let Some((parent, key)) = find(document, path) else { return wrong(no_parent(path)) };
            match parent {
                Value::Object(map) => {
                    map.insert(key, value());
                    Ok(())
                }
                Value::Array(items) => match index(&key, items.len()) {
                    Ok(at) if at < items.len() => {
                        items[at] = value();
                        Ok(())
                    }
                    _ => wrong(format!(
                        "replace operation does not apply: doc is missing key: {path}: missing value"
                    )),
                },
                _ => wrong(no_parent(path)),
            }
        }
        "test" => {
            let wanted = value();
            let found = if path.is_empty() {
                Some(&*document)
            } else {
                find(document, path).and_then(|(parent, key)| get(parent, &key))
            };
            if found.unwrap_or(&Value::Null) == &wanted {
                Ok(())
            } else {
                wrong(format!("testing value {path} failed: test failed"))
            }
        }
        _ => {
            let from = text("from")?;
            let missing = || {
                wrong(format!(
                    "{op} operation does not apply: doc is missing from path: \"{from}\": missing value"
                ))
            };
            let Some((parent, key)) = find(document, from) else { return missing() };
            let taken = if op == "move" {
                remove(parent, &key)
                    .or_else(|why| wrong(format!("error in remove for path: '{from}': {why}")))?
            } else {
                let Some(found) = get(parent, &key) else { return missing() };
                *copied += size(found);
                if *copied > COPY_LIMIT {
                    let text = format!("the patch copies more than {COPY_LIMIT} bytes");
                    return Err(BuildError::new(ErrorKind::TooLarge, text));
                }
                found.clone()
            };
            add(document, op, path, taken)
        }
    }
}

fn size(value: &Value) -> usize {
    32 + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + size(value)).sum(),
        _ => 0,
    }
}

/// The container that the last segment of `path` is in, and that segment.
fn find<'d>(document: &'d mut Value, path: &str) -> Option<(&'d mut Value, String)> {
    // What stands before the first slash is ignored.
    let (_, rest) = path.split_once('/')?;
    let mut segments = rest.split('/').map(|segment| segment.replace("~1", "/").replace("~0", "~"));
    let last = segments.next_back()?;
    let mut node = document;
    for segment in segments {
        node = match node {
            Value::Object(map) => map.get_mut(&segment)?,
            Value::Array(items) => {
                let at = index(&segment, items.len()).ok()?;
                items.get_mut(at)?
            }
            _ => return None,
        };
    }
    matches!(node, Value::Object(_) | Value::Array(_)).then_some((node, last))
}

fn get<'d>(parent: &'d Value, key: &str) -> Option<&'d Value> {
    match parent {
        Value::Object(map) => map.get(key),
        Value::Array(items) => items.get(index(key, items.len()).ok()?),
        _ => None,
    }
}

/// A position in a list of `len`, counted from the end if negative. May be beyond the end.
fn index(key: &str, len: usize) -> Result<usize, String> {
    let at: i64 = key.parse().map_err(|_| {
        format!("value was not a proper array index: '{key}': strconv.Atoi: parsing {key:?}: invalid syntax")
    })?;
    let invalid = || format!("Unable to access invalid index: {at}: invalid index referenced");
    let at = if at < 0 { at.checked_add_unsigned(len as u64).filter(|at| *at >= 0) } else { Some(at) };
    at.and_then(|at| usize::try_from(at).ok()).ok_or_else(invalid)
}

/// Refuses a value that would nest too deep at `path`.
fn check_depth(path: &str, value: &Value) -> Result<()> {
    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }
    if path.split('/').count() + depth(value) > DEPTH_LIMIT {
        let text = format!("the patch nests deeper than {DEPTH_LIMIT} levels");
        return Err(BuildError::new(ErrorKind::TooLarge, text));
    }
    Ok(())
}

fn add(document: &mut Value, op: &str, path: &str, value: Value) -> Result<()> {
    check_depth(path, &value)?;
    let Some((parent, key)) = find(document, path) else {
        return wrong(format!(
            "{op} operation does not apply: doc is missing path: \"{path}\": missing value"
        ));
    };
    match parent {
        Value::Object(map) => {
            map.insert(key, value);
        }
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            let at = index(&key, items.len() + 1).and_then(|at| {
                if at > items.len() {
                    Err(format!("Unable to access invalid index: {key}: invalid index referenced"))
                } else {
                    Ok(at)
                }
            });
            match at {
                Ok(at) => items.insert(at, value),
                Err(why) => return wrong(format!("error in {op} for path: '{path}': {why}")),
            }
        }
        _ => {}
    }
    Ok(())
}

fn remove(parent: &mut Value, key: &str) -> Result<Value, String> {
    match parent {
        Value::Object(map) => {
            map.remove(key).ok_or_else(|| format!("Unable to remove nonexistent key: {key}: missing value"))
        }
        Value::Array(items) => {
            let at = index(key, items.len())?;
            if at >= items.len() {
                return Err(format!("Unable to access invalid index: {key}: invalid index referenced"));
            }
            Ok(items.remove(at))
        }
        _ => Err("missing value".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_as_lenient_as_kustomizes() {
        let document = r#"{"m":{"a":1},"l":[1,2],"x/y":1,"t~u":2}"#;
        for (patch, want) in [
            (
                "- {op: add, path: /m/b, value: yes}",
                Ok(r#"{"l":[1,2],"m":{"a":1,"b":true},"t~u":2,"x/y":1}"#),
            ),
            (
                "- {op: replace, path: /m/new, value: 1}",
                Ok(r#"{"l":[1,2],"m":{"a":1,"new":1},"t~u":2,"x/y":1}"#),
            ),
            ("- {op: add, path: /l/-, value: 3}", Ok(r#"{"l":[1,2,3],"m":{"a":1},"t~u":2,"x/y":1}"#)),
            ("- {op: add, path: /l/2, value: 3}", Ok(r#"{"l":[1,2,3],"m":{"a":1},"t~u":2,"x/y":1}"#)),
            ("- {op: add, path: /l/0, value: 3}", Ok(r#"{"l":[3,1,2],"m":{"a":1},"t~u":2,"x/y":1}"#)),
            ("- {op: add, path: /l/-1, value: 3}", Ok(r#"{"l":[1,2,3],"m":{"a":1},"t~u":2,"x/y":1}"#)),
            ("- {op: remove, path: /l/-1}", Ok(r#"{"l":[1],"m":{"a":1},"t~u":2,"x/y":1}"#)),
            ("- {op: remove, path: /x~1y}\n- {op: remove, path: /t~0u}", Ok(r#"{"l":[1,2],"m":{"a":1}}"#)),
            ("- {op: move, from: /m/a, path: /l/0}", Ok(r#"{"l":[1,1,2],"m":{},"t~u":2,"x/y":1}"#)),
            (
                "- {op: copy, from: /l, path: /m/l}",
                Ok(r#"{"l":[1,2],"m":{"a":1,"l":[1,2]},"t~u":2,"x/y":1}"#),
            ),
            (
                "- {op: test, path: /m/a, value: 1}\n- {op: test, path: /m/none}",
                Ok(r#"{"l":[1,2],"m":{"a":1},"t~u":2,"x/y":1}"#),
            ),
            ("- {op: add, path: m/x, value: 1}", Ok(r#"{"l":[1,2],"m":{"a":1},"t~u":2,"x":1,"x/y":1}"#)),
            ("- {op: replace, path: '', value: {a: 1}}", Ok(r#"{"a":1}"#)),
            (
                "- {op: remove, path: /m/nope}",
                Err(
                    "error in remove for path: '/m/nope': Unable to remove nonexistent key: nope: missing value",
                ),
            ),
            (
                "- {op: remove, path: /l/7}",
                Err(
                    "error in remove for path: '/l/7': Unable to access invalid index: 7: invalid index referenced",
                ),
            ),
            (
                "- {op: add, path: /l/5, value: 1}",
                Err(
                    "error in add for path: '/l/5': Unable to access invalid index: 5: invalid index referenced",
                ),
            ),
            (
                "- {op: add, path: /m/x/y, value: 1}",
                Err("add operation does not apply: doc is missing path: \"/m/x/y\": missing value"),
            ),
            ("- {op: test, path: /m/a, value: 2}", Err("testing value /m/a failed: test failed")),
            ("- {op: foo, path: /m}", Err("Unexpected kind: foo")),
            ("- {path: /m}", Err("Unexpected kind: unknown")),
            ("- {op: add}", Err("add operation failed to decode path: missing value")),
        ] {
            let patch_ = JsonPatch::parse(patch).unwrap();
            let got = patch_.apply(serde_json::from_str(document).unwrap());
            let got = got.map(|v| sluice_yaml::json::to_string(&v, sluice_yaml::json::Html::Raw));
            let got = got.map_err(|error| error.to_string());
            assert_eq!(got.as_deref().map_err(String::as_str), want, "{patch}");
        }
    }

    #[test]
    fn a_patch_that_doubles_itself_is_stopped() {
        let mut text = String::from("- {op: add, path: /a, value: [xxxxxxxxxx]}\n");
        for _ in 0..64 {
            text.push_str("- {op: copy, from: /a, path: /a/-}\n");
        }
        let error = JsonPatch::parse(&text).unwrap().apply(Value::Object(Map::new())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn texts_that_begin_with_a_bracket_must_be_json() {
        assert!(JsonPatch::parse("[{op: add, path: /a, value: 1}]").is_err());
        assert!(JsonPatch::parse("# c\n[{op: add, path: /a, value: 1}]").is_ok());
        assert!(JsonPatch::parse("[]").is_ok());
        assert_eq!(
            JsonPatch::parse("foo").unwrap_err(),
            "json: cannot unmarshal string into Go value of type jsonpatch.Patch"
        );
    }
}
