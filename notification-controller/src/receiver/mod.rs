//! Receivers: webhooks with a path that is hard to guess, which ask for reconciliations when they are called.

mod handle;
mod reconcile;
mod targets;
#[cfg(test)]
mod tests;
mod verify;

pub(crate) use handle::handle;
pub(crate) use reconcile::ReceiverReconciler;

use k8s_openapi::api::core::v1::Secret;
use sha2::{Digest, Sha256};
use sluice_api::notification::{Receiver, ReceiverSpec};
use sluice_runtime::Key;

/// What all paths of webhooks begin with.
const PREFIX: &str = "/hook/";

/// The path of a Receiver's webhook.
fn path(token: &[u8], key: &Key) -> String {
    let mut hash = Sha256::new();
    for part in [token, key.name.as_bytes(), key.namespace.as_bytes()] {
        hash.update(part);
    }
    format!("{PREFIX}{}", hex::encode(hash.finalize()))
}

/// The token in a Receiver's Secret, byte by byte as it is stored.
///
/// # Errors
/// There is none, or an empty one, which would let everybody in.
fn token<'a>(secret: &'a Secret, key: &Key, name: &str) -> Result<&'a [u8], String> {
    crate::transport::value(secret, "token")
        .filter(|token| !token.is_empty())
        .ok_or_else(|| format!("invalid '{}/{name}' secret data: required fields 'token'", key.namespace))
}

/// Name of the Secret of a Receiver.
fn secret_name(spec: &ReceiverSpec) -> &str {
    spec.secret_ref.as_ref().map_or("", |reference| reference.name.as_str())
}

/// Whether calls are to be served.
fn is_open(receiver: &Receiver) -> bool {
    use sluice_api::meta::{READY, RECONCILING, STALLED};
    use sluice_runtime::conditions::is_true;
    let conditions = receiver.status.as_ref().map_or(&[][..], |status| &status.conditions);
    !receiver.spec.suspend
        && is_true(conditions, READY)
        && !is_true(conditions, RECONCILING)
        && !is_true(conditions, STALLED)
}
