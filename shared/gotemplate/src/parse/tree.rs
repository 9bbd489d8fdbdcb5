//! The compiled form of a template.
//!
//! Control structures are a flat list of operations with jumps, expressions an arena of nodes: neither running, nor
//! dropping, nor printing a tree recurses with the nesting of `if` and `range`, and nothing points anywhere but to an
//! index.

use std::{ops::Range, sync::Arc};

use super::number::Number;
use crate::{call::Function, error::Location};

/// A compiled template. Shared by threads, executed by [`crate::Session`].
#[derive(Debug)]
pub struct Template {
    pub(crate) name: Arc<str>,
    pub(crate) source: Arc<Source>,
    pub(crate) ops: Vec<Op>,
    pub(crate) nodes: Vec<Node>,
    /// The children of nodes.
    pub(crate) kids: Vec<Id>,
    /// The names of fields.
    pub(crate) names: Vec<Box<[u8]>>,
    /// The variables that pipelines declare or assign.
    pub(crate) decls: Vec<Decl>,
    pub(crate) strings: Vec<Text>,
    pub(crate) numbers: Vec<Number>,
    pub(crate) functions: Vec<Function>,
    /// How many variables are alive at once, `$` among them.
    pub(crate) slots: usize,
    /// Whether it holds nothing but blanks and comments. Such a template replaces no other.
    pub(crate) empty: bool,
}

/// A text that was parsed.
#[derive(Debug)]
pub(crate) struct Source {
    /// The name in positions.
    pub(crate) name: Arc<str>,
    pub(crate) text: Box<[u8]>,
}

/// The index of a node.
pub(crate) type Id = u32;

/// A part of one of the tables.
pub(crate) type Span = Range<u32>;

/// Where a variable lives in its frame.
pub(crate) type Slot = u32;

/// The slot of a variable that does not exist when the template runs.
pub(crate) const UNDEFINED: Slot = Slot::MAX;

/// An expression. `pos` is where messages say it is.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) pos: u32,
    pub(crate) kind: NodeKind,
}

/// What an expression is.
#[derive(Debug)]
pub(crate) enum NodeKind {
    /// Commands, each fed by the one before.
    Pipe { decls: Span, assign: bool, commands: Span },
    /// A function or value with arguments.
    Command { args: Span },
    /// `.a.b`
    Field { names: Span },
    /// `$x.a.b`; its name stands in the source at `name`.
    Variable { slot: Slot, name: Span, names: Span },
    /// `(…).a.b`
    Chain { node: Id, names: Span },
    /// `.`
    Dot,
    /// `nil`
    Nil,
    /// `true`, `false`
    Bool(bool),
    /// A number; its text stands in the source.
    Number { index: u32, text: Span },
    /// A string.
    String(u32),
    /// The name of a function.
    Function(u32),
    /// `{{template "name" pipe}}`
    Template { name: u32, pipe: Option<Id> },
}

/// A variable that a pipeline declares or assigns.
#[derive(Debug)]
pub(crate) struct Decl {
    pub(crate) slot: Slot,
    /// Its name in the source.
    pub(crate) name: Span,
}

/// A string literal.
#[derive(Debug)]
pub(crate) struct Text {
    /// What it means.
    pub(crate) value: Box<[u8]>,
    /// How it is written.
    pub(crate) written: Span,
}

/// A step of a template.
#[derive(Debug)]
pub(crate) enum Op {
    /// Copies text.
    Text(Span),
    /// Evaluates a pipeline and prints its value.
    Print(Id),
    /// Evaluates a pipeline for its variables.
    Eval(Id),
    /// Goes to `otherwise` if the pipeline is false.
    If { pipe: Id, otherwise: u32 },
    /// Makes the value of the pipeline the dot, or goes to `otherwise` if it is false.
    With { pipe: Id, otherwise: u32 },
    /// Takes back the dot that was there before `with`.
    EndWith,
    /// Starts a loop, or goes to `otherwise` if there is nothing to loop over.
    Range { pipe: Id, otherwise: u32, end: u32 },
    /// Starts the next round of the loop, or goes to its end.
    Next,
    /// Leaves the loop.
    Break,
    /// Goes on.
    Jump(u32),
    /// Executes another template.
    Template(Id),
}

impl Template {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it holds nothing but blanks and comments.
    pub fn is_empty(&self) -> bool {
        self.empty
    }

    pub(crate) fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    pub(crate) fn kids(&self, span: &Span) -> &[Id] {
        &self.kids[span.start as usize..span.end as usize]
    }

    pub(crate) fn names(&self, span: &Span) -> &[Box<[u8]>] {
        &self.names[span.start as usize..span.end as usize]
    }

    pub(crate) fn decls(&self, span: &Span) -> &[Decl] {
        &self.decls[span.start as usize..span.end as usize]
    }

    pub(crate) fn source(&self, span: &Span) -> &[u8] {
        &self.source.text[span.start as usize..span.end as usize]
    }

    /// The place of a node in the text.
    pub(crate) fn location(&self, id: Id) -> Location {
        let pos = self.node(id).pos as usize;
        let before = &self.source.text[..pos.min(self.source.text.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        Location {
            name: self.source.name.clone(),
            line: 1 + memchr::memchr_iter(b'\n', before).count(),
            column: before.len() - line_start,
        }
    }
}
