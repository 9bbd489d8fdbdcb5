//! What the cluster serves: asked once, in two requests where it can be.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource;
use kube::Client;
use kube::core::discovery::v2::{APIGroupDiscovery, APIVersionDiscovery};

use super::super::log;
use super::request::RequestError;

/// A kind, and where its objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Served {
    /// As in `apiVersion`.
    group_version: String,
    kind: String,
    /// The name in paths.
    plural: String,
    pub(super) namespaced: bool,
}

impl Served {
    /// The path of an object, or of a collection where the name is empty.
    pub(super) fn path(&self, namespace: &str, name: &str) -> String {
        let root = if self.group_version.contains('/') { "apis" } else { "api" };
        let mut path = format!("/{root}/{}", self.group_version);
        for (part, text) in [("namespaces/", namespace), ("", &self.plural), ("", name)] {
            if !text.is_empty() {
                path.push('/');
                path.push_str(part);
                path.push_str(&encode(text));
            }
        }
        path
    }
}

/// A text as one segment of a path.
fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// All that is served.
#[derive(Debug, Default)]
pub(super) struct Apis {
    /// `group/version`.
    versions: BTreeSet<String>,
    /// `group/version/Kind`, those of subresources too.
    kinds: BTreeSet<String>,
    resources: Vec<Served>,
}

impl Apis {
    /// Asks the cluster. A group that it cannot tell of is left out, with a line in the log.
    pub(super) async fn discover(client: &Client) -> Result<Self, RequestError> {
        let mut apis = Self::default();
        // A server that is too old for one document answers with another one, which holds no items.
        let core = client.list_core_api_versions_aggregated().await?;
        if core.items.is_empty() {
            apis.discover_each(client).await?;
            return Ok(apis);
        }
        let others = client.list_api_groups_aggregated().await?;
        for group in core.items.iter().chain(&others.items) {
            apis.add_group(group);
        }
        Ok(apis)
    }

    fn add_group(&mut self, group: &APIGroupDiscovery) {
        let name = group.metadata.as_ref().and_then(|metadata| metadata.name.as_deref()).unwrap_or_default();
        for served in &group.versions {
            let version = served.version.as_deref().unwrap_or_default();
            let group_version =
                if name.is_empty() { version.to_owned() } else { format!("{name}/{version}") };
            if served.freshness.as_deref() == Some("Stale") {
                unknown(&group_version, "stale GroupVersion discovery");
            }
            self.add_version(group_version, served);
        }
    }

    fn add_version(&mut self, group_version: String, served: &APIVersionDiscovery) {
        for resource in &served.resources {
            let kind = |kind: &Option<kube::core::discovery::v2::GroupVersionKind>| {
                kind.as_ref().and_then(|it| it.kind.clone()).filter(|kind| !kind.is_empty())
            };
            if let Some(kind) = kind(&resource.response_kind) {
                self.kinds.insert(format!("{group_version}/{kind}"));
                self.resources.push(Served {
                    group_version: group_version.clone(),
                    kind,
                    plural: resource.resource.clone().unwrap_or_default(),
                    namespaced: resource.scope.as_deref() == Some("Namespaced"),
                });
            }
            let below = resource.subresources.iter().filter_map(|it| kind(&it.response_kind));
            self.kinds.extend(below.map(|kind| format!("{group_version}/{kind}")));
        }
        self.versions.insert(group_version);
    }

    /// As servers before Kubernetes 1.27 are asked: a request per version of a group.
    async fn discover_each(&mut self, client: &Client) -> Result<(), RequestError> {
        let core = client.list_core_api_resources("v1").await?;
        self.add_list("v1".to_owned(), core.resources);
        for group in client.list_api_groups().await?.groups {
            for version in group.versions {
                match client.list_api_group_resources(&version.group_version).await {
                    Ok(list) => self.add_list(version.group_version, list.resources),
                    Err(error) => {
                        unknown(&version.group_version, &RequestError::from(error).to_string());
                        self.versions.insert(version.group_version);
                    }
                }
            }
        }
        Ok(())
    }

    fn add_list(&mut self, group_version: String, resources: Vec<APIResource>) {
        for resource in resources {
            self.kinds.insert(format!("{group_version}/{}", resource.kind));
            if !resource.name.contains('/') {
                self.resources.push(Served {
                    group_version: group_version.clone(),
                    kind: resource.kind,
                    plural: resource.name,
                    namespaced: resource.namespaced,
                });
            }
        }
        self.versions.insert(group_version);
    }

    /// `.Capabilities.APIVersions`: versions, then kinds.
    pub(super) fn names(&self) -> Vec<String> {
        self.versions.iter().chain(&self.kinds).cloned().collect()
    }

    /// Whether there is such a version of a group.
    pub(super) fn has_version(&self, group_version: &str) -> bool {
        self.versions.contains(group_version)
    }

    /// The kind, if it is served in this version.
    pub(super) fn find(&self, group_version: &str, kind: &str) -> Option<&Served> {
        self.resources.iter().find(|it| it.group_version == group_version && it.kind == kind)
    }
}

fn unknown(group_version: &str, problem: &str) {
    log("WARN", &format!("the kinds of {group_version} are not known: {problem}"));
}
