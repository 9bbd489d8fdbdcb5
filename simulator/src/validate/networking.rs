//! Ingresses, their classes, and network policies.

use serde_json::{Value, json};

use super::FieldError;
use super::names;
use super::rules::{
    in_range, is_empty, items, label_selector, named, one_of, optional, port, required, required_one_of, text,
};

/// An Ingress.
pub(super) fn ingress(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    if is_empty(&spec["rules"]) && spec["defaultBackend"].is_null() {
        let why = "either `defaultBackend` or `rules` must be specified";
        out.push(FieldError::invalid("spec", &Value::Null, why));
    }
    if spec["defaultBackend"].is_object() {
        backend(&spec["defaultBackend"], "spec.defaultBackend", out);
    }
    for (at, rule) in items(&spec["rules"]).iter().enumerate() {
        let path = format!("spec.rules[{at}]");
        let host = text(&rule["host"]);
        if host.parse::<std::net::IpAddr>().is_ok() {
            let why = "must be a DNS name, not an IP address";
            out.push(FieldError::invalid(format!("{path}.host"), host, why));
        }
        optional(&rule["host"], names::host, &format!("{path}.host"), out);
        if rule["http"].is_object() {
            required(&rule["http"]["paths"], format!("{path}.http.paths"), out);
            for (at, one) in items(&rule["http"]["paths"]).iter().enumerate() {
                http_path(one, &format!("{path}.http.paths[{at}]"), out);
            }
        }
    }
    for (at, tls) in items(&spec["tls"]).iter().enumerate() {
        let path = format!("spec.tls[{at}]");
        for (at, host) in items(&tls["hosts"]).iter().enumerate() {
            named_text(host, names::host, &format!("{path}.hosts[{at}]"), out);
        }
        optional(&tls["secretName"], names::subdomain, &format!("{path}.secretName"), out);
    }
    if let Some(class) = spec["ingressClassName"].as_str() {
        let path = "spec.ingressClassName";
        out.extend(names::subdomain(class).into_iter().map(|why| FieldError::invalid(path, class, why)));
        let annotation = &object["metadata"]["annotations"]["kubernetes.io/ingress.class"];
        if old.is_none() && annotation.as_str().is_some_and(|annotation| annotation != class) {
            let path = "annotations.kubernetes.io/ingress.class";
            let why = "must match `ingressClassName` when both are specified";
            out.push(FieldError::invalid(path, annotation, why));
        }
    }
}

/// A text of a grammar, where nothing is a text too.
fn named_text(value: &Value, rule: fn(&str) -> Vec<String>, path: &str, out: &mut Vec<FieldError>) {
    out.extend(rule(text(value)).into_iter().map(|why| FieldError::invalid(path, text(value), why)));
}

fn http_path(one: &Value, path: &str, out: &mut Vec<FieldError>) {
    let place = text(&one["path"]);
    let at = format!("{path}.path");
    match one["pathType"].as_str() {
        None => {
            out.push(FieldError::required(format!("{path}.pathType"), "pathType must be specified"));
            return;
        }
        Some("Exact" | "Prefix") => {
            if !place.starts_with('/') {
                out.push(FieldError::invalid(&at, place, "must be an absolute path"));
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"].into_iter().filter(|part| place.contains(part)) {
                out.push(FieldError::invalid(&at, place, format!("must not contain '{part}'")));
            }
            for end in ["/..", "/."].into_iter().filter(|end| place.ends_with(end)) {
                out.push(FieldError::invalid(&at, place, format!("cannot end with '{end}'")));
            }
        }
        Some("ImplementationSpecific") => {
            if !place.is_empty() && !place.starts_with('/') {
                out.push(FieldError::invalid(&at, place, "must be an absolute path"));
            }
        }
        Some(other) => {
            let known = ["Exact", "ImplementationSpecific", "Prefix"];
            out.push(FieldError::not_supported(format!("{path}.pathType"), other, &known));
        }
    }
    backend(&one["backend"], &format!("{path}.backend"), out);
}

