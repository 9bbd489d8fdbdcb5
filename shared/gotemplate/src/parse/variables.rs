//! Which variables there are at a place in the text.

use std::collections::HashMap;

use super::tree::Span;

/// Variables in the order of their declaration, found by name in constant time however many there are.
pub(super) struct Variables {
    names: Vec<Box<[u8]>>,
    /// Where a name stands in the list, the latest last.
    places: HashMap<Box<[u8]>, Vec<usize>>,
}

impl Variables {
    /// `$` alone.
    pub(super) fn new() -> Self {
        let mut variables = Self { names: Vec::new(), places: HashMap::new() };
        variables.push(b"$");
        variables
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn push(&mut self, name: &[u8]) {
        self.places.entry(name.into()).or_default().push(self.names.len());
        self.names.push(name.into());
    }

    /// Forgets all but the first `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        for name in self.names.drain(len.min(self.names.len())..) {
            if let Some(places) = self.places.get_mut(&name) {
                places.pop();
            }
        }
    }

    /// The place of the latest variable of this name.
    pub(super) fn find(&self, name: &[u8]) -> Option<usize> {
        self.places.get(name)?.last().copied()
    }
}

/// The part of a text that a span marks.
pub(super) fn word<'t>(text: &'t [u8], span: &Span) -> &'t [u8] {
    text.get(span.start as usize..span.end as usize).unwrap_or_default()
}
