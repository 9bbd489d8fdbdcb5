//! Discovery and version: what clients ask before they ask for objects.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Context;
use super::negotiate::{self, Encoding};
use super::openapi;
use super::response::{self, Body};
use crate::api::{Resource, Served};

const VERSION: &str = "v1.36.3";

/// Answers a request for a document; `None` where there is none at this path.
pub(super) fn answer(
    context: &Context,
    segments: &[&str],
    headers: &HeaderMap,
    encoding: Encoding,
) -> Option<Response<Body>> {
    let served = context.api.registry.served();
    let aggregated = negotiate::media(headers).first().is_some_and(|media| {
        media.param("as") == Some("APIGroupDiscoveryList") && media.param("g") == Some("apidiscovery.k8s.io")
    });
    let value = match segments {
        ["version"] => json!({
            "major": "1", "minor": "36", "gitVersion": VERSION, "gitCommit": "", "gitTreeState": "clean",
            "buildDate": "", "goVersion": "", "compiler": "", "platform": "linux/amd64",
        }),
        ["api"] if aggregated => return Some(aggregated_list(&served, true)),
        ["apis"] if aggregated => return Some(aggregated_list(&served, false)),
        ["api"] => json!({"kind": "APIVersions", "versions": ["v1"],
                          "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}]}),
        ["apis"] => json!({"kind": "APIGroupList", "apiVersion": "v1",
                           "groups": groups(&served).iter().map(|(name, versions)| group(name, versions)).collect::<Vec<_>>()}),
        ["api", version] => resource_list(&served, "", version)?,
        ["apis", name] => {
            let groups = groups(&served);
            let (name, versions) = groups.iter().find(|(known, _)| known == name)?;
            let mut value = group(name, versions);
            value["kind"] = "APIGroup".into();
            value["apiVersion"] = "v1".into();
            value
        }
        ["apis", name, version] => resource_list(&served, name, version)?,
        ["openapi", rest @ ..] => return openapi::answer(context, &served, rest, headers, encoding),
        _ => return None,
    };
    Some(response::value(200, &value, encoding))
}

/// Groups with their versions, in the order of discovery, without the core group.
fn groups(served: &Served) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for found in served.versions.iter().filter(|found| !found.group.is_empty()) {
        match groups.iter_mut().find(|(name, _)| **name == *found.group) {
            Some((_, versions)) => versions.push(found.version.to_string()),
            None => groups.push((found.group.to_string(), vec![found.version.to_string()])),
        }
    }
    groups
}

fn group(name: &str, versions: &[String]) -> Value {
    let entry = |version: &String| json!({"groupVersion": format!("{name}/{version}"), "version": version});
    json!({"name": name, "versions": versions.iter().map(entry).collect::<Vec<_>>(),
           "preferredVersion": versions.first().map(entry)})
}

/// The first eight bytes of the SHA-256 of group, stored version and kind: what tells clients that it has changed.
fn storage_version_hash(resource: &Resource) -> String {
    let version =
        resource.custom.as_ref().map_or(&*resource.version, |custom| custom.storage_version.as_str());
    let digest = Sha256::digest(format!("{}/{version}/{}", resource.group, resource.kind));
    BASE64_STANDARD.encode(&digest[..8])
}

fn resource_list(served: &Served, group: &str, version: &str) -> Option<Value> {
    let found = served.group_version(group, version)?;
    let mut resources = Vec::new();
    for resource in &found.resources {
        let mut entry = json!({
            "name": &*resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": resource.verbs,
        });
        for (field, list) in [("shortNames", &resource.short_names), ("categories", &resource.categories)] {
            if !list.is_empty() {
                entry[field] = json!(list);
            }
        }
        if resource.allows("list") {
            entry["storageVersionHash"] = storage_version_hash(resource).into();
        }
        resources.push(entry);
        for sub in &resource.subresources {
            let mut entry = json!({
                "name": format!("{}/{}", resource.plural, sub.name), "singularName": "",
                "namespaced": resource.namespaced, "kind": sub.kind, "verbs": sub.verbs,
            });
            if !sub.version.is_empty() {
                entry["group"] = sub.group.as_str().into();
                entry["version"] = sub.version.as_str().into();
            }
            resources.push(entry);
        }
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}),
    )
}

/// `APIGroupDiscoveryList`: everything in one document.
fn aggregated_list(served: &Served, core: bool) -> Response<Body> {
    let mut items: Vec<Value> = Vec::new();
    for found in served.versions.iter().filter(|found| found.group.is_empty() == core) {
        let resources: Vec<Value> =
            found.resources.iter().map(|resource| discovered(found, resource)).collect();
        let version = json!({"version": &*found.version, "freshness": "Current", "resources": resources});
        let name = &*found.group;
        match items.iter_mut().find(|item| item["metadata"]["name"].as_str().unwrap_or_default() == name) {
            Some(item) => {
                if let Some(versions) = item["versions"].as_array_mut() {
                    versions.push(version);
                }
            }
            None => {
                let metadata = if core { json!({}) } else { json!({"name": name}) };
                items.push(json!({"metadata": metadata, "versions": [version]}));
            }
        }
    }
    let list = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items});
    response::json_bytes(
        200,
        Bytes::from(list.to_string()),
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
    )
}

fn discovered(found: &crate::api::GroupVersion, resource: &Arc<Resource>) -> Value {
    let mut entry = json!({
        "resource": &*resource.plural,
        "responseKind": {"group": &*found.group, "version": &*found.version, "kind": resource.kind},
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": resource.verbs,
    });
    for (field, list) in [("shortNames", &resource.short_names), ("categories", &resource.categories)] {
        if !list.is_empty() {
            entry[field] = json!(list);
        }
    }
    if !resource.subresources.is_empty() {
        let subs = resource.subresources.iter().map(|sub| {
            let own = sub.version.is_empty();
            let group = if own { &*found.group } else { sub.group.as_str() };
            let version = if own { &*found.version } else { sub.version.as_str() };
            json!({"subresource": sub.name, "verbs": sub.verbs,
                   "responseKind": {"group": group, "version": version, "kind": sub.kind}})
        });
        entry["subresources"] = subs.collect();
    }
    entry
}
