//! Rollback: what a former revision was becomes a new one. Nothing is rendered.

use sluice_helm::manifest::HookEvent;
use sluice_helm::release::{ApplyMethod, Info, Release, Status};

use super::{clean_up, not_found, objects, wait};
use crate::error::ActionError;
use crate::hooks;
use crate::object::Object;
use crate::options::{Rollback, ServerSide};
use crate::run::{Run, now};
use crate::update::{How, Updated, update};

pub(crate) async fn run(run: &mut Run<'_>, to: u32, options: &Rollback) -> Result<Release, ActionError> {
    let helm = run.helm;
    let mut newest = helm.last().await?.ok_or_else(not_found)?;
    let target = helm.get(to).await?.ok_or_else(not_found)?;
    let server_side = match options.server_side {
        ServerSide::Enabled => true,
        ServerSide::Disabled => false,
        ServerSide::Auto => target.server_side(),
    };
    let built = |what: &'static str| {
        move |error| {
            ActionError::Failed(format!(
                "unable to build kubernetes objects from {what} release manifest: {error}"
            ))
        }
    };
    let old = objects(run, &newest.manifest).await.map_err(built("current"))?;
    let new = objects(run, &target.manifest).await.map_err(built("new"))?;
    let mut release = Release {
        version: newest.version.saturating_add(1),
        info: Info {
            first_deployed: newest.info.first_deployed,
            last_deployed: now(),
            deleted: None,
            description: format!("Rollback to {to}"),
            status: Status::PendingRollback,
            notes: target.info.notes.clone(),
        },
        apply_method: Some(match server_side {
            true => ApplyMethod::ServerSide,
            false => ApplyMethod::ClientSide,
        }),
        ..target
    };
    run.prune(options.max_history).await?;
    run.create(&release).await?;
    let how = match server_side {
        true => How::Server { migrate: !newest.server_side() },
        false => How::Client { force: options.force },
    };
    match steps(run, &mut release, (&old, &new), how, options).await {
        Ok(()) => {
            release.info.status = Status::Deployed;
            // The new one first: if nothing comes after it, several are deployed and the newest counts.
            run.update(&release).await?;
            for revision in helm.revisions().await? {
                if revision.version != release.version
                    && revision.status == Status::Deployed
                    && let Some(mut deployed) = helm.get(revision.version).await?
                {
                    deployed.info.status = Status::Superseded;
                    run.update(&deployed).await?;
                }
            }
            Ok(release)
        }
        Err(Failure::Update(error)) => {
            let result = run.fail(release, "Rollback", error).await;
            if newest.info.status != Status::Superseded {
                newest.info.status = Status::Superseded;
                run.update(&newest).await?;
            }
            result
        }
        Err(Failure::Wait(ActionError::Canceled)) => {
            run.fail(release, "Release", ActionError::Canceled).await
        }
        Err(Failure::Wait(error)) => {
            let name = release.name.clone();
            match run.fail(release, "Release", error).await {
                Err(error) => Err(error.during(&format!("release {name} failed"))),
                done => done,
            }
        }
    }
}

/// Where a rollback stopped: what is stored differs.
enum Failure {
    /// Before all objects were as they should be.
    Update(ActionError),
    /// After that.
    Wait(ActionError),
}

async fn steps(
    run: &mut Run<'_>,
    release: &mut Release,
    (old, new): (&[Object], &[Object]),
    how: How,
    options: &Rollback,
) -> Result<(), Failure> {
    let server_side = release.server_side();
    let hook = hooks::How { timeout: options.timeout, wait: &options.wait, server_side };
    if !options.disable_hooks {
        let ran = hooks::execute(run, release, HookEvent::PreRollback, &hook, &|_| true).await;
        ran.map_err(Failure::Wait)?;
    }
    let mut updated = Updated::default();
    if let Err(error) = update(run.helm.sender(), old, new, how, &run.log, &mut updated).await {
        let error = if options.cleanup_on_fail { clean_up(run, &updated, error).await } else { error };
        return Err(Failure::Update(error));
    }
    wait(run, &updated, &options.wait, options.timeout).await.map_err(Failure::Wait)?;
    if !options.disable_hooks {
        let ran = hooks::execute(run, release, HookEvent::PostRollback, &hook, &|_| true).await;
        ran.map_err(Failure::Wait)?;
    }
    Ok(())
}
