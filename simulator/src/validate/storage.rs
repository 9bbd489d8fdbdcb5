//! Claims for volumes, volumes, and classes of storage.

use serde_json::Value;

use super::FieldError;
use super::difference::difference;
use super::rules::{
    at_most_one_of, immutable, is_empty, items, label_selector, named, one_of, optional, required, same, text,
};
use super::{names, pods, quantity};

const MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const ONE_POD: &str = "ReadWriteOncePod";
const KINDS: &[&str] = &["Block", "Filesystem"];
/// Where a PersistentVolume can lie, in the order in which the API server looks.
const SOURCES: &[&str] = &[
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];

/// A PersistentVolumeClaim.
pub(super) fn claim(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    claim_spec(spec, "spec", out);
    let Some(old) = old else { return };
    let before = &old["spec"];
    let is_bound = object["status"]["phase"] == "Bound";
    // What may change is made the same on both sides, so that a refusal shows the rest.
    let (mut was, mut is) = (before.clone(), spec.clone());
    if is_empty(&before["volumeName"]) {
        was["volumeName"] = spec["volumeName"].clone();
    }
    // An administrator may name a default class after the claim was made.
    if before["storageClassName"].is_null() {
        is["storageClassName"] = Value::Null;
    }
    if is_bound {
        is["resources"]["requests"]["storage"] = before["resources"]["requests"]["storage"].clone();
        is["volumeAttributesClassName"] = before["volumeAttributesClassName"].clone();
    }
    if !same(&was, &is) {
        let shown = difference("PersistentVolumeClaimSpec", &was, &is);
        let why = format!(
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound \
             claims\n{shown}"
        );
        out.push(FieldError::forbidden("spec", why));
    }
    let size = |spec: &Value| quantity::nanos(text(&spec["resources"]["requests"]["storage"])).unwrap_or(0);
    let has = quantity::nanos(text(&old["status"]["capacity"]["storage"])).unwrap_or(0);
    if size(spec) < size(before) && size(spec) <= has {
        let why = "field can not be less than status.capacity";
        out.push(FieldError::forbidden("spec.resources.requests.storage", why));
    }
    immutable(&spec["volumeMode"], &before["volumeMode"], "volumeMode", out);
}

/// The spec of a claim, alone or in a template.
pub(super) fn claim_spec(spec: &Value, path: &str, out: &mut Vec<FieldError>) {
    let modes = items(&spec["accessModes"]);
    let at = format!("{path}.accessModes");
    if modes.is_empty() {
        out.push(FieldError::required(&at, "at least 1 access mode is required"));
    }
    label_selector(&spec["selector"], &format!("{path}.selector"), out);
    access_modes(modes, &at, out);
    let (storage, at) = (&spec["resources"]["requests"]["storage"], format!("{path}.resources[storage]"));
    if storage.is_null() {
        out.push(FieldError::required(at, ""));
    } else {
        positive(storage, &at, out);
    }
    for field in ["storageClassName", "volumeAttributesClassName"] {
        optional(&spec[field], names::subdomain, &format!("{path}.{field}"), out);
    }
    one_of(&spec["volumeMode"], KINDS, &format!("{path}.volumeMode"), out);
    for field in ["dataSource", "dataSourceRef"].into_iter().filter(|field| spec[*field].is_object()) {
        data_source(&spec[field], &format!("{path}.{field}"), out);
    }
}

fn access_modes(modes: &[Value], path: &str, out: &mut Vec<FieldError>) {
    for mode in modes {
        one_of(mode, MODES, path, out);
    }
    let other = |mode: &Value| mode != ONE_POD && MODES.contains(&text(mode));
    if modes.iter().any(|mode| mode == ONE_POD) && modes.iter().any(other) {
        out.push(FieldError::forbidden(path, "may not use ReadWriteOncePod with other access modes"));
    }
}

fn positive(value: &Value, path: &str, out: &mut Vec<FieldError>) {
    if quantity::nanos(text(value)).is_some_and(|nanos| nanos <= 0) {
        out.push(FieldError::invalid(path, value, "must be greater than zero"));
    }
}

