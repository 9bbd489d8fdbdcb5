//! JSON as Go's encoder writes it: keys sorted by bytes, HTML characters escaped.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, ser};

/// Whether `<`, `>` and `&` are escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Html {
    /// `\u003c`: Go's default.
    Escape,
    /// As they are.
    Raw,
}

/// Writes compact JSON with sorted keys and Go's escapes, without a final newline.
///
/// U+2028 and U+2029 are always escaped; other characters beyond ASCII never are.
#[must_use]
pub fn to_string(value: &Value, html: Html) -> String {
    let mut out = String::new();
    write(&mut out, value, html, None, 0);
    out
}

/// Writes JSON as [`to_string`] does, one pair or item per line, indented by `indent` per level.
#[must_use]
pub fn to_string_indented(value: &Value, html: Html, indent: &str) -> String {
    let mut out = String::new();
    write(&mut out, value, html, Some(indent), 0);
    out
}

/// Writes a structure as Go's encoder writes a struct: compact, fields as they are declared, HTML characters escaped.
///
/// A [`Value`] in it keeps the order of its map; [`to_string`] sorts.
///
/// # Errors
/// What the structure's own [`Serialize`] refuses, and maps whose keys are no texts.
pub fn encode<T: Serialize>(structure: &T) -> Result<String, serde_json::Error> {
    let mut out = Vec::new();
    structure.serialize(&mut ser::Serializer::with_formatter(&mut out, Go))?;
    String::from_utf8(out).map_err(|error| serde::ser::Error::custom(error.to_string()))
}

struct Go;

impl ser::Formatter for Go {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(float_text(value).as_bytes())
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        let mut rest = text;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (plain, tail) = rest.split_at(at);
            let mut chars = tail.chars();
            let escaped = chars.next().map(u32::from).unwrap_or_default();
            write!(writer, "{plain}\\u{escaped:04x}")?;
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

fn write(out: &mut String, value: &Value, html: Html, indent: Option<&str>, level: usize) {
    let line = |out: &mut String, level: usize| {
        if let Some(indent) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(indent, level));
        }
    };
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) => write_text(out, text, html),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(out, level + 1);
                write(out, item, html, indent, level + 1);
            }
            if !items.is_empty() {
                line(out, level);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.iter().collect();
            pairs.sort_by_key(|(key, _)| key.as_bytes());
            out.push('{');
            for (index, (key, value)) in pairs.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(out, level + 1);
                write_text(out, key, html);
                out.push(':');
                if indent.is_some() {
                    out.push(' ');
                }
                write(out, value, html, indent, level + 1);
            }
            if !map.is_empty() {
                line(out, level);
            }
            out.push('}');
        }
    }
}

fn number_text(number: &serde_json::Number) -> String {
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(float) => float_text(float),
        None => number.to_string(),
    }
}

/// A float as Go's encoder writes it: exponents only below 1e-6 and from 1e21.
fn float_text(float: f64) -> String {
    let magnitude = float.abs();
    if float != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{float:e}");
        return match text.split_once('e') {
            Some((mantissa, exponent)) if !exponent.starts_with('-') => format!("{mantissa}e+{exponent}"),
            _ => text,
        };
    }
    format!("{float}")
}

fn write_text(out: &mut String, text: &str, html: Html) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' if html == Html::Escape => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
