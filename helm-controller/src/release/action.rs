//! Install and upgrade: the actions that make a new revision.

use super::{Job, options, take_inventory, told, told_of, with_logs};
use crate::attempt::{Attempt, Stop};
use crate::context::{RELEASED, TEST_SUCCESS};
use crate::history::{self, action};
use sluice_api::helm::ReleaseAction;
use sluice_api::meta::Duration;
use sluice_release::{ActionError, Done, Helm, LoadedChart, LogLine};
use sluice_runtime::conditions;
use sluice_runtime::events::Event;
use tokio::time::Instant;
use tracing::{info, warn};

/// Runs the action, and says what came of it. A failure is an error only if nothing was stored.
pub(super) async fn release(
    attempt: &mut Attempt<'_>,
    job: &Job,
    helm: &Helm,
    chart: &LoadedChart,
    kind: ReleaseAction,
) -> Result<(), Stop> {
    let (cx, policy, begun) = (attempt.cx, attempt.policy(), Instant::now());
    let done = match kind {
        ReleaseAction::Install => {
            let options = options::install(cx, &policy, job);
            attempt.unless_newer(helm.install(chart, &job.values, &options)).await?
        }
        ReleaseAction::Upgrade => {
            let options = options::upgrade(cx, &policy, job);
            attempt.unless_newer(helm.upgrade(chart, &job.values, &options)).await?
        }
    };
    let Done { result, written, logs } = done;
    let algorithm = cx.config.snapshot_digest_algo;
    let (oci, name) = (job.chart.oci_digest.as_str(), name(kind));
    let status = attempt.status();
    history::record(&mut status.history, &written, action_of(kind), oci, algorithm);
    status.last_attempted_release_action_duration = Some(Duration::from(begun.elapsed()));
    take_inventory(attempt, helm, &written, Some(chart)).await;
    match result {
        Ok(_) => {
            success(attempt, name);
            super::summarize(attempt);
            Ok(())
        }
        Err(ActionError::Canceled) => Err(attempt.canceled()),
        Err(err) => {
            let text = err.to_string();
            let message = failure(attempt, job, chart, kind, text.trim(), &logs);
            if !written.is_empty() {
                policy.remediation(kind).count(attempt.status());
            }
            super::summarize(attempt);
            if written.is_empty() { Err(Stop::Action(message)) } else { Ok(()) }
        }
    }
}

/// What is said of a release that went well.
pub(super) fn succeeded(name: &str, release: &str, chart: &str) -> String {
    format!("Helm {name} succeeded for release {release} with chart {chart}")
}

fn success(attempt: &mut Attempt<'_>, name: &str) {
    let (policy, generation) = (attempt.policy(), attempt.generation());
    let status = attempt.status();
    let Some(newest) = status.history.first().cloned() else { return };
    if policy.retry(status.last_attempted_release_action.unwrap_or(ReleaseAction::Install)).is_some() {
        (status.failures, status.install_failures, status.upgrade_failures) = (0, 0, 0);
    }
    let (release, chart) = (history::full_name(&newest), history::versioned_chart(&newest));
    let text = succeeded(name, &release, &chart);
    let reason = if name == "install" { "InstallSucceeded" } else { "UpgradeSucceeded" };
    info!("{text}");
    let list = &mut status.conditions;
    conditions::mark_true(list, generation, RELEASED, reason, text.clone());
    if policy.test().is_some() && !history::is_tested(&newest) {
        let text = format!("Helm release {release} with chart {chart} is awaiting tests");
        conditions::mark_unknown(list, generation, TEST_SUCCESS, "AwaitingTests", text);
    }
    attempt.event(told_of(Event::info(reason, text), &newest));
}

/// Says that the action failed; the event tells of the chart and values that were tried.
fn failure(
    attempt: &mut Attempt<'_>,
    job: &Job,
    chart: &LoadedChart,
    kind: ReleaseAction,
    cause: &str,
    logs: &[LogLine],
) -> String {
    let generation = attempt.generation();
    let metadata = chart.metadata();
    let text = format!(
        "Helm {} failed for release {}/{} with chart {}@{}: {cause}",
        name(kind),
        job.name.namespace,
        job.name.name,
        metadata.name,
        metadata.version
    );
    let reason = match kind {
        ReleaseAction::Install => "InstallFailed",
        ReleaseAction::Upgrade => "UpgradeFailed",
    };
    warn!("{text}");
    let status = attempt.status();
    status.failures += 1;
    conditions::mark_false(&mut status.conditions, generation, RELEASED, reason, text.clone());
    let event = Event::error(reason, with_logs(&text, logs));
    let (app, oci) = (metadata.app_version.as_str(), job.chart.oci_digest.as_str());
    attempt.event(told(event, &metadata.version, &job.config_digest, app, oci));
    text
}

fn name(kind: ReleaseAction) -> &'static str {
    match kind {
        ReleaseAction::Install => "install",
        ReleaseAction::Upgrade => "upgrade",
    }
}

fn action_of(kind: ReleaseAction) -> &'static str {
    match kind {
        ReleaseAction::Install => action::INSTALL,
        ReleaseAction::Upgrade => action::UPGRADE,
    }
}
