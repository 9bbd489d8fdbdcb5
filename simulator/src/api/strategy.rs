//! What kube-apiserver does per kind beyond its schema: what new and changed objects get, generations, names, and the
//! fields that selectors may ask for.

use serde_json::{Value, json};

use super::defaults::{child, set};
use super::{Api, ApiError, Resource, Target, admission, convert, crds, now, services};
use crate::merge;
use crate::storage::FieldSelector;
use crate::validate::{self, FieldError};

/// Kinds whose `metadata.generation` counts changes of the spec; custom kinds always do.
const GENERATIONAL: &[(&str, &str)] = &[
    ("", "pods"),
    ("", "replicationcontrollers"),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("apps", "daemonsets"),
    ("apps", "deployments"),
    ("apps", "replicasets"),
    ("apps", "statefulsets"),
    ("batch", "cronjobs"),
    ("batch", "jobs"),
    ("networking.k8s.io", "ingresses"),
    ("networking.k8s.io", "networkpolicies"),
    ("policy", "poddisruptionbudgets"),
];

fn is_generational(resource: &Resource) -> bool {
    resource.custom.is_some() || GENERATIONAL.iter().any(|(group, plural)| resource.is(group, plural))
}

/// Five characters from Kubernetes' alphabet for generated names.
pub(crate) fn suffix() -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    (0..5).map(|_| ALPHABET[rand::random_range(0..ALPHABET.len())] as char).collect()
}

/// The metadata that the server writes into a new object.
pub(super) fn metadata_of_new(resource: &Resource, object: &mut Value) {
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion"] {
        metadata.remove(field);
    }
    metadata.insert("uid".into(), uuid::Uuid::new_v4().to_string().into());
    metadata.insert("creationTimestamp".into(), now().into());
    if is_generational(resource) {
        metadata.insert("generation".into(), 1.into());
    }
}

/// The metadata that no update changes.
pub(super) fn metadata_of_known(old: &Value, new: &mut Value) {
    let Some(metadata) = new["metadata"].as_object_mut() else { return };
    metadata.remove("selfLink");
    for field in ["creationTimestamp", "generation"] {
        match old["metadata"].get(field) {
            Some(value) => metadata.insert(field.into(), value.clone()),
            None => metadata.remove(field),
        };
    }
    // What the client says of these is compared with what is known, unless it says nothing, or they are set already.
    if metadata.get("uid").and_then(Value::as_str).unwrap_or_default().is_empty() {
        metadata.insert("uid".into(), old["metadata"]["uid"].clone());
    }
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
        if let Some(value) = old["metadata"].get(field).filter(|value| !value.is_null()) {
            metadata.insert(field.into(), value.clone());
        }
        if metadata.get(field).is_some_and(Value::is_null) {
            metadata.remove(field);
        }
    }
}

/// What of the metadata a write of the status leaves alone: all of it where this is `None`.
fn kept_by_status(resource: &Resource) -> Option<&'static [&'static str]> {
    match (&*resource.group, &*resource.plural) {
        _ if resource.custom.is_some() => None,
        ("apiextensions.k8s.io" | "apiregistration.k8s.io" | "flowcontrol.apiserver.k8s.io", _) => None,
        ("apps", "deployments") => Some(&["labels"]),
        ("", "pods") => Some(&["ownerReferences"]),
        _ => Some(&[]),
    }
}

/// The old object with the status of the new one.
pub(super) fn with_status(resource: &Resource, old: &Value, mut new: Value) -> Value {
    let mut out = old.clone();
    out["status"] = new["status"].take();
    let (before, mut after) = (&old["metadata"], new["metadata"].take());
    match kept_by_status(resource) {
        Some(kept) => {
            for field in kept {
                match (before.get(*field), after.as_object_mut()) {
                    (Some(value), _) => after[*field] = value.clone(),
                    (None, Some(map)) => drop(map.remove(*field)),
                    _ => {}
                }
            }
            out["metadata"] = after;
        }
        None => {
            if let Some(fields) = after.get("managedFields") {
                out["metadata"]["managedFields"] = fields.clone();
            }
        }
    }
    out
}

/// The fields that nobody comes to own through an endpoint, because it does not write them.
pub(super) fn reset_fields(target: &Target) -> merge::Set {
    let resource = &target.resource;
    merge::reset_fields(resource.has_status(), &target.subresource, kept_by_status(resource))
}

/// Counts a change of anything but metadata and status.
pub(super) fn bump_generation(resource: &Resource, old: &Value, new: &mut Value) {
    if !is_generational(resource) {
        return;
    }
    let same = |key: &str| matches!(key, "metadata" | "status") || old.get(key) == new.get(key);
    let keys = |value: &Value| {
        value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>()).unwrap_or_default()
    };
    if keys(old).iter().chain(&keys(new)).all(|key| same(key)) {
        return;
    }
    let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
    new["metadata"]["generation"] = generation.into();
}

