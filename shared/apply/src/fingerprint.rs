//! Digests of what was wanted and of the part of an object's metadata that tells whether somebody changed what we own.
//!
//! Server-side apply makes this cheap: whoever changes or removes a field takes it out of our `managedFields` entry. So
//! the entry stays the same exactly as long as what we applied is still in place, whatever happens to status, to
//! replicas that an autoscaler owns, or to other managers' labels.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{annotations::Keys, managed::Takeover, object::metadata_map};

/// The first half of a SHA-256 sum.
pub(crate) type Sum = [u8; 16];

/// A running sum over JSON values that does not depend on the order of keys.
#[derive(Default)]
pub(crate) struct Summer(Sha256);

impl Summer {
    /// Adds a text with its length, so that neighbours cannot run into each other.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
        self
    }

    /// Adds a value. Depth is bounded by the JSON parser's limit.
    pub(crate) fn value(&mut self, value: &Value) -> &mut Self {
        match value {
            Value::Object(map) => {
                self.0.update(b"{");
                let mut keys: Vec<&String> = map.keys().collect();
                keys.sort_unstable();
                for key in keys {
                    self.text(key).value(&map[key]);
                }
                self.0.update(b"}");
            }
            Value::Array(items) => {
                self.0.update(b"[");
                for item in items {
                    self.value(item);
                }
                self.0.update(b"]");
            }
            Value::String(text) => {
                self.0.update(b"s");
                self.text(text);
            }
            other => {
                self.0.update(b"v");
                self.text(&other.to_string());
            }
        }
        self
    }

    /// The sum.
    pub(crate) fn finish(&mut self) -> Sum {
        let full = std::mem::take(&mut self.0).finalize();
        let mut sum = Sum::default();
        sum.copy_from_slice(&full[..16]);
        sum
    }
}

/// What a change of must make us apply again: our own entry of `managedFields`, entries and annotations that we take
/// over, annotations that say to leave the object alone, its deletion, and its uid.
pub(crate) fn of_metadata(object: &Value, field_manager: &str, keys: &Keys, takeover: &Takeover) -> u64 {
    let mut sum = Summer::default();
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    for field in ["uid", "deletionTimestamp"] {
        sum.text(metadata.get(field).and_then(Value::as_str).unwrap_or_default());
    }
    for field in ["labels", "annotations"] {
        for key in [&keys.reconcile, &keys.ssa, &keys.name, &keys.namespace] {
            let value = metadata_map(object, field).and_then(|map| map.get(key));
            sum.value(value.unwrap_or(&Value::Null));
        }
    }
    sum.text(if takeover.legacy_metadata(object).is_empty() { "" } else { "legacy" });
    let entries = metadata.get("managedFields").and_then(Value::as_array);
    for entry in entries.into_iter().flatten() {
        let ours = entry["manager"] == field_manager
            && entry["operation"] == "Apply"
            && entry.get("subresource").is_none();
        if ours || takeover.takes(entry) {
            for field in ["manager", "operation", "apiVersion", "fieldsV1"] {
                sum.value(&entry[field]);
            }
        }
    }
    let sum = sum.finish();
    let mut first = [0; 8];
    first.copy_from_slice(&sum[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sums_ignore_key_order_and_keep_neighbours_apart() {
        let sum = |v: Value| Summer::default().value(&v).finish();
        let a: Value = serde_json::from_str(r#"{"a":1,"b":[true,null]}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{"b":[true,null],"a":1}"#).unwrap();
        assert_eq!(sum(a), sum(b));
        for (a, b) in [
            (json!(["ab", "c"]), json!(["a", "bc"])),
            (json!({"a": "1"}), json!({"a": 1})),
            (json!([[], []]), json!([[[]]])),
            (json!({"a": null}), json!({})),
        ] {
            assert_ne!(sum(a.clone()), sum(b.clone()), "{a} {b}");
        }
    }

    #[test]
    fn only_what_concerns_us_changes_the_fingerprint() {
        let keys = Keys::new("kustomize.toolkit.fluxcd.io");
        let takeover = Takeover::new(&keys, "kustomize-controller", &[]);
        let print = |v: &Value| of_metadata(v, "kustomize-controller", &keys, &takeover);
        let base = json!({"metadata": {"uid": "1", "resourceVersion": "5", "generation": 1, "managedFields": [
            {"manager": "kustomize-controller", "operation": "Apply", "apiVersion": "v1", "time": "t0", "fieldsV1": {"f:data": {"f:a": {}}}},
            {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}},
        ]}});
        let change = |pointer: &str, value: Value| {
            let mut object = base.clone();
            match object.pointer_mut(pointer) {
                Some(slot) => *slot = value,
                None => {
                    let (parent, key) = pointer.rsplit_once('/').unwrap();
                    object.pointer_mut(parent).unwrap()[key] = value;
                }
            }
            object
        };
        for (pointer, value, same) in [
            ("/metadata/resourceVersion", json!("6"), true),
            ("/metadata/generation", json!(2), true),
            ("/metadata/managedFields/0/time", json!("t1"), true),
            ("/metadata/managedFields/1/fieldsV1", json!({"f:status": {"f:x": {}}}), true),
            ("/metadata/labels", json!({"team": "b"}), true),
            ("/metadata/managedFields/0/fieldsV1", json!({"f:data": {}}), false),
            (
                "/metadata/managedFields/1",
                json!({"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {}}),
                false,
            ),
            ("/metadata/annotations", json!({"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}), false),
            ("/metadata/uid", json!("2"), false),
            ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"), false),
        ] {
            assert_eq!(print(&change(pointer, value)) == print(&base), same, "{pointer}");
        }
    }
}
