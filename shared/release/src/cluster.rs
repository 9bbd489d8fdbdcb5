//! A cluster as one identity sees it: client, kinds, and what templates may know of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use parking_lot::Mutex;
use serde::Deserialize;
use sluice_apply::discovery::Discovery;
use sluice_apply::object::join_api_version;
use sluice_apply::rest::{self, RequestError};
use sluice_helm::Capabilities;
use sluice_helm::capabilities::KubeVersion;
use tokio::time::Instant;

/// How old an answer may be for a chart that does not look at it.
const FRESH: Duration = Duration::from_secs(30);
/// Everything that the server has, in one document.
const AGGREGATED: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;q=0.9";

/// A cluster and an identity. Cheap to clone; all clones share discovery. Keep one for all releases of an identity.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    client: kube::Client,
    discovery: Arc<Discovery>,
    capabilities: Mutex<Option<(Instant, Arc<Capabilities>)>>,
    /// One fetch at a time.
    fetching: tokio::sync::Mutex<()>,
}

impl Cluster {
    /// Takes a client of the identity that releases act as. Sends nothing yet.
    #[must_use]
    pub fn new(client: kube::Client) -> Self {
        let discovery = Arc::new(Discovery::new(client.clone()));
        Self {
            inner: Arc::new(Inner {
                client,
                discovery,
                capabilities: Mutex::default(),
                fetching: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &kube::Client {
        &self.inner.client
    }

    /// The kinds that the cluster serves.
    #[must_use]
    pub fn discovery(&self) -> &Arc<Discovery> {
        &self.inner.discovery
    }

    /// What templates see as `.Capabilities`; asked for again if it is `needed` as it is now.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub(crate) async fn capabilities(&self, needed: bool) -> Result<Arc<Capabilities>, RequestError> {
        let asked = Instant::now();
        let known = || {
            let known = self.inner.capabilities.lock();
            let (at, capabilities) = known.as_ref()?;
            let fresh = if needed { *at >= asked } else { at.elapsed() < FRESH };
            fresh.then(|| capabilities.clone())
        };
        if let Some(capabilities) = known() {
            return Ok(capabilities);
        }
        let _one = self.inner.fetching.lock().await;
        if let Some(capabilities) = known() {
            return Ok(capabilities);
        }
        let began = Instant::now();
        let capabilities = Arc::new(self.fetch().await?);
        *self.inner.capabilities.lock() = Some((began, capabilities.clone()));
        Ok(capabilities)
    }

    /// Forgets which APIs there are, after CRDs were applied.
    pub(crate) fn forget_apis(&self) {
        *self.inner.capabilities.lock() = None;
    }

    async fn fetch(&self) -> Result<Capabilities, RequestError> {
        let version: Version = self.get("/version").await?;
        let mut apis = Apis::default();
        for path in ["/api", "/apis"] {
            let answer: Answer = self.get(path).await?;
            if answer.kind == "APIGroupDiscoveryList" {
                answer.items.into_iter().for_each(|group| apis.add(group));
                continue;
            }
            // An old server: one request per version.
            let core =
                answer.versions.into_iter().map(|version| (version.clone(), format!("/api/{version}")));
            let others = answer.groups.into_iter().flat_map(|group| group.versions);
            let others = others.map(|version| {
                let path = format!("/apis/{}", version.group_version);
                (version.group_version, path)
            });
            for (version, path) in core.chain(others) {
                // A group whose server is away takes nothing from the others.
                if let Ok(list) = self.get::<Resources>(&path).await {
                    let kinds = list.resources.into_iter().filter(|r| !r.name.contains('/'));
                    apis.add_kinds(&version, kinds.map(|r| r.kind));
                }
            }
        }
        Ok(Capabilities {
            kube_version: KubeVersion {
                version: version.git_version,
                normalized: None,
                major: version.major,
                minor: version.minor,
            },
            api_versions: apis.list(),
            ..Capabilities::default()
        })
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, RequestError> {
        rest::send(&self.inner.client, rest::request(Method::GET, path, rest::JSON, AGGREGATED, Vec::new())?)
            .await
    }
}

/// `group/version` and `group/version/Kind`, the former first.
#[derive(Default)]
struct Apis {
    versions: BTreeSet<String>,
    kinds: BTreeSet<String>,
}

impl Apis {
    fn add(&mut self, group: Group) {
        for version in group.versions {
            let api_version = join_api_version(&group.metadata.name, &version.version);
            let kinds = version.resources.into_iter().filter_map(|resource| resource.response_kind);
            self.add_kinds(&api_version, kinds.map(|kind| kind.kind));
        }
    }

    fn add_kinds(&mut self, api_version: &str, kinds: impl Iterator<Item = String>) {
        self.kinds.extend(kinds.map(|kind| format!("{api_version}/{kind}")));
        self.versions.insert(api_version.to_owned());
    }

    fn list(self) -> Vec<String> {
        self.versions.into_iter().chain(self.kinds).collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Version {
    git_version: String,
    major: String,
    minor: String,
}

/// One of three: an aggregated list, the versions of the core group, the other groups.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    kind: String,
    items: Vec<Group>,
    versions: Vec<String>,
    groups: Vec<OldGroup>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    metadata: GroupName,
    #[serde(default)]
    versions: Vec<GroupVersion>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct GroupName {
    name: String,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
    #[serde(default)]
    resources: Vec<AggregatedResource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AggregatedResource {
    response_kind: Option<ResponseKind>,
}

#[derive(Deserialize)]
struct ResponseKind {
    kind: String,
}

#[derive(Deserialize)]
struct OldGroup {
    #[serde(default)]
    versions: Vec<OldVersion>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OldVersion {
    group_version: String,
}

#[derive(Deserialize)]
struct Resources {
    #[serde(default)]
    resources: Vec<OldResource>,
}

#[derive(Deserialize)]
struct OldResource {
    name: String,
    kind: String,
}
