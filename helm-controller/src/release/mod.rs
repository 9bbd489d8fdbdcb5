//! The action loop: looks where the release stands, chooses what to do and does it, until there is nothing left.
//!
//! Each kind of action runs at most once in a pass. An action that fails says so in its own condition; what follows from
//! that is chosen anew, so that a crash at any point is no special case.

mod action;
mod drift;
mod follow;
mod job;
mod options;
mod remediate;
mod resume;
mod summary;
mod test;
mod uninstall;
mod unlock;
mod unmoved;

pub(crate) use follow::Followed;
pub(crate) use job::{CHART_MUTATE_ERROR, Job, chart};
pub(crate) use uninstall::{moved, uninstall};
pub(crate) use unmoved::Unmoved;

use crate::attempt::{Attempt, Stop};
use crate::choose::{self, Kind, Next};
use crate::context::{DRIFTED, RELEASED, REMEDIATED, TEST_SUCCESS};
use crate::history;
use crate::state::{self, State};
use sluice_api::helm::{DriftMode, HelmRelease, ReleaseAction, ReleaseSnapshot};
use sluice_api::meta::{
    Duration, FORCE_REQUEST_ANNOTATION, HELM_NAME_LABEL, HELM_NAMESPACE_LABEL, PROGRESSING_REASON, READY,
    RECONCILING, RESET_REQUEST_ANNOTATION, ResourceInventory, ResourceRef,
};
use sluice_helm::release::Release;
use sluice_release::{Cluster, Helm, Identity, LoadedChart, LogLine, Target};
use sluice_runtime::controller::Key;
use sluice_runtime::events::Event;
use sluice_runtime::{conditions, requests};
use std::time::Duration as Std;
use tracing::{debug, info};

/// Prefix of the keys of event metadata.
const META: &str = "helm.toolkit.fluxcd.io";
/// Reason of Stalled when no try is left.
const RETRIES_EXCEEDED: &str = "RetriesExceeded";
/// Reason of Stalled when there is nothing to go back to.
const MISSING_TARGET: &str = "MissingRollbackTarget";
/// Reason of Ready when nobody knows where the release stands.
const STATE_ERROR: &str = "StateError";
/// Reason of Ready when an action failed before it did anything.
const RECONCILE_ERROR: &str = "ReconcileError";

/// Brings the release to what the spec wants.
pub(crate) async fn run(attempt: &mut Attempt<'_>, job: &Job) -> Result<(), Stop> {
    let mut done: Vec<Kind> = Vec::new();
    // One handle for the whole pass: it knows what its own actions stored.
    let helm = helm_of(attempt, &job.target.cluster, &job.name);
    loop {
        if attempt.pass.shutdown.is_cancelled() {
            return Err(Stop::Shutdown);
        }
        let Found { state, drift } = find(attempt, job, &helm).await?;
        let forced = is_requested(&mut attempt.hr, Request::Force);
        let policy = attempt.policy();
        let next = choose::choose(&state, &policy, attempt.status(), forced);
        debug!(?state, next = next.name(), "release state");
        let next = prepared(attempt, &helm, &state, next).await?;
        if let Some(report) = &drift {
            drift::tell(attempt, report);
        }
        match &next {
            Next::Done => {
                settled(attempt, &state);
                return Ok(());
            }
            Next::Exceeded => return Err(exceeded(attempt)),
            Next::NoTarget => return Err(no_target(attempt)),
            _ => {}
        }
        let Some(kind) = next.kind() else { return Ok(()) };
        if done.contains(&kind) {
            return stopped(attempt, false);
        }
        let outcome = match next.clone() {
            Next::Install => Box::pin(release(attempt, job, &helm, &next, ReleaseAction::Install)).await,
            Next::Upgrade { .. } => {
                Box::pin(release(attempt, job, &helm, &next, ReleaseAction::Upgrade)).await
            }
            Next::Rollback(target) => {
                begin(attempt, &next).await?;
                Box::pin(remediate::rollback(attempt, job, &helm, &target)).await
            }
            Next::UninstallRemediation => {
                begin(attempt, &next).await?;
                Box::pin(remediate::uninstall(attempt, &helm)).await
            }
            Next::Test => {
                announce(attempt, &next);
                Box::pin(test::run(attempt, &helm)).await
            }
            Next::Unlock => {
                announce(attempt, &next);
                Box::pin(unlock::run(attempt, &helm)).await
            }
            Next::FinishUninstall => {
                announce(attempt, &next);
                Box::pin(remediate::finish(attempt, &helm)).await
            }
            Next::CorrectDrift => {
                announce(attempt, &next);
                drift::correct(attempt, &helm, &drift.unwrap_or_default()).await
            }
            Next::Done | Next::Exceeded | Next::NoTarget => Ok(()),
        };
        // What happened to the release is not as it was verified, whatever came of it.
        attempt.cx.unmoved.forget(&attempt.pass.key);
        if let Err(stop) = outcome {
            return Err(failed(attempt, stop));
        }
        if kind == Kind::Remediate {
            return stopped(attempt, true);
        }
        done.push(kind);
    }
}

