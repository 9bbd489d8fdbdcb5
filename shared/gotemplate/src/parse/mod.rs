//! Text to compiled templates.
//!
//! The grammar, its oddities and its messages are those of Go's `text/template/parse`: what is accepted there is
//! accepted here, what fails there fails here with the same text and line. Nothing recurses: nesting costs memory of
//! its own size, not stack.

mod builder;
mod lex;
mod number;
mod parser;
mod pipeline;
mod print;
mod quote;
pub(crate) mod rune;
mod tree;
mod variables;

use std::sync::Arc;

pub(crate) use number::Number;
pub use tree::Template;
pub(crate) use tree::{Id, NodeKind, Op, Slot, UNDEFINED};

use crate::{call::Functions, error::ParseError};

/// The templates of one text: the text itself and what it defines. Made once, added to any number of sets.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// By name.
    templates: Vec<Arc<Template>>,
}

impl Parsed {
    /// Parses `text` as the template `name`. All functions that it names must be among `functions`, which it keeps.
    ///
    /// # Errors
    /// The text is not a template; the message and line are Go's.
    pub fn parse(name: &str, text: &[u8], functions: &Functions) -> Result<Self, ParseError> {
        let mut templates = parser::parse(name, text, functions)?;
        templates.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Parsed { templates })
    }

    /// The templates: the text itself and all that it defines.
    pub fn templates(&self) -> &[Arc<Template>] {
        &self.templates
    }

    /// The template of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Template>> {
        let place = self.templates.binary_search_by(|template| template.name().cmp(name)).ok()?;
        self.templates.get(place)
    }
}
