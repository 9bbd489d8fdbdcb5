//! The functions that Go's templates have of their own.

mod compare;
mod escape;
mod index;

use crate::{
    call::{Function, Special},
    error::Error,
    value::{Str, Type, Value},
};

/// All of them. `and`, `or` and `call` are half in the executor: the first two look at an argument only if they must,
/// the last names its callee in its message.
pub(crate) fn functions() -> Vec<Function> {
    use Type::{Any, Reflect, String};
    let special = |function: Function, special| Function { special, ..function };
    let mut functions = vec![
        special(
            Function::variadic("and", &[Reflect, Reflect], |_, args| Ok(args.any(0).clone())),
            Special::And,
        ),
        special(
            Function::variadic("or", &[Reflect, Reflect], |_, args| Ok(args.any(0).clone())),
            Special::Or,
        ),
        special(
            Function::variadic("call", &[Reflect, Reflect], |_, args| {
                Err(not_callable("value", args.any(0)))
            }),
            Special::Call,
        ),
        Function::new("not", &[Reflect], |_, args| Ok(Value::Bool(!args.any(0).truth()))),
        Function::variadic("print", &[Any], |cx, args| cx.sprint(args.all()).map(Value::String)),
        Function::variadic("println", &[Any], |cx, args| {
            let mut out = Vec::new();
            crate::fmt::println(&mut out, args.all(), cx.session.output_left())?;
            cx.charge(out.len())?;
            Ok(Value::String(Str::from(out)))
        }),
        Function::variadic("printf", &[String, Any], |cx, args| {
            cx.sprintf(args.string(0)?, args.rest(1)).map(Value::String)
        }),
    ];
    functions.extend(compare::functions());
    functions.extend(escape::functions());
    functions.extend(index::functions());
    functions
}

/// The error of `call`: no value of a template is a function.
pub(crate) fn not_callable(name: &str, value: &Value) -> Error {
    match value.go_type() {
        None => Error::message("call of nil"),
        Some(of) => Error::message(format!("non-function {name} of type {of}")),
    }
}
