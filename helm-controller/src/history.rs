//! `status.history`: what was observed of the revisions of a release, newest first.
//!
//! A snapshot lets the next pass tell whether the release is still as this controller left it, and says where a rollback
//! can go to.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sluice_api::helm::{ReleaseSnapshot, TestHookStatus};
use sluice_artifact::{Algorithm, Digest};
use sluice_helm::manifest::HookEvent;
use sluice_helm::release::{self, HookPhase, Release, Status};
use std::collections::BTreeMap;

/// Format of the digests.
const API_VERSION: &str = "v2";
/// Snapshots that are kept where no rule keeps more.
const KEPT: usize = 5;

/// What made a revision, as snapshots say it.
pub(crate) mod action {
    pub(crate) const INSTALL: &str = "install";
    pub(crate) const UPGRADE: &str = "upgrade";
    pub(crate) const ROLLBACK: &str = "rollback";
    pub(crate) const UNINSTALL: &str = "uninstall";
    pub(crate) const UNINSTALL_REMEDIATION: &str = "uninstall-remediation";
}

/// The snapshot of a revision.
pub(crate) fn snapshot(release: &Release, oci: &str, algorithm: Algorithm) -> ReleaseSnapshot {
    let metadata = release.chart.metadata();
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    ReleaseSnapshot {
        api_version: Some(API_VERSION.to_owned()),
        digest: digest(release, oci, algorithm),
        name: release.name.clone(),
        namespace: release.namespace.clone(),
        version: i64::from(release.version),
        status: release.info.status.as_str().to_owned(),
        chart_name: metadata.name.clone(),
        chart_version: metadata.version.clone(),
        app_version: given(&metadata.app_version),
        config_digest: release::config_digest(&release.config),
        first_deployed: time(release.info.first_deployed).unwrap_or_else(epoch),
        last_deployed: time(release.info.last_deployed).unwrap_or_else(epoch),
        deleted: time(release.info.deleted),
        test_hooks: None,
        oci_digest: given(oci),
        action: None,
    }
}

fn digest(release: &Release, oci: &str, algorithm: Algorithm) -> String {
    algorithm.digest(release::snapshot_text(release, oci)).to_string()
}

/// The API keeps whole seconds.
fn time(at: Option<release::Time>) -> Option<Time> {
    let at = at?.timestamp();
    Some(Time(Timestamp::from_second(at.as_second()).unwrap_or(at)))
}

fn epoch() -> Time {
    Time(Timestamp::UNIX_EPOCH)
}

/// Whether a snapshot is of this revision.
pub(crate) fn is_of(snapshot: &ReleaseSnapshot, release: &Release) -> bool {
    snapshot.name == release.name
        && snapshot.namespace == release.namespace
        && snapshot.version == i64::from(release.version)
}

/// Whether a revision is still as it was observed. Snapshots in another format cannot tell, and are believed.
pub(crate) fn verifies(snapshot: &ReleaseSnapshot, release: &Release) -> bool {
    if snapshot.api_version.as_deref() != Some(API_VERSION) {
        return true;
    }
    let Ok(recorded) = snapshot.digest.parse::<Digest>() else { return false };
    let oci = snapshot.oci_digest.as_deref().unwrap_or_default();
    let is = |oci| digest(release, oci, recorded.algorithm()) == snapshot.digest;
    // Flux computes the digest of a revision that was superseded without that of its chart.
    is(oci) || (!oci.is_empty() && is(""))
}

/// `<namespace>/<name>.v<version>`.
pub(crate) fn full_name(snapshot: &ReleaseSnapshot) -> String {
    format!("{}/{}.v{}", snapshot.namespace, snapshot.name, snapshot.version)
}

/// `<chart>@<version>`.
pub(crate) fn versioned_chart(snapshot: &ReleaseSnapshot) -> String {
    format!("{}@{}", snapshot.chart_name, snapshot.chart_version)
}

/// Whether the tests of a revision were run to an end; a chart without tests counts as tested.
pub(crate) fn is_tested(snapshot: &ReleaseSnapshot) -> bool {
    let Some(hooks) = &snapshot.test_hooks else { return false };
    has_failed_test(snapshot) || hooks.values().all(|hook| is_phase(hook, &HookPhase::Succeeded))
}