/// Runs an action that makes a release of the chart.
async fn release(
    attempt: &mut Attempt<'_>,
    job: &Job,
    helm: &Helm,
    next: &Next,
    kind: ReleaseAction,
) -> Result<(), Stop> {
    let chart = job.load(attempt).await?;
    let status = attempt.status();
    status.last_attempted_release_action = Some(kind);
    conditions::remove(&mut status.conditions, TEST_SUCCESS);
    conditions::remove(&mut status.conditions, REMEDIATED);
    if kind == ReleaseAction::Install {
        status.history.clear();
    }
    begin(attempt, next).await?;
    action::release(attempt, job, helm, &chart, kind).await
}

/// Tells what runs now, and writes it: should the process die in the middle, the next one finds what was under way.
async fn begin(attempt: &mut Attempt<'_>, next: &Next) -> Result<(), Stop> {
    announce(attempt, next);
    attempt.save().await.map_err(Stop::Status)
}

/// Where the release stands, and what of the cluster is not as it says.
struct Found {
    state: State,
    drift: Option<sluice_release::DriftReport>,
}

async fn find(attempt: &mut Attempt<'_>, job: &Job, helm: &Helm) -> Result<Found, Stop> {
    let outcome = look(attempt, job, helm).await;
    outcome.map_err(|cause| {
        let message = format!("Could not determine release state: {cause}");
        attempt.not_ready(STATE_ERROR, message.clone());
        Stop::Action(message)
    })
}

async fn look(attempt: &mut Attempt<'_>, job: &Job, helm: &Helm) -> Result<Found, String> {
    let cx = attempt.cx;
    let policy = attempt.policy();
    let wanted = job.wanted(&attempt.hr, &policy);
    let (drift_on, key) = (policy.drift() != DriftMode::Disabled, attempt.pass.key.clone());
    let status = attempt.hr.status.clone().unwrap_or_default();
    let storage = &job.name.storage;
    let newest = status.history.first();
    let unmoved = newest
        .filter(|newest| job.target.local && cx.unmoved.is_unmoved(&key, newest, storage))
        .and_then(|_| state::of_unmoved(&wanted, &status));
    let same_spec = status.observed_generation == wanted.generation;
    let undisturbed = || !drift_on || (same_spec && cx.followed.is_clean(&key));
    if let Some(state) = unmoved.filter(|state| *state != State::Deployed || undisturbed()) {
        return Ok(Found { state, drift: None });
    }
    let mark = newest.filter(|_| job.target.local).and_then(|newest| cx.unmoved.mark(newest, storage));
    let last =
        helm.last().await.map_err(|err| format!("failed to retrieve last release from storage: {err}"))?;
    if let Some(last) = &last {
        let caught_up = resume::catch_up(attempt, helm, last).await;
        caught_up.map_err(|err| format!("failed to retrieve a release from storage: {err}"))?;
    }
    let status = attempt.status().clone();
    let state = state::determine(&wanted, &status, last.as_ref())?;
    match last.filter(|_| state == State::Deployed) {
        Some(release) => {
            cx.unmoved.verified(&key, mark);
            if drift_on {
                return drift::look(attempt, job, helm, &release).await;
            }
            cx.followed.forget(&key);
        }
        None => cx.unmoved.forget(&key),
    }
    Ok(Found { state, drift: None })
}

