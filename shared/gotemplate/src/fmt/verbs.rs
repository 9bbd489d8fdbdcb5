//! Scalars by verb: sign, base, width, precision, quotes.

use super::{
    printer::{Printer, rune_count},
    quote,
};
use crate::{error::Error, parse::rune, value::Value};

impl Printer<'_> {
    pub(super) fn bool(&mut self, b: bool, verb: char, value: &Value) -> Result<(), Error> {
        match verb {
            't' | 'v' => self.pad(if b { b"true" } else { b"false" }),
            _ => return self.bad_verb(value, verb),
        }
        Ok(())
    }

    pub(super) fn integer(
        &mut self,
        magnitude: u64,
        negative: bool,
        signed: bool,
        verb: char,
        value: &Value,
    ) -> Result<(), Error> {
        match verb {
            'v' if self.flags.sharp_v && !signed => {
                let sharp = std::mem::replace(&mut self.flags.sharp, true);
                self.digits(magnitude, negative, 'x');
                self.flags.sharp = sharp;
            }
            'v' => self.digits(magnitude, negative, 'd'),
            'd' | 'b' | 'o' | 'O' | 'x' | 'X' => self.digits(magnitude, negative, verb),
            'c' => {
                let text = character(magnitude, negative).to_string();
                self.pad(text.as_bytes());
            }
            'q' => self.quoted_char(character(magnitude, negative)),
            'U' => self.unicode(if negative { magnitude.wrapping_neg() } else { magnitude }),
            _ => return self.bad_verb(value, verb),
        }
        Ok(())
    }

    /// An integer in the base of its verb.
    fn digits(&mut self, magnitude: u64, negative: bool, verb: char) {
        let flags = self.flags;
        let mut least = 0;
        if let Some(precision) = flags.precision {
            least = precision;
            if precision == 0 && magnitude == 0 {
                let zero = std::mem::replace(&mut self.flags.zero, false);
                self.fill(flags.width.unwrap_or(0));
                self.flags.zero = zero;
                return;
            }
        } else if let (true, false, Some(width)) = (flags.zero, flags.minus, flags.width) {
            least = width.saturating_sub(usize::from(negative || flags.plus || flags.space));
        }
        let digits = match verb {
            'b' => format!("{magnitude:b}"),
            'o' | 'O' => format!("{magnitude:o}"),
            'x' => format!("{magnitude:x}"),
            'X' => format!("{magnitude:X}"),
            _ => magnitude.to_string(),
        };
        let zeros = least.saturating_sub(digits.len());
        let prefix = match verb {
            'O' if flags.sharp && zeros == 0 && !digits.starts_with('0') => "0o0",
            'O' => "0o",
            'b' if flags.sharp => "0b",
            'o' if flags.sharp && zeros == 0 && !digits.starts_with('0') => "0",
            'x' if flags.sharp => "0x",
            'X' if flags.sharp => "0X",
            _ => "",
        };
        let sign = if negative {
            "-"
        } else if flags.plus {
            "+"
        } else if flags.space {
            " "
        } else {
            ""
        };
        let mut text = Vec::with_capacity(sign.len() + prefix.len() + zeros + digits.len());
        text.extend(sign.as_bytes());
        text.extend(prefix.as_bytes());
        text.resize(text.len() + zeros, b'0');
        text.extend(digits.as_bytes());
        let zero = std::mem::replace(&mut self.flags.zero, false);
        self.pad(&text);
        self.flags.zero = zero;
    }

    /// `U+0041`, with `#` also `U+0041 'A'`.
    fn unicode(&mut self, code: u64) {
        let digits = format!("{code:X}");
        let zeros = self.flags.precision.unwrap_or(4).max(4).saturating_sub(digits.len());
        let mut text = format!("U+{}{digits}", "0".repeat(zeros));
        if self.flags.sharp
            && let Some(c) = u32::try_from(code).ok().and_then(char::from_u32).filter(|c| rune::is_print(*c))
        {
            text.push_str(&format!(" '{c}'"));
        }
        let zero = std::mem::replace(&mut self.flags.zero, false);
        self.pad(text.as_bytes());
        self.flags.zero = zero;
    }

    /// A float whose digits are made; flags decide on sign, point and width.
    pub(super) fn signed_float(&mut self, text: &str, verb: char, precision: Option<usize>, finite: bool) {
        let flags = self.flags;
        let (sign, digits) = match text.as_bytes() {
            [b'-', digits @ ..] => (b'-', digits),
            [b'+', digits @ ..] => (b'+', digits),
            digits => (b'+', digits),
        };
        let sign = if flags.space && sign == b'+' && !flags.plus { b' ' } else { sign };
        if !finite {
            let bare = digits == b"NaN" && !flags.space && !flags.plus;
            let hidden = bare || (sign == b'+' && !flags.plus && digits != b"Inf");
            let text = if hidden { digits.to_vec() } else { [&[sign], digits].concat() };
            let zero = std::mem::replace(&mut self.flags.zero, false);
            self.pad(&text);
            self.flags.zero = zero;
            return;
        }
        let digits =
            if flags.sharp && verb != 'b' { with_point(digits, verb, precision) } else { digits.to_vec() };
        if !flags.plus && sign == b'+' {
            self.pad(&digits);
            return;
        }
        if let (true, false, Some(width)) = (flags.zero, flags.minus, flags.width)
            && width > digits.len() + 1
        {
            self.out.push(sign);
            self.fill(width - digits.len() - 1);
            self.out.extend(&digits);
            return;
        }
        self.pad(&[&[sign], &digits[..]].concat());
    }

    pub(super) fn string(&mut self, text: &[u8], verb: char, value: &Value) -> Result<(), Error> {
        match verb {
            'v' if self.flags.sharp_v => self.quoted_string(text),
            'v' | 's' => {
                let text = self.truncate(text);
                self.pad(text);
            }
            'q' => self.quoted_string(text),
            'x' | 'X' => self.hex_string(text, verb == 'X'),
            _ => return self.bad_verb(value, verb),
        }
        self.check()
    }

    /// The first characters, as many as the precision says.
    fn truncate<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let Some(precision) = self.flags.precision else { return text };
        if rune_count(text) <= precision {
            return text;
        }
        let mut end = 0;
        for _ in 0..precision {
            end += rune::decode(text.get(end..).unwrap_or_default()).map_or(0, |(_, width)| width);
        }
        text.get(..end).unwrap_or(text)
    }

    fn quoted_string(&mut self, text: &[u8]) {
        let text = self.truncate(text);
        let mut out = Vec::with_capacity(text.len() + 2);
        if self.flags.sharp && quote::can_backquote(text) {
            out.push(b'`');
            out.extend(text);
            out.push(b'`');
        } else {
            quote::quote(&mut out, text, self.flags.plus);
        }
        self.pad(&out);
    }

    fn hex_string(&mut self, text: &[u8], upper: bool) {
        let flags = self.flags;
        let text = flags.precision.and_then(|precision| text.get(..precision)).unwrap_or(text);
        if text.is_empty() {
            self.fill(flags.width.unwrap_or(0));
            return;
        }
        let mut out = Vec::with_capacity(text.len() * 2 + 2);
        for (i, byte) in text.iter().enumerate() {
            if flags.space && i > 0 {
                out.push(b' ');
            }
            if flags.sharp && (flags.space || i == 0) {
                out.extend(if upper { b"0X" } else { b"0x" });
            }
            let digits = if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
            out.extend(digits.as_bytes());
        }
        self.pad(&out);
    }
}

