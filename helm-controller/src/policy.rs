//! What a spec says about actions, with its defaults filled in: timeouts, retries, remediation.

use crate::config::{DEFAULT_TO_RETRY, HELM3_DEFAULTS};
use sluice_api::helm::{
    CrdsPolicy, DriftMode, HelmReleaseSpec, HelmReleaseStatus, InstallRemediation, PostRenderStrategy,
    ReleaseAction, RemediationStrategy, StrategyName, Test, TestFilter, UpgradeRemediation, WaitStrategyName,
};
use sluice_runtime::flags::FeatureGates;
use std::time::Duration;

/// Time for each wait of an action.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Time between tries under RetryOnFailure.
const RETRY_INTERVAL: Duration = Duration::from_secs(300);

/// What follows when a release action fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remediation {
    pub(crate) action: ReleaseAction,
    /// Negative means without end.
    pub(crate) retries: i64,
    pub(crate) ignore_test_failures: bool,
    pub(crate) remediate_last_failure: bool,
    pub(crate) strategy: RemediationStrategy,
}

impl Remediation {
    /// Failures of the action since its counter was reset.
    pub(crate) fn failures(&self, status: &HelmReleaseStatus) -> i64 {
        match self.action {
            ReleaseAction::Install => status.install_failures,
            ReleaseAction::Upgrade => status.upgrade_failures,
        }
    }

    /// Whether no try is left.
    pub(crate) fn exhausted(&self, status: &HelmReleaseStatus) -> bool {
        self.retries >= 0 && self.failures(status) > self.retries
    }

    pub(crate) fn count(&self, status: &mut HelmReleaseStatus) {
        match self.action {
            ReleaseAction::Install => status.install_failures += 1,
            ReleaseAction::Upgrade => status.upgrade_failures += 1,
        }
    }
}

/// A spec, read with its defaults.
#[derive(Clone, Copy)]
pub(crate) struct Policy<'a> {
    pub(crate) spec: &'a HelmReleaseSpec,
    gates: &'a FeatureGates,
}

impl<'a> Policy<'a> {
    pub(crate) fn new(spec: &'a HelmReleaseSpec, gates: &'a FeatureGates) -> Self {
        Self { spec, gates }
    }

    /// `spec.timeout`, or what an action says instead.
    pub(crate) fn timeout(&self, own: Option<&sluice_api::meta::Duration>) -> Duration {
        own.or(self.spec.timeout.as_ref()).map_or(TIMEOUT, |timeout| timeout.to_std())
    }

    pub(crate) fn install_timeout(&self) -> Duration {
        self.timeout(self.spec.install.as_ref().and_then(|it| it.timeout.as_ref()))
    }

    pub(crate) fn upgrade_timeout(&self) -> Duration {
        self.timeout(self.spec.upgrade.as_ref().and_then(|it| it.timeout.as_ref()))
    }

    pub(crate) fn test_timeout(&self) -> Duration {
        self.timeout(self.spec.test.as_ref().and_then(|it| it.timeout.as_ref()))
    }

    pub(crate) fn rollback_timeout(&self) -> Duration {
        self.timeout(self.spec.rollback.as_ref().and_then(|it| it.timeout.as_ref()))
    }

    pub(crate) fn uninstall_timeout(&self) -> Duration {
        self.timeout(self.spec.uninstall.as_ref().and_then(|it| it.timeout.as_ref()))
    }

    /// Revisions that are kept in storage; 0 keeps all.
    pub(crate) fn max_history(&self) -> usize {
        usize::try_from(self.spec.max_history.unwrap_or(5)).unwrap_or(0)
    }

