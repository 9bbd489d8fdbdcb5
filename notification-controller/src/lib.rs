//! Sends events to people and services, and turns webhooks into reconciliations.
//!
//! Two endpoints serve on every replica. [`endpoint`] takes events that controllers post; [`dispatch`] finds the Alerts
//! that they concern and puts deliveries into the [`lanes`] of Providers; [`providers`] knows what each service is sent.
//! [`receiver`] takes webhooks, checks them and asks for reconciliations. Only the looking after of objects (finalizers,
//! statuses of Receivers) waits for leadership.

mod call;
mod config;
mod context;
mod dispatch;
mod endpoint;
mod event;
mod fixed;
mod forge;
mod http;
mod lanes;
mod limiter;
mod matching;
mod objects;
mod pattern;
mod providers;
mod receiver;
mod settings;
#[cfg(test)]
mod tests;
mod transport;
mod watches;

pub use config::Config;

use context::Context;
use sluice_api::notification::{Alert, Provider, Receiver};
use sluice_runtime::controller::{Controller, Options};
use sluice_runtime::process::{self, Process};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Name of the controller: source of its events.
pub const NAME: &str = "notification-controller";
/// Field manager of what is written to its objects.
pub const STATUS_MANAGER: &str = "gotk-notification-controller";
/// Name of the port that takes events.
pub const EVENTS_PORT: &str = "http";
/// Name of the port that takes webhooks.
pub const WEBHOOK_PORT: &str = "http-webhook";

/// Runs the controller until `shutdown`.
///
/// # Errors
/// Flags that do not go together, addresses that cannot be listened on, lost leadership, a task that failed.
pub async fn run(config: Config, client: kube::Client, shutdown: CancellationToken) -> anyhow::Result<()> {
    let gates = config.gates()?;
    // Its own events are for Kubernetes only: posted to itself they would go round in circles.
    let mut flags = config.common.clone();
    let events_addr = std::mem::take(&mut flags.events_addr);
    let events = process::listen(&events_addr, "events-addr").await?;
    let webhooks = process::listen(&config.receiver_addr, "receiverAddr").await?;
    let mut process = Process::start(NAME, &flags, client, &shutdown).await?;
    let api = flags.api::<Receiver>(process.client());
    let options = |name: &str| {
        // The intervals of these objects have no jitter in Flux, and there is no selector.
        let options = Options::new(name, config.concurrent, &flags, process.metrics());
        Options { selector: String::new(), jitter: 0, ..options }
    };
    let (receivers, handle) = Controller::new(api, options("receiver"));
    let (alerts, _) = Controller::new(flags.api::<Alert>(process.client()), options("alert"));
    let (providers, _) = Controller::new(flags.api::<Provider>(process.client()), options("provider"));
    let (client, recorder) = (process.client().clone(), process.events().clone());
    let context = Arc::new(Context::new(config, gates, client, recorder));
    watches::start(&context, process.background());
    if let Some(listener) = events {
        if let Ok(address) = listener.local_addr() {
            flags.bound.report(EVENTS_PORT, address);
        }
        let (cx, shutdown) = (context.clone(), process.background().shutdown());
        let post = {
            let shutdown = shutdown.clone();
            move |request| endpoint::post(cx.clone(), shutdown.clone(), request)
        };
        process.background().spawn("event endpoint", http::serve(listener, shutdown, post));
    }
    if let Some(listener) = webhooks {
        if let Ok(address) = listener.local_addr() {
            flags.bound.report(WEBHOOK_PORT, address);
        }
        let (cx, shutdown) = (context.clone(), process.background().shutdown());
        let handle = move |request| receiver::handle(cx.clone(), request);
        process.background().spawn("webhook endpoint", http::serve(listener, shutdown, handle));
    }
    process
        .run(move |tasks| {
            watches::secrets(&context, tasks, handle.clone());
            let shutdown = tasks.shutdown();
            let reconciler = Arc::new(receiver::ReceiverReconciler::new(context.clone(), handle));
            tasks.spawn("receiver controller", receivers.run(reconciler, shutdown.clone()));
            let reconciler = Arc::new(fixed::AlertReconciler { cx: context.clone() });
            tasks.spawn("alert controller", alerts.run(reconciler, shutdown.clone()));
            let reconciler = Arc::new(fixed::ProviderReconciler { cx: context });
            tasks.spawn("provider controller", providers.run(reconciler, shutdown));
        })
        .await?;
    Ok(())
}
