//! Installs charts as Helm releases and keeps them as HelmReleases say: upgrades, tests, rolls back, corrects drift.
//!
//! One pass over a HelmRelease is [`reconcile`]: the prerequisites, each in its own module, and then [`release`], which
//! looks where the release stands ([`state`]), chooses what to do ([`choose`]) and does it, until there is nothing left.
//! Status, events and the time of the next pass are decided in one place, [`attempt`]. What Helm does with a cluster is
//! elsewhere (`shared/release`), and so are charts (`shared/helm`) and the machinery of controllers (`shared/runtime`).

mod attempt;
mod chart;
mod choose;
mod config;
mod context;
mod dependencies;
mod digests;
mod finalize;
mod history;
mod names;
mod policy;
mod reconcile;
mod release;
mod source;
mod state;
mod target;
mod template;
pub mod values;
mod watches;

pub use config::{Config, ConfigError};
pub use names::ReleaseName;

use context::Context;
use sluice_api::helm::HelmRelease;
use sluice_runtime::controller::{Controller, Options};
use sluice_runtime::process::Process;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Name of the controller: event source and field manager of what it writes.
pub const NAME: &str = "helm-controller";
/// Field manager of HelmReleases, HelmCharts and applied objects.
pub(crate) const FIELD_MANAGER: &str = NAME;

/// Runs the controller until `shutdown`.
///
/// # Errors
/// Flags that do not go together, addresses that cannot be listened on, lost leadership, a task that failed.
pub async fn run(config: Config, client: kube::Client, shutdown: CancellationToken) -> anyhow::Result<()> {
    let gates = config.gates()?;
    let process = Process::start(NAME, &config.common, client, &shutdown).await?;
    let api = config.common.api::<HelmRelease>(process.client());
    let mut options = Options::new("helmrelease", config.concurrent, &config.common, process.metrics());
    // Actions are cancelled at once; what is left to do is to write down how far they got.
    options.grace = options.grace.min(config.graceful_shutdown_timeout);
    let (controller, handle) = Controller::new(api, options);
    let (client, events) = (process.client().clone(), process.events().clone());
    let context = Arc::new(Context::new(config, gates, client, events, handle));
    process
        .run(move |tasks| {
            watches::start(&context, tasks);
            let shutdown = tasks.shutdown();
            let reconciler = Arc::new(reconcile::HelmReleaseReconciler::new(context));
            tasks.spawn("helmrelease controller", controller.run(reconciler, shutdown));
        })
        .await?;
    Ok(())
}

/// The text of an API error: what the server says where it answered, else the chain of causes.
pub(crate) fn api_error(err: &kube::Error) -> String {
    match err {
        kube::Error::Api(status) => status.message.clone(),
        other => sluice_runtime::telemetry::chain(other).to_string(),
    }
}
