//! JSON to and from values, as Go's `encoding/json` does it.

mod read;
mod write;

pub(super) use read::read;
pub(super) use write::{Style, write};

use super::fail;
use crate::{Args, Context, Error, Function, List, Map, Type, Value};

const ANY: &[Type] = &[Type::Any];
const STRING: &[Type] = &[Type::String];

/// The functions of this family.
pub(super) fn functions() -> Vec<Function> {
    let compact = Style { html: true, indent: false };
    let pretty = Style { html: true, indent: true };
    let raw = Style { html: false, indent: false };
    vec![
        Function::new("toJson", ANY, move |cx, args| lenient(cx, args, compact)),
        Function::new("mustToJson", ANY, move |cx, args| strict(cx, args, compact)),
        Function::new("toPrettyJson", ANY, move |cx, args| lenient(cx, args, pretty)),
        Function::new("mustToPrettyJson", ANY, move |cx, args| strict(cx, args, pretty)),
        Function::new("toRawJson", ANY, move |cx, args| strict(cx, args, raw)),
        Function::new("mustToRawJson", ANY, move |cx, args| strict(cx, args, raw)),
        Function::new("mustFromJson", STRING, |cx, args| {
            let parsed = parsed(cx, args)?;
            parsed.error.map_or(Ok(parsed.value), |text| Err(fail(text)))
        }),
        Function::new("fromJson", STRING, |cx, args| {
            let parsed = parsed(cx, args)?;
            // Unlike the other readers, this one keeps a null.
            let is_null = parsed.value.is_nil() && parsed.error.is_none();
            Ok(if is_null { Map::nil(&crate::value::ANY_MAP).into() } else { as_map(parsed, "") })
        }),
        Function::new("fromJsonArray", STRING, |cx, args| {
            let parsed = parsed(cx, args)?;
            let is_null = parsed.value.is_nil() && parsed.error.is_none();
            Ok(if is_null { List::nil(Type::Any).into() } else { as_list(parsed, "") })
        }),
    ]
}

fn strict(cx: &Context<'_>, args: &Args, style: Style) -> Result<Value, Error> {
    Ok(Value::string(write(cx, args.any(0), style)?))
}

/// A value that has no JSON gives an empty text.
fn lenient(cx: &Context<'_>, args: &Args, style: Style) -> Result<Value, Error> {
    match write(cx, args.any(0), style) {
        Ok(text) => Ok(Value::string(text)),
        Err(error) if error.stopped().is_some() => Err(error),
        Err(_) => Ok(Value::from("")),
    }
}

/// What was read, and what went wrong: a number that is too large leaves the rest usable.
pub(super) struct Parsed {
    pub(super) value: Value,
    pub(super) error: Option<String>,
}

fn parsed(cx: &Context<'_>, args: &Args) -> Result<Parsed, Error> {
    cx.charge(args.string(0)?.len())?;
    Ok(read(args.string(0)?))
}

/// A map, with what went wrong as its entry `Error`. `context` stands before a complaint about the shape.
pub(super) fn as_map(parsed: Parsed, context: &str) -> Value {
    let mut error = parsed.error;
    let map = match parsed.value {
        Value::Map(map) => map,
        other => {
            let shape = (!other.is_nil()).then(|| mismatch(&other, context, "map[string]interface {}"));
            error = error.or(shape);
            Map::new()
        }
    };
    if let Some(text) = error {
        map.insert("Error", text.into());
    }
    map.into()
}

/// A list; what went wrong is its only item.
pub(super) fn as_list(parsed: Parsed, context: &str) -> Value {
    let error = match (parsed.error, parsed.value) {
        (None, list @ Value::List(_)) => return list,
        (None, Value::Nil) => return Value::list(Vec::new()),
        (Some(text), _) => text,
        (None, other) => mismatch(&other, context, "[]interface {}"),
    };
    Value::list(vec![error.into()])
}

/// Go's complaint about the shape of a document.
fn mismatch(value: &Value, context: &str, wanted: &str) -> String {
    let is = match value {
        Value::Map(_) => "object",
        Value::List(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        _ => "number",
    };
    format!("{context}json: cannot unmarshal {is} into Go value of type {wanted}")
}
