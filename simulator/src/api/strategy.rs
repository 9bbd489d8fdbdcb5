//! What kube-apiserver does per kind beyond its schema: defaults that need thought, allocation, generations, and the
//! fields that selectors may ask for.

use serde_json::{Map, Value, json};

use super::{Api, ApiError, Resource, now};
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
    for field in
        ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion", "generation"]
    {
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
    for field in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"]
    {
        match old["metadata"].get(field) {
            Some(value) => metadata.insert(field.into(), value.clone()),
            None => metadata.remove(field),
        };
    }
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

/// What a create adds that only the server can know.
pub(super) fn create(api: &Api, resource: &Resource, object: &mut Value) {
    if resource.is("", "namespaces") {
        let name = object["metadata"]["name"].clone();
        entry(object, "metadata", "labels")["kubernetes.io/metadata.name"] = name;
        object["spec"] = json!({"finalizers": ["kubernetes"]});
        object["status"] = json!({"phase": "Active"});
    } else if resource.is("", "services") {
        service(api, object);
        object["status"] = json!({"loadBalancer": {}});
    } else if resource.is("", "pods") {
        object["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"});
    } else if resource.is("", "nodes") {
        object["status"] = json!({
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                            "message": "the node is simulated", "lastHeartbeatTime": now(), "lastTransitionTime": now()}],
            "capacity": {"cpu": "32", "memory": "256Gi", "pods": "1000"},
            "allocatable": {"cpu": "32", "memory": "256Gi", "pods": "1000"},
            "nodeInfo": {"architecture": "amd64", "bootID": "", "containerRuntimeVersion": "none", "kernelVersion": "",
                         "kubeProxyVersion": "", "kubeletVersion": "v1.36.3", "machineID": "", "operatingSystem": "linux",
                         "osImage": "", "systemUUID": ""},
        });
    } else if resource.is("apiextensions.k8s.io", "customresourcedefinitions") {
        definition_defaults(object);
    }
}

/// What an update keeps or adds that only the server can know.
pub(super) fn update(api: &Api, resource: &Resource, old: &Value, new: &mut Value) {
    if resource.is("", "namespaces") {
        let name = new["metadata"]["name"].clone();
        entry(new, "metadata", "labels")["kubernetes.io/metadata.name"] = name;
        new["spec"] = old["spec"].clone();
    } else if resource.is("", "services") {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if new["spec"].get(field).is_none() && old["spec"].get(field).is_some() {
                new["spec"][field] = old["spec"][field].clone();
            }
        }
        service(api, new);
    } else if resource.is("", "serviceaccounts")
        && new.get("secrets").is_none()
        && old.get("secrets").is_some()
    {
        new["secrets"] = old["secrets"].clone();
    } else if resource.is("apiextensions.k8s.io", "customresourcedefinitions") {
        definition_defaults(new);
    }
}

