//! Keeps a host that does not answer from taking every worker.
//!
//! A host on which an operation timed out, or could not be reached, is a suspect until it answers. One operation at a
//! time then tries it; the others wait for their next turn without holding a worker.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::GitFailure;
use crate::kind::{Failure, Stop};

/// Until the next turn.
const PAUSE: Duration = Duration::from_secs(5);
/// More suspects than this are not remembered.
const MAX_SUSPECTS: usize = 1024;

/// The hosts that did not answer.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Suspects {
    /// The right to try `host`: at once for hosts that answer, one at a time for suspects.
    pub(super) fn turn(&self, host: &str) -> Result<Option<OwnedSemaphorePermit>, Stop> {
        let Some(suspect) = self.hosts.lock().get(host).cloned() else { return Ok(None) };
        match suspect.try_acquire_owned() {
            Ok(turn) => Ok(Some(turn)),
            Err(_) => {
                let message =
                    format!("host '{host}' did not answer lately and is being tried: waiting for the result");
                Err(Stop::Waiting(Failure::plain("ProgressingWithRetry", message), PAUSE))
            }
        }
    }

    /// Learns from the result of an operation on `host`.
    pub(super) fn note<T>(&self, host: &str, result: Result<T, GitFailure>) -> Result<T, GitFailure> {
        let mut hosts = self.hosts.lock();
        match &result {
            Err(error) if error.is_silence() => {
                if hosts.len() < MAX_SUSPECTS {
                    hosts.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(1)));
                }
            }
            _ => drop(hosts.remove(host)),
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence() -> Result<(), GitFailure> {
        Err(GitFailure::Git(sluice_git::Error::Timeout { after: PAUSE, doing: "waiting".into() }))
    }

    #[test]
    fn a_silent_host_is_tried_by_one_at_a_time_until_it_answers() {
        let suspects = Suspects::default();
        assert!(suspects.turn("a").unwrap().is_none());
        let _ = suspects.note("a", silence());
        let turn = suspects.turn("a").unwrap();
        assert!(turn.is_some());
        assert!(matches!(suspects.turn("a"), Err(Stop::Waiting(..))));
        assert!(suspects.turn("b").unwrap().is_none(), "others are not held up");
        drop(turn);
        assert!(suspects.turn("a").unwrap().is_some());
        let _ = suspects.note("a", Ok(()));
        assert!(suspects.turn("a").unwrap().is_none());
    }
}
