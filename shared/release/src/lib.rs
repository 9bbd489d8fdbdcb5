//! Helm's actions over a cluster: install, upgrade, rollback, uninstall, test, and a look for drift.
//!
//! The engine ([`sluice_helm`]) makes manifests; here they are brought to a cluster and stored as Helm stores them, so
//! that any Helm client can list, show, roll back and remove what was released here, and the other way round.
//!
//! - [`Cluster`] is a cluster as one identity sees it, shared by all releases of that identity.
//! - [`LoadedChart`] is a chart, compiled once and released often.
//! - [`Helm`] is the handle on one release for one pass. Each action returns a [`Done`]: the result, every revision as it
//!   was stored, and the last lines of the log.
//!
//! **Cost**: what a request brings back is not asked for again: objects are judged by the answer to their apply, and
//! only those that are not ready are watched, each by a watch of its own; the storage is listed by metadata; discovery
//! and capabilities are shared. A release of four objects that are ready at once takes a list, two writes of its
//! revision and four applies.
//!
//! **Invariants**: nothing is applied before the revision is stored as pending; whatever comes after that, a
//! cancelled action too, ends with the revision stored as deployed or failed; nothing that carries another release's
//! marks is deleted.

mod actions;
mod chart;
mod cluster;
mod crds;
mod drift;
mod error;
mod helm;
mod hooks;
mod inventory;
mod judge;
mod legacy;
mod log;
mod lookup;
mod object;
mod options;
mod ownership;
mod post_render;
mod render;
mod run;
mod send;
mod storage;
mod target;
mod three_way;
mod update;
mod wait;

pub use chart::LoadedChart;
pub use cluster::Cluster;
pub use drift::{Corrected, Difference, Drift, DriftError, DriftOptions, DriftReport};
pub use error::{ActionError, StorageError};
pub use helm::{Helm, Identity};
pub use inventory::Inventory;
pub use log::LogLine;
pub use options::{
    CrdPolicy, Filter, Install, Kustomize, PostRender, Propagation, Rollback, ServerSide, Test, Uninstall,
    Upgrade, Wait, WaitStrategy,
};
pub use run::Done;
pub use storage::Revision;
pub use target::Target;
