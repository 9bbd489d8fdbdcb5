//! What all parts share.

use crate::STATUS_MANAGER;
use crate::config::Config;
use crate::lanes::Lanes;
use crate::limiter::Limiter;
use crate::matching::Matcher;
use kube::Client;
use sluice_api::meta::{READY, RECONCILING, STALLED};
use sluice_api::notification::{Provider, Receiver};
use sluice_runtime::events::Recorder;
use sluice_runtime::flags::FeatureGates;
use sluice_runtime::status::Patcher;
use sluice_runtime::watch::Watched;
use std::sync::Arc;

/// What all parts share.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) gates: FeatureGates,
    pub(crate) client: Client,
    pub(crate) events: Recorder,
    pub(crate) patcher: Patcher,
    pub(crate) limiter: Limiter,
    pub(crate) alerts: Watched<Arc<Matcher>>,
    pub(crate) providers: Watched<Arc<Provider>>,
    pub(crate) receivers: Watched<Arc<Receiver>>,
    pub(crate) lanes: Lanes,
}

impl Context {
    pub(crate) fn new(config: Config, gates: FeatureGates, client: Client, events: Recorder) -> Self {
        Self {
            limiter: Limiter::new(config.rate_limit_interval),
            patcher: Patcher::new(STATUS_MANAGER, &[READY, RECONCILING, STALLED]),
            alerts: Watched::default(),
            providers: Watched::default(),
            receivers: Watched::default(),
            lanes: Lanes::default(),
            config,
            gates,
            client,
            events,
        }
    }
}

/// The text of an API error: what the server says where it answered, else the chain of causes.
pub(crate) fn api_error(err: &kube::Error) -> String {
    match err {
        kube::Error::Api(status) => status.message.clone(),
        other => sluice_runtime::telemetry::chain(other).to_string(),
    }
}
