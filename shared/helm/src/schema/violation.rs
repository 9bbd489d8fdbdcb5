//! What is wrong with a value, as a tree, and the text of it.

use std::fmt;

use super::message::quote;

/// One thing that is wrong, and what led to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Violation {
    /// JSON pointer of the value.
    pub(super) at: String,
    pub(super) text: String,
    pub(super) shape: Shape,
    pub(super) causes: Vec<Violation>,
}

/// How a violation takes part in the tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Shape {
    #[default]
    Plain,
    /// Several for one value: its parent takes over its causes.
    Group,
    /// Made by a reference: not shown where it has one cause.
    Reference,
}

impl Violation {
    fn write(&self, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
        let hidden = self.shape == Shape::Reference && self.causes.len() == 1;
        if !hidden {
            writeln!(f, "{:indent$}- at {}: {}", "", quote(&self.at), self.text, indent = indent * 2)?;
        }
        for cause in &self.causes {
            cause.write(f, indent + usize::from(!hidden))?;
        }
        Ok(())
    }

    /// Itself, or what it groups.
    pub(super) fn ungrouped(self) -> Vec<Self> {
        if self.shape == Shape::Group { self.causes } else { vec![self] }
    }
}

/// The lines of the whole tree; a group at the root is not shown itself.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.shape == Shape::Group {
            return self.causes.iter().try_for_each(|cause| cause.write(f, 0));
        }
        self.write(f, 0)
    }
}
