//! What every controller binary shares: flags, logs, health, metrics, leader election, events, status.
//!
//! A controller is a library with a clap `Config` that flattens [`flags::Common`] and an
//! `async fn run(config, client, shutdown)`. `run` starts a [`process::Process`], which binds the endpoints and takes
//! part in the leader election, and gives it the tasks to supervise: usually one [`controller::Controller`] per kind.
//! Nothing here is global, so several controllers can live in one process.
//!
//! Invariant: this crate knows no kind but Kubernetes' own; what a pass does is the controller's business.

pub mod client;
pub mod conditions;
pub mod controller;
pub mod dependencies;
pub mod events;
pub mod finalizer;
pub mod flags;
pub mod hosts;
pub mod kubeconfig;
pub mod leader;
pub mod metrics;
pub mod process;
pub mod requests;
pub mod selector;
pub mod status;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod watch;

pub use controller::{Cause, Controller, Handle, Key, Outcome, Pass, Reconciler};
pub use tokio_util::sync::CancellationToken as Shutdown;
