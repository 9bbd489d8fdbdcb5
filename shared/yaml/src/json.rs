//! JSON as Go's encoder writes it: keys sorted by bytes, HTML characters escaped.

use serde_json::Value;

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

/// A number as Go's encoder writes it: exponents only below 1e-6 and from 1e21.
fn number_text(number: &serde_json::Number) -> String {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else { return number.to_string() };
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
