//! Which objects a patch or a replacement applies to.

use regex::Regex;

use super::label_selector::LabelSelector;
use crate::file;
use crate::id::{Gvk, ResId};
use crate::resource::Resource;

/// A compiled selector. All parts that are given must match.
#[derive(Debug)]
pub(crate) struct Selector {
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    name: Option<Regex>,
    namespace: Option<Regex>,
    labels: LabelSelector,
    annotations: LabelSelector,
    pub(crate) has_id_part: bool,
    pub(crate) has_label_part: bool,
}

impl Selector {
    /// Compiles the regular expressions and label selectors.
    ///
    /// # Errors
    /// The reason in words like Go's.
    pub(crate) fn new(selector: &file::Selector) -> Result<Self, String> {
        let regex = |text: &str| -> Result<Option<Regex>, String> {
            if text.is_empty() {
                return Ok(None);
            }
            let compiled = Regex::new(&format!("^(?:{text})$"));
            compiled.map(Some).map_err(|error| format!("error parsing regexp: {}", reason(&error)))
        };
        let id_parts =
            [&selector.group, &selector.version, &selector.kind, &selector.name, &selector.namespace];
        Ok(Self {
            group: regex(&selector.group)?,
            version: regex(&selector.version)?,
            kind: regex(&selector.kind)?,
            name: regex(&selector.name)?,
            namespace: regex(&selector.namespace)?,
            labels: LabelSelector::parse(&selector.label_selector)?,
            annotations: LabelSelector::parse(&selector.annotation_selector)?,
            has_id_part: id_parts.iter().any(|part| !part.is_empty()),
            has_label_part: !selector.label_selector.is_empty() || !selector.annotation_selector.is_empty(),
        })
    }

    pub(crate) fn matches_gvk(&self, group: &str, version: &str, kind: &str) -> bool {
        fits(self.group.as_ref(), group)
            && fits(self.version.as_ref(), version)
            && fits(self.kind.as_ref(), kind)
    }

    pub(crate) fn matches_name(&self, name: &str) -> bool {
        fits(self.name.as_ref(), name)
    }

    pub(crate) fn matches_namespace(&self, namespace: &str) -> bool {
        fits(self.namespace.as_ref(), namespace)
    }

    /// Whether labels and annotations match.
    pub(crate) fn matches_labels(&self, resource: &Resource) -> bool {
        self.labels.matches(|key| resource.label(key))
            && self.annotations.matches(|key| resource.annotation(key))
    }

    /// Whether a patch applies: kind as it is now, name and namespace as they are now or were first.
    pub(crate) fn selects(&self, resource: &Resource) -> bool {
        let (group, version) = resource.group_version();
        self.matches_gvk(group, version, resource.kind())
            && (self.matches_name(resource.original_name()) || self.matches_name(resource.name()))
            && (self.matches_namespace(resource.original_namespace())
                || self.matches_namespace(resource.effective_namespace()))
            && self.matches_labels(resource)
    }
}

fn fits(regex: Option<&Regex>, text: &str) -> bool {
    regex.is_none_or(|regex| regex.is_match(text))
}

/// The last line of a regular expression error: the others repeat the expression.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().next_back().unwrap_or("").trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// A selector as messages show it.
pub(crate) fn shown(selector: &file::Selector) -> String {
    let id = ResId {
        gvk: Gvk {
            group: selector.group.clone(),
            version: selector.version.clone(),
            kind: selector.kind.clone(),
        },
        name: selector.name.clone(),
        namespace: selector.namespace.clone(),
    };
    format!("{id}:a={}:l={}", selector.annotation_selector, selector.label_selector)
}
