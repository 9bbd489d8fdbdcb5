//! Volumes of pods.

use std::collections::BTreeSet;

use serde_json::Value;

use super::downward_field;
use crate::validate::FieldError;
use crate::validate::rules::{
    at_most_one_of, is_empty, items, local_path, named, no_way_up, one_of, required, text,
};
use crate::validate::{meta, names, quantity, storage};

/// The sources that a volume can have, in the order in which the API server looks at them.
const SOURCES: &[&str] = &[
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "flocker",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
    "projected",
    "csi",
    "ephemeral",
    "image",
    "photonPersistentDisk",
];
/// Fields of sources without which there is nothing to mount.
const REQUIRED: &[(&str, &[&str])] = &[
    ("awsElasticBlockStore", &["volumeID"]),
    ("azureDisk", &["diskName", "diskURI"]),
    ("azureFile", &["secretName", "shareName"]),
    ("cephfs", &["monitors"]),
    ("cinder", &["volumeID"]),
    ("configMap", &["name"]),
    ("csi", &["driver"]),
    ("flexVolume", &["driver"]),
    ("gcePersistentDisk", &["pdName"]),
    ("gitRepo", &["repository"]),
    ("glusterfs", &["endpoints", "path"]),
    ("hostPath", &["path"]),
    ("iscsi", &["targetPortal", "iqn"]),
    ("nfs", &["server", "path"]),
    ("persistentVolumeClaim", &["claimName"]),
    ("portworxVolume", &["volumeID"]),
    ("rbd", &["monitors", "image"]),
    ("secret", &["secretName"]),
    ("vsphereVolume", &["volumePath"]),
];
const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";
/// What a file of the downward API can tell of its pod.
const FIELDS: &[&str] =
    &["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

/// Checks volumes and returns their names.
pub(super) fn volumes<'a>(volumes: &'a Value, path: &str, out: &mut Vec<FieldError>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for (at, volume) in items(volumes).iter().enumerate() {
        let path = format!("{path}[{at}]");
        let before = out.len();
        if let Some(kind) = at_most_one_of(volume, SOURCES, &path, out) {
            source(kind, &volume[kind], &format!("{path}.{kind}"), out);
        } else {
            out.push(FieldError::required(&path, "must specify a volume type"));
        }
        named(&volume["name"], names::label, &format!("{path}.name"), out);
        let name = text(&volume["name"]);
        if names.contains(&name) {
            out.push(FieldError::duplicate(format!("{path}.name"), &volume["name"]));
        }
        if out.len() == before {
            names.push(name);
        }
    }
    names
}

fn source(kind: &str, source: &Value, path: &str, out: &mut Vec<FieldError>) {
    simple(kind, source, path, out);
    match kind {
        "emptyDir" if quantity::nanos(text(&source["sizeLimit"])).is_some_and(|nanos| nanos < 0) => {
            let why = "SizeLimit field must be a valid resource quantity";
            out.push(FieldError::forbidden(format!("{path}.sizeLimit"), why));
        }
        "secret" | "configMap" => {
            mode(&source["defaultMode"], &format!("{path}.defaultMode"), out);
            keys(&source["items"], path, &mut BTreeSet::new(), out);
        }
        "downwardAPI" => {
            mode(&source["defaultMode"], &format!("{path}.defaultMode"), out);
            for file in items(&source["items"]) {
                downward_file(file, path, out);
            }
        }
        "projected" => {
            mode(&source["defaultMode"], &format!("{path}.defaultMode"), out);
            projections(&source["sources"], path, out);
        }
        "ephemeral" => {
            let (template, path) = (&source["volumeClaimTemplate"], format!("{path}.volumeClaimTemplate"));
            if template.is_object() {
                let metadata = &template["metadata"];
                out.extend(meta::labels(&metadata["labels"], &format!("{path}.metadata.labels")));
                storage::claim_spec(&template["spec"], &format!("{path}.spec"), out);
            } else {
                out.push(FieldError::required(path, ""));
            }
        }
        _ => {}
    }
}

