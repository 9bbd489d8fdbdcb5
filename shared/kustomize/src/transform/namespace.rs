//! The `namespace` field.

use sluice_yaml::Node;

use crate::error::{BuildError, Result};
use crate::field_spec::{Create, FieldSpec, set_text};
use crate::id::{Gvk, is_cluster_scoped_kind};
use crate::objects::Objects;
use crate::resource::Resource;

/// Which subjects of role bindings follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subjects {
    /// Those named `default`.
    DefaultOnly,
    /// All service accounts.
    AllServiceAccounts,
    /// None.
    None,
}

/// Puts every namespaced object into `namespace`. With `unset_only`, only those that have none.
pub(crate) fn namespace(
    objects: &mut Objects,
    namespace: &str,
    specs: &[FieldSpec],
    subjects: Subjects,
    unset_only: bool,
) -> Result<()> {
    if namespace.is_empty() {
        return Ok(());
    }
    let own = FieldSpec::new(Gvk::default(), "metadata/namespace", true);
    for resource in objects.items_mut().iter_mut().filter(|resource| !resource.helm_generated) {
        resource.remember();
        let mut set = |node: &mut Node| {
            if unset_only && node.as_text().is_some_and(|text| !text.is_empty()) {
                return Ok(());
            }
            set_text(node, namespace)
        };
        if !is_cluster_scoped_kind(resource) {
            own.apply(resource, Create::Scalar, &mut set)?;
        }
        let binding = matches!(resource.kind(), "RoleBinding" | "ClusterRoleBinding");
        if binding {
            set_subjects(resource, namespace, subjects, unset_only);
        }
        for spec in specs.iter().filter(|spec| spec.matches(resource)).cloned().collect::<Vec<_>>() {
            let skipped = spec.is_path("metadata/namespace")
                || (spec.is_path("metadata/name") && resource.api_version() != "v1")
                || (binding && spec.is_path("subjects/namespace"));
            if !skipped {
                spec.apply(resource, Create::Scalar, &mut set)
                    .map_err(|error| error.within("namespace field specs must target scalar nodes"))?;
            }
        }
    }
    // Whole objects, as kustomize prints them, could hold secrets.
    objects.check_unique().map_err(|_| {
        let mut seen: Vec<&Resource> = Vec::new();
        let mut clash = String::new();
        for item in objects.as_slice() {
            if let Some(first) = seen.iter().find(|other| other.is(&item.id())) {
                clash = format!("[{} {}]", first.described(), item.described());
                break;
            }
            seen.push(item);
        }
        BuildError::invalid(format!("namespace transformation produces ID conflict: {clash}"))
    })
}

fn set_subjects(resource: &mut Resource, namespace: &str, subjects: Subjects, unset_only: bool) {
    let Some(Node::Seq(items)) = resource.map.get_mut("subjects") else { return };
    for item in items {
        let text = |key: &str| item.get(key).and_then(Node::as_text).unwrap_or("");
        let follows = match subjects {
            Subjects::DefaultOnly => text("name") == "default",
            Subjects::AllServiceAccounts => text("kind") == "ServiceAccount",
            Subjects::None => false,
        };
        let keep = unset_only && !text("namespace").is_empty();
        if follows
            && !keep
            && let Some(map) = item.as_map_mut()
        {
            map.insert("namespace", Node::text(namespace));
        }
    }
}
