//! The end of a Kustomization: what it applied is deleted or left, as its policy says, and then it may go.

use crate::STATUS_MANAGER;
use crate::apply;
use crate::attempt::Attempt;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use sluice_api::kustomize::DeletionPolicy;
use sluice_api::meta::{FINALIZER, READY};
use sluice_apply::inventory::Entry;
use sluice_apply::{Action, Owner};
use sluice_runtime::events::{Event, Severity};
use sluice_runtime::{Outcome, conditions, finalizer};
use tracing::{error, info};

/// Runs the last pass over an object that is being deleted.
pub(crate) async fn finalize(mut attempt: Attempt<'_>) -> Outcome {
    if !finalizer::has(&attempt.ks, FINALIZER) {
        return Outcome::Done;
    }
    let entries = match apply::entries(&attempt.status().inventory) {
        Ok(entries) => entries,
        // Nothing is deleted on the ground of a list that cannot be read; and the object stays, so that somebody looks.
        Err(err) => return Outcome::failed(err),
    };
    if deletes(&attempt)
        && !entries.is_empty()
        && let Err(failure) = collect(&mut attempt, &entries).await
    {
        return Outcome::failed(failure);
    }
    let key = &attempt.pass.key;
    let owner = Owner { namespace: key.namespace.to_string(), name: key.name.to_string() };
    attempt.cx.cluster.forget(&entries, &owner);
    match finalizer::remove(attempt.api(), &attempt.ks, FINALIZER, STATUS_MANAGER).await {
        Ok(_) => Outcome::Done,
        Err(err) => Outcome::failed(format!("cannot remove finalizer: {}", crate::api_error(&err))),
    }
}

fn deletes(attempt: &Attempt<'_>) -> bool {
    let spec = &attempt.ks.spec;
    if spec.suspend {
        return false;
    }
    match spec.deletion_policy.as_ref().unwrap_or(&DeletionPolicy::MirrorPrune) {
        DeletionPolicy::MirrorPrune => spec.prune,
        DeletionPolicy::Delete | DeletionPolicy::WaitForTermination => true,
        DeletionPolicy::Orphan => false,
    }
}

/// Deletes everything in the inventory. An error keeps the finalizer, and the pass is tried again.
async fn collect(attempt: &mut Attempt<'_>, entries: &[Entry]) -> Result<(), String> {
    if attempt.ks.spec.kube_config.is_some() {
        return Err("spec.kubeConfig is not built yet in this version: the objects in the remote cluster cannot be deleted; set deletionPolicy: Orphan to let the Kustomization go".to_owned());
    }
    if let Some(account) = apply::account(attempt).map(str::to_owned) {
        let api: Api<ServiceAccount> =
            Api::namespaced(attempt.cx.client.clone(), &attempt.pass.key.namespace);
        let found = api.get_opt(&account).await.map_err(|err| crate::api_error(&err))?;
        if found.is_none() {
            // Nobody can delete on its behalf any more. The objects are left, but the Kustomization does not hang.
            let lines: Vec<String> = entries.iter().map(|entry| entry.id.to_string()).collect();
            let text = format!("unable to prune objects: \n{}", lines.join("\n"));
            error!("{text}");
            event(attempt, Severity::Error, text);
            return Ok(());
        }
    }
    let applier = apply::applier(attempt, &[]).map_err(|stop| format!("{stop:?}"))?;
    let pruned = applier.prune(entries).await;
    if let Err(err) = pruned.result() {
        event(attempt, Severity::Error, "pruning for deleted resource failed".to_owned());
        return Err(err.to_string());
    }
    let lines = pruned.changes.lines(true);
    if !lines.is_empty() {
        info!("garbage collection completed: {lines}");
        event(attempt, Severity::Info, lines);
    }
    if attempt.ks.spec.deletion_policy == Some(DeletionPolicy::WaitForTermination) {
        let mut deleted = pruned.changes.clone();
        deleted.0.retain(|change| change.action == Action::Deleted);
        let wait = applier.wait_for_termination(&deleted, attempt.timeout());
        if let Err(err) = attempt.pass.slot.park(wait).await {
            error!(error = %err, "failed to wait for resources termination");
            event(attempt, Severity::Error, "failed to wait for resources termination".to_owned());
        }
    }
    Ok(())
}

/// Events of the last pass carry the last Ready reason and the last applied revision.
fn event(attempt: &Attempt<'_>, severity: Severity, message: String) {
    let status = attempt.ks.status.clone().unwrap_or_default();
    let reason = match conditions::reason(&status.conditions, READY) {
        "" if severity == Severity::Error => "error",
        "" => "info",
        reason => reason,
    };
    let revision = status.last_applied_revision.unwrap_or_default();
    let origin = status.last_applied_origin_revision.unwrap_or_default();
    attempt.event_at(Event::new(severity, reason, message), &revision, &origin);
}
