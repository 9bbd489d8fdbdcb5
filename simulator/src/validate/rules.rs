//! What the rules of several kinds share: numbers, ports, choices, selectors of labels.

use serde_json::Value;

use super::FieldError;
use super::error::Struct;
use super::{meta, names, quantity};

pub(super) const IMMUTABLE: &str = "field is immutable";
/// Transport protocols.
pub(super) const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

/// The texts of a list or the objects of a list; nothing where there is no list.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Whether a field is absent, as Go sees it: not there or empty.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Bool(_) => false,
    }
}

pub(super) fn not_negative(value: &Value, path: impl Into<String>, out: &mut Vec<FieldError>) {
    if value.as_i64().is_some_and(|number| number < 0) {
        out.push(FieldError::invalid(path, value, "must be greater than or equal to 0"));
    }
}

pub(super) fn in_range(value: &Value, min: i64, max: i64, path: &str, out: &mut Vec<FieldError>) {
    if value.as_i64().is_some_and(|number| !(min..=max).contains(&number)) {
        out.push(FieldError::invalid(path, value, format!("must be between {min} and {max}, inclusive")));
    }
}

/// A value without which the object makes no sense.
pub(super) fn required(value: &Value, path: impl Into<String>, out: &mut Vec<FieldError>) {
    if is_empty(value) {
        out.push(FieldError::required(path, ""));
    }
}

/// A value that stays as it was when the object was made.
pub(super) fn immutable(new: &Value, old: &Value, path: &str, out: &mut Vec<FieldError>) {
    if !same(new, old) {
        out.push(FieldError::invalid(path, new, IMMUTABLE));
    }
}

/// As [`immutable`], of a struct of that name.
pub(super) fn immutable_struct(
    kind: &'static str,
    new: &Value,
    old: &Value,
    path: &str,
    out: &mut Vec<FieldError>,
) {
    if !same(new, old) {
        out.push(FieldError::invalid(path, &Struct(kind, new), IMMUTABLE));
    }
}

/// Whether two values mean the same to Go, which does not tell what is empty from what is absent.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let within = |a: &serde_json::Map<String, Value>, b: &serde_json::Map<String, Value>| {
                a.iter().all(|(key, value)| same(value, b.get(key).unwrap_or(&Value::Null)))
            };
            within(a, b) && within(b, a)
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Null, Value::Object(map)) | (Value::Object(map), Value::Null) => map.is_empty(),
        (Value::Null, Value::Array(items)) | (Value::Array(items), Value::Null) => items.is_empty(),
        (a, b) => a == b,
    }
}

/// A text that must be one of a few.
pub(super) fn required_one_of(value: &Value, allowed: &[&str], path: &str, out: &mut Vec<FieldError>) {
    if is_empty(value) {
        out.push(FieldError::required(path, ""));
    } else {
        one_of(value, allowed, path, out);
    }
}

/// A quantity that is not below zero.
pub(super) fn quantity_not_negative(value: &Value, path: &str, out: &mut Vec<FieldError>) {
    if quantity::nanos(text(value)).is_some_and(|nanos| nanos < 0) {
        out.push(FieldError::invalid(path, value, "must be greater than or equal to 0"));
    }
}

/// A number that is not below zero, or a percentage.
pub(super) fn number_or_percent(value: &Value, path: &str, out: &mut Vec<FieldError>) {
    match value {
        Value::String(text) if percent(text).is_none() => {
            let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or \
                       '93%', regex used for validation is '[0-9]+%')";
            out.push(FieldError::invalid(path, value, why));
        }
        Value::String(_) => {}
        number => not_negative(number, path, out),
    }
}

/// A percentage that is not above a hundred; numbers may be anything.
pub(super) fn at_most_all(value: &Value, path: &str, out: &mut Vec<FieldError>) {
    if percent(text(value)).is_some_and(|number| number > 100) {
        out.push(FieldError::invalid(path, value, "must not be greater than 100%"));
    }
}

