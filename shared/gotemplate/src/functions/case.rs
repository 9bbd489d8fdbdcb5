//! Upper and lower case, and the words of identifiers: `HTTPServer`, `http_server`, `http-server`.

use super::{
    runes::{
        is_letter, is_lower, is_number, is_punctuation, is_title, is_upper, map, push, runes, to_lower,
        to_title, to_upper,
    },
    strings::on_text,
};
use crate::Function;

/// The functions of this family.
pub(super) fn functions() -> Vec<Function> {
    vec![
        on_text("upper", |text| map(text, to_upper)),
        on_text("lower", |text| map(text, to_lower)),
        on_text("title", title),
        on_text("untitle", untitle),
        on_text("swapcase", swap_case),
        on_text("camelcase", camel_case),
        on_text("snakecase", |text| lower_words(text, '_')),
        on_text("kebabcase", |text| lower_words(text, '-')),
    ]
}

/// Capitals for letters that follow neither letter, digit nor underscore.
fn title(text: &[u8]) -> Vec<u8> {
    let mut before = ' ';
    map(text, |c| {
        let starts = match before {
            '_' => false,
            b if b.is_ascii() => !b.is_ascii_alphanumeric(),
            b => b.is_whitespace(),
        };
        before = c;
        if starts { to_title(c) } else { c }
    })
}

/// Small letters at the beginning of words.
fn untitle(text: &[u8]) -> Vec<u8> {
    let mut starts = true;
    map(text, |c| {
        let first = std::mem::replace(&mut starts, c.is_whitespace()) && !c.is_whitespace();
        if first { to_lower(c) } else { c }
    })
}

fn swap_case(text: &[u8]) -> Vec<u8> {
    let mut after_blank = true;
    map(text, |c| {
        if is_upper(c) || is_title(c) {
            after_blank = false;
            to_lower(c)
        } else if is_lower(c) {
            if std::mem::replace(&mut after_blank, false) { to_title(c) } else { to_upper(c) }
        } else {
            after_blank = c.is_whitespace();
            c
        }
    })
}

fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || c.is_whitespace()
}

/// `http_server` to `HttpServer`, with the rules of xstrings' `ToPascalCase`: connectors at the ends stay, of several in a
/// row one is dropped, words in capitals are lowered. Of a text of connectors the last one comes twice.
fn camel_case(text: &[u8]) -> Vec<u8> {
    let chars: Vec<char> = runes(text).map(|(c, _)| c).collect();
    let mut out = Vec::with_capacity(text.len());
    let leading = chars.iter().take_while(|c| is_connector(**c)).count();
    for c in &chars[..leading] {
        push(&mut out, *c);
    }
    let Some((first, rest)) = chars[leading..].split_first() else {
        chars.last().into_iter().for_each(|c| push(&mut out, *c));
        return out;
    };
    // Whether the word at hand has had nothing but capitals so far.
    let mut capitals = is_upper(*first);
    let mut before = to_upper(*first);
    for c in rest {
        let mut c = *c;
        if is_connector(before) {
            if is_connector(c) {
                push(&mut out, before);
            } else {
                capitals = is_upper(c);
                c = to_upper(c);
            }
        } else {
            if capitals {
                capitals = is_upper(c);
                c = if capitals { to_lower(c) } else { c };
            }
            push(&mut out, before);
        }
        before = c;
    }
    push(&mut out, before);
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Number,
    Upper,
    Alphabet,
    Connector,
    Punctuation,
    Other,
    /// After the last word.
    End,
}

