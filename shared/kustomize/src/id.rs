//! Who an object is: group, version, kind, name and namespace, and when two of them are the same.

use std::fmt;

use crate::resource::Resource;
use crate::tables::is_cluster_scoped;

/// The namespace that stands for "has none" of cluster-scoped objects.
pub(crate) const NON_NAMESPACEABLE: &str = "_non_namespaceable_";
/// The namespace of objects that name none.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

/// Group, version and kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Gvk {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
}

impl Gvk {
    /// Whether every part that `self` gives is the same in the other.
    pub(crate) fn selects(&self, group: &str, version: &str, kind: &str) -> bool {
        let part = |wanted: &str, actual: &str| wanted.is_empty() || wanted == actual;
        part(&self.group, group) && part(&self.version, version) && part(&self.kind, kind)
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part =
            |text: &str, none: &'static str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
        write!(
            f,
            "{}.{}.{}",
            part(&self.kind, "[noKind]"),
            part(&self.version, "[noVer]"),
            part(&self.group, "[noGrp]")
        )
    }
}

/// Group and version of an `apiVersion`.
pub(crate) fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// An object's identity, as kustomize prints it: `Deployment.v1.apps/web.[noNs]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct ResId {
    pub(crate) gvk: Gvk,
    pub(crate) name: String,
    /// As written; empty if there is none.
    pub(crate) namespace: String,
}

impl ResId {
    pub(crate) fn effective_namespace(&self) -> &str {
        effective_namespace(&self.gvk.group, &self.gvk.version, &self.gvk.kind, &self.namespace)
    }
}

impl fmt::Display for ResId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part =
            |text: &str, none: &'static str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
        write!(f, "{}/{}.{}", self.gvk, part(&self.name, "[noName]"), part(&self.namespace, "[noNs]"))
    }
}

/// The namespace by which identities are compared.
pub(crate) fn effective_namespace<'a>(group: &str, version: &str, kind: &str, namespace: &'a str) -> &'a str {
    if is_cluster_scoped(group, version, kind) {
        NON_NAMESPACEABLE
    } else if namespace.is_empty() {
        DEFAULT_NAMESPACE
    } else {
        namespace
    }
}

/// Whether the object is of a kind that has no namespace.
pub(crate) fn is_cluster_scoped_kind(resource: &Resource) -> bool {
    let (group, version) = resource.group_version();
    is_cluster_scoped(group, version, resource.kind())
}
