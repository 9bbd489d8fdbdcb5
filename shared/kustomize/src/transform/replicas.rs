//! The `replicas` field.

use sluice_yaml::{Node, Scalar, Style, Tag};

use crate::error::{BuildError, Result};
use crate::field_spec::{Create, FieldSpec, wrong_kind};
use crate::file::Replica;
use crate::objects::Objects;

/// Sets the count of every object that has or had the name.
pub(crate) fn replicas(objects: &mut Objects, entry: &Replica, specs: &[FieldSpec]) -> Result<()> {
    let candidates = objects.named(&entry.name).to_vec();
    let mut found = false;
    for spec in specs {
        for at in &candidates {
            let resource = &objects.as_slice()[*at];
            let (group, version) = resource.group_version();
            let fits = resource
                .identities()
                .any(|(kind, name, _)| name == entry.name && spec.gvk.selects(group, version, kind));
            if !fits {
                continue;
            }
            found = true;
            spec.apply(&mut objects.items_mut()[*at], Create::Scalar, &mut |node: &mut Node| {
                if !matches!(node, Node::Scalar(_)) {
                    return Err(wrong_kind("ScalarNode", node));
                }
                *node = Scalar { text: entry.count.to_string(), tag: Tag::Int, style: Style::Plain }.into();
                Ok(())
            })?;
        }
    }
    if found {
        return Ok(());
    }
    let gvks: Vec<_> = specs.iter().map(|spec| spec.gvk.to_string()).collect();
    Err(BuildError::invalid(format!(
        "resource with name {} does not match a config with the following GVK [{}]",
        entry.name,
        gvks.join(" ")
    )))
}
