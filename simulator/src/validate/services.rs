//! Services, apart from what only the allocator of addresses and ports knows.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::FieldError;
use super::error::Struct;
use super::rules::{
    IMMUTABLE, PROTOCOLS, in_range, is_empty, items, named, one_of, port, required_one_of, text,
};
use super::{meta, names};

const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const MODE: &str = "service.kubernetes.io/topology-mode";
const RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

/// A Service.
pub(super) fn service(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    if let Some(old) = old {
        changes(&old["spec"], spec, out);
    }
    let annotations = &object["metadata"]["annotations"];
    if let (Some(hints), Some(mode)) = (annotations[HINTS].as_str(), annotations[MODE].as_str())
        && hints != mode
    {
        let why = format!("must match annotations[{HINTS}] when both are specified");
        out.push(FieldError::invalid(format!("metadata.annotations[{MODE}]"), mode, why));
    }
    let (kind, ports) = (text(&spec["type"]), items(&spec["ports"]));
    if ports.is_empty() && !is_headless(spec) && kind != "ExternalName" {
        out.push(FieldError::required("spec.ports", ""));
    }
    match kind {
        "NodePort" | "LoadBalancer" if is_headless(spec) => {
            let why = format!("may not be set to 'None' for {kind} services");
            out.push(FieldError::invalid("spec.clusterIPs[0]", "None", why));
        }
        "ExternalName" => external_name(spec, out),
        _ => {}
    }
    let mut seen = Vec::new();
    for (at, one) in ports.iter().enumerate() {
        service_port(one, ports.len() > 1, &mut seen, &format!("spec.ports[{at}]"), out);
    }
    out.extend(meta::labels(&spec["selector"], "spec.selector"));
    affinity(spec, out);
    if kind != "ExternalName" {
        addresses(spec, old, out);
    }
    let known = old.map(|old| items(&old["spec"]["externalIPs"])).unwrap_or_default();
    for (at, address) in items(&spec["externalIPs"]).iter().enumerate() {
        let path = format!("spec.externalIPs[{at}]");
        if !known.contains(address) && ip(address, &path, out) {
            endpoint_ip(address, &path, out);
        }
    }
    let kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    required_one_of(&spec["type"], &kinds, "spec.type", out);
    distinct_ports(kind, ports, out);
    source_ranges(object, old, out);
    let allocates = &spec["allocateLoadBalancerNodePorts"];
    if !allocates.is_null() && kind != "LoadBalancer" {
        let why = "may only be used when `type` is 'LoadBalancer'";
        out.push(FieldError::forbidden("spec.allocateLoadBalancerNodePorts", why));
    }
    let class = &spec["loadBalancerClass"];
    match (kind, class.as_str()) {
        ("LoadBalancer", Some(_)) => named(class, names::qualified, "spec.loadBalancerClass", out),
        (_, Some(_)) => {
            let why = "may only be used when `type` is 'LoadBalancer'";
            out.push(FieldError::forbidden("spec.loadBalancerClass", why));
        }
        _ => {}
    }
    traffic(spec, out);
}

fn is_headless(spec: &Value) -> bool {
    spec["clusterIP"] == "None" || items(&spec["clusterIPs"]) == [json!("None")]
}

fn external_name(spec: &Value, out: &mut Vec<FieldError>) {
    for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if !is_empty(&spec[field]) {
            out.push(FieldError::forbidden(
                format!("spec.{field}"),
                "may not be set for ExternalName services",
            ));
        }
    }
    let name = text(&spec["externalName"]);
    let name = name.strip_suffix('.').unwrap_or(name);
    named(&json!(name), names::subdomain, "spec.externalName", out);
}

fn service_port<'a>(
    one: &'a Value,
    must_have_name: bool,
    seen: &mut Vec<&'a Value>,
    path: &str,
    out: &mut Vec<FieldError>,
) {
    let name = &one["name"];
    if is_empty(name) {
        if must_have_name {
            out.push(FieldError::required(format!("{path}.name"), ""));
        }
    } else {
        named(name, names::label, &format!("{path}.name"), out);
        if seen.contains(&name) {
            out.push(FieldError::duplicate(format!("{path}.name"), name));
        }
        seen.push(name);
    }
    let number = one.get("port").cloned().unwrap_or_else(|| 0.into());
    in_range(&number, 1, 65_535, &format!("{path}.port"), out);
    required_one_of(&one["protocol"], PROTOCOLS, &format!("{path}.protocol"), out);
    let target = Some(&one["targetPort"]).filter(|port| !is_empty(port)).unwrap_or(&number);
    port(target, &format!("{path}.targetPort"), out);
    if one["appProtocol"].is_string() {
        qualified_text(&one["appProtocol"], &format!("{path}.appProtocol"), out);
    }
}

fn qualified_text(value: &Value, path: &str, out: &mut Vec<FieldError>) {
    out.extend(names::qualified(text(value)).into_iter().map(|why| FieldError::invalid(path, value, why)));
}

