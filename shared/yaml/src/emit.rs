//! Values to text, byte for byte as Go's YAML writers print them.

use std::borrow::Cow;

use serde_json::{Number, Value};

use crate::{
    Schema, Tag,
    key_order::{self, Numbers},
    resolve,
    resolve::classify,
};

/// How the text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Columns after which plain and quoted texts break at the next space; `None` never breaks.
    pub width: Option<usize>,
    /// Whether a list under a key is indented by two.
    pub indent_lists: bool,
    /// Whether texts of several lines that contain a tab may be blocks.
    pub tabs_in_blocks: bool,
    /// The order of the keys of a map.
    pub keys: Keys,
}

/// How the keys of a map are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// As people count, `11` before `1b`: the older of Go's two packages.
    Natural,
    /// As people count, `1b` before `11`: the newer package.
    NaturalLettersFirst,
    /// By bytes, as a map that its caller has sorted.
    Bytes,
}

impl Layout {
    /// The writer of kustomize, Kubernetes clients and Helm's `toYaml`.
    pub const KUBERNETES: Self =
        Self { width: Some(80), indent_lists: false, tabs_in_blocks: false, keys: Keys::Natural };
    /// Like [`Layout::KUBERNETES`] but for the order of keys: what Flux makes digests of.
    pub const SORTED: Self = Self { keys: Keys::Bytes, ..Self::KUBERNETES };
    /// Helm's `toYamlPretty`.
    pub const PRETTY: Self =
        Self { width: None, indent_lists: true, tabs_in_blocks: true, keys: Keys::NaturalLettersFirst };
}

/// Anything that can be written: [`serde_json::Value`], or a tree of the caller's own.
pub trait Tree: Sized {
    /// What the node is.
    fn shape(&self) -> Shape<'_, Self>;
}

/// A node of a [`Tree`].
#[derive(Debug)]
pub enum Shape<'a, T> {
    /// Written as it is: numbers, `true`, `null`.
    Plain(Cow<'a, str>),
    /// Text, which gets the quotes that it needs.
    Text(&'a str),
    /// A list.
    List(&'a [T]),
    /// A map, in any order.
    Map(Vec<(&'a str, &'a T)>),
}

impl Tree for Value {
    fn shape(&self) -> Shape<'_, Self> {
        match self {
            Value::Null => Shape::Plain(Cow::Borrowed("null")),
            Value::Bool(yes) => Shape::Plain(Cow::Borrowed(if *yes { "true" } else { "false" })),
            Value::Number(number) => Shape::Plain(Cow::Owned(number_text(number))),
            Value::String(text) => Shape::Text(text),
            Value::Array(items) => Shape::List(items),
            Value::Object(map) => Shape::Map(map.iter().map(|(key, value)| (key.as_str(), value)).collect()),
        }
    }
}

/// Writes a value as kustomize and Kubernetes clients do: keys sorted, lists not indented, ends with a newline.
#[must_use]
pub fn to_string(value: &Value) -> String {
    to_string_with(value, Layout::KUBERNETES)
}

/// Writes a value in a layout. However deeply it is nested, this takes no stack.
#[must_use]
pub fn to_string_with<T: Tree>(value: &T, layout: Layout) -> String {
    let mut out = Writer { out: String::new(), column: 0, layout };
    out.document(value);
    out.out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A key on the line of its value.
    SimpleKey,
    /// A value, or a key of its own line.
    Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Single,
    Double,
    Literal,
}

/// A collection that is being written.
struct Frame<'a, T> {
    entries: Entries<'a, T>,
    indent: usize,
    started: bool,
}

enum Entries<'a, T> {
    Map(std::vec::IntoIter<(&'a str, &'a T)>),
    List(std::slice::Iter<'a, T>),
}

struct Writer {
    out: String,
    column: usize,
    layout: Layout,
}

impl Writer {
    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn put_str(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    /// Ends the line, unless it is ended already.
    fn newline(&mut self) {
        if self.column > 0 || !self.out.ends_with('\n') {
            self.out.push('\n');
            self.column = 0;
        }
    }

    fn indent(&mut self, indent: usize) {
        self.newline();
        self.pad(indent);
    }

    fn pad(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
        self.column += indent;
    }

    /// A frame for a collection that has entries; anything else is given back.
    fn frame<'a, T: Tree>(&self, value: &'a T, indent: usize) -> Result<Frame<'a, T>, Shape<'a, T>> {
        let entries = match value.shape() {
            Shape::Map(mut pairs) if !pairs.is_empty() => {
                let pairs = match self.layout.keys {
                    Keys::Natural => key_order::sort(pairs, Numbers::BeforeLetters),
                    Keys::NaturalLettersFirst => key_order::sort(pairs, Numbers::AfterLetters),
                    Keys::Bytes => {
                        pairs.sort_by_key(|(key, _)| *key);
                        pairs
                    }
                };
                Entries::Map(pairs.into_iter())
            }
            Shape::List(items) if !items.is_empty() => Entries::List(items.iter()),
            other => return Err(other),
        };
        Ok(Frame { entries, indent, started: false })
    }

