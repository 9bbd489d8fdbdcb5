//! Names and amounts of resources: of containers, in quotas, and in limits for a namespace.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::FieldError;
use super::rules::{items, quantity_not_negative, same, text};
use super::{names, quantity};

const COMPUTE: &[&str] = &["cpu", "ephemeral-storage", "memory"];
const STANDARD: &[&str] = &[
    "configmaps",
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
    "storage",
];
/// What is counted in whole numbers.
const COUNTED: &[&str] = &[
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];
const SCOPES: &[&str] = &[
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];

fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// Whether a resource is one of Kubernetes' own.
fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && names::qualified(&format!("requests.{name}")).is_empty()
}

fn is_whole(name: &str) -> bool {
    COUNTED.contains(&name) || is_extended(name)
}

fn resource_name(name: &str, path: &str, out: &mut Vec<FieldError>) {
    let problems = names::qualified(name);
    if problems.is_empty() {
        let is_known =
            STANDARD.contains(&name) || is_huge_page(name) || name.starts_with("requests.hugepages-");
        if !name.contains('/') && !is_known {
            let why = "must be a standard resource type or fully qualified";
            out.push(FieldError::invalid(path, name, why));
        }
        return;
    }
    out.extend(problems.into_iter().map(|why| FieldError::invalid(path, name, why)));
}

/// The name of a resource that a container can ask for.
pub(super) fn container_resource(name: &str, path: &str, out: &mut Vec<FieldError>) {
    resource_name(name, path, out);
    if !name.contains('/') {
        if !COMPUTE.contains(&name) && !is_huge_page(name) {
            out.push(FieldError::invalid(path, name, "must be a standard resource for containers"));
        }
    } else if !is_native(name) && !is_extended(name) {
        out.push(FieldError::invalid(path, name, "doesn't follow extended resource name standard"));
    }
}

/// An amount of a resource.
fn amount(name: &str, value: &Value, path: &str, out: &mut Vec<FieldError>) {
    quantity_not_negative(value, path, out);
    if is_whole(name) && !quantity::is_whole(text(value)) {
        out.push(FieldError::invalid(path, value, "must be an integer"));
    }
}

