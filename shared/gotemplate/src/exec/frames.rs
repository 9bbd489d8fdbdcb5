//! What a running template holds.

use crate::{parse::Template, value::Value};

/// A template that is being executed.
pub(super) struct Frame<'r> {
    pub(super) template: &'r Template,
    /// The next operation.
    pub(super) pc: usize,
    /// Where its variables begin.
    pub(super) variables: usize,
    /// Where its dots begin.
    pub(super) dots: usize,
    /// Where its loops begin.
    pub(super) loops: usize,
}

/// A value in a place that Go gives a type of its own: behind `interface {}` an error names that, not the value's type.
#[derive(Clone, Default)]
pub(super) struct Held {
    pub(super) value: Value,
    /// Whether the place is an `interface {}`: an element of a map or list.
    pub(super) boxed: bool,
}
