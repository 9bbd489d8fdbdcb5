//! `lookup` in templates, answered by the cluster.

use serde_json::{Value, json};
use sluice_apply::discovery::DiscoveryError;
use sluice_apply::object::split_api_version;
use sluice_apply::rest;
use sluice_helm::render::{Lookup, name_items};
use tokio::runtime::Handle;

use crate::cluster::Cluster;

/// Asks a cluster from a thread that may block.
pub(crate) struct FromCluster {
    pub(crate) cluster: Cluster,
    pub(crate) runtime: Handle,
}

impl Lookup for FromCluster {
    fn lookup(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<Value, String> {
        self.runtime.block_on(self.ask(api_version, kind, namespace, name))
    }
}

impl FromCluster {
    async fn ask(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<Value, String> {
        let (group, version) = split_api_version(api_version);
        let resource = match self.cluster.discovery().resource(group, version, kind).await {
            Ok(resource) => resource,
            Err(DiscoveryError::NoMatch { .. } | DiscoveryError::NoGroupMatch { .. }) => {
                // A version that is served and lacks the kind has none of it; one that is not served is a mistake.
                return match self.cluster.serves(api_version).await {
                    Ok(true) => Ok(json!({})),
                    Ok(false) => Err(format!(
                        "unable to get apiresource from unstructured: {group}/{version}, Kind={kind}: the server could \
                         not find the requested resource"
                    )),
                    Err(error) => Err(error.to_string()),
                };
            }
            Err(error) => return Err(error.to_string()),
        };
        let path = match name {
            "" => resource.collection(namespace),
            name => resource.path(namespace, name),
        };
        match rest::get(self.cluster.client(), &path).await {
            Ok(mut found) => {
                if name.is_empty() {
                    name_items(&mut found);
                }
                Ok(found)
            }
            Err(error) if error.is_not_found() => Ok(json!({})),
            Err(error) => Err(error.to_string()),
        }
    }
}