/// The number in `25%`.
pub(super) fn percent(text: &str) -> Option<u64> {
    let digits = text.strip_suffix('%')?;
    let good = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
    good.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Whether a number or percentage is nothing.
pub(super) fn is_none_of(value: &Value) -> bool {
    match value {
        Value::String(text) => percent(text).unwrap_or(0) == 0,
        number => number.as_i64().unwrap_or(0) == 0,
    }
}

/// A value that is one of a few; an absent one is nobody's fault here.
pub(super) fn one_of(value: &Value, allowed: &[&str], path: &str, out: &mut Vec<FieldError>) {
    if value.as_str().is_some_and(|text| !allowed.contains(&text)) {
        out.push(FieldError::not_supported(path, value, allowed));
    }
}

/// A text that must be there and follow a grammar.
pub(super) fn named(value: &Value, rule: fn(&str) -> Vec<String>, path: &str, out: &mut Vec<FieldError>) {
    if is_empty(value) {
        out.push(FieldError::required(path, ""));
    } else {
        out.extend(rule(text(value)).into_iter().map(|why| FieldError::invalid(path, value, why)));
    }
}

/// A text that may be absent.
pub(super) fn optional(value: &Value, rule: fn(&str) -> Vec<String>, path: &str, out: &mut Vec<FieldError>) {
    if !is_empty(value) {
        named(value, rule, path, out);
    }
}

/// A port by number or by the name of a container's port.
pub(super) fn port(value: &Value, path: &str, out: &mut Vec<FieldError>) {
    match value {
        Value::String(name) => out
            .extend(names::port_name(name).into_iter().map(|why| FieldError::invalid_text(path, name, why))),
        Value::Null => in_range(&0.into(), 1, 65_535, path, out),
        number => in_range(number, 1, 65_535, path, out),
    }
}

/// The one of some fields that is given; the second and the following ones are refused.
pub(super) fn at_most_one_of<'a>(
    object: &Value,
    fields: &[&'a str],
    path: &str,
    out: &mut Vec<FieldError>,
) -> Option<&'a str> {
    let mut given = fields.iter().copied().filter(|field| object[*field].is_object());
    let first = given.next();
    for other in given {
        out.push(FieldError::forbidden(format!("{path}.{other}"), "may not specify more than 1 volume type"));
    }
    first
}

/// A path below a root: relative, without `..`.
pub(super) fn local_path(value: &Value, path: &str, out: &mut Vec<FieldError>) {
    let text = text(value);
    if text.starts_with('/') {
        out.push(FieldError::invalid(path, value, "must be a relative path"));
    }
    no_way_up(value, path, out);
}

/// A path without `..`.
pub(super) fn no_way_up(value: &Value, path: &str, out: &mut Vec<FieldError>) {
    if text(value).split('/').any(|part| part == "..") {
        out.push(FieldError::invalid(path, value, "must not contain '..'"));
    }
}

/// Whether `selector` is in order; the errors are added.
pub(super) fn label_selector(selector: &Value, path: &str, out: &mut Vec<FieldError>) {
    out.extend(meta::labels(&selector["matchLabels"], &format!("{path}.matchLabels")));
    for (at, expression) in items(&selector["matchExpressions"]).iter().enumerate() {
        let path = format!("{path}.matchExpressions[{at}]");
        let values = items(&expression["values"]);
        match text(&expression["operator"]) {
            "In" | "NotIn" if values.is_empty() => out.push(FieldError::required(
                format!("{path}.values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            )),
            "Exists" | "DoesNotExist" if !values.is_empty() => out.push(FieldError::forbidden(
                format!("{path}.values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => out.push(FieldError::invalid(
                format!("{path}.operator"),
                &expression["operator"],
                "not a valid selector operator",
            )),
        }
        let key = text(&expression["key"]);
        out.extend(
            names::qualified(key)
                .into_iter()
                .map(|why| FieldError::invalid_text(format!("{path}.key"), key, why)),
        );
    }
}

/// Whether a valid selector matches labels; an absent one matches nothing.
pub(super) fn matches(selector: &Value, labels: &Value) -> bool {
    let wanted = selector["matchLabels"].as_object();
    selector.is_object()
        && wanted.into_iter().flatten().all(|(key, value)| labels.get(key) == Some(value))
        && items(&selector["matchExpressions"]).iter().all(|expression| {
            let value = labels.get(text(&expression["key"]));
            let listed = value.is_some_and(|value| items(&expression["values"]).contains(value));
            match text(&expression["operator"]) {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                _ => value.is_none(),
            }
        })
}
