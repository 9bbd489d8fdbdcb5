//! Catches up with an action that did its work before the process died, but whose outcome was never written to the status.
//!
//! The status names each action that makes a revision before it begins. So revisions that the history does not know, found by
//! the first pass after such a status, are that action's, and not somebody else's.

use super::{action, remediate, take_inventory};
use crate::attempt::Attempt;
use crate::context::{RELEASED, REMEDIATED};
use crate::history;
use sluice_api::helm::{HelmReleaseStatus, ReleaseSnapshot};
use sluice_api::meta::RECONCILING;
use sluice_helm::release::{Release, Status};
use sluice_release::{Helm, StorageError};
use sluice_runtime::conditions;
use tracing::info;

/// Most revisions that one pass makes.
const MOST: u32 = 8;

/// The action that the status of the last pass was at when it was left.
fn interrupted(status: &HelmReleaseStatus) -> Option<&'static str> {
    let message = conditions::message(&status.conditions, RECONCILING);
    let name = message.strip_prefix("Running '")?.split('\'').next()?;
    [history::action::INSTALL, history::action::UPGRADE, history::action::ROLLBACK]
        .into_iter()
        .find(|action| *action == name)
}

/// Takes revisions that an interrupted action left into the history.
pub(super) async fn catch_up(
    attempt: &mut Attempt<'_>,
    helm: &Helm,
    last: &Release,
) -> Result<(), StorageError> {
    let Some(before) = attempt.pass.object.status.clone() else { return Ok(()) };
    let Some(name) = interrupted(&before) else { return Ok(()) };
    let algorithm = attempt.cx.config.snapshot_digest_algo;
    let known = attempt.status().history.first().cloned();
    let from = match &known {
        Some(known) if known.name != last.name || known.namespace != last.namespace => return Ok(()),
        Some(known) => u32::try_from(known.version).unwrap_or(u32::MAX),
        None => 0,
    };
    let ended = !last.info.status.is_pending() && last.info.status != Status::Uninstalling;
    if !ended || last.version <= from || last.version - from > MOST {
        return Ok(());
    }
    info!(action = name, release = last.full_name(), "catching up with an action that was interrupted");
    // Those that it made, and those that they took the place of.
    let stale = attempt.status().history.iter().filter(|it| it.status == Status::Deployed.as_str());
    let mut versions: Vec<u32> = stale.filter_map(|it| u32::try_from(it.version).ok()).collect();
    versions.extend(from.max(1)..last.version);
    versions.sort_unstable();
    versions.dedup();
    let mut found = Vec::new();
    for version in versions {
        found.extend(helm.get(version).await?);
    }
    found.push(last.clone());
    for release in &found {
        let history = &mut attempt.status().history;
        let oci = oci_digest(history, release, &before);
        history::record(history, [release], name, &oci, algorithm);
    }
    take_inventory(attempt, helm, &found, None).await;
    if last.info.status == Status::Deployed {
        tell(attempt, name, last);
    }
    Ok(())
}

/// Says what the action would have said.
fn tell(attempt: &mut Attempt<'_>, name: &str, last: &Release) {
    let generation = attempt.generation();
    let status = attempt.status();
    let list = &mut status.conditions;
    if name == history::action::ROLLBACK {
        let to = last.info.description.rsplit(' ').next().and_then(|version| version.parse::<i64>().ok());
        let target = status.history.iter().find(|it| Some(it.version) == to);
        let text = remediate::rolled_back(target.or(status.history.first()));
        conditions::mark_true(list, generation, REMEDIATED, "RollbackSucceeded", text);
        super::summarize(attempt);
        return;
    }
    let reason = if name == history::action::INSTALL { "InstallSucceeded" } else { "UpgradeSucceeded" };
    let text = action::succeeded(name, &last.full_name(), &last.versioned_chart());
    conditions::mark_true(list, generation, RELEASED, reason, text);
    super::summarize(attempt);
}

/// The digest of the artifact that a revision was made of, as far as it can be told.
pub(super) fn oci_digest(
    history: &[ReleaseSnapshot],
    release: &Release,
    attempted: &HelmReleaseStatus,
) -> String {
    let version = &release.chart.metadata().version;
    if attempted.last_attempted_revision.as_ref() == Some(version) {
        return attempted.last_attempted_revision_digest.clone().unwrap_or_default();
    }
    let same = history.iter().find(|it| it.chart_version == *version);
    same.and_then(|it| it.oci_digest.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_action_is_read_from_the_status() {
        for (message, want) in [
            ("Running 'upgrade' action with timeout of 5m0s", Some("upgrade")),
            ("Running 'install' action with timeout of 5m0s", Some("install")),
            ("Running 'rollback' action with timeout of 5m0s", Some("rollback")),
            ("Running 'test' action with timeout of 5m0s", None),
            ("Fulfilling prerequisites", None),
        ] {
            let mut status = HelmReleaseStatus::default();
            conditions::mark_reconciling(&mut status.conditions, 1, "Progressing", message);
            assert_eq!(interrupted(&status), want, "{message}");
        }
    }
}