    pub(crate) fn test(&self) -> Option<&'a Test> {
        self.spec.test.as_ref().filter(|test| test.enable)
    }

    pub(crate) fn test_filters(&self) -> &'a [TestFilter] {
        self.spec.test.as_ref().map_or(&[], |test| &test.filters)
    }

    pub(crate) fn ignore_test_failures(&self) -> bool {
        self.spec.test.as_ref().is_some_and(|test| test.ignore_failures)
    }

    pub(crate) fn install_remediation(&self) -> Remediation {
        let none = InstallRemediation::default();
        let given = self.spec.install.as_ref().and_then(|it| it.remediation.as_ref()).unwrap_or(&none);
        Remediation {
            action: ReleaseAction::Install,
            retries: given.retries.unwrap_or(0),
            ignore_test_failures: given.ignore_test_failures.unwrap_or(self.ignore_test_failures()),
            remediate_last_failure: given.remediate_last_failure.unwrap_or(false),
            strategy: RemediationStrategy::Uninstall,
        }
    }

    pub(crate) fn upgrade_remediation(&self) -> Remediation {
        let none = UpgradeRemediation::default();
        let given = self.spec.upgrade.as_ref().and_then(|it| it.remediation.as_ref()).unwrap_or(&none);
        let retries = given.retries.unwrap_or(0);
        Remediation {
            action: ReleaseAction::Upgrade,
            retries,
            ignore_test_failures: given.ignore_test_failures.unwrap_or(self.ignore_test_failures()),
            remediate_last_failure: given.remediate_last_failure.unwrap_or(retries > 0),
            strategy: given.strategy.unwrap_or_default(),
        }
    }

    pub(crate) fn remediation(&self, action: ReleaseAction) -> Remediation {
        match action {
            ReleaseAction::Install => self.install_remediation(),
            ReleaseAction::Upgrade => self.upgrade_remediation(),
        }
    }

    /// The interval at which a failed action is tried again, if that is its strategy.
    pub(crate) fn retry(&self, action: ReleaseAction) -> Option<Duration> {
        let given = match action {
            ReleaseAction::Install => {
                let strategy = self.spec.install.as_ref().and_then(|it| it.strategy.as_ref());
                strategy.map(|it| (it.name, it.retry_interval.as_ref()))
            }
            ReleaseAction::Upgrade => {
                let strategy = self.spec.upgrade.as_ref().and_then(|it| it.strategy.as_ref());
                strategy.map(|it| (it.name, it.retry_interval.as_ref()))
            }
        };
        match given {
            Some((StrategyName::RetryOnFailure, interval)) => {
                Some(interval.map_or(RETRY_INTERVAL, |interval| interval.to_std()))
            }
            Some((StrategyName::RemediateOnFailure, _)) => None,
            None => self.gates.enabled(DEFAULT_TO_RETRY).then_some(RETRY_INTERVAL),
        }
    }

    pub(crate) fn drift(&self) -> DriftMode {
        self.spec.drift_detection.as_ref().and_then(|it| it.mode).unwrap_or_default()
    }

    pub(crate) fn install_crds(&self) -> CrdsPolicy {
        self.spec.install.as_ref().and_then(|it| it.crds).unwrap_or(CrdsPolicy::Create)
    }

    pub(crate) fn upgrade_crds(&self) -> CrdsPolicy {
        self.spec.upgrade.as_ref().and_then(|it| it.crds).unwrap_or(CrdsPolicy::Create)
    }

    /// Whether installs are by server-side apply.
    pub(crate) fn install_server_side(&self) -> bool {
        let given = self.spec.install.as_ref().and_then(|it| it.server_side_apply);
        given.unwrap_or(!self.gates.enabled(HELM3_DEFAULTS))
    }

    pub(crate) fn wait(&self) -> WaitStrategyName {
        match &self.spec.wait_strategy {
            Some(strategy) => strategy.name,
            None if self.gates.enabled(HELM3_DEFAULTS) => WaitStrategyName::Legacy,
            None => WaitStrategyName::Poller,
        }
    }

    pub(crate) fn post_render(&self) -> PostRenderStrategy {
        match self.spec.post_render_strategy {
            Some(strategy) => strategy,
            None if self.gates.enabled(HELM3_DEFAULTS) => PostRenderStrategy::NoHooks,
            None => PostRenderStrategy::Combined,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn spec(more: Value) -> HelmReleaseSpec {
        let mut full = json!({"interval": "1m"});
        if let (Some(full), Some(more)) = (full.as_object_mut(), more.as_object()) {
            full.extend(more.clone());
        }
        serde_json::from_value(full).expect("a spec")
    }

    #[test]
    fn remediation_has_the_defaults_of_flux() {
        let gates = FeatureGates::default();
        for (more, install, upgrade) in [
            (json!({}), (0, false, false), (0, false, false)),
            (
                json!({"install": {"remediation": {"retries": 3}}, "upgrade": {"remediation": {"retries": 2}}}),
                (3, false, false),
                (2, true, false),
            ),
            (
                json!({"test": {"ignoreFailures": true}, "upgrade": {"remediation":
                    {"retries": -1, "ignoreTestFailures": false, "remediateLastFailure": true}}}),
                (0, false, true),
                (-1, true, false),
            ),
        ] {
            let spec = spec(more);
            let policy = Policy::new(&spec, &gates);
            let of = |it: Remediation| (it.retries, it.remediate_last_failure, it.ignore_test_failures);
            assert_eq!(of(policy.install_remediation()), install);
            assert_eq!(of(policy.upgrade_remediation()), upgrade);
        }
    }

    #[test]
    fn tries_are_exhausted_when_failures_outnumber_retries() {
        let gates = FeatureGates::default();
        for (retries, failures, exhausted) in
            [(0, 0, false), (0, 1, true), (2, 2, false), (2, 3, true), (-1, 99, false)]
        {
            let spec = spec(json!({"install": {"remediation": {"retries": retries}}}));
            let status = HelmReleaseStatus { install_failures: failures, ..Default::default() };
            let remediation = Policy::new(&spec, &gates).install_remediation();
            assert_eq!(remediation.exhausted(&status), exhausted, "{failures} of {retries}");
        }
    }

    #[test]
    fn gates_change_defaults_only() {
        let gates = FeatureGates::parse(
            "UseHelm3Defaults=true,DefaultToRetryOnFailure=true",
            &[(HELM3_DEFAULTS, false), (DEFAULT_TO_RETRY, false)],
        )
        .expect("known gates");
        let plain = spec(json!({}));
        let policy = Policy::new(&plain, &gates);
        assert!(!policy.install_server_side());
        assert_eq!(policy.wait(), WaitStrategyName::Legacy);
        assert_eq!(policy.post_render(), PostRenderStrategy::NoHooks);
        assert_eq!(policy.retry(ReleaseAction::Install), Some(RETRY_INTERVAL));
        let said =
            spec(json!({"install": {"serverSideApply": true, "strategy": {"name": "RemediateOnFailure"}},
            "upgrade": {"strategy": {"name": "RetryOnFailure", "retryInterval": "7s"}},
            "waitStrategy": {"name": "poller"}, "postRenderStrategy": "combined"}));
        let policy = Policy::new(&said, &gates);
        assert!(policy.install_server_side());
        assert_eq!(policy.wait(), WaitStrategyName::Poller);
        assert_eq!(policy.post_render(), PostRenderStrategy::Combined);
        assert_eq!(policy.retry(ReleaseAction::Install), None);
        assert_eq!(policy.retry(ReleaseAction::Upgrade), Some(Duration::from_secs(7)));
    }
}
