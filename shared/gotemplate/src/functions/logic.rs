//! Defaults, emptiness, choice, and questions about types.

use super::same::same;
use crate::{Function, Type, Value};

const ANY: &[Type] = &[Type::Any];
const ANY_ANY: &[Type] = &[Type::Any, Type::Any];
const STRING_ANY: &[Type] = &[Type::String, Type::Any];

/// The functions of this family.
pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::variadic("default", ANY_ANY, |_, args| {
            let given = args.rest(1).first().filter(|value| value.truth());
            Ok(given.unwrap_or(args.any(0)).clone())
        }),
        Function::new("empty", ANY, |_, args| Ok(Value::Bool(!args.any(0).truth()))),
        Function::variadic("coalesce", ANY, |_, args| {
            Ok(args.all().iter().find(|value| value.truth()).cloned().unwrap_or(Value::Nil))
        }),
        Function::variadic("all", ANY, |_, args| Ok(Value::Bool(args.all().iter().all(Value::truth)))),
        Function::variadic("any", ANY, |_, args| Ok(Value::Bool(args.all().iter().any(Value::truth)))),
        Function::new("ternary", &[Type::Any, Type::Any, Type::Bool], |_, args| {
            Ok(args.any(if args.bool(2)? { 0 } else { 1 }).clone())
        }),
        Function::new("typeOf", ANY, |_, args| Ok(Value::from(args.any(0).type_name()))),
        Function::new("typeIs", STRING_ANY, |_, args| {
            Ok(Value::Bool(*args.string(0)? == *args.any(1).type_name()))
        }),
        Function::new("typeIsLike", STRING_ANY, |_, args| {
            let (wanted, name) = (args.string(0)?, args.any(1).type_name());
            let pointed = name.strip_prefix('*').is_some_and(|target| *wanted == *target);
            Ok(Value::Bool(pointed || *wanted == *name))
        }),
        Function::new("kindOf", ANY, |_, args| Ok(Value::from(args.any(0).kind().name()))),
        Function::new("kindIs", STRING_ANY, |_, args| {
            Ok(Value::Bool(*args.string(0)? == *args.any(1).kind().name()))
        }),
        Function::new("deepEqual", ANY_ANY, |cx, args| Ok(Value::Bool(same(cx, args.any(0), args.any(1))?))),
    ]
}
