//! The end of a HelmRelease: its release is uninstalled, its HelmChart deleted, and then it may go.

use crate::attempt::{Attempt, Stop};
use crate::release;
use crate::{FIELD_MANAGER, target, template};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use sluice_api::meta::{FINALIZER, READY};
use sluice_runtime::{Outcome, conditions, finalizer};
use tracing::{error, warn};

/// Reason of Ready when the release could not be uninstalled.
const UNINSTALL_FAILED: &str = "UninstallFailed";

/// Runs the last pass over an object that is being deleted.
pub(crate) async fn finalize(mut attempt: Attempt<'_>) -> Outcome {
    if !finalizer::has(&attempt.hr, FINALIZER) {
        return Outcome::Done;
    }
    // A suspended HelmRelease leaves everything as it is.
    if !attempt.hr.spec.suspend
        && let Err(stop) = clean_up(&mut attempt).await
    {
        return kept(attempt, stop).await;
    }
    release::forget(attempt.cx, &attempt.pass.key);
    match finalizer::remove(attempt.api(), &attempt.hr, FINALIZER, FIELD_MANAGER).await {
        Ok(_) => Outcome::Done,
        Err(err) => Outcome::failed(format!("cannot remove finalizer: {}", crate::api_error(&err))),
    }
}

/// Writes why the object stays; the finalizer is not removed.
async fn kept(mut attempt: Attempt<'_>, stop: Stop) -> Outcome {
    let outcome = match stop {
        Stop::Shutdown => Outcome::Done,
        Stop::Failed { reason, message, .. } => {
            attempt.not_ready(reason, message.clone());
            Outcome::failed(message)
        }
        Stop::Action(message) => Outcome::failed(message),
        other => Outcome::failed(format!("{other:?}")),
    };
    match attempt.close().await {
        Ok(()) => outcome,
        Err(err) => Outcome::failed(format!("failed to update status: {err}")),
    }
}

async fn clean_up(attempt: &mut Attempt<'_>) -> Result<(), Stop> {
    let installed =
        attempt.status().storage_namespace.as_deref().is_some_and(|namespace| !namespace.is_empty());
    if installed {
        uninstall(attempt).await?;
        // Should anything below fail, the next pass has nothing to uninstall any more.
        let status = attempt.status();
        status.history.clear();
        status.storage_namespace = None;
    }
    template::remove(attempt).await.map_err(|err| {
        error!(error = %err, "the HelmChart could not be deleted");
        Stop::Action(err.to_string())
    })
}

async fn uninstall(attempt: &mut Attempt<'_>) -> Result<(), Stop> {
    let cx = attempt.cx;
    let target = match target::of(cx, &attempt.hr).await {
        Ok(target) => target,
        Err(err) if err.is_gone() => {
            // Nobody can reach the cluster any more. What is there stays, but the HelmRelease does not hang.
            warn!(error = %err, "the release is not uninstalled");
            return Ok(());
        }
        Err(err) => {
            let text = format!("failed to build REST client getter to uninstall release: {err}");
            return Err(Stop::quiet(UNINSTALL_FAILED, text));
        }
    };
    if let Some(account) = target::account(cx, &attempt.hr).filter(|_| target.local) {
        let accounts: Api<ServiceAccount> = Api::namespaced(cx.client.clone(), &attempt.pass.key.namespace);
        match accounts.get_opt(account).await {
            Ok(Some(_)) => {}
            Ok(None) => {
                warn!(account, "the release is not uninstalled: the ServiceAccount is gone");
                return Ok(());
            }
            Err(err) => {
                let cause = crate::api_error(&err);
                let text = format!(
                    "failed to confirm ServiceAccount '{account}' can be used to uninstall release: {cause}"
                );
                return Err(Stop::quiet(UNINSTALL_FAILED, text));
            }
        }
    }
    let generation = attempt.generation();
    conditions::remove(&mut attempt.status().conditions, sluice_api::meta::STALLED);
    conditions::mark_unknown(
        &mut attempt.status().conditions,
        generation,
        READY,
        sluice_api::meta::PROGRESSING_REASON,
        "Uninstalling the release",
    );
    release::uninstall(attempt, &target.cluster).await
}
