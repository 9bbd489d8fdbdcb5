//! The format strings of `printf`.

use super::printer::{Flags, Printer};
use crate::{error::Error, parse::rune::decode, value::Value};

/// Appends what Go's `fmt.Sprintf` makes of the format and the values.
///
/// # Errors
/// As [`super::print`].
pub fn printf(out: &mut Vec<u8>, format: &[u8], values: &[Value], max: usize) -> Result<(), Error> {
    let printer = Printer::new(out, max);
    Formatter { printer, format, values, at: 0, next: 0, reordered: false, good: true }.run()
}

/// A `*` above this is no width.
const MAX_WIDTH: i64 = 1_000_000;

struct Formatter<'a> {
    printer: Printer<'a>,
    format: &'a [u8],
    values: &'a [Value],
    /// The position in the format.
    at: usize,
    /// The next argument.
    next: usize,
    /// Whether an index was used: then unused arguments are no mistake.
    reordered: bool,
    /// Whether the index of the verb at hand is right.
    good: bool,
}

impl<'a> Formatter<'a> {
    fn run(mut self) -> Result<(), Error> {
        while let Some(percent) = memchr::memchr(b'%', self.rest()) {
            let text = self.rest().get(..percent).unwrap_or_default();
            self.printer.out.extend(text);
            self.at += percent + 1;
            self.verb()?;
            self.printer.check()?;
        }
        let text = self.rest();
        self.printer.out.extend(text);
        self.extra()?;
        self.printer.check()
    }

    fn rest(&self) -> &'a [u8] {
        self.format.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    fn verb(&mut self) -> Result<(), Error> {
        self.good = true;
        self.flags();
        let mut indexed = self.index();
        if self.peek() == Some(b'*') {
            self.at += 1;
            match self.star() {
                Some(width) => {
                    let flags = &mut self.printer.flags;
                    flags.width = Some(width.unsigned_abs() as usize);
                    if width < 0 {
                        flags.minus = true;
                        flags.zero = false; // no zeros to the right
                    }
                }
                None => self.printer.out.extend(b"%!(BADWIDTH)"),
            }
            indexed = false;
        } else {
            self.printer.flags.width = self.number();
            if indexed && self.printer.flags.width.is_some() {
                self.good = false; // "%[3]2d"
            }
        }
        // A point at the very end is taken for the verb.
        if self.peek() == Some(b'.') && self.at + 1 < self.format.len() {
            self.at += 1;
            if indexed {
                self.good = false; // "%[3].2d"
            }
            indexed = self.index();
            if self.peek() == Some(b'*') {
                self.at += 1;
                let precision = self.star();
                self.printer.flags.precision = precision.and_then(|p| usize::try_from(p).ok());
                if self.printer.flags.precision.is_none() {
                    self.printer.out.extend(b"%!(BADPREC)");
                }
                indexed = false;
            } else {
                self.printer.flags.precision = Some(self.number().unwrap_or(0));
            }
        }
        if !indexed {
            self.index();
        }
        let Some((verb, width)) = decode(self.rest()) else {
            self.printer.out.extend(b"%!(NOVERB)");
            return Ok(());
        };
        self.at += width;
        if verb == '%' {
            self.printer.out.push(b'%');
            return Ok(());
        }
        let complaint = if !self.good {
            "(BADINDEX)"
        } else if self.next >= self.values.len() {
            "(MISSING)"
        } else {
            return self.argument(verb);
        };
        self.printer.out.extend(format!("%!{verb}{complaint}").as_bytes());
        Ok(())
    }

    fn flags(&mut self) {
        let mut flags = Flags::default();
        while let Some(flag) = self.peek() {
            match flag {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = true,
                b'+' => flags.plus = true,
                b'-' => flags.minus = true,
                b' ' => flags.space = true,
                _ => break,
            }
            self.at += 1;
        }
        self.printer.flags = flags;
    }

    fn argument(&mut self, verb: char) -> Result<(), Error> {
        let Some(value) = self.values.get(self.next) else { return Ok(()) };
        self.next += 1;
        if matches!(verb, 'v' | 'w') {
            let flags = &mut self.printer.flags;
            flags.sharp_v = std::mem::take(&mut flags.sharp);
            flags.plus_v = std::mem::take(&mut flags.plus);
        }
        self.printer.arg(value, verb)
    }

    /// A number; one that is far too large counts as none.
    fn number(&mut self) -> Option<usize> {
        let digits = self.rest().iter().take_while(|b| b.is_ascii_digit()).count();
        let number = parse(self.rest().get(..digits)?);
        // Go stops at the digit that makes the number too large, and finds the rest to be the verb.
        if digits > 0 && number.is_none() {
            self.at = self.format.len();
            return None;
        }
        self.at += digits;
        number
    }

    /// `[2]`: the argument to go on with.
    fn index(&mut self) -> bool {
        if self.peek() != Some(b'[') {
            return false;
        }
        self.reordered = true;
        let rest = self.rest();
        let close = if rest.len() < 3 { None } else { rest.iter().position(|b| *b == b']') };
        let Some(close) = close else {
            self.good = false;
            self.at += 1;
            return false;
        };
        self.at += close + 1;
        match rest.get(1..close).and_then(parse) {
            Some(number) if (1..=self.values.len()).contains(&number) => {
                self.next = number - 1;
                true
            }
            parsed => {
                self.good = false;
                parsed.is_some()
            }
        }
    }

    /// The argument that `*` stands for, if it is an integer.
    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        let number = match value {
            Value::Int(n) | Value::Int64(n) => *n,
            Value::Uint8(n) => i64::from(*n),
            Value::Uint32(n) => i64::from(*n),
            Value::Uint64(n) => i64::try_from(*n).ok()?,
            Value::Object(object) => match object.underlying()? {
                Value::Int(n) | Value::Int64(n) => n,
                _ => return None,
            },
            _ => return None,
        };
        (-MAX_WIDTH..=MAX_WIDTH).contains(&number).then_some(number)
    }

    /// `%!(EXTRA int=1)` for arguments that no verb asked for.
    fn extra(&mut self) -> Result<(), Error> {
        let unused = self.values.get(self.next..).unwrap_or_default();
        if self.reordered || unused.is_empty() {
            return Ok(());
        }
        self.printer.flags = Flags::default();
        self.printer.out.extend(b"%!(EXTRA ");
        for (i, value) in unused.iter().enumerate() {
            if i > 0 {
                self.printer.out.extend(b", ");
            }
            if let Some(of) = value.go_type() {
                self.printer.out.extend(format!("{of}=").as_bytes());
            }
            self.printer.arg(value, 'v')?;
        }
        self.printer.out.push(b')');
        Ok(())
    }
}

/// Digits and nothing else, of which all but the last make a million at most.
fn parse(digits: &[u8]) -> Option<usize> {
    let number: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (digits.first().is_some_and(u8::is_ascii_digit) && number / 10 <= MAX_WIDTH as usize).then_some(number)
}
