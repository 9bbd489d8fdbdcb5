//! Template sets: which template a name means.

use std::{collections::HashMap, sync::Arc};

use crate::{call::Functions, parse::Template};

/// The templates of a chart (or of anything else) that can call each other by name. Immutable once built; shared by
/// threads.
#[derive(Debug, Clone, Default)]
pub struct Set {
    pub(crate) functions: Arc<Functions>,
    templates: HashMap<Arc<str>, Arc<Template>>,
}

impl Set {
    /// An empty set whose templates may call `functions`.
    pub fn new(functions: Arc<Functions>) -> Self {
        Self { functions, templates: HashMap::new() }
    }

    /// The template `name`.
    pub fn get(&self, name: &str) -> Option<&Arc<Template>> {
        self.templates.get(name)
    }
}

/// The templates in sight: those of a `tpl` text lie over those of the set (or of the outer `tpl`).
pub(crate) struct Scope<'a> {
    pub(crate) set: &'a Set,
    pub(crate) below: Option<&'a Scope<'a>>,
}
