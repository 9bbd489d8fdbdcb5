//! How values are walked: scalars by verb, containers element by element.

use super::{number, quote};
use crate::{
    error::{Error, Stop},
    stack,
    value::{Kind, Object, Value},
};

/// Flags, width and precision of a verb.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are the flags of printf, one each")]
pub(super) struct Flags {
    pub(super) sharp: bool,
    pub(super) zero: bool,
    pub(super) plus: bool,
    pub(super) minus: bool,
    pub(super) space: bool,
    /// `%#v`
    pub(super) sharp_v: bool,
    /// `%+v`
    pub(super) plus_v: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}

/// Writes values.
pub(super) struct Printer<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) flags: Flags,
    /// The length that the text must not pass.
    end: usize,
    /// Whether a wrong verb is being reported: values print as they are then, without their methods.
    pub(super) erroring: bool,
}

impl<'a> Printer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, max: usize) -> Self {
        let end = out.len().saturating_add(max);
        Self { out, flags: Flags::default(), end, erroring: false }
    }

    /// Fails if too much has been written.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.out.len() > self.end {
            return Err(Stop::Output(self.end).into());
        }
        Ok(())
    }

    /// An argument of `print` or of a verb.
    pub(super) fn arg(&mut self, value: &Value, verb: char) -> Result<(), Error> {
        match verb {
            'T' | 'v' if value.is_nil() => {
                self.pad(b"<nil>");
                Ok(())
            }
            'T' => {
                let name = value.type_name();
                self.string(name.as_bytes(), 's', value)
            }
            'p' if !value.is_nil() => self.pointer(value, verb),
            'w' => self.bad_verb(value, verb), // only Errorf takes errors
            _ if value.is_nil() => self.bad_verb(value, verb),
            _ => self.value(value, verb, 0),
        }
    }

    /// A value; within others from depth 1 on.
    pub(super) fn value(&mut self, value: &Value, verb: char, depth: usize) -> Result<(), Error> {
        match value {
            Value::Absent | Value::Nil => {
                self.out.extend(if self.flags.sharp_v { &b"interface {}(nil)"[..] } else { b"<nil>" });
                Ok(())
            }
            Value::Bool(b) => self.bool(*b, verb, value),
            Value::Int(n) | Value::Int64(n) => self.integer(n.unsigned_abs(), *n < 0, true, verb, value),
            Value::Uint8(n) => self.integer(u64::from(*n), false, false, verb, value),
            Value::Uint32(n) => self.integer(u64::from(*n), false, false, verb, value),
            Value::Uint64(n) => self.integer(*n, false, false, verb, value),
            Value::Float(x) => self.float(*x, verb, value),
            Value::Complex(re, im) => self.complex(*re, *im, verb, value),
            Value::String(text) => self.string(text, verb, value),
            Value::Bytes(bytes) => self.bytes(bytes, verb, value, depth),
            Value::List(list) => {
                if self.flags.sharp_v {
                    self.out.extend(list.go_type().to_string().as_bytes());
                    if list.is_nil() {
                        self.out.extend(b"(nil)");
                        return Ok(());
                    }
                }
                self.items(list.iter(), verb, depth)
            }
            Value::Map(map) => {
                if self.flags.sharp_v {
                    self.out.extend(map.map_type().name.as_bytes());
                    if map.is_nil() {
                        self.out.extend(b"(nil)");
                        return Ok(());
                    }
                }
                let entries = map.snapshot();
                self.out.extend(if self.flags.sharp_v { &b"{"[..] } else { b"map[" });
                for (i, (key, item)) in entries.iter().enumerate() {
                    self.separate(i)?;
                    self.string(key, verb, &Value::String(key.clone()))?;
                    self.out.push(b':');
                    self.value(item, verb, depth + 1)?;
                }
                self.out.push(if self.flags.sharp_v { b'}' } else { b']' });
                Ok(())
            }
            Value::Object(object) => self.object(object.as_ref(), verb, value, depth),
        }
    }

    fn items<'v>(
        &mut self,
        items: impl Iterator<Item = &'v Value>,
        verb: char,
        depth: usize,
    ) -> Result<(), Error> {
        self.out.push(if self.flags.sharp_v { b'{' } else { b'[' });
        for (i, item) in items.enumerate() {
            self.separate(i)?;
            self.value(item, verb, depth + 1)?;
        }
        self.out.push(if self.flags.sharp_v { b'}' } else { b']' });
        Ok(())
    }

    /// Goes on to the next element of a container, if there is room for it.
    fn separate(&mut self, index: usize) -> Result<(), Error> {
        if index > 0 {
            self.out.extend(if self.flags.sharp_v { &b", "[..] } else { b" " });
        }
        self.check()?;
        if stack::has_room() { Ok(()) } else { Err(Stop::Depth.into()) }
    }

    fn object(&mut self, object: &dyn Object, verb: char, value: &Value, depth: usize) -> Result<(), Error> {
        if !self.erroring
            && !self.flags.sharp_v
            && matches!(verb, 'v' | 's' | 'x' | 'X' | 'q')
            && let Some(text) = object.text()
        {
            return self.string(&text, verb, value);
        }
        if object.go_type().kind == Kind::Ptr {
            if depth > 0 || verb == 'p' {
                return self.pointer(value, verb);
            }
            self.out.push(b'&');
            return self.fields(object, verb, depth);
        }
        match object.underlying() {
            Some(inner) => self.underlying(object, &inner, verb, value, depth),
            None => self.fields(object, verb, depth),
        }
    }

    /// A named type over a number, string, list or map: as that, but under its own name.
    fn underlying(
        &mut self,
        object: &dyn Object,
        inner: &Value,
        verb: char,
        value: &Value,
        depth: usize,
    ) -> Result<(), Error> {
        match inner {
            Value::Bool(b) => self.bool(*b, verb, value),
            Value::Int(n) | Value::Int64(n) => self.integer(n.unsigned_abs(), *n < 0, true, verb, value),
            Value::Float(x) => self.float(*x, verb, value),
            Value::String(text) => self.string(text, verb, value),
            Value::List(list) => {
                if self.flags.sharp_v {
                    self.out.extend(object.go_type().name.as_bytes());
                }
                self.items(list.iter(), verb, depth)
            }
            other => self.value(other, verb, depth),
        }
    }

    /// A pointer at the end of a pipeline: what it leads to.
    pub(super) fn pointee(&mut self, value: &Value) -> Result<(), Error> {
        match value {
            Value::Object(object) if object.go_type().kind == Kind::Ptr => {
                self.fields(object.as_ref(), 'v', 0)
            }
            other => self.arg(other, 'v'),
        }
    }

    fn fields(&mut self, object: &dyn Object, verb: char, depth: usize) -> Result<(), Error> {
        if self.flags.sharp_v {
            self.out.extend(object.go_type().name.trim_start_matches('*').as_bytes());
        }
        self.out.push(b'{');
        for (i, (name, field)) in object.fields().iter().enumerate() {
            self.separate(i)?;
            if self.flags.plus_v || self.flags.sharp_v {
                self.out.extend(name.as_bytes());
                self.out.push(b':');
            }
            self.value(field, verb, depth + 1)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// The address of what is a reference.
    fn pointer(&mut self, value: &Value, verb: char) -> Result<(), Error> {
        let address = match value {
            Value::Map(map) => map.address(),
            Value::List(list) => list.as_ptr().addr(),
            Value::Bytes(bytes) => bytes.as_ptr().addr(),
            Value::Object(object) if object.go_type().kind == Kind::Ptr => {
                std::ptr::from_ref(object.as_any()).cast::<u8>().addr()
            }
            _ => return self.bad_verb(value, verb),
        };
        match verb {
            'v' if self.flags.sharp_v => {
                self.out.extend(format!("({})({address:#x})", value.type_name()).as_bytes());
                Ok(())
            }
            'v' | 'p' => {
                let text = if self.flags.sharp { format!("{address:x}") } else { format!("{address:#x}") };
                self.pad(text.as_bytes());
                Ok(())
            }
            'b' | 'o' | 'd' | 'x' | 'X' => self.integer(address as u64, false, false, verb, value),
            _ => self.bad_verb(value, verb),
        }
    }

    /// `%!d(string=x)`
    pub(super) fn bad_verb(&mut self, value: &Value, verb: char) -> Result<(), Error> {
        let outer = std::mem::replace(&mut self.erroring, true);
        self.out.extend(format!("%!{verb}(").as_bytes());
        let result = match value.go_type() {
            None => {
                self.out.extend(b"<nil>");
                Ok(())
            }
            Some(of) => {
                self.out.extend(of.to_string().as_bytes());
                self.out.push(b'=');
                self.arg(value, 'v')
            }
        };
        self.out.push(b')');
        self.erroring = outer;
        result
    }

    /// Appends a text, filled up to the width.
    pub(super) fn pad(&mut self, text: &[u8]) {
        let width = self.flags.width.unwrap_or(0);
        let missing = if width == 0 { 0 } else { width.saturating_sub(rune_count(text)) };
        if !self.flags.minus {
            self.fill(missing);
        }
        self.out.extend(text);
        if self.flags.minus {
            self.fill(missing);
        }
    }

    /// Appends blanks, or zeros where the flag says so and they are on the left.
    pub(super) fn fill(&mut self, count: usize) {
        let with = if self.flags.zero && !self.flags.minus { b'0' } else { b' ' };
        self.out.resize(self.out.len() + count, with);
    }

    fn float(&mut self, x: f64, verb: char, value: &Value) -> Result<(), Error> {
        if !matches!(verb, 'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'e' | 'E' | 'F') {
            return self.bad_verb(value, verb);
        }
        self.format_float(x, verb);
        Ok(())
    }

    fn complex(&mut self, re: f64, im: f64, verb: char, value: &Value) -> Result<(), Error> {
        if !matches!(verb, 'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'e' | 'E' | 'F') {
            return self.bad_verb(value, verb);
        }
        let plus = self.flags.plus;
        self.out.push(b'(');
        self.format_float(re, verb);
        self.flags.plus = true;
        self.format_float(im, verb);
        self.out.extend(b"i)");
        self.flags.plus = plus;
        Ok(())
    }

    fn format_float(&mut self, x: f64, verb: char) {
        let default = if matches!(verb, 'f' | 'F' | 'e' | 'E') { Some(6) } else { None };
        let precision = self.flags.precision.or(default);
        let letter = if verb == 'v' { b'g' } else { u8::try_from(verb).unwrap_or(b'g') };
        let text = number::float(x, letter, precision);
        self.signed_float(&text, verb, precision, x.is_finite());
    }

    fn bytes(&mut self, bytes: &[u8], verb: char, value: &Value, depth: usize) -> Result<(), Error> {
        match verb {
            'v' | 'd' => {
                if self.flags.sharp_v {
                    self.out.extend(if depth == 0 { &b"[]byte"[..] } else { b"[]uint8" });
                }
                self.out.push(if self.flags.sharp_v { b'{' } else { b'[' });
                for (i, byte) in bytes.iter().enumerate() {
                    self.separate(i)?;
                    if self.flags.sharp_v {
                        self.out.extend(format!("{byte:#x}").as_bytes());
                    } else {
                        self.integer(u64::from(*byte), false, false, verb, value)?;
                    }
                }
                self.out.push(if self.flags.sharp_v { b'}' } else { b']' });
                Ok(())
            }
            's' | 'x' | 'X' | 'q' => self.string(bytes, verb, value),
            _ => {
                let items: Vec<Value> = bytes.iter().map(|byte| Value::Uint8(*byte)).collect();
                self.items(items.iter(), verb, depth)
            }
        }
    }

    /// Appends a character in quotes.
    pub(super) fn quoted_char(&mut self, c: char) {
        let mut text = Vec::new();
        quote::quote_char(&mut text, c, self.flags.plus);
        self.pad(&text);
    }
}

/// The number of characters as Go counts them: a byte that is not UTF-8 is one.
pub(super) fn rune_count(text: &[u8]) -> usize {
    match std::str::from_utf8(text) {
        Ok(text) => text.chars().count(),
        Err(_) => {
            let mut rest = text;
            let mut count = 0;
            while let Some((_, width)) = crate::parse::rune::decode(rest) {
                rest = rest.get(width..).unwrap_or_default();
                count += 1;
            }
            count
        }
    }
}
