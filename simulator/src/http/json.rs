//! JSON as Go's decoder reads it: what it complains of, in its words, and the fields that it finds twice.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A text that was read.
#[derive(Debug, PartialEq)]
pub(super) struct Read {
    /// Of fields that are there twice the last counts.
    pub(super) value: Value,
    /// The paths of such fields, as `spec.containers[0].name`.
    pub(super) duplicates: Vec<String>,
}

/// Reads a text.
///
/// # Errors
/// What Go's decoder says of a text that is no JSON.
pub(super) fn read(text: &[u8]) -> Result<Read, String> {
    let mut duplicates = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Node { path: &mut String::new(), duplicates: &mut duplicates }.deserialize(&mut deserializer);
    match value.and_then(|value| deserializer.end().map(|()| value)) {
        Ok(value) => Ok(Read { value, duplicates }),
        Err(error) => Err(complaint(text).unwrap_or_else(|| error.to_string())),
    }
}

/// The Go type of a value, as its decoder names it.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

struct Node<'a> {
    path: &'a mut String,
    duplicates: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        let length = self.path.len();
        loop {
            self.path.push_str(&format!("[{}]", list.len()));
            let item =
                items.next_element_seed(Node { path: &mut *self.path, duplicates: &mut *self.duplicates })?;
            self.path.truncate(length);
            match item {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        let length = self.path.len();
        let mut told = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if length > 0 {
                self.path.push('.');
            }
            self.path.push_str(&key);
            if map.contains_key(&key) && told.insert(key.clone()) {
                self.duplicates.push(self.path.clone());
            }
            let value =
                entries.next_value_seed(Node { path: &mut *self.path, duplicates: &mut *self.duplicates })?;
            self.path.truncate(length);
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// What Go says of a text with a fault; nothing where it sees none.
fn complaint(text: &[u8]) -> Option<String> {
    Scanner { text, at: 0 }.document().err()
}

/// Goes through a text as Go's scanner does. Nested values are counted, not descended into.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn document(&mut self) -> Result<(), String> {
        let mut open: Vec<u8> = Vec::new();
        'value: loop {
            match self.next()? {
                b'[' if self.ahead() != Some(b']') => {
                    open.push(b']');
                    continue;
                }
                b'{' if self.ahead() != Some(b'}') => {
                    self.key("looking for beginning of object key string")?;
                    open.push(b'}');
                    continue;
                }
                b'[' | b'{' => self.at += 1,
                b'"' => self.string()?,
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                digit @ (b'-' | b'0'..=b'9') => self.number(digit)?,
                _ => return self.unexpected("looking for beginning of value"),
            }
            loop {
                let Some(close) = open.last().copied() else {
                    return match self.ahead() {
                        None => Ok(()),
                        Some(_) => {
                            self.at += 1;
                            self.unexpected("after top-level value")
                        }
                    };
                };
                match self.next()? {
                    b',' if close == b'}' => {
                        self.key("looking for beginning of object key string")?;
                        continue 'value;
                    }
                    b',' => continue 'value,
                    byte if byte == close => drop(open.pop()),
                    _ if close == b'}' => return self.unexpected("after object key:value pair"),
                    _ => return self.unexpected("after array element"),
                }
            }
        }
    }

    /// The next byte that is no blank, which stays.
    fn ahead(&mut self) -> Option<u8> {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, String> {
        self.ahead();
        self.byte()
    }

    fn byte(&mut self) -> Result<u8, String> {
        let byte = self.text.get(self.at).copied().ok_or("unexpected end of JSON input")?;
        self.at += 1;
        Ok(byte)
    }

    fn unexpected<T>(&self, doing: &str) -> Result<T, String> {
        let byte = self.text.get(self.at.saturating_sub(1)).copied().unwrap_or(b' ');
        let shown = match byte {
            b'\'' => r"'\''".to_owned(),
            b'"' => "'\"'".to_owned(),
            other => format!("'{}'", char::from(other).escape_default()),
        };
        Err(format!("invalid character {shown} {doing}"))
    }

    fn key(&mut self, doing: &str) -> Result<(), String> {
        if self.next()? != b'"' {
            return self.unexpected(doing);
        }
        self.string()?;
        if self.next()? != b':' {
            return self.unexpected("after object key");
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), String> {
        for expected in word.bytes().skip(1) {
            if self.byte()? != expected {
                return self.unexpected(&format!("in literal {word} (expecting '{}')", char::from(expected)));
            }
        }
        Ok(())
    }

    fn number(&mut self, first: u8) -> Result<(), String> {
        let lead = if first == b'-' { self.byte()? } else { first };
        if !lead.is_ascii_digit() {
            return self.unexpected("in numeric literal");
        }
        if lead != b'0' {
            self.digits();
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits("after decimal point in numeric literal")?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn digits(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self, doing: &str) -> Result<(), String> {
        if !self.byte()?.is_ascii_digit() {
            return self.unexpected(doing);
        }
        self.digits();
        Ok(())
    }

    fn string(&mut self) -> Result<(), String> {
        loop {
            match self.byte()? {
                b'"' => return Ok(()),
                b'\\' => match self.byte()? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'"' | b'\\' | b'/' => {}
                    b'u' => {
                        for _ in 0..4 {
                            if !self.byte()?.is_ascii_hexdigit() {
                                return self.unexpected("in \\u hexadecimal character escape");
                            }
                        }
                    }
                    _ => return self.unexpected("in string escape code"),
                },
                byte if byte < b' ' => return self.unexpected("in string literal"),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_as_go_tells_them() {
        for (text, want) in [
            ("", "unexpected end of JSON input"),
            ("{", "unexpected end of JSON input"),
            ("nonsense", "invalid character 'o' in literal null (expecting 'u')"),
            ("{a: 1}", "invalid character 'a' looking for beginning of object key string"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("[1 2]", "invalid character '2' after array element"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("\"\\x\"", "invalid character 'x' in string escape code"),
            ("<html>", "invalid character '<' looking for beginning of value"),
        ] {
            assert_eq!(read(text.as_bytes()).unwrap_err(), want, "{text}");
        }
    }

    #[test]
    fn fields_that_are_there_twice_are_found() {
        let read = read(br#"{"a": 1, "b": [{"c": 1, "c": 2, "c": 3}], "a": 2}"#).unwrap();
        assert_eq!(read.duplicates, ["b[0].c", "a"]);
        assert_eq!(read.value, serde_json::json!({"a": 2, "b": [{"c": 3}]}));
    }
}
