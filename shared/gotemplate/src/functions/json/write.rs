//! Values to JSON.

use crate::{
    Context, Error, Stop, Value,
    functions::{encode::base64, fail, runes::runes},
    stack,
};

/// How JSON is written.
#[derive(Debug, Clone, Copy)]
pub(in crate::functions) struct Style {
    /// Whether `<`, `>` and `&` are escaped.
    pub(in crate::functions) html: bool,
    /// Whether every entry has a line of its own, indented by two.
    pub(in crate::functions) indent: bool,
}

/// Writes a value.
///
/// # Errors
/// The encoder's text for what JSON cannot hold; [`Stop`] if it gets too long or is nested too deeply.
pub(in crate::functions) fn write(cx: &Context<'_>, value: &Value, style: Style) -> Result<Vec<u8>, Error> {
    let mut writer = Writer { out: Vec::new(), style, limit: cx.options().max_output };
    writer.value(value, 0)?;
    cx.charge(writer.out.len())?;
    Ok(writer.out)
}

struct Writer {
    out: Vec<u8>,
    style: Style,
    limit: usize,
}

impl Writer {
    fn value(&mut self, value: &Value, level: usize) -> Result<(), Error> {
        if !stack::has_room() {
            return Err(Stop::Depth.into());
        }
        if self.out.len() > self.limit {
            return Err(Stop::Output(self.limit).into());
        }
        match value {
            Value::Absent | Value::Nil => self.put("null"),
            Value::Bool(yes) => self.put(if *yes { "true" } else { "false" }),
            Value::Int(n) | Value::Int64(n) => self.put(&n.to_string()),
            Value::Uint8(n) => self.put(&n.to_string()),
            Value::Uint32(n) => self.put(&n.to_string()),
            Value::Uint64(n) => self.put(&n.to_string()),
            Value::Float(x) => match float_text(*x) {
                Ok(text) => self.put(&text),
                Err(what) => return Err(fail(format!("json: unsupported value: {what}"))),
            },
            Value::Complex(..) => return Err(fail("json: unsupported type: complex128")),
            Value::String(text) => self.text(text),
            Value::Bytes(bytes) => self.put(&format!("\"{}\"", base64(bytes))),
            Value::List(list) if list.is_nil() => self.put("null"),
            Value::List(list) => {
                self.out.push(b'[');
                for (index, item) in list.iter().enumerate() {
                    self.begin(index, level + 1);
                    self.value(item, level + 1)?;
                }
                self.end(list.is_empty(), level);
                self.out.push(b']');
            }
            Value::Map(map) if map.is_nil() => self.put("null"),
            Value::Map(map) => {
                self.out.push(b'{');
                for (index, (key, entry)) in map.entries().iter().enumerate() {
                    self.begin(index, level + 1);
                    self.text(key);
                    self.put(if self.style.indent { ": " } else { ":" });
                    self.value(entry, level + 1)?;
                }
                self.end(map.is_empty(), level);
                self.out.push(b'}');
            }
            Value::Object(object) => self.tree(&object.to_json().map_err(fail)?, level)?,
        }
        Ok(())
    }

    /// What an object made of itself.
    fn tree(&mut self, tree: &serde_json::Value, level: usize) -> Result<(), Error> {
        self.value(&Value::from_json(tree, crate::value::Numbers::Keep), level)
    }

    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn begin(&mut self, index: usize, level: usize) {
        if index > 0 {
            self.out.push(b',');
        }
        self.line(level);
    }

    fn end(&mut self, empty: bool, level: usize) {
        if !empty {
            self.line(level);
        }
    }

    fn line(&mut self, level: usize) {
        if self.style.indent {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + 2 * level, b' ');
        }
    }

    fn text(&mut self, text: &[u8]) {
        self.out.push(b'"');
        let mut rest = text;
        while !rest.is_empty() {
            let plain = rest.iter().take_while(|b| self.is_plain(**b)).count();
            let (head, tail) = rest.split_at(plain);
            self.out.extend_from_slice(head);
            let Some((c, length)) = runes(tail).next() else { break };
            match c {
                '"' => self.put("\\\""),
                '\\' => self.put("\\\\"),
                '\n' => self.put("\\n"),
                '\r' => self.put("\\r"),
                '\t' => self.put("\\t"),
                '\u{8}' => self.put("\\b"),
                '\u{c}' => self.put("\\f"),
                char::REPLACEMENT_CHARACTER if length == 1 => self.put("\\ufffd"),
                '\u{2028}' | '\u{2029}' | '\0'..='\u{7f}' => self.put(&format!("\\u{:04x}", u32::from(c))),
                _ => self.out.extend_from_slice(&tail[..length]),
            }
            rest = &tail[length..];
        }
        self.out.push(b'"');
    }

    /// Whether a byte stands for itself. (DEL does.)
    fn is_plain(&self, byte: u8) -> bool {
        match byte {
            b'"' | b'\\' => false,
            b'<' | b'>' | b'&' => !self.style.html,
            _ => byte.is_ascii() && byte >= b' ',
        }
    }
}

/// A float with the shortest digits: exponents only below 1e-6 and from 1e21.
fn float_text(x: f64) -> Result<String, &'static str> {
    if x.is_nan() {
        return Err("NaN");
    }
    if x.is_infinite() {
        return Err(if x > 0.0 { "+Inf" } else { "-Inf" });
    }
    if x == 0.0 || (1e-6..1e21).contains(&x.abs()) {
        return Ok(x.to_string());
    }
    let text = format!("{x:e}");
    Ok(match text.split_once('e') {
        Some((mantissa, exponent)) if !exponent.starts_with('-') => format!("{mantissa}e+{exponent}"),
        _ => text,
    })
}
