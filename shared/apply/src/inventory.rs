//! The ids under which a status remembers applied objects, in Flux's format `<namespace>_<name>_<group>_<kind>`.

use std::collections::HashSet;

use crate::object::ObjectId;

/// One remembered object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Which object.
    pub id: ObjectId,
    /// API version without group, stored as `v`.
    pub version: String,
}

/// A stored id that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unable to parse stored object metadata: {0}")]
pub struct ParseError(
    /// The id as stored.
    pub String,
);

const RBAC: &str = "rbac.authorization.k8s.io";
const RBAC_KINDS: [&str; 4] = ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"];

/// Writes an id as a status stores it. A `:` in the name of an RBAC object becomes `__`.
pub fn format(id: &ObjectId) -> String {
    let rbac = id.group == RBAC && RBAC_KINDS.contains(&id.kind.as_str());
    let name = if rbac { id.name.replace(':', "__") } else { id.name.clone() };
    format!("{}_{}_{}_{}", id.namespace, name, id.group, id.kind)
}

/// Reads a stored id: `__` in the name becomes `:` whatever the kind.
///
/// # Errors
/// [`ParseError`] when the text has fewer than three separators or no name or kind.
pub fn parse(text: &str) -> Result<ObjectId, ParseError> {
    let fail = || ParseError(text.to_owned());
    let (namespace, rest) = text.split_once('_').ok_or_else(fail)?;
    let (rest, kind) = rest.rsplit_once('_').ok_or_else(fail)?;
    let (name, group) = rest.rsplit_once('_').ok_or_else(fail)?;
    if name.is_empty() || kind.is_empty() {
        return Err(fail());
    }
    Ok(ObjectId {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.replace("__", ":"),
    })
}

/// Entries of `old` whose id is not in `new`, in the order of `old`: what prune is about.
pub fn stale(old: &[Entry], new: &[Entry]) -> Vec<Entry> {
    let kept: HashSet<&ObjectId> = new.iter().map(|entry| &entry.id).collect();
    old.iter().filter(|entry| !kept.contains(&entry.id)).cloned().collect()
}

/// Appends those of `more` that `entries` does not have yet (survivors of a failed prune, partial applies).
pub fn merge(entries: &mut Vec<Entry>, more: &[Entry]) {
    let mut known: HashSet<ObjectId> = entries.iter().map(|entry| entry.id.clone()).collect();
    for entry in more {
        if known.insert(entry.id.clone()) {
            entries.push(entry.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(namespace: &str, name: &str, group: &str, kind: &str) -> ObjectId {
        ObjectId { group: group.into(), kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }

    #[test]
    fn ids_round_trip_in_fluxs_form() {
        for (object, text) in [
            (id("default", "podinfo", "", "Service"), "default_podinfo__Service"),
            (id("", "flux-system", "", "Namespace"), "_flux-system__Namespace"),
            (
                id("", "foos.example.com", "apiextensions.k8s.io", "CustomResourceDefinition"),
                "_foos.example.com_apiextensions.k8s.io_CustomResourceDefinition",
            ),
            (
                id("", "system:node", RBAC, "ClusterRole"),
                "_system__node_rbac.authorization.k8s.io_ClusterRole",
            ),
            (id("a", "x:y:z", RBAC, "RoleBinding"), "a_x__y__z_rbac.authorization.k8s.io_RoleBinding"),
        ] {
            assert_eq!(format(&object), text);
            assert_eq!(parse(text), Ok(object), "{text}");
        }
    }

    #[test]
    fn unreadable_ids_are_errors_that_name_them() {
        for text in ["", "a", "a_b", "a_b_c", "___", "ns___Kind", "ns_name_group_"] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.to_string(), format!("unable to parse stored object metadata: {text}"));
        }
    }

    #[test]
    fn stale_ignores_the_version_and_merge_is_idempotent() {
        let entry =
            |name: &str, version: &str| Entry { id: id("a", name, "g", "K"), version: version.into() };
        let old = [entry("x", "v1"), entry("y", "v1"), entry("z", "v1")];
        let mut new = vec![entry("y", "v2"), entry("w", "v1")];
        let gone = stale(&old, &new);
        assert_eq!(gone, [entry("x", "v1"), entry("z", "v1")]);
        merge(&mut new, &gone);
        merge(&mut new, &gone);
        assert_eq!(new, [entry("y", "v2"), entry("w", "v1"), entry("x", "v1"), entry("z", "v1")]);
    }
}