fn backend(backend: &Value, path: &str, out: &mut Vec<FieldError>) {
    let (service, resource) = (&backend["service"], &backend["resource"]);
    match (service.is_object(), resource.is_object()) {
        (true, true) => {
            out.push(FieldError::invalid(path, "", "cannot set both resource and service backends"));
        }
        (false, true) => reference(resource, &format!("{path}.resource"), out),
        (true, false) => {
            named(&service["name"], names::label, &format!("{path}.service.name"), out);
            let (name, number) = (&service["port"]["name"], &service["port"]["number"]);
            match (is_empty(name), is_empty(number)) {
                (false, false) => {
                    out.push(FieldError::invalid(path, "", "cannot set both port name & port number"));
                }
                (false, true) => named(name, names::port_name, &format!("{path}.service.port.name"), out),
                (true, false) => in_range(number, 1, 65_535, &format!("{path}.service.port.number"), out),
                (true, true) => out.push(FieldError::required(path, "port name or number is required")),
            }
        }
        (false, false) => {
            out.push(FieldError::invalid(path, "", "resource or service backend is required"));
        }
    }
}

/// A reference by group, kind and name.
fn reference(reference: &Value, path: &str, out: &mut Vec<FieldError>) {
    if let Some(group) = reference["apiGroup"].as_str() {
        let path = format!("{path}.apiGroup");
        out.extend(names::subdomain(group).into_iter().map(|why| FieldError::invalid(&path, group, why)));
    }
    for field in ["kind", "name"] {
        named(&reference[field], names::path_segment, &format!("{path}.{field}"), out);
    }
}

/// An IngressClass.
pub(super) fn ingress_class(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let (spec, path) = (&object["spec"], "spec.controller");
    let controller = text(&spec["controller"]);
    if old.is_some_and(|old| old["spec"]["controller"] != spec["controller"]) {
        out.push(FieldError::invalid(path, controller, super::rules::IMMUTABLE));
    }
    if controller.len() > 250 {
        out.push(FieldError::too_long(path, 250));
    }
    domain_prefixed(controller, path, out);
    let parameters = &spec["parameters"];
    if !parameters.is_object() {
        return;
    }
    let path = "spec.parameters";
    reference(parameters, path, out);
    let namespace = &parameters["namespace"];
    let at = format!("{path}.namespace");
    required_one_of(&parameters["scope"], &["Cluster", "Namespace"], &format!("{path}.scope"), out);
    match text(&parameters["scope"]) {
        "Namespace" if namespace.is_null() => {
            out.push(FieldError::required(at, "`parameters.scope` is set to 'Namespace'"));
        }
        "Namespace" => named_text(namespace, names::label, &at, out),
        "Cluster" if !namespace.is_null() => {
            out.push(FieldError::forbidden(at, "`parameters.scope` is set to 'Cluster'"));
        }
        _ => {}
    }
}

/// `acme.io/foo`.
pub(super) fn domain_prefixed(value: &str, path: &str, out: &mut Vec<FieldError>) {
    let is_path = |c: u8| c.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&c);
    match value.split_once('/') {
        _ if value.is_empty() => out.push(FieldError::required(path, "")),
        Some((domain, rest)) if !domain.is_empty() && !rest.is_empty() => {
            out.extend(
                names::subdomain(domain).into_iter().map(|why| FieldError::invalid(path, domain, why)),
            );
            if !rest.bytes().all(is_path) {
                let why = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
                out.push(FieldError::invalid(path, rest, why));
            }
        }
        _ => {
            let why = "must be a domain-prefixed path (such as \"acme.io/foo\")";
            out.push(FieldError::invalid(path, value, why));
        }
    }
}

/// A NetworkPolicy.
pub(super) fn policy(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let known = old.map(|old| prefixes(&old["spec"])).unwrap_or_default();
    label_selector(&spec["podSelector"], "spec.podSelector", out);
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for (at, rule) in items(&spec[direction]).iter().enumerate() {
            let path = format!("spec.{direction}[{at}]");
            for (at, one) in items(&rule["ports"]).iter().enumerate() {
                policy_port(one, &format!("{path}.ports[{at}]"), out);
            }
            for (at, one) in items(&rule[peers]).iter().enumerate() {
                peer(one, &known, &format!("{path}.{peers}[{at}]"), out);
            }
        }
    }
    let types = items(&spec["policyTypes"]);
    if types.len() > 2 {
        let why = "may not specify more than two policyTypes";
        out.push(FieldError::invalid("spec.policyTypes", &spec["policyTypes"], why));
        return;
    }
    for (at, kind) in types.iter().enumerate() {
        one_of(kind, &["Ingress", "Egress"], &format!("spec.policyTypes[{at}]"), out);
    }
}

