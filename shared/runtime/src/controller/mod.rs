//! Runs passes over the objects of one kind: watch, work queue, workers.
//!
//! kube-runtime's own controller cannot back off per object on success, give external triggers precedence or interrupt
//! a pass, all of which Flux's behaviour needs; its watcher is what feeds this one.

mod backoff;
mod budget;
mod key;
mod queue;
mod run;
mod store;
#[cfg(test)]
mod tests;

pub use backoff::{Backoff, jittered};
pub use budget::DriftBudget;
pub use key::{Cause, Key};
pub use run::{Controller, Handle, Interrupt, Options, Outcome, Pass, Reconciler, RunError, Slot};
pub use store::Store;
