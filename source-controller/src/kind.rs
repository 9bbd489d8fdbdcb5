//! What a kind of source is to the machinery: the trait that a new kind implements, in a file of its own.
//!
//! # How to add a kind
//! 1. `impl_source_object!` in [`crate::object`] gives the machinery access to spec and status.
//! 2. A type implements [`SourceKind`]; its [`produce`](SourceKind::produce) holds the sub-steps after `storage`:
//!    look at the other side, stop early if nothing moved, fetch into [`Work::dir`], store. It reads and changes
//!    `work.object` (spec, and its own `observed…` fields in the status) and uses the methods of [`Work`].
//! 3. [`crate::run`] starts a [`Machine`](crate::machine::Machine) for it.
//!
//! The machinery does everything else: finalizer, deletion, suspend, Reconciling and Ready, the check of the stored
//! file, garbage collection, mapping the result to conditions, events, requeue, and writing the status.

use std::future::Future;
use std::time::Duration;

use crate::object::SourceObject;
use crate::work::Work;

/// Condition: the current artifact is stored.
pub const ARTIFACT_IN_STORAGE: &str = "ArtifactInStorage";
/// Condition: something newer has been seen and is not stored yet.
pub const ARTIFACT_OUTDATED: &str = "ArtifactOutdated";
/// Condition: the signature was checked; absent where no check is configured.
pub const SOURCE_VERIFIED: &str = "SourceVerified";
/// Condition: the other side could not be read.
pub const FETCH_FAILED: &str = "FetchFailed";
/// Condition: a chart could not be built.
pub const BUILD_FAILED: &str = "BuildFailed";
/// Condition: a source that is included has no artifact.
pub const INCLUDE_UNAVAILABLE: &str = "IncludeUnavailable";
/// Condition: the artifact could not be written.
pub const STORAGE_OPERATION_FAILED: &str = "StorageOperationFailed";

/// Condition types that are deleted when they are not true.
pub(crate) const NEGATIVE: [&str; 5] =
    [STORAGE_OPERATION_FAILED, FETCH_FAILED, INCLUDE_UNAVAILABLE, BUILD_FAILED, ARTIFACT_OUTDATED];

/// Every condition type that this controller writes.
pub(crate) const OWNED: [&str; 10] = [
    STORAGE_OPERATION_FAILED,
    FETCH_FAILED,
    INCLUDE_UNAVAILABLE,
    BUILD_FAILED,
    ARTIFACT_OUTDATED,
    ARTIFACT_IN_STORAGE,
    SOURCE_VERIFIED,
    sluice_runtime::conditions::READY,
    sluice_runtime::conditions::RECONCILING,
    sluice_runtime::conditions::STALLED,
];

/// A kind of source.
pub trait SourceKind: Send + Sync + 'static {
    /// Its resource.
    type Object: SourceObject;

    /// Runs the sub-steps after `storage`: look, fetch, store.
    ///
    /// `Ok` means that `status.artifact` is what the source has now. The pass has no deadline of its own: bound
    /// network work with [`Work::timeout`], and end early when [`Work::shutdown`] is cancelled. Blocking work belongs
    /// on `tokio::task::spawn_blocking`. May be dropped at any await when the process ends.
    fn produce(&self, work: &mut Work<Self::Object>) -> impl Future<Output = Result<Produced, Stop>> + Send;

    /// Whether there is nothing to reconcile about this object: it has no finalizer, no status and no artifact.
    fn is_static(&self, object: &Self::Object) -> bool {
        let _ = object;
        false
    }

    /// Forgets what is kept outside the store of an object that is being deleted or is gone (a mirror, a token).
    fn forget(&self, namespace: &str, name: &str) {
        let _ = (namespace, name);
    }
}

/// A pass that reached its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Produced {
    /// Text of the event that tells of a new artifact, e.g. `stored artifact for commit 'Fix typo'`.
    pub message: String,
    /// Reason of that event, where the kind has one of its own.
    pub reason: Option<&'static str>,
}

impl Produced {
    /// With the text of the event that tells of a new artifact.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), reason: None }
    }
}

/// Why a pass ended early.
#[derive(Debug)]
pub enum Stop {
    /// Tried again with this object's back-off; a Warning event.
    Failed(Failure),
    /// Only a change of the object can help: no retry; a Warning event.
    Stalled(Failure),
    /// Something else has to happen first: again after that time, no Warning, nothing posted.
    Waiting(Failure, Duration),
    /// Nothing moved: a success that only Kubernetes hears of. The reason and text of its event.
    Unchanged {
        /// Reason of the event.
        reason: &'static str,
        /// Text of the event.
        message: String,
    },
}

/// What went wrong, for conditions, events and logs. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Condition that it shows in: set to True, but [`SOURCE_VERIFIED`] to False; `None` shows in Ready only.
    pub condition: Option<&'static str>,
    /// Reason of condition and event: a text that clients match on.
    pub reason: &'static str,
    /// Text for people: what was tried, on what, what came back.
    pub message: String,
}

impl Failure {
    /// A failure that shows in a condition.
    pub fn new(condition: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { condition: Some(condition), reason, message: message.into() }
    }

    /// A failure that shows in no condition of its own.
    pub fn plain(reason: &'static str, message: impl Into<String>) -> Self {
        Self { condition: None, reason, message: message.into() }
    }

    /// A failed fetch (condition FetchFailed).
    pub fn fetch(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(FETCH_FAILED, reason, message)
    }

    /// A failed write (condition StorageOperationFailed).
    pub fn storage(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(STORAGE_OPERATION_FAILED, reason, message)
    }

    /// The pass is tried again with back-off.
    pub fn retry(self) -> Stop {
        Stop::Failed(self)
    }

    /// The pass is not tried again until the object changes.
    pub fn stall(self) -> Stop {
        Stop::Stalled(self)
    }
}