/// `HTTPServer` to `http_server`, with the rules of xstrings' `ToSnakeCase`: a number sticks to the word before it, unless
/// small letters follow it.
fn lower_words(text: &[u8], connector: char) -> Vec<u8> {
    let words = words(&runes(text).map(|(c, _)| c).collect::<Vec<_>>());
    let word =
        |at: usize| words.get(at).map_or((Word::End, &[][..]), |(kind, chars)| (*kind, chars.as_slice()));
    let mut out = Vec::with_capacity(text.len() + 8);
    let mut at = 0;
    let joins = |kind: Word| !matches!(kind, Word::Connector | Word::Punctuation);
    while at + 1 < words.len() {
        let (kind, chars) = word(at);
        if kind != Word::Connector {
            lower(&mut out, kind, chars, connector);
        }
        at += 1;
        match kind {
            Word::Number => {
                at = lower_run(&mut out, &words, at, connector);
                if joins(word(at).0) && word(at).0 != Word::End {
                    push(&mut out, connector);
                }
            }
            Word::Connector => lower(&mut out, kind, chars, connector),
            Word::Punctuation => {}
            _ if word(at).0 != Word::Number => {
                if joins(word(at).0) {
                    push(&mut out, connector);
                }
            }
            _ if at + 1 >= words.len() => {}
            _ => {
                let (number, digits) = word(at);
                at += 1;
                if word(at).0 == Word::Alphabet {
                    push(&mut out, connector);
                    lower(&mut out, number, digits, connector);
                    at = lower_run(&mut out, &words, at, connector);
                    if joins(word(at).0) && word(at).0 != Word::End {
                        push(&mut out, connector);
                    }
                } else {
                    lower(&mut out, number, digits, connector);
                    if joins(word(at).0) {
                        push(&mut out, connector);
                    }
                }
            }
        }
    }
    let (kind, chars) = word(at);
    lower(&mut out, kind, chars, connector);
    out
}

/// Writes the small letters and numbers that stand together, and returns where they end.
fn lower_run(out: &mut Vec<u8>, words: &[(Word, Vec<char>)], mut at: usize, connector: char) -> usize {
    while let Some((kind @ (Word::Alphabet | Word::Number), chars)) = words.get(at) {
        lower(out, *kind, chars, connector);
        at += 1;
    }
    at
}

fn lower(out: &mut Vec<u8>, kind: Word, chars: &[char], connector: char) {
    for c in chars {
        let c = match kind {
            Word::Upper | Word::Connector if is_connector(*c) => connector,
            Word::Upper | Word::Connector if is_upper(*c) => to_lower(*c),
            _ => *c,
        };
        push(out, c);
    }
}

/// Letters of alphabets; Chinese characters are words of their own.
fn is_alphabet(c: char) -> bool {
    is_letter(c)
        && !matches!(c, '\u{3400}'..='\u{4d85}' | '\u{4e00}'..='\u{9fcc}' | '\u{20000}'..='\u{2b81d}')
}

fn words(chars: &[char]) -> Vec<(Word, Vec<char>)> {
    let mut words = Vec::new();
    let mut rest = chars;
    while let Some(first) = rest.first() {
        let run = |accept: &dyn Fn(char) -> bool| 1 + rest[1..].iter().take_while(|c| accept(**c)).count();
        let small = |c: char| is_alphabet(c) && !is_upper(c);
        let (kind, length) = if is_connector(*first) {
            (Word::Connector, run(&is_connector))
        } else if is_punctuation(*first) {
            (Word::Punctuation, run(&is_punctuation))
        } else if is_upper(*first) {
            let capitals = run(&is_upper);
            let then_small = rest.get(capitals).is_some_and(|c| is_alphabet(*c));
            // Of `HTTPStatus` the `S` belongs to the next word.
            let length = match capitals {
                1 => run(&small),
                _ if then_small => capitals - 1,
                _ => capitals,
            };
            (Word::Upper, length)
        } else if is_alphabet(*first) {
            (Word::Alphabet, run(&small))
        } else if is_number(*first) {
            (Word::Number, run(&is_number))
        } else {
            let other = |c: char| !(is_connector(c) || is_alphabet(c) || is_number(c) || is_punctuation(c));
            (Word::Other, run(&other))
        };
        let (word, after) = rest.split_at(length);
        words.push((kind, word.to_vec()));
        rest = after;
    }
    words
}
