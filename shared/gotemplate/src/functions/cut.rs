//! Parts of texts: `substr`, `trunc`, `abbrev`, `wrap` and the like. Go's versions count bytes.

use super::{fail, runes::runes, strings::on_text};
use crate::{Error, Function, Type, Value};

/// The functions of this family.
pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::new("substr", &[Type::Int, Type::Int, Type::String], |_, args| {
            Ok(Value::string(substring(args.int(0)?, args.int(1)?, args.string(2)?)?))
        }),
        Function::new("trunc", &[Type::Int, Type::String], |_, args| {
            Ok(Value::string(truncate(args.int(0)?, args.string(1)?)))
        }),
        Function::new("abbrev", &[Type::Int, Type::String], |_, args| {
            Ok(Value::string(abbreviate(0, args.int(0)?, args.string(1)?)))
        }),
        Function::new("abbrevboth", &[Type::Int, Type::Int, Type::String], |_, args| {
            Ok(Value::string(abbreviate(args.int(0)?, args.int(1)?, args.string(2)?)))
        }),
        Function::new("wrap", &[Type::Int, Type::String], |cx, args| {
            cx.charge(args.string(1)?.len())?;
            Ok(Value::string(wrap(args.string(1)?, args.int(0)?, b"\n", false)))
        }),
        Function::new("wrapWith", &[Type::Int, Type::String, Type::String], |cx, args| {
            let (width, separator, text) = (args.int(0)?, args.string(1)?, args.string(2)?);
            cx.charge(text.len().saturating_mul(separator.len().saturating_add(1)))?;
            let separator = if separator.is_empty() { b"\n" } else { &**separator };
            Ok(Value::string(wrap(text, width, separator, true)))
        }),
        on_text("nospace", |text| pieces(text, |_| true)),
        on_text("initials", |text| pieces(text, |first| first)),
    ]
}

/// The characters that are no blanks, chosen by whether they begin a word. (Go's takes bytes for characters and garbles
/// all but ASCII; this one does not.)
fn pieces(text: &[u8], keep: fn(bool) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let (mut at, mut begins) = (0, true);
    for (c, length) in runes(text) {
        let blank = c.is_whitespace();
        if !blank && keep(begins) {
            out.extend_from_slice(&text[at..at + length]);
        }
        begins = blank;
        at += length;
    }
    out
}

fn substring(start: i64, end: i64, text: &[u8]) -> Result<&[u8], Error> {
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let open = end < 0 || end > length;
    let (from, to) = match (start < 0, open) {
        (true, _) => (0, end),
        (false, true) => (start, length),
        (false, false) => (start, end),
    };
    let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
    range.and_then(|(from, to)| text.get(from..to)).ok_or_else(|| {
        let what = match (start < 0, open) {
            (true, _) if end < 0 => format!("[:{end}]"),
            (true, _) => format!("[:{end}] with length {length}"),
            (false, true) => format!("[{start}:{length}]"),
            (false, false) => format!("[{start}:{end}]"),
        };
        fail(format!("runtime error: slice bounds out of range {what}"))
    })
}

/// The first `count` bytes, or the last if it is negative.
fn truncate(count: i64, text: &[u8]) -> &[u8] {
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if wanted >= text.len() {
        text
    } else if count < 0 {
        &text[text.len() - wanted..]
    } else {
        &text[..wanted]
    }
}

/// Cuts to `width` bytes, dots included: at the end, and at the beginning too if `offset` is above 4.
fn abbreviate(offset: i64, width: i64, text: &[u8]) -> Vec<u8> {
    const DOTS: &[u8] = b"...";
    let Ok(width) = usize::try_from(width) else { return text.to_vec() };
    if width < 4 || (offset > 0 && width < 7) || text.len() <= width {
        return text.to_vec();
    }
    let room = width - DOTS.len();
    let latest = text.len() - room;
    let offset = usize::try_from(offset).unwrap_or(0).min(latest);
    if offset <= 4 {
        return [&text[..room], DOTS].concat();
    }
    if offset + room < text.len() {
        let tail = abbreviate(0, i64::try_from(room).unwrap_or(i64::MAX), &text[offset..]);
        return [DOTS, &tail].concat();
    }
    [DOTS, &text[latest..]].concat()
}

/// Breaks a text at blanks; words longer than the width are cut or not.
fn wrap(text: &[u8], width: i64, separator: &[u8], cut_words: bool) -> Vec<u8> {
    let width = usize::try_from(width).unwrap_or(0).max(1);
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while rest.len() > width {
        if let Some(after) = rest.strip_prefix(b" ") {
            rest = after;
            continue;
        }
        let (line, after) = if let Some(blank) = rest[..=width].iter().rposition(|b| *b == b' ') {
            (&rest[..blank], &rest[blank + 1..])
        } else if cut_words {
            rest.split_at(width)
        } else if let Some(blank) = rest[width..].iter().position(|b| *b == b' ') {
            (&rest[..width + blank], &rest[width + blank + 1..])
        } else {
            break;
        };
        out.extend_from_slice(line);
        out.extend_from_slice(separator);
        rest = after;
    }
    out.extend_from_slice(rest);
    out
}