fn policy_port(one: &Value, path: &str, out: &mut Vec<FieldError>) {
    one_of(&one["protocol"], &["TCP", "UDP", "SCTP"], &format!("{path}.protocol"), out);
    let end = &one["endPort"];
    let at = format!("{path}.endPort");
    if one["port"].is_null() {
        if !end.is_null() {
            out.push(FieldError::invalid(at, end, "may not be specified when `port` is not specified"));
        }
        return;
    }
    let first = one["port"].as_i64();
    if first.is_none() && !end.is_null() {
        out.push(FieldError::invalid(&at, end, "may not be specified when `port` is non-numeric"));
    }
    port(&one["port"], &format!("{path}.port"), out);
    if let (Some(first), Some(last)) = (first, end.as_i64()) {
        if last < first {
            out.push(FieldError::invalid(&at, &first, "must be greater than or equal to `port`"));
        }
        in_range(end, 1, 65_535, &at, out);
    }
}

fn peer(one: &Value, known: &[&str], path: &str, out: &mut Vec<FieldError>) {
    let selectors = ["podSelector", "namespaceSelector"];
    for field in selectors.into_iter().filter(|field| one[*field].is_object()) {
        label_selector(&one[field], &format!("{path}.{field}"), out);
    }
    let has_selector = selectors.iter().any(|field| one[*field].is_object());
    let block = &one["ipBlock"];
    if block.is_object() {
        ip_block(block, known, &format!("{path}.ipBlock"), out);
    }
    if !has_selector && !block.is_object() {
        out.push(FieldError::required(path, "must specify a peer"));
    } else if has_selector && block.is_object() {
        out.push(FieldError::forbidden(path, "may not specify both ipBlock and another peer"));
    }
}

fn ip_block(block: &Value, known: &[&str], path: &str, out: &mut Vec<FieldError>) {
    let check = |value: &Value, path: &str, out: &mut Vec<FieldError>| {
        if !known.contains(&text(value)) {
            named_text(value, names::cidr, path, out);
        }
    };
    if is_empty(&block["cidr"]) {
        out.push(FieldError::required(format!("{path}.cidr"), ""));
        return;
    }
    check(&block["cidr"], &format!("{path}.cidr"), out);
    let Some((around, length)) = names::prefix(text(&block["cidr"])) else { return };
    for (at, except) in items(&block["except"]).iter().enumerate() {
        let path = format!("{path}.except[{at}]");
        check(except, &path, out);
        let Some((inner, inner_length)) = names::prefix(text(except)) else { continue };
        let within = inner.is_ipv4() == around.is_ipv4()
            && length < inner_length
            && names::network(inner, length) == names::network(around, length);
        if !within {
            out.push(FieldError::invalid(path, except, "must be a strict subset of `cidr`"));
        }
    }
}

/// The prefixes that a policy had: they may stay even where newer rules refuse them.
fn prefixes(spec: &Value) -> Vec<&str> {
    let rules = items(&spec["ingress"]).iter().chain(items(&spec["egress"]));
    let peers = rules.flat_map(|rule| items(&rule["from"]).iter().chain(items(&rule["to"])));
    let blocks = peers.map(|peer| &peer["ipBlock"]);
    blocks
        .flat_map(|block| std::iter::once(&block["cidr"]).chain(items(&block["except"])))
        .filter_map(Value::as_str)
        .collect()
}

/// What a policy is about when it does not say: traffic in, and out where there are rules for it.
pub(crate) fn policy_types(spec: &Value) -> Value {
    if is_empty(&spec["egress"]) { json!(["Ingress"]) } else { json!(["Ingress", "Egress"]) }
}