/// What a create adds before the object is looked at, and whoever sends it does not own. `is_labelled` tells that it was
/// sent with labels.
pub(super) fn create(api: &Api, resource: &Resource, object: &mut Value, is_labelled: bool) {
    admission::admit(api, resource, object);
    if resource.has_status()
        && let Some(status) = empty_status(resource)
    {
        object["status"] = status;
    }
    match (&*resource.group, &*resource.plural) {
        ("", "namespaces") => {
            object["spec"] = json!({"finalizers": ["kubernetes"]});
            object["status"] = json!({"phase": "Active"});
        }
        ("", "persistentvolumeclaims") => {
            data_source(object);
            object["status"] = json!({"phase": "Pending"});
        }
        ("", "persistentvolumes") => {
            object["status"] = json!({"phase": "Pending", "lastPhaseTransitionTime": now()});
        }
        ("", "services") => services::prepare(None, object),
        ("apiextensions.k8s.io", "customresourcedefinitions") => {
            object["status"] = crds::initial_status(object)
        }
        ("", "pods") => {
            let quality = admission::quality(&object["spec"]);
            object["status"] = json!({"phase": "Pending", "qosClass": quality});
        }
        ("", "nodes") => {
            object["status"] = json!({
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                                "message": "the node is simulated", "lastHeartbeatTime": now(), "lastTransitionTime": now()}],
                "capacity": {"cpu": "32", "memory": "256Gi", "pods": "1000"},
                "allocatable": {"cpu": "32", "memory": "256Gi", "pods": "1000"},
                "nodeInfo": {"architecture": "amd64", "bootID": "", "containerRuntimeVersion": "none", "kernelVersion": "",
                             "kubeProxyVersion": "", "kubeletVersion": "v1.36.3", "machineID": "", "operatingSystem": "linux",
                             "osImage": "", "systemUUID": ""},
            });
        }
        ("batch", "jobs") => job_labels(object, is_labelled),
        ("apps", "statefulsets") => without_gated(object),
        _ => {}
    }
    complete(resource, object);
}

/// The status of something that has none yet.
fn empty_status(resource: &Resource) -> Option<Value> {
    let schema = resource.schema.as_ref().filter(|_| resource.custom.is_none())?;
    let status = schema.view().property("status")?;
    status.default().map(|_| merge::empty_struct(status, 0))
}

/// Where the content of a claim comes from has two fields: the older one holds claims and snapshots, the newer one anything.
fn data_source(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let is_known = |source: &Value| {
        let known = [("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot")];
        known.contains(&(text(&source["apiGroup"]).as_str(), text(&source["kind"]).as_str()))
    };
    if spec.get("dataSource").is_some_and(|source| !is_known(source)) {
        spec.remove("dataSource");
    }
    match (spec.get("dataSource").cloned(), spec.get("dataSourceRef").cloned()) {
        (Some(source), None) => drop(spec.insert("dataSourceRef".to_owned(), source)),
        (None, Some(source)) if text(&source["namespace"]).is_empty() => {
            spec.insert("dataSource".to_owned(), source);
        }
        _ => {}
    }
}

/// Drops what belongs to a feature that is off by default.
fn without_gated(object: &mut Value) {
    let rolling =
        object["spec"].get_mut("updateStrategy").and_then(|strategy| strategy.get_mut("rollingUpdate"));
    drop(rolling.and_then(Value::as_object_mut).and_then(|rolling| rolling.remove("maxUnavailable")));
}

/// A Job finds its pods by its uid, unless the user picked labels.
fn job_labels(object: &mut Value, is_labelled: bool) {
    if object["spec"]["manualSelector"] == true {
        return;
    }
    let metadata = object["metadata"].clone();
    let spec = child(object, "spec");
    if spec["template"].is_object() {
        let labels = child(child(&mut spec["template"], "metadata"), "labels");
        for (label, field) in validate::JOB_LABELS {
            set(labels, label, metadata[field].clone());
        }
    }
    let (label, field) = validate::JOB_LABELS[0];
    set(child(child(spec, "selector"), "matchLabels"), label, metadata[field].clone());
    if !is_labelled {
        // A Job without labels of its own shows those of its pods.
        let labels = spec["template"]["metadata"]["labels"].clone();
        object["metadata"]["labels"] = labels;
    }
}

/// What an update keeps or adds that only the server can know.
pub(super) fn update(resource: &Resource, old: &Value, new: &mut Value) {
    match (&*resource.group, &*resource.plural) {
        ("", "namespaces") => new["spec"] = old["spec"].clone(),
        ("", "pods") => admission::tolerate(new),
        ("apps", "statefulsets") => without_gated(new),
        ("", "services") => {
            services::prepare(Some(old), new);
            if new["spec"]["type"] != "LoadBalancer" {
                new["status"]["loadBalancer"] = json!({});
            }
        }
        ("", "serviceaccounts") if new.get("secrets").is_none() && old.get("secrets").is_some() => {
            new["secrets"] = old["secrets"].clone();
        }
        _ => {}
    }
    complete(resource, new);
}

