//! Keeps a host that does not answer from taking every worker.
//!
//! A host on which an operation timed out, or could not be reached, is a suspect until it answers. One operation at a
//! time then tries it; the others wait for their next turn without holding a worker.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::kind::{Failure, Stop};

/// Until the next turn.
const PAUSE: Duration = Duration::from_secs(5);
/// More suspects than this are not remembered.
const MAX_SUSPECTS: usize = 1024;

/// The hosts that did not answer.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Suspects {
    /// The right to try `host`: at once for hosts that answer, one at a time for suspects.
    pub(crate) fn turn(&self, host: &str) -> Result<Option<OwnedSemaphorePermit>, Stop> {
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

    /// Learns from the result of an operation on `host`; `is_silence` tells errors of a host that did not answer from
    /// answers that were not liked.
    pub(crate) fn note<T, E>(
        &self,
        host: &str,
        result: Result<T, E>,
        is_silence: impl FnOnce(&E) -> bool,
    ) -> Result<T, E> {
        let mut hosts = self.hosts.lock();
        match &result {
            Err(error) if is_silence(error) => {
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

    #[test]
    fn a_silent_host_is_tried_by_one_at_a_time_until_it_answers() {
        let suspects = Suspects::default();
        assert!(suspects.turn("a").unwrap().is_none());
        let _ = suspects.note("a", Err::<(), _>("no answer"), |_| true);
        let turn = suspects.turn("a").unwrap();
        assert!(turn.is_some());
        assert!(matches!(suspects.turn("a"), Err(Stop::Waiting(..))));
        assert!(suspects.turn("b").unwrap().is_none(), "others are not held up");
        drop(turn);
        assert!(suspects.turn("a").unwrap().is_some());
        let _ = suspects.note("a", Err::<(), _>("not found"), |_| false);
        assert!(suspects.turn("a").unwrap().is_none());
    }
}
