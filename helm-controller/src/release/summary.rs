//! From the conditions of single actions to Ready.

use crate::context::{RELEASED, REMEDIATED, TEST_SUCCESS};
use crate::digests;
use crate::policy::Policy;
use sluice_api::helm::HelmReleaseStatus;
use sluice_api::meta::{READY, STALLED};
use sluice_runtime::conditions::{self, State};

/// Makes Ready say what the newest of the actions' conditions says; a remediation is no good news, whatever its outcome.
/// Notes what was done to the objects of the release.
pub(crate) fn summarize(status: &mut HelmReleaseStatus, policy: &Policy<'_>, generation: i64) {
    let tests_count = policy.test().is_some_and(|test| !test.ignore_failures);
    if policy.test().is_none() {
        conditions::remove(&mut status.conditions, TEST_SUCCESS);
    }
    // Of equals the last one wins, so they stand in reverse.
    let candidates = [RELEASED, TEST_SUCCESS, REMEDIATED].into_iter();
    let newest = candidates
        .filter(|type_| *type_ != TEST_SUCCESS || tests_count)
        .filter_map(|type_| conditions::get(&status.conditions, type_))
        .max_by_key(|condition| condition.observed_generation.unwrap_or(0))
        .cloned();
    if let Some(newest) = newest {
        let state = match newest.status.as_str() {
            _ if newest.type_ == REMEDIATED => State::False,
            "True" => State::True,
            "False" => State::False,
            _ => State::Unknown,
        };
        let list = &mut status.conditions;
        conditions::set(list, generation, READY, state, &newest.reason, newest.message);
        if state == State::True {
            conditions::remove(list, STALLED);
        }
    }
    let given = |digest: String| (!digest.is_empty()).then_some(digest);
    status.observed_post_renderers_digest = given(digests::post_renderers(&policy.spec.post_renderers));
    status.observed_common_metadata_digest =
        given(digests::common_metadata(policy.spec.common_metadata.as_ref()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use sluice_api::helm::HelmReleaseSpec;
    use sluice_runtime::flags::FeatureGates;

    fn ready(spec: Value, conditions: &[(&str, State, i64)]) -> Option<(String, String)> {
        let mut full = json!({"interval": "1m"});
        if let (Some(full), Some(spec)) = (full.as_object_mut(), spec.as_object()) {
            full.extend(spec.clone());
        }
        let spec: HelmReleaseSpec = serde_json::from_value(full).expect("a spec");
        let mut status = HelmReleaseStatus::default();
        for (type_, state, generation) in conditions {
            sluice_runtime::conditions::set(&mut status.conditions, *generation, type_, *state, type_, "");
        }
        let gates = FeatureGates::default();
        summarize(&mut status, &Policy::new(&spec, &gates), 7);
        let ready = sluice_runtime::conditions::get(&status.conditions, READY)?;
        assert_eq!(ready.observed_generation, Some(7));
        Some((ready.status.clone(), ready.reason.clone()))
    }

    #[test]
    fn the_newest_condition_speaks_and_remediation_before_tests_before_the_release() {
        use State::{False, True, Unknown};
        let tests = || json!({"test": {"enable": true}});
        for (case, spec, conditions, want) in [
            ("released", json!({}), &[(RELEASED, True, 1)][..], Some(("True", RELEASED))),
            ("failed", json!({}), &[(RELEASED, False, 1)], Some(("False", RELEASED))),
            (
                "remediated",
                json!({}),
                &[(RELEASED, False, 1), (REMEDIATED, True, 1)],
                Some(("False", REMEDIATED)),
            ),
            (
                "released later",
                json!({}),
                &[(RELEASED, True, 2), (REMEDIATED, True, 1)],
                Some(("True", RELEASED)),
            ),
            (
                "tested",
                tests(),
                &[(RELEASED, True, 1), (TEST_SUCCESS, False, 1)],
                Some(("False", TEST_SUCCESS)),
            ),
            (
                "awaiting tests",
                tests(),
                &[(RELEASED, True, 2), (TEST_SUCCESS, Unknown, 2)],
                Some(("Unknown", TEST_SUCCESS)),
            ),
            (
                "no tests any more",
                json!({}),
                &[(RELEASED, True, 1), (TEST_SUCCESS, False, 1)],
                Some(("True", RELEASED)),
            ),
            (
                "tests that may fail",
                json!({"test": {"enable": true, "ignoreFailures": true}}),
                &[(RELEASED, True, 1), (TEST_SUCCESS, False, 1)],
                Some(("True", RELEASED)),
            ),
            ("nothing yet", json!({}), &[], None),
        ] {
            let want = want.map(|(status, reason)| (status.to_owned(), reason.to_owned()));
            assert_eq!(ready(spec, conditions), want, "{case}");
        }
    }
}
