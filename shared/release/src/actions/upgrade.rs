//! Upgrade: render, store, pre-upgrade hooks, update from the baseline, wait, post-upgrade hooks, store.

use std::collections::HashSet;

use serde_json::{Map, Value};
use sluice_apply::ObjectId;
use sluice_helm::manifest::HookEvent;
use sluice_helm::release::{ApplyMethod, Info, Release, Status};

use super::{clean_up, objects, wait};
use crate::chart::LoadedChart;
use crate::error::ActionError;
use crate::object::Object;
use crate::options::{Propagation, ServerSide, Upgrade};
use crate::run::{Run, now};
use crate::update::{How, Updated, update};
use crate::{crds, hooks, ownership, render};

pub(crate) async fn run(
    run: &mut Run<'_>,
    chart: &LoadedChart,
    values: &Map<String, Value>,
    options: &Upgrade,
) -> Result<Release, ActionError> {
    let (helm, target) = (run.helm, run.helm.target());
    sluice_helm::render::check_name(&target.release).map_err(ActionError::failed)?;
    let (newest, mut baseline) = baseline(run).await?;
    let server_side = match options.server_side {
        ServerSide::Enabled => true,
        ServerSide::Disabled => false,
        ServerSide::Auto => newest.server_side(),
    };
    let (chart, values) = match options.preserve_values {
        true => preserved(chart, &baseline, values),
        false => (chart.clone(), values.clone()),
    };
    crds::apply(run, &chart, &values, options.crds, server_side).await?;
    let version = newest.version.saturating_add(1);
    let request = render::Request {
        chart: &chart,
        values: &values,
        release: sluice_helm::Release {
            name: target.release.clone(),
            namespace: target.namespace.clone(),
            revision: version,
            is_upgrade: true,
        },
        skip_schema_validation: options.disable_schema_validation,
        dns: options.dns,
        post_render: &options.post_render,
        origin: helm.origin(),
    };
    let parts = render::run(helm.cluster(), request, helm.cancel(), &run.log).await?;
    let old = objects(run, &baseline.manifest).await.map_err(|error| {
        ActionError::Failed(format!(
            "current release manifest contains removed kubernetes api(s) for this kubernetes version and it is \
             therefore unable to build the kubernetes objects for performing the diff. error from kubernetes: {error}"
        ))
    })?;
    let new = objects(run, &parts.manifest).await.map_err(|error| {
        ActionError::Failed(format!("unable to build kubernetes objects from new release manifest: {error}"))
    })?;
    if !options.take_ownership {
        let known: HashSet<&ObjectId> = old.iter().map(|object| &object.id).collect();
        let added = new.iter().filter(|object| !known.contains(&object.id));
        let checked = ownership::check(helm.sender(), added, target).await;
        checked.map_err(|error| error.during("unable to continue with update"))?;
    }
    let mut release = Release {
        name: target.release.clone(),
        namespace: target.namespace.clone(),
        version,
        info: Info {
            first_deployed: baseline.info.first_deployed,
            last_deployed: now(),
            description: "Preparing upgrade".to_owned(),
            status: Status::PendingUpgrade,
            notes: parts.notes,
            ..Info::default()
        },
        chart: parts.chart,
        config: values,
        manifest: parts.manifest,
        hooks: parts.hooks,
        apply_method: Some(match server_side {
            true => ApplyMethod::ServerSide,
            false => ApplyMethod::ClientSide,
        }),
        labels: baseline.labels.clone(),
    };
    run.prune(options.max_history).await?;
    run.create(&release).await?;
    let how = match server_side {
        true => How::Server { migrate: !baseline.server_side() || !newest.server_side() },
        false => How::Client { force: options.force },
    };
    let left = leftovers(run, &newest, &baseline).await;
    match steps(run, &mut release, Change { old, new, left }, how, options).await {
        Ok(()) => {
            release.info.status = Status::Deployed;
            release.info.description = "Upgrade complete".to_owned();
            // The new one first: if nothing comes after it, two are deployed and the newer one counts.
            run.update(&release).await?;
            baseline.info.status = Status::Superseded;
            run.update(&baseline).await?;
            Ok(release)
        }
        Err(error) => run.fail(release, "Upgrade", error).await,
    }
}