/// The handle on a release.
fn helm_of(attempt: &Attempt<'_>, cluster: &Cluster, name: &crate::ReleaseName) -> Helm {
    let key = &attempt.pass.key;
    let target = Target {
        release: name.name.clone(),
        namespace: name.namespace.clone(),
        storage_namespace: name.storage.clone(),
    };
    let origin = [(HELM_NAME_LABEL, &key.name), (HELM_NAMESPACE_LABEL, &key.namespace)];
    let identity = Identity {
        field_manager: crate::FIELD_MANAGER.to_owned(),
        origin: origin.map(|(label, value)| (label.to_owned(), value.to_string())).into(),
    };
    Helm::new(cluster, target, identity, attempt.cancel.clone())
}

/// What has to be done before the next action is really that: the history is trimmed, and a rollback needs a target that is
/// still there.
async fn prepared(attempt: &mut Attempt<'_>, helm: &Helm, state: &State, next: Next) -> Result<Next, Stop> {
    let policy = attempt.policy();
    let generation = attempt.generation();
    let status = attempt.status();
    let action = status.last_attempted_release_action;
    let retry = action.is_some_and(|action| policy.retry(action).is_some());
    let ignore = action
        .map_or_else(|| policy.ignore_test_failures(), |it| policy.remediation(it).ignore_test_failures);
    match (state, &next) {
        (State::Deployed, _) => {
            history::trim(&mut status.history, retry, ignore);
            remediation_is_over(status, generation);
        }
        (State::Untested, _) => remediation_is_over(status, generation),
        (State::Failed(_), Next::Upgrade { .. }) if retry => history::trim(&mut status.history, true, ignore),
        (State::Failed(_), Next::Rollback(_) | Next::UninstallRemediation) => {
            history::trim(&mut status.history, false, ignore);
        }
        _ => {}
    }
    if let Next::Upgrade { forget: true } = &next {
        status.history.clear();
    }
    if let Next::Rollback(target) = &next
        && !is_intact(helm, target).await?
    {
        info!(
            target = history::full_name(target),
            "rollback target is not in storage any more as it was: upgrading instead"
        );
        return Ok(Next::Upgrade { forget: false });
    }
    Ok(next)
}

/// Whether storage has the revision of a snapshot as it was observed.
async fn is_intact(helm: &Helm, target: &ReleaseSnapshot) -> Result<bool, Stop> {
    let Ok(version) = u32::try_from(target.version) else { return Ok(false) };
    let found = helm.get(version).await.map_err(|err| Stop::Action(err.to_string()))?;
    Ok(found.is_some_and(|release| history::is_of(target, &release) && history::verifies(target, &release)))
}

/// A release that is in sync is not remediated any more: Released says what Remediated did.
fn remediation_is_over(status: &mut sluice_api::helm::HelmReleaseStatus, generation: i64) {
    let Some(newest) = status.history.first() else { return };
    let (name, chart) = (history::full_name(newest), history::versioned_chart(newest));
    let action = status.last_attempted_release_action;
    let list = &mut status.conditions;
    let released = conditions::reason(list, RELEASED).to_owned();
    let (reason, text) = match (action, released.as_str()) {
        (Some(ReleaseAction::Install), "InstallFailed") => {
            ("InstallSucceeded", action::succeeded("install", &name, &chart))
        }
        _ => ("UpgradeSucceeded", action::succeeded("upgrade", &name, &chart)),
    };
    let remediated =
        conditions::is_true(list, REMEDIATED).then(|| conditions::get(list, REMEDIATED).cloned()).flatten();
    let stale = matches!(released.as_str(), "InstallFailed" | "UpgradeFailed");
    if remediated.is_none() && !stale {
        return;
    }
    conditions::remove(list, REMEDIATED);
    conditions::mark_true(list, generation, RELEASED, reason, text);
    if let (Some(before), Some(now)) = (remediated, list.iter_mut().find(|it| it.type_ == RELEASED)) {
        now.last_transition_time = before.last_transition_time;
    }
}

