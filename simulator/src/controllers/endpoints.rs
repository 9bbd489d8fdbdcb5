//! Services with a selector get their Endpoints and an EndpointSlice.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::workload::{create, is_ready, owner_reference, patch};
use crate::api::{Api, DeleteOptions};
use crate::storage::{CollectionId, Key, LabelSelector, Query, Stored};

/// What each Service selects. Without it, every change of a pod would have to read all Services.
#[derive(Default)]
pub(super) struct Selectors(HashMap<Key, LabelSelector>);

impl Selectors {
    /// The Services that select a pod.
    pub(super) fn of(&self, pod: &Stored) -> Vec<Key> {
        let selects = |(key, selector): &(&Key, &LabelSelector)| {
            key.namespace == pod.key.namespace && selector.matches(pod)
        };
        self.0.iter().filter(selects).map(|(key, _)| key.clone()).collect()
    }

    /// Forgets a Service that is gone.
    pub(super) fn forget(&mut self, key: &Key) {
        self.0.remove(key);
    }

    /// Writes the endpoints of a Service that has changed, or whose pods have.
    pub(super) fn changed(&mut self, api: &Arc<Api>, service: &Stored) {
        let value = service.value();
        let wanted = value["spec"]["selector"].as_object().filter(|selector| !selector.is_empty());
        let selector = wanted.and_then(|labels| LabelSelector::from_value(&json!({"matchLabels": labels})));
        let Some(selector) =
            selector.filter(|_| value["spec"]["type"] != "ExternalName" && !service.deleting)
        else {
            self.forget(&service.key);
            return;
        };
        self.0.insert(service.key.clone(), selector.clone());
        let query =
            Query { namespace: Some(service.key.namespace.clone()), labels: selector, ..Query::default() };
        let pods = api
            .store
            .list(&CollectionId::new("", "pods"), &query)
            .map(|page| page.objects)
            .unwrap_or_default();
        let pods: Vec<Value> = pods.iter().map(|pod| pod.value()).filter(has_address).collect();
        write_endpoints(api, service, &value, &pods);
        write_slice(api, service, &value, &pods);
    }
}

/// Removes the Endpoints of a Service that is gone; its EndpointSlice goes with its owner.
pub(super) fn deleted(api: &Arc<Api>, service: &Stored) {
    let known = api.store.get(&CollectionId::new("", "endpoints"), &service.key);
    if let Some(target) = known.and_then(|known| api.target_of(&known)) {
        // It may be gone by now.
        let _ = api.delete(&target, &DeleteOptions::default());
    }
}

/// Pods that run, or will.
fn has_address(pod: &Value) -> bool {
    pod["status"]["podIP"].is_string()
        && !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
        && pod["metadata"]["deletionTimestamp"].is_null()
}

/// The ports of a Service as numbers; names are looked up in the containers of a pod.
fn ports(service: &Value, pods: &[Value]) -> Vec<Value> {
    let ports = service["spec"]["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    let numbered = |port: &Value| {
        let target = if port["targetPort"].is_null() { &port["port"] } else { &port["targetPort"] };
        let number = match target {
            Value::String(name) => pods.iter().find_map(|pod| container_port(pod, name))?,
            number => number.as_u64()?,
        };
        let mut entry = Map::new();
        if port["name"].is_string() {
            entry.insert("name".to_owned(), port["name"].clone());
        }
        entry.insert("port".to_owned(), number.into());
        entry.insert("protocol".to_owned(), port["protocol"].as_str().unwrap_or("TCP").into());
        Some(Value::Object(entry))
    };
    ports.iter().filter_map(numbered).collect()
}

fn container_port(pod: &Value, name: &str) -> Option<u64> {
    let containers = pod["spec"]["containers"].as_array()?;
    let mut ports = containers.iter().filter_map(|container| container["ports"].as_array()).flatten();
    ports.find(|port| port["name"] == name)?["containerPort"].as_u64()
}

fn target(pod: &Value) -> Value {
    let metadata = &pod["metadata"];
    json!({"kind": "Pod", "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]})
}

fn write_endpoints(api: &Arc<Api>, service: &Stored, value: &Value, pods: &[Value]) {
    let addresses = |ready: bool| -> Vec<Value> {
        let chosen = pods.iter().filter(|pod| is_ready(pod) == ready);
        chosen
            .map(|pod| json!({"ip": pod["status"]["podIP"], "nodeName": pod["spec"]["nodeName"], "targetRef": target(pod)}))
            .collect()
    };
    let mut subset = Map::new();
    for (field, entries) in [
        ("addresses", addresses(true)),
        ("notReadyAddresses", addresses(false)),
        ("ports", ports(value, pods)),
    ] {
        if !entries.is_empty() {
            subset.insert(field.to_owned(), entries.into());
        }
    }
    let subsets = if pods.is_empty() { Value::Null } else { json!([subset]) };
    let mut labels = value["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    labels.insert("endpoints.kubernetes.io/managed-by".to_owned(), "endpoint-controller".into());
    let collection = CollectionId::new("", "endpoints");
    match api.store.get(&collection, &service.key) {
        Some(known) if known.value()["subsets"] == subsets => {}
        Some(known) => patch(api, &known, "", json!({"subsets": subsets})),
        None => {
            let body = json!({
                "apiVersion": "v1", "kind": "Endpoints",
                "metadata": {"name": service.key.name, "labels": labels}, "subsets": subsets,
            });
            create(api, "", "endpoints", &service.key.namespace, body);
        }
    }
}

fn write_slice(api: &Arc<Api>, service: &Stored, value: &Value, pods: &[Value]) {
    let endpoints: Vec<Value> = pods
        .iter()
        .map(|pod| {
            let ready = is_ready(pod);
            json!({
                "addresses": [pod["status"]["podIP"]], "nodeName": pod["spec"]["nodeName"], "targetRef": target(pod),
                "conditions": {"ready": ready, "serving": ready, "terminating": false},
            })
        })
        .collect();
    let endpoints = if endpoints.is_empty() { Value::Null } else { endpoints.into() };
    let ports = ports(value, pods);
    let ports = if ports.is_empty() { Value::Null } else { ports.into() };
    let known = super::workload::owned(api, service, "endpointslices").into_iter().next();
    match known {
        Some(known) if known.value()["endpoints"] == endpoints && known.value()["ports"] == ports => {}
        Some(known) => patch(api, &known, "", json!({"endpoints": endpoints, "ports": ports})),
        None => {
            let mut labels = value["metadata"]["labels"].as_object().cloned().unwrap_or_default();
            let managed_by = "endpointslice.kubernetes.io/managed-by".to_owned();
            labels.insert(managed_by, "endpointslice-controller.k8s.io".into());
            labels.insert("kubernetes.io/service-name".to_owned(), service.key.name.as_str().into());
            let body = json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"generateName": format!("{}-", service.key.name), "labels": labels,
                             "ownerReferences": [owner_reference("v1", "Service", service)]},
                "endpoints": endpoints, "ports": ports,
            });
            create(api, "discovery.k8s.io", "endpointslices", &service.key.namespace, body);
        }
    }
}