/// The defaults that Kubernetes' API machinery sets in code. Only absent fields are set.
pub(super) fn defaults(resource: &Resource, object: &mut Value) {
    match (&*resource.group, &*resource.plural) {
        ("apps", "deployments") => {
            let spec = child(object, "spec");
            set(spec, "replicas", json!(1));
            set(spec, "progressDeadlineSeconds", json!(600));
            set(spec, "revisionHistoryLimit", json!(10));
            let strategy = child_of(spec, "strategy");
            set(strategy, "type", json!("RollingUpdate"));
            if strategy["type"] == "RollingUpdate" {
                let rolling = child_of(strategy, "rollingUpdate");
                set(rolling, "maxSurge", json!("25%"));
                set(rolling, "maxUnavailable", json!("25%"));
            }
            template(spec);
        }
        ("apps", "replicasets") => {
            let spec = child(object, "spec");
            set(spec, "replicas", json!(1));
            template(spec);
        }
        ("apps", "statefulsets") => {
            let spec = child(object, "spec");
            set(spec, "replicas", json!(1));
            set(spec, "revisionHistoryLimit", json!(10));
            set(spec, "podManagementPolicy", json!("OrderedReady"));
            set(
                spec,
                "persistentVolumeClaimRetentionPolicy",
                json!({"whenDeleted": "Retain", "whenScaled": "Retain"}),
            );
            let strategy = child_of(spec, "updateStrategy");
            set(strategy, "type", json!("RollingUpdate"));
            if strategy["type"] == "RollingUpdate" {
                set(child_of(strategy, "rollingUpdate"), "partition", json!(0));
            }
            template(spec);
        }
        ("apps", "daemonsets") => {
            let spec = child(object, "spec");
            set(spec, "revisionHistoryLimit", json!(10));
            let strategy = child_of(spec, "updateStrategy");
            set(strategy, "type", json!("RollingUpdate"));
            if strategy["type"] == "RollingUpdate" {
                let rolling = child_of(strategy, "rollingUpdate");
                set(rolling, "maxSurge", json!(0));
                set(rolling, "maxUnavailable", json!(1));
            }
            template(spec);
        }
        ("batch", "jobs") => job(child(object, "spec")),
        ("batch", "cronjobs") => {
            let spec = child(object, "spec");
            set(spec, "concurrencyPolicy", json!("Allow"));
            set(spec, "suspend", json!(false));
            set(spec, "successfulJobsHistoryLimit", json!(3));
            set(spec, "failedJobsHistoryLimit", json!(1));
            if let Some(template_spec) = spec.get_mut("jobTemplate").and_then(|job| job.get_mut("spec")) {
                template(template_spec);
            }
        }
        ("", "pods") => pod(child(object, "spec")),
        ("", "services") => {
            let spec = child(object, "spec");
            set(spec, "type", json!("ClusterIP"));
            set(spec, "sessionAffinity", json!("None"));
            if spec["type"] != "ExternalName" {
                set(spec, "internalTrafficPolicy", json!("Cluster"));
            }
            for port in spec["ports"].as_array_mut().into_iter().flatten() {
                set(port, "protocol", json!("TCP"));
                let number = port["port"].clone();
                set(port, "targetPort", number);
            }
        }
        ("", "secrets") => {
            if let Some(texts) = object.as_object_mut().and_then(|map| map.remove("stringData")) {
                use base64::Engine;
                for (key, text) in texts.as_object().into_iter().flatten() {
                    let text = text.as_str().unwrap_or_default();
                    child(object, "data")[key] =
                        base64::engine::general_purpose::STANDARD.encode(text).into();
                }
            }
            set(object, "type", json!("Opaque"));
        }
        ("autoscaling", "horizontalpodautoscalers") => set(child(object, "spec"), "minReplicas", json!(1)),
        ("networking.k8s.io", "networkpolicies") => {
            set(child(object, "spec"), "policyTypes", json!(["Ingress"]))
        }
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            set(child(object, "roleRef"), "apiGroup", json!("rbac.authorization.k8s.io"));
            for subject in object["subjects"].as_array_mut().into_iter().flatten() {
                if matches!(subject["kind"].as_str(), Some("User" | "Group")) {
                    set(subject, "apiGroup", json!("rbac.authorization.k8s.io"));
                }
            }
        }
        _ => {}
    }
}

fn job(spec: &mut Value) {
    for (field, value) in [("completions", 1), ("parallelism", 1), ("backoffLimit", 6)] {
        set(spec, field, value.into());
    }
    set(spec, "completionMode", json!("NonIndexed"));
    set(spec, "suspend", json!(false));
    set(spec, "podReplacementPolicy", json!("TerminatingOrFailed"));
    set(spec, "manualSelector", json!(false));
    template(spec);
}

fn template(spec: &mut Value) {
    if let Some(inner) = spec.get_mut("template").and_then(|template| template.get_mut("spec")) {
        pod(inner);
    }
}

fn pod(spec: &mut Value) {
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("securityContext", json!({})),
        ("schedulerName", json!("default-scheduler")),
    ] {
        set(spec, field, value);
    }
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        set(spec, "serviceAccount", account);
    }
    for list in ["initContainers", "containers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let image = container["image"].as_str().unwrap_or_default();
            let latest = !image.contains('@')
                && image
                    .rsplit('/')
                    .next()
                    .is_none_or(|name| !name.contains(':') || name.ends_with(":latest"));
            set(container, "imagePullPolicy", json!(if latest { "Always" } else { "IfNotPresent" }));
            set(container, "resources", json!({}));
            set(container, "terminationMessagePath", json!("/dev/termination-log"));
            set(container, "terminationMessagePolicy", json!("File"));
            for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
                set(port, "protocol", json!("TCP"));
            }
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                if let Some(probe) = container.get_mut(probe) {
                    for (field, value) in [
                        ("timeoutSeconds", 1),
                        ("periodSeconds", 10),
                        ("successThreshold", 1),
                        ("failureThreshold", 3),
                    ] {
                        set(probe, field, value.into());
                    }
                    if let Some(get) = probe.get_mut("httpGet") {
                        set(get, "scheme", json!("HTTP"));
                        set(get, "path", json!("/"));
                    }
                }
            }
        }
    }
    for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        for kind in ["configMap", "secret", "projected", "downwardAPI"] {
            if let Some(source) = volume.get_mut(kind) {
                set(source, "defaultMode", json!(420));
            }
        }
    }
}

