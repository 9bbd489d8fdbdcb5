//! Namespaces: what a new one gets, and how a deleted one empties itself.

use serde_json::json;

use crate::api::{Api, DeleteOptions, WriteOptions};
use crate::storage::Stored;

/// Brings a namespace to the state that it should be in.
pub(super) fn changed(api: &Api, namespace: &Stored) {
    let name = &namespace.key.name;
    if !namespace.deleting {
        provide(
            api,
            name,
            "serviceaccounts",
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}),
        );
        let ca = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt"},
                        "data": {"ca.crt": api.ca_pem()}});
        return provide(api, name, "configmaps", ca);
    }
    for object in api.store.in_namespace(name) {
        if let Some(target) = api.target_of(&object) {
            let _ = api.delete(&target, &DeleteOptions::default());
        }
    }
    if api.store.in_namespace(name).is_empty() {
        api.finish(namespace);
    } else {
        // Something waits for its finalizers; its deletion brings the namespace back here.
        tracing::debug!(namespace = name, "still has content");
    }
}

fn provide(api: &Api, namespace: &str, plural: &str, body: serde_json::Value) {
    if let Ok(target) = api.target("", "v1", plural, namespace, "") {
        // It is there already, or the namespace is going away.
        let _ = api.create(&target, body, &WriteOptions::by("kube-controller-manager"));
    }
}
