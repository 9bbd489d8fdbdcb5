//! TOML to and from values, as Helm does it (with Go's BurntSushi/toml).

mod read;
mod write;

use super::{fail, json::as_map};
use crate::{Function, Type, Value};

const ANY: &[Type] = &[Type::Any];

/// The functions of this family.
pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::new("toToml", ANY, |cx, args| match write::write(cx, args.any(0)) {
            // Failures are texts here, except for nil, on which the peer panics.
            Err(error) if error.stopped().is_none() && !args.any(0).is_nil() => {
                Ok(Value::from(error.to_string()))
            }
            result => result.map(Value::from),
        }),
        Function::new("mustToToml", ANY, |cx, args| write::write(cx, args.any(0)).map(Value::from)),
        Function::new("fromToml", &[Type::String], |cx, args| {
            let text = args.string(0)?;
            cx.charge(text.len())?;
            Ok(as_map(read::read(&text.to_str()), ""))
        }),
    ]
}

/// What Go says to a nil.
fn nil() -> crate::Error {
    fail("reflect: call of reflect.Value.Type on zero Value")
}
