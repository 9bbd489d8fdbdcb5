//! Where a release stands, against what the spec wants of it: a pure function of storage, status and inputs.

use crate::history;
use sluice_api::helm::{HelmReleaseStatus, ReleaseSnapshot};
use sluice_helm::release::{self, Release, Status};

/// Where a release stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing is installed.
    Absent(&'static str),
    /// An action was cut off.
    Locked(Status),
    /// An uninstall was cut off.
    Uninstalling,
    /// Something is installed that this controller did not leave so.
    Unmanaged(&'static str),
    /// The last action, or a test, failed.
    Failed(&'static str),
    /// What is installed is not what is wanted.
    OutOfSync(&'static str),
    /// It is what is wanted, but its tests were not run.
    Untested,
    /// It is what is wanted, as far as storage tells.
    Deployed,
    /// It is what is wanted, but the cluster is not as it says.
    Drifted,
}

/// What the spec wants of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) chart_name: String,
    pub(crate) chart_version: String,
    pub(crate) config_digest: String,
    /// Digests of post-renderers and common metadata; empty where there are none.
    pub(crate) post_renderers: String,
    pub(crate) common_metadata: String,
    pub(crate) generation: i64,
    pub(crate) tests: bool,
    /// Whether a failed test is no failure.
    pub(crate) ignore_test_failures: bool,
}

/// Where the release stands. `last` is its newest revision in storage.
///
/// # Errors
/// The message, of a revision that no action can go on from.
pub(crate) fn determine(
    wanted: &Wanted,
    status: &HelmReleaseStatus,
    last: Option<&Release>,
) -> Result<State, String> {
    let Some(last) = last else { return Ok(State::Absent("no release in storage for object")) };
    let stored = &last.info.status;
    if stored.is_pending() {
        return Ok(State::Locked(stored.clone()));
    }
    let Some(snapshot) = status.history.first() else {
        return Ok(match stored {
            Status::Uninstalled => State::Absent("found uninstalled release in storage"),
            // There is nothing that an upgrade could start from.
            Status::Uninstalling => State::Uninstalling,
            _ => State::Unmanaged("found existing release in storage"),
        });
    };
    if !history::is_of(snapshot, last) || last.name != wanted.name || last.namespace != wanted.namespace {
        return Ok(State::Unmanaged("release not observed to be made for object"));
    }
    if !history::verifies(snapshot, last) {
        return Ok(State::Unmanaged("release digest verification error"));
    }
    Ok(match stored {
        Status::Failed => State::Failed("release is in a failed state"),
        Status::Uninstalled => State::Absent("found uninstalled release in storage"),
        Status::Uninstalling => State::Uninstalling,
        Status::Deployed => deployed(wanted, status, snapshot, last),
        other => return Err(format!("unable to determine state for release with status '{other}'")),
    })
}

fn deployed(
    wanted: &Wanted,
    status: &HelmReleaseStatus,
    snapshot: &ReleaseSnapshot,
    last: &Release,
) -> State {
    let metadata = last.chart.metadata();
    if metadata.name != wanted.chart_name || metadata.version != wanted.chart_version {
        return State::OutOfSync("release chart changed");
    }
    if release::config_digest(&last.config) != wanted.config_digest {
        return State::OutOfSync("release config values changed");
    }
    after_release(wanted, status, snapshot)
}

/// What decides of a deployed release with the wanted chart and values.
fn after_release(wanted: &Wanted, status: &HelmReleaseStatus, snapshot: &ReleaseSnapshot) -> State {
    if status.observed_generation != wanted.generation {
        // Whoever never had any of these has no digest recorded.
        let differs = |observed: &Option<String>, now: &str| observed.as_deref().unwrap_or_default() != now;
        if differs(&status.observed_post_renderers_digest, &wanted.post_renderers) {
            return State::OutOfSync("postrenderers digest has changed");
        }
        if differs(&status.observed_common_metadata_digest, &wanted.common_metadata) {
            return State::OutOfSync("common metadata digest has changed");
        }
    }
    if wanted.tests {
        if !history::is_tested(snapshot) {
            return State::Untested;
        }
        if !wanted.ignore_test_failures && history::has_failed_test(snapshot) {
            return State::Failed("release has test in failed phase");
        }
    }
    State::Deployed
}

/// The state of a release whose newest revision is known to be the one of the newest snapshot, unmoved: what
/// [`determine`] says then, without the revision itself.
pub(crate) fn of_unmoved(wanted: &Wanted, status: &HelmReleaseStatus) -> Option<State> {
    let snapshot = status.history.first()?;
    let same = snapshot.name == wanted.name
        && snapshot.namespace == wanted.namespace
        && snapshot.chart_name == wanted.chart_name
        && snapshot.chart_version == wanted.chart_version
        && snapshot.config_digest == wanted.config_digest;
    (same && snapshot.status == Status::Deployed.as_str()).then(|| after_release(wanted, status, snapshot))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_api::helm::TestHookStatus;
    use sluice_artifact::Algorithm;
    use std::collections::BTreeMap;

    fn release(status: Status) -> Release {
        let mut release =
            Release { name: "r".into(), namespace: "ns".into(), version: 3, ..Release::default() };
        release.info.status = status;
        release
    }

    fn wanted() -> Wanted {
        Wanted {
            name: "r".into(),
            namespace: "ns".into(),
            chart_name: String::new(),
            chart_version: String::new(),
            config_digest: release::config_digest(&serde_json::Map::new()),
            post_renderers: String::new(),
            common_metadata: String::new(),
            generation: 2,
            tests: false,
            ignore_test_failures: false,
        }
    }

    fn observed(release: &Release) -> HelmReleaseStatus {
        HelmReleaseStatus {
            observed_generation: 2,
            history: vec![history::snapshot(release, "", Algorithm::Sha256)],
            ..HelmReleaseStatus::default()
        }
    }

    fn name(state: Result<State, String>) -> &'static str {
        match state {
            Ok(State::Absent(_)) => "absent",
            Ok(State::Locked(_)) => "locked",
            Ok(State::Uninstalling) => "uninstalling",
            Ok(State::Unmanaged(_)) => "unmanaged",
            Ok(State::Failed(_)) => "failed",
            Ok(State::OutOfSync(_)) => "out of sync",
            Ok(State::Untested) => "untested",
            Ok(State::Deployed) => "deployed",
            Ok(State::Drifted) => "drifted",
            Err(_) => "error",
        }
    }

    #[test]
    fn every_status_in_storage_with_and_without_a_snapshot() {
        use Status::*;
        for (stored, observed_so, not_observed) in [
            (Unknown, "error", "unmanaged"),
            (Deployed, "deployed", "unmanaged"),
            (Uninstalled, "absent", "absent"),
            (Superseded, "error", "unmanaged"),
            (Failed, "failed", "unmanaged"),
            (Uninstalling, "uninstalling", "uninstalling"),
            (PendingInstall, "locked", "locked"),
            (PendingUpgrade, "locked", "locked"),
            (PendingRollback, "locked", "locked"),
            (Other("odd".into()), "error", "unmanaged"),
        ] {
            let last = release(stored.clone());
            assert_eq!(name(determine(&wanted(), &observed(&last), Some(&last))), observed_so, "{stored}");
            let none = HelmReleaseStatus::default();
            assert_eq!(
                name(determine(&wanted(), &none, Some(&last))),
                not_observed,
                "{stored} without history"
            );
        }
        assert_eq!(name(determine(&wanted(), &HelmReleaseStatus::default(), None)), "absent");
        assert_eq!(name(determine(&wanted(), &observed(&release(Deployed)), None)), "absent");
    }

    #[test]
    fn what_others_did_to_the_release_is_seen() {
        let last = release(Status::Deployed);
        let check = |change: &dyn Fn(&mut ReleaseSnapshot)| {
            let mut status = observed(&last);
            change(&mut status.history[0]);
            name(determine(&wanted(), &status, Some(&last)))
        };
        assert_eq!(check(&|_| {}), "deployed");
        assert_eq!(check(&|it| it.version = 2), "unmanaged");
        assert_eq!(check(&|it| it.namespace = "other".into()), "unmanaged");
        assert_eq!(check(&|it| it.digest = format!("sha256:{}", "0".repeat(64))), "unmanaged");
        assert_eq!(check(&|it| it.digest = "nonsense".into()), "unmanaged");
        assert_eq!(check(&|it| it.api_version = Some("v1".into())), "deployed");
    }

    #[test]
    fn what_the_spec_changed_is_seen() {
        let last = release(Status::Deployed);
        let tested = |phase: &str| {
            let hook = TestHookStatus { phase: Some(phase.into()), ..TestHookStatus::default() };
            Some(BTreeMap::from([("t".to_owned(), hook)]))
        };
        type Change<'a> = &'a dyn Fn(&mut Wanted, &mut HelmReleaseStatus);
        let cases: [(&str, Change<'_>, &str); 12] = [
            ("nothing", &|_, _| {}, "deployed"),
            ("the chart", &|it, _| it.chart_name = "c".into(), "out of sync"),
            ("its version", &|it, _| it.chart_version = "2".into(), "out of sync"),
            ("the values", &|it, _| it.config_digest = "sha256:x".into(), "out of sync"),
            ("a generation alone", &|it, _| it.generation = 3, "deployed"),
            (
                "post-renderers of a new generation",
                &|it, _| {
                    it.generation = 3;
                    it.post_renderers = "sha256:x".into();
                },
                "out of sync",
            ),
            (
                "post-renderers of a generation that was observed",
                &|it, _| it.post_renderers = "x".into(),
                "deployed",
            ),
            (
                "common metadata of a new generation",
                &|it, status| {
                    it.generation = 3;
                    status.observed_common_metadata_digest = Some("sha256:x".into());
                },
                "out of sync",
            ),
            ("tests that were not run", &|it, _| it.tests = true, "untested"),
            (
                "tests that succeeded",
                &|it, status| {
                    it.tests = true;
                    status.history[0].test_hooks = tested("Succeeded");
                },
                "deployed",
            ),
            (
                "tests that failed",
                &|it, status| {
                    it.tests = true;
                    status.history[0].test_hooks = tested("Failed");
                },
                "failed",
            ),
            (
                "tests that may fail",
                &|it, status| {
                    (it.tests, it.ignore_test_failures) = (true, true);
                    status.history[0].test_hooks = tested("Failed");
                },
                "deployed",
            ),
        ];
        for (case, change, want) in cases {
            let (mut wanted, mut status) = (wanted(), observed(&last));
            change(&mut wanted, &mut status);
            let state = determine(&wanted, &status, Some(&last));
            assert_eq!(name(state.clone()), want, "{case}");
            if let Some(unmoved) = of_unmoved(&wanted, &status) {
                assert_eq!(Ok(unmoved), state, "{case}, without the revision");
            } else {
                assert_eq!(want, "out of sync", "{case}");
            }
        }
    }
}
