//! Runs the tests of the newest revision.

use super::{options, told_of};
use crate::attempt::{Attempt, Stop};
use crate::context::TEST_SUCCESS;
use crate::history;
use sluice_api::helm::ReleaseSnapshot;
use sluice_release::{ActionError, Done, Helm};
use sluice_runtime::conditions;
use sluice_runtime::events::Event;
use tracing::{info, warn};

/// Runs the tests and records what became of them. A failure is an error only if no test ran.
pub(super) async fn run(attempt: &mut Attempt<'_>, helm: &Helm) -> Result<(), Stop> {
    let (cx, policy, generation) = (attempt.cx, attempt.policy(), attempt.generation());
    let Some(current) = attempt.status().history.first().cloned() else {
        return Err(Stop::Action("no latest release: required for test".to_owned()));
    };
    let options = options::test(&policy);
    let Done { result, written, .. } = attempt.during(helm.test(&options)).await?;
    let tested = result.as_ref().ok().or(written.last());
    let mut mismatch = None;
    if let Some(release) = tested {
        if history::is_of(&current, release) {
            let hooks = history::tests(release, |name| options::is_wanted(&options.filters, name));
            if let Some(newest) = attempt.status().history.first_mut() {
                *newest = history::refreshed(newest, release, cx.config.snapshot_digest_algo);
                newest.test_hooks = Some(hooks);
            }
        } else {
            let name = history::full_name(&current);
            mismatch = Some(format!(
                "release mismatch: tested release {} != current release {name}",
                release.full_name()
            ));
        }
    }
    let status = attempt.status();
    let newest = status.history.first().cloned().unwrap_or(current);
    let error = match (mismatch, result) {
        (Some(mismatch), _) => Some(mismatch),
        (None, Err(ActionError::Canceled)) => {
            // Cut off by the end of the process: to be run again.
            if let Some(newest) = status.history.first_mut() {
                newest.test_hooks = None;
            }
            return Err(Stop::Shutdown);
        }
        (None, Err(err)) => Some(err.to_string()),
        (None, Ok(_)) => None,
    };
    let Some(error) = error else {
        let text = format!("Helm test succeeded for {}: {}", subject(&newest), counted(&newest));
        info!("{text}");
        conditions::mark_true(
            &mut status.conditions,
            generation,
            TEST_SUCCESS,
            "TestSucceeded",
            text.clone(),
        );
        attempt.event(told_of(Event::info("TestSucceeded", text), &newest));
        super::summarize(attempt);
        return Ok(());
    };
    let text = format!("Helm test failed for {}: {}", subject(&newest), error.trim());
    warn!("{text}");
    status.failures += 1;
    conditions::mark_false(&mut status.conditions, generation, TEST_SUCCESS, "TestFailed", text.clone());
    let tested = history::is_tested(&newest);
    if tested && let Some(action) = status.last_attempted_release_action {
        let remediation = policy.remediation(action);
        if !remediation.ignore_test_failures {
            remediation.count(status);
        }
    }
    attempt.event(told_of(Event::error("TestFailed", text.clone()), &newest));
    super::summarize(attempt);
    if tested { Ok(()) } else { Err(Stop::Action(text)) }
}

fn subject(snapshot: &ReleaseSnapshot) -> String {
    format!("release {} with chart {}", history::full_name(snapshot), history::versioned_chart(snapshot))
}

fn counted(snapshot: &ReleaseSnapshot) -> String {
    match snapshot.test_hooks.as_ref().map_or(0, |hooks| hooks.len()) {
        0 => "no test hooks".to_owned(),
        1 => "1 test hook completed successfully".to_owned(),
        n => format!("{n} test hooks completed successfully"),
    }
}
