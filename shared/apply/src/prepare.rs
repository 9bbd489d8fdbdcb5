//! Makes built objects ready to be applied: owner labels, common metadata, and the corrections that Flux makes so that
//! server-side apply takes what client-side apply took.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::{
    annotations::Keys,
    object::{Owner, object_entry, split_api_version, text},
};

/// Sets the labels by which an object is known to belong to its owner.
pub fn own(object: &mut Value, owner: &Owner, keys: &Keys) {
    if let Some(labels) = metadata_field(object, "labels") {
        labels.insert(keys.name.clone(), json!(owner.name));
        labels.insert(keys.namespace.clone(), json!(owner.namespace));
    }
}

/// Sets `spec.commonMetadata`, over what the object says itself.
pub fn common_metadata(
    object: &mut Value,
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
) {
    for (field, values) in [("labels", labels), ("annotations", annotations)] {
        if values.is_empty() {
            continue;
        }
        if let Some(map) = metadata_field(object, field) {
            map.extend(values.iter().map(|(key, value)| (key.clone(), json!(value))));
        }
    }
}

/// Corrects an object as Flux does before an apply; unknown fields stay for the API server to judge.
///
/// `stringData` of a Secret moves into `data`; ports without protocol become TCP in Services and in the containers of
/// workloads (not in init containers); `metadata.creationTimestamp` and, except on CRDs, `status` vanish; so does a
/// conversion webhook's `caBundle` that is not base64 of PEM, which newer API servers refuse.
pub fn normalise(object: &mut Value) {
    let (group, _) = split_api_version(text(object, "apiVersion"));
    let (group, kind) = (group.to_owned(), text(object, "kind").to_owned());
    let Some(root) = object.as_object_mut() else { return };
    if let Some(metadata) = root.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("creationTimestamp");
    }
    if kind != "CustomResourceDefinition" {
        root.remove("status");
    }
    match (&*group, &*kind) {
        ("", "Secret") => string_data(root),
        ("", "Service") => protocols(object.pointer_mut("/spec/ports")),
        ("", "Pod") => containers(object.pointer_mut("/spec")),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch", "Job") => {
            containers(object.pointer_mut("/spec/template/spec"));
        }
        ("batch", "CronJob") => containers(object.pointer_mut("/spec/jobTemplate/spec/template/spec")),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => ca_bundle(object),
        _ => {}
    }
}

fn metadata_field<'a>(object: &'a mut Value, field: &str) -> Option<&'a mut Map<String, Value>> {
    Some(object_entry(object_entry(object.as_object_mut()?, "metadata"), field))
}

/// Only where all of it is text; else the API server says what is wrong.
fn string_data(secret: &mut Map<String, Value>) {
    let Some(Value::Object(plain)) = secret.get("stringData") else {
        if secret.get("stringData").is_some_and(Value::is_null) {
            secret.remove("stringData");
        }
        return;
    };
    if !plain.values().all(Value::is_string) {
        return;
    }
    let encoded: Vec<(String, Value)> = plain
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), json!(STANDARD.encode(value.as_str()?)))))
        .collect();
    secret.remove("stringData");
    if !encoded.is_empty() {
        object_entry(secret, "data").extend(encoded);
    }
}

fn containers(pod_spec: Option<&mut Value>) {
    let containers = pod_spec.and_then(|spec| spec.get_mut("containers")).and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        protocols(container.get_mut("ports"));
    }
}

fn protocols(ports: Option<&mut Value>) {
    for port in ports.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(port) = port.as_object_mut()
            && port.get("protocol").is_none_or(|p| p.is_null() || p == "")
        {
            port.insert("protocol".to_owned(), json!("TCP"));
        }
    }
}

fn ca_bundle(crd: &mut Value) {
    let Some(config) =
        crd.pointer_mut("/spec/conversion/webhook/clientConfig").and_then(Value::as_object_mut)
    else {
        return;
    };
    let valid = match config.get("caBundle") {
        None => return,
        Some(Value::String(bundle)) => STANDARD
            .decode(bundle)
            .is_ok_and(|pem| pem.windows(27).any(|w| w == b"-----BEGIN CERTIFICATE-----")),
        Some(_) => false,
    };
    if !valid {
        config.remove("caBundle");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_corrected_as_flux_corrects_them() {
        for (name, given, want) in [
            (
                "stringData wins over data",
                json!({"apiVersion":"v1","kind":"Secret","data":{"a":"eA==","b":"eQ=="},"stringData":{"a":"z"}}),
                json!({"apiVersion":"v1","kind":"Secret","data":{"a":"eg==","b":"eQ=="}}),
            ),
            (
                "stringData that is no text is left to the server",
                json!({"apiVersion":"v1","kind":"Secret","stringData":{"a":1}}),
                json!({"apiVersion":"v1","kind":"Secret","stringData":{"a":1}}),
            ),
            (
                "a service port without protocol",
                json!({"apiVersion":"v1","kind":"Service","spec":{"ports":[{"port":80},{"port":53,"protocol":"UDP"}]}}),
                json!({"apiVersion":"v1","kind":"Service","spec":{"ports":[{"port":80,"protocol":"TCP"},{"port":53,"protocol":"UDP"}]}}),
            ),
            (
                "container ports, but not those of init containers",
                json!({"apiVersion":"apps/v1","kind":"Deployment","status":{},"metadata":{"creationTimestamp":null},"spec":{"template":{"spec":{
                    "containers":[{"ports":[{"containerPort":1}]},{}],"initContainers":[{"ports":[{"containerPort":1}]}]}}}}),
                json!({"apiVersion":"apps/v1","kind":"Deployment","metadata":{},"spec":{"template":{"spec":{
                    "containers":[{"ports":[{"containerPort":1,"protocol":"TCP"}]},{}],"initContainers":[{"ports":[{"containerPort":1}]}]}}}}),
            ),
            (
                "a bundle that is no PEM",
                json!({"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","status":{"x":1},
                    "spec":{"conversion":{"webhook":{"clientConfig":{"caBundle":"Cg==","url":"u"}}}}}),
                json!({"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","status":{"x":1},
                    "spec":{"conversion":{"webhook":{"clientConfig":{"url":"u"}}}}}),
            ),
            ("not an object", json!([1]), json!([1])),
            (
                "a foreign kind of the same name",
                json!({"apiVersion":"serving.knative.dev/v1","kind":"Service","spec":{"ports":[{"port":1}]}}),
                json!({"apiVersion":"serving.knative.dev/v1","kind":"Service","spec":{"ports":[{"port":1}]}}),
            ),
        ] {
            let mut object = given;
            normalise(&mut object);
            assert_eq!(object, want, "{name}");
        }
    }

    #[test]
    fn owner_labels_and_common_metadata_are_set() {
        let keys = Keys::new("kustomize.toolkit.fluxcd.io");
        let mut object = json!({"metadata": {"labels": {"a": "1"}, "annotations": null}});
        own(&mut object, &Owner { namespace: "flux-system".into(), name: "apps".into() }, &keys);
        common_metadata(
            &mut object,
            &BTreeMap::from([("a".into(), "2".into())]),
            &BTreeMap::from([("b".into(), "3".into())]),
        );
        assert_eq!(
            object,
            json!({"metadata": {
                "labels": {"a": "2", "kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"},
                "annotations": {"b": "3"}}})
        );
    }
}
