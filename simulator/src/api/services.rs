//! What a Service is given and loses: addresses of the cluster, ports of the nodes, and fields of another type.

use serde_json::{Value, json};

use super::Api;
use super::defaults::set;
use crate::storage::{CollectionId, Query};
use crate::validate::{FieldError, is_external, needs_health_port};

/// Ports of nodes, both ends included.
const NODE_PORTS: std::ops::RangeInclusive<i64> = 30_000..=32_767;

/// Brings the one address and the list of addresses together before they are looked at; on an update also drops what
/// belongs to a type that the Service does not have any more.
pub(super) fn prepare(old: Option<&Value>, object: &mut Value) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if spec.get("type").is_some_and(|kind| kind == "ExternalName") {
        spec.remove("internalTrafficPolicy");
    }
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(old) = old.map(|old| &old["spec"]) {
        take_over(old, spec);
        drop_other_types(old, spec);
    }
    let (one, has_list) =
        (text(spec.get("clusterIP")), spec.get("clusterIPs").is_some_and(|list| !list.is_null()));
    if !one.is_empty() && !has_list {
        spec.insert("clusterIPs".into(), json!([one]));
    } else if let Some(old) = old.map(|old| &old["spec"]) {
        // Whoever changes only the one address means the list too.
        let is_changed = text(old.get("clusterIP")) != one;
        if is_changed && !one.is_empty() && old["clusterIPs"] == spec["clusterIPs"] {
            spec["clusterIPs"][0] = one.into();
        } else if is_changed && one.is_empty() {
            spec.remove("clusterIPs");
        }
    }
}

/// What a client left out on an update is what it was, as clients may know nothing of allocated fields.
fn take_over(old: &Value, spec: &mut serde_json::Map<String, Value>) {
    let type_of = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let (before, now) = (type_of(old.get("type")), type_of(spec.get("type")));
    if before != "ExternalName" && now != "ExternalName" {
        for field in ["clusterIP", "clusterIPs"] {
            if spec.get(field).is_none_or(|value| value.is_null() || value == "") && !old[field].is_null() {
                spec.insert(field.into(), old[field].clone());
            }
        }
        for field in ["ipFamilies", "ipFamilyPolicy"] {
            if !spec.contains_key(field) && !old[field].is_null() {
                spec.insert(field.into(), old[field].clone());
            }
        }
    }
    let uses_ports = |kind: &str| matches!(kind, "NodePort" | "LoadBalancer");
    if uses_ports(&before) && uses_ports(&now) {
        let known = old["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
        for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            let same =
                |other: &&Value| other["port"] == port["port"] && other["protocol"] == port["protocol"];
            if let Some(other) =
                known.iter().find(same).filter(|_| port["nodePort"].as_i64().unwrap_or(0) == 0)
            {
                let number = other["nodePort"].clone();
                set(port, "nodePort", number);
            }
        }
    }
}

fn drop_other_types(old: &Value, spec: &mut serde_json::Map<String, Value>) {
    let now = Value::Object(spec.clone());
    let is_same = |field: &str| now[field] == old[field];
    let is_name = |spec: &Value| spec["type"] == "ExternalName";
    if !is_name(old) && is_name(&now) {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if is_same(field) {
                spec.remove(field);
            }
        }
    }
    let uses_ports = |spec: &Value| matches!(spec["type"].as_str(), Some("NodePort" | "LoadBalancer"));
    let ports = |spec: &Value| -> Vec<i64> {
        let ports = spec["ports"].as_array().into_iter().flatten();
        ports.filter_map(|port| port["nodePort"].as_i64()).filter(|number| *number != 0).collect()
    };
    let known = ports(old);
    if uses_ports(old) && !uses_ports(&now) && ports(&now).iter().all(|number| known.contains(number)) {
        for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            drop(port.as_object_mut().and_then(|port| port.remove("nodePort")));
        }
    }
    if needs_health_port(old) && !needs_health_port(&now) && is_same("healthCheckNodePort") {
        spec.remove("healthCheckNodePort");
    }
    let balances = |spec: &Value| spec["type"] == "LoadBalancer";
    if balances(old) && !balances(&now) {
        for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if is_same(field) {
                spec.remove(field);
            }
        }
    }
    if is_external(old) && !is_external(&now) && is_same("externalTrafficPolicy") {
        spec.remove("externalTrafficPolicy");
    }
}

