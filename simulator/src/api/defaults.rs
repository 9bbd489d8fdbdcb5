//! The defaults that Kubernetes' API machinery sets in code, per kind. Only absent fields are set.

use base64::Engine;
use serde_json::{Map, Value, json};

use super::Resource;
use crate::validate;

/// Sets what was left out.
pub(super) fn defaults(resource: &Resource, object: &mut Value) {
    match (&*resource.group, &*resource.plural) {
        ("", "configmaps" | "serviceaccounts") | ("coordination.k8s.io", _) => {}
        ("", "endpoints") => each(object.get_mut("subsets"), |subset| {
            each(subset.get_mut("ports"), |port| set(port, "protocol", json!("TCP")));
        }),
        ("", "limitranges") => each(object["spec"].get_mut("limits"), limits),
        ("", "namespaces") => {
            let name = object["metadata"]["name"].clone();
            if name.as_str().is_some_and(|name| !name.is_empty()) {
                child(child(object, "metadata"), "labels")["kubernetes.io/metadata.name"] = name;
            }
        }
        ("", "persistentvolumeclaims") => set(child(object, "spec"), "volumeMode", json!("Filesystem")),
        ("", "persistentvolumes") => {
            let spec = child(object, "spec");
            set(spec, "persistentVolumeReclaimPolicy", json!("Retain"));
            set(spec, "volumeMode", json!("Filesystem"));
            volume_source(spec);
        }
        ("", "pods") => {
            let spec = child(object, "spec");
            set(spec, "enableServiceLinks", json!(true));
            host_ports(spec);
            pod(spec);
            each(spec.get_mut("containers"), requests);
            each(spec.get_mut("initContainers"), requests);
        }
        ("", "secrets") => secret(object),
        ("", "services") => service(child(object, "spec")),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations") => webhooks(object, true),
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations") => webhooks(object, false),
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition(object),
        ("apps", plural) => workload(plural, child(object, "spec")),
        ("autoscaling", "horizontalpodautoscalers") => autoscaler(&resource.version, child(object, "spec")),
        ("batch", "cronjobs") => cron_job(child(object, "spec")),
        ("batch", "jobs") => job(object),
        ("discovery.k8s.io", "endpointslices") => each(object.get_mut("ports"), |port| {
            set(port, "name", json!(""));
            set(port, "protocol", json!("TCP"));
        }),
        ("networking.k8s.io", "ingressclasses") => {
            if let Some(parameters) = object["spec"].get_mut("parameters") {
                set(parameters, "scope", json!("Cluster"));
            }
        }
        ("networking.k8s.io", "networkpolicies") => network_policy(child(object, "spec")),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => binding(object),
        ("scheduling.k8s.io", "priorityclasses") => {
            set(object, "preemptionPolicy", json!("PreemptLowerPriority"));
        }
        ("storage.k8s.io", "storageclasses") => {
            set(object, "reclaimPolicy", json!("Delete"));
            set(object, "volumeBindingMode", json!("Immediate"));
        }
        _ => {}
    }
}

/// What a resource of a container may be: without more words the most is the default, and that is asked for.
fn limits(limit: &mut Value) {
    if limit["type"] != "Container" {
        return;
    }
    for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
        let known = limit[from].as_object().cloned().unwrap_or_default();
        if known.is_empty() {
            continue;
        }
        let into = child(limit, to);
        for (name, value) in known {
            set(into, &name, value);
        }
    }
}

/// A container that has limits asks for them.
fn requests(container: &mut Value) {
    let limits = container["resources"]["limits"].as_object().cloned().unwrap_or_default();
    for (name, value) in limits {
        set(child(child(container, "resources"), "requests"), &name, value);
    }
}

/// On the network of its node, a port of a pod is a port of the node.
fn host_ports(spec: &mut Value) {
    if spec["hostNetwork"] != true {
        return;
    }
    for list in ["containers", "initContainers"] {
        each(spec.get_mut(list), |container| {
            each(container.get_mut("ports"), |port| {
                let number = port["containerPort"].clone();
                set(port, "hostPort", number);
            });
        });
    }
}