/// The character of a number; what is none is U+FFFD.
fn character(magnitude: u64, negative: bool) -> char {
    let code = if negative { None } else { u32::try_from(magnitude).ok() };
    code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// `#` keeps the decimal point, and for `%g` the trailing zeros.
fn with_point(digits: &[u8], verb: char, precision: Option<usize>) -> Vec<u8> {
    let mut missing = match verb {
        'v' | 'g' | 'G' | 'x' => precision.map_or(6, |p| i64::try_from(p).unwrap_or(i64::MAX)),
        _ => 0,
    };
    let is_hex = matches!(verb, 'x' | 'X');
    let tail_at = digits
        .iter()
        .position(|b| matches!(b, b'p' | b'P') || (!is_hex && matches!(b, b'e' | b'E')))
        .unwrap_or(digits.len());
    let (head, tail) = digits.split_at(tail_at);
    let mut significant = false;
    for b in head {
        if *b != b'.' {
            significant |= *b != b'0';
            missing -= i64::from(significant);
        }
    }
    let mut out = head.to_vec();
    if !head.contains(&b'.') {
        if head == b"0" {
            missing -= 1;
        }
        out.push(b'.');
    }
    out.resize(out.len() + usize::try_from(missing).unwrap_or(0), b'0');
    out.extend(tail);
    out
}
