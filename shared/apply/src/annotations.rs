//! What `kustomize.toolkit.fluxcd.io/*` annotations and labels ask for, object by object.

use serde_json::Value;

use crate::object::metadata_map;

/// The keys of one controller's API group, such as `kustomize.toolkit.fluxcd.io/ssa`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// `<group>/reconcile`.
    pub reconcile: String,
    /// `<group>/ssa`.
    pub ssa: String,
    /// `<group>/force`.
    pub force: String,
    /// `<group>/prune`.
    pub prune: String,
    /// Ownership label `<group>/name`.
    pub name: String,
    /// Ownership label `<group>/namespace`.
    pub namespace: String,
    /// `<group>/checksum`, left by old versions.
    pub checksum: String,
}

impl Keys {
    /// The keys of an API group.
    pub fn new(group: &str) -> Self {
        let key = |name: &str| format!("{group}/{name}");
        Self {
            reconcile: key("reconcile"),
            ssa: key("ssa"),
            force: key("force"),
            prune: key("prune"),
            name: key("name"),
            namespace: key("namespace"),
            checksum: key("checksum"),
        }
    }

    /// Not applied and not pruned: `reconcile: disabled` or `ssa: Ignore`.
    pub fn left_alone(&self, object: &Value) -> bool {
        has(object, &self.reconcile, "disabled") || has(object, &self.ssa, "Ignore")
    }

    /// Applied only while the object is not there: `ssa: IfNotPresent`.
    pub fn only_if_absent(&self, object: &Value) -> bool {
        has(object, &self.ssa, "IfNotPresent")
    }

    /// Fields that kubectl and friends added stay: `ssa: Merge`.
    pub fn merges(&self, object: &Value) -> bool {
        has(object, &self.ssa, "Merge")
    }

    /// Recreated when the API server refuses a change as immutable: `force: enabled`.
    pub fn forced(&self, object: &Value) -> bool {
        has(object, &self.force, "enabled")
    }

    /// Kept by garbage collection: `prune: disabled`, or left alone altogether.
    pub fn kept(&self, object: &Value) -> bool {
        has(object, &self.prune, "disabled") || self.left_alone(object)
    }
}

/// Whether a label or annotation has this value, in any case.
fn has(object: &Value, key: &str, value: &str) -> bool {
    ["labels", "annotations"].iter().any(|field| {
        metadata_map(object, field)
            .and_then(|map| map.get(key))
            .and_then(Value::as_str)
            .is_some_and(|got| got.eq_ignore_ascii_case(value))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_and_annotations_count_in_any_case() {
        let keys = Keys::new("kustomize.toolkit.fluxcd.io");
        for (field, key, value, left_alone, kept) in [
            ("annotations", "reconcile", "disabled", true, true),
            ("labels", "reconcile", "Disabled", true, true),
            ("annotations", "reconcile", "enabled", false, false),
            ("annotations", "ssa", "ignore", true, true),
            ("labels", "ssa", "Merge", false, false),
            ("annotations", "prune", "DISABLED", false, true),
            ("annotations", "other", "disabled", false, false),
        ] {
            let object = json!({"metadata": {field: {format!("kustomize.toolkit.fluxcd.io/{key}"): value}}});
            assert_eq!(
                (keys.left_alone(&object), keys.kept(&object)),
                (left_alone, kept),
                "{field} {key} {value}"
            );
        }
        assert!(!keys.left_alone(&json!({"metadata": {"annotations": null, "labels": [1]}})));
    }
}
