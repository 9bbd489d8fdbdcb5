//! `namePrefix` and `nameSuffix`.

use sluice_yaml::Node;

use crate::error::Result;
use crate::field_spec::{Create, FieldSpec, set_text};
use crate::objects::Objects;
use crate::resource::Resource;

/// Which end of the name grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Affix {
    Prefix,
    Suffix,
}

/// Puts `text` before or after the names (and other fields) that the specifications name.
pub(crate) fn affix(objects: &mut Objects, which: Affix, text: &str, specs: &[FieldSpec]) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    for resource in objects.items_mut().iter_mut().filter(|resource| !is_fixed(resource)) {
        for spec in specs {
            if !spec.matches_original(resource) {
                continue;
            }
            if spec.is_path("metadata/name") {
                resource.remember();
                match which {
                    Affix::Prefix => resource.prefixes.push(text.to_owned()),
                    Affix::Suffix => resource.suffixes.push(text.to_owned()),
                }
            }
            spec.apply(resource, Create::Nothing, &mut |node: &mut Node| {
                let old = node.as_text().unwrap_or("");
                let new = match which {
                    Affix::Prefix => format!("{text}{old}"),
                    Affix::Suffix => format!("{old}{text}"),
                };
                set_text(node, &new)
            })?;
        }
    }
    Ok(())
}

/// Kinds whose names mean something outside.
fn is_fixed(resource: &Resource) -> bool {
    match resource.original_kind() {
        "CustomResourceDefinition" | "Namespace" => true,
        "APIService" => resource.group_version().0 == "apiregistration.k8s.io",
        _ => false,
    }
}
