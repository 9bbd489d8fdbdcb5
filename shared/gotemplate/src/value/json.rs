//! Values from and to the JSON tree that the rest of Sluice uses.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{ANY_MAP, List, Map, Str, Value};
use crate::stack::has_room;

/// Deepest nesting that is converted. Charts stay below 20, YAML is read up to 10,000 levels.
const MAX_DEPTH: usize = 10_000;

/// Most nodes of a JSON tree that is made. A few lists that hold each other twice unfold to any number of them.
const MAX_NODES: usize = 2_000_000;

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
    /// themselves) or unfold to more than two million nodes.
    pub fn to_json(&self) -> Result<Json, String> {
        let mut nodes = MAX_NODES;
        to_json(self, MAX_DEPTH, &mut nodes)
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

fn to_json(value: &Value, depth: usize, nodes: &mut usize) -> Result<Json, String> {
    let (Some(deeper), true) = (depth.checked_sub(1), has_room()) else {
        return Err("json: unsupported value: encountered a cycle".to_owned());
    };
    *nodes = nodes.checked_sub(1).ok_or("json: unsupported value: too many nodes")?;
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
            Json::Array(list.iter().map(|item| to_json(item, deeper, nodes)).collect::<Result<_, _>>()?)
        }
        Value::Map(map) if map.is_nil() => Json::Null,
        Value::Map(map) => {
            let mut object = serde_json::Map::new();
            for (key, value) in map.entries().iter() {
                object.insert(key.to_str().into_owned(), to_json(value, deeper, nodes)?);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Numbers, Value};
    use crate::value::Map;

    #[test]
    fn numbers_become_floats_unless_they_are_kept() {
        let tree = json!([1, 1.5, "a", null, {"b": true}]);
        let kinds = |numbers| match Value::from_json(&tree, numbers) {
            Value::List(list) => list.iter().map(Value::type_name).collect::<Vec<_>>().join(" "),
            other => other.type_name(),
        };
        let rest = "float64 string <nil> map[string]interface {}";
        assert_eq!(kinds(Numbers::Float), format!("float64 {rest}"));
        assert_eq!(kinds(Numbers::Keep), format!("int64 {rest}"));
        assert_eq!(Value::from_json(&tree, Numbers::Keep).to_json(), Ok(tree));
    }

    #[test]
    fn a_tree_has_an_end() {
        let itself = Map::new();
        itself.insert("self", Value::Map(itself.clone()));
        assert!(Value::Map(itself.clone()).to_json().is_err());
        itself.remove("self");
        let mut doubled = Value::list(vec![]);
        for _ in 0..40 {
            doubled = Value::list(vec![doubled.clone(), doubled]);
        }
        assert_eq!(doubled.to_json(), Err("json: unsupported value: too many nodes".to_owned()));
    }

    #[test]
    fn what_json_does_not_know_is_an_error() {
        assert_eq!(Value::Float(f64::INFINITY).to_json(), Err("json: unsupported value: +Inf".to_owned()));
        assert_eq!(Value::Complex(0.0, 1.0).to_json(), Err("json: unsupported type: complex128".to_owned()));
        assert_eq!(Value::Bytes("hi".into()).to_json(), Ok(json!("aGk=")));
    }
}
