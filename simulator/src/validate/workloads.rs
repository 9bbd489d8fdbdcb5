//! Validation of the kinds that make pods from a template.

use serde_json::Value;

use super::FieldError;
use super::rules::{in_range, is_empty, label_selector, matches, named, not_negative, one_of, text};
use super::{meta, pods};

/// A Deployment, StatefulSet, DaemonSet or ReplicaSet.
pub(crate) fn workload(plural: &str, object: &Value, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    not_negative(&spec["replicas"], "spec.replicas", out);
    let selector_is_good = selector(spec, plural, out);
    if selector_is_good {
        let labels = &spec["template"]["metadata"]["labels"];
        if !matches(&spec["selector"], labels) {
            let why = "`selector` does not match template `labels`";
            out.push(FieldError::invalid("spec.template.metadata.labels", labels, why));
        }
        template(&spec["template"], out);
        let template = &spec["template"]["spec"];
        one_of(&template["restartPolicy"], &["Always"], "spec.template.spec.restartPolicy", out);
        if !template["activeDeadlineSeconds"].is_null() {
            out.push(FieldError::forbidden(
                "spec.template.spec.activeDeadlineSeconds",
                "activeDeadlineSeconds in ReplicaSet is not Supported",
            ));
        }
    }
    if plural == "deployments" {
        strategy(&spec["strategy"], out);
    }
    not_negative(&spec["minReadySeconds"], "spec.minReadySeconds", out);
    not_negative(&spec["revisionHistoryLimit"], "spec.revisionHistoryLimit", out);
    let deadline = &spec["progressDeadlineSeconds"];
    if plural == "deployments" {
        not_negative(deadline, "spec.progressDeadlineSeconds", out);
        let ready = spec["minReadySeconds"].as_i64().unwrap_or(0);
        if deadline.as_i64().is_some_and(|deadline| deadline <= ready) {
            let why = "must be greater than minReadySeconds";
            out.push(FieldError::invalid("spec.progressDeadlineSeconds", deadline, why));
        }
    }
}

/// Tells whether the template can be looked at.
fn selector(spec: &Value, plural: &str, out: &mut Vec<FieldError>) -> bool {
    let selector = &spec["selector"];
    if selector.is_null() {
        out.push(FieldError::required("spec.selector", ""));
        return true;
    }
    let before = out.len();
    label_selector(selector, "spec.selector", out);
    let empty = is_empty(&selector["matchLabels"]) && is_empty(&selector["matchExpressions"]);
    if empty {
        let kind = plural.trim_end_matches('s');
        let why = format!("empty selector is invalid for {kind}");
        out.push(FieldError::invalid("spec.selector", selector, why));
    }
    if out.len() > before && !empty {
        out.push(FieldError::invalid("spec.selector", selector, "invalid label selector"));
        return false;
    }
    true
}

/// A template of pods, at `spec.template`.
pub(super) fn template(template: &Value, out: &mut Vec<FieldError>) {
    let metadata = &template["metadata"];
    out.extend(meta::labels(&metadata["labels"], "spec.template.labels"));
    out.extend(meta::annotations(&metadata["annotations"], "spec.template.annotations"));
    pods::spec(&template["spec"], "spec.template.spec", out);
}

fn strategy(strategy: &Value, out: &mut Vec<FieldError>) {
    let path = "spec.strategy.rollingUpdate";
    let rolling = &strategy["rollingUpdate"];
    match text(&strategy["type"]) {
        "Recreate" if rolling.is_object() => {
            let why = "may not be specified when strategy `type` is 'Recreate'";
            out.push(FieldError::forbidden(path, why));
        }
        "RollingUpdate" => {
            let before = out.len();
            for field in ["maxUnavailable", "maxSurge"] {
                number_or_percent(&rolling[field], &format!("{path}.{field}"), out);
            }
            let is_zero = |value: &Value| value.as_i64() == Some(0) || text(value) == "0%";
            if out.len() == before && is_zero(&rolling["maxUnavailable"]) && is_zero(&rolling["maxSurge"]) {
                out.push(FieldError::invalid(
                    format!("{path}.maxUnavailable"),
                    &rolling["maxUnavailable"],
                    "may not be 0 when `maxSurge` is 0",
                ));
            }
            let percent = text(&rolling["maxUnavailable"]).strip_suffix('%');
            if percent.and_then(|number| number.parse::<u64>().ok()).is_some_and(|number| number > 100) {
                out.push(FieldError::invalid(
                    format!("{path}.maxUnavailable"),
                    &rolling["maxUnavailable"],
                    "must not be greater than 100%",
                ));
            }
        }
        _ => {}
    }
}

