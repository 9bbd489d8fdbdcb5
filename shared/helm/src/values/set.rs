//! The grammar of `--set` and its kin: `a.b[0].c=value,d={x,y}`.
//!
//! The reader goes through the text once, character by character, and changes the values as it goes, so that an error
//! leaves behind what was read before it, as in Helm. Its quirks (an empty key is dropped, an open index is ignored)
//! are Helm's; charts' documents rely on them.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::{Map, Value};

use super::json_prefix;
use crate::text::quoted;

/// The largest index of a list.
const MAX_INDEX: i64 = 65_536;

/// The most dots in a path.
const MAX_DEPTH: usize = 30;

/// The most lists within lists. Helm has no bound; nobody writes as many brackets.
const MAX_LISTS: usize = 64;

/// Items that one text may add to lists: `a[65536]` makes as many.
const MAX_ITEMS: usize = 1 << 20;

/// What becomes of the text behind `=`.
pub(super) enum Kind<'a> {
    /// `--set`: integers, booleans and null are recognised.
    Typed,
    /// `--set-string`: all is text.
    Text,
    /// `--set-json`: JSON up to the next comma.
    Json,
    /// `--set-literal`: all that follows, as it stands; nothing has a meaning in it.
    Literal,
    /// `--set-file`: the content of a file of that name.
    File(&'a mut dyn FnMut(&str) -> Result<String, String>),
}

/// Reads `text` into `values`.
///
/// # Errors
/// Helm's text.
pub(super) fn parse(text: &str, values: &mut Map<String, Value>, kind: Kind<'_>) -> Result<(), String> {
    let mut parser = Parser { text: text.chars().peekable(), kind, lists: 0, items: MAX_ITEMS };
    loop {
        match parser.key(values, 0) {
            Ok(()) => {}
            Err(Stop::End) => return Ok(()),
            Err(Stop::Error(message)) => return Err(message),
        }
    }
}

struct Parser<'t, 'k> {
    text: Peekable<Chars<'t>>,
    kind: Kind<'k>,
    /// Lists within lists at the place in hand.
    lists: usize,
    /// Items that may still be added to lists.
    items: usize,
}

/// Why a part of the text is not a whole pair.
enum Stop {
    /// The text is at its end, which is no error.
    End,
    Error(String),
}

impl From<String> for Stop {
    fn from(message: String) -> Self {
        Self::Error(message)
    }
}

type Read<T> = Result<T, Stop>;

impl Parser<'_, '_> {
    /// Reads up to one of `stop`, which is taken too; `None` in its place at the end of the text.
    fn until(&mut self, stop: &[char]) -> (String, Option<char>) {
        let literal = matches!(self.kind, Kind::Literal);
        let mut read = String::new();
        while let Some(c) = self.text.next() {
            if stop.contains(&c) {
                return (read, Some(c));
            }
            if c == '\\' && !literal {
                match self.text.next() {
                    Some(next) => read.push(next),
                    None => return (read, None),
                }
            } else {
                read.push(c);
            }
        }
        (read, None)
    }

    /// Reads one pair, beginning at a key of `data`.
    fn key(&mut self, data: &mut Map<String, Value>, depth: usize) -> Read<()> {
        let stops: &[char] =
            if matches!(self.kind, Kind::Literal) { &['=', '[', '.'] } else { &['=', '[', ',', '.'] };
        let (key, stop) = self.until(stops);
        match stop {
            None if key.is_empty() => Err(Stop::End),
            None => Err(format!("key {} has no value", quoted(&key)).into()),
            Some('[') => {
                let index = self.index()?;
                let mut list = match data.get_mut(&key) {
                    None => Vec::new(),
                    Some(Value::Array(list)) => std::mem::take(list),
                    Some(other) => return Err(not_a(other, "[]interface {}")),
                };
                let read = self.item(&mut list, index, depth);
                set(data, key, Value::Array(list));
                read
            }
            Some('=') => self.value_of(data, key),
            Some(',') => {
                let message = format!("key {} has no value (cannot end with ,)", quoted(&key));
                set(data, key, Value::String(String::new()));
                Err(message.into())
            }
            Some(_) => {
                if depth >= MAX_DEPTH {
                    return Err(format!(
                        "value name nested level is greater than maximum supported nested level of {MAX_DEPTH}"
                    )
                    .into());
                }
                // A map that exists is changed in place, also under an empty key, which cannot be set anew.
                match data.get_mut(&key) {
                    Some(Value::Object(inner)) => return nested(self.key(inner, depth + 1), inner, &key),
                    Some(other) => return Err(not_a(other, "map[string]interface {}")),
                    None => {}
                }
                let mut inner = Map::new();
                let read = nested(self.key(&mut inner, depth + 1), &inner, &key);
                if !inner.is_empty() {
                    set(data, key, Value::Object(inner));
                }
                read
            }
        }
    }

