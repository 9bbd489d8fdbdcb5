//! The scanner, with its weak spots covered: it panics on some texts that end in the middle of a line.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use libyaml_safer::{Event, EventData, Parser, ScalarStyle};

use crate::{Error, Lines};

/// Bytes a piece at a time: the scanner makes four bytes of each that it sees before it begins.
struct Pieces<'t>(&'t [u8]);

/// Bytes of a piece.
const PIECE: usize = 16 << 10;

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl BufRead for Pieces<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(&self.0[..self.0.len().min(PIECE)])
    }

    fn consume(&mut self, count: usize) {
        self.0 = self.0.get(count..).unwrap_or_default();
    }
}

/// A text that ends with a line break, and what that changed.
pub(crate) struct Input<'t> {
    text: Cow<'t, str>,
    /// The last line, where a line break was added behind it.
    unfinished: Option<&'t str>,
}

impl<'t> Input<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        if text.is_empty() || text.ends_with('\n') {
            return Self { text: text.into(), unfinished: None };
        }
        Self { text: format!("{text}\n").into(), unfinished: text.rsplit('\n').next() }
    }

    /// Calls `each` for every event until it returns false or fails. `lines` says which line messages give.
    pub(crate) fn events(
        &self,
        lines: Lines,
        mut each: impl FnMut(Event) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let bytes = self.text.as_bytes();
        let mut parser = Parser::new();
        let breaks = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        let last_line = if self.unfinished.is_some() { breaks - 1 } else { breaks };
        parser.set_input(Pieces(bytes));
        loop {
            // A tag before a comma (`[!a,b]`) ends in a panic, too. The parser is not used again after one.
            let next = catch_unwind(AssertUnwindSafe(|| parser.parse()));
            let mut event = match next {
                Ok(event) => event.map_err(|error| Error::from_scanner(&error, last_line, lines))?,
                Err(_) => return Err(Error::new(1, "did not find expected ',' or ']'")),
            };
            self.take_back_break(&mut event);
            if !each(event)? {
                return Ok(());
            }
        }
    }

    /// A block that ends with the text must not end with the line break that was added.
    fn take_back_break(&self, event: &mut Event) {
        let Some(last_line) = self.unfinished else { return };
        let EventData::Scalar { value, style: ScalarStyle::Literal | ScalarStyle::Folded, .. } =
            &mut event.data
        else {
            return;
        };
        if event.end_mark.index < self.text.len() as u64 {
            return;
        }
        // A blank last line counts only where all breaks are kept (`|+`).
        let blank = last_line.trim_matches(' ').is_empty();
        if value.ends_with('\n') && (!blank || value.ends_with("\n\n") || value == "\n") {
            value.pop();
        }
    }
}