/// Gives a Service its cluster address.
fn service(api: &Api, object: &mut Value) {
    let spec = child(object, "spec");
    if spec["type"] == "ExternalName" {
        return;
    }
    if spec["clusterIP"].as_str().unwrap_or_default().is_empty() {
        // 10.96.0.0/12 by the counter of changes: two Services never get the same one within a million changes.
        let number = api.store.revision() % 0xF_FFFF + 2;
        let address = format!("10.{}.{}.{}", 96 + (number >> 16), (number >> 8) & 0xFF, number & 0xFF);
        spec["clusterIP"] = address.into();
    }
    let address = spec["clusterIP"].clone();
    set(spec, "clusterIPs", json!([address]));
    set(spec, "ipFamilies", json!(["IPv4"]));
    set(spec, "ipFamilyPolicy", json!("SingleStack"));
}

fn definition_defaults(object: &mut Value) {
    let spec = child(object, "spec");
    set(spec, "conversion", json!({"strategy": "None"}));
    let names = child_of(spec, "names");
    let kind = names["kind"].as_str().unwrap_or_default().to_owned();
    set(names, "singular", kind.to_lowercase().into());
    set(names, "listKind", format!("{kind}List").into());
}

/// What the schema cannot say.
pub(super) fn validate(resource: &Resource, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let immutable = |path: &[&str], errors: &mut Vec<FieldError>| {
        let at = |value: &Value| path.iter().fold(value.clone(), |value, part| value[*part].clone());
        if let Some(old) = old
            && at(old) != at(new)
        {
            errors.push(FieldError::invalid(path.join("."), &at(new), "field is immutable"));
        }
    };
    match (&*resource.group, &*resource.plural) {
        ("apps", "deployments" | "replicasets" | "daemonsets" | "statefulsets") => {
            validate::workload(&resource.plural, new, &mut errors);
            immutable(&["spec", "selector"], &mut errors);
        }
        ("batch", "jobs") => {
            immutable(&["spec", "template"], &mut errors);
            validate::pod(&new["spec"]["template"]["spec"], "spec.template.spec", &mut errors);
        }
        ("", "pods") => validate::pod(&new["spec"], "spec", &mut errors),
        ("coordination.k8s.io", "leases") => validate::lease(new, &mut errors),
        ("", "secrets") => {
            immutable(&["type"], &mut errors);
            keys(new, &["data"], &mut errors);
            validate::secret(new, &mut errors);
        }
        ("", "configmaps") => {
            keys(new, &["binaryData", "data"], &mut errors);
            for key in new["data"].as_object().into_iter().flatten().map(|(key, _)| key) {
                if new["binaryData"].get(key).is_some() {
                    let why = "duplicate of key present in binaryData";
                    errors.push(FieldError::invalid(format!("data[{key}]"), &json!(key), why));
                }
            }
        }
        ("", "services") => {
            validate::service(new, &mut errors);
            if old.is_some_and(|old| old["spec"]["type"] == new["spec"]["type"]) {
                immutable(&["spec", "clusterIP"], &mut errors);
            }
        }
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings")
            if old.is_some_and(|old| old["roleRef"] != new["roleRef"]) =>
        {
            errors.push(FieldError::invalid("roleRef", &new["roleRef"], "cannot change roleRef"));
        }
        _ => {}
    }
    if resource.is("", "configmaps") || resource.is("", "secrets") {
        if old.is_some_and(|old| old["immutable"] == true) {
            for field in ["immutable", "data", "binaryData"] {
                if old.is_some_and(|old| old.get(field) != new.get(field)) {
                    errors.push(FieldError::forbidden(field, "field is immutable when `immutable` is set"));
                }
            }
        }
        let bytes: usize = ["data", "binaryData"]
            .iter()
            .filter_map(|field| new[field].as_object())
            .flatten()
            .map(|(_, value)| value.as_str().map_or(0, str::len))
            .sum();
        if bytes > 1 << 20 {
            errors.push(FieldError::too_long(if resource.is("", "secrets") { "data" } else { "" }, 1 << 20));
        }
    }
    errors
}

/// Keys become file names, so not every text is one.
fn keys(object: &Value, fields: &[&str], errors: &mut Vec<FieldError>) {
    for field in fields {
        for key in object[*field].as_object().into_iter().flatten().map(|(key, _)| key) {
            for problem in validate::config_key(key) {
                errors.push(FieldError::invalid(format!("{field}[{key}]"), &json!(key), &problem));
            }
        }
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
        ("", "namespaces" | "services") => validate::label,
        _ => validate::subdomain,
    }
}

fn child<'a>(object: &'a mut Value, name: &str) -> &'a mut Value {
    child_of(object, name)
}

fn child_of<'a>(object: &'a mut Value, name: &str) -> &'a mut Value {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let child = &mut object[name];
    if child.is_null() {
        *child = Value::Object(Map::new());
    }
    child
}

fn entry<'a>(object: &'a mut Value, outer: &str, inner: &str) -> &'a mut Value {
    child_of(child_of(object, outer), inner)
}

fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(map) = object.as_object_mut()
        && map.get(field).is_none_or(Value::is_null)
        && !value.is_null()
    {
        map.insert(field.to_owned(), value);
    }
}
