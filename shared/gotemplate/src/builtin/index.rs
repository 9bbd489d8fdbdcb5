//! `index len slice`: looking into strings, lists and maps.

use crate::{
    call::{Args, Function},
    error::Error,
    value::{List, Str, Type, Value},
};

pub(super) fn functions() -> Vec<Function> {
    const MANY: &[Type] = &[Type::Reflect, Type::Reflect];
    vec![
        Function::variadic("index", MANY, |_, args| index(args)),
        Function::new("len", &[Type::Reflect], |_, args| length(args.any(0))),
        Function::variadic("slice", MANY, |_, args| slice(args)),
    ]
}

/// A named list or map as what it is made of.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(object) => object.underlying().unwrap_or_else(|| value.clone()),
        other => other.clone(),
    }
}

/// The name of a type; of a pointer, the name of what it leads to.
fn pointee(value: &Value) -> String {
    value.type_name().trim_start_matches('*').to_owned()
}

fn index(args: &Args) -> Result<Value, Error> {
    let mut item = args.any(0).clone();
    if item.is_nil() {
        return Err(Error::message("index of untyped nil"));
    }
    for key in args.rest(1) {
        item = match plain(&item) {
            Value::Absent | Value::Nil => return Err(Error::message("index of nil pointer")),
            Value::String(text) | Value::Bytes(text) => {
                let of = if matches!(item, Value::String(_)) { "string" } else { "slice" };
                let byte = text.get(position(key, text.len())?).copied();
                Value::Uint8(byte.ok_or_else(|| out_of_range(of))?)
            }
            Value::List(list) => {
                list.get(position(key, list.len())?).cloned().ok_or_else(|| out_of_range("slice"))?
            }
            Value::Map(map) => match plain(key) {
                Value::String(name) => map.get(&name).unwrap_or_else(|| Value::zero(map.map_type().elem)),
                Value::Absent | Value::Nil => {
                    return Err(Error::message("value is nil; should be of type string"));
                }
                _ => {
                    return Err(Error::message(format!(
                        "value has type {}; should be string",
                        key.type_name()
                    )));
                }
            },
            _ => return Err(Error::message(format!("can't index item of type {}", pointee(&item)))),
        };
    }
    Ok(item)
}

fn out_of_range(of: &str) -> Error {
    Error::message(format!("reflect: {of} index out of range"))
}

/// An index as a number. The length itself passes here: the access behind it fails with another text.
fn position(index: &Value, len: usize) -> Result<usize, Error> {
    let number = match plain(index) {
        Value::Int(n) | Value::Int64(n) => n,
        Value::Uint8(n) => i64::from(n),
        Value::Uint32(n) => i64::from(n),
        Value::Uint64(n) => n as i64,
        Value::Absent | Value::Nil => return Err(Error::message("cannot index slice/array with nil")),
        _ => {
            let of = index.type_name();
            return Err(Error::message(format!("cannot index slice/array with type {of}")));
        }
    };
    usize::try_from(number)
        .ok()
        .filter(|position| *position <= len)
        .ok_or_else(|| Error::message(format!("index out of range: {number}")))
}

fn length(value: &Value) -> Result<Value, Error> {
    let len = match plain(value) {
        Value::Absent => return Err(Error::message("reflect: call of reflect.Value.Type on zero Value")),
        Value::Nil => return Err(Error::message("len of nil pointer")),
        Value::String(text) | Value::Bytes(text) => text.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        _ => return Err(Error::message(format!("len of type {}", pointee(value)))),
    };
    Ok(Value::Int(i64::try_from(len).unwrap_or(i64::MAX)))
}

fn slice(args: &Args) -> Result<Value, Error> {
    let item = plain(args.any(0));
    let bounds = args.rest(1);
    if item.is_nil() {
        return Err(Error::message("slice of untyped nil"));
    }
    if bounds.len() > 3 {
        return Err(Error::message(format!("too many slice indexes: {}", bounds.len())));
    }
    let len = match &item {
        Value::String(_) if bounds.len() == 3 => {
            return Err(Error::message("cannot 3-index slice a string"));
        }
        Value::String(text) | Value::Bytes(text) => text.len(),
        Value::List(list) => list.len(),
        _ => return Err(Error::message(format!("can't slice item of type {}", pointee(args.any(0))))),
    };
    let mut at = [0, len, len];
    for (place, bound) in at.iter_mut().zip(bounds) {
        *place = position(bound, len)?;
    }
    let [from, to, capacity] = at;
    if from > to {
        return Err(Error::message(format!("invalid slice index: {from} > {to}")));
    }
    if to > capacity {
        return Err(Error::message(format!("invalid slice index: {to} > {capacity}")));
    }
    Ok(match item {
        Value::String(text) => Value::String(Str::from(text.get(from..to).unwrap_or_default())),
        Value::Bytes(bytes) => Value::Bytes(Str::from(bytes.get(from..to).unwrap_or_default())),
        Value::List(list) => {
            Value::List(List::typed(list.elem(), list.get(from..to).unwrap_or_default().to_vec()))
        }
        other => other,
    })
}