fn secret(object: &mut Value) {
    if let Some(texts) = object.as_object_mut().and_then(|map| map.remove("stringData")) {
        for (key, text) in texts.as_object().into_iter().flatten() {
            let text = text.as_str().unwrap_or_default();
            child(object, "data")[key] = base64::engine::general_purpose::STANDARD.encode(text).into();
        }
    }
    set(object, "type", json!("Opaque"));
}

fn service(spec: &mut Value) {
    set(spec, "type", json!("ClusterIP"));
    set(spec, "sessionAffinity", json!("None"));
    match spec["sessionAffinity"].as_str() {
        Some("ClientIP") => {
            let config = child(child(spec, "sessionAffinityConfig"), "clientIP");
            set(config, "timeoutSeconds", json!(10_800));
        }
        Some("None") => drop(spec.as_object_mut().and_then(|spec| spec.remove("sessionAffinityConfig"))),
        _ => {}
    }
    each(spec.get_mut("ports"), |port| {
        set(port, "protocol", json!("TCP"));
        if port["targetPort"] == 0 || port["targetPort"] == "" {
            port["targetPort"] = Value::Null;
        }
        let number = port["port"].clone();
        set(port, "targetPort", number);
    });
    if validate::is_external(spec) {
        set(spec, "externalTrafficPolicy", json!("Cluster"));
    }
    if matches!(spec["type"].as_str(), Some("ClusterIP" | "NodePort" | "LoadBalancer")) {
        set(spec, "internalTrafficPolicy", json!("Cluster"));
    }
    if spec["type"] == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
}

fn webhooks(object: &mut Value, is_mutating: bool) {
    each(object.get_mut("webhooks"), |hook| {
        for (field, value) in [
            ("failurePolicy", json!("Fail")),
            ("matchPolicy", json!("Equivalent")),
            ("namespaceSelector", json!({})),
            ("objectSelector", json!({})),
            ("timeoutSeconds", json!(10)),
        ] {
            set(hook, field, value);
        }
        if is_mutating {
            set(hook, "reinvocationPolicy", json!("Never"));
        }
        each(hook.get_mut("rules"), |rule| set(rule, "scope", json!("*")));
        if let Some(service) = hook["clientConfig"].get_mut("service") {
            set(service, "port", json!(443));
        }
    });
}

fn definition(object: &mut Value) {
    let spec = child(object, "spec");
    set(spec, "conversion", json!({"strategy": "None"}));
    let names = child(spec, "names");
    let kind = names["kind"].as_str().unwrap_or_default().to_owned();
    if kind.is_empty() {
        return;
    }
    set(names, "singular", kind.to_lowercase().into());
    set(names, "listKind", format!("{kind}List").into());
}

fn workload(plural: &str, spec: &mut Value) {
    let rolling = |spec: &mut Value, field: &str, values: &[(&str, Value)]| {
        let strategy = child(spec, field);
        set(strategy, "type", json!("RollingUpdate"));
        if strategy["type"] == "RollingUpdate" {
            let rolling = child(strategy, "rollingUpdate");
            values.iter().for_each(|(field, value)| set(rolling, field, value.clone()));
        }
    };
    match plural {
        "deployments" => {
            set(spec, "replicas", json!(1));
            set(spec, "progressDeadlineSeconds", json!(600));
            set(spec, "revisionHistoryLimit", json!(10));
            rolling(spec, "strategy", &[("maxSurge", json!("25%")), ("maxUnavailable", json!("25%"))]);
        }
        "replicasets" => set(spec, "replicas", json!(1)),
        "statefulsets" => {
            set(spec, "replicas", json!(1));
            set(spec, "revisionHistoryLimit", json!(10));
            set(spec, "podManagementPolicy", json!("OrderedReady"));
            let retention = child(spec, "persistentVolumeClaimRetentionPolicy");
            set(retention, "whenDeleted", json!("Retain"));
            set(retention, "whenScaled", json!("Retain"));
            rolling(spec, "updateStrategy", &[("partition", json!(0))]);
            each(spec.get_mut("volumeClaimTemplates"), |claim| {
                set(claim, "apiVersion", json!("v1"));
                set(claim, "kind", json!("PersistentVolumeClaim"));
                set(child(claim, "spec"), "volumeMode", json!("Filesystem"));
                set(child(claim, "status"), "phase", json!("Pending"));
            });
        }
        "daemonsets" => {
            set(spec, "revisionHistoryLimit", json!(10));
            rolling(spec, "updateStrategy", &[("maxSurge", json!(0)), ("maxUnavailable", json!(1))]);
        }
        _ => return,
    }
    template(spec);
}

