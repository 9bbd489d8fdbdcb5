//! What a user asks of a controller through an object's metadata.

use kube::{Resource, ResourceExt};
pub use sluice_api::meta::FINALIZER;
use sluice_api::meta::RECONCILE_REQUEST_ANNOTATION;

/// Value of the [`RECONCILE_REQUEST_ANNOTATION`] annotation, if there is one.
pub fn requested_at<K: Resource>(object: &K) -> Option<&str> {
    object.annotations().get(RECONCILE_REQUEST_ANNOTATION).map(String::as_str).filter(|v| !v.is_empty())
}

/// Whether the object is being deleted.
pub fn is_deleted<K: Resource>(object: &K) -> bool {
    object.meta().deletion_timestamp.is_some()
}

/// Generation of the object, 0 where the API server has set none.
pub fn generation<K: Resource>(object: &K) -> i64 {
    object.meta().generation.unwrap_or(0)
}