fn affinity(spec: &Value, out: &mut Vec<FieldError>) {
    let (kind, config) = (&spec["sessionAffinity"], &spec["sessionAffinityConfig"]);
    required_one_of(kind, &["ClientIP", "None"], "spec.sessionAffinity", out);
    let path = "spec.sessionAffinityConfig";
    match text(kind) {
        "None" if !config.is_null() => {
            out.push(FieldError::forbidden(path, "must not be set when session affinity is None"));
        }
        "ClientIP" => {
            let (seconds, path) =
                (&config["clientIP"]["timeoutSeconds"], format!("{path}.clientIP.timeoutSeconds"));
            if seconds.as_i64().is_some_and(|seconds| !(1..=86_400).contains(&seconds)) {
                let why = "must be greater than 0 and less than 86400";
                out.push(FieldError::invalid(path, seconds, why));
            }
        }
        _ => {}
    }
}

/// Cluster addresses and their families.
fn addresses(spec: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let (path, all) = ("spec.clusterIPs", &spec["clusterIPs"]);
    let list = items(all);
    match (text(&spec["clusterIP"]), list.first()) {
        ("", None) => {}
        ("", Some(_)) => {
            out.push(FieldError::invalid(path, all, "must be empty when `clusterIP` is not specified"));
        }
        (_, None) => out.push(FieldError::required(path, "")),
        (one, Some(first)) if first != one => {
            out.push(FieldError::invalid(path, all, "first value must match `clusterIP`"));
        }
        _ => {}
    }
    let families = items(&spec["ipFamilies"]);
    for (at, family) in families.iter().enumerate() {
        let path = format!("spec.ipFamilies[{at}]");
        one_of(family, &["IPv4", "IPv6"], &path, out);
        if families[..at].contains(family) {
            out.push(FieldError::duplicate(path, family));
        }
    }
    let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    one_of(&spec["ipFamilyPolicy"], &policies, "spec.ipFamilyPolicy", out);
    let known = old.map(|old| items(&old["spec"]["clusterIPs"])).unwrap_or_default();
    let mut is_good = true;
    for (at, address) in list.iter().enumerate() {
        if at == 0 && address == "None" {
            if list.len() > 1 {
                is_good = false;
                out.push(FieldError::invalid(path, all, "'None' must be the first and only value"));
            }
        } else if !known.contains(address) {
            is_good &= ip(address, &format!("{path}[{at}]"), out);
        }
    }
    if list.len() > 2 {
        out.push(FieldError::invalid(path, all, "may only hold up to 2 values"));
    }
    let is_v6 = |address: &Value| text(address).contains(':');
    if is_good && list.len() == 2 && list.iter().all(is_v6) == list.iter().any(is_v6) {
        let why = "may specify no more than one IP for each IP family";
        out.push(FieldError::invalid(path, all, why));
    }
    if !is_good || is_headless(spec) {
        return;
    }
    for (at, (address, family)) in list.iter().zip(families).enumerate() {
        let wanted = text(family);
        if (wanted == "IPv6") != is_v6(address) && matches!(wanted, "IPv4" | "IPv6") {
            let why = format!("expected an {wanted} value as indicated by `ipFamilies[{at}]`");
            out.push(FieldError::invalid(format!("{path}[{at}]"), address, why));
        }
    }
}

fn ip(value: &Value, path: &str, out: &mut Vec<FieldError>) -> bool {
    let before = out.len();
    out.extend(names::ip(text(value)).into_iter().map(|why| FieldError::invalid(path, value, why)));
    out.len() == before
}

