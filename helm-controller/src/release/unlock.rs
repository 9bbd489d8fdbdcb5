//! Takes the lock of an action that was cut off, and keeps the history: what was there before it is still good to go back
//! to.

use super::{resume, told_of};
use crate::attempt::{Attempt, Stop};
use crate::context::RELEASED;
use crate::history::{self, action};
use sluice_helm::release::Status;
use sluice_release::{Done, Helm};
use sluice_runtime::conditions;
use sluice_runtime::events::Event;
use tracing::{info, warn};

/// Makes the newest revision a failed one.
pub(super) async fn run(attempt: &mut Attempt<'_>, helm: &Helm) -> Result<(), Stop> {
    let (cx, generation) = (attempt.cx, attempt.generation());
    let fail = |err: sluice_release::StorageError| Stop::Action(err.to_string());
    let Some(pending) = helm.last().await.map_err(fail)? else { return Ok(()) };
    if !pending.info.status.is_pending() {
        return Ok(());
    }
    let stale = pending.info.status.clone();
    let Done { result, written, .. } = helm.unlock().await;
    let attempted = attempt.pass.object.status.clone().unwrap_or_default();
    let history = &mut attempt.status().history;
    // A revision that follows what is known is the next attempt at it; anything else is not this controller's.
    let follows = history.first().is_none_or(|newest| {
        newest.name == pending.name
            && newest.namespace == pending.namespace
            && newest.version <= i64::from(pending.version)
    });
    if follows {
        let name = match stale {
            Status::PendingInstall => action::INSTALL,
            Status::PendingRollback => action::ROLLBACK,
            _ => action::UPGRADE,
        };
        let oci = resume::oci_digest(history, &pending, &attempted);
        history::record(history, &written, name, &oci, cx.config.snapshot_digest_algo);
    }
    let subject = format!(
        "Helm release {} with chart {} in {stale} state",
        pending.full_name(),
        pending.versioned_chart()
    );
    let snapshot = history::snapshot(&pending, "", cx.config.snapshot_digest_algo);
    let (text, event, outcome) = match result {
        Ok(_) => {
            let text = format!("Unlocked {subject}");
            info!("{text}");
            (text.clone(), Event::info("PendingRelease", text), Ok(()))
        }
        Err(err) => {
            let text = format!("Unlock of {subject} failed: {err}");
            warn!("{text}");
            attempt.status().failures += 1;
            (text.clone(), Event::error("PendingRelease", text.clone()), Err(Stop::Action(text)))
        }
    };
    let list = &mut attempt.status().conditions;
    conditions::mark_false(list, generation, RELEASED, "PendingRelease", text);
    attempt.event(told_of(event, &snapshot));
    super::summarize(attempt);
    outcome
}