fn autoscaler(version: &str, spec: &mut Value) {
    set(spec, "minReplicas", json!(1));
    if version == "v1" {
        return;
    }
    let average = json!({"type": "Utilization", "averageUtilization": 80});
    set(spec, "metrics", json!([{"type": "Resource", "resource": {"name": "cpu", "target": average}}]));
    if spec["behavior"].is_object() {
        for direction in ["scaleUp", "scaleDown"] {
            let rules = child(&mut spec["behavior"], direction);
            for (field, value) in validate::default_scaling_rules(direction).as_object().into_iter().flatten()
            {
                set(rules, field, value.clone());
            }
        }
    }
}

fn job(object: &mut Value) {
    let labels = object["spec"]["template"]["metadata"]["labels"].clone();
    if labels.as_object().is_some_and(|labels| !labels.is_empty()) {
        set(child(object, "metadata"), "labels", labels);
    }
    let spec = child(object, "spec");
    if spec["completions"].is_null() && spec["parallelism"].is_null() {
        set(spec, "completions", json!(1));
    }
    set(spec, "parallelism", json!(1));
    let tries = if spec["backoffLimitPerIndex"].is_null() { 6 } else { i32::MAX };
    set(spec, "backoffLimit", json!(tries));
    set(spec, "completionMode", json!("NonIndexed"));
    set(spec, "suspend", json!(false));
    if let Some(policy) = spec.get_mut("podFailurePolicy") {
        each(policy.get_mut("rules"), |rule| {
            each(rule.get_mut("onPodConditions"), |pattern| set(pattern, "status", json!("True")));
        });
    }
    let policy = if spec["podFailurePolicy"].is_null() { "TerminatingOrFailed" } else { "Failed" };
    set(spec, "podReplacementPolicy", json!(policy));
    set(spec, "manualSelector", json!(false));
    template(spec);
}

fn cron_job(spec: &mut Value) {
    set(spec, "concurrencyPolicy", json!("Allow"));
    set(spec, "suspend", json!(false));
    set(spec, "successfulJobsHistoryLimit", json!(3));
    set(spec, "failedJobsHistoryLimit", json!(1));
    if let Some(job) = spec.get_mut("jobTemplate").and_then(|job| job.get_mut("spec")) {
        template(job);
    }
}

fn network_policy(spec: &mut Value) {
    let types = validate::default_policy_types(spec);
    set(spec, "policyTypes", types);
    for direction in ["ingress", "egress"] {
        each(spec.get_mut(direction), |rule| {
            each(rule.get_mut("ports"), |port| set(port, "protocol", json!("TCP")));
        });
    }
}

fn binding(object: &mut Value) {
    let group = || json!("rbac.authorization.k8s.io");
    set(child(object, "roleRef"), "apiGroup", group());
    each(object.get_mut("subjects"), |subject| {
        if matches!(subject["kind"].as_str(), Some("User" | "Group")) {
            set(subject, "apiGroup", group());
        }
    });
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
    // The old name of the field is written too, whichever was sent.
    let account = spec["serviceAccountName"].as_str().or(spec["serviceAccount"].as_str()).map(str::to_owned);
    if let Some(account) = account.filter(|account| !account.is_empty()) {
        spec["serviceAccountName"] = account.as_str().into();
        spec["serviceAccount"] = account.into();
    }
    for list in ["initContainers", "containers"] {
        each(spec.get_mut(list), container);
    }
    each(spec.get_mut("volumes"), |volume| {
        let has_source = volume.as_object().is_some_and(|volume| volume.keys().any(|key| key != "name"));
        if !has_source {
            set(volume, "emptyDir", json!({}));
        }
        volume_source(volume);
    });
}

