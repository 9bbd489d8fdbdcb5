//! Texts: trimming, searching, quoting, joining, splitting, indenting.

use memchr::memmem;

use super::{
    fail,
    runes::{first, runes},
};
use crate::{Args, Context, Error, Function, List, Map, Str, Type, Value, fmt::quoted};

const STRING: &[Type] = &[Type::String];
const STRINGS: &[Type] = &[Type::String, Type::String];
const ANY: &[Type] = &[Type::Any];
const STRING_ANY: &[Type] = &[Type::String, Type::Any];
const INT_STRING: &[Type] = &[Type::Int, Type::String];

/// The functions of this family.
pub(super) fn functions() -> Vec<Function> {
    let trim_all = Function::new("trimAll", STRINGS, |_, args| {
        Ok(Value::string(trim_set(args.string(1)?, args.string(0)?)))
    });
    vec![
        Function::new("hello", &[], |_, _| Ok(Value::from("Hello!"))),
        Function::new("trim", STRING, |_, args| Ok(Value::string(trim_space(args.string(0)?)))),
        trim_all.alias("trimall"),
        trim_all,
        Function::new("trimPrefix", STRINGS, |_, args| {
            let (prefix, text) = (args.string(0)?, args.string(1)?);
            Ok(text.strip_prefix(&**prefix).map_or_else(|| text.clone().into(), Value::string))
        }),
        Function::new("trimSuffix", STRINGS, |_, args| {
            let (suffix, text) = (args.string(0)?, args.string(1)?);
            Ok(text.strip_suffix(&**suffix).map_or_else(|| text.clone().into(), Value::string))
        }),
        Function::new("contains", STRINGS, |_, args| {
            Ok(Value::Bool(memmem::find(args.string(1)?, args.string(0)?).is_some()))
        }),
        Function::new("hasPrefix", STRINGS, |_, args| {
            Ok(Value::Bool(args.string(1)?.starts_with(args.string(0)?)))
        }),
        Function::new("hasSuffix", STRINGS, |_, args| {
            Ok(Value::Bool(args.string(1)?.ends_with(args.string(0)?)))
        }),
        Function::new("replace", &[Type::String, Type::String, Type::String], replace),
        Function::new("repeat", INT_STRING, |cx, args| {
            let text = repeated(cx, args.int(0)?, args.string(1)?)?;
            Ok(Value::string(text))
        }),
        Function::variadic("quote", ANY, |cx, args| {
            joined(cx, args, |value| Ok(quoted(&to_text(cx, value)?).into()))
        }),
        Function::variadic("squote", ANY, |cx, args| {
            joined(cx, args, |value| cx.sprintf(b"'%v'", one(value)))
        }),
        Function::variadic("cat", ANY, |cx, args| joined(cx, args, |value| cx.sprintf(b"%v", one(value)))),
        Function::new("indent", INT_STRING, |cx, args| {
            Ok(Value::string(indented(cx, args.int(0)?, args.string(1)?, b"")?))
        }),
        Function::new("nindent", INT_STRING, |cx, args| {
            Ok(Value::string(indented(cx, args.int(0)?, args.string(1)?, b"\n")?))
        }),
        Function::new("plural", &[Type::String, Type::String, Type::Int], |_, args| {
            Ok(args.string(if args.int(2)? == 1 { 0 } else { 1 })?.clone().into())
        }),
        Function::new("toString", ANY, |cx, args| Ok(to_text(cx, args.any(0))?.into())),
        Function::new("toStrings", ANY, |cx, args| Ok(to_texts(cx, args.any(0))?.into())),
        Function::new("join", STRING_ANY, |cx, args| {
            let texts = to_texts(cx, args.any(1))?;
            Ok(Value::string(join(cx, args.string(0)?, &texts)?))
        }),
        Function::new("sortAlpha", ANY, sort_alpha),
        Function::new("splitList", STRINGS, |cx, args| {
            Ok(List::strings(split(cx, args.string(1)?, args.string(0)?, -1)?).into())
        }),
        Function::new("split", STRINGS, |cx, args| {
            Ok(numbered(split(cx, args.string(1)?, args.string(0)?, -1)?))
        }),
        Function::new("splitn", &[Type::String, Type::Int, Type::String], |cx, args| {
            Ok(numbered(split(cx, args.string(2)?, args.string(0)?, args.int(1)?)?))
        }),
    ]
}

