//! Names of objects, and reading the few fields of a JSON object that this crate looks at.

use std::fmt;

use serde_json::{Map, Value};

/// A kind of object, whatever its version. The core group is empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKind {
    /// API group, empty for the core group.
    pub group: String,
    /// Kind, such as `Deployment`.
    pub kind: String,
}

impl GroupKind {
    /// Builds the pair.
    pub fn new(group: impl Into<String>, kind: impl Into<String>) -> Self {
        Self { group: group.into(), kind: kind.into() }
    }

    /// Reads `group/Kind`, or `Kind` alone for the core group, as Flux's `--custom-apply-stage-kinds` writes it.
    pub fn parse(text: &str) -> Self {
        match text.rsplit_once('/') {
            Some((group, kind)) => Self::new(group, kind),
            None => Self::new("", text),
        }
    }
}

/// The identity of an object in a cluster. It has no version: another API version of a kind is the same object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    /// API group, empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace, empty when the kind is cluster-scoped.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectId {
    /// Reads the identity and the API version (without group) from a manifest; missing parts are empty.
    pub fn of(object: &Value) -> (Self, String) {
        let (group, version) = split_api_version(text(object, "apiVersion"));
        let id = Self {
            group: group.to_owned(),
            kind: text(object, "kind").to_owned(),
            namespace: metadata_text(object, "namespace").to_owned(),
            name: metadata_text(object, "name").to_owned(),
        };
        (id, version.to_owned())
    }

    /// The kind of the object.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind::new(&*self.group, &*self.kind)
    }
}

/// `<Kind>/<namespace>/<name>`, or `<Kind>/<name>` without a namespace: how Flux names objects in messages.
impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}/{}", self.kind, self.name)
        } else {
            write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// The custom resource (a Kustomization) on whose behalf objects are applied.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// Namespace of the owner.
    pub namespace: String,
    /// Name of the owner.
    pub name: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// `group/version` taken apart; the core group is empty.
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// `group/version` put together.
pub fn join_api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// A top-level text field, empty when absent.
pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// A text field of `metadata`, empty when absent.
pub fn metadata_text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get("metadata").and_then(|m| m.get(field)).and_then(Value::as_str).unwrap_or_default()
}

/// `metadata.labels` or `metadata.annotations`.
pub fn metadata_map<'a>(object: &'a Value, field: &str) -> Option<&'a Map<String, Value>> {
    object.get("metadata")?.get(field)?.as_object()
}

/// The mutable object at `parent.field`, created when absent or of another type.
pub fn object_entry<'a>(parent: &'a mut Map<String, Value>, field: &str) -> &'a mut Map<String, Value> {
    let slot = parent.entry(field).or_insert_with(|| Value::Object(Map::new()));
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    match slot {
        Value::Object(map) => map,
        _ => unreachable!("just made an object"),
    }
}

/// `metadata.resourceVersion` as a number, 0 when absent or not a number.
pub fn resource_version(object: &Value) -> u64 {
    metadata_text(object, "resourceVersion").parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn subjects_leave_out_an_empty_namespace() {
        for (object, want, version) in [
            (
                json!({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"apps"}}),
                "Deployment/apps/web",
                "v1",
            ),
            (
                json!({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"apps"}}),
                "Namespace/apps",
                "v1",
            ),
            (json!({"kind": 3}), "/", ""),
        ] {
            let (id, got) = ObjectId::of(&object);
            assert_eq!((id.to_string().as_str(), got.as_str()), (want, version), "{object}");
        }
    }

    #[test]
    fn custom_stage_kinds_read_with_and_without_group() {
        assert_eq!(
            GroupKind::parse("rbac.authorization.k8s.io/Role"),
            GroupKind::new("rbac.authorization.k8s.io", "Role")
        );
        assert_eq!(GroupKind::parse("Secret"), GroupKind::new("", "Secret"));
    }
}
