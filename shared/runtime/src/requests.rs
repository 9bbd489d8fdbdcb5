//! What a user asks of a controller through an object's metadata: reconcile now, and the finalizer's name.

use kube::{Resource, ResourceExt};

/// Annotation whose every new value asks for a reconcile now; echoed in `status.lastHandledReconcileAt`.
pub const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";
/// Annotation that asks a HelmRelease for one forced upgrade.
pub const FORCE_AT: &str = "reconcile.fluxcd.io/forceAt";
/// Annotation that asks a HelmRelease to forget its failure counts.
pub const RESET_AT: &str = "reconcile.fluxcd.io/resetAt";
/// Finalizer that every Flux controller puts on its objects.
pub const FINALIZER: &str = "finalizers.fluxcd.io";

/// Value of the [`REQUESTED_AT`] annotation, if there is one.
pub fn requested_at<K: Resource>(object: &K) -> Option<&str> {
    object.annotations().get(REQUESTED_AT).map(String::as_str).filter(|v| !v.is_empty())
}

/// Whether the object is being deleted.
pub fn is_deleted<K: Resource>(object: &K) -> bool {
    object.meta().deletion_timestamp.is_some()
}

/// Generation of the object, 0 where the API server has set none.
pub fn generation<K: Resource>(object: &K) -> i64 {
    object.meta().generation.unwrap_or(0)
}
