//! The one error of this crate: a position and Go's text.

use crate::Lines;

/// Why a text is not usable YAML.
///
/// `Display` prints what Go's YAML packages print: `yaml: line 2: mapping values are not allowed in this context`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if self.conversion { "" } else { "yaml: " })]
pub struct Error {
    /// The line of the problem, counted from 1 in the text that was given.
    pub line: usize,
    /// What is wrong, in Go's words. May begin with `line N: ` where Go's message does; that number is Go's, which
    /// differs from [`Error::line`] by one in places.
    pub message: String,
    /// Whether the text is YAML, but no JSON: Go says so without the prefix.
    conversion: bool,
}

impl Error {
    pub(crate) fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into(), conversion: false }
    }

    /// The same in a text that has this many lines above.
    pub(crate) fn below(self, lines: usize) -> Self {
        Self { line: self.line + lines, ..self }
    }

    /// An error that Go reports while decoding, after parsing.
    pub(crate) fn decoding(line: usize, message: impl std::fmt::Display) -> Self {
        Self::new(line, format!("unmarshal errors:\n  line {line}: {message}"))
    }

    /// An error that Go reports when it makes JSON of what it decoded.
    pub(crate) fn conversion(line: usize, message: String) -> Self {
        Self { line, message, conversion: true }
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
        Self::new(usize::try_from(problem.max(context)).unwrap_or(0) + 1, message)
    }
}
