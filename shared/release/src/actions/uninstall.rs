//! Uninstall: pre-delete hooks, delete kind by kind, wait until all is gone, post-delete hooks, purge.

use futures::stream::{self, StreamExt as _};
use sluice_helm::manifest::{HookEvent, KindOrder};
use sluice_helm::release::{Release, Status};

use super::objects;
use crate::error::ActionError;
use crate::object::{Object, RESOURCE_POLICY, runs};
use crate::options::Uninstall;
use crate::run::{Run, now};
use crate::wait::until_gone;
use crate::{hooks, ownership};

/// Objects of one kind that are deleted at the same time.
const CONCURRENT: usize = 16;

pub(crate) async fn run(run: &mut Run<'_>, options: &Uninstall) -> Result<Release, ActionError> {
    let (helm, name) = (run.helm, &run.helm.target().release);
    let missing =
        || ActionError::NotFound(format!("uninstall: Release not loaded: {name}: release: not found"));
    let mut release = helm.last().await?.ok_or_else(missing)?;
    if release.info.status == Status::Uninstalled {
        if options.keep_history {
            return Err(ActionError::Failed(format!("the release named {name:?} is already deleted")));
        }
        purge(run).await?;
        return Ok(release);
    }
    release.info.status = Status::Uninstalling;
    release.info.deleted = now();
    release.info.description = "Deletion in progress (or silently failed)".to_owned();
    let hook =
        hooks::How { timeout: options.timeout, wait: &options.wait, server_side: release.server_side() };
    if !options.disable_hooks {
        let ran = hooks::execute(run, &mut release, HookEvent::PreDelete, &hook, &|_| true).await;
        if let Err(error) = ran {
            // What the hooks did is known; the release is still there.
            run.update(&release).await?;
            return Err(error);
        }
    }
    run.update(&release).await?;
    let deleted = delete(run, &release, options).await?;
    let mut faults = Vec::new();
    if options.wait.enabled
        && let Err(error) = until_gone(helm.client(), &deleted, options.timeout, helm.cancel()).await
    {
        if matches!(error, ActionError::Canceled) {
            return Err(error);
        }
        faults.push(error.to_string());
    }
    if !options.disable_hooks {
        match hooks::execute(run, &mut release, HookEvent::PostDelete, &hook, &|_| true).await {
            Err(ActionError::Canceled) => return Err(ActionError::Canceled),
            Err(error) => faults.push(error.to_string()),
            Ok(()) => {}
        }
    }
    release.info.status = Status::Uninstalled;
    "Uninstallation complete".clone_into(&mut release.info.description);
    if options.keep_history {
        run.update(&release).await?;
        supersede(run, &release).await?;
    } else {
        purge(run).await?;
    }
    match faults.as_slice() {
        [] => Ok(release),
        faults => Err(ActionError::Failed(format!(
            "uninstallation completed with {} error(s): {}",
            faults.len(),
            faults.join("; ")
        ))),
    }
}

/// Deletes the objects of the release, one kind after the other, and returns those that may not be gone yet.
async fn delete(run: &Run<'_>, release: &Release, options: &Uninstall) -> Result<Vec<Object>, ActionError> {
    let failed = |error: String| {
        run.log.line("failed to delete release", [("error", &error)]);
        ActionError::Failed(format!("failed to delete release: {}: {error}", release.name))
    };
    let mut objects = objects(run, &release.manifest).await.map_err(failed)?;
    objects.sort_by(|a, b| KindOrder::Uninstall.compare(&a.id.kind, &b.id.kind));
    let mut staying = Vec::new();
    for same in runs(&objects) {
        let outcomes = stream::iter(same.to_vec()).map(|object| one(run, object, options));
        let outcomes: Vec<_> = outcomes.buffered(CONCURRENT).collect().await;
        let mut faults = Vec::new();
        for outcome in outcomes {
            match outcome {
                Ok(object) => staying.extend(object),
                Err(fault) => faults.push(fault),
            }
        }
        if !faults.is_empty() {
            return Err(failed(faults.join("; ")));
        }
    }
    Ok(staying)
}

async fn one(run: &Run<'_>, object: Object, options: &Uninstall) -> Result<Option<Object>, String> {
    let (kind, name) = (object.id.kind.as_str(), object.id.name.as_str());
    let told = |error| format!("{}: {error}", object.id);
    if name.is_empty() {
        // Its name was generated, and is not known.
        return Ok(None);
    }
    if keeps(&Object::annotation(&object.value, RESOURCE_POLICY)) {
        run.log.line("keeping resource due to its policy", [("kind", kind), ("name", name)]);
        return Ok(None);
    }
    let Some(live) = run.helm.sender().metadata(&object).await.map_err(told)? else { return Ok(None) };
    if let Some(fault) = ownership::fault(&live, run.helm.target()) {
        run.log.line(
            "keeping resource that is not the release's",
            [("kind", kind), ("name", name), ("fault", &fault)],
        );
        return Ok(None);
    }
    let staying = run.helm.sender().delete(&object, options.propagation).await.map_err(told)?;
    Ok(staying.then_some(object))
}

fn keeps(policy: &str) -> bool {
    policy.trim().eq_ignore_ascii_case("keep")
}

/// Deletes all revisions, the newest last, so that what is left of a purge that is cut off still tells what was done.
async fn purge(run: &mut Run<'_>) -> Result<(), ActionError> {
    for revision in run.helm.revisions().await? {
        run.delete(revision.version).await?;
    }
    Ok(())
}

async fn supersede(run: &mut Run<'_>, newest: &Release) -> Result<(), ActionError> {
    for revision in run.helm.revisions().await? {
        if revision.version != newest.version
            && revision.status == Status::Deployed
            && let Some(mut deployed) = run.helm.get(revision.version).await?
        {
            deployed.info.status = Status::Superseded;
            run.update(&deployed).await?;
        }
    }
    Ok(())
}