/// What a source must hold, wherever it is used: in a pod or in a PersistentVolume.
pub(in crate::validate) fn simple(kind: &str, source: &Value, path: &str, out: &mut Vec<FieldError>) {
    let fields = REQUIRED.iter().find(|(known, _)| *known == kind).map(|(_, fields)| *fields);
    for field in fields.unwrap_or_default() {
        required(&source[*field], format!("{path}.{field}"), out);
    }
    match kind {
        "nfs" if !text(&source["path"]).starts_with('/') => {
            let why = "must be an absolute path";
            out.push(FieldError::invalid(format!("{path}.path"), text(&source["path"]), why));
        }
        "hostPath" => {
            no_way_up(&source["path"], &format!("{path}.path"), out);
            let kinds = [
                "",
                "BlockDevice",
                "CharDevice",
                "Directory",
                "DirectoryOrCreate",
                "File",
                "FileOrCreate",
                "Socket",
            ];
            one_of(&source["type"], &kinds, &format!("{path}.type"), out);
        }
        _ => {}
    }
}

fn mode(value: &Value, path: &str, out: &mut Vec<FieldError>) {
    if value.as_i64().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        out.push(FieldError::invalid(path, value, MODE));
    }
}

/// Keys and the files that they become. Files of one volume do not hide each other.
fn keys<'a>(list: &'a Value, path: &str, seen: &mut BTreeSet<&'a str>, out: &mut Vec<FieldError>) -> bool {
    let mut are_distinct = true;
    for (at, item) in items(list).iter().enumerate() {
        let at = format!("{path}.items[{at}]");
        for field in ["key", "path"] {
            required(&item[field], format!("{at}.{field}"), out);
        }
        file_path(&item["path"], &format!("{at}.path"), out);
        mode(&item["mode"], &format!("{at}.mode"), out);
        are_distinct &= is_empty(&item["path"]) || seen.insert(text(&item["path"]));
    }
    are_distinct
}

/// A path below the volume that does not begin like the server's own entries.
fn file_path(value: &Value, path: &str, out: &mut Vec<FieldError>) {
    local_path(value, path, out);
    if text(value).starts_with("..") && !text(value).starts_with("../") {
        out.push(FieldError::invalid(path, value, "must not start with '..'"));
    }
}

fn downward_file(file: &Value, path: &str, out: &mut Vec<FieldError>) {
    required(&file["path"], format!("{path}.path"), out);
    file_path(&file["path"], &format!("{path}.path"), out);
    let (field, resource) = (&file["fieldRef"], &file["resourceFieldRef"]);
    if field.is_object() {
        downward_field(field, FIELDS, &format!("{path}.fieldRef"), out);
        if resource.is_object() {
            let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
            out.push(FieldError::invalid(path, "resource", why));
        }
    } else if resource.is_object() {
        super::downward_resource(resource, true, &format!("{path}.resourceFieldRef"), out);
    } else {
        out.push(FieldError::required(path, "one of fieldRef and resourceFieldRef is required"));
    }
    mode(&file["mode"], &format!("{path}.mode"), out);
}

fn projections(sources: &Value, path: &str, out: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for (at, source) in items(sources).iter().enumerate() {
        let at = format!("{path}.sources[{at}]");
        let mut given = 0;
        for kind in ["secret", "configMap"].into_iter().filter(|kind| source[*kind].is_object()) {
            given += 1;
            let (inner, at) = (&source[kind], format!("{at}.{kind}"));
            required(&inner["name"], format!("{at}.name"), out);
            if !keys(&inner["items"], &at, &mut seen, out) {
                out.push(FieldError::invalid(path, text(&inner["name"]), "conflicting duplicate paths"));
            }
        }
        if source["downwardAPI"].is_object() {
            given += 1;
            for file in items(&source["downwardAPI"]["items"]) {
                downward_file(file, &format!("{at}.downwardAPI"), out);
                let place = text(&file["path"]);
                if !place.is_empty() && !seen.insert(place) {
                    out.push(FieldError::invalid(path, place, "conflicting duplicate paths"));
                }
            }
        }
        let token = &source["serviceAccountToken"];
        if token.is_object() {
            given += 1;
            let (seconds, at) =
                (&token["expirationSeconds"], format!("{at}.serviceAccountToken.expirationSeconds"));
            if seconds.as_i64().is_some_and(|seconds| seconds < 600) {
                out.push(FieldError::invalid(at, seconds, "may not specify a duration less than 10 minutes"));
            } else if seconds.as_i64().is_some_and(|seconds| seconds > 1 << 32) {
                let why = "may not specify a duration larger than 2^32 seconds";
                out.push(FieldError::invalid(at, seconds, why));
            }
            required(&token["path"], format!("{path}.path"), out);
            file_path(&token["path"], &format!("{path}.path"), out);
        }
        if given > 1 {
            out.push(FieldError::forbidden(at, "may not specify more than 1 volume type per source"));
        }
    }
}
