//! What all passes share.

use crate::build::Builds;
use crate::config::Config;
use crate::scratch::Scratch;
use crate::source::Sources;
use crate::tree::Trees;
use crate::{NAME, STATUS_MANAGER};
use kube::{Api, Client};
use sluice_api::kustomize::Kustomization;
use sluice_api::meta::{HEALTHY, READY, RECONCILING, STALLED};
use sluice_apply::{Cluster, ClusterOptions, Drift, GroupKind};
use sluice_artifact::{FetchOptions, Fetcher};
use sluice_runtime::client::Identities;
use sluice_runtime::controller::{Cause, DriftBudget, Handle, Key};
use sluice_runtime::dependencies::Held;
use sluice_runtime::events::Recorder;
use sluice_runtime::flags::FeatureGates;
use sluice_runtime::status::Patcher;
use tokio::sync::Semaphore;
use tracing::debug;

/// Builds at a time: they are what takes memory.
const CONCURRENT_BUILDS: usize = 2;

/// What all passes share.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) gates: FeatureGates,
    pub(crate) client: Client,
    pub(crate) identities: Identities,
    pub(crate) events: Recorder,
    pub(crate) handle: Handle<Kustomization>,
    pub(crate) patcher: Patcher,
    pub(crate) sources: Sources,
    pub(crate) trees: Trees,
    pub(crate) builds: Builds,
    pub(crate) building: Semaphore,
    pub(crate) cluster: Cluster,
    pub(crate) held: Held,
    pub(crate) custom_stage: Vec<GroupKind>,
}

impl Context {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(
        config: Config,
        gates: FeatureGates,
        client: Client,
        events: Recorder,
        handle: Handle<Kustomization>,
        scratch: Scratch,
    ) -> Self {
        let options = ClusterOptions {
            field_manager: NAME.to_owned(),
            override_managers: config.override_manager.clone(),
            ..ClusterOptions::default()
        };
        let (asked, budget) = (handle.clone(), DriftBudget::default());
        let cluster = Cluster::new(client.clone(), options, move |drift: Drift| {
            let key = Key::new(&drift.owner.namespace, &drift.owner.name);
            if budget.spend(&key) {
                debug!(%drift, "drift seen");
                asked.trigger(key, Cause::Related(drift.id.to_string().into()));
            }
        });
        let fetch =
            FetchOptions { retries: config.http_retry, ..FetchOptions::default() }.with_hosts_from_env();
        let stages =
            config.custom_apply_stage_kinds.iter().map(|kind| kind.trim()).filter(|kind| !kind.is_empty());
        Self {
            custom_stage: stages.map(GroupKind::parse).collect(),
            identities: Identities::new(client.clone()),
            patcher: Patcher::new(STATUS_MANAGER, &[READY, RECONCILING, STALLED, HEALTHY]),
            sources: Sources::default(),
            trees: Trees::new(Fetcher::new(reqwest::Client::new(), fetch), scratch),
            builds: Builds::default(),
            building: Semaphore::new(CONCURRENT_BUILDS),
            cluster,
            held: Held::default(),
            config,
            gates,
            client,
            events,
            handle,
        }
    }

    /// The API of the Kustomizations of a namespace.
    pub(crate) fn api(&self, namespace: &str) -> Api<Kustomization> {
        Api::namespaced(self.client.clone(), namespace)
    }
}
