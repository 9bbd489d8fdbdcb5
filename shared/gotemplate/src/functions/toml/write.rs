//! Values to TOML: plain entries before tables, tables below their names, indented by two per level.

use super::nil;
use crate::{
    Context, Error, Kind, Stop, Value,
    fmt::float,
    functions::{dates::time_of, fail},
    stack,
};

/// Writes a value.
///
/// # Errors
/// The encoder's text for what TOML cannot hold; [`Stop`] if it gets too long or is nested too deeply.
pub(super) fn write(cx: &Context<'_>, value: &Value) -> Result<String, Error> {
    let mut writer = Writer { out: String::new(), limit: cx.options().max_output };
    match kind_of(value)? {
        Form::Nothing => return Err(nil()),
        Form::Table => writer.table(&entries(value), &mut Vec::new())?,
        Form::Tables => return Err(fail("toml: top-level values must be Go maps or structs")),
        Form::Plain => writer.plain(value)?,
    }
    cx.charge(writer.out.len())?;
    Ok(writer.out)
}

/// How a value is written as an entry of a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Not at all: nil.
    Nothing,
    /// `key = value`
    Plain,
    /// `[key]` and lines below.
    Table,
    /// `[[key]]` for each item.
    Tables,
}

fn kind_of(value: &Value) -> Result<Form, Error> {
    Ok(match value {
        Value::Absent | Value::Nil => Form::Nothing,
        Value::List(list) if list.is_nil() => Form::Plain,
        Value::List(list) => {
            if list.iter().any(Value::is_nil) {
                return Err(fail("toml: cannot encode array with nil element"));
            }
            let tables = !list.is_empty() && list.iter().all(is_table);
            if tables { Form::Tables } else { Form::Plain }
        }
        other if is_table(other) => Form::Table,
        _ => Form::Plain,
    })
}

/// Maps, and structs without a text of their own.
fn is_table(value: &Value) -> bool {
    match value {
        Value::Map(_) => true,
        Value::Object(object) => {
            object.go_type().kind == Kind::Struct && object.text().is_none() && time_of(value).is_none()
        }
        _ => false,
    }
}

fn is_nil(value: &Value) -> bool {
    match value {
        Value::List(list) => list.is_nil(),
        Value::Map(map) => map.is_nil(),
        other => other.is_nil(),
    }
}

/// The entries of a table that are not nil.
fn entries(value: &Value) -> Vec<(String, Value)> {
    let all: Vec<(String, Value)> = match value {
        Value::Map(map) => {
            map.snapshot().into_iter().map(|(key, value)| (key.to_str().into_owned(), value)).collect()
        }
        Value::Object(object) => {
            object.fields().into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
        }
        _ => Vec::new(),
    };
    all.into_iter().filter(|(_, value)| !is_nil(value)).collect()
}

struct Writer {
    out: String,
    limit: usize,
}

impl Writer {
    fn check(&self) -> Result<(), Error> {
        if !stack::has_room() {
            return Err(Stop::Depth.into());
        }
        if self.out.len() > self.limit {
            return Err(Stop::Output(self.limit).into());
        }
        Ok(())
    }

    /// Writes the entries of the table at `path`.
    fn table(&mut self, entries: &[(String, Value)], path: &mut Vec<String>) -> Result<(), Error> {
        self.check()?;
        let mut tables = Vec::new();
        for (key, value) in entries {
            let form = kind_of(value)?;
            if form == Form::Plain {
                self.out.push_str(&"  ".repeat(path.len()));
                self.out.push_str(&name(key));
                self.out.push_str(" = ");
                self.plain(value)?;
                self.out.push('\n');
            } else {
                tables.push((key, value, form));
            }
        }
        for (key, value, form) in tables {
            path.push(name(key));
            let (indent, header) = ("  ".repeat(path.len() - 1), path.join("."));
            match value {
                Value::List(list) if form == Form::Tables => {
                    for item in list.iter().filter(|item| !is_nil(item)) {
                        self.gap();
                        self.out.push_str(&format!("{indent}[[{header}]]\n"));
                        self.table(&self::entries(item), path)?;
                    }
                }
                _ => {
                    if path.len() == 1 {
                        self.gap();
                    }
                    self.out.push_str(&format!("{indent}[{header}]\n"));
                    self.table(&self::entries(value), path)?;
                }
            }
            path.pop();
        }
        Ok(())
    }

    /// An empty line, unless it would be the first.
    fn gap(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    /// Writes a value on one line.
    fn plain(&mut self, value: &Value) -> Result<(), Error> {
        self.check()?;
        match value {
            Value::Bool(yes) => self.out.push_str(if *yes { "true" } else { "false" }),
            Value::Int(n) | Value::Int64(n) => self.out.push_str(&n.to_string()),
            Value::Uint8(n) => self.out.push_str(&n.to_string()),
            Value::Uint32(n) => self.out.push_str(&n.to_string()),
            Value::Uint64(n) => self.out.push_str(&n.to_string()),
            Value::Float(x) => self.out.push_str(&float_text(*x)),
            Value::String(text) => self.out.push_str(&quoted(&text.to_str())),
            Value::List(list) => self.list(list.iter())?,
            Value::Bytes(bytes) => {
                self.list(bytes.iter().map(|byte| Value::Uint8(*byte)).collect::<Vec<_>>().iter())?
            }
            Value::Map(_) => self.inline(value)?,
            Value::Object(object) => match (time_of(value), object.text(), object.underlying()) {
                (Some(time), ..) => self.out.push_str(&time.rfc3339()),
                // A named number is a number, but a duration is a text.
                (None, _, Some(number @ Value::Int(_))) => self.plain(&number)?,
                (None, Some(text), _) => self.out.push_str(&quoted(&text.to_str())),
                (None, None, Some(value)) => self.plain(&value)?,
                (None, None, None) => self.inline(value)?,
            },
            Value::Absent | Value::Nil => return Err(nil()),
            Value::Complex(..) => return Err(fail("unsupported type: complex128")),
        }
        Ok(())
    }

    fn list<'a>(&mut self, items: impl Iterator<Item = &'a Value>) -> Result<(), Error> {
        self.out.push('[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            kind_of(item)?;
            self.plain(item)?;
        }
        self.out.push(']');
        Ok(())
    }

    /// A table within braces, plain entries first here too.
    fn inline(&mut self, value: &Value) -> Result<(), Error> {
        let (mut plain, mut tables) = (Vec::new(), Vec::new());
        for (key, value) in entries(value) {
            let into = if kind_of(&value)? == Form::Plain { &mut plain } else { &mut tables };
            into.push((key, value));
        }
        self.out.push('{');
        for (index, (key, value)) in plain.into_iter().chain(tables).enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            self.out.push_str(&format!("{} = ", name(&key)));
            self.plain(&value)?;
        }
        self.out.push('}');
        Ok(())
    }
}

/// A key, in quotes if it has characters that need them.
fn name(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { key.to_owned() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0'..=' ' | '\u{7f}' if c != ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A float always has a point or an exponent.
fn float_text(x: f64) -> String {
    if x.is_nan() {
        return "nan".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let text = float(x);
    if text.contains(['.', 'e']) { text } else { format!("{text}.0") }
}