/// The newest revision, and the one that the upgrade starts from.
async fn baseline(run: &Run<'_>) -> Result<(Release, Release), ActionError> {
    let helm = run.helm;
    let none = || ActionError::NotFound(format!("{:?} has no deployed releases", helm.target().release));
    let revisions = helm.revisions().await?;
    let newest = helm.last().await?.ok_or_else(none)?;
    if newest.info.status.is_pending() {
        let text = "another operation (install/upgrade/rollback) is in progress";
        return Err(ActionError::Failed(text.to_owned()));
    }
    if newest.info.status == Status::Deployed {
        return Ok((newest.clone(), newest));
    }
    if let Some(deployed) = revisions.iter().rfind(|revision| revision.status == Status::Deployed)
        && let Some(deployed) = helm.get(deployed.version).await?
    {
        return Ok((newest, deployed));
    }
    match newest.info.status {
        Status::Failed | Status::Superseded => Ok((newest.clone(), newest)),
        _ => Err(none()),
    }
}

/// The chart and values of an upgrade that keeps the old values: old defaults and old values below the new ones.
fn preserved(
    chart: &LoadedChart,
    old: &Release,
    values: &Map<String, Value>,
) -> (LoadedChart, Map<String, Value>) {
    let mut defaults = old.chart.values();
    sluice_helm::values::merge(&mut defaults, old.config.clone());
    let mut merged = old.config.clone();
    sluice_helm::values::merge(&mut merged, values.clone());
    (chart.with_defaults(defaults), merged)
}

/// What a failed attempt after the baseline brought to the cluster; the baseline does not know it.
async fn leftovers(run: &Run<'_>, newest: &Release, baseline: &Release) -> Vec<Object> {
    if newest.version == baseline.version || newest.info.status != Status::Failed {
        return Vec::new();
    }
    // Kinds that are not served any more have no objects.
    objects(run, &newest.manifest).await.unwrap_or_default()
}

struct Change {
    old: Vec<Object>,
    new: Vec<Object>,
    left: Vec<Object>,
}

async fn steps(
    run: &mut Run<'_>,
    release: &mut Release,
    change: Change,
    how: How,
    options: &Upgrade,
) -> Result<(), ActionError> {
    let server_side = release.server_side();
    let hook = hooks::How { timeout: options.timeout, wait: &options.wait, server_side };
    if !options.disable_hooks {
        let ran = hooks::execute(run, release, HookEvent::PreUpgrade, &hook, &|_| true).await;
        ran.map_err(|error| error.during("pre-upgrade hooks failed"))?;
    }
    let mut updated = Updated::default();
    let outcome = async {
        update(run.helm.sender(), &change.old, &change.new, how, &run.log, &mut updated).await?;
        remove_leftovers(run, &change).await?;
        wait(run, &updated, &options.wait, options.timeout).await?;
        if !options.disable_hooks {
            let ran = hooks::execute(run, release, HookEvent::PostUpgrade, &hook, &|_| true).await;
            ran.map_err(|error| error.during("post-upgrade hooks failed"))?;
        }
        Ok(())
    };
    match outcome.await {
        Err(error) if options.cleanup_on_fail => Err(clean_up(run, &updated, error).await),
        outcome => outcome,
    }
}

async fn remove_leftovers(run: &Run<'_>, change: &Change) -> Result<(), ActionError> {
    let known: HashSet<&ObjectId> = change.old.iter().chain(&change.new).map(|object| &object.id).collect();
    for object in change.left.iter().filter(|it| !known.contains(&it.id) && !it.id.name.is_empty()) {
        let fail = |error| ActionError::Failed(format!("failed to delete {}: {error}", object.id));
        let Some(live) = run.helm.sender().metadata(object).await.map_err(fail)? else { continue };
        let keeps = Object::annotation(&live, crate::object::RESOURCE_POLICY) == "keep";
        if keeps || ownership::fault(&live, run.helm.target()).is_some() {
            continue;
        }
        run.log.line(
            "deleting what a failed attempt left",
            [("kind", object.id.kind.as_str()), ("name", object.id.name.as_str())],
        );
        run.helm.sender().delete(object, Propagation::Background).await.map_err(fail)?;
    }
    Ok(())
}