/// A function from one text to another.
pub(super) fn on_text(name: &'static str, change: fn(&[u8]) -> Vec<u8>) -> Function {
    Function::new(name, STRING, move |cx, args| {
        let text = change(args.string(0)?);
        cx.charge(text.len())?;
        Ok(Value::string(text))
    })
}

fn one(value: &Value) -> &[Value] {
    std::slice::from_ref(value)
}

/// The text of a value: that of strings, bytes, errors and whatever has a `String()` is their own, else Go's `%v`.
pub(super) fn to_text(cx: &Context<'_>, value: &Value) -> Result<Str, Error> {
    match value {
        Value::Bytes(text) => Ok(text.clone()),
        other => cx.text(other),
    }
}

/// The texts of a list without its nils; of any other value its own text.
pub(super) fn to_texts(cx: &Context<'_>, value: &Value) -> Result<List, Error> {
    match value {
        Value::List(list) if list.elem() == Type::String => Ok(list.clone()),
        Value::List(list) => {
            let items = list.iter().filter(|item| !item.is_nil());
            Ok(List::strings(items.map(|item| to_text(cx, item)).collect::<Result<Vec<_>, _>>()?))
        }
        Value::Bytes(bytes) => Ok(List::strings(bytes.iter().map(u8::to_string))),
        Value::Absent | Value::Nil => Ok(List::strings(Vec::<Str>::new())),
        Value::Object(object) if matches!(object.underlying(), Some(Value::List(_))) => {
            to_texts(cx, &object.underlying().unwrap_or_default())
        }
        other => Ok(List::strings([to_text(cx, other)?])),
    }
}

/// The arguments that are not nil, each made to text, with blanks between them.
fn joined(
    cx: &Context<'_>,
    args: &Args,
    write: impl Fn(&Value) -> Result<Str, Error>,
) -> Result<Value, Error> {
    let mut out = Vec::new();
    for (index, value) in args.all().iter().filter(|value| !value.is_nil()).enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(&write(value)?);
    }
    cx.charge(out.len())?;
    Ok(Value::string(out))
}

fn join(cx: &Context<'_>, separator: &[u8], texts: &List) -> Result<Vec<u8>, Error> {
    let length = texts.iter().filter_map(Value::as_str).map(|text| text.len()).fold(0, usize::saturating_add);
    let between = separator.len().saturating_mul(texts.len().saturating_sub(1));
    cx.charge(length.saturating_add(between))?;
    let mut out = Vec::with_capacity(length.saturating_add(between));
    for (index, text) in texts.iter().filter_map(Value::as_str).enumerate() {
        if index > 0 {
            out.extend_from_slice(separator);
        }
        out.extend_from_slice(text);
    }
    Ok(out)
}

/// Without the blanks (of Unicode) at both ends.
pub(super) fn trim_space(text: &[u8]) -> &[u8] {
    trim(text, char::is_whitespace)
}

/// Without the characters of a set at both ends.
fn trim_set<'a>(text: &'a [u8], set: &[u8]) -> &'a [u8] {
    let set: Vec<char> = runes(set).map(|(c, _)| c).collect();
    trim(text, |c| set.contains(&c))
}

fn trim(mut text: &[u8], drop: impl Fn(char) -> bool) -> &[u8] {
    while let Some((_, length)) = first(text).filter(|(c, _)| drop(*c)) {
        text = &text[length..];
    }
    while let Some((_, length)) = last(text).filter(|(c, _)| drop(*c)) {
        text = &text[..text.len() - length];
    }
    text
}

/// The last character and its length.
fn last(text: &[u8]) -> Option<(char, usize)> {
    let start = (1..=text.len().min(4)).find(|back| {
        let at = text.len() - back;
        text[at] & 0xc0 != 0x80 && first(&text[at..]).is_some_and(|(_, length)| length == *back)
    });
    match start {
        Some(back) => first(&text[text.len() - back..]),
        None => text.last().map(|_| (char::REPLACEMENT_CHARACTER, 1)),
    }
}

