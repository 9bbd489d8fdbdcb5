//! Go's view of text: runes out of bytes that may not be UTF-8, and Unicode's classes of them.

use unicode_general_category::{GeneralCategory as Cat, get_general_category};

/// The first character of `bytes` and its length. A byte that begins no valid sequence is U+FFFD of length 1; no byte at
/// all is None.
pub(crate) fn decode(bytes: &[u8]) -> Option<(char, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((char::from(first), 1));
    }
    let len = match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return Some((char::REPLACEMENT_CHARACTER, 1)),
    };
    let valid = bytes.get(..len).and_then(|head| std::str::from_utf8(head).ok());
    match valid.and_then(|text| text.chars().next()) {
        Some(c) => Some((c, len)),
        None => Some((char::REPLACEMENT_CHARACTER, 1)),
    }
}

/// Go's `unicode.IsLetter` or `unicode.IsDigit`, or an underscore.
pub(crate) fn is_alphanumeric(c: char) -> bool {
    if c.is_ascii() {
        return c == '_' || c.is_ascii_alphanumeric();
    }
    matches!(
        get_general_category(c),
        Cat::UppercaseLetter
            | Cat::LowercaseLetter
            | Cat::TitlecaseLetter
            | Cat::ModifierLetter
            | Cat::OtherLetter
            | Cat::DecimalNumber
    )
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII blank.
pub(crate) fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    !matches!(
        get_general_category(c),
        Cat::Control
            | Cat::Format
            | Cat::Surrogate
            | Cat::PrivateUse
            | Cat::Unassigned
            | Cat::SpaceSeparator
            | Cat::LineSeparator
            | Cat::ParagraphSeparator
    )
}

/// A character as Go's `%#U` prints it: `U+2603 '☃'`.
pub(crate) fn describe(c: char) -> String {
    if is_print(c) { format!("U+{:04X} '{c}'", u32::from(c)) } else { format!("U+{:04X}", u32::from(c)) }
}
