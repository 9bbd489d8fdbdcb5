//! What to do about the state of a release: a pure function, so that every case of it is tried.

use crate::history;
use crate::policy::Policy;
use crate::state::State;
use sluice_api::helm::{DriftMode, HelmReleaseStatus, ReleaseAction, ReleaseSnapshot, RemediationStrategy};

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Next {
    /// Nothing: the release is as it should be.
    Done,
    /// Take the lock of an action that was cut off.
    Unlock,
    /// End an uninstall that was cut off.
    FinishUninstall,
    /// Install; the history begins anew.
    Install,
    /// Upgrade; with `forget`, the history is of no use any more.
    Upgrade { forget: bool },
    /// Run the tests.
    Test,
    /// Go back to the revision of this snapshot, if storage still has it as it was. Otherwise upgrade.
    Rollback(Box<ReleaseSnapshot>),
    /// Uninstall what failed.
    UninstallRemediation,
    /// Put the cluster right.
    CorrectDrift,
    /// Nothing: no try is left.
    Exceeded,
    /// Nothing: there is no revision to go back to.
    NoTarget,
}

/// The kinds of actions, each of which runs at most once in a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Release,
    Remediate,
    Test,
    Unlock,
    Drift,
}

impl Next {
    /// The kind of action; none if nothing is to be done.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Next::Install | Next::Upgrade { .. } => Some(Kind::Release),
            Next::Rollback(_) | Next::UninstallRemediation => Some(Kind::Remediate),
            Next::Test => Some(Kind::Test),
            // Both make way for a release action in the same pass.
            Next::Unlock | Next::FinishUninstall => Some(Kind::Unlock),
            Next::CorrectDrift => Some(Kind::Drift),
            Next::Done | Next::Exceeded | Next::NoTarget => None,
        }
    }

    /// What messages call the action.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Next::Install => "install",
            Next::Upgrade { .. } => "upgrade",
            Next::Test => "test",
            Next::Rollback(_) => "rollback",
            Next::UninstallRemediation | Next::FinishUninstall => "uninstall",
            Next::Unlock => "unlock",
            Next::CorrectDrift => "correct cluster drift",
            Next::Done | Next::Exceeded | Next::NoTarget => "",
        }
    }
}

/// Chooses. `forced` is a release action that was asked for by annotation.
pub(crate) fn choose(state: &State, policy: &Policy<'_>, status: &HelmReleaseStatus, forced: bool) -> Next {
    let exhausted = |action: ReleaseAction| {
        policy.retry(action).is_none() && policy.remediation(action).exhausted(status) && !forced
    };
    match state {
        State::Deployed if forced => Next::Upgrade { forget: false },
        State::Deployed => Next::Done,
        State::Locked(_) => Next::Unlock,
        State::Uninstalling => Next::FinishUninstall,
        State::Absent(_) if exhausted(ReleaseAction::Install) => Next::Exceeded,
        State::Absent(_) => Next::Install,
        State::Unmanaged(_) => Next::Upgrade { forget: true },
        State::OutOfSync(_) if exhausted(ReleaseAction::Upgrade) => Next::Exceeded,
        State::OutOfSync(_) => Next::Upgrade { forget: false },
        State::Drifted if policy.drift() == DriftMode::Enabled => Next::CorrectDrift,
        State::Drifted => Next::Done,
        State::Untested => Next::Test,
        State::Failed(_) => failed(policy, status, forced),
    }
}

