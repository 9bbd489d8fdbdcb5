//! The last outcomes of a Kustomization, in its status.

use jiff::Timestamp;
use sluice_api::kustomize::Snapshot;
use sluice_api::meta::{Duration, Time};
use std::collections::BTreeMap;

/// Snapshots that are kept.
const KEPT: usize = 5;

/// What a pass did, as far as history is concerned.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Digest of what was built.
    pub(crate) digest: String,
    /// Reason of the Ready condition.
    pub(crate) status: String,
    /// When the pass ended.
    pub(crate) at: Timestamp,
    /// How long it took.
    pub(crate) took: std::time::Duration,
    /// Revision and, if known, origin revision.
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Puts an outcome first. Outcomes are the same if they applied the same and ended the same.
pub(crate) fn record(history: &mut Vec<Snapshot>, outcome: Outcome) {
    let now = Time(Timestamp::from_second(outcome.at.as_second()).unwrap_or(outcome.at));
    let same = |s: &Snapshot| s.digest == outcome.digest && s.last_reconciled_status == outcome.status;
    let mut snapshot = match history.iter().position(same) {
        Some(at) => history.remove(at),
        None => Snapshot {
            digest: outcome.digest,
            first_reconciled: now.clone(),
            last_reconciled: now.clone(),
            last_reconciled_duration: Duration::from_secs(0),
            last_reconciled_status: outcome.status,
            total_reconciliations: 0,
            metadata: BTreeMap::new(),
        },
    };
    snapshot.last_reconciled = now;
    snapshot.last_reconciled_duration = outcome.took.into();
    snapshot.metadata = outcome.metadata;
    snapshot.total_reconciliations = snapshot.total_reconciliations.saturating_add(1);
    history.insert(0, snapshot);
    history.truncate(KEPT);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(digest: &str, status: &str, second: i64, revision: &str) -> Outcome {
        Outcome {
            digest: digest.into(),
            status: status.into(),
            at: Timestamp::from_second(second).unwrap(),
            took: std::time::Duration::from_millis(1500),
            metadata: BTreeMap::from([("revision".into(), revision.into())]),
        }
    }

    #[test]
    fn the_same_output_counts_up_and_moves_to_the_front() {
        let mut history = Vec::new();
        record(&mut history, outcome("a", "ReconciliationSucceeded", 1, "r1"));
        record(&mut history, outcome("a", "HealthCheckFailed", 2, "r1"));
        record(&mut history, outcome("a", "ReconciliationSucceeded", 3, "r2"));
        let got: Vec<_> = history
            .iter()
            .map(|s| {
                let at = |time: &Time| time.0.as_second();
                let revision = s.metadata["revision"].as_str();
                let span = (at(&s.first_reconciled), at(&s.last_reconciled));
                (s.last_reconciled_status.as_str(), s.total_reconciliations, span, revision)
            })
            .collect();
        assert_eq!(
            got,
            [("ReconciliationSucceeded", 2, (1, 3), "r2"), ("HealthCheckFailed", 1, (2, 2), "r1")]
        );
        assert_eq!(history[0].last_reconciled_duration.to_string(), "1.5s");
    }

    #[test]
    fn five_snapshots_are_kept() {
        let mut history = Vec::new();
        for i in 0..8 {
            record(&mut history, outcome(&i.to_string(), "ReconciliationSucceeded", i, "r"));
        }
        let digests: Vec<&str> = history.iter().map(|s| s.digest.as_str()).collect();
        assert_eq!(digests, ["7", "6", "5", "4", "3"]);
    }
}
