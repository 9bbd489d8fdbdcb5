//! `eq ne lt le gt ge`: Go's comparisons, which know no conversion but between signed and unsigned integers.

use std::cmp::Ordering;

use crate::{
    call::Function,
    context::Context,
    error::Error,
    value::{Kind, Str, Type, Value},
};

pub(super) fn functions() -> Vec<Function> {
    const TWO: &[Type] = &[Type::Reflect, Type::Reflect];
    vec![
        Function::variadic("eq", TWO, |cx, args| {
            let (Some(first), rest) = (args.all().first(), args.rest(1)) else {
                return Err(Error::message("missing argument for comparison"));
            };
            eq(cx, first, rest).map(Value::Bool)
        }),
        Function::new("ne", TWO, |cx, args| Ok(Value::Bool(!eq(cx, args.any(0), args.rest(1))?))),
        Function::new("lt", TWO, |_, args| Ok(Value::Bool(lt(args.any(0), args.any(1))?))),
        Function::new("le", TWO, |cx, args| Ok(Value::Bool(le(cx, args.any(0), args.any(1))?))),
        Function::new("gt", TWO, |cx, args| Ok(Value::Bool(!le(cx, args.any(0), args.any(1))?))),
        Function::new("ge", TWO, |_, args| Ok(Value::Bool(!lt(args.any(0), args.any(1))?))),
    ]
}

/// What can be compared with `==` and, mostly, `<`.
enum Basic {
    Bool(bool),
    Complex(f64, f64),
    Int(i64),
    Uint(u64),
    Float(f64),
    String(Str),
}

fn basic(value: &Value) -> Option<Basic> {
    Some(match value {
        Value::Bool(b) => Basic::Bool(*b),
        Value::Int(n) | Value::Int64(n) => Basic::Int(*n),
        Value::Uint8(n) => Basic::Uint(u64::from(*n)),
        Value::Uint32(n) => Basic::Uint(u64::from(*n)),
        Value::Uint64(n) => Basic::Uint(*n),
        Value::Float(x) => Basic::Float(*x),
        Value::Complex(re, im) => Basic::Complex(*re, *im),
        Value::String(text) => Basic::String(text.clone()),
        Value::Object(object) => return object.underlying().as_ref().and_then(basic),
        Value::Absent | Value::Nil | Value::Bytes(_) | Value::List(_) | Value::Map(_) => return None,
    })
}

fn incompatible(a: &Value, b: &Value) -> Error {
    Error::message(format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name()))
}

fn eq(cx: &Context<'_>, first: &Value, rest: &[Value]) -> Result<bool, Error> {
    if rest.is_empty() {
        return Err(Error::message("missing argument for comparison"));
    }
    let kind = basic(first);
    for other in rest {
        let equal = match (&kind, basic(other)) {
            (None, None) => same(cx, first, other)?,
            (Some(a), Some(b)) => basic_eq(a, &b).ok_or_else(|| incompatible(first, other))?,
            _ if first.is_nil() || other.is_nil() => false,
            _ => return Err(incompatible(first, other)),
        };
        if equal {
            return Ok(true);
        }
    }
    Ok(false)
}

fn basic_eq(a: &Basic, b: &Basic) -> Option<bool> {
    Some(match (a, b) {
        (Basic::Bool(a), Basic::Bool(b)) => a == b,
        (Basic::Complex(a, i), Basic::Complex(b, j)) => a == b && i == j,
        (Basic::Int(a), Basic::Int(b)) => a == b,
        (Basic::Uint(a), Basic::Uint(b)) => a == b,
        (Basic::Float(a), Basic::Float(b)) => a == b,
        (Basic::String(a), Basic::String(b)) => a == b,
        (Basic::Int(a), Basic::Uint(b)) | (Basic::Uint(b), Basic::Int(a)) => u64::try_from(*a) == Ok(*b),
        _ => return None,
    })
}

/// Values that are neither numbers nor strings: only nil, structs and pointers have an equality.
fn same(cx: &Context<'_>, a: &Value, b: &Value) -> Result<bool, Error> {
    if a.is_nil() || b.is_nil() {
        return Ok(is_nil(a) && is_nil(b));
    }
    let show = |value: &Value| cx.sprintf(b"%s", std::slice::from_ref(value));
    let plain = |value: &Value| cx.text(value);
    if a.kind() != b.kind() {
        return Err(Error::message(format!(
            "non-comparable types {}: {}, {}: {}",
            show(a)?,
            a.type_name(),
            b.type_name(),
            plain(b)?
        )));
    }
    if is_nil(a) || is_nil(b) {
        return Ok(is_nil(a) == is_nil(b));
    }
    let non_comparable = || -> Result<Error, Error> {
        Ok(Error::message(format!("non-comparable type {}: {}", show(b)?, b.type_name())))
    };
    match (a, b) {
        (Value::Object(x), Value::Object(y)) if matches!(b.kind(), Kind::Struct | Kind::Ptr) => {
            if x.go_type() != y.go_type() {
                return Ok(false);
            }
            match x.equals(y.as_ref()) {
                Some(equal) => Ok(equal),
                None => Err(non_comparable()?),
            }
        }
        _ => Err(non_comparable()?),
    }
}

fn is_nil(value: &Value) -> bool {
    match value {
        Value::Absent | Value::Nil => true,
        Value::List(list) => list.is_nil(),
        Value::Map(map) => map.is_nil(),
        _ => false,
    }
}

fn lt(a: &Value, b: &Value) -> Result<bool, Error> {
    let invalid = || Error::message("invalid type for comparison");
    let order = match (basic(a).ok_or_else(invalid)?, basic(b).ok_or_else(invalid)?) {
        (Basic::Bool(_), Basic::Bool(_)) | (Basic::Complex(..), Basic::Complex(..)) => return Err(invalid()),
        (Basic::Int(a), Basic::Int(b)) => a.cmp(&b),
        (Basic::Uint(a), Basic::Uint(b)) => a.cmp(&b),
        (Basic::Float(a), Basic::Float(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Greater),
        (Basic::String(a), Basic::String(b)) => a.cmp(&b),
        (Basic::Int(a), Basic::Uint(b)) => u64::try_from(a).map_or(Ordering::Less, |a| a.cmp(&b)),
        (Basic::Uint(a), Basic::Int(b)) => u64::try_from(b).map_or(Ordering::Greater, |b| a.cmp(&b)),
        _ => return Err(incompatible(a, b)),
    };
    Ok(order == Ordering::Less)
}

fn le(cx: &Context<'_>, a: &Value, b: &Value) -> Result<bool, Error> {
    Ok(lt(a, b)? || eq(cx, a, std::slice::from_ref(b))?)
}
