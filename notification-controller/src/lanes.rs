//! Deliveries wait in lanes: a few per Provider, so that one that is slow or dead holds up nobody else.
//!
//! An object's events always take the same lane and so keep their order. Lanes are bounded. When one is full the sender
//! of the event is held for a moment if the Provider is working through its lane, and the event is dropped, with a
//! warning and an event on the Alert, if it is not.

use crate::context::Context;
use crate::dispatch::{self, Job};
use parking_lot::Mutex;
use sluice_runtime::Key;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;

/// Deliveries of a Provider at a time.
const LANES: usize = 4;
/// Deliveries that wait in a lane.
const CAPACITY: usize = 4096;
/// How long a sender waits for a place in a lane that moves.
const PATIENCE: Duration = Duration::from_secs(10);

/// The lanes of all Providers.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    providers: Mutex<HashMap<Key, Arc<Provider>>>,
}

#[derive(Debug)]
struct Provider {
    lanes: Vec<mpsc::Sender<Job>>,
    /// Whether the last delivery failed.
    failing: Arc<AtomicBool>,
}

impl Lanes {
    /// Puts a delivery in line.
    ///
    /// # Errors
    /// Returns the job that found no place.
    pub(crate) async fn put(
        &self,
        cx: &Arc<Context>,
        shutdown: &CancellationToken,
        key: &Key,
        job: Job,
    ) -> Result<(), Box<Job>> {
        let provider = self.provider(cx, shutdown, key);
        let mut hash = DefaultHasher::new();
        job.event.involved_object.path().hash(&mut hash);
        let lane = &provider.lanes[hash.finish() as usize % LANES];
        match lane.try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(job)) if !provider.failing.load(Ordering::Relaxed) => {
                match tokio::time::timeout(PATIENCE, lane.reserve()).await {
                    Ok(Ok(place)) => {
                        place.send(job);
                        Ok(())
                    }
                    _ => Err(Box::new(job)),
                }
            }
            Err(TrySendError::Full(job) | TrySendError::Closed(job)) => Err(Box::new(job)),
        }
    }

    /// Lets go of a Provider that is gone: what waits is still tried, and fails because there is no Provider.
    pub(crate) fn forget(&self, key: &Key) {
        self.providers.lock().remove(key);
    }

    fn provider(&self, cx: &Arc<Context>, shutdown: &CancellationToken, key: &Key) -> Arc<Provider> {
        let mut providers = self.providers.lock();
        let start = || {
            let failing = Arc::new(AtomicBool::new(false));
            let settings = Arc::new(dispatch::Remembered::default());
            let lane = |_| {
                let (sender, receiver) = mpsc::channel(CAPACITY);
                let work = Worker {
                    cx: cx.clone(),
                    key: key.clone(),
                    failing: failing.clone(),
                    settings: settings.clone(),
                };
                tokio::spawn(work.run(receiver, shutdown.clone()));
                sender
            };
            let lanes = (0..LANES).map(lane).collect();
            Arc::new(Provider { lanes, failing })
        };
        providers.entry(key.clone()).or_insert_with(start).clone()
    }
}

/// Works through one lane.
struct Worker {
    cx: Arc<Context>,
    key: Key,
    failing: Arc<AtomicBool>,
    settings: Arc<dispatch::Remembered>,
}

impl Worker {
    async fn run(self, mut jobs: mpsc::Receiver<Job>, shutdown: CancellationToken) {
        let work = async {
            while let Some(job) = jobs.recv().await {
                let failed = !dispatch::deliver(&self.cx, &self.key, &self.settings, job).await;
                self.failing.store(failed, Ordering::Relaxed);
            }
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = work => {}
        }
    }
}