fn data_source(source: &Value, path: &str, out: &mut Vec<FieldError>) {
    for field in ["name", "kind"] {
        required(&source[field], format!("{path}.{field}"), out);
    }
    let (group, kind) = (&source["apiGroup"], &source["kind"]);
    if is_empty(group) && kind != "PersistentVolumeClaim" {
        let why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
        out.push(FieldError::invalid(path, text(kind), why));
    }
    optional(group, names::subdomain, &format!("{path}.apiGroup"), out);
    if source["namespace"].is_string() {
        optional(&source["namespace"], names::label, &format!("{path}.namespace"), out);
    }
}

/// A PersistentVolume.
pub(super) fn volume(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let modes = items(&spec["accessModes"]);
    required(&spec["accessModes"], "spec.accessModes", out);
    access_modes(modes, "spec.accessModes", out);
    let capacity = &spec["capacity"];
    required(capacity, "spec.capacity", out);
    let sizes = capacity.as_object();
    if sizes.is_none_or(|sizes| sizes.len() > 1 || !sizes.contains_key("storage")) {
        out.push(FieldError::not_supported("spec.capacity", capacity, &["storage"]));
    }
    for (name, size) in sizes.into_iter().flatten() {
        positive(size, &format!("spec.capacity[{name}]"), out);
    }
    let policies = ["Delete", "Recycle", "Retain"];
    let policy = &spec["persistentVolumeReclaimPolicy"];
    one_of(policy, &policies, "spec.persistentVolumeReclaimPolicy", out);
    let terms = &spec["nodeAffinity"]["required"];
    if spec["nodeAffinity"].is_object() {
        match terms.is_object() {
            true => pods::node_selector(terms, "spec.nodeAffinity.required", out),
            false => {
                let why = "must specify required node constraints";
                out.push(FieldError::required("spec.nodeAffinity.required", why));
            }
        }
    }
    let given = at_most_one_of(spec, SOURCES, "spec", out);
    match given {
        None => out.push(FieldError::required("spec", "must specify a volume type")),
        Some("local") => {
            required(&spec["local"]["path"], "spec.local.path", out);
            if !terms.is_object() {
                let why = "Local volume requires node affinity";
                out.push(FieldError::required("spec.nodeAffinity", why));
            }
        }
        Some("csi") => {
            required(&spec["csi"]["driver"], "spec.csi.driver", out);
            required(&spec["csi"]["volumeHandle"], "spec.csi.volumeHandle", out);
        }
        Some(kind @ ("hostPath" | "nfs")) => {
            pods::simple_source(kind, &spec[kind], &format!("spec.{kind}"), out)
        }
        Some(_) => {}
    }
    if spec["hostPath"]["path"] == "/" && policy == "Recycle" {
        let why = "may not be 'recycle' for a hostPath mount of '/'";
        out.push(FieldError::forbidden("spec.persistentVolumeReclaimPolicy", why));
    }
    optional(&spec["storageClassName"], names::subdomain, "spec.storageClassName", out);
    one_of(&spec["volumeMode"], KINDS, "spec.volumeMode", out);
    let Some(before) = old.map(|old| &old["spec"]) else { return };
    if SOURCES.iter().any(|source| !same(&spec[*source], &before[*source])) {
        let shown = difference("PersistentVolumeSource", before, spec);
        let why = format!("spec.persistentvolumesource is immutable after creation\n{shown}");
        out.push(FieldError::forbidden("spec.persistentvolumesource", why));
    }
    immutable(&spec["volumeMode"], &before["volumeMode"], "volumeMode", out);
}

/// A StorageClass.
pub(super) fn class(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let Some(old) = old else {
        let provisioner = text(&object["provisioner"]).to_lowercase();
        named(&provisioner.into(), names::qualified, "provisioner", out);
        let parameters = object["parameters"].as_object();
        if parameters.is_some_and(|all| all.len() > 512) {
            out.push(FieldError::too_long("parameters", 512));
        }
        one_of(&object["reclaimPolicy"], &["Delete", "Retain"], "reclaimPolicy", out);
        let modes = ["Immediate", "WaitForFirstConsumer"];
        one_of(&object["volumeBindingMode"], &modes, "volumeBindingMode", out);
        return;
    };
    for field in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
        immutable(&object[field], &old[field], field, out);
    }
}