fn number_or_percent(value: &Value, path: &str, out: &mut Vec<FieldError>) {
    match value {
        Value::String(text) => {
            let digits = text.strip_suffix('%').unwrap_or_default();
            if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit()) {
                let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or \
                           '93%', regex used for validation is '[0-9]+%')";
                out.push(FieldError::invalid(path, value, why));
            }
        }
        number => not_negative(number, path, out),
    }
}

/// A Lease, which leader election of any client depends on.
pub(crate) fn lease(object: &Value, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    if spec["leaseDurationSeconds"].as_i64().is_some_and(|seconds| seconds <= 0) {
        let why = "must be greater than 0";
        out.push(FieldError::invalid("spec.leaseDurationSeconds", &spec["leaseDurationSeconds"], why));
    }
    not_negative(&spec["leaseTransitions"], "spec.leaseTransitions", out);
}

/// A Service, apart from what only the allocator of addresses knows.
pub(crate) fn service(object: &Value, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let kind = text(&spec["type"]);
    let ports = super::rules::items(&spec["ports"]);
    let is_headless = text(&spec["clusterIP"]) == "None";
    if ports.is_empty() && kind != "ExternalName" && !is_headless {
        out.push(FieldError::required("spec.ports", ""));
    }
    if matches!(kind, "NodePort" | "LoadBalancer") && is_headless {
        let why = format!("may not be set to 'None' for {kind} services");
        out.push(FieldError::invalid("spec.clusterIPs[0]", &spec["clusterIP"], why));
    }
    if kind == "ExternalName" {
        named(&spec["externalName"], super::subdomain, "spec.externalName", out);
    }
    let mut names = Vec::new();
    for (at, one) in ports.iter().enumerate() {
        let path = format!("spec.ports[{at}]");
        let name = &one["name"];
        if is_empty(name) {
            if ports.len() > 1 {
                out.push(FieldError::required(format!("{path}.name"), ""));
            }
        } else {
            named(name, super::label, &format!("{path}.name"), out);
            if names.contains(&name) {
                out.push(FieldError::duplicate(format!("{path}.name"), name));
            }
            names.push(name);
        }
        let number = one.get("port").cloned().unwrap_or_else(|| 0.into());
        in_range(&number, 1, 65_535, &format!("{path}.port"), out);
        one_of(&one["protocol"], &["SCTP", "TCP", "UDP"], &format!("{path}.protocol"), out);
        let target = Some(&one["targetPort"]).filter(|port| !is_empty(port)).unwrap_or(&number);
        super::rules::port(target, &format!("{path}.targetPort"), out);
        if kind == "ClusterIP" && !is_empty(&one["nodePort"]) {
            let why = "may not be used when `type` is 'ClusterIP'";
            out.push(FieldError::forbidden(format!("{path}.nodePort"), why));
        }
    }
    out.extend(meta::labels(&spec["selector"], "spec.selector"));
    one_of(&spec["sessionAffinity"], &["ClientIP", "None"], "spec.sessionAffinity", out);
    one_of(&spec["type"], &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"], "spec.type", out);
    for (at, address) in super::rules::items(&spec["externalIPs"]).iter().enumerate() {
        ip(address, &format!("spec.externalIPs[{at}]"), out);
    }
    if !is_headless && !is_empty(&spec["clusterIP"]) && kind != "ExternalName" {
        ip(&spec["clusterIP"], "spec.clusterIPs[0]", out);
    }
    if kind == "ClusterIP" && !is_empty(&spec["externalTrafficPolicy"]) && is_empty(&spec["externalIPs"]) {
        let why = "may only be set for externally-accessible services";
        out.push(FieldError::invalid("spec.externalTrafficPolicy", &spec["externalTrafficPolicy"], why));
    }
}

fn ip(value: &Value, path: &str, out: &mut Vec<FieldError>) {
    if text(value).parse::<std::net::IpAddr>().is_err() {
        let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        out.push(FieldError::invalid(path, value, why));
    }
}
