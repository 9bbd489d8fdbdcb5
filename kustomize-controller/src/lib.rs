//! Builds, applies, prunes and health-checks what sources deliver.
//!
//! One pass over a Kustomization is [`reconcile`]: a short list of steps, each in its own module. Status, events and the
//! time of the next pass are decided in one place, [`attempt`]. Engine logic is elsewhere (`shared/kustomize`,
//! `shared/apply`), and so is the machinery of controllers (`shared/runtime`).

mod apply;
mod attempt;
mod build;
mod config;
mod context;
mod dependencies;
mod finalize;
mod generate;
mod health;
mod history;
mod reconcile;
mod scratch;
mod source;
pub mod substitute;
mod tree;
mod variables;
mod watches;

pub use config::{Config, ConfigError};

use anyhow::Context as _;
use context::Context;
use sluice_api::kustomize::Kustomization;
use sluice_runtime::controller::{Controller, Options};
use sluice_runtime::process::Process;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Name of the controller: event source and field manager of applied objects.
pub const NAME: &str = "kustomize-controller";
/// Field manager of what is written to Kustomizations themselves.
pub const STATUS_MANAGER: &str = "gotk-kustomize-controller";

/// Runs the controller until `shutdown`.
///
/// # Errors
/// Flags that do not go together, addresses that cannot be listened on, lost leadership, a task that failed.
pub async fn run(config: Config, client: kube::Client, shutdown: CancellationToken) -> anyhow::Result<()> {
    let gates = config.gates()?;
    let process = Process::start(NAME, &config.common, client, &shutdown).await?;
    let api = config.common.api::<Kustomization>(process.client());
    let options = Options::new("kustomization", config.concurrent, &config.common, process.metrics());
    let (controller, handle) = Controller::new(api, options);
    let (client, events) = (process.client().clone(), process.events().clone());
    let parent = std::env::temp_dir();
    let scratch = tokio::task::spawn_blocking({
        let parent = parent.clone();
        move || scratch::Scratch::new(&parent)
    });
    let scratch = scratch
        .await?
        .with_context(|| format!("cannot make a directory for temporary files in {}", parent.display()))?;
    let context = Arc::new(Context::new(config, gates, client, events, handle, scratch));
    process
        .run(move |tasks| {
            watches::start(&context, tasks);
            let shutdown = tasks.shutdown();
            let reconciler = Arc::new(reconcile::KustomizationReconciler::new(context));
            tasks.spawn("kustomization controller", controller.run(reconciler, shutdown));
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
