//! OpenAPI documents: version 3 per group, version 2 in one, as JSON or in the protobuf that client-go asks for.

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use http::{HeaderMap, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

use super::Context;
use super::negotiate::{self, Encoding};
use super::openapi_protobuf;
use super::response::{self, Body};
use crate::api::{GroupVersion, Served};
use crate::schema::{CustomKind, openapi_v2, openapi_v3_builtin, openapi_v3_custom, openapi_v3_plain};

/// The media type of version 2 in protobuf.
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// What clients call it that do not mind that this is no media type; it is never answered with.
const OLD_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// Answers what is below `/openapi`; `None` where there is nothing at this path.
pub(super) fn answer(
    context: &Context,
    served: &Served,
    segments: &[&str],
    headers: &HeaderMap,
    encoding: Encoding,
) -> Option<Response<Body>> {
    match segments {
        ["v2"] => Some(version_2(context, served, headers, encoding)),
        ["v3"] => Some(response::value(200, &index(context, served), encoding)),
        ["v3", path @ ..] => {
            let document = match path {
                ["api", version] => version_3(context, served, "", version),
                ["apis", group, version] => version_3(context, served, group, version),
                _ => plain(served).contains(&path.join("/")).then(|| openapi_v3_plain(&path.join("/"))),
            };
            Some(match document {
                Some(document) => response::value(200, &document, encoding),
                None => response::text(404, ""),
            })
        }
        _ => None,
    }
}

/// The paths with documents that are no versions of groups.
fn plain(served: &Served) -> Vec<String> {
    let mut paths = vec!["api".to_owned(), "apis".to_owned(), "version".to_owned()];
    let groups = served.versions.iter().filter(|found| !found.group.is_empty());
    paths.extend(groups.map(|found| format!("apis/{}", found.group)));
    paths.dedup();
    paths
}

/// Where the documents are. The hash of what a document is made from tells clients when theirs is old.
fn index(context: &Context, served: &Served) -> Value {
    let definitions = definitions(context);
    let mut paths: BTreeMap<String, Value> = BTreeMap::new();
    let mut add = |path: String, content: &[&Value]| {
        let mut hash = Sha512::new_with_prefix(&path);
        content.iter().for_each(|part| hash.update(part.to_string()));
        let mut url = format!("/openapi/v3/{path}?hash=");
        hash.finalize().iter().for_each(|byte| {
            let _ = write!(url, "{byte:02X}"); // a String takes everything
        });
        paths.insert(path, json!({"serverRelativeURL": url}));
    };
    for path in plain(served) {
        add(path, &[]);
    }
    for found in &served.versions {
        let of_group = definitions.iter().filter(|definition| definition["spec"]["group"] == *found.group);
        let specs: Vec<&Value> = of_group.map(|definition| &definition["spec"]).collect();
        match &*found.group {
            "" => add(format!("api/{}", found.version), &specs),
            group => add(format!("apis/{group}/{}", found.version), &specs),
        }
    }
    json!({"paths": paths})
}

fn version_3(context: &Context, served: &Served, group: &str, version: &str) -> Option<Value> {
    let found = served.group_version(group, version)?;
    if found.resources.iter().all(|resource| resource.custom.is_none()) {
        return openapi_v3_builtin(group, version);
    }
    Some(openapi_v3_custom(group, version, &custom_kinds(found, &definitions(context))))
}

fn version_2(context: &Context, served: &Served, headers: &HeaderMap, encoding: Encoding) -> Response<Body> {
    let media = negotiate::media(headers);
    let wanted = media.iter().map(|media| media.kind);
    let known = ["application/json", "application/*", "*/*", PROTOBUF, OLD_PROTOBUF];
    let chosen = if media.is_empty() { Some("*/*") } else { { wanted }.find(|kind| known.contains(kind)) };
    let Some(chosen) = chosen else { return response::text(406, "") };
    let definitions = definitions(context);
    let custom: Vec<_> = served
        .versions
        .iter()
        .map(|found| (&*found.group, &*found.version, custom_kinds(found, &definitions)))
        .collect();
    let document = openapi_v2(&custom);
    if [PROTOBUF, OLD_PROTOBUF].contains(&chosen) {
        return response::json_bytes(200, Bytes::from(openapi_protobuf::encode(&document)), PROTOBUF);
    }
    response::value(200, &document, encoding)
}

/// Every CustomResourceDefinition.
fn definitions(context: &Context) -> Vec<Value> {
    let target = context.api.target("apiextensions.k8s.io", "v1", "customresourcedefinitions", "", "");
    let page = target.and_then(|target| context.api.list(&target, &crate::api::ListOptions::default()));
    page.map(|page| page.objects.iter().map(|stored| stored.value()).collect()).unwrap_or_default()
}

/// The kinds of a group version that definitions describe.
fn custom_kinds<'a>(found: &'a GroupVersion, definitions: &'a [Value]) -> Vec<CustomKind<'a>> {
    let custom = found.resources.iter().filter(|resource| resource.custom.is_some());
    custom
        .filter_map(|resource| {
            let definition = definitions.iter().find(|definition| {
                definition["spec"]["group"] == *found.group
                    && definition["spec"]["names"]["plural"] == *resource.plural
            })?;
            let versions = definition["spec"]["versions"].as_array()?;
            let version = versions.iter().find(|candidate| candidate["name"] == *found.version)?;
            Some(CustomKind {
                kind: &resource.kind,
                plural: &resource.plural,
                namespaced: resource.namespaced,
                schema: &version["schema"]["openAPIV3Schema"],
            })
        })
        .collect()
}
