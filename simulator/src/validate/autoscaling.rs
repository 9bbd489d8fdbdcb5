//! HorizontalPodAutoscalers, in both versions of their API.

use serde_json::{Value, json};

use super::FieldError;
use super::quotas::container_resource;
use super::rules::{is_empty, items, named, one_of, quantity_not_negative, text};
use super::{names, quantity};

const TYPES: &[&str] = &["ContainerResource", "External", "Object", "Pods", "Resource"];

/// A HorizontalPodAutoscaler.
pub(super) fn autoscaler(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let (least, most) = (spec["minReplicas"].as_i64(), spec["maxReplicas"].as_i64().unwrap_or(0));
    // Nothing at all is a beta feature; an autoscaler that has it keeps it.
    let lowest = if old.is_some_and(|old| old["spec"]["minReplicas"] == 0) { 0 } else { 1 };
    if let Some(least) = least.filter(|least| *least < lowest) {
        let why = format!("must be greater than or equal to {lowest}");
        out.push(FieldError::invalid("spec.minReplicas", &least, why));
    }
    if most == 0 {
        out.push(FieldError::required("spec.maxReplicas", "must be set and greater than 0"));
    } else if most < 0 {
        out.push(FieldError::invalid("spec.maxReplicas", &most, "must be greater than or equal to 1"));
    }
    if least.is_some_and(|least| most < least) {
        let why = "must be greater than or equal to `minReplicas`";
        out.push(FieldError::invalid("spec.maxReplicas", &most, why));
    }
    let known = old.is_some_and(|old| old["spec"]["scaleTargetRef"] == spec["scaleTargetRef"]);
    reference(&spec["scaleTargetRef"], !known, "spec.scaleTargetRef", out);
    for (at, metric) in items(&spec["metrics"]).iter().enumerate() {
        self::metric(metric, &format!("spec.metrics[{at}]"), out);
    }
    let is_outside = |metric: &Value| matches!(text(&metric["type"]), "Object" | "External");
    if least == Some(0) && !items(&spec["metrics"]).iter().any(is_outside) {
        let why = "must specify at least one Object or External metric to support scaling to zero replicas";
        out.push(FieldError::forbidden("spec.metrics", why));
    }
    for direction in ["scaleUp", "scaleDown"] {
        let rules = &spec["behavior"][direction];
        if rules.is_object() {
            scaling_rules(rules, &format!("spec.behavior.{direction}"), out);
        }
    }
}

/// What is scaled, or measured.
fn reference(reference: &Value, must_have_group: bool, path: &str, out: &mut Vec<FieldError>) {
    for field in ["kind", "name"] {
        named(&reference[field], names::path_segment, &format!("{path}.{field}"), out);
    }
    let (version, at) = (text(&reference["apiVersion"]), format!("{path}.apiVersion"));
    match version.matches('/').count() {
        0 if must_have_group => {
            out.push(FieldError::invalid(at, version, "apiVersion must specify API group"));
        }
        0 | 1 => {}
        _ => {
            let why = format!("unexpected GroupVersion string: {version}");
            out.push(FieldError::invalid(at, version, why));
        }
    }
}

fn metric(metric: &Value, path: &str, out: &mut Vec<FieldError>) {
    let (kind, at) = (&metric["type"], format!("{path}.type"));
    if is_empty(kind) {
        out.push(FieldError::required(&at, "must specify a metric source type"));
    }
    let is_known = TYPES.contains(&text(kind));
    if !is_known {
        out.push(FieldError::not_supported(&at, text(kind), TYPES));
    }
    let present: Vec<&str> = ["object", "external", "pods", "resource", "containerResource"]
        .into_iter()
        .filter(|field| metric[*field].is_object())
        .collect();
    if let Some(first) = present.first() {
        source(first, &metric[*first], &format!("{path}.{first}"), out);
    }
    let mut wanted = text(kind).to_owned();
    if is_known {
        wanted[..1].make_ascii_lowercase();
        if !metric[wanted.as_str()].is_object() {
            let why = "must populate information for the given metric source";
            out.push(FieldError::required(format!("{path}.{wanted}"), why));
        }
    } else {
        out.push(FieldError::not_supported(at, text(kind), TYPES));
    }
    if present.len() > 1 {
        for other in present.into_iter().filter(|other| *other != wanted) {
            let why = "must populate the given metric source only";
            out.push(FieldError::forbidden(format!("{path}.{other}"), why));
        }
    }
}