fn failed(policy: &Policy<'_>, status: &HelmReleaseStatus, forced: bool) -> Next {
    let again = Next::Upgrade { forget: false };
    let Some(action) = status.last_attempted_release_action else { return again };
    if policy.retry(action).is_some() {
        return again;
    }
    let remediation = policy.remediation(action);
    // Without a counted failure, what made it fail has changed since, or nothing failed but was cut off.
    if forced || remediation.failures(status) <= 0 {
        return again;
    }
    if remediation.exhausted(status) && !remediation.remediate_last_failure {
        return Next::Exceeded;
    }
    match remediation.strategy {
        RemediationStrategy::Uninstall => Next::UninstallRemediation,
        RemediationStrategy::Rollback => {
            match history::previous(&status.history, remediation.ignore_test_failures) {
                Some(target) => Next::Rollback(Box::new(target.clone())),
                None => Next::NoTarget,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use sluice_api::helm::HelmReleaseSpec;
    use sluice_artifact::Algorithm;
    use sluice_helm::release::{Release, Status};
    use sluice_runtime::flags::FeatureGates;

    const STATES: [State; 9] = [
        State::Absent(""),
        State::Locked(Status::PendingUpgrade),
        State::Uninstalling,
        State::Unmanaged(""),
        State::Failed(""),
        State::OutOfSync(""),
        State::Untested,
        State::Deployed,
        State::Drifted,
    ];

    fn history(statuses: &[&str]) -> Vec<ReleaseSnapshot> {
        let mut version = i64::try_from(statuses.len()).unwrap_or_default();
        let snapshots = statuses.iter().map(|status| {
            let mut snapshot = history::snapshot(&Release::default(), "", Algorithm::Sha256);
            snapshot.status = (*status).to_owned();
            snapshot.version = version;
            version -= 1;
            snapshot
        });
        snapshots.collect()
    }

    /// One row: what is done in each of [`STATES`], in short.
    fn row(spec: Value, status: &HelmReleaseStatus, forced: bool) -> String {
        let mut full = json!({"interval": "1m"});
        if let (Some(full), Some(spec)) = (full.as_object_mut(), spec.as_object()) {
            full.extend(spec.clone());
        }
        let spec: HelmReleaseSpec = serde_json::from_value(full).expect("a spec");
        let gates = FeatureGates::default();
        let policy = Policy::new(&spec, &gates);
        let short = STATES.iter().map(|state| match choose(state, &policy, status, forced) {
            Next::Done => "-".to_owned(),
            Next::Unlock => "unlock".to_owned(),
            Next::FinishUninstall => "finish".to_owned(),
            Next::Install => "install".to_owned(),
            Next::Upgrade { forget: true } => "adopt".to_owned(),
            Next::Upgrade { forget: false } => "upgrade".to_owned(),
            Next::Test => "test".to_owned(),
            Next::Rollback(target) => format!("rollback:{}", target.version),
            Next::UninstallRemediation => "uninstall".to_owned(),
            Next::CorrectDrift => "correct".to_owned(),
            Next::Exceeded => "stall".to_owned(),
            Next::NoTarget => "no-target".to_owned(),
        });
        short.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_state_under_every_policy() {
        use ReleaseAction::{Install, Upgrade};
        let status = |action, install, upgrade, statuses: &[&str]| HelmReleaseStatus {
            last_attempted_release_action: action,
            install_failures: install,
            upgrade_failures: upgrade,
            history: history(statuses),
            ..HelmReleaseStatus::default()
        };
        let new = status(None, 0, 0, &[]);
        let failed_install = status(Some(Install), 1, 0, &["failed"]);
        let failed_upgrade = status(Some(Upgrade), 0, 1, &["failed", "deployed"]);
        let first_upgrade = status(Some(Upgrade), 0, 1, &["failed"]);
        let cut_off = status(Some(Upgrade), 0, 0, &["failed", "deployed"]);
        let retries = |n: i64| json!({"install": {"remediation": {"retries": n}}, "upgrade": {"remediation": {"retries": n}}});
        let last = json!({"install": {"remediation": {"retries": 0, "remediateLastFailure": true}},
            "upgrade": {"remediation": {"retries": 0, "remediateLastFailure": true, "strategy": "uninstall"}}});
        let retry = json!({"install": {"strategy": {"name": "RetryOnFailure"}}, "upgrade": {"strategy": {"name": "RetryOnFailure"}}});
        // absent locked uninstalling unmanaged failed out-of-sync untested deployed drifted
        for (case, spec, status, forced, want) in [
            ("new", json!({}), &new, false, "install unlock finish adopt upgrade upgrade test - -"),
            (
                "new, forced",
                json!({}),
                &new,
                true,
                "install unlock finish adopt upgrade upgrade test upgrade -",
            ),
            (
                "drift",
                json!({"driftDetection": {"mode": "enabled"}}),
                &new,
                false,
                "install unlock finish adopt upgrade upgrade test - correct",
            ),
            (
                "drift, warn",
                json!({"driftDetection": {"mode": "warn"}}),
                &new,
                false,
                "install unlock finish adopt upgrade upgrade test - -",
            ),
            (
                "failed install",
                json!({}),
                &failed_install,
                false,
                "stall unlock finish adopt stall upgrade test - -",
            ),
            (
                "failed install, forced",
                json!({}),
                &failed_install,
                true,
                "install unlock finish adopt upgrade upgrade test upgrade -",
            ),
            (
                "failed install, retries",
                retries(1),
                &failed_install,
                false,
                "install unlock finish adopt uninstall upgrade test - -",
            ),
            (
                "failed install, last",
                last.clone(),
                &failed_install,
                false,
                "stall unlock finish adopt uninstall upgrade test - -",
            ),
            (
                "failed install, endless",
                retries(-1),
                &failed_install,
                false,
                "install unlock finish adopt uninstall upgrade test - -",
            ),
            (
                "failed install, retry",
                retry.clone(),
                &failed_install,
                false,
                "install unlock finish adopt upgrade upgrade test - -",
            ),
            (
                "failed upgrade",
                json!({}),
                &failed_upgrade,
                false,
                "install unlock finish adopt stall stall test - -",
            ),
            (
                "failed upgrade, retries",
                retries(1),
                &failed_upgrade,
                false,
                "install unlock finish adopt rollback:1 upgrade test - -",
            ),
            (
                "failed upgrade, last",
                last,
                &failed_upgrade,
                false,
                "install unlock finish adopt uninstall stall test - -",
            ),
            (
                "failed upgrade, forced",
                retries(1),
                &failed_upgrade,
                true,
                "install unlock finish adopt upgrade upgrade test upgrade -",
            ),
            (
                "failed upgrade, retry",
                retry,
                &failed_upgrade,
                false,
                "install unlock finish adopt upgrade upgrade test - -",
            ),
            (
                "failed upgrade, nothing before",
                retries(1),
                &first_upgrade,
                false,
                "install unlock finish adopt no-target upgrade test - -",
            ),
            ("cut off", retries(1), &cut_off, false, "install unlock finish adopt upgrade upgrade test - -"),
        ] {
            assert_eq!(row(spec, status, forced), want, "{case}");
        }
    }
}
