//! Takes over fields that kubectl and friends set: Flux's clean-up of `managedFields` and of left-over annotations.

use serde_json::{Map, Value, json};

use crate::{annotations::Keys, object::metadata_map};

/// Whose entries are merged into ours before an apply.
#[derive(Debug, Clone)]
pub struct Takeover {
    field_manager: String,
    /// Whether entries of kubectl and of what was there before the first apply are taken.
    strangers: bool,
    /// Whether what the manager owns by updates is taken.
    updates: bool,
    /// Names given by `--override-manager`, both operations.
    overridden: Vec<String>,
    annotations: Vec<String>,
    labels: Vec<String>,
}

impl Takeover {
    /// What a manager owns by updates becomes what it applies; other managers keep what they have.
    #[must_use]
    pub fn of_updates(field_manager: &str) -> Self {
        Self { updates: true, ..Self::of_managers(field_manager, &[]) }
    }

    /// What some managers own becomes what `field_manager` applies.
    #[must_use]
    pub fn of_managers(field_manager: &str, overridden: &[String]) -> Self {
        Self {
            field_manager: field_manager.to_owned(),
            strangers: false,
            updates: false,
            overridden: overridden.to_vec(),
            annotations: Vec::new(),
            labels: Vec::new(),
        }
    }

    pub(crate) fn new(keys: &Keys, field_manager: &str, overridden: &[String]) -> Self {
        Self {
            field_manager: field_manager.to_owned(),
            strangers: true,
            updates: true,
            overridden: overridden.to_vec(),
            annotations: vec![
                "kubectl.kubernetes.io/last-applied-configuration".to_owned(),
                keys.checksum.clone(),
                "fluxcd.io/sync-checksum".to_owned(),
            ],
            labels: vec!["fluxcd.io/sync-gc-mark".to_owned()],
        }
    }

    /// Whether an entry of `managedFields` is one that we take over.
    pub(crate) fn takes(&self, entry: &Value) -> bool {
        if entry.get("subresource").and_then(Value::as_str).is_some_and(|s| !s.is_empty()) {
            return false;
        }
        let manager = entry.get("manager").and_then(Value::as_str).unwrap_or_default();
        let update = entry.get("operation").and_then(Value::as_str) == Some("Update");
        self.strangers && (manager.starts_with("kubectl") || update && manager == "before-first-apply")
            || self.updates && update && manager == self.field_manager
            || self.overridden.iter().any(|name| name == manager)
    }

    /// JSON pointers of annotations and labels that old tools left.
    pub(crate) fn legacy_metadata(&self, object: &Value) -> Vec<String> {
        let mut pointers = Vec::new();
        for (field, keys) in [("annotations", &self.annotations), ("labels", &self.labels)] {
            let Some(map) = metadata_map(object, field) else { continue };
            for key in keys.iter().filter(|key| map.contains_key(*key)) {
                pointers.push(format!("/metadata/{field}/{}", key.replace('~', "~0").replace('/', "~1")));
            }
        }
        pointers
    }

    /// Whether an object has anything to take over.
    pub(crate) fn applies_to(&self, object: &Value) -> bool {
        !self.legacy_metadata(object).is_empty() || entries(object).iter().any(|entry| self.takes(entry))
    }

    /// The JSON patch that takes over what a live object has, or none. It fails when the object has moved meanwhile.
    pub fn patch(&self, live: &Value) -> Option<Value> {
        let mut operations: Vec<Value> = self
            .legacy_metadata(live)
            .into_iter()
            .map(|path| json!({"op": "remove", "path": path}))
            .collect();
        let entries = entries(live);
        if entries.iter().any(|entry| self.takes(entry)) {
            operations.push(
                json!({"op": "replace", "path": "/metadata/managedFields", "value": self.merge(entries)}),
            );
        }
        if operations.is_empty() {
            return None;
        }
        let version = live.pointer("/metadata/resourceVersion").cloned().unwrap_or(Value::Null);
        operations.push(json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}));
        Some(Value::Array(operations))
    }

    /// Merges the taken entries into our Apply entry; without one, the first of them becomes it.
    fn merge(&self, entries: &[Value]) -> Vec<Value> {
        let ours = |entry: &Value| {
            entry["manager"] == self.field_manager.as_str()
                && entry["operation"] == "Apply"
                && !self.on_subresource(entry)
        };
        let taken: Vec<&Value> = entries.iter().filter(|entry| self.takes(entry) && !ours(entry)).collect();
        let mut kept: Vec<Value> =
            entries.iter().filter(|entry| !self.takes(entry) || ours(entry)).cloned().collect();
        if !kept.iter().any(ours)
            && let Some(first) = taken.first()
        {
            let mut entry = (*first).clone();
            entry["manager"] = json!(self.field_manager);
            entry["operation"] = json!("Apply");
            kept.insert(0, entry);
        }
        if let Some(entry) = kept.iter_mut().find(|entry| ours(entry)) {
            for other in taken {
                if let (Some(Value::Object(into)), Some(Value::Object(from))) =
                    (entry.get_mut("fieldsV1"), other.get("fieldsV1"))
                {
                    union(into, from);
                }
            }
        }
        kept
    }

    fn on_subresource(&self, entry: &Value) -> bool {
        entry.get("subresource").and_then(Value::as_str).is_some_and(|s| !s.is_empty())
    }
}

