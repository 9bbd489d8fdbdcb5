//! Waits until what was applied is ready, if the spec asks for it.

use crate::apply::Applied;
use crate::attempt::{Attempt, HEALTH_CHECK_FAILED, Stop, trigger_name};
use crate::config::DISABLE_FAIL_FAST;
use crate::source::{self, Artifact};
use sluice_api::meta::{Duration as GoDuration, HEALTHY, PROGRESSING_REASON, SUCCEEDED_REASON};
use sluice_apply::{Evaluate, ObjectId, Target, WaitError, WaitOptions};
use sluice_runtime::{Cause, conditions, events::Event};
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Group and kind of the object itself, which is left out of its own health.
const OWN: (&str, &str) = ("kustomize.toolkit.fluxcd.io", "Kustomization");

/// Waits for health within the timeout. Gives its worker to others meanwhile, and ends when something newer is asked for.
pub(crate) async fn check(
    attempt: &mut Attempt<'_>,
    applied: &Applied,
    rules: Vec<Arc<dyn Evaluate>>,
    artifact: &Artifact,
) -> Result<(), Stop> {
    let targets = targets(attempt, applied);
    if targets.is_empty() {
        conditions::remove(&mut attempt.status().conditions, HEALTHY);
        return Ok(());
    }
    let was_healthy = conditions::is_true(&attempt.status().conditions, HEALTHY);
    let is_new = attempt.status().last_applied_revision.as_deref() != Some(&*artifact.revision);
    let changed = applied.changes.changed();
    attempt.step_health();
    let begun = Instant::now();
    let options = WaitOptions {
        timeout: attempt.timeout(),
        fail_fast: !attempt.cx.gates.enabled(DISABLE_FAIL_FAST),
        evaluators: rules,
        ..WaitOptions::default()
    };
    let (cx, pass, ks) = (attempt.cx, attempt.pass, attempt.ks.clone());
    let cancel = CancellationToken::new();
    let wait = async {
        let newer = async {
            loop {
                let cause = pass.interrupt.triggered().await;
                if !is_about(&cause, &ks) || source::artifact(cx, &ks).await.ok().as_ref() != Some(artifact) {
                    return Some(cause);
                }
                // The watch told late of the very revision that is waited for; a later trigger starts a new pass anyway.
                pass.shutdown.cancelled().await;
            }
        };
        tokio::select! {
            biased;
            result = applied.applier.wait(&targets, &options, &cancel) => Ok(result),
            () = pass.shutdown.cancelled() => Err(None),
            cause = newer => Err(cause),
        }
    };
    let outcome = attempt.during(pass.slot.park(wait)).await?;
    let result = match outcome {
        Err(None) | Ok(Err(WaitError::Canceled)) => return Err(Stop::Shutdown),
        Err(Some(cause)) => return Err(Stop::Canceled { cause: trigger_name(&cause, pass) }),
        Ok(result) => result,
    };
    let (generation, took) = (attempt.generation(), GoDuration::format(begun.elapsed()));
    let list = &mut attempt.status().conditions;
    match result {
        Ok(_) => {
            let text = format!("Health check passed in {took}");
            // An unchanged pass leaves the condition, and with it the time of its last transition, as it is.
            let kept = conditions::get(list, HEALTHY).filter(|_| was_healthy && !changed && !is_new);
            let shown = kept
                .filter(|c| c.status == "True")
                .map(|c| c.message.clone())
                .unwrap_or_else(|| text.clone());
            conditions::mark_true(list, generation, HEALTHY, SUCCEEDED_REASON, shown);
            if !was_healthy || (is_new && changed) {
                attempt.event(Event::info(PROGRESSING_REASON, text));
            }
            Ok(())
        }
        Err(err) => {
            conditions::mark_false(list, generation, HEALTHY, HEALTH_CHECK_FAILED, err.to_string());
            Err(applied.failure(HEALTH_CHECK_FAILED, format!("health check failed after {took}: {err}")))
        }
    }
}

/// Whether a cause is the source of the Kustomization.
fn is_about(cause: &Cause, ks: &sluice_api::kustomize::Kustomization) -> bool {
    let reference = &ks.spec.source_ref;
    let own = ks.metadata.namespace.as_deref().unwrap_or_default();
    let namespace = reference.namespace.as_deref().filter(|n| !n.is_empty()).unwrap_or(own);
    *cause == Cause::related(&reference.kind.to_string(), namespace, &reference.name)
}

fn targets(attempt: &Attempt<'_>, applied: &Applied) -> Vec<Target> {
    let key = &attempt.pass.key;
    let is_self = |id: &ObjectId| {
        (id.group.as_str(), id.kind.as_str()) == OWN
            && *id.namespace == *key.namespace
            && *id.name == *key.name
    };
    let targets = if attempt.ks.spec.wait {
        applied.changes.targets()
    } else {
        let named = attempt.ks.spec.health_checks.iter().map(|check| {
            let api_version = check.api_version.as_deref().filter(|v| !v.is_empty()).unwrap_or("apps/v1");
            let id = ObjectId {
                group: api_version.split_once('/').map_or("", |(group, _)| group).to_owned(),
                kind: check.kind.clone(),
                namespace: check.namespace.clone().unwrap_or_default(),
                name: check.name.clone(),
            };
            Target { id, vanishes: false }
        });
        named.collect()
    };
    targets.into_iter().filter(|target| !is_self(&target.id)).collect()
}