/// Gives a valid Service its addresses and ports.
pub(super) fn allocate(api: &Api, object: &mut Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let uid = object["metadata"]["uid"].clone();
    let Some(spec) = object.get_mut("spec").filter(|spec| spec["type"] != "ExternalName") else {
        return errors;
    };
    if spec["ipFamilyPolicy"] == "RequireDualStack" {
        let why = "this cluster is not configured for dual-stack services";
        errors.push(FieldError::invalid("spec.ipFamilyPolicy", "RequireDualStack", why));
        return errors;
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
    let wants_ports = match spec["type"].as_str() {
        Some("NodePort") => true,
        Some("LoadBalancer") => spec["allocateLoadBalancerNodePorts"] != false,
        _ => false,
    };
    let has_port = |port: &Value| port["nodePort"].as_i64().is_some_and(|number| number != 0);
    let mut ports =
        spec.get_mut("ports").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    let needs_health = needs_health_port(spec) && spec["healthCheckNodePort"].as_i64().unwrap_or(0) == 0;
    if needs_health || wants_ports || ports.iter().any(has_port) {
        let mut taken = taken(api, &uid);
        let mut own: Vec<(Value, i64)> = Vec::new();
        for (at, port) in ports.iter_mut().enumerate() {
            let path = format!("spec.ports[{at}].nodePort");
            match port["nodePort"].as_i64().filter(|number| *number != 0) {
                Some(number) if !NODE_PORTS.contains(&number) => {
                    let why =
                        "provided port is not in the valid range. The range of valid ports is 30000-32767";
                    errors.push(FieldError::invalid(path, &number, why));
                }
                Some(number)
                    if taken.contains(&number) || own.contains(&(port["protocol"].clone(), number)) =>
                {
                    errors.push(FieldError::invalid(path, &number, "provided port is already allocated"));
                }
                // Ports of one Service may share a number under several protocols.
                Some(number) => own.push((port["protocol"].clone(), number)),
                None if wants_ports => match free(&taken) {
                    Some(number) => {
                        port["nodePort"] = number.into();
                        taken.push(number);
                    }
                    None => errors.push(FieldError::invalid(path, &0_i64, "range is full")),
                },
                None => {}
            }
        }
        if let Some(number) = free(&taken).filter(|_| needs_health) {
            spec["healthCheckNodePort"] = number.into();
        }
    }
    if let Some(place) = spec.get_mut("ports") {
        *place = ports.into();
    }
    errors
}

/// Ports of nodes that other Services have.
fn taken(api: &Api, uid: &Value) -> Vec<i64> {
    let listing = api.store.list(&CollectionId::new("", "services"), &Query::default());
    let services = listing.into_iter().flat_map(|listing| listing.objects);
    let mut out = Vec::new();
    for service in
        services.map(|service| service.value()).filter(|service| service["metadata"]["uid"] != *uid)
    {
        let spec = &service["spec"];
        let ports = spec["ports"].as_array().into_iter().flatten().map(|port| &port["nodePort"]);
        out.extend(ports.chain([&spec["healthCheckNodePort"]]).filter_map(Value::as_i64));
    }
    out
}

/// A port that nobody has: by chance, so that a test that counts on a number fails.
fn free(taken: &[i64]) -> Option<i64> {
    let (first, last) = (*NODE_PORTS.start(), *NODE_PORTS.end());
    let start = rand::random_range(first..=last);
    (start..=last).chain(first..start).find(|number| !taken.contains(number))
}
