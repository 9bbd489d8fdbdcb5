//! Brings objects to a cluster and keeps them there: server-side apply in stages, inventory, prune, readiness and wait.
//!
//! The behaviour is that of Flux's kustomize-controller (fluxcd/pkg ssa, cli-utils kstatus); the cost is not. A
//! [`Cluster`] remembers per applied object the hash of what was wanted and the `resourceVersion` that came back, and a
//! metadata watch of the objects that carry the ownership label tells when one of them moved. So a pass over unchanged
//! objects sends nothing, drift is reported at once, and waiting for readiness needs no polling.
//!
//! ```no_run
//! # use sluice_apply::{Applier, Cluster, ClusterOptions, Options, Owner, WaitOptions, inventory};
//! # use tokio_util::sync::CancellationToken;
//! # async fn example(client: kube::Client, as_account: kube::Client, objects: Vec<serde_json::Value>,
//! #                  old: Vec<inventory::Entry>) -> Result<(), Box<dyn std::error::Error>> {
//! // Once per cluster, with the controller's own identity:
//! let cluster = Cluster::new(client, ClusterOptions::default(), |drift| println!("{drift}"));
//! // Once per pass, with the identity of the tenant:
//! let owner = Owner { namespace: "apps".into(), name: "web".into() };
//! let applier = Applier::new(&cluster, as_account, owner, Options::default());
//! let changes = applier.apply(objects).await?;
//! let new = changes.inventory();
//! let pruned = applier.prune(&inventory::stale(&old, &new)).await;
//! let cancel = CancellationToken::new();
//! applier.wait(&changes.targets(), &WaitOptions::default(), &cancel).await?;
//! # Ok(()) }
//! ```
//!
//! **Invariants**: nothing is deleted that is not in the inventory given by the caller, and nothing that another owner
//! labels as its own. A restart loses the memory: it costs one apply per object, never a wrong one.

pub mod annotations;
mod applier;
#[cfg(test)]
mod behaviour_tests;
mod change;
mod cluster;
pub mod discovery;
mod drift;
mod error;
mod fingerprint;
mod force;
pub mod ignore;
pub mod inventory;
pub mod managed;
pub mod mask;
mod memory;
pub mod object;
pub mod order;
pub mod prepare;
mod prune;
pub mod rest;
pub mod selector;
mod stage;
pub mod status;
#[cfg(test)]
mod testing;
mod wait;

pub use applier::{Applier, Options};
pub use change::{Action, Change, ChangeSet};
pub use cluster::{Cluster, ClusterOptions};
pub use drift::{Drift, Move};
pub use error::{ApplyError, ObjectError};
pub use object::{GroupKind, ObjectId, Owner};
pub use prune::{PruneError, Pruned};
pub use wait::{Evaluate, Health, Target, WaitError, WaitOptions};
