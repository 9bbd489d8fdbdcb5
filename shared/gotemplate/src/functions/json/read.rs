//! JSON to values; all numbers are float64.

use super::Parsed;
use crate::{
    List, Map, Str, Value,
    functions::runes::{first, push},
};

/// Deepest nesting, as in Go.
const MAX_DEPTH: usize = 10_000;

/// Reads a text. A fault in the syntax leaves nothing, a number that is too large only itself.
pub(in crate::functions) fn read(text: &[u8]) -> Parsed {
    let mut reader = Reader { text, at: 0, too_large: None };
    match reader.document() {
        Ok(value) => Parsed { value, error: reader.too_large },
        Err(error) => Parsed { value: Value::Nil, error: Some(error) },
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    too_large: Option<String>,
}

/// A list or map that is not complete yet. No recursion: input may be nested deeply.
enum Open {
    List(Vec<Value>),
    Map(Map, Str),
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Value, String> {
        let mut open: Vec<Open> = Vec::new();
        'value: loop {
            let mut value = match self.next_byte()? {
                opening @ (b'[' | b'{') => {
                    if open.len() >= MAX_DEPTH {
                        return Err("exceeded max depth".to_owned());
                    }
                    self.blanks();
                    if opening == b'[' {
                        if self.peek() != Some(b']') {
                            open.push(Open::List(Vec::new()));
                            continue;
                        }
                        self.at += 1;
                        Value::list(Vec::new())
                    } else {
                        if self.peek() != Some(b'}') {
                            let key = self.key("looking for beginning of object key string")?;
                            open.push(Open::Map(Map::new(), key));
                            continue;
                        }
                        self.at += 1;
                        Value::Map(Map::new())
                    }
                }
                b'"' => Value::String(self.string()?),
                b't' => self.word(b"true", Value::Bool(true))?,
                b'f' => self.word(b"false", Value::Bool(false))?,
                b'n' => self.word(b"null", Value::Nil)?,
                b'-' | b'0'..=b'9' => self.number()?,
                _ => return Err(self.unexpected("looking for beginning of value")),
            };
            loop {
                self.blanks();
                match open.pop() {
                    None if self.at < self.text.len() => {
                        self.at += 1;
                        return Err(self.unexpected("after top-level value"));
                    }
                    None => return Ok(value),
                    Some(Open::List(mut items)) => {
                        items.push(value);
                        match self.next_byte()? {
                            b',' => {
                                open.push(Open::List(items));
                                continue 'value;
                            }
                            b']' => value = Value::List(List::new(items)),
                            _ => return Err(self.unexpected("after array element")),
                        }
                    }
                    Some(Open::Map(map, key)) => {
                        map.insert(key, value);
                        match self.next_byte()? {
                            b',' => {
                                let key = self.key("looking for beginning of object key string")?;
                                open.push(Open::Map(map, key));
                                continue 'value;
                            }
                            b'}' => value = Value::Map(map),
                            _ => return Err(self.unexpected("after object key:value pair")),
                        }
                    }
                }
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The next byte that is no blank.
    fn next_byte(&mut self) -> Result<u8, String> {
        self.blanks();
        self.take()
    }

    fn take(&mut self) -> Result<u8, String> {
        let byte = self.peek().ok_or_else(|| "unexpected end of JSON input".to_owned())?;
        self.at += 1;
        Ok(byte)
    }

    /// The next byte within a word, number or escape. At the end of the text Go sees a blank there.
    fn take_inner(&mut self) -> u8 {
        let byte = self.peek().unwrap_or(b' ');
        self.at += 1;
        byte
    }

    /// The complaint about the byte that was taken last.
    fn unexpected(&self, doing: &str) -> String {
        let byte = self.text.get(self.at.wrapping_sub(1)).copied().unwrap_or(b' ');
        let shown = match byte {
            b'\'' => r"'\''".to_owned(),
            b'"' => "'\"'".to_owned(),
            other => {
                let quoted = crate::fmt::quoted(char::from(other).to_string().as_bytes());
                format!("'{}'", quoted.trim_matches('"'))
            }
        };
        format!("invalid character {shown} {doing}")
    }

    /// A key and its colon.
    fn key(&mut self, doing: &str) -> Result<Str, String> {
        if self.next_byte()? != b'"' {
            return Err(self.unexpected(doing));
        }
        let key = self.string()?;
        if self.next_byte()? != b':' {
            return Err(self.unexpected("after object key"));
        }
        Ok(key)
    }

    /// A word whose first letter was taken.
    fn word(&mut self, word: &[u8], value: Value) -> Result<Value, String> {
        for expected in &word[1..] {
            if self.take_inner() != *expected {
                let (word, expected) = (String::from_utf8_lossy(word), char::from(*expected));
                return Err(self.unexpected(&format!("in literal {word} (expecting '{expected}')")));
            }
        }
        Ok(value)
    }

    /// A number whose first byte was taken.
    fn number(&mut self) -> Result<Value, String> {
        let start = self.at - 1;
        let mut lead = self.text[start];
        if lead == b'-' {
            lead = self.take_inner();
            if !lead.is_ascii_digit() {
                return Err(self.unexpected("in numeric literal"));
            }
        }
        if lead != b'0' {
            self.digits();
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits("in exponent of numeric literal")?;
        }
        let text = String::from_utf8_lossy(&self.text[start..self.at]);
        match text.parse::<f64>().ok().filter(|x| x.is_finite()) {
            Some(number) => Ok(Value::Float(number)),
            None => {
                let error = format!("json: cannot unmarshal number {text} into Go value of type float64");
                self.too_large.get_or_insert(error);
                Ok(Value::Nil)
            }
        }
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self, doing: &str) -> Result<(), String> {
        if !self.take_inner().is_ascii_digit() {
            return Err(self.unexpected(doing));
        }
        self.digits();
        Ok(())
    }

    /// A text whose opening quote was taken.
    fn string(&mut self) -> Result<Str, String> {
        let mut out = Vec::new();
        loop {
            let rest = &self.text[self.at..];
            let plain =
                rest.iter().take_while(|b| b.is_ascii() && !matches!(b, b'"' | b'\\' | 0..=0x1f)).count();
            out.extend_from_slice(&rest[..plain]);
            self.at += plain;
            match self.take()? {
                b'"' => return Ok(Str::from(out)),
                b'\\' => self.escape(&mut out)?,
                byte if byte < b' ' => return Err(self.unexpected("in string literal")),
                _ => {
                    let (c, length) =
                        first(&self.text[self.at - 1..]).unwrap_or((char::REPLACEMENT_CHARACTER, 1));
                    self.at += length - 1;
                    push(&mut out, c);
                }
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let c = match self.take_inner() {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            byte @ (b'"' | b'\\' | b'/') => char::from(byte),
            b'u' => self.unicode()?,
            _ => return Err(self.unexpected("in string escape code")),
        };
        push(out, c);
        Ok(())
    }

    /// Four digits, or twice four for a pair of surrogates. Half a pair is U+FFFD.
    fn unicode(&mut self) -> Result<char, String> {
        let high = self.four_digits()?;
        if let Some(c) = char::from_u32(high) {
            return Ok(c);
        }
        if (0xd800..0xdc00).contains(&high) && self.text[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let low = self.four_digits()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn four_digits(&mut self) -> Result<u32, String> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = char::from(self.take_inner()).to_digit(16) else {
                return Err(self.unexpected("in \\u hexadecimal character escape"));
            };
            code = code * 16 + digit;
        }
        Ok(code)
    }
}
