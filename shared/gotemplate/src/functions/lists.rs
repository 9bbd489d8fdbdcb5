//! Lists.

use super::{cast::to_int64, fail, same::same};
use crate::{Args, Context, Error, Function, List, Str, Type, Value};

const ANY: &[Type] = &[Type::Any];
const ANY_ANY: &[Type] = &[Type::Any, Type::Any];

/// What Go says to a nil where a list is wanted.
const NIL: &str = "runtime error: invalid memory address or nil pointer dereference";

type Body = fn(&Context<'_>, &Args) -> Result<Value, Error>;

/// The functions of this family.
pub(super) fn functions() -> Vec<Function> {
    let list = Function::variadic("list", ANY, |cx, args| {
        cx.check_items(args.len())?;
        Ok(Value::list(args.all().to_vec()))
    });
    let mut functions = vec![
        list.alias("tuple"),
        list,
        Function::variadic("concat", ANY, |cx, args| {
            let mut items = Vec::new();
            for list in args.all() {
                let more = elements(list, |kind| format!("Cannot concat type {kind} as list"))?;
                cx.check_items(items.len().saturating_add(more.len()))?;
                items.extend(more.iter());
            }
            Ok(if items.is_empty() { List::nil(Type::Any) } else { List::new(items) }.into())
        }),
    ];
    // A plain function panics where its twin returns an error; both have the same text.
    let twins: [(&'static str, &'static str, &'static [Type], Body); 12] = [
        ("append", "mustAppend", ANY_ANY, push),
        ("push", "mustPush", ANY_ANY, push),
        ("prepend", "mustPrepend", ANY_ANY, prepend),
        ("first", "mustFirst", ANY, |_, args| {
            Ok(found("first", args.any(0))?.iter().next().unwrap_or(Value::Nil))
        }),
        ("last", "mustLast", ANY, |_, args| {
            let items = found("last", args.any(0))?;
            Ok(items.get(items.len().wrapping_sub(1)).unwrap_or(Value::Nil))
        }),
        ("rest", "mustRest", ANY, |_, args| {
            let items = found("rest", args.any(0))?;
            Ok(nil_if_none(items.len(), items.iter().skip(1)))
        }),
        ("initial", "mustInitial", ANY, |_, args| {
            let items = found("initial", args.any(0))?;
            Ok(nil_if_none(items.len(), items.iter().take(items.len().saturating_sub(1))))
        }),
        ("reverse", "mustReverse", ANY, |_, args| {
            let mut items: Vec<Value> = found("reverse", args.any(0))?.iter().collect();
            items.reverse();
            Ok(Value::list(items))
        }),
        ("compact", "mustCompact", ANY, |_, args| {
            let items = elements(args.any(0), |kind| format!("Cannot compact on type {kind}"))?;
            Ok(Value::list(items.iter().filter(Value::truth).collect()))
        }),
        ("uniq", "mustUniq", ANY, uniq),
        ("has", "mustHas", ANY_ANY, |cx, args| {
            if args.any(1).is_nil() {
                return Ok(Value::Bool(false));
            }
            let items = found("has", args.any(1))?;
            contains(cx, items.iter(), args.any(0)).map(Value::Bool)
        }),
        ("chunk", "mustChunk", &[Type::Int, Type::Any], chunk),
    ];
    for (name, twin, params, body) in twins {
        let function = Function::new(name, params, body);
        functions.push(function.alias(twin));
        functions.push(function);
    }
    for (name, twin, body) in [("without", "mustWithout", without as Body), ("slice", "mustSlice", slice)] {
        let function = Function::variadic(name, ANY_ANY, body);
        functions.push(function.alias(twin));
        functions.push(function);
    }
    functions
}

/// The elements of a list: bytes are one too, and so is a named type over one.
enum Elements {
    List(List),
    Bytes(Str),
}

impl Elements {
    fn len(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    fn get(&self, index: usize) -> Option<Value> {
        match self {
            Self::List(list) => list.get(index).cloned(),
            Self::Bytes(bytes) => bytes.get(index).map(|byte| Value::Uint8(*byte)),
        }
    }

    fn iter(&self) -> impl Iterator<Item = Value> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

/// The elements of a value, or the function's complaint about its kind.
fn elements(value: &Value, complaint: impl Fn(&str) -> String) -> Result<Elements, Error> {
    match value {
        Value::List(list) => Ok(Elements::List(list.clone())),
        Value::Bytes(bytes) => Ok(Elements::Bytes(bytes.clone())),
        Value::Absent | Value::Nil => Err(fail(NIL)),
        Value::Object(object) if matches!(object.underlying(), Some(Value::List(_))) => {
            elements(&object.underlying().unwrap_or_default(), complaint)
        }
        other => Err(fail(complaint(other.kind().name()))),
    }
}

fn found(what: &str, value: &Value) -> Result<Elements, Error> {
    elements(value, |kind| format!("Cannot find {what} on type {kind}"))
}

/// A list, or a nil list if the original has no elements.
fn nil_if_none(length: usize, items: impl Iterator<Item = Value>) -> Value {
    if length == 0 { List::nil(Type::Any).into() } else { Value::list(items.collect()) }
}

fn push(cx: &Context<'_>, args: &Args) -> Result<Value, Error> {
    let items = elements(args.any(0), |kind| format!("Cannot push on type {kind}"))?;
    cx.check_items(items.len().saturating_add(1))?;
    Ok(Value::list(items.iter().chain([args.any(1).clone()]).collect()))
}

fn prepend(cx: &Context<'_>, args: &Args) -> Result<Value, Error> {
    let items = elements(args.any(0), |kind| format!("Cannot prepend on type {kind}"))?;
    cx.check_items(items.len().saturating_add(1))?;
    Ok(Value::list([args.any(1).clone()].into_iter().chain(items.iter()).collect()))
}

fn contains(cx: &Context<'_>, items: impl Iterator<Item = Value>, wanted: &Value) -> Result<bool, Error> {
    for item in items {
        if same(cx, wanted, &item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn uniq(cx: &Context<'_>, args: &Args) -> Result<Value, Error> {
    let mut kept: Vec<Value> = Vec::new();
    // Texts are many and easily told apart.
    let mut texts = std::collections::HashSet::new();
    for item in found("uniq", args.any(0))?.iter() {
        let known = match &item {
            Value::String(text) => !texts.insert(text.clone()),
            other => contains(cx, kept.iter().cloned(), other)?,
        };
        if !known {
            kept.push(item);
        }
    }
    Ok(Value::list(kept))
}

fn without(cx: &Context<'_>, args: &Args) -> Result<Value, Error> {
    let mut kept = Vec::new();
    for item in found("without", args.any(0))?.iter() {
        if !contains(cx, args.rest(1).iter().cloned(), &item)? {
            kept.push(item);
        }
    }
    Ok(Value::list(kept))
}

fn slice(_cx: &Context<'_>, args: &Args) -> Result<Value, Error> {
    let items = elements(args.any(0), |kind| format!("list should be type of slice or array but {kind}"))?;
    if items.len() == 0 {
        return Ok(Value::Nil);
    }
    let bound = |index: usize, default: usize| match args.rest(1).get(index) {
        Some(value) => usize::try_from(to_int64(value)).ok(),
        None => Some(default),
    };
    let range = bound(0, 0).zip(bound(1, items.len())).filter(|(from, to)| from <= to && *to <= items.len());
    let Some((from, to)) = range else { return Err(fail("reflect.Value.Slice: slice index out of bounds")) };
    Ok(match items {
        Elements::List(list) => List::typed(list.elem(), list[from..to].to_vec()).into(),
        Elements::Bytes(bytes) => Value::Bytes(Str::from(&bytes[from..to])),
    })
}

fn chunk(_cx: &Context<'_>, args: &Args) -> Result<Value, Error> {
    let items = elements(args.any(1), |kind| format!("Cannot chunk type {kind}"))?;
    let size = args.int(0)?;
    let items: Vec<Value> = items.iter().collect();
    let Some(size) = usize::try_from(size).ok().filter(|size| *size > 0) else {
        return Err(fail("runtime error: makeslice: len out of range"));
    };
    let chunks = items.chunks(size).map(|part| Value::list(part.to_vec())).collect();
    Ok(List::typed(Type::Slice(&Type::Any), chunks).into())
}