fn nanos(value: &Value) -> i128 {
    quantity::nanos(text(value)).unwrap_or(0)
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// What a container asks for and may have.
pub(super) fn requirements(resources: &Value, path: &str, out: &mut Vec<FieldError>) {
    let (limits, requests) = (&resources["limits"], &resources["requests"]);
    let (mut has_compute, mut has_huge) = (false, false);
    let mut note = |name: &str| {
        has_huge |= is_huge_page(name);
        has_compute |= matches!(name, "cpu" | "memory");
    };
    for (name, value) in entries(limits) {
        let path = format!("{path}.limits[{name}]");
        container_resource(name, &path, out);
        amount(name, value, &path, out);
        note(name);
    }
    let must_match = |name: &str| !is_native(name) || is_huge_page(name);
    for (name, value) in entries(requests) {
        let at = format!("{path}.requests[{name}]");
        container_resource(name, &at, out);
        amount(name, value, &at, out);
        note(name);
        let Some(limit) = limits.get(name) else {
            if must_match(name) {
                let why = "Limit must be set for non overcommitable resources";
                out.push(FieldError::required(format!("{path}.limits"), why));
            }
            continue;
        };
        let (wanted, most) = (text(value), text(limit));
        if nanos(value) != nanos(limit) && must_match(name) {
            let why = format!("must be equal to {name} limit of {most}");
            out.push(FieldError::invalid(format!("{path}.requests"), wanted, why));
        } else if nanos(value) > nanos(limit) {
            let why = format!("must be less than or equal to {name} limit of {most}");
            out.push(FieldError::invalid(format!("{path}.requests"), wanted, why));
        }
    }
    if has_huge && !has_compute {
        out.push(FieldError::forbidden(path, "HugePages require cpu or memory"));
    }
}

/// A ResourceQuota.
pub(super) fn quota(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    for (name, value) in entries(&spec["hard"]) {
        let path = format!("spec.hard[{name}]");
        resource_name(name, &path, out);
        let is_known = (STANDARD.contains(&name.as_str()) && name != "storage")
            || is_huge_page(name)
            || name.starts_with("requests.hugepages-");
        if !name.contains('/') && !is_known {
            let why = "must be a standard resource for quota";
            out.push(FieldError::invalid(&path, name, why));
        }
        amount(name, value, &path, out);
    }
    let scopes: Vec<&str> = items(&spec["scopes"]).iter().map(text).collect();
    let mut refuse = |why: &str| out.push(FieldError::invalid("spec.scopes", &spec["scopes"], why));
    for scope in &scopes {
        if !SCOPES.contains(scope) {
            refuse("unsupported scope");
        }
        for (name, _) in entries(&spec["hard"]).filter(|(name, _)| !is_scoped(scope, name)) {
            if STANDARD.contains(&name.as_str()) {
                refuse("unsupported scope applied to resource");
            }
        }
    }
    for (one, other) in [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")] {
        if scopes.contains(&one) && scopes.contains(&other) {
            refuse("conflicting scopes");
        }
    }
    scope_selector(spec, out);
    if old.is_some_and(|old| !same(&old["spec"]["scopes"], &spec["scopes"])) {
        out.push(FieldError::invalid("spec.scopes", &spec["scopes"], super::rules::IMMUTABLE));
    }
}

/// Whether a scope has something to say of a resource.
fn is_scoped(scope: &str, resource: &str) -> bool {
    let of_pods = ["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];
    match scope {
        "BestEffort" => resource == "pods",
        "VolumeAttributesClass" => matches!(resource, "persistentvolumeclaims" | "requests.storage"),
        _ if SCOPES.contains(&scope) => resource == "pods" || of_pods.contains(&resource),
        _ => true,
    }
}

fn scope_selector(spec: &Value, out: &mut Vec<FieldError>) {
    let path = "spec.scopeSelector.matchExpressions";
    for one in items(&spec["scopeSelector"]["matchExpressions"]) {
        let (scope, operator, values) = (&one["scopeName"], &one["operator"], items(&one["values"]));
        if !SCOPES.contains(&text(scope)) {
            out.push(FieldError::invalid(format!("{path}.scopeName"), scope, "unsupported scope"));
        }
        if !matches!(text(scope), "PriorityClass" | "VolumeAttributesClass") && operator != "Exists" {
            let why = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, \
                       ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, \
                       ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
            out.push(FieldError::invalid(format!("{path}.operator"), operator, why));
        }
        match text(operator) {
            "In" | "NotIn" if values.is_empty() => {
                let why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
                out.push(FieldError::required(format!("{path}.values"), why));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                out.push(FieldError::invalid(format!("{path}.values"), &one["values"], why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => {
                let why = "not a valid selector operator";
                out.push(FieldError::invalid(format!("{path}.operator"), operator, why));
            }
        }
    }
}

/// A LimitRange.
pub(super) fn limits(object: &Value, out: &mut Vec<FieldError>) {
    let all = items(&object["spec"]["limits"]);
    for (at, limit) in all.iter().enumerate() {
        let path = format!("spec.limits[{at}]");
        let kind = text(&limit["type"]);
        let problems = names::qualified(kind);
        if problems.is_empty()
            && !kind.contains('/')
            && !["Container", "PersistentVolumeClaim", "Pod"].contains(&kind)
        {
            let why = "must be a standard limit type or fully qualified";
            out.push(FieldError::invalid(format!("{path}.type"), kind, why));
        }
        out.extend(problems.into_iter().map(|why| FieldError::invalid(format!("{path}.type"), kind, why)));
        if all[..at].iter().any(|before| before["type"] == limit["type"]) {
            out.push(FieldError::duplicate(format!("{path}.type"), kind));
        }
        limit_item(limit, kind, &path, out);
    }
}

fn limit_item(limit: &Value, kind: &str, path: &str, out: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for field in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
        if kind == "Pod" && field.starts_with("default") {
            if limit[field].as_object().is_some_and(|map| !map.is_empty()) {
                let why = "may not be specified when `type` is 'Pod'";
                out.push(FieldError::forbidden(format!("{path}.{field}"), why));
            }
            continue;
        }
        if field == "maxLimitRequestRatio" {
            storage_bounds(limit, kind, path, out);
        }
        for (name, _) in entries(&limit[field]) {
            let path = format!("{path}.{field}[{name}]");
            match kind {
                "Pod" | "Container" => container_resource(name, &path, out),
                _ => resource_name(name, &path, out),
            }
            seen.insert(name.as_str());
        }
    }
    for name in seen {
        bounds(limit, name, path, out);
    }
}

fn storage_bounds(limit: &Value, kind: &str, path: &str, out: &mut Vec<FieldError>) {
    let has = |field: &str| !limit[field]["storage"].is_null();
    if kind == "PersistentVolumeClaim" && !has("min") && !has("max") {
        let why = "either minimum or maximum storage value is required, but neither was provided";
        out.push(FieldError::required(format!("{path}.limits"), why));
    }
}

/// The limits of one resource are in order: the least, what is asked for by default, what is given, the most.
fn bounds(limit: &Value, name: &str, path: &str, out: &mut Vec<FieldError>) {
    // Smaller, its words, larger, its words; the field that is blamed, and the value that is shown.
    const ORDER: [(&str, &str, &str, &str, &str, &str); 6] = [
        ("min", "min value", "max", "max value", "min", "min"),
        ("min", "min value", "defaultRequest", "default request value", "defaultRequest", "defaultRequest"),
        ("defaultRequest", "default request value", "max", "max value", "defaultRequest", "defaultRequest"),
        (
            "defaultRequest",
            "default request value",
            "default",
            "default limit value",
            "defaultRequest",
            "defaultRequest",
        ),
        ("min", "min value", "default", "default value", "default", "min"),
        ("default", "default value", "max", "max value", "default", "max"),
    ];
    let empty = Map::new();
    let of = |field: &str| limit[field].as_object().unwrap_or(&empty).get(name);
    for (less, less_words, more, more_words, blamed, shown) in ORDER {
        if let (Some(small), Some(large), Some(value)) = (of(less), of(more), of(shown))
            && nanos(small) > nanos(large)
        {
            let why = format!("{less_words} {} is greater than {more_words} {}", text(small), text(large));
            out.push(FieldError::invalid(format!("{path}.{blamed}[{name}]"), value, why));
        }
    }
    if let Some(ratio) = of("maxLimitRequestRatio") {
        let path = format!("{path}.maxLimitRequestRatio[{name}]");
        if nanos(ratio) < 1_000_000_000 {
            out.push(FieldError::invalid(&path, ratio, format!("ratio {} is less than 1", text(ratio))));
        }
        if let (Some(least), Some(most)) = (of("min"), of("max"))
            && nanos(least) > 0
        {
            let limit = nanos(most) as f64 / nanos(least) as f64;
            if nanos(ratio) as f64 / 1e9 > limit {
                let why = format!("ratio {} is greater than max/min = {limit:.6}", text(ratio));
                out.push(FieldError::invalid(path, ratio, why));
            }
        }
    }
    if let (Some(given), Some(asked)) = (of("default"), of("defaultRequest"))
        && (!is_native(name) || is_huge_page(name))
        && nanos(given) != nanos(asked)
    {
        let why = format!(
            "default value {} must equal to defaultRequest value {} in {name}",
            text(given),
            text(asked)
        );
        out.push(FieldError::invalid(format!("{path}.defaultRequest[{name}]"), asked, why));
    }
}