/// Addresses that no other machine can be reached by.
pub(super) fn endpoint_ip(value: &Value, path: &str, out: &mut Vec<FieldError>) {
    let Ok(address) = text(value).parse::<IpAddr>() else {
        out.push(FieldError::invalid(path, value, "must be a valid IP address"));
        return;
    };
    let (local, local_multicast) = match address {
        IpAddr::V4(address) => (address.is_link_local(), address.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(address) => (address.is_unicast_link_local(), address.segments()[0] & 0xFF0F == 0xFF02),
    };
    let mut refuse = |breaks: bool, why: String| {
        if breaks {
            out.push(FieldError::invalid(path, value, why));
        }
    };
    refuse(address.is_unspecified(), format!("may not be unspecified ({address})"));
    refuse(address.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)".into());
    refuse(local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)".into());
    refuse(local_multicast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".into());
}

fn distinct_ports(kind: &str, ports: &[Value], out: &mut Vec<FieldError>) {
    let path = |at: usize| format!("spec.ports[{at}]");
    if kind == "ClusterIP" {
        for (at, _) in ports.iter().enumerate().filter(|(_, one)| !is_empty(&one["nodePort"])) {
            let why = "may not be used when `type` is 'ClusterIP'";
            out.push(FieldError::forbidden(path(at) + ".nodePort", why));
        }
    }
    let key = |one: &Value| (one["protocol"].clone(), one["port"].clone());
    for (at, one) in ports.iter().enumerate() {
        if ports[..at].iter().any(|before| key(before) == key(one)) {
            let shown = json!({"protocol": one["protocol"], "port": one["port"]});
            out.push(FieldError::duplicate(path(at), &Struct("ServicePort", &shown)));
        }
    }
}

fn source_ranges(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let only = "may only be used when `type` is 'LoadBalancer'";
    let check = |text: &str, path: String, out: &mut Vec<FieldError>| {
        out.extend(names::cidr(text).into_iter().map(|why| FieldError::invalid(&path, text, why)));
    };
    let ranges = items(&spec["loadBalancerSourceRanges"]);
    if !ranges.is_empty() {
        let path = "spec.LoadBalancerSourceRanges";
        if spec["type"] != "LoadBalancer" {
            out.push(FieldError::forbidden(path, only));
        }
        let known = old.map(|old| items(&old["spec"]["loadBalancerSourceRanges"])).unwrap_or_default();
        for (at, range) in ranges.iter().enumerate().filter(|(_, range)| !known.contains(range)) {
            check(text(range).trim(), format!("{path}[{at}]"), out);
        }
    } else if let Some(list) = object["metadata"]["annotations"][RANGES].as_str() {
        let path = format!("metadata.annotations[{RANGES}]");
        if spec["type"] != "LoadBalancer" {
            out.push(FieldError::forbidden(&path, only));
        }
        let is_new = old.is_none_or(|old| old["metadata"]["annotations"][RANGES] != list);
        for range in list.split(',').filter(|_| is_new && !list.trim().is_empty()) {
            check(range.trim(), path.clone(), out);
        }
    }
}

/// Whether traffic from outside reaches the Service.
pub(crate) fn is_external(spec: &Value) -> bool {
    matches!(text(&spec["type"]), "LoadBalancer" | "NodePort")
        || (spec["type"] == "ClusterIP" && !is_empty(&spec["externalIPs"]))
}

/// Whether a load balancer asks nodes for their health.
pub(crate) fn needs_health_port(spec: &Value) -> bool {
    spec["type"] == "LoadBalancer" && spec["externalTrafficPolicy"] == "Local"
}

fn traffic(spec: &Value, out: &mut Vec<FieldError>) {
    let (policy, path) = (&spec["externalTrafficPolicy"], "spec.externalTrafficPolicy");
    if is_external(spec) {
        required_one_of(policy, &["Cluster", "Local"], path, out);
    } else if !is_empty(policy) {
        out.push(FieldError::invalid(path, policy, "may only be set for externally-accessible services"));
    }
    let (health, path) = (&spec["healthCheckNodePort"], "spec.healthCheckNodePort");
    if needs_health_port(spec) {
        in_range(health, 1, 65_535, path, out);
    } else if !is_empty(health) {
        let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        out.push(FieldError::invalid(path, health, why));
    }
    one_of(&spec["internalTrafficPolicy"], &["Cluster", "Local"], "spec.internalTrafficPolicy", out);
    let spread = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    one_of(&spec["trafficDistribution"], &spread, "spec.trafficDistribution", out);
}

/// What an update may not do to the addresses of a Service.
fn changes(old: &Value, new: &Value, out: &mut Vec<FieldError>) {
    let is_name = |spec: &Value| spec["type"] == "ExternalName";
    if !is_name(old) && !is_name(new) {
        let headless = (is_headless(old), is_headless(new));
        if headless != (true, true) {
            kept("clusterIPs", "clusterIP", old, new, out);
        }
        if headless == (false, false) {
            kept("ipFamilies", "ipFamily", old, new, out);
        }
    }
    let balances = |spec: &Value| spec["type"] == "LoadBalancer";
    let class = "loadBalancerClass";
    if balances(old) && balances(new) && old[class] != new[class] {
        out.push(FieldError::invalid("spec.loadBalancerClass", &new[class], "may not change once set"));
    }
    let health = "healthCheckNodePort";
    if needs_health_port(old) && needs_health_port(new) && old[health] != new[health] {
        out.push(FieldError::forbidden("spec.healthCheckNodePort", IMMUTABLE));
    }
}

/// The first of a list stays; the second may come and, with the policy that says so, go.
fn kept(field: &str, one: &str, old: &Value, new: &Value, out: &mut Vec<FieldError>) {
    let (before, after, path) = (items(&old[field]), items(&new[field]), format!("spec.{field}"));
    let first = format!("{path}[0]");
    if after.is_empty() && !before.is_empty() {
        out.push(FieldError::invalid(first, &new[field], format!("primary {one} can not be unset")));
        return;
    }
    for (at, _) in before.iter().zip(after).enumerate().filter(|(_, (was, is))| was != is) {
        let at = if field == "ipFamilies" { 0 } else { at };
        if at == 0 || before.len() == after.len() {
            let why = "may not change once set";
            out.push(FieldError::invalid(format!("{path}[{at}]"), &new[field], why));
        }
    }
    if before.len() > after.len() && after.len() == 1 && new["ipFamilyPolicy"] != "SingleStack" {
        let why = format!("must be set to 'SingleStack' when releasing the secondary {one}");
        out.push(FieldError::invalid("spec.ipFamilyPolicy", &new["ipFamilyPolicy"], why));
    }
}
