//! Whether the cluster has what the release says, and how it gets there again.

use super::{Found, Job, follow};
use crate::attempt::{Attempt, Stop};
use crate::context::DRIFTED;
use crate::history;
use crate::state::State;
use sluice_api::helm::{DriftMode, Selector};
use sluice_api::meta::{PROGRESSING_REASON, READY};
use sluice_apply::ignore::{IgnoreRule, IgnoreRules, IgnoreTarget};
use sluice_helm::release::Release;
use sluice_release::{DriftOptions, DriftReport, Helm};
use sluice_runtime::conditions;
use sluice_runtime::events::Event;
use tracing::{info, warn};

/// Compares a deployed release with the cluster.
///
/// # Errors
/// What is wrong with the ignore rules, or that nothing could be compared.
pub(super) async fn look(
    attempt: &mut Attempt<'_>,
    job: &Job,
    helm: &Helm,
    release: &Release,
) -> Result<Found, String> {
    let (cx, key) = (attempt.cx, attempt.pass.key.clone());
    let inventory = attempt.status().inventory.clone().filter(|_| job.target.local);
    if let Some(inventory) = inventory {
        follow::follow(cx, &job.target, &key, &inventory).await;
    }
    cx.followed.begin(&key);
    let found = compare(attempt, helm, release).await;
    if found.as_ref().ok().is_none_or(|found| found.state != State::Deployed) {
        cx.followed.moved(&key);
    }
    found
}

async fn compare(attempt: &Attempt<'_>, helm: &Helm, release: &Release) -> Result<Found, String> {
    let options = DriftOptions {
        ignore: ignore_rules(attempt)?,
        override_managers: attempt.cx.config.override_manager.clone(),
    };
    let report = helm.drift(release, &options).await;
    let report = report.map_err(|err| format!("unable to determine cluster state: {err}"))?;
    if !report.has_changes() {
        return match report.errors.as_slice() {
            [] => Ok(Found { state: State::Deployed, drift: None }),
            errors => Err(format!("unable to determine cluster state: {}", errors.join("; "))),
        };
    }
    for error in &report.errors {
        warn!(error, "an object could not be compared with the cluster");
    }
    Ok(Found { state: State::Drifted, drift: Some(report) })
}

/// Tells what drifted: as event and condition.
pub(super) fn tell(attempt: &mut Attempt<'_>, report: &DriftReport) {
    let generation = attempt.generation();
    let Some(newest) = attempt.status().history.first().map(history::full_name) else { return };
    let lines: Vec<String> = report.drifts.iter().map(ToString::to_string).collect();
    let text = format!(
        "Cluster state of release {newest} has drifted from the desired state:\n{}",
        lines.join("\n")
    );
    info!("{text}");
    let list = &mut attempt.status().conditions;
    conditions::mark_true(list, generation, DRIFTED, "DriftDetected", text.clone());
    attempt.event(Event::error("DriftDetected", text));
}

/// Brings the cluster back to what the release says, without a new revision.
pub(super) async fn correct(
    attempt: &mut Attempt<'_>,
    helm: &Helm,
    report: &DriftReport,
) -> Result<(), Stop> {
    let (policy, generation) = (attempt.policy(), attempt.generation());
    debug_assert_eq!(policy.drift(), DriftMode::Enabled);
    let list = &mut attempt.status().conditions;
    conditions::mark_unknown(list, generation, READY, PROGRESSING_REASON, "correcting cluster drift");
    let corrected = attempt.during(helm.correct(report, policy.timeout(None))).await?;
    let Some(newest) = attempt.status().history.first().cloned() else { return Ok(()) };
    let name = history::full_name(&newest);
    let done = corrected.corrected.join("\n");
    if corrected.failed.is_empty() {
        let text = format!("Cluster state of release {name} has been corrected:\n{done}");
        info!("{text}");
        attempt.event(super::told_of(Event::info("DriftCorrected", text), &newest));
        return Ok(());
    }
    let partially = if done.is_empty() { "" } else { "partially " };
    let mut text = format!(
        "Failed to {partially}correct cluster state of release {name}:\n{}",
        corrected.failed.join("\n")
    );
    if !done.is_empty() {
        text.push_str(&format!("\n\nSuccessful corrections:\n{done}"));
    }
    warn!("{text}");
    attempt.event(super::told_of(Event::error("DriftCorrectionFailed", text), &newest));
    Ok(())
}

fn ignore_rules(attempt: &Attempt<'_>) -> Result<IgnoreRules, String> {
    let drift = attempt.policy().spec.drift_detection.clone().unwrap_or_default();
    let rules: Vec<IgnoreRule> = drift
        .ignore
        .iter()
        .map(|rule| IgnoreRule { paths: rule.paths.clone(), target: rule.target.as_ref().map(target) })
        .collect();
    IgnoreRules::new(&rules).map_err(|err| format!("failed to create ignore rule selector: {err}"))
}

fn target(selector: &Selector) -> IgnoreTarget {
    IgnoreTarget {
        group: selector.group.clone(),
        version: selector.version.clone(),
        kind: selector.kind.clone(),
        name: selector.name.clone(),
        namespace: selector.namespace.clone(),
        label_selector: selector.label_selector.clone(),
        annotation_selector: selector.annotation_selector.clone(),
    }
}
