//! Values from and to the JSON tree that the rest of Sluice uses.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{ANY_MAP, List, Map, Str, Value};
use crate::stack::has_room;

/// Deepest nesting that is converted. Charts stay below 20, YAML is read up to 10,000 levels.
const MAX_DEPTH: usize = 10_000;

/// What the numbers of a JSON tree become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// All are float64, as from YAML and JSON text.
    Float,
    /// Integers are int64, as from `--set`; the rest float64.
    Keep,
}

impl Value {
    /// A value from a JSON tree. What is nested deeper than 10,000 levels (or than the stack allows) is left
    /// out (nil).
    pub fn from_json(json: &Json, numbers: Numbers) -> Value {
        from_json(json, numbers, MAX_DEPTH)
    }

    /// The JSON tree of a value, as `encoding/json` would see it: bytes are base64, nil lists and maps null, objects by
    /// their own rules. Bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// The encoder's text, for NaN, infinities, complex numbers, and for values that are nested too deeply (or within
    /// themselves).
    pub fn to_json(&self) -> Result<Json, String> {
        to_json(self, MAX_DEPTH)
    }
}

fn from_json(json: &Json, numbers: Numbers, depth: usize) -> Value {
    let (Some(deeper), true) = (depth.checked_sub(1), has_room()) else { return Value::Nil };
    match json {
        Json::Null => Value::Nil,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => match n.as_i64() {
            Some(n) if numbers == Numbers::Keep => Value::Int64(n),
            _ => Value::Float(n.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(s) => Value::string(s.as_str()),
        Json::Array(items) => {
            Value::List(List::new(items.iter().map(|item| from_json(item, numbers, deeper)).collect()))
        }
        Json::Object(entries) => {
            let entries: BTreeMap<Str, Value> = entries
                .iter()
                .map(|(key, value)| (Str::from(key.as_str()), from_json(value, numbers, deeper)))
                .collect();
            Value::Map(Map::typed(&ANY_MAP, entries))
        }
    }
}

fn to_json(value: &Value, depth: usize) -> Result<Json, String> {
    let (Some(deeper), true) = (depth.checked_sub(1), has_room()) else {
        return Err("json: unsupported value: encountered a cycle".to_owned());
    };
    Ok(match value {
        Value::Absent | Value::Nil => Json::Null,
        Value::Bool(b) => Json::Bool(*b),
        Value::Int(n) | Value::Int64(n) => Json::from(*n),
        Value::Uint8(n) => Json::from(*n),
        Value::Uint32(n) => Json::from(*n),
        Value::Uint64(n) => Json::from(*n),
        Value::Float(x) => match serde_json::Number::from_f64(*x) {
            Some(number) => Json::Number(number),
            None => return Err(format!("json: unsupported value: {}", unsupported(*x))),
        },
        Value::Complex(..) => return Err("json: unsupported type: complex128".to_owned()),
        Value::String(s) => Json::String(s.to_str().into_owned()),
        Value::Bytes(bytes) => Json::String(base64(bytes)),
        Value::List(list) if list.is_nil() => Json::Null,
        Value::List(list) => {
            Json::Array(list.iter().map(|item| to_json(item, deeper)).collect::<Result<_, _>>()?)
        }
        Value::Map(map) if map.is_nil() => Json::Null,
        Value::Map(map) => {
            let mut object = serde_json::Map::new();
            for (key, value) in map.entries().iter() {
                object.insert(key.to_str().into_owned(), to_json(value, deeper)?);
            }
            Json::Object(object)
        }
        Value::Object(object) => object.to_json()?,
    })
}

fn unsupported(x: f64) -> &'static str {
    if x.is_nan() {
        "NaN"
    } else if x > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
