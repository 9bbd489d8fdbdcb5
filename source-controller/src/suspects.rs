//! Keeps a host that does not answer from taking every worker.
//!
//! A host on which an operation timed out, or could not be reached, is a suspect until it answers. One operation at a
//! time then tries it; the others wait for their next turn without holding a worker.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sluice_runtime::hosts::HostPermit;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::kind::{Failure, Stop};
use crate::object::SourceObject;
use crate::work::Work;

/// Until the next turn.
const PAUSE: Duration = Duration::from_secs(5);
/// More suspects than this are not remembered.
const MAX_SUSPECTS: usize = 1024;

/// The hosts that did not answer.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// Why a host was of no use.
pub(crate) trait Trouble {
    /// Whether it did not answer at all.
    fn is_silence(&self) -> bool;
    /// It took longer than that.
    fn timeout(limit: Duration) -> Self;
    /// We stopped asking.
    fn shutdown() -> Self;
}

/// The right to do some work on one host.
pub(crate) struct Visit<'s> {
    suspects: &'s Suspects,
    host: String,
    limit: Duration,
    _turn: Option<OwnedSemaphorePermit>,
    _place: HostPermit,
}

impl Visit<'_> {
    /// Does a part of the work, within the time limit and until the process ends, and learns whether the host answers.
    pub(crate) async fn within<O: SourceObject, T, E: Trouble>(
        &self,
        work: &Work<O>,
        part: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let part = work.wait(tokio::time::timeout(self.limit, part));
        let result = tokio::select! {
            biased;
            () = work.shutdown.cancelled() => return Err(E::shutdown()),
            result = part => result.unwrap_or_else(|_| Err(E::timeout(self.limit))),
        };
        self.suspects.note(&self.host, result, E::is_silence)
    }
}

impl Suspects {
    /// Waits for the right to work on `host`; each part of the work may take as long as `limit`.
    ///
    /// # Errors
    /// [`Stop::Waiting`] for a suspect that somebody else is trying.
    pub(crate) async fn visit<O: SourceObject>(
        &self,
        work: &Work<O>,
        host: &str,
        limit: Duration,
    ) -> Result<Visit<'_>, Stop> {
        let turn = self.turn(host)?;
        let place = work.place_at(host).await;
        Ok(Visit { suspects: self, host: host.to_owned(), limit, _turn: turn, _place: place })
    }

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