/// Whether a test of a revision failed.
pub(crate) fn has_failed_test(snapshot: &ReleaseSnapshot) -> bool {
    snapshot.test_hooks.iter().flatten().any(|(_, hook)| is_phase(hook, &HookPhase::Failed))
}

fn is_phase(hook: &TestHookStatus, phase: &HookPhase) -> bool {
    hook.phase.as_deref() == Some(phase.as_str())
}

/// What became of the tests of a revision.
pub(crate) fn tests(release: &Release, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, TestHookStatus> {
    let tests = release.hooks.iter().filter(|it| it.hook.events.contains(&HookEvent::Test));
    tests
        .filter(|it| wanted(&it.hook.name))
        .map(|it| {
            let phase = it.last_run.phase.as_str();
            let status = TestHookStatus {
                last_started: time(it.last_run.started_at),
                last_completed: time(it.last_run.completed_at),
                phase: (!phase.is_empty()).then(|| phase.to_owned()),
            };
            (it.hook.name.clone(), status)
        })
        .collect()
}

/// Where a rollback goes to: the first after the newest that was good.
pub(crate) fn previous(history: &[ReleaseSnapshot], ignore_tests: bool) -> Option<&ReleaseSnapshot> {
    history.get(previous_at(history, ignore_tests)?)
}

fn previous_at(history: &[ReleaseSnapshot], ignore_tests: bool) -> Option<usize> {
    let good = |snapshot: &ReleaseSnapshot| {
        matches!(Status::of(&snapshot.status), Status::Deployed | Status::Superseded)
            && (ignore_tests || !has_failed_test(snapshot))
    };
    history.iter().skip(1).position(good).map(|at| at + 1)
}

/// Drops what no rollback needs: everything below the previous good revision. Where failures are only retried, or
/// where there is no good one, the newest few stay.
pub(crate) fn trim(history: &mut Vec<ReleaseSnapshot>, retry: bool, ignore_tests: bool) {
    sort(history);
    match previous_at(history, ignore_tests).filter(|_| !retry) {
        Some(at) => history.truncate(at + 1),
        None => history.truncate(KEPT),
    }
}

fn sort(history: &mut [ReleaseSnapshot]) {
    history.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.version));
}

/// Takes in revisions as they were stored: new ones are put in front, as made by `action` from the chart with the digest
/// `oci`; those that are known are brought up to date.
pub(crate) fn record<'a>(
    history: &mut Vec<ReleaseSnapshot>,
    written: impl IntoIterator<Item = &'a Release>,
    action: &str,
    oci: &str,
    algorithm: Algorithm,
) {
    for release in written {
        match history.iter_mut().find(|known| is_of(known, release)) {
            Some(known) => *known = refreshed(known, release, algorithm),
            None => {
                let mut new = snapshot(release, oci, algorithm);
                new.action = Some(action.to_owned());
                history.push(new);
            }
        }
    }
    sort(history);
}

