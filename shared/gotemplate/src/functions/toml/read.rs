//! TOML to values: int64, float64, bool, string, time, lists and maps.

use std::sync::Arc;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    List, Map, Type, Value,
    functions::{
        cast::parse_plain,
        gotime::{self, Time, Zone},
        json::Parsed,
    },
};

/// Reads a document. Its nesting is bounded by the parser.
pub(super) fn read(text: &str) -> Parsed {
    let document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let why = match (error.message(), error.span().and_then(|span| text.get(span))) {
                ("duplicate key", Some(key)) => {
                    format!("toml: line {line} (last key {key:?}): Key '{key}' has already been defined.")
                }
                (message, _) => format!("toml: line {line}: {}", message.replace('\n', "; ")),
            };
            return Parsed { value: Value::Nil, error: Some(why) };
        }
    };
    let mut fault = None;
    let value = table(document.get_ref(), text, &mut fault);
    Parsed { value, error: fault }
}

fn table(table: &DeTable<'_>, text: &str, fault: &mut Option<String>) -> Value {
    let pair = |(key, entry): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
        (key.get_ref().to_string(), value(entry, text, fault))
    };
    table.iter().map(pair).collect::<Map>().into()
}

fn value(entry: &Spanned<DeValue<'_>>, text: &str, fault: &mut Option<String>) -> Value {
    match entry.get_ref() {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(yes) => Value::Bool(*yes),
        DeValue::Integer(number) => match parse_plain(number.as_str().as_bytes(), number.radix()) {
            Some(number) => Value::Int64(number),
            None => {
                fault.get_or_insert_with(|| format!("toml: {number} is out of range for int64"));
                Value::Nil
            }
        },
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Datetime(moment) => {
            let has = (moment.date.is_some(), moment.time.is_some(), moment.offset.is_some());
            match time(has, &moment.to_string()) {
                Some(time) => time.into(),
                None => {
                    fault.get_or_insert_with(|| format!("toml: invalid datetime: \"{moment}\""));
                    Value::Nil
                }
            }
        }
        DeValue::Array(items) => {
            // Tables under `[[name]]` are a list of maps; written within brackets they are a list of anything.
            let headed = |item: &Spanned<DeValue<'_>>| {
                item.get_ref().is_table() && text.get(item.span()).is_some_and(|part| part.starts_with('['))
            };
            let elements = if !items.is_empty() && items.iter().all(headed) { Type::MAP } else { Type::Any };
            List::typed(elements, items.iter().map(|item| value(item, text, fault)).collect()).into()
        }
        DeValue::Table(entries) => table(entries, text, fault),
    }
}

/// A time, from which of date, time and offset it has. What has no zone gets one whose name says so, as in the peer.
fn time(has: (bool, bool, bool), text: &str) -> Option<Time> {
    let (layout, zone): (&[u8], _) = match has {
        (true, true, true) => (b"2006-01-02T15:04:05Z07:00", Zone::Utc),
        (true, true, false) => (b"2006-01-02T15:04:05", local("datetime-local")),
        (true, false, _) => (b"2006-01-02", local("date-local")),
        (false, ..) => (b"15:04:05", local("time-local")),
    };
    gotime::parse(layout, text.as_bytes(), &zone).ok()
}

fn local(name: &str) -> Zone {
    Zone::Fixed(Arc::from(name), 0)
}