    fn value_of(&mut self, data: &mut Map<String, Value>, key: String) -> Read<()> {
        match &self.kind {
            Kind::Json => {
                if self.is_empty_value() {
                    set(data, key, Value::Null);
                    return Ok(());
                }
                set(data, key, self.json()?);
                self.is_empty_value();
                return Ok(());
            }
            Kind::Literal => {
                set(data, key, Value::String(self.text.by_ref().collect()));
                return Ok(());
            }
            _ => {}
        }
        match self.text.peek() {
            None => {
                set(data, key, Value::String(String::new()));
                Err(Stop::End)
            }
            Some('{') => {
                let list = self.list()?;
                set(data, key, Value::Array(list));
                Ok(())
            }
            Some(_) => {
                let (text, _) = self.until(&[',']);
                match self.scalar(text) {
                    Ok(value) => {
                        set(data, key, value);
                        Ok(())
                    }
                    Err(message) => {
                        set(data, key, Value::Null);
                        Err(message.into())
                    }
                }
            }
        }
    }

    /// The number between `[` and `]`.
    fn index(&mut self) -> Read<i64> {
        let (text, stop) = self.until(&[']']);
        if stop.is_none() {
            // Helm wraps the end of the text into an error, which it then takes for the end.
            return Err(Stop::End);
        }
        atoi(&text).map_err(|error| Stop::Error(format!("error parsing index: {error}")))
    }

    /// What follows `]`: the value of item `index`, or a path below it.
    fn item(&mut self, list: &mut Vec<Value>, index: i64, depth: usize) -> Read<()> {
        if index < 0 {
            return Err(format!("negative {index} index not allowed").into());
        }
        let (rest, stop) = self.until(&['[', '.', '=']);
        if !rest.is_empty() {
            return Err(format!(
                "unexpected data at end of array index: [{}]",
                rest.chars().map(go_char).collect::<Vec<_>>().join(" ")
            )
            .into());
        }
        match stop {
            None => Err(Stop::End),
            Some('=') => self.item_value(list, index),
            Some('[') => {
                let next = self.index()?;
                let mut inner = match at(list, index) {
                    None | Some(Value::Null) => Vec::new(),
                    Some(Value::Array(inner)) => inner.clone(),
                    Some(other) => return Err(not_a(other, "[]interface {}")),
                };
                if self.lists >= MAX_LISTS {
                    return Err(format!("lists are nested deeper than {MAX_LISTS} levels").into());
                }
                self.lists += 1;
                self.item(&mut inner, next, depth)?;
                self.lists -= 1;
                self.set_item(list, index, Value::Array(inner))
            }
            Some(_) => {
                let mut inner = match at(list, index) {
                    Some(Value::Object(inner)) => std::mem::take(inner),
                    _ => Map::new(),
                };
                let read = self.key(&mut inner, depth);
                if read.is_ok() || at(list, index).is_some() {
                    self.set_item(list, index, Value::Object(inner))?;
                }
                read
            }
        }
    }

    fn item_value(&mut self, list: &mut Vec<Value>, index: i64) -> Read<()> {
        match &self.kind {
            Kind::Json => {
                if self.is_empty_value() {
                    return self.set_item(list, index, Value::Null);
                }
                let value = self.json()?;
                self.set_item(list, index, value)?;
                self.is_empty_value();
                return Ok(());
            }
            Kind::Literal => {
                let text = self.text.by_ref().collect();
                return self.set_item(list, index, Value::String(text));
            }
            _ => {}
        }
        match self.text.peek() {
            None => self.set_item(list, index, Value::String(String::new())),
            Some('{') => {
                let inner = self.list()?;
                self.set_item(list, index, Value::Array(inner))
            }
            Some(_) => {
                let (text, _) = self.until(&[',']);
                let value = self.scalar(text)?;
                self.set_item(list, index, value)
            }
        }
    }

