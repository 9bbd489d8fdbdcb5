//! Objects as bytes under a global revision: what etcd and the watch cache are to kube-apiserver.
//!
//! This layer knows metadata (labels, owners, uid) but no kinds and no verbs. Every write gets the next revision, is
//! compared against the revision that its author read, and lands in the log that watches read from. Objects are kept
//! as the JSON text that clients get, so that a read costs no encoding and a watch event is encoded once for all
//! watchers.
//!
//! All state is in memory; this module's functions are the seam for a durable store.

mod log;
mod object;
mod selector;
mod snapshot;
mod store;

pub(crate) use log::{Change, Event, frame};
pub(crate) use object::{CollectionId, Key, Owner, Stored};
pub(crate) use selector::{FieldSelector, LabelSelector};
pub(crate) use snapshot::Query;
pub(crate) use store::{Store, WriteError};
