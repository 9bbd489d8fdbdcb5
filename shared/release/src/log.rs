//! The last lines of what an action did, for the event of its failure.

use std::fmt;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Map, Value};

/// Lines that are kept.
const KEPT: usize = 10;

/// One line of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// What.
    pub message: String,
    /// More about it; never a value of a Secret.
    pub attributes: Map<String, Value>,
    /// How often the line was repeated right after.
    pub repeated: usize,
}

/// `<time>: <message>[: <attributes>]`, and how many lines like it were left out.
impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)?;
        if !self.attributes.is_empty() {
            write!(f, ": {}", Value::Object(self.attributes.clone()))?;
        }
        match self.repeated {
            0 => Ok(()),
            1 => f.write_str("\n(1 duplicate line omitted)"),
            n => write!(f, "\n({n} duplicate lines omitted)"),
        }
    }
}

/// Collects the lines of one action.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<Vec<LogLine>>);

impl Log {
    /// Notes a line.
    pub(crate) fn line<const N: usize>(&self, message: impl Into<String>, attributes: [(&str, &str); N]) {
        let message = message.into();
        let attributes: Map<_, _> =
            attributes.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect();
        tracing::debug!(?attributes, "{message}");
        let mut lines = self.0.lock();
        if let Some(last) = lines.last_mut()
            && last.message == message
            && last.attributes == attributes
        {
            last.repeated += 1;
            return;
        }
        if lines.len() == KEPT {
            lines.remove(0);
        }
        lines.push(LogLine { at: Timestamp::now(), message, attributes, repeated: 0 });
    }

    /// The lines so far.
    pub(crate) fn take(&self) -> Vec<LogLine> {
        std::mem::take(&mut *self.0.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_repeats_are_counted() {
        let log = Log::default();
        for n in 0..12 {
            log.line(format!("line {n}"), [("kind", "Pod")]);
        }
        log.line("line 11", [("kind", "Pod")]);
        log.line("line 11", [("kind", "Pod")]);
        let lines = log.take();
        assert_eq!(lines.len(), KEPT);
        assert_eq!(lines[0].message, "line 2");
        let text = lines[9].to_string();
        assert!(text.ends_with(": line 11: {\"kind\":\"Pod\"}\n(2 duplicate lines omitted)"), "{text}");
        assert!(log.take().is_empty());
    }
}
