//! Go's `strconv.Quote` and its kin.

use crate::parse::rune::{decode, is_print};

/// Appends a text in quotes, escaped as Go does it; `ascii` escapes everything above ASCII, too.
pub(crate) fn quote(out: &mut Vec<u8>, text: &[u8], ascii: bool) {
    out.push(b'"');
    let mut rest = text;
    loop {
        let ordinary = |b: &u8| (b' '..=b'~').contains(b) && !matches!(b, b'"' | b'\\');
        let (as_is, special) = rest.split_at(rest.iter().take_while(|b| ordinary(b)).count());
        out.extend_from_slice(as_is);
        rest = special;
        let Some((c, width)) = decode(rest) else { break };
        let (head, tail) = rest.split_at(width);
        if width == 1 && c == char::REPLACEMENT_CHARACTER {
            out.extend(format!("\\x{:02x}", head[0]).as_bytes());
        } else {
            escape(out, c, '"', ascii);
        }
        rest = tail;
    }
    out.push(b'"');
}

/// Appends a character in single quotes.
pub(super) fn quote_char(out: &mut Vec<u8>, c: char, ascii: bool) {
    out.push(b'\'');
    escape(out, c, '\'', ascii);
    out.push(b'\'');
}

fn escape(out: &mut Vec<u8>, c: char, quote: char, ascii: bool) {
    let short = match c {
        '\u{7}' => b'a',
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        '\u{b}' => b'v',
        '\\' => b'\\',
        c if c == quote => quote as u8,
        c if (c.is_ascii() || !ascii) && is_print(c) => {
            out.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
            return;
        }
        c => {
            let code = u32::from(c);
            let text = match code {
                0..0x20 | 0x7f => format!("\\x{code:02x}"),
                0x20..0x1_0000 => format!("\\u{code:04x}"),
                _ => format!("\\U{code:08x}"),
            };
            out.extend(text.as_bytes());
            return;
        }
    };
    out.extend([b'\\', short]);
}

/// Whether a text can stand between backquotes as it is.
pub(super) fn can_backquote(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| {
        text.chars().all(|c| c != '\u{feff}' && c != '`' && c != '\u{7f}' && (c >= ' ' || c == '\t'))
    })
}
