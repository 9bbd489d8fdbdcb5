//! Where pods may run: affinity, tolerations, spreading.

use serde_json::Value;

use crate::validate::FieldError;
use crate::validate::names;
use crate::validate::rules::{is_empty, items, label_selector, named, one_of, text};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// The affinity of a pod.
pub(super) fn affinity(affinity: &Value, path: &str, out: &mut Vec<FieldError>) {
    let node = &affinity["nodeAffinity"];
    let at = format!("{path}.nodeAffinity");
    if node[REQUIRED].is_object() {
        node_selector(&node[REQUIRED], &format!("{at}.{REQUIRED}"), out);
    }
    for (index, term) in items(&node[PREFERRED]).iter().enumerate() {
        let at = format!("{at}.{PREFERRED}[{index}]");
        weight(&term["weight"], &at, out);
        node_term(&term["preference"], false, &format!("{at}.preference"), out);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let at = format!("{path}.{kind}");
        for (index, term) in items(&affinity[kind][REQUIRED]).iter().enumerate() {
            pod_term(term, &format!("{at}.{REQUIRED}[{index}]"), out);
        }
        for (index, term) in items(&affinity[kind][PREFERRED]).iter().enumerate() {
            let at = format!("{at}.{PREFERRED}[{index}]");
            weight(&term["weight"], &at, out);
            pod_term(&term["podAffinityTerm"], &format!("{at}.podAffinityTerm"), out);
        }
    }
}

fn weight(value: &Value, path: &str, out: &mut Vec<FieldError>) {
    let weight = value.as_i64().unwrap_or(0);
    if !(1..=100).contains(&weight) {
        out.push(FieldError::invalid(format!("{path}.weight"), &weight, "must be in the range 1-100"));
    }
}

/// Terms that pick nodes, of which one must fit.
pub(in crate::validate) fn node_selector(selector: &Value, path: &str, out: &mut Vec<FieldError>) {
    let path = format!("{path}.nodeSelectorTerms");
    let terms = items(&selector["nodeSelectorTerms"]);
    if terms.is_empty() {
        out.push(FieldError::required(&path, "must have at least one node selector term"));
    }
    for (at, term) in terms.iter().enumerate() {
        node_term(term, true, &format!("{path}[{at}]"), out);
    }
}

