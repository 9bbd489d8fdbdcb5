//! How long a call may take, and how it is stopped early.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};

/// Bounds one call, and everything that it does: connect, each read, unpacking, writing files.
#[derive(Clone, Debug)]
pub struct Limit {
    deadline: Instant,
    timeout: Duration,
    cancel: CancellationToken,
}

impl Limit {
    /// The call must end within `timeout` from now, and as soon as `cancel` is cancelled.
    pub fn new(timeout: Duration, cancel: CancellationToken) -> Self {
        Self { deadline: Instant::now() + timeout, timeout, cancel }
    }

    /// The call must end within `timeout` from now.
    pub fn timeout(timeout: Duration) -> Self {
        Self::new(timeout, CancellationToken::new())
    }

    /// Fails once the time is over or the call was cancelled. `doing` completes "timed out after 60s while …".
    ///
    /// # Errors
    /// [`Error::Timeout`] or [`Error::Cancelled`].
    pub fn check(&self, doing: &str) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled { doing: doing.to_owned() });
        }
        if Instant::now() >= self.deadline {
            return Err(self.timed_out(doing));
        }
        Ok(())
    }

    /// Runs `future` on `runtime` until it is ready or this limit is reached.
    pub(crate) fn block_on<T>(
        &self,
        runtime: &Handle,
        doing: &str,
        future: impl Future<Output = T>,
    ) -> Result<T> {
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => Err(Error::Cancelled { doing: doing.to_owned() }),
                done = tokio::time::timeout_at(self.deadline.into(), future) => {
                    done.map_err(|_| self.timed_out(doing))
                }
            }
        })
    }

    /// A flag that turns true when this limit is reached, for code that polls one. Its watcher ends with the returned guard.
    pub(crate) fn interrupt(&self, runtime: &Handle) -> Interrupt {
        let flag = Arc::new(AtomicBool::new(false));
        let (limit, raised) = (self.clone(), flag.clone());
        let watcher = runtime.spawn(async move {
            tokio::select! {
                () = limit.cancel.cancelled() => {}
                () = tokio::time::sleep_until(limit.deadline.into()) => {}
            }
            raised.store(true, Ordering::Relaxed);
        });
        Interrupt { flag, watcher }
    }

    fn timed_out(&self, doing: &str) -> Error {
        Error::Timeout { after: self.timeout, doing: doing.to_owned() }
    }
}

/// See [`Limit::interrupt`].
pub(crate) struct Interrupt {
    pub(crate) flag: Arc<AtomicBool>,
    watcher: tokio::task::JoinHandle<()>,
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}
