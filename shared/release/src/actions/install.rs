//! Install: render, store, pre-install hooks, create, wait, post-install hooks, store.

use serde_json::{Map, Value, json};
use sluice_helm::manifest::HookEvent;
use sluice_helm::release::{ApplyMethod, Info, Release, Status};

use super::{objects, wait};
use crate::chart::LoadedChart;
use crate::error::ActionError;
use crate::object::{Object, locate};
use crate::options::Install;
use crate::run::{Run, now};
use crate::update::{How, Updated, create};
use crate::{crds, hooks, ownership, render};

pub(crate) async fn run(
    run: &mut Run<'_>,
    chart: &LoadedChart,
    values: &Map<String, Value>,
    options: &Install,
) -> Result<Release, ActionError> {
    let (helm, target) = (run.helm, run.helm.target());
    sluice_helm::render::check_name(&target.release).map_err(ActionError::failed)?;
    let last = helm.revisions().await?.pop();
    if let Some(last) = &last
        && !(options.replace && matches!(last.status, Status::Uninstalled | Status::Failed))
    {
        let text = "release name check failed: cannot reuse a name that is still in use";
        return Err(ActionError::Failed(text.to_owned()));
    }
    crds::apply(run, chart, values, options.crds, options.server_side).await?;
    let request = render::Request {
        chart,
        values,
        release: sluice_helm::Release {
            name: target.release.clone(),
            namespace: target.namespace.clone(),
            revision: 1,
            is_upgrade: false,
        },
        skip_schema_validation: options.disable_schema_validation,
        dns: options.dns,
        post_render: &options.post_render,
        origin: helm.origin(),
    };
    let parts = render::run(helm.cluster(), request, helm.cancel(), &run.log).await?;
    let objects = objects(run, &parts.manifest).await.map_err(|error| {
        ActionError::Failed(format!("unable to build kubernetes objects from release manifest: {error}"))
    })?;
    if !options.take_ownership {
        let checked = ownership::check(helm.sender(), objects.iter(), target).await;
        checked.map_err(|error| error.during("unable to continue with install"))?;
    }
    if options.create_namespace {
        create_namespace(run).await?;
    }
    let at = now();
    let mut release = Release {
        name: target.release.clone(),
        namespace: target.namespace.clone(),
        version: last.as_ref().map_or(1, |last| last.version.saturating_add(1)),
        info: Info {
            first_deployed: at,
            last_deployed: at,
            description: "Initial install underway".to_owned(),
            status: Status::PendingInstall,
            notes: parts.notes,
            ..Info::default()
        },
        chart: parts.chart,
        config: values.clone(),
        manifest: parts.manifest,
        hooks: parts.hooks,
        apply_method: Some(match options.server_side {
            true => ApplyMethod::ServerSide,
            false => ApplyMethod::ClientSide,
        }),
        ..Release::default()
    };
    if let Some(last) = last
        && let Some(mut replaced) = helm.get(last.version).await?
    {
        replaced.info.status = Status::Superseded;
        replaced.info.description = "superseded by new release".to_owned();
        run.update(&replaced).await?;
    }
    run.create(&release).await?;
    match steps(run, &mut release, objects, options).await {
        Ok(()) => {
            release.info.status = Status::Deployed;
            release.info.description = "Install complete".to_owned();
            run.update(&release).await?;
            Ok(release)
        }
        Err(error) => run.fail(release, "Release", error).await,
    }
}

async fn steps(
    run: &mut Run<'_>,
    release: &mut Release,
    objects: Vec<Object>,
    options: &Install,
) -> Result<(), ActionError> {
    let hook = hooks::How { timeout: options.timeout, wait: &options.wait, server_side: options.server_side };
    if !options.disable_hooks {
        let ran = hooks::execute(run, release, HookEvent::PreInstall, &hook, &|_| true).await;
        ran.map_err(|error| error.during("failed pre-install"))?;
    }
    let how = match options.server_side {
        true => How::Server { migrate: false },
        false => How::Client { force: false },
    };
    let mut updated = Updated::default();
    create(run.helm.sender(), objects, how, &mut updated).await?;
    wait(run, &updated, &options.wait, options.timeout).await?;
    drop(updated);
    if !options.disable_hooks {
        let ran = hooks::execute(run, release, HookEvent::PostInstall, &hook, &|_| true).await;
        ran.map_err(|error| error.during("failed post-install"))?;
    }
    Ok(())
}

/// Makes the namespace of the release. It is not part of it, and stays when it goes.
async fn create_namespace(run: &Run<'_>) -> Result<(), ActionError> {
    let name = &run.helm.target().namespace;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"name": name}}});
    let failed = |error: String| ActionError::Failed(format!("failed to create namespace {name}: {error}"));
    let located = locate(vec![namespace], run.helm.discovery(), "").await.map_err(failed)?;
    let there = async |namespace: &Object| {
        run.helm.sender().metadata(namespace).await.is_ok_and(|live| live.is_some())
    };
    for namespace in located {
        if there(&namespace).await {
            continue;
        }
        let made = run.helm.sender().create(namespace.clone()).await;
        if let Err(error) = made
            && !there(&namespace).await
        {
            return Err(failed(error.to_string()));
        }
    }
    Ok(())
}
