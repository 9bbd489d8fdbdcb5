//! YAML as Helm reads it: to JSON, every number a float, errors in two layers.

use serde_json::{Map, Number, Value};
use sluice_yaml::{Limits, Lines, Node, Notice, Reader};

/// Levels of nesting that are read. Go's readers stop at 10,000; nothing that people write comes near either.
const DEPTH: usize = 500;

/// The first document of a text as nodes, `None` where there is none. The last of equal keys counts.
///
/// # Errors
/// `error converting YAML to JSON: yaml: …`.
pub(crate) fn node(text: &[u8]) -> Result<Option<Node>, String> {
    node_noting(text, &mut Vec::new())
}

/// As [`node`]; `notices` gets what is accepted, and yet seldom meant.
fn node_noting(text: &[u8], notices: &mut Vec<Notice>) -> Result<Option<Node>, String> {
    let wrap = |error: &dyn std::fmt::Display| format!("error converting YAML to JSON: {error}");
    let text = utf8(text).map_err(|message| wrap(&message))?;
    let mut reader = Reader::yaml11().last_wins();
    reader.lines = Lines::Problem;
    reader.limits = Limits { depth: DEPTH, ..Limits::default() };
    reader.first_noting(text, notices).map_err(|error| wrap(&error))
}

/// The first document of a text as a value with float numbers; `null` where there is none.
///
/// # Errors
/// `error converting YAML to JSON: …`.
pub(crate) fn value(text: &[u8]) -> Result<Value, String> {
    let Some(node) = node(text)? else { return Ok(Value::Null) };
    node_value(node)
}

/// A node as a value with float numbers.
///
/// # Errors
/// Numbers that JSON cannot hold.
pub(crate) fn node_value(node: Node) -> Result<Value, String> {
    let mut value = node
        .into_value_by(sluice_yaml::Schema::Yaml11)
        .map_err(|message| format!("error converting YAML to JSON: {message}"))?;
    to_floats(&mut value);
    Ok(value)
}

/// The first document of a text as a map; empty where there is none.
///
/// # Errors
/// As [`value`], and where it is anything but a map.
pub(crate) fn map(text: &[u8]) -> Result<Map<String, Value>, String> {
    map_noting(text, &mut Vec::new())
}

/// As [`map`]; `notices` gets what is accepted, and yet seldom meant.
///
/// # Errors
/// As [`map`].
pub(crate) fn map_noting(text: &[u8], notices: &mut Vec<Notice>) -> Result<Map<String, Value>, String> {
    match node_noting(text, notices)?.map_or(Ok(Value::Null), node_value)? {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        other => Err(format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value of type \
             map[string]interface {{}}",
            go_json_kind(&other)
        )),
    }
}

/// Makes every number a float, as Go's JSON decoder does.
pub(crate) fn to_floats(value: &mut Value) {
    match value {
        Value::Number(number) if !number.is_f64() => {
            if let Some(float) = number.as_f64().and_then(Number::from_f64) {
                *number = float;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(to_floats),
        Value::Object(map) => map.values_mut().for_each(to_floats),
        _ => {}
    }
}

/// What Go's JSON decoder calls a value.
pub(crate) fn go_json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Text without a byte order mark, or Go's words for what is wrong with it.
fn utf8(text: &[u8]) -> Result<&str, String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    std::str::from_utf8(text).map_err(|error| {
        let lead = text.get(error.valid_up_to()).copied().unwrap_or_default();
        let octet = if lead & 0xC0 == 0x80 || lead >= 0xF8 { "leading" } else { "trailing" };
        format!("yaml: invalid {octet} UTF-8 octet")
    })
}
