//! What follows when a release action failed for good: back to the last good revision, or away with it.

use super::{Job, options, take_inventory, told, told_of, with_logs};
use crate::attempt::{Attempt, Stop};
use crate::context::REMEDIATED;
use crate::history::{self, action};
use sluice_api::helm::ReleaseSnapshot;
use sluice_release::{ActionError, Done, Helm, LogLine};
use sluice_runtime::conditions;
use sluice_runtime::events::Event;
use tracing::{info, warn};

/// Goes back to the revision of a snapshot. A failure is an error only if nothing was stored.
pub(super) async fn rollback(
    attempt: &mut Attempt<'_>,
    job: &Job,
    helm: &Helm,
    target: &ReleaseSnapshot,
) -> Result<(), Stop> {
    let (cx, policy) = (attempt.cx, attempt.policy());
    let Ok(version) = u32::try_from(target.version) else {
        return Err(Stop::Action("missing target release for rollback: required to rollback".to_owned()));
    };
    if target.name != job.name.name || target.namespace != job.name.namespace {
        let name = history::full_name(target);
        return Err(Stop::Action(format!(
            "release mismatch: previous release {name} != current release {}/{}",
            job.name.namespace, job.name.name
        )));
    }
    let options = options::rollback(&policy, job);
    let Done { result, written, logs } = attempt.unless_newer(helm.rollback(version, &options)).await?;
    let oci = target.oci_digest.clone().unwrap_or_default();
    let algorithm = cx.config.snapshot_digest_algo;
    history::record(&mut attempt.status().history, &written, action::ROLLBACK, &oci, algorithm);
    take_inventory(attempt, helm, &written, None).await;
    let told = |event: Event| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (app, oci) = (text(&target.app_version), text(&target.oci_digest));
        told(event, &target.chart_version, &job.config_digest, &app, &oci)
    };
    let outcome = match result {
        Ok(_) => {
            let text = rolled_back(Some(target));
            mark(attempt, true, "RollbackSucceeded", &text);
            attempt.event(told(Event::info("RollbackSucceeded", text)));
            Ok(())
        }
        Err(ActionError::Canceled) => Err(attempt.canceled()),
        Err(err) => {
            let text = format!("{} failed: {}", rollback_to(target), err.to_string().trim());
            attempt.status().failures += 1;
            mark(attempt, false, "RollbackFailed", &text);
            attempt.event(told(Event::error("RollbackFailed", with_logs(&text, &logs))));
            if written.is_empty() { Err(Stop::Action(text)) } else { Ok(()) }
        }
    };
    super::summarize(attempt);
    outcome
}

/// What is said of a rollback that went well.
pub(super) fn rolled_back(target: Option<&ReleaseSnapshot>) -> String {
    format!("{} succeeded", target.map(rollback_to).unwrap_or_default())
}

fn rollback_to(target: &ReleaseSnapshot) -> String {
    format!(
        "Helm rollback to previous release {} with chart {}",
        history::full_name(target),
        history::versioned_chart(target)
    )
}

/// Uninstalls what failed. Ready keeps saying why.
pub(super) async fn uninstall(attempt: &mut Attempt<'_>, helm: &Helm) -> Result<(), Stop> {
    let (cx, policy) = (attempt.cx, attempt.policy());
    let Some(current) = attempt.status().history.first().cloned() else {
        return Err(Stop::Action("no latest release: required to uninstall".to_owned()));
    };
    let options = options::uninstall(&policy);
    let done = attempt.during(helm.uninstall(&options)).await?;
    let name = action::UNINSTALL_REMEDIATION;
    let outcome = super::uninstall::observed(
        &mut attempt.status().history,
        &current,
        &done,
        name,
        cx.config.snapshot_digest_algo,
    );
    let subject = format!(
        "Helm uninstall remediation for release {} with chart {}",
        history::full_name(&current),
        history::versioned_chart(&current)
    );
    let moved = attempt.status().history.first().map(|newest| &newest.digest) != Some(&current.digest);
    match outcome {
        Ok(()) => {
            let text = format!("{subject} succeeded");
            mark(attempt, true, "UninstallSucceeded", &text);
            attempt.event(told_of(Event::info("UninstallSucceeded", text), &current));
            Ok(())
        }
        Err(None) => Err(Stop::Shutdown),
        Err(Some(cause)) => {
            let text = format!("{subject} failed: {}", cause.trim());
            fail(attempt, &text, &current, &done.logs);
            if moved { Ok(()) } else { Err(Stop::Action(text)) }
        }
    }
}

/// Ends an uninstall that was cut off.
pub(super) async fn finish(attempt: &mut Attempt<'_>, helm: &Helm) -> Result<(), Stop> {
    let algorithm = attempt.cx.config.snapshot_digest_algo;
    let last = helm.last().await.map_err(|err| Stop::Action(err.to_string()))?;
    if let Some(release) = last {
        let history = &mut attempt.status().history;
        if history.first().is_none_or(|newest| !history::is_of(newest, &release)) {
            history.clear();
            history::record(history, [&release], action::UNINSTALL, "", algorithm);
        }
    }
    uninstall(attempt, helm).await
}

fn fail(attempt: &mut Attempt<'_>, text: &str, current: &ReleaseSnapshot, logs: &[LogLine]) {
    attempt.status().failures += 1;
    mark(attempt, false, "UninstallFailed", text);
    attempt.event(told_of(Event::error("UninstallFailed", with_logs(text, logs)), current));
}

fn mark(attempt: &mut Attempt<'_>, good: bool, reason: &str, text: &str) {
    let generation = attempt.generation();
    let list = &mut attempt.status().conditions;
    if good {
        info!("{text}");
        conditions::mark_true(list, generation, REMEDIATED, reason, text);
    } else {
        warn!("{text}");
        conditions::mark_false(list, generation, REMEDIATED, reason, text);
    }
}