    fn document<T: Tree>(&mut self, value: &T) {
        let mut open = Vec::new();
        match self.frame(value, 0) {
            Ok(frame) => open.push(frame),
            Err(scalar) => {
                self.scalar(&scalar, 2);
                self.newline();
            }
        }
        while let Some(frame) = open.last_mut() {
            match self.entry(frame) {
                Some(Some(inner)) => open.push(inner),
                Some(None) => {}
                None => {
                    open.pop();
                }
            }
        }
    }

    /// Writes the next entry of a map or list, up to the end of its last line or to a collection in it, which is returned.
    /// The cursor of a new frame stands where its first entry goes, at its indent.
    fn entry<'a, T: Tree>(&mut self, frame: &mut Frame<'a, T>) -> Option<Option<Frame<'a, T>>> {
        let indent = frame.indent;
        let (key, value) = match &mut frame.entries {
            Entries::Map(pairs) => pairs.next().map(|(key, value)| (Some(key), value))?,
            Entries::List(items) => (None, items.next()?),
        };
        if frame.started {
            self.pad(indent);
        }
        frame.started = true;
        Some(match key {
            None => {
                self.put('-');
                self.own_line_value(value, indent)
            }
            Some(key) if key.len() > 128 || key.contains('\n') => {
                self.put_str("? ");
                self.text(key, indent + 2, Place::Value);
                self.indent(indent);
                self.put(':');
                self.own_line_value(value, indent)
            }
            Some(key) => {
                self.text(key, indent + 2, Place::SimpleKey);
                self.put(':');
                self.value(value, indent)
            }
        })
    }

    /// Writes what follows `key:`.
    fn value<'a, T: Tree>(&mut self, value: &'a T, indent: usize) -> Option<Frame<'a, T>> {
        match self.frame(value, indent + 2) {
            Ok(mut frame) => {
                if matches!(frame.entries, Entries::List(_)) && !self.layout.indent_lists {
                    frame.indent = indent;
                }
                self.indent(frame.indent);
                Some(frame)
            }
            Err(scalar) => {
                self.put(' ');
                self.scalar(&scalar, indent + 2);
                self.newline();
                None
            }
        }
    }

    /// Writes what follows a `:` or `-` that begins its line: collections go on in the same line.
    fn own_line_value<'a, T: Tree>(&mut self, value: &'a T, indent: usize) -> Option<Frame<'a, T>> {
        self.put(' ');
        match self.frame(value, indent + 2) {
            Ok(frame) => Some(frame),
            Err(scalar) => {
                self.scalar(&scalar, indent + 2);
                self.newline();
                None
            }
        }
    }

    fn scalar<T: Tree>(&mut self, shape: &Shape<'_, T>, indent: usize) {
        match shape {
            Shape::Plain(text) => self.put_str(text),
            Shape::Text(text) => self.text(text, indent, Place::Value),
            Shape::List(_) => self.put_str("[]"),
            Shape::Map(_) => self.put_str("{}"),
        }
    }

    fn text(&mut self, text: &str, indent: usize, place: Place) {
        match form_of(text, place, self.layout) {
            Form::Plain => self.flow(text, indent, place, Form::Plain),
            Form::Single => {
                self.put('\'');
                self.flow(text, indent, place, Form::Single);
                self.put('\'');
            }
            Form::Double => self.double(text, indent, place),
            Form::Literal => self.literal(text, indent),
        }
    }

    /// Whether a space at this point becomes a line break.
    fn breaks_here(&self, place: Place, after_space: bool) -> bool {
        place == Place::Value && !after_space && self.layout.width.is_some_and(|width| self.column > width)
    }

    fn flow(&mut self, text: &str, indent: usize, place: Place, form: Form) {
        let mut after_space = false;
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c == ' ' {
                let next_is_space = chars.peek().is_some_and(|(_, next)| *next == ' ');
                let at_edge = form == Form::Single && (at == 0 || chars.peek().is_none());
                if self.breaks_here(place, after_space) && !next_is_space && !at_edge {
                    self.indent(indent);
                } else {
                    self.put(' ');
                }
                after_space = true;
            } else {
                if c == '\'' && form == Form::Single {
                    self.put('\'');
                }
                self.put(c);
                after_space = false;
            }
        }
    }

    fn double(&mut self, text: &str, indent: usize, place: Place) {
        self.put('"');
        let mut after_space = false;
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c == ' ' {
                let last = chars.peek().is_none();
                if self.breaks_here(place, after_space) && at > 0 && !last {
                    self.indent(indent);
                    if chars.peek().is_some_and(|(_, next)| *next == ' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                after_space = true;
                continue;
            }
            after_space = false;
            if is_special(c) || is_break(c) || matches!(c, '"' | '\\') {
                self.escape(c);
            } else {
                self.put(c);
            }
        }
        self.put('"');
    }

    fn escape(&mut self, c: char) {
        let code = u32::from(c);
        let short = match c {
            '\0' => '0',
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{b}' => 'v',
            '\u{c}' => 'f',
            '\r' => 'r',
            '\u{1b}' => 'e',
            '"' | '\\' => c,
            '\u{85}' => 'N',
            '\u{a0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ if code <= 0xff => return self.put_str(&format!("\\x{code:02X}")),
            _ if code <= 0xffff => return self.put_str(&format!("\\u{code:04X}")),
            _ => return self.put_str(&format!("\\U{code:08X}")),
        };
        self.put('\\');
        self.put(short);
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.put('|');
        if text.starts_with([' ', '\n']) {
            self.put('2');
        }
        if !text.ends_with('\n') {
            self.put('-');
        } else if text == "\n" || text.ends_with("\n\n") {
            self.put('+');
        }
        self.out.push('\n');
        self.column = 0;
        let body = text.strip_suffix('\n');
        let lines = body.unwrap_or(text).split('\n');
        let mut first = true;
        for line in lines {
            if !first {
                self.out.push('\n');
                self.column = 0;
            }
            first = false;
            if !line.is_empty() {
                self.pad(indent);
                self.put_str(line);
            }
        }
        self.out.push('\n');
        self.column = 0;
    }
}

fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => resolve::format_float(float),
        _ => number.to_string(),
    }
}

/// Characters that only double quotes can hold.
fn is_special(c: char) -> bool {
    !matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Chooses the quotes: the rules of Go's writer.
fn form_of(text: &str, place: Place, layout: Layout) -> Form {
    let special = text
        .chars()
        .any(|c| (is_special(c) && !(layout.tabs_in_blocks && c == '\t')) || (is_break(c) && c != '\n'));
    if text.contains('\n') {
        let block = !special && place == Place::Value && !text.ends_with(' ') && !text.contains(" \n");
        return if block { Form::Literal } else { Form::Double };
    }
    if special || text.contains('\t') || reads_as_other(text) {
        Form::Double
    } else if plain_allowed(text) {
        Form::Plain
    } else {
        Form::Single
    }
}

/// Whether a reader of any dialect would take the plain text for something else than text.
fn reads_as_other(text: &str) -> bool {
    classify(text, Schema::Yaml11) != Tag::Str || is_base60(text)
}

/// Base 60 numbers of YAML 1.1: `12:30:45`.
fn is_base60(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !body.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let (body, fraction) = body.split_once('.').map_or((body, ""), |(body, fraction)| (body, fraction));
    let mut parts = body.split(':');
    let number = |s: &str| s.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let first = parts.next().is_some_and(number);
    let mut sixties = 0;
    let rest = parts.all(|part| {
        sixties += 1;
        match part.as_bytes() {
            [d] => d.is_ascii_digit(),
            [t, d] => (b'0'..=b'5').contains(t) && d.is_ascii_digit(),
            _ => false,
        }
    });
    first && rest && sixties > 0 && number(fraction)
}

fn plain_allowed(text: &str) -> bool {
    if text.is_empty() || text.starts_with(' ') || text.ends_with(' ') {
        return false;
    }
    if text.starts_with("---") || text.starts_with("...") {
        return false;
    }
    let mut before_blank = true;
    let mut chars = text.chars().peekable();
    let mut first = true;
    while let Some(c) = chars.next() {
        let after_blank = chars.peek().is_none_or(|next| matches!(next, ' ' | '\t') || is_break(*next));
        let wrong = match c {
            ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => first,
            '#' => first || before_blank,
            '-' | '?' => first && after_blank,
            ':' => after_blank,
            _ => false,
        };
        if wrong {
            return false;
        }
        before_blank = matches!(c, ' ' | '\t');
        first = false;
    }
    true
}