    fn set_item(&mut self, list: &mut Vec<Value>, index: i64, value: Value) -> Read<()> {
        if index > MAX_INDEX {
            return Err(
                format!("index of {index} is greater than maximum supported index of {MAX_INDEX}").into()
            );
        }
        let at = usize::try_from(index).map_err(|_| format!("negative {index} index not allowed"))?;
        if list.len() <= at {
            self.items = (self.items + list.len())
                .checked_sub(at + 1)
                .ok_or_else(|| format!("more than {MAX_ITEMS} items of lists are set at once"))?;
            list.resize(at + 1, Value::Null);
        }
        if let Some(item) = list.get_mut(at) {
            *item = value;
        }
        Ok(())
    }

    /// `{a,b}`: a list of scalars, with the comma behind it.
    fn list(&mut self) -> Read<Vec<Value>> {
        self.text.next();
        let mut items = Vec::new();
        loop {
            let (text, stop) = self.until(&[',', '}']);
            match stop {
                None => return Err("list must terminate with '}'".to_owned().into()),
                Some('}') => {
                    self.text.next_if_eq(&',');
                    items.push(self.scalar(text)?);
                    return Ok(items);
                }
                Some(_) => items.push(self.scalar(text)?),
            }
        }
    }

    fn scalar(&mut self, text: String) -> Result<Value, String> {
        match &mut self.kind {
            Kind::Typed => Ok(typed(text)),
            Kind::File(read) => read(&text).map(Value::String),
            _ => Ok(Value::String(text)),
        }
    }

    /// Takes blanks and one comma; true if nothing but them stood before the comma or the end.
    fn is_empty_value(&mut self) -> bool {
        loop {
            match self.text.peek() {
                None => return true,
                Some(',') => {
                    self.text.next();
                    return true;
                }
                Some(c) if c.is_whitespace() => {
                    self.text.next();
                }
                Some(_) => return false,
            }
        }
    }

    fn json(&mut self) -> Read<Value> {
        let rest: String = self.text.clone().collect();
        let (value, read) = json_prefix(&rest)?;
        let mut left = rest.get(..read).unwrap_or(&rest).chars().count();
        while left > 0 {
            self.text.next();
            left -= 1;
        }
        Ok(value)
    }
}

fn nested(read: Read<()>, inner: &Map<String, Value>, key: &str) -> Read<()> {
    if read.is_ok() && inner.is_empty() {
        return Err(format!("key map {} has no value", quoted(key)).into());
    }
    read
}

/// Sets a key; an empty one is dropped.
fn set(data: &mut Map<String, Value>, key: String, value: Value) {
    if !key.is_empty() {
        data.insert(key, value);
    }
}

fn at(list: &mut [Value], index: i64) -> Option<&mut Value> {
    usize::try_from(index).ok().and_then(|index| list.get_mut(index))
}

fn typed(text: String) -> Value {
    if text.eq_ignore_ascii_case("true") {
        Value::Bool(true)
    } else if text.eq_ignore_ascii_case("false") {
        Value::Bool(false)
    } else if text.eq_ignore_ascii_case("null") {
        Value::Null
    } else if text == "0" {
        Value::from(0)
    } else if !text.starts_with('0')
        && let Ok(number) = text.parse::<i64>()
    {
        Value::from(number)
    } else {
        Value::String(text)
    }
}

/// Go's `strconv.Atoi` with its messages.
fn atoi(text: &str) -> Result<i64, String> {
    text.parse::<i64>().map_err(|error| {
        let problem = match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.Atoi: parsing {}: {problem}", quoted(text))
    })
}

/// A character as Go's `%q` prints it.
fn go_char(c: char) -> String {
    if c == '\'' {
        return "'\\''".into();
    }
    if c == '"' {
        return "'\"'".into();
    }
    let text = quoted(&c.to_string());
    format!("'{}'", text.trim_matches('"'))
}

/// What Go says when a value is used as what it is not.
fn not_a(value: &Value, wanted: &str) -> Stop {
    let problem = match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    };
    Stop::Error(format!(
        "unable to parse key: interface conversion: interface {{}} is {problem}, not {wanted}"
    ))
}