fn replace(cx: &Context<'_>, args: &Args) -> Result<Value, Error> {
    let (old, new, text) = (args.string(0)?, args.string(1)?, args.string(2)?);
    if old.is_empty() {
        let count = runes(text).count().saturating_add(1);
        cx.charge(text.len().saturating_add(new.len().saturating_mul(count)))?;
        let mut out = new.to_vec();
        let mut at = 0;
        for (_, length) in runes(text) {
            out.extend_from_slice(&text[at..at + length]);
            out.extend_from_slice(new);
            at += length;
        }
        return Ok(Value::string(out));
    }
    let places: Vec<usize> = memmem::find_iter(text, &**old).collect();
    if places.is_empty() {
        return Ok(text.clone().into());
    }
    cx.charge(text.len().saturating_add(new.len().saturating_mul(places.len())))?;
    let mut out = Vec::with_capacity(text.len());
    let mut copied = 0;
    for at in places {
        out.extend_from_slice(&text[copied..at]);
        out.extend_from_slice(new);
        copied = at + old.len();
    }
    out.extend_from_slice(&text[copied..]);
    Ok(Value::string(out))
}

fn repeated(cx: &Context<'_>, count: i64, text: &[u8]) -> Result<Vec<u8>, Error> {
    let count = usize::try_from(count).map_err(|_| fail("strings: negative Repeat count"))?;
    cx.charge(text.len().saturating_mul(count))?;
    Ok(text.repeat(if text.is_empty() { 0 } else { count }))
}

/// Blanks in front of every line, also of empty ones.
fn indented(cx: &Context<'_>, width: i64, text: &[u8], head: &[u8]) -> Result<Vec<u8>, Error> {
    let width = usize::try_from(width).map_err(|_| fail("strings: negative Repeat count"))?;
    let breaks = memchr::memchr_iter(b'\n', text).count();
    let length = width.saturating_mul(breaks.saturating_add(1)).saturating_add(text.len() + head.len());
    cx.charge(length)?;
    let mut out = Vec::with_capacity(length);
    out.extend_from_slice(head);
    for (index, line) in text.split(|b| *b == b'\n').enumerate() {
        if index > 0 {
            out.push(b'\n');
        }
        out.resize(out.len() + width, b' ');
        out.extend_from_slice(line);
    }
    Ok(out)
}

fn sort_alpha(cx: &Context<'_>, args: &Args) -> Result<Value, Error> {
    let texts = match args.any(0) {
        list @ (Value::List(_) | Value::Bytes(_)) => to_texts(cx, list)?,
        other => List::strings([to_text(cx, other)?]),
    };
    let mut sorted: Vec<Str> = texts.iter().filter_map(Value::as_str).cloned().collect();
    sorted.sort_unstable();
    Ok(List::strings(sorted).into())
}

/// The pieces between separators: at most `limit` of them if it is not negative. No separator splits into characters.
fn split<'a>(cx: &Context<'_>, text: &'a [u8], separator: &[u8], limit: i64) -> Result<Vec<&'a [u8]>, Error> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut pieces = Vec::new();
    if limit == 0 {
        return Ok(pieces);
    }
    let mut rest = text;
    if separator.is_empty() {
        while let Some((_, length)) = first(rest) {
            if pieces.len() + 1 == limit {
                pieces.push(rest);
                break;
            }
            cx.check_items(pieces.len() + 1)?;
            pieces.push(&rest[..length]);
            rest = &rest[length..];
        }
        return Ok(pieces);
    }
    let finder = memmem::Finder::new(separator);
    while pieces.len() + 1 < limit
        && let Some(at) = finder.find(rest)
    {
        cx.check_items(pieces.len() + 2)?;
        pieces.push(&rest[..at]);
        rest = &rest[at + separator.len()..];
    }
    pieces.push(rest);
    Ok(pieces)
}

/// A map with the keys `_0`, `_1`, …
fn numbered(pieces: Vec<&[u8]>) -> Value {
    Map::strings(pieces.into_iter().enumerate().map(|(index, piece)| (format!("_{index}"), piece))).into()
}