fn container(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or_default();
    set(container, "imagePullPolicy", json!(if is_latest(image) { "Always" } else { "IfNotPresent" }));
    set(container, "resources", json!({}));
    set(container, "terminationMessagePath", json!("/dev/termination-log"));
    set(container, "terminationMessagePolicy", json!("File"));
    each(container.get_mut("ports"), |port| set(port, "protocol", json!("TCP")));
    each(container.get_mut("env"), |variable| {
        if let Some(field) = variable.get_mut("valueFrom").and_then(|from| from.get_mut("fieldRef")) {
            set(field, "apiVersion", json!("v1"));
        }
        if let Some(field) = variable.get_mut("valueFrom").and_then(|from| from.get_mut("resourceFieldRef")) {
            set(field, "divisor", json!("0"));
        }
    });
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = container.get_mut(probe) else { continue };
        for (field, value) in
            [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
        {
            set(probe, field, value.into());
        }
        http_get(probe);
        if let Some(grpc) = probe.get_mut("grpc") {
            set(grpc, "service", json!(""));
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(hook) = container.get_mut("lifecycle").and_then(|lifecycle| lifecycle.get_mut(hook)) {
            http_get(hook);
        }
    }
}

/// Whether an image is the newest of its name, as a reference without tag and digest is. What is no reference has no tag.
fn is_latest(image: &str) -> bool {
    let is_reference = !image.is_empty() && image.trim() == image && !image.contains(char::is_uppercase);
    let name = image.rsplit('/').next().unwrap_or_default();
    is_reference && !image.contains('@') && (!name.contains(':') || name.ends_with(":latest"))
}

fn http_get(handler: &mut Value) {
    if let Some(get) = handler.get_mut("httpGet") {
        set(get, "scheme", json!("HTTP"));
        set(get, "path", json!("/"));
    }
}

fn volume_source(volume: &mut Value) {
    for kind in ["configMap", "secret", "projected", "downwardAPI"] {
        if let Some(source) = volume.get_mut(kind) {
            set(source, "defaultMode", json!(420));
        }
    }
    let field = |item: &mut Value| {
        if let Some(field) = item.get_mut("fieldRef") {
            set(field, "apiVersion", json!("v1"));
        }
        if let Some(field) = item.get_mut("resourceFieldRef") {
            set(field, "divisor", json!("0"));
        }
    };
    if let Some(files) = volume.get_mut("downwardAPI").and_then(|source| source.get_mut("items")) {
        each(Some(files), field);
    }
    if let Some(projected) = volume.get_mut("projected") {
        each(projected.get_mut("sources"), |source| {
            if let Some(token) = source.get_mut("serviceAccountToken") {
                set(token, "expirationSeconds", json!(3600));
            }
            if let Some(files) = source.get_mut("downwardAPI").and_then(|source| source.get_mut("items")) {
                each(Some(files), field);
            }
        });
    }
    if let Some(host) = volume.get_mut("hostPath") {
        set(host, "type", json!(""));
    }
    if let Some(claim) = volume.get_mut("ephemeral").and_then(|source| source.get_mut("volumeClaimTemplate"))
    {
        set(child(claim, "spec"), "volumeMode", json!("Filesystem"));
    }
    if let Some(iscsi) = volume.get_mut("iscsi") {
        set(iscsi, "iscsiInterface", json!("default"));
    }
}

fn each(list: Option<&mut Value>, change: impl FnMut(&mut Value)) {
    list.and_then(Value::as_array_mut).into_iter().flatten().for_each(change);
}

/// The object under a name, made where there is none.
pub(super) fn child<'a>(object: &'a mut Value, name: &str) -> &'a mut Value {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let child = &mut object[name];
    if child.is_null() {
        *child = Value::Object(Map::new());
    }
    child
}

/// Sets a field that is absent.
pub(super) fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(map) = object.as_object_mut()
        && map.get(field).is_none_or(Value::is_null)
        && !value.is_null()
    {
        map.insert(field.to_owned(), value);
    }
}
