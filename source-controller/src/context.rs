//! What all passes of this controller share.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use kube::Client;
use sluice_api::source::HelmChart;
use sluice_artifact::Store;
use sluice_runtime::Handle;
use sluice_runtime::events::Recorder;
use sluice_runtime::flags::FeatureGates;
use sluice_runtime::hosts::HostLimits;
use tokio::sync::Semaphore;

/// Field manager of every write, and source of every event.
pub const CONTROLLER: &str = "source-controller";

/// Shared by all passes over all kinds.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Where artifacts lie.
    pub store: std::sync::Arc<Store>,
    /// Where events go.
    pub events: Recorder,
    /// Wait after a pass that lacks something (`--requeue-dependency`).
    pub requeue_dependency: Duration,
    /// Which optional behaviour is on.
    pub gates: FeatureGates,
    /// At most this many operations at a time per remote host.
    pub hosts: HostLimits,
    /// Passes that may wait at a time without counting as one of `--concurrent`: see [`crate::work::Work::wait`].
    pub waiting: Semaphore,
    /// The charts, once there is a controller for them: who stores a new artifact wakes those that are made of it.
    pub charts: OnceLock<Handle<HelmChart>>,
    /// Parent of the working directories of passes.
    pub work_root: PathBuf,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("store", &self.store).finish_non_exhaustive()
    }
}