/// Tells what runs now.
fn announce(attempt: &mut Attempt<'_>, next: &Next) {
    let policy = attempt.policy();
    let timeout = match next {
        Next::Install => policy.install_timeout(),
        Next::Upgrade { .. } => policy.upgrade_timeout(),
        Next::Test => policy.test_timeout(),
        Next::Rollback(_) => policy.rollback_timeout(),
        Next::UninstallRemediation | Next::FinishUninstall => policy.uninstall_timeout(),
        _ => policy.timeout(None),
    };
    let text = format!("Running '{}' action with timeout of {}", next.name(), Duration::format(timeout));
    info!("{text}");
    let generation = attempt.generation();
    let list = &mut attempt.status().conditions;
    conditions::mark_reconciling(list, generation, PROGRESSING_REASON, text.clone());
    if next.kind() == Some(Kind::Release) {
        conditions::mark_unknown(list, generation, READY, PROGRESSING_REASON, text);
    }
}

/// The release is as it should be.
fn settled(attempt: &mut Attempt<'_>, state: &State) {
    let drift = attempt.policy().drift();
    let generation = attempt.generation();
    let list = &mut attempt.status().conditions;
    match state {
        State::Deployed if drift != DriftMode::Disabled => {
            let text = "No drift detected against the cluster state";
            conditions::mark_false(list, generation, DRIFTED, "NoDriftDetected", text);
        }
        // Nobody looks for it any more.
        State::Deployed => drop(conditions::remove(list, DRIFTED)),
        _ => {}
    }
    conditions::remove(list, RECONCILING);
    summarize(attempt);
}

/// Makes Ready say what the actions' conditions say.
fn summarize(attempt: &mut Attempt<'_>) {
    let (policy, generation) = (attempt.policy(), attempt.generation());
    summary::summarize(attempt.status(), &policy, generation);
}

/// No try is left.
fn exceeded(attempt: &mut Attempt<'_>) -> Stop {
    // A step before this one may have said that the pass is under way.
    if conditions::is_unknown(&attempt.status().conditions, READY) {
        summarize(attempt);
    }
    let policy = attempt.policy();
    let generation = attempt.generation();
    let status = attempt.status();
    let action = status.last_attempted_release_action.unwrap_or(ReleaseAction::Install);
    let failures = policy.remediation(action).failures(status);
    let text = format!("Failed to {action} after {failures} attempt(s)");
    conditions::mark_stalled(&mut status.conditions, generation, RETRIES_EXCEEDED, text.clone());
    Stop::Stalled(text)
}

/// There is nothing to go back to.
fn no_target(attempt: &mut Attempt<'_>) -> Stop {
    let text =
        "Failed to perform remediation: missing target release for rollback: cannot remediate failed release";
    if conditions::is_unknown(&attempt.status().conditions, READY) {
        summarize(attempt);
    }
    let generation = attempt.generation();
    conditions::mark_stalled(&mut attempt.status().conditions, generation, MISSING_TARGET, text);
    Stop::Stalled(text.to_owned())
}

/// Ends the pass though something is left to be done: a kind of action does not run twice, and nothing follows a
/// remediation.
fn stopped(attempt: &mut Attempt<'_>, remediated: bool) -> Result<(), Stop> {
    let policy = attempt.policy();
    let status = attempt.status();
    let action = status.last_attempted_release_action;
    if let Some(interval) = action.and_then(|action| policy.retry(action)) {
        attempt.will_retry(format!("retrying after {}", Duration::format(interval)));
        return Err(Stop::After(interval));
    }
    let exhausted = action.is_some_and(|action| policy.remediation(action).exhausted(status));
    if !exhausted {
        let message = conditions::message(&status.conditions, READY).to_owned();
        attempt.will_retry(message);
        return Err(Stop::Again);
    }
    if remediated {
        return Err(exceeded(attempt));
    }
    conditions::remove(&mut status.conditions, RECONCILING);
    Ok(())
}