fn node_term(term: &Value, has_strict_values: bool, path: &str, out: &mut Vec<FieldError>) {
    for (at, one) in items(&term["matchExpressions"]).iter().enumerate() {
        let path = format!("{path}.matchExpressions[{at}]");
        let values = items(&one["values"]);
        let at = format!("{path}.values");
        match text(&one["operator"]) {
            "In" | "NotIn" if values.is_empty() => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                out.push(FieldError::required(at, why));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                out.push(FieldError::forbidden(at, why));
            }
            "Gt" | "Lt" if values.len() != 1 => {
                let why = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                out.push(FieldError::required(at, why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => {
                let why = "not a valid selector operator";
                out.push(FieldError::invalid(format!("{path}.operator"), other, why));
            }
        }
        label_name(&one["key"], &format!("{path}.key"), out);
        for (at, value) in values.iter().enumerate().filter(|_| has_strict_values) {
            let problems = names::label_value(text(value)).into_iter();
            out.extend(problems.map(|why| FieldError::invalid(format!("{path}.values[{at}]"), value, why)));
        }
    }
    for (at, one) in items(&term["matchFields"]).iter().enumerate() {
        let path = format!("{path}.matchFields[{at}]");
        let values = items(&one["values"]);
        match text(&one["operator"]) {
            "In" | "NotIn" if values.len() != 1 => {
                let why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                out.push(FieldError::required(format!("{path}.values"), why));
            }
            "In" | "NotIn" => {}
            other => {
                let why = "not a valid selector operator";
                out.push(FieldError::invalid(format!("{path}.operator"), other, why));
            }
        }
        if one["key"] != "metadata.name" {
            let why = "not a valid field selector key";
            out.push(FieldError::invalid(format!("{path}.key"), text(&one["key"]), why));
        }
    }
}

/// A key of a label, where nothing is a bad key too.
fn label_name(value: &Value, path: &str, out: &mut Vec<FieldError>) {
    let key = text(value);
    out.extend(names::qualified(key).into_iter().map(|why| FieldError::invalid(path, key, why)));
}

fn pod_term(term: &Value, path: &str, out: &mut Vec<FieldError>) {
    for field in ["labelSelector", "namespaceSelector"] {
        label_selector(&term[field], &format!("{path}.{field}"), out);
    }
    for name in items(&term["namespaces"]) {
        let problems = names::label(text(name)).into_iter();
        out.extend(problems.map(|why| FieldError::invalid(format!("{path}.namespace"), name, why)));
    }
    let at = format!("{path}.topologyKey");
    if is_empty(&term["topologyKey"]) {
        out.push(FieldError::required(&at, "can not be empty"));
    }
    label_name(&term["topologyKey"], &at, out);
}

/// How pods spread over zones and the like.
pub(super) fn spread(constraints: &Value, path: &str, out: &mut Vec<FieldError>) {
    let all = items(constraints);
    for (at, one) in all.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let positive = |field: &str, out: &mut Vec<FieldError>| {
            let number = one[field].as_i64().unwrap_or(0);
            if number <= 0 {
                let why = "must be greater than zero";
                out.push(FieldError::invalid(format!("{path}.{field}"), &number, why));
            }
        };
        positive("maxSkew", out);
        if is_empty(&one["topologyKey"]) {
            out.push(FieldError::required(format!("{path}.topologyKey"), "can not be empty"));
        }
        let (otherwise, known) = (text(&one["whenUnsatisfiable"]), ["DoNotSchedule", "ScheduleAnyway"]);
        if !known.contains(&otherwise) {
            out.push(FieldError::not_supported(format!("{path}.whenUnsatisfiable"), otherwise, &known));
        }
        let key = |one: &Value| (one["topologyKey"].clone(), one["whenUnsatisfiable"].clone());
        if all[at + 1..].iter().any(|later| key(later) == key(one)) {
            let shown = format!("{{{}, {otherwise}}}", text(&one["topologyKey"]));
            out.push(FieldError::duplicate(format!("{path}.{{topologyKey, whenUnsatisfiable}}"), &shown));
        }
        if !one["minDomains"].is_null() {
            positive("minDomains", out);
            if otherwise != "DoNotSchedule" {
                let why =
                    format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {otherwise}");
                out.push(FieldError::invalid(format!("{path}.minDomains"), &one["minDomains"], why));
            }
        }
        for field in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            one_of(&one[field], &["Honor", "Ignore"], &format!("{path}.{field}"), out);
        }
        label_selector(&one["labelSelector"], &format!("{path}.labelSelector"), out);
    }
}

/// What a pod bears of a node.
pub(super) fn toleration(toleration: &Value, path: &str, out: &mut Vec<FieldError>) {
    let (key, operator, effect) =
        (&toleration["key"], text(&toleration["operator"]), text(&toleration["effect"]));
    let value = &toleration["value"];
    let at = format!("{path}.operator");
    if !is_empty(key) {
        named(key, names::qualified, &format!("{path}.key"), out);
    } else if operator != "Exists" {
        let why =
            "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        out.push(FieldError::invalid(&at, operator, why));
    }
    if !toleration["tolerationSeconds"].is_null() && effect != "NoExecute" {
        let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        out.push(FieldError::invalid(format!("{path}.effect"), effect, why));
    }
    match operator {
        "" | "Equal" => {
            let problems = names::label_value(text(value));
            if !problems.is_empty() {
                out.push(FieldError::invalid(at, text(value), problems.join(";")));
            }
        }
        "Exists" if !is_empty(value) => {
            let why = "value must be empty when `operator` is 'Exists'";
            out.push(FieldError::invalid(at, value, why));
        }
        "Exists" => {}
        "Lt" | "Gt" => {
            let known = ["Equal", "Exists", "Lt", "Gt"];
            out.push(FieldError::not_supported(at, operator, &known));
        }
        _ => out.push(FieldError::not_supported(at, operator, &["Equal", "Exists"])),
    }
    if !effect.is_empty() {
        let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        one_of(&toleration["effect"], &effects, &format!("{path}.effect"), out);
    }
}
