//! Template sets: which template a name means.

use std::{collections::HashMap, sync::Arc};

use crate::{
    call::Functions,
    context::Session,
    error::{Error, ParseError},
    parse::{Parsed, Template},
    value::Value,
};

/// The templates of a chart (or of anything else) that can call each other by name. Shared by threads once it is built.
#[derive(Debug, Clone, Default)]
pub struct Set {
    name: String,
    functions: Arc<Functions>,
    templates: HashMap<Arc<str>, Arc<Template>>,
}

impl Set {
    /// An empty set. `name` is what messages call it, and the name of a text that `tpl` executes; Helm's is `gotpl`.
    pub fn new(name: impl Into<String>, functions: Arc<Functions>) -> Self {
        Self { name: name.into(), functions, templates: HashMap::new() }
    }

    /// The functions that its templates may call.
    pub fn functions(&self) -> &Arc<Functions> {
        &self.functions
    }

    /// Parses a text and adds its templates.
    ///
    /// # Errors
    /// The text is not a template.
    pub fn parse(&mut self, name: &str, text: &[u8]) -> Result<(), ParseError> {
        self.add(&Parsed::parse(name, text, &self.functions)?);
        Ok(())
    }

    /// Adds the templates of a parsed text. One of a known name replaces it, unless it is empty.
    pub fn add(&mut self, parsed: &Parsed) {
        for template in parsed.templates() {
            if !(template.is_empty() && self.templates.contains_key(&template.name)) {
                self.templates.insert(template.name.clone(), template.clone());
            }
        }
    }

    /// The template `name`.
    pub fn get(&self, name: &str) -> Option<&Arc<Template>> {
        self.templates.get(name)
    }

    /// Executes the template `name` with `data` as `.` and `$`, and returns its text, which may hold `<no value>`.
    ///
    /// # Errors
    /// There is no such template, it fails, or a limit of the session is reached.
    pub fn execute(&self, session: &Session<'_>, name: &str, data: &Value) -> Result<Vec<u8>, Error> {
        Scope { set: self, over: None }.execute(session, name, data)
    }
}

/// The templates in sight: those of a `tpl` text lie over those of the set or of the outer `tpl`.
pub(crate) struct Scope<'a> {
    pub(crate) set: &'a Set,
    pub(crate) over: Option<Overlay<'a>>,
}

/// The templates of a `tpl` text.
#[derive(Clone, Copy)]
pub(crate) struct Overlay<'a> {
    pub(crate) parsed: &'a Parsed,
    pub(crate) below: &'a Scope<'a>,
}

impl<'a> Scope<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&'a Template> {
        let mut scope: &Scope<'a> = self;
        // An empty definition does not hide another one, but is better than none.
        let mut empty = None;
        while let Some(over) = &scope.over {
            match over.parsed.get(name) {
                Some(template) if !template.is_empty() => return Some(template),
                Some(template) => empty = empty.or(Some(&**template)),
                None => {}
            }
            scope = over.below;
        }
        scope.set.get(name).map(|template| &**template).or(empty)
    }

    /// The name of the set, which `tpl` texts get.
    pub(crate) fn name(&self) -> &'a str {
        &self.set.name
    }

    pub(crate) fn execute(&self, session: &Session<'_>, name: &str, data: &Value) -> Result<Vec<u8>, Error> {
        match self.get(name) {
            Some(template) => crate::exec::run(session, self, template, data),
            None => Err(Error::message(format!(
                "template: no template {} associated with template {}",
                crate::fmt::quoted(name.as_bytes()),
                crate::fmt::quoted(self.name().as_bytes())
            ))),
        }
    }
}
