//! The one error of this crate: a position and Go's text.

use crate::Lines;

/// Why a text is not usable YAML.
///
/// `Display` prints what Go's YAML packages print: `yaml: line 2: mapping values are not allowed in this context`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("yaml: {message}")]
pub struct Error {
    /// The line of the problem, counted from 1 in the text that was given.
    pub line: usize,
    /// What is wrong, in Go's words. May begin with `line N: ` where Go's message does; that number is Go's, which
    /// differs from [`Error::line`] by one in places.
    pub message: String,
}

impl Error {
    pub(crate) fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }

    /// An error that Go reports while decoding, after parsing.
    pub(crate) fn decoding(line: usize, message: impl std::fmt::Display) -> Self {
        Self { line, message: format!("unmarshal errors:\n  line {line}: {message}") }
    }

    /// Go's error for the scanner's. The scanner itself finds no problem beyond `last_line`, counted from 0.
    pub(crate) fn from_scanner(error: &libyaml_safer::Error, last_line: u64, lines: Lines) -> Self {
        let scanner = error.kind() == libyaml_safer::ErrorKind::Scanner;
        let line = |mark: Option<libyaml_safer::Mark>| {
            let line = mark.map_or(0, |mark| mark.line);
            if scanner { line.min(last_line) } else { line }
        };
        let (context, problem) = (line(error.context_mark()), line(error.problem_mark()));
        // Both are 0-based, and only a scanner error is corrected. Line 0 is not shown.
        let shown = match (lines, context, problem) {
            (_, 0, 0) => None,
            (Lines::Problem, line, 0) => Some(line),
            (Lines::Problem, _, line) | (Lines::Context, 0, line) | (Lines::Context, line, _) => {
                Some(line + u64::from(scanner))
            }
        };
        let text = error.problem();
        let message = shown.map_or_else(|| text.to_owned(), |line| format!("line {line}: {text}"));
        Self { line: usize::try_from(problem.max(context)).unwrap_or(0) + 1, message }
    }
}
