//! What Go's string and character literals mean.

use super::rune::decode;

/// The text of a literal in `"` or backquotes, or None if Go calls it `invalid syntax`.
pub(crate) fn unquote(literal: &[u8]) -> Option<Vec<u8>> {
    match literal {
        [b'`', inner @ .., b'`'] => Some(inner.iter().copied().filter(|b| *b != b'\r').collect()),
        [b'"', inner @ .., b'"'] => {
            let mut rest = inner;
            let mut out = Vec::with_capacity(inner.len());
            while !rest.is_empty() {
                let (unit, after) = unquote_char(rest, b'"')?;
                match unit {
                    Unit::Byte(b) => out.push(b),
                    Unit::Rune(c) => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
                }
                rest = after;
            }
            Some(out)
        }
        _ => None,
    }
}

/// One character of a literal.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    /// From `\x` or an octal escape: a byte, whatever it means.
    Byte(u8),
    /// Anything else.
    Rune(char),
}

impl Unit {
    /// The number that a character constant of it is.
    pub(super) fn code(self) -> u32 {
        match self {
            Unit::Byte(b) => u32::from(b),
            Unit::Rune(c) => u32::from(c),
        }
    }
}

/// Takes the first character, written as it may be between `quote`s.
pub(super) fn unquote_char(text: &[u8], quote: u8) -> Option<(Unit, &[u8])> {
    let (c, width) = decode(text)?;
    let rest = text.get(width..)?;
    if c == '\n' || u32::from(c) == u32::from(quote) {
        return None;
    }
    if c != '\\' {
        return Some((Unit::Rune(c), rest));
    }
    let (&escape, rest) = rest.split_first()?;
    let simple = match escape {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0C,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0B,
        b'\\' => b'\\',
        b'\'' | b'"' if escape == quote => escape,
        b'x' => return byte(rest, 2, 16),
        b'0'..=b'7' => return byte(text.get(1..)?, 3, 8),
        b'u' => return rune(rest, 4),
        b'U' => return rune(rest, 8),
        _ => return None,
    };
    Some((Unit::Byte(simple), rest))
}

fn digits(text: &[u8], count: usize, base: u32) -> Option<(u32, &[u8])> {
    let (head, rest) = text.split_at_checked(count)?;
    let mut value: u32 = 0;
    for b in head {
        value = value.checked_mul(base)?.checked_add(char::from(*b).to_digit(base)?)?;
    }
    Some((value, rest))
}

fn byte(text: &[u8], count: usize, base: u32) -> Option<(Unit, &[u8])> {
    let (value, rest) = digits(text, count, base)?;
    Some((Unit::Byte(u8::try_from(value).ok()?), rest))
}

fn rune(text: &[u8], count: usize) -> Option<(Unit, &[u8])> {
    let (value, rest) = digits(text, count, 16)?;
    Some((Unit::Rune(char::from_u32(value)?), rest))
}

#[cfg(test)]
mod tests {
    use super::unquote;

    #[test]
    fn literals_mean_what_they_mean_in_go() {
        for (literal, want) in [
            (&b"\"a\\tb\""[..], Some(&b"a\tb"[..])),
            (b"\"\\x41\\101\\u00e9\\U0001F600\"", Some("AA\u{e9}\u{1f600}".as_bytes())),
            (b"\"\\xff\"", Some(b"\xff")),
            (b"\"\xff\"", Some("\u{fffd}".as_bytes())),
            (b"\"\\'\"", None),
            (b"\"\\ud800\"", None),
            (b"\"\\400\"", None),
            (b"\"\\u12\"", None),
            (b"\"\\q\"", None),
            (b"`a\\n\r\n`", Some(b"a\\n\n")),
            (b"\"", None),
        ] {
            assert_eq!(unquote(literal).as_deref(), want, "{literal:?}");
        }
    }
}
