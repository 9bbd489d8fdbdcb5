//! What all passes share.

use crate::FIELD_MANAGER;
use crate::chart::Charts;
use crate::config::Config;
use crate::release::{Followed, Unmoved};
use crate::source::Sources;
use crate::target::Targets;
use crate::template::Written;
use kube::{Api, Client};
use sluice_api::helm::HelmRelease;
use sluice_api::meta::{READY, RECONCILING, STALLED};
use sluice_artifact::{FetchOptions, Fetcher};
use sluice_runtime::controller::{DriftBudget, Handle};
use sluice_runtime::dependencies::Held;
use sluice_runtime::events::Recorder;
use sluice_runtime::flags::FeatureGates;
use sluice_runtime::kubeconfig::Allowed;
use sluice_runtime::status::Patcher;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tracing::warn;

/// Condition types beside those that all kinds have.
pub(crate) const RELEASED: &str = "Released";
pub(crate) const REMEDIATED: &str = "Remediated";
pub(crate) const TEST_SUCCESS: &str = "TestSuccess";
pub(crate) const DRIFTED: &str = "Drifted";

/// Bytes of a chart's archive at most: what Helm allows a chart to be when it is unpacked.
const MAX_ARCHIVE: u64 = 100 << 20;

/// Actions at a time for each pass at a time: their memory is bounded by it.
const ACTIONS: usize = 4;

/// What all passes share.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) gates: FeatureGates,
    pub(crate) client: Client,
    pub(crate) events: Recorder,
    pub(crate) handle: Handle<HelmRelease>,
    pub(crate) patcher: Patcher,
    pub(crate) sources: Sources,
    pub(crate) templates: Written,
    pub(crate) charts: Charts,
    pub(crate) targets: Targets,
    pub(crate) unmoved: Unmoved,
    pub(crate) followed: Followed,
    pub(crate) drift_budget: Arc<DriftBudget>,
    pub(crate) held: Held,
    /// Places for actions that make revisions.
    pub(crate) acting: Semaphore,
}

impl Context {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(
        config: Config,
        gates: FeatureGates,
        client: Client,
        events: Recorder,
        handle: Handle<HelmRelease>,
    ) -> Self {
        let fetch =
            FetchOptions { retries: config.http_retry, max_bytes: MAX_ARCHIVE, ..FetchOptions::default() };
        let http = reqwest::Client::builder().timeout(config.http_timeout).build().unwrap_or_else(|err| {
            warn!(error = %err, "--http-timeout cannot be set");
            reqwest::Client::new()
        });
        let allowed =
            Allowed { exec: config.insecure_kubeconfig_exec, insecure_tls: config.insecure_kubeconfig_tls };
        Self {
            patcher: Patcher::new(
                FIELD_MANAGER,
                &[READY, RECONCILING, STALLED, RELEASED, REMEDIATED, TEST_SUCCESS, DRIFTED],
            ),
            sources: Sources::default(),
            templates: Written::default(),
            charts: Charts::new(Fetcher::new(http, fetch.with_hosts_from_env())),
            targets: Targets::new(client.clone(), allowed),
            unmoved: Unmoved::default(),
            followed: Followed::default(),
            drift_budget: Arc::default(),
            held: Held::default(),
            acting: Semaphore::new(ACTIONS * config.concurrent.max(1)),
            config,
            gates,
            client,
            events,
            handle,
        }
    }

    /// The API of the HelmReleases of a namespace.
    pub(crate) fn api(&self, namespace: &str) -> Api<HelmRelease> {
        Api::namespaced(self.client.clone(), namespace)
    }
}