/// A snapshot brought up to date; what the release itself does not say is kept.
pub(crate) fn refreshed(known: &ReleaseSnapshot, release: &Release, algorithm: Algorithm) -> ReleaseSnapshot {
    let oci = known.oci_digest.as_deref().unwrap_or_default();
    ReleaseSnapshot {
        test_hooks: known.test_hooks.clone(),
        action: known.action.clone(),
        ..snapshot(release, oci, algorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(version: i64, status: &str, test: Option<&str>) -> ReleaseSnapshot {
        let release = Release { name: "r".into(), namespace: "ns".into(), ..Release::default() };
        let hooks = test.map(|phase| {
            let hook = TestHookStatus { phase: Some(phase.to_owned()), ..TestHookStatus::default() };
            BTreeMap::from([("t".to_owned(), hook)])
        });
        ReleaseSnapshot {
            version,
            status: status.to_owned(),
            test_hooks: hooks,
            ..snapshot(&release, "", Algorithm::Sha256)
        }
    }

    #[test]
    fn a_rollback_goes_to_the_last_good_revision() {
        let history = |rest: Vec<ReleaseSnapshot>| {
            let mut all = vec![at(9, "failed", None)];
            all.extend(rest);
            all
        };
        for (case, rest, ignore_tests, want) in [
            ("nothing before", vec![], false, None),
            ("the one before", vec![at(8, "superseded", None), at(7, "superseded", None)], false, Some(8)),
            ("a failed one is skipped", vec![at(8, "failed", None), at(7, "deployed", None)], false, Some(7)),
            (
                "one with a failed test is skipped",
                vec![at(8, "superseded", Some("Failed")), at(7, "superseded", Some("Succeeded"))],
                false,
                Some(7),
            ),
            (
                "unless such failures do not count",
                vec![at(8, "superseded", Some("Failed")), at(7, "superseded", None)],
                true,
                Some(8),
            ),
            ("what was removed is no target", vec![at(8, "uninstalled", None)], false, None),
        ] {
            let got = previous(&history(rest), ignore_tests).map(|snapshot| snapshot.version);
            assert_eq!(got, want, "{case}");
        }
    }

    #[test]
    fn what_no_rollback_needs_is_dropped() {
        let many = |status: &str| (1..=8).rev().map(|v| at(v, status, None)).collect::<Vec<_>>();
        for (case, mut history, retry, want) in [
            ("down to the previous good one", many("superseded"), false, 2),
            ("no good one: the newest few", many("failed"), false, 5),
            ("where failures are retried: the newest few", many("superseded"), true, 5),
            ("fewer than a few", vec![at(1, "failed", None)], false, 1),
        ] {
            trim(&mut history, retry, false);
            assert_eq!(history.len(), want, "{case}");
            assert!(history.is_sorted_by_key(|snapshot| -snapshot.version));
        }
    }

    #[test]
    fn tested_is_what_ran_to_an_end() {
        let with = |phases: &[Option<&str>]| {
            let hooks = phases.iter().enumerate().map(|(i, phase)| {
                (
                    i.to_string(),
                    TestHookStatus { phase: phase.map(str::to_owned), ..TestHookStatus::default() },
                )
            });
            ReleaseSnapshot { test_hooks: Some(hooks.collect()), ..at(1, "deployed", None) }
        };
        assert!(!is_tested(&at(1, "deployed", None)), "never");
        assert!(is_tested(&with(&[])), "there are none");
        assert!(is_tested(&with(&[Some("Succeeded"), Some("Succeeded")])));
        assert!(is_tested(&with(&[Some("Failed"), None])), "the first failure ends the run");
        assert!(!is_tested(&with(&[Some("Succeeded"), None])));
        assert!(!is_tested(&with(&[Some("Running")])));
    }

    #[test]
    fn revisions_are_put_in_front_and_brought_up_to_date() {
        let release = |version: u32, status: Status| {
            let mut release =
                Release { name: "r".into(), namespace: "ns".into(), version, ..Release::default() };
            release.info.status = status;
            release
        };
        let mut history = Vec::new();
        let first = release(1, Status::Deployed);
        record(
            &mut history,
            [&release(1, Status::PendingInstall), &first],
            action::INSTALL,
            "sha256:1",
            Algorithm::Sha256,
        );
        assert_eq!(history.len(), 1);
        history[0].test_hooks = Some(BTreeMap::new());
        let second = [
            release(2, Status::PendingUpgrade),
            release(1, Status::Superseded),
            release(2, Status::Deployed),
        ];
        record(&mut history, &second, action::UPGRADE, "sha256:2", Algorithm::Sha512);
        let seen: Vec<_> = history
            .iter()
            .map(|it| (it.version, &*it.status, it.action.as_deref(), it.oci_digest.as_deref()))
            .collect();
        assert_eq!(
            seen,
            [
                (2, "deployed", Some("upgrade"), Some("sha256:2")),
                (1, "superseded", Some("install"), Some("sha256:1"))
            ]
        );
        assert_eq!(history[1].test_hooks, Some(BTreeMap::new()));
        assert!(verifies(&history[0], &second[2]) && verifies(&history[1], &second[1]));
        assert!(!verifies(&history[1], &first), "its status is part of what was observed");
        assert!(history[0].digest.starts_with("sha512:"));
        let foreign =
            ReleaseSnapshot { api_version: Some("v1".into()), digest: "?".into(), ..history[0].clone() };
        assert!(verifies(&foreign, &second[2]));
    }
}