/// An action failed before it did anything.
fn failed(attempt: &mut Attempt<'_>, stop: Stop) -> Stop {
    let Stop::Action(message) = stop else { return stop };
    let policy = attempt.policy();
    let status = attempt.status();
    let retry: Option<Std> = status.last_attempted_release_action.and_then(|action| policy.retry(action));
    if let Some(interval) = retry {
        attempt.will_retry(format!("retrying after {}", Duration::format(interval)));
        return Stop::After(interval);
    }
    if conditions::is_true(&status.conditions, READY) {
        attempt.not_ready(RECONCILE_ERROR, message.clone());
    }
    Stop::Action(message)
}

/// What a user can ask for by annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// A release action, whatever the state.
    Force,
    /// Counters of failures back to zero.
    Reset,
}

/// Whether it is asked for, together with a reconciliation, and not yet handled. Asking again takes a new value.
pub(crate) fn is_requested(release: &mut HelmRelease, request: Request) -> bool {
    let annotation = match request {
        Request::Force => FORCE_REQUEST_ANNOTATION,
        Request::Reset => RESET_REQUEST_ANNOTATION,
    };
    let annotations = release.metadata.annotations.clone().unwrap_or_default();
    let Some(asked) = annotations.get(annotation).filter(|asked| !asked.is_empty()) else { return false };
    let with_pass = requests::requested_at(release) == Some(asked.as_str());
    let Some(status) = release.status.as_mut() else { return false };
    let handled = match request {
        Request::Force => &mut status.last_handled_force_at,
        Request::Reset => &mut status.last_handled_reset_at,
    };
    let is_new = handled.as_deref() != Some(asked.as_str());
    *handled = Some(asked.clone());
    with_pass && is_new && status.last_handled_reconcile_at.as_deref() != Some(asked.as_str())
}

/// Adds what identifies the release to an event.
fn told(event: Event, version: &str, token: &str, app: &str, oci: &str) -> Event {
    event
        .with(format!("{META}/revision"), version)
        .with(format!("{META}/token"), token)
        .with(format!("{META}/app-version"), app)
        .with(format!("{META}/oci-digest"), oci)
}

/// An event about a snapshot.
fn told_of(event: Event, snapshot: &ReleaseSnapshot) -> Event {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (app, oci) = (text(&snapshot.app_version), text(&snapshot.oci_digest));
    told(event, &snapshot.chart_version, &snapshot.config_digest, &app, &oci)
}

/// The text of a failure with what Helm did last, for events only.
fn with_logs(message: &str, logs: &[LogLine]) -> String {
    if logs.is_empty() {
        return message.to_owned();
    }
    let lines: Vec<String> = logs.iter().map(ToString::to_string).collect();
    format!("{message}\n\nLast Helm logs:\n\n{}", lines.join("\n"))
}

/// Forgets what is remembered of a HelmRelease.
pub(crate) fn forget(cx: &crate::context::Context, key: &Key) {
    cx.unmoved.forget(key);
    cx.followed.forget(key);
    cx.templates.forget(key);
}

/// Makes the inventory say what the newest revision consists of; with its chart, the CRDs of that too.
async fn take_inventory(
    attempt: &mut Attempt<'_>,
    helm: &Helm,
    written: &[Release],
    chart: Option<&LoadedChart>,
) {
    let Some(newest) = written.iter().max_by_key(|release| release.version) else { return };
    match helm.inventory(newest, chart).await {
        Ok(inventory) => {
            for text in inventory.skipped {
                attempt.event(Event::error("NamespaceCheckSkipped", text));
            }
            let entries = inventory.entries.iter().map(|entry| ResourceRef {
                id: sluice_apply::inventory::format(&entry.id),
                version: entry.version.clone(),
            });
            attempt.status().inventory = Some(ResourceInventory { entries: entries.collect() });
        }
        Err(err) => {
            let text = format!("failed to build inventory for {}/{}: {err}", newest.namespace, newest.name);
            attempt.event(Event::error("InventoryBuildFailed", text));
        }
    }
}
