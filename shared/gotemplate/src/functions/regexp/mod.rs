//! Go's package `regexp` on the `regex` crate: both match leftmost-first in linear time.
//!
//! What differs is the syntax of patterns (see `translate`), the rules for empty matches, and replacement texts.

mod replace;
mod translate;

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use regex::bytes::{Regex, RegexBuilder};

use crate::fmt::quoted;

/// Bytes that a compiled pattern may take.
const MAX_COMPILED: usize = 10 << 20;
/// Patterns that a [`Cache`] keeps.
const CACHED: usize = 64;

/// A compiled pattern.
#[derive(Debug)]
pub struct Regexp {
    regex: Regex,
    /// The names of the groups, from 0; empty for those without one.
    names: Vec<String>,
    is_empty: bool,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {problem}: `{part}`")]
pub struct SyntaxError {
    problem: Problem,
    part: String,
}

/// What is wrong with a pattern, with the texts of Go's `regexp/syntax`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("invalid character class range")]
    ClassRange,
    #[error("invalid escape sequence")]
    Escape,
    #[error("invalid named capture")]
    NamedCapture,
    #[error("invalid or unsupported Perl syntax")]
    PerlSyntax,
    #[error("invalid nested repetition operator")]
    NestedRepeat,
    #[error("invalid repeat count")]
    RepeatSize,
    #[error("invalid UTF-8")]
    InvalidUtf8,
    #[error("missing closing ]")]
    MissingBracket,
    #[error("missing closing )")]
    MissingParen,
    #[error("missing argument to repetition operator")]
    MissingOperand,
    #[error("trailing backslash at end of expression")]
    TrailingBackslash,
    #[error("unexpected )")]
    UnexpectedParen,
    #[error("expression nests too deeply")]
    Depth,
    #[error("expression too large")]
    Large,
}

impl SyntaxError {
    fn new(problem: Problem, part: &str) -> Self {
        Self { problem, part: part.to_owned() }
    }

    /// The text of the panic that Go's `MustCompile` raises for this error.
    #[must_use]
    pub fn panic_text(&self, pattern: &[u8]) -> String {
        let raw = std::str::from_utf8(pattern).ok().filter(|p| can_backquote(p));
        let shown = raw.map_or_else(|| quoted(pattern), |p| format!("`{p}`"));
        format!("regexp: Compile({shown}): {self}")
    }
}

/// Whether a text can stand between backquotes in Go.
fn can_backquote(text: &str) -> bool {
    text.chars().all(|c| !matches!(c, '\u{feff}' | '`' | '\u{7f}') && (c >= ' ' || c == '\t'))
}

impl Regexp {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`SyntaxError`] with Go's text; also if the compiled form would take more than 10 MiB.
    pub fn compile(pattern: &[u8]) -> Result<Self, SyntaxError> {
        let translated = translate::translate(pattern)?;
        let regex = RegexBuilder::new(&translated.pattern)
            .size_limit(MAX_COMPILED)
            .nest_limit(2000)
            .build()
            .map_err(|_| SyntaxError::new(Problem::Large, &String::from_utf8_lossy(pattern)))?;
        Ok(Self { regex, names: translated.names, is_empty: pattern.is_empty() })
    }

    /// Whether the pattern matches anywhere in the text.
    #[must_use]
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// The first match.
    #[must_use]
    pub fn find<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        self.regex.find(text).map(|found| found.as_bytes())
    }

    /// The ranges of up to `limit` matches. An empty match right after another match does not count.
    #[must_use]
    pub fn find_all(&self, text: &[u8], limit: usize) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        let (mut at, mut last_end) = (0, None);
        while found.len() < limit && at <= text.len() {
            let Some(range) = self.regex.find_at(text, at).map(|m| (m.start(), m.end())) else { break };
            let (start, end) = range;
            let accepted = end > at || Some(start) != last_end;
            at = if end > at { end } else { at + char_width(&text[at..]).max(1) };
            last_end = Some(end);
            if accepted {
                found.push(range);
            }
        }
        found
    }

    /// The pieces of the text between matches: at most `limit` of them, of which the last is the rest.
    #[must_use]
    pub fn split<'a>(&self, text: &'a [u8], limit: Option<usize>) -> Vec<&'a [u8]> {
        if !self.is_empty && text.is_empty() {
            return vec![text];
        }
        let mut pieces = Vec::new();
        let (mut begin, mut end) = (0, 0);
        for (start, stop) in self.find_all(text, limit.unwrap_or(usize::MAX)) {
            if limit.is_some_and(|limit| pieces.len() + 1 == limit) {
                break;
            }
            end = start;
            if stop != 0 {
                pieces.push(&text[begin..end]);
            }
            begin = stop;
        }
        if end != text.len() {
            pieces.push(&text[begin..]);
        }
        pieces
    }
}

/// The length of the character that a text begins with: 1 for a byte that is none, 0 for an empty text.
fn char_width(text: &[u8]) -> usize {
    let window = &text[..text.len().min(4)];
    match std::str::from_utf8(window) {
        Ok(valid) => valid.chars().next().map_or(0, char::len_utf8),
        Err(error) if error.valid_up_to() > 0 => {
            let valid = std::str::from_utf8(&window[..error.valid_up_to()]).unwrap_or_default();
            valid.chars().next().map_or(1, char::len_utf8)
        }
        Err(_) => 1,
    }
}

/// Escapes everything in a text that has a meaning in a pattern.
#[must_use]
pub fn quote_meta(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        if br"\.+*?()|[]{}^$".contains(byte) {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out
}

/// Compiled patterns, so that a pattern in a loop is compiled once. Shared by all renders with one set of functions.
#[derive(Debug, Default)]
pub struct Cache(Mutex<HashMap<Vec<u8>, Arc<Regexp>>>);

impl Cache {
    /// The pattern, if it is known.
    #[must_use]
    pub fn known(&self, pattern: &[u8]) -> Option<Arc<Regexp>> {
        self.0.lock().get(pattern).cloned()
    }

    /// Compiles a pattern and remembers it.
    ///
    /// # Errors
    /// As [`Regexp::compile`]; faulty patterns are not remembered.
    pub fn compile(&self, pattern: &[u8]) -> Result<Arc<Regexp>, SyntaxError> {
        let compiled = Arc::new(Regexp::compile(pattern)?);
        let mut cache = self.0.lock();
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(pattern.to_vec(), compiled.clone());
        Ok(compiled)
    }
}

#[cfg(test)]
mod tests;
