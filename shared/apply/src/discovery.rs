//! Which path serves a kind, and whether it is namespaced: asked per group and version, remembered per cluster.
//!
//! Only the group-versions that are used are ever fetched, one small request each, so a process holds a few kilobytes
//! of discovery whatever the cluster serves. A miss fetches again (a CRD may have arrived), a 404 on a path forgets.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::Method;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::Instant;

use crate::{
    object::{GroupKind, join_api_version},
    rest::{self, RequestError, encode},
};

/// A kind as the API server serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// API group, empty for the core group.
    pub group: String,
    /// API version without group.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Name in paths, such as `deployments`.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

/// Why a kind could not be found.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DiscoveryError {
    /// The API server does not serve the kind.
    #[error("no matches for kind {kind:?} in version {api_version:?}")]
    NoMatch {
        /// Kind asked for.
        kind: String,
        /// Group and version asked for.
        api_version: String,
    },
    /// The API server serves the kind in no version.
    #[error("no matches for kind {kind:?} in group {group:?}")]
    NoGroupMatch {
        /// Kind asked for.
        kind: String,
        /// Group asked for.
        group: String,
    },
    /// Discovery itself failed.
    #[error("failed to get API group resources: {0}")]
    Failed(String),
}

/// A group-version whose kinds did not hold the one asked for is not fetched again within this time.
const MISS_HOLD: Duration = Duration::from_millis(100);
/// Versions of a group are asked for again after this time.
const GROUP_HOLD: Duration = Duration::from_secs(600);

/// The discovery cache of one cluster.
pub struct Discovery {
    client: kube::Client,
    versions: Mutex<HashMap<String, Arc<GroupVersion>>>,
    groups: Mutex<HashMap<String, (Instant, Vec<String>)>>,
    /// One fetch at a time, so that a hundred misses cost one request.
    fetching: tokio::sync::Mutex<()>,
}

struct GroupVersion {
    fetched: Instant,
    resources: Vec<Arc<Resource>>,
}

impl Discovery {
    /// An empty cache. `client` needs no rights beyond those of any authenticated user.
    pub fn new(client: kube::Client) -> Self {
        Self {
            client,
            versions: Mutex::default(),
            groups: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// Finds the resource of a kind in one version; asks the API server only for what is not known.
    ///
    /// # Errors
    /// [`DiscoveryError::NoMatch`] when a fresh answer does not hold the kind.
    pub async fn resource(
        &self,
        group: &str,
        version: &str,
        kind: &str,
    ) -> Result<Arc<Resource>, DiscoveryError> {
        let api_version = join_api_version(group, version);
        if let Some(found) = self.known(&api_version, kind) {
            return Ok(found);
        }
        let missed = Instant::now();
        let _one = self.fetching.lock().await;
        if let Some(found) = self.known(&api_version, kind) {
            return Ok(found);
        }
        let no_match = || DiscoveryError::NoMatch { kind: kind.to_owned(), api_version: api_version.clone() };
        if let Some(known) = self.versions.lock().get(&api_version)
            && known.fetched + MISS_HOLD > missed
        {
            return Err(no_match());
        }
        let resources = self.fetch(group, version).await?;
        let fresh = Arc::new(GroupVersion { fetched: Instant::now(), resources });
        self.versions.lock().insert(api_version.clone(), fresh);
        self.known(&api_version, kind).ok_or_else(no_match)
    }

    /// Finds the resource of a kind in the version that the API server prefers.
    ///
    /// # Errors
    /// [`DiscoveryError::NoGroupMatch`] when no version holds the kind.
    pub async fn preferred(&self, id: &GroupKind) -> Result<Arc<Resource>, DiscoveryError> {
        for fresh in [false, true] {
            for version in self.group_versions(&id.group, fresh).await? {
                match self.resource(&id.group, &version, &id.kind).await {
                    Err(DiscoveryError::NoMatch { .. }) => {}
                    other => return other,
                }
            }
        }
        Err(DiscoveryError::NoGroupMatch { kind: id.kind.clone(), group: id.group.clone() })
    }

    /// Forgets a group-version, after a request found that its path is not served any more.
    pub fn forget(&self, group: &str, version: &str) {
        self.versions.lock().remove(&join_api_version(group, version));
        self.groups.lock().remove(group);
    }

    fn known(&self, api_version: &str, kind: &str) -> Option<Arc<Resource>> {
        self.versions.lock().get(api_version)?.resources.iter().find(|r| r.kind == kind).cloned()
    }

    async fn fetch(&self, group: &str, version: &str) -> Result<Vec<Arc<Resource>>, DiscoveryError> {
        let path = match group.is_empty() {
            true => format!("/api/{}", encode(version)),
            false => format!("/apis/{}/{}", encode(group), encode(version)),
        };
        let list: List = match self.get(&path).await {
            Ok(list) => list,
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            Err(error) => return Err(DiscoveryError::Failed(error.to_string())),
        };
        Ok(list
            .resources
            .into_iter()
            .filter(|r| !r.name.contains('/'))
            .map(|r| {
                Arc::new(Resource {
                    group: group.to_owned(),
                    version: version.to_owned(),
                    kind: r.kind,
                    plural: r.name,
                    namespaced: r.namespaced,
                })
            })
            .collect())
    }

    /// Versions of a group, the preferred one first.
    async fn group_versions(&self, group: &str, fresh: bool) -> Result<Vec<String>, DiscoveryError> {
        if group.is_empty() {
            return Ok(vec!["v1".to_owned()]);
        }
        if let Some((at, versions)) = self.groups.lock().get(group)
            && (!fresh && at.elapsed() < GROUP_HOLD || at.elapsed() < MISS_HOLD)
        {
            return Ok(versions.clone());
        }
        let answer: Group = match self.get(&format!("/apis/{}", encode(group))).await {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            Err(error) => return Err(DiscoveryError::Failed(error.to_string())),
        };
        let mut versions: Vec<String> = answer.versions.into_iter().map(|v| v.version).collect();
        if let Some(preferred) = answer.preferred_version {
            versions.retain(|v| *v != preferred.version);
            versions.insert(0, preferred.version);
        }
        self.groups.lock().insert(group.to_owned(), (Instant::now(), versions.clone()));
        Ok(versions)
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, RequestError> {
        rest::send(
            &self.client,
            rest::request(Method::GET, path, "application/json", "application/json", Vec::new())?,
        )
        .await
    }
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    resources: Vec<ListItem>,
}

#[derive(Deserialize)]
struct ListItem {
    name: String,
    kind: String,
    namespaced: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    #[serde(default)]
    versions: Vec<GroupVersionName>,
    preferred_version: Option<GroupVersionName>,
}

#[derive(Deserialize)]
struct GroupVersionName {
    version: String,
}
