//! A cluster as one identity sees it: client, kinds, and what templates may know of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::core::discovery::v2::APIGroupDiscovery;
use parking_lot::Mutex;
use sluice_apply::discovery::Discovery;
use sluice_apply::object::join_api_version;
use sluice_apply::rest::RequestError;
use sluice_helm::Capabilities;
use sluice_helm::capabilities::KubeVersion;
use tokio::time::Instant;

/// How old an answer may be for a chart that does not look at it.
const FRESH: Duration = Duration::from_secs(30);

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

    /// Whether a version of a group is served now.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub(crate) async fn serves(&self, api_version: &str) -> Result<bool, RequestError> {
        let capabilities = self.capabilities(true).await?;
        Ok(capabilities.api_versions.iter().any(|version| version == api_version))
    }

    /// Forgets which APIs there are, after CRDs were applied.
    pub(crate) fn forget_apis(&self) {
        *self.inner.capabilities.lock() = None;
    }

    async fn fetch(&self) -> Result<Capabilities, RequestError> {
        let client = &self.inner.client;
        let version = client.apiserver_version().await?;
        let mut apis = Apis::default();
        // A server that is too old for one document answers with another one, which holds no items.
        let core = client.list_core_api_versions_aggregated().await?;
        if core.items.is_empty() {
            apis.ask_each(client).await?;
        } else {
            let others = client.list_api_groups_aggregated().await?;
            core.items.iter().chain(&others.items).for_each(|group| apis.add_group(group));
        }
        Ok(Capabilities {
            kube_version: KubeVersion {
                version: version.git_version,
                normalized: None,
                major: version.major,
                minor: version.minor,
            },
            api_versions: apis.versions.into_iter().chain(apis.kinds).collect(),
            ..Capabilities::default()
        })
    }
}

/// `.Capabilities.APIVersions`.
#[derive(Default)]
struct Apis {
    /// `group/version`.
    versions: BTreeSet<String>,
    /// `group/version/Kind`, those of subresources too.
    kinds: BTreeSet<String>,
}

impl Apis {
    fn add_group(&mut self, group: &APIGroupDiscovery) {
        let name = group.metadata.as_ref().and_then(|metadata| metadata.name.as_deref()).unwrap_or_default();
        for served in &group.versions {
            let version = join_api_version(name, served.version.as_deref().unwrap_or_default());
            for resource in &served.resources {
                let below = resource.subresources.iter().map(|it| &it.response_kind);
                let kinds =
                    below.chain([&resource.response_kind]).flatten().filter_map(|it| it.kind.as_deref());
                self.add(&version, kinds);
            }
            self.versions.insert(version);
        }
    }

    /// As servers before Kubernetes 1.27 are asked: a request per version of a group.
    async fn ask_each(&mut self, client: &kube::Client) -> Result<(), RequestError> {
        let core = client.list_core_api_resources("v1").await?;
        self.add("v1", core.resources.iter().map(|it| it.kind.as_str()));
        self.versions.insert("v1".to_owned());
        for group in client.list_api_groups().await?.groups {
            for version in group.versions {
                // A group whose server is away takes nothing from the others.
                if let Ok(list) = client.list_api_group_resources(&version.group_version).await {
                    self.add(&version.group_version, list.resources.iter().map(|it| it.kind.as_str()));
                }
                self.versions.insert(version.group_version);
            }
        }
        Ok(())
    }

    fn add<'a>(&mut self, version: &str, kinds: impl Iterator<Item = &'a str>) {
        self.kinds.extend(kinds.filter(|kind| !kind.is_empty()).map(|kind| format!("{version}/{kind}")));
    }
}
