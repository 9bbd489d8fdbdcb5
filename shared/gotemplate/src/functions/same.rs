//! Deep equality, as Go's `reflect.DeepEqual` has it, and deep copies.

use super::semvers::same_versions;
use crate::{Context, Error, List, Map, Stop, Value, stack};

/// Whether two values have the same type and the same content.
///
/// A pair of maps or lists that is the same object on both sides is equal without a look inside, so that a map that holds
/// itself ends the comparison.
pub(super) fn same(cx: &Context<'_>, a: &Value, b: &Value) -> Result<bool, Error> {
    // Pairs yet to be compared: a stack of its own, since values may be nested deeply.
    let mut pairs = vec![(a.clone(), b.clone())];
    while let Some((a, b)) = pairs.pop() {
        cx.step()?;
        if pairs.len() > cx.options().max_items {
            return Err(Stop::Depth.into());
        }
        if a.go_type() != b.go_type() {
            return Ok(false);
        }
        let equal = match (&a, &b) {
            (Value::List(a), Value::List(b)) => {
                pairs.extend(a.iter().cloned().zip(b.iter().cloned()));
                a.len() == b.len() && a.is_nil() == b.is_nil()
            }
            (Value::Map(a), Value::Map(b)) if a.same(b) => true,
            (Value::Map(a), Value::Map(b)) => {
                let (left, right) = (a.entries(), b.entries());
                let keys = left.keys().eq(right.keys());
                if keys {
                    pairs.extend(left.values().cloned().zip(right.values().cloned()));
                }
                keys && a.is_nil() == b.is_nil()
            }
            (a, b) => same_scalar(a, b),
        };
        if !equal {
            return Ok(false);
        }
    }
    Ok(true)
}

fn same_scalar(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Absent | Value::Nil, Value::Absent | Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) | (Value::Int64(a), Value::Int64(b)) => a == b,
        (Value::Uint8(a), Value::Uint8(b)) => a == b,
        (Value::Uint32(a), Value::Uint32(b)) => a == b,
        (Value::Uint64(a), Value::Uint64(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Complex(a, b), Value::Complex(c, d)) => a == c && b == d,
        (Value::String(a), Value::String(b)) | (Value::Bytes(a), Value::Bytes(b)) => a == b,
        (Value::Object(a), Value::Object(b)) => {
            a.equals(b.as_ref()).unwrap_or(false) || same_versions(a.as_ref(), b.as_ref())
        }
        _ => false,
    }
}

/// A copy that shares no map with the original. Lists cannot change and objects have no parts, so those are shared where
/// they hold no map.
pub(super) fn deep_copy(cx: &Context<'_>, value: &Value) -> Result<Value, Error> {
    cx.step()?;
    if !stack::has_room() {
        return Err(Stop::Depth.into());
    }
    Ok(match value {
        Value::List(list) if list.is_nil() => value.clone(),
        Value::List(list) => {
            let items = list.iter().map(|item| deep_copy(cx, item)).collect::<Result<_, _>>()?;
            List::typed(list.elem(), items).into()
        }
        Value::Map(map) if map.is_nil() => value.clone(),
        Value::Map(map) => {
            let copied = Map::typed(map.map_type(), Default::default());
            for (key, entry) in map.snapshot() {
                copied.insert(key, deep_copy(cx, &entry)?);
            }
            copied.into()
        }
        other => other.clone(),
    })
}
