//! Characters of Go strings, which are bytes: every byte that is no part of a character counts as U+FFFD.

use unicode_general_category::{GeneralCategory, get_general_category};

/// The first character and its length in bytes; none for an empty text.
pub(super) fn first(text: &[u8]) -> Option<(char, usize)> {
    let byte = *text.first()?;
    if byte.is_ascii() {
        return Some((char::from(byte), 1));
    }
    let window = &text[..text.len().min(4)];
    let valid = match std::str::from_utf8(window) {
        Ok(valid) => valid,
        Err(error) => std::str::from_utf8(&window[..error.valid_up_to()]).unwrap_or_default(),
    };
    Some(valid.chars().next().map_or((char::REPLACEMENT_CHARACTER, 1), |c| (c, c.len_utf8())))
}

/// The characters and their lengths in bytes.
pub(super) fn runes(mut text: &[u8]) -> impl Iterator<Item = (char, usize)> {
    std::iter::from_fn(move || {
        let (c, length) = first(text)?;
        text = &text[length..];
        Some((c, length))
    })
}

/// The text with every character changed.
pub(super) fn map(text: &[u8], mut change: impl FnMut(char) -> char) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for (c, _) in runes(text) {
        push(&mut out, change(c));
    }
    out
}

pub(super) fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

pub(super) fn is_upper(c: char) -> bool {
    get_general_category(c) == GeneralCategory::UppercaseLetter
}

pub(super) fn is_lower(c: char) -> bool {
    get_general_category(c) == GeneralCategory::LowercaseLetter
}

pub(super) fn is_title(c: char) -> bool {
    get_general_category(c) == GeneralCategory::TitlecaseLetter
}

pub(super) fn is_letter(c: char) -> bool {
    use GeneralCategory::*;
    matches!(
        get_general_category(c),
        UppercaseLetter | LowercaseLetter | TitlecaseLetter | ModifierLetter | OtherLetter
    )
}

pub(super) fn is_number(c: char) -> bool {
    use GeneralCategory::*;
    matches!(get_general_category(c), DecimalNumber | LetterNumber | OtherNumber)
}

pub(super) fn is_punctuation(c: char) -> bool {
    use GeneralCategory::*;
    matches!(
        get_general_category(c),
        ConnectorPunctuation
            | DashPunctuation
            | OpenPunctuation
            | ClosePunctuation
            | InitialPunctuation
            | FinalPunctuation
            | OtherPunctuation
    )
}

/// The upper-case form that is one character, as Go has no other: `ß` stays.
pub(super) fn to_upper(c: char) -> char {
    let mut forms = c.to_uppercase();
    match (forms.next(), forms.next()) {
        (Some(upper), None) => upper,
        _ => iota_capital(c).unwrap_or(c),
    }
}

/// The lower-case form that is one character.
pub(super) fn to_lower(c: char) -> char {
    // Of all characters only `İ` has a longer form, which begins with the simple one.
    c.to_lowercase().next().unwrap_or(c)
}

/// The form at the beginning of a word.
pub(super) fn to_title(c: char) -> char {
    match c {
        'Ǆ' | 'ǅ' | 'ǆ' => 'ǅ',
        'Ǉ' | 'ǈ' | 'ǉ' => 'ǈ',
        'Ǌ' | 'ǋ' | 'ǌ' => 'ǋ',
        'Ǳ' | 'ǲ' | 'ǳ' => 'ǲ',
        // Georgian has capitals for texts in capitals only.
        '\u{10d0}'..='\u{10fa}' | '\u{10fd}'..='\u{10ff}' => c,
        c => to_upper(c),
    }
}

/// Greek vowels with a iota below: their full upper case is two letters, the simple one a letter of its own.
fn iota_capital(c: char) -> Option<char> {
    match c {
        '\u{1f80}'..='\u{1faf}' => char::from_u32(u32::from(c) | 8),
        '\u{1fb3}' => Some('\u{1fbc}'),
        '\u{1fc3}' => Some('\u{1fcc}'),
        '\u{1ff3}' => Some('\u{1ffc}'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_count_one_by_one() {
        let seen: Vec<_> = runes(b"a\xe2\x82\xff\xc3\xa9").collect();
        let bad = (char::REPLACEMENT_CHARACTER, 1);
        assert_eq!(seen, [('a', 1), bad, bad, bad, ('é', 2)]);
    }

    #[test]
    fn case_is_changed_character_by_character() {
        for (c, upper, title, lower) in [
            ('ß', 'ß', 'ß', 'ß'),
            ('é', 'É', 'É', 'é'),
            ('ǆ', 'Ǆ', 'ǅ', 'ǆ'),
            ('İ', 'İ', 'İ', 'i'),
            ('ᾀ', 'ᾈ', 'ᾈ', 'ᾀ'),
            ('ა', 'Ა', 'ა', 'ა'),
            ('ŉ', 'ŉ', 'ŉ', 'ŉ'),
        ] {
            assert_eq!((to_upper(c), to_title(c), to_lower(c)), (upper, title, lower), "{c}");
        }
    }
}