/// What Go writes although it is nothing, and the schema does not say so.
fn complete(resource: &Resource, object: &mut Value) {
    if resource.is("autoscaling", "horizontalpodautoscalers") && &*resource.version == "v2" {
        if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
            status.entry("currentMetrics").or_insert(Value::Null);
        }
    } else if resource.plural.as_ref() == "events" {
        convert::complete_event(resource, object);
    } else if matches!(resource.plural.as_ref(), "roles" | "clusterroles")
        && let Some(map) = object.as_object_mut()
    {
        map.entry("rules").or_insert(Value::Null);
    }
}

/// Whether a deletion answers with the object instead of a status.
pub(super) fn shows_what_it_deletes(resource: &Resource) -> bool {
    match &*resource.group {
        "" => matches!(
            &*resource.plural,
            "namespaces"
                | "persistentvolumeclaims"
                | "persistentvolumes"
                | "pods"
                | "podtemplates"
                | "resourcequotas"
                | "serviceaccounts"
                | "services"
        ),
        "resource.k8s.io" | "storage.k8s.io" => true,
        _ => false,
    }
}

/// Gives a valid object what has to be unique.
pub(super) fn allocate(api: &Api, resource: &Resource, object: &mut Value) -> Vec<FieldError> {
    if resource.is("", "services") { services::allocate(api, object) } else { Vec::new() }
}

/// What is accepted, and yet most likely not meant.
pub(super) fn warnings(
    resource: &Resource,
    subresource: &str,
    new: &Value,
    old: Option<&Value>,
) -> Vec<String> {
    let is_main = subresource.is_empty() && resource.custom.is_none();
    let known = || validate::warnings(&resource.group, &resource.plural, new, old);
    if is_main { known() } else { Vec::new() }
}

/// What the schema cannot say.
pub(super) fn validate(
    resource: &Resource,
    subresource: &str,
    new: &Value,
    old: Option<&Value>,
) -> Vec<FieldError> {
    if convert::is_view(resource) {
        // The rules are those of the form that is stored.
        let stored = |value: &Value| convert::to_storage(resource, value.clone());
        let old = old.map(stored);
        return validate::builtin(&resource.group, &resource.plural, &stored(new), old.as_ref());
    }
    match subresource {
        "status" => validate::builtin_status(&resource.group, &resource.plural, new),
        _ => validate::builtin(&resource.group, &resource.plural, new, old),
    }
}

impl Resource {
    /// Refuses a selector for fields that this kind cannot be selected by.
    ///
    /// # Errors
    /// 400, as kube-apiserver words it.
    pub(crate) fn check_fields(&self, selector: &FieldSelector) -> Result<(), ApiError> {
        let known = fields(self, &Value::Null);
        let is_known = |path: &str| {
            matches!(path, "metadata.name" | "metadata.namespace") || known.iter().any(|(p, _)| p == path)
        };
        match selector.paths().find(|path| !is_known(path)) {
            // Kinds without fields of their own are asked by the code for all kinds.
            Some(path) if known.is_empty() && self.custom.is_none() => Err(ApiError::bad_request(format!(
                "{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            ))),
            Some(path) => Err(ApiError::bad_request(format!("field label not supported: {path}"))),
            None => Ok(()),
        }
    }
}

/// The values that field selectors may ask for, apart from name and namespace.
pub(super) fn fields(resource: &Resource, object: &Value) -> Vec<(String, String)> {
    let paths: &[&str] = match (&*resource.group, &*resource.plural) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
        ],
        ("", "events") | ("events.k8s.io", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "type",
        ],
        ("", "namespaces") => &["status.phase"],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "secrets") => &["type"],
        ("apps", "replicasets") => &["status.replicas"],
        ("batch", "jobs") => &["status.successful"],
        _ => &[],
    };
    let selectable = resource.custom.iter().flat_map(|custom| custom.selectable.iter().map(String::as_str));
    paths
        .iter()
        .copied()
        .chain(selectable)
        .map(|path| {
            let value = path.split('.').fold(object, |value, part| &value[part]);
            let text = match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            (path.to_owned(), text)
        })
        .collect()
}

/// How names of a kind must look.
pub(super) fn name_rule(resource: &Resource) -> fn(&str) -> Vec<String> {
    match (&*resource.group, &*resource.plural) {
        ("rbac.authorization.k8s.io", _) => |name| match name {
            "." | ".." => vec![format!("may not be '{name}'")],
            name => ["/", "%"]
                .into_iter()
                .filter(|part| name.contains(part))
                .map(|part| format!("may not contain '{part}'"))
                .collect(),
        },
        ("", "namespaces" | "services") | ("apps", "statefulsets") => validate::label,
        _ => validate::subdomain,
    }
}
