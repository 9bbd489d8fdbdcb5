//! Dictionaries.

use super::{fail, merge, same::deep_copy, strings::to_text};
use crate::{Args, Context, Error, Function, List, Map, Str, Type, Value};

const MAP: &[Type] = &[Type::MAP];
const MAP_STRING: &[Type] = &[Type::MAP, Type::String];
const MAPS: &[Type] = &[Type::MAP, Type::MAP];
const ANY: &[Type] = &[Type::Any];

/// The functions of this family.
pub(super) fn functions() -> Vec<Function> {
    let merge = Function::variadic("merge", MAPS, |cx, args| merged(cx, args, merge::Rule::KeepLeft));
    let overwrite =
        Function::variadic("mergeOverwrite", MAPS, |cx, args| merged(cx, args, merge::Rule::TakeRight));
    let copy = Function::new("deepCopy", ANY, |cx, args| match args.any(0) {
        Value::Absent | Value::Nil => Err(fail("reflect: call of reflect.Value.Type on zero Value")),
        value => deep_copy(cx, value),
    });
    vec![
        Function::variadic("dict", ANY, |cx, args| {
            let map = Map::new();
            for pair in args.all().chunks(2) {
                let [key, rest @ ..] = pair else { continue };
                map.insert(to_text(cx, key)?, rest.first().cloned().unwrap_or_else(|| Value::from("")));
            }
            Ok(map.into())
        }),
        Function::new("get", MAP_STRING, |_, args| {
            Ok(args.map(0)?.get(args.string(1)?).unwrap_or_else(|| Value::from("")))
        }),
        Function::new("set", &[Type::MAP, Type::String, Type::Any], |cx, args| {
            let map = args.map(0)?;
            cx.set(map, args.string(1)?.clone(), args.any(2).clone())?;
            Ok(map.clone().into())
        }),
        Function::new("unset", MAP_STRING, |_, args| {
            let map = args.map(0)?;
            map.remove(args.string(1)?);
            Ok(map.clone().into())
        }),
        Function::new("hasKey", MAP_STRING, |_, args| {
            Ok(Value::Bool(args.map(0)?.contains(args.string(1)?)))
        }),
        Function::variadic("pluck", &[Type::String, Type::MAP], |_, args| {
            let key = args.string(0)?;
            Ok(Value::list(maps(args.rest(1)).filter_map(|map| map.get(key)).collect()))
        }),
        Function::variadic("keys", MAP, |_, args| {
            let keys = maps(args.all()).flat_map(|map| map.entries().keys().cloned().collect::<Vec<_>>());
            Ok(List::strings(keys).into())
        }),
        Function::new("values", MAP, |_, args| {
            Ok(Value::list(args.map(0)?.entries().values().cloned().collect()))
        }),
        Function::variadic("pick", MAP_STRING, |_, args| {
            let (from, to) = (args.map(0)?, Map::new());
            for key in args.rest(1).iter().filter_map(Value::as_str) {
                if let Some(value) = from.get(key) {
                    to.insert(key.clone(), value);
                }
            }
            Ok(to.into())
        }),
        Function::variadic("omit", MAP_STRING, |_, args| {
            let dropped: Vec<&Str> = args.rest(1).iter().filter_map(Value::as_str).collect();
            let kept = args.map(0)?.snapshot().into_iter().filter(|(key, _)| !dropped.contains(&key));
            Ok(kept.collect::<Map>().into())
        }),
        Function::variadic("dig", ANY, dig),
        merge.alias("mustMerge"),
        merge,
        overwrite.alias("mustMergeOverwrite"),
        overwrite,
        copy.alias("mustDeepCopy"),
        copy,
    ]
}

fn maps(values: &[Value]) -> impl Iterator<Item = &Map> {
    values.iter().filter_map(|value| match value {
        Value::Map(map) => Some(map),
        _ => None,
    })
}

fn merged(cx: &Context<'_>, args: &Args, rule: merge::Rule) -> Result<Value, Error> {
    let mut target = args.map(0)?.clone();
    for source in maps(args.rest(1)) {
        if target.is_nil() && !source.is_nil() {
            target = Map::new();
        }
        merge::merge(cx, &target, source, rule)?;
    }
    Ok(target.into())
}

/// `dig "a" "b" DEFAULT DICT`.
fn dig(_cx: &Context<'_>, args: &Args) -> Result<Value, Error> {
    let [keys @ .., default, dict] = args.all() else {
        return Err(fail("dig needs at least three arguments"));
    };
    if keys.is_empty() {
        return Err(fail("dig needs at least three arguments"));
    }
    let mut map = plain_map(dict)?.clone();
    let keys: Vec<&Str> = keys
        .iter()
        .map(|key| key.as_str().ok_or_else(|| conversion(key, "string")))
        .collect::<Result<_, _>>()?;
    for (index, key) in keys.iter().enumerate() {
        let Some(value) = map.get(key) else { return Ok(default.clone()) };
        if index + 1 == keys.len() {
            return Ok(value);
        }
        map = plain_map(&value)?.clone();
    }
    Ok(default.clone())
}

fn plain_map(value: &Value) -> Result<&Map, Error> {
    match value {
        Value::Map(map) if *map.map_type() == crate::value::ANY_MAP => Ok(map),
        other => Err(conversion(other, "map[string]interface {}")),
    }
}

/// Go's complaint about a type assertion.
fn conversion(value: &Value, wanted: &str) -> Error {
    let is = if value.is_nil() { "nil".to_owned() } else { value.type_name() };
    fail(format!("interface conversion: interface {{}} is {is}, not {wanted}"))
}