/// The JSON patch that makes all entries speak of the fields of one API version, or none if they do: an entry in a
/// version that is not served any more makes every apply fail. It fails when the object has moved meanwhile.
pub(crate) fn migrate(live: &Value, api_version: &str) -> Option<Value> {
    let mut entries = entries(live).to_vec();
    let old = entries.iter_mut().filter(|entry| entry["apiVersion"] != api_version);
    if old.map(|entry| entry["apiVersion"] = json!(api_version)).count() == 0 {
        return None;
    }
    let version = live.pointer("/metadata/resourceVersion").cloned().unwrap_or(Value::Null);
    Some(json!([
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
    ]))
}

fn entries(object: &Value) -> &[Value] {
    object.pointer("/metadata/managedFields").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The union of two sets of fields: both are trees of `f:` and `k:` keys.
fn union(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(Value::Object(a)), Value::Object(b)) => union(a, b),
            (Some(_), _) => {}
            (None, _) => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takeover() -> Takeover {
        Takeover::new(
            &Keys::new("kustomize.toolkit.fluxcd.io"),
            "kustomize-controller",
            &["old-tool".to_owned()],
        )
    }

    #[test]
    fn entries_of_all_managers_move_to_another_version() {
        let live = |versions: [&str; 2]| {
            let entries = versions.map(|v| json!({"manager": "m", "apiVersion": v, "fieldsV1": {}}));
            json!({"metadata": {"resourceVersion": "7", "managedFields": entries}})
        };
        assert_eq!(migrate(&live(["g/v2", "g/v2"]), "g/v2"), None);
        let patch = migrate(&live(["g/v1", "g/v2"]), "g/v2").unwrap();
        assert_eq!(patch[0]["value"], live(["g/v2", "g/v2"])["metadata"]["managedFields"]);
        assert_eq!(patch[1]["value"], "7", "a write in between makes it fail");
    }

    #[test]
    fn entries_of_kubectl_and_named_managers_are_taken_over() {
        for (entry, want) in [
            (json!({"manager": "kubectl", "operation": "Apply"}), true),
            (json!({"manager": "kubectl-edit", "operation": "Update"}), true),
            (json!({"manager": "kubectl", "operation": "Update", "subresource": "scale"}), false),
            (json!({"manager": "before-first-apply", "operation": "Update"}), true),
            (json!({"manager": "before-first-apply", "operation": "Apply"}), false),
            (json!({"manager": "kustomize-controller", "operation": "Update"}), true),
            (json!({"manager": "kustomize-controller", "operation": "Apply"}), false),
            (json!({"manager": "old-tool", "operation": "Apply"}), true),
            (json!({"manager": "flux-client-side-apply", "operation": "Apply"}), false),
            (json!({"manager": "kube-controller-manager", "operation": "Update"}), false),
        ] {
            assert_eq!(takeover().takes(&entry), want, "{entry}");
        }
    }

    #[test]
    fn the_patch_unites_fields_and_guards_against_a_race() {
        let live = json!({"metadata": {
        "resourceVersion": "7",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "x"},
        "managedFields": [
            {"manager": "kubectl-client-side-apply", "operation": "Update", "fieldsV1": {"f:spec": {"f:a": {}, "f:b": {"f:c": {}}}}},
            {"manager": "other", "operation": "Update", "fieldsV1": {"f:x": {}}},
            {"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": {"f:spec": {"f:b": {"f:d": {}}}}},
        ]}});
        assert_eq!(
            takeover().patch(&live),
            Some(json!([
                {"op": "remove", "path": "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"},
                {"op": "replace", "path": "/metadata/managedFields", "value": [
                    {"manager": "other", "operation": "Update", "fieldsV1": {"f:x": {}}},
                    {"manager": "kustomize-controller", "operation": "Apply",
                     "fieldsV1": {"f:spec": {"f:a": {}, "f:b": {"f:c": {}, "f:d": {}}}}},
                ]},
                {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
            ]))
        );
    }

    #[test]
    fn without_our_entry_the_first_one_is_renamed() {
        let live = json!({"metadata": {"resourceVersion": "7", "managedFields": [
            {"manager": "kubectl-create", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:data": {}}}]}});
        let patch = takeover().patch(&live).unwrap();
        assert_eq!(
            patch[0]["value"],
            json!([{"manager": "kustomize-controller", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:data": {}}}])
        );
        assert_eq!(takeover().patch(&json!({"metadata": {"managedFields": [{"manager": "other"}]}})), None);
    }
}
