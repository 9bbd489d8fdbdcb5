//! What the admission plugins of a real API server add to new objects, as far as clients see it.

use serde_json::{Value, json};

use super::defaults::{child, set};
use super::{Api, Resource};
use crate::storage::{CollectionId, Key, Query};

const CRITICAL: [(&str, i64); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];
/// How long a pod stays on a node that does not answer.
const PATIENCE: i64 = 300;

/// Adds it. Nobody comes to own these fields: managers are told apart before.
pub(super) fn admit(api: &Api, resource: &Resource, object: &mut Value) {
    match (&*resource.group, &*resource.plural) {
        ("", "pods") => pod(api, object),
        ("", "nodes") => taint(object),
        ("", "persistentvolumeclaims") => {
            protect(object, "kubernetes.io/pvc-protection");
            default_class(api, object);
        }
        ("", "persistentvolumes") => protect(object, "kubernetes.io/pv-protection"),
        _ => {}
    }
}

/// The uses of a volume hold its deletion up.
fn protect(object: &mut Value, finalizer: &str) {
    let list = &mut object["metadata"]["finalizers"];
    if list.is_null() {
        *list = json!([]);
    }
    if let Some(list) = list.as_array_mut().filter(|list| !list.iter().any(|one| one == finalizer)) {
        list.push(finalizer.into());
    }
}

/// A claim that names no class gets the one that is the default.
fn default_class(api: &Api, object: &mut Value) {
    let annotation = "volume.beta.kubernetes.io/storage-class";
    if !object["spec"]["storageClassName"].is_null()
        || !object["metadata"]["annotations"][annotation].is_null()
    {
        return;
    }
    let listing = api.store.list(&CollectionId::new("storage.k8s.io", "storageclasses"), &Query::default());
    let classes = listing.into_iter().flat_map(|listing| listing.objects);
    let is_default = |class: &Value| {
        class["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"
    };
    let newest = classes
        .map(|class| class.value())
        .filter(is_default)
        .max_by_key(|class| class["metadata"]["creationTimestamp"].to_string());
    if let Some(class) = newest {
        object["spec"]["storageClassName"] = class["metadata"]["name"].clone();
    }
}

/// A node takes pods when its controller has seen it.
fn taint(object: &mut Value) {
    let taints = &mut child(object, "spec")["taints"];
    if taints.is_null() {
        *taints = json!([]);
    }
    let taint = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
    if let Some(taints) = taints.as_array_mut().filter(|taints| !taints.contains(&taint)) {
        taints.push(taint);
    }
}

fn pod(api: &Api, object: &mut Value) {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
    limits(api, &namespace, object);
    let spec = child(object, "spec");
    set(spec, "serviceAccountName", json!("default"));
    let account = spec["serviceAccountName"].clone();
    spec["serviceAccount"] = account;
    priority(api, spec);
    tolerate(object);
}

/// A pod stays for a while on a node that does not answer, unless it says for how long.
pub(super) fn tolerate(object: &mut Value) {
    let tolerations = &mut child(object, "spec")["tolerations"];
    if tolerations.is_null() {
        *tolerations = json!([]);
    }
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let bears = |one: &Value| {
            (one["key"] == key || (one["key"].is_null() && one["operator"] == "Exists"))
                && matches!(one["effect"].as_str(), None | Some("" | "NoExecute"))
        };
        if let Some(list) = tolerations.as_array_mut().filter(|list| !list.iter().any(bears)) {
            list.push(
                json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": PATIENCE}),
            );
        }
    }
}

/// The number behind the name of a priority.
fn priority(api: &Api, spec: &mut Value) {
    let name = spec["priorityClassName"].as_str().unwrap_or_default();
    let classes = CollectionId::new("scheduling.k8s.io", "priorityclasses");
    let class = match name {
        "" => {
            let listing = api.store.list(&classes, &Query::default());
            let mut all = listing.into_iter().flat_map(|listing| listing.objects).map(|class| class.value());
            all.find(|class| class["globalDefault"] == true)
        }
        name => api.store.get(&classes, &Key::new("", name)).map(|class| class.value()),
    };
    let critical = CRITICAL.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    if let Some(class) = class.as_ref().filter(|_| name.is_empty()) {
        spec["priorityClassName"] = class["metadata"]["name"].clone();
    }
    let value = class.as_ref().and_then(|class| class["value"].as_i64()).or(critical).unwrap_or(0);
    let policy = class.map(|class| class["preemptionPolicy"].clone()).filter(|policy| !policy.is_null());
    set(spec, "priority", value.into());
    set(spec, "preemptionPolicy", policy.unwrap_or_else(|| json!("PreemptLowerPriority")));
}

/// Containers that say nothing of their resources get what the namespace's LimitRanges say.
fn limits(api: &Api, namespace: &str, object: &mut Value) {
    let query = Query { namespace: Some(namespace.to_owned()), ..Query::default() };
    let listing = api.store.list(&CollectionId::new("", "limitranges"), &query);
    for range in listing.into_iter().flat_map(|listing| listing.objects).map(|range| range.value()) {
        let limits = range["spec"]["limits"].as_array().into_iter().flatten();
        for limit in limits.filter(|limit| limit["type"] == "Container") {
            for list in ["containers", "initContainers"] {
                let containers = object["spec"].get_mut(list).and_then(Value::as_array_mut);
                for container in containers.into_iter().flatten() {
                    for (from, to) in [("default", "limits"), ("defaultRequest", "requests")] {
                        for (name, value) in limit[from].as_object().into_iter().flatten() {
                            set(child(child(container, "resources"), to), name, value.clone());
                        }
                    }
                }
            }
        }
    }
}

/// Quality of service by what containers ask for and may have.
pub(super) fn quality(spec: &Value) -> &'static str {
    let lists = ["containers", "initContainers"];
    let containers = || lists.iter().filter_map(|list| spec[*list].as_array()).flatten();
    let of = |container: &Value, kind: &str, name: &str| container["resources"][kind][name].clone();
    let names = ["cpu", "memory"];
    let asks = |container: &Value| {
        names
            .iter()
            .any(|name| ["limits", "requests"].iter().any(|kind| !of(container, kind, name).is_null()))
    };
    let is_fixed = |container: &Value| {
        names.iter().all(|name| {
            let limit = of(container, "limits", name);
            !limit.is_null() && limit == of(container, "requests", name)
        })
    };
    if !containers().any(asks) {
        "BestEffort"
    } else if containers().all(is_fixed) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}
