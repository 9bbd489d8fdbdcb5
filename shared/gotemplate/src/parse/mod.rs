//! Text to trees.

/// A compiled template.
#[derive(Debug)]
pub struct Template {}
