//! Runs the hooks of a point of a release, one after the other.

use sluice_apply::discovery::Discovery;
use sluice_helm::manifest::HookEvent;
use sluice_helm::release::{HookPhase, HookRun, Release, StoredHook, Time};

use crate::error::ActionError;
use crate::judge::Judge;
use crate::object::{Object, locate, parse};
use crate::options::{Propagation, Wait};
use crate::run::Run;
use crate::send::masked;
use crate::wait::{Waited, until, until_gone};

const BEFORE_CREATION: &str = "before-hook-creation";
const SUCCEEDED: &str = "hook-succeeded";
const FAILED: &str = "hook-failed";

/// What a run of hooks needs to know.
pub(crate) struct How<'a> {
    pub(crate) timeout: std::time::Duration,
    pub(crate) wait: &'a Wait,
    pub(crate) server_side: bool,
}

/// Runs the hooks of an event whose names `chosen` takes. The release is stored before each of them, with the phase of
/// that hook; what became of the last one is for the caller to store.
pub(crate) async fn execute(
    run: &mut Run<'_>,
    release: &mut Release,
    event: HookEvent,
    how: &How<'_>,
    chosen: &(dyn Fn(&str) -> bool + Sync),
) -> Result<(), ActionError> {
    let mut order: Vec<usize> = (0..release.hooks.len())
        .filter(|at| release.hooks[*at].hook.runs_at(event) && chosen(&release.hooks[*at].hook.name))
        .collect();
    order.sort_by(|a, b| {
        let (a, b) = (&release.hooks[*a].hook, &release.hooks[*b].hook);
        a.weight.cmp(&b.weight).then_with(|| a.name.cmp(&b.name))
    });
    for (done, at) in order.iter().copied().enumerate() {
        if let Err(error) = one(run, release, at, event, how).await {
            finish(&mut release.hooks[at], HookPhase::Failed);
            // Cancelled or not, what the policies say is cleaned up.
            delete(run, &release.hooks[at], FAILED, how).await?;
            for at in &order[..done] {
                delete(run, &release.hooks[*at], SUCCEEDED, how).await?;
            }
            return Err(error);
        }
        finish(&mut release.hooks[at], HookPhase::Succeeded);
    }
    for at in order.iter().rev() {
        delete(run, &release.hooks[*at], SUCCEEDED, how).await?;
    }
    Ok(())
}

async fn one(
    run: &mut Run<'_>,
    release: &mut Release,
    at: usize,
    event: HookEvent,
    how: &How<'_>,
) -> Result<(), ActionError> {
    if run.helm.cancel().is_cancelled() {
        return Err(ActionError::Canceled);
    }
    let hook = &mut release.hooks[at];
    if hook.hook.delete_policies.is_empty() {
        hook.hook.delete_policies = vec![BEFORE_CREATION.to_owned()];
    }
    delete(run, &release.hooks[at], BEFORE_CREATION, how).await?;
    let (path, name) = (release.hooks[at].hook.path.clone(), event.as_str());
    let objects = objects(&release.hooks[at], run.helm.discovery(), &run.helm.target().namespace).await;
    let objects = objects.map_err(|error| {
        ActionError::Failed(format!("unable to build kubernetes object for {name} hook {path}: {error}"))
    })?;
    release.hooks[at].last_run =
        HookRun { started_at: Some(now()), completed_at: None, phase: HookPhase::Running };
    run.update(release).await?;
    let mut waited = Vec::new();
    for object in objects {
        let sent = match how.server_side {
            true => run.helm.sender().apply(object, false).await,
            false => run.helm.sender().create(object).await,
        };
        let sent = sent.map_err(|error| error.during(&format!("warning: Hook {name} {path} failed")))?;
        waited.push(Waited { object: sent.object, live: Some(sent.live) });
    }
    until(run.helm.client(), waited, Judge::Hook(how.wait), how.timeout, run.helm.cancel()).await
}

fn finish(hook: &mut StoredHook, phase: HookPhase) {
    hook.last_run.started_at.get_or_insert_with(now);
    hook.last_run.completed_at = Some(now());
    hook.last_run.phase = phase;
}

/// Deletes a hook's objects if its policies say so, and waits until they are gone. CRDs stay: whatever uses them would go.
async fn delete(run: &Run<'_>, hook: &StoredHook, policy: &str, how: &How<'_>) -> Result<(), ActionError> {
    let hook = &hook.hook;
    if hook.kind == "CustomResourceDefinition" || !hook.delete_policies.iter().any(|known| known == policy) {
        return Ok(());
    }
    let parsed = parse(&hook.manifest).map_err(ActionError::Failed)?;
    let located = locate(parsed, run.helm.discovery(), &run.helm.target().namespace).await;
    // A kind that is not served has no objects.
    let Ok(objects) = located else { return Ok(()) };
    let mut staying = Vec::new();
    for object in objects.into_iter().filter(|object| !object.id.name.is_empty()) {
        let deleted = run.helm.sender().delete(&object, Propagation::Background).await;
        if deleted.map_err(|error| ActionError::Failed(masked(&object, &error)))? {
            staying.push(object);
        }
    }
    until_gone(run.helm.client(), &staying, how.timeout, run.helm.cancel()).await
}

async fn objects(hook: &StoredHook, discovery: &Discovery, namespace: &str) -> Result<Vec<Object>, String> {
    locate(parse(&hook.hook.manifest)?, discovery, namespace).await
}

fn now() -> Time {
    Time::utc(jiff::Timestamp::now())
}