fn source(kind: &str, source: &Value, path: &str, out: &mut Vec<FieldError>) {
    let target = &source["target"];
    let has = |field: &str| !target[field].is_null();
    if kind == "object" {
        reference(&source["describedObject"], false, &format!("{path}.describedObject"), out);
    }
    match kind {
        "resource" | "containerResource" => {
            let (name, at) = (&source["name"], format!("{path}.name"));
            if is_empty(name) {
                out.push(FieldError::required(at, "must specify a resource name"));
            } else if kind == "containerResource" {
                container_resource(text(name), &at, out);
            }
            if kind == "containerResource" {
                let at = format!("{path}.container");
                match is_empty(&source["container"]) {
                    true => out.push(FieldError::required(at, "must specify a container")),
                    false => named(&source["container"], names::label, &at, out),
                }
            }
        }
        _ => {
            let (name, at) = (&source["metric"]["name"], format!("{path}.metric.name"));
            match is_empty(name) {
                true => out.push(FieldError::required(at, "must specify a metric name")),
                false => named(name, names::path_segment, &at, out),
            }
        }
    }
    let path = format!("{path}.target");
    metric_target(target, &path, out);
    let mut need = |missing: bool, field: &str, why: &str| {
        if missing {
            out.push(FieldError::required(format!("{path}.{field}"), why));
        }
    };
    let either = !has("value") && !has("averageValue");
    match kind {
        "object" => need(either, "averageValue", "must set either a target value or averageValue"),
        "external" => {
            need(either, "averageValue", "must set either a target value for metric or a per-pod target");
            if has("value") && has("averageValue") {
                let why = "may not set both a target value for metric and a per-pod target";
                out.push(FieldError::forbidden(format!("{path}.value"), why));
            }
        }
        "pods" => need(!has("averageValue"), "averageValue", "must specify a positive target averageValue"),
        _ => {
            let neither = !has("averageUtilization") && !has("averageValue");
            let why = "must set either a target raw value or a target utilization";
            need(neither, "averageUtilization", why);
            if has("averageUtilization") && has("averageValue") {
                let why = "may not set both a target raw value and a target utilization";
                out.push(FieldError::forbidden(format!("{path}.averageValue"), why));
            }
        }
    }
}

fn metric_target(target: &Value, path: &str, out: &mut Vec<FieldError>) {
    let kind = text(&target["type"]);
    if kind.is_empty() {
        out.push(FieldError::required(format!("{path}.type"), "must specify a metric target type"));
    }
    if !matches!(kind, "Utilization" | "Value" | "AverageValue") {
        let why = "must be either Utilization, Value, or AverageValue";
        out.push(FieldError::invalid(format!("{path}.type"), kind, why));
    }
    for field in ["value", "averageValue"] {
        if quantity::nanos(text(&target[field])).is_some_and(|nanos| nanos <= 0) {
            out.push(FieldError::invalid(format!("{path}.{field}"), &target[field], "must be positive"));
        }
    }
    let utilization = &target["averageUtilization"];
    if utilization.as_i64().is_some_and(|percent| percent < 1) {
        let path = format!("{path}.averageUtilization");
        out.push(FieldError::invalid(path, utilization, "must be greater than 0"));
    }
}

fn scaling_rules(rules: &Value, path: &str, out: &mut Vec<FieldError>) {
    let window = &rules["stabilizationWindowSeconds"];
    let at = format!("{path}.stabilizationWindowSeconds");
    match window.as_i64() {
        Some(seconds) if seconds < 0 => {
            out.push(FieldError::invalid(at, window, "must be greater than or equal to zero"));
        }
        Some(seconds) if seconds > 3600 => {
            out.push(FieldError::invalid(at, window, "must be less than or equal to 3600"));
        }
        _ => {}
    }
    one_of(&rules["selectPolicy"], &["Disabled", "Max", "Min"], &format!("{path}.selectPolicy"), out);
    let policies = items(&rules["policies"]);
    if policies.is_empty() {
        out.push(FieldError::required(format!("{path}.policies"), "must specify at least one Policy"));
    }
    for (at, policy) in policies.iter().enumerate() {
        let path = format!("{path}.policies[{at}]");
        if !matches!(text(&policy["type"]), "Pods" | "Percent") {
            let known = ["Percent", "Pods"];
            out.push(FieldError::not_supported(format!("{path}.type"), text(&policy["type"]), &known));
        }
        for field in ["value", "periodSeconds"] {
            let number = policy[field].as_i64().unwrap_or(0);
            if number <= 0 {
                out.push(FieldError::invalid(
                    format!("{path}.{field}"),
                    &number,
                    "must be greater than zero",
                ));
            }
        }
        if policy["periodSeconds"].as_i64().is_some_and(|seconds| seconds > 1800) {
            let why = "must be less than or equal to 1800";
            out.push(FieldError::invalid(format!("{path}.periodSeconds"), &policy["periodSeconds"], why));
        }
    }
    quantity_not_negative(&rules["tolerance"], &format!("{path}.tolerance"), out);
}

/// The defaults of the rules for scaling, of which a part may be given.
pub(crate) fn default_rules(direction: &str) -> Value {
    match direction {
        "scaleUp" => json!({
            "stabilizationWindowSeconds": 0, "selectPolicy": "Max",
            "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}],
        }),
        _ => {
            json!({"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]})
        }
    }
}
