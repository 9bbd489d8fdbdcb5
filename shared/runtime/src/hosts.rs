//! Limits how many operations run against one host, so that one dead host does not take every worker.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits per host. Cheap to clone; clones share the limits.
///
/// Hosts without an operation in flight are forgotten, so the table is bounded by the work in hand.
#[derive(Clone, Debug)]
pub struct HostLimits {
    per_host: usize,
    hosts: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
}

/// Right to run one operation against a host; dropping it lets the next one run.
#[derive(Debug)]
pub struct HostPermit {
    permit: Option<OwnedSemaphorePermit>,
    host: String,
    limits: HostLimits,
}

impl HostLimits {
    /// At most `per_host` operations at a time on each host; at least one.
    pub fn new(per_host: usize) -> Self {
        Self { per_host: per_host.max(1), hosts: Arc::default() }
    }

    /// Waits for a free place at `host` (case-insensitive; with port if there is one).
    pub async fn acquire(&self, host: &str) -> HostPermit {
        let host = host.to_ascii_lowercase();
        let semaphore = self.semaphore(&host);
        // The semaphore is never closed; were it, running without a limit is the lesser evil.
        let permit = semaphore.acquire_owned().await.ok();
        HostPermit { permit, host, limits: self.clone() }
    }

    /// Takes a place at `host` if one is free now.
    pub fn try_acquire(&self, host: &str) -> Option<HostPermit> {
        let host = host.to_ascii_lowercase();
        let permit = self.semaphore(&host).try_acquire_owned().ok()?;
        Some(HostPermit { permit: Some(permit), host, limits: self.clone() })
    }

    fn semaphore(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock();
        hosts.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.per_host))).clone()
    }
}

impl Drop for HostPermit {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut hosts = self.limits.hosts.lock();
        // One reference is the table's own: nobody holds or awaits a permit.
        if hosts.get(&self.host).is_some_and(|s| Arc::strong_count(s) == 1) {
            hosts.remove(&self.host);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_host_does_not_hold_up_another() {
        let limits = HostLimits::new(2);
        let a = limits.acquire("git.example.com").await;
        let _b = limits.acquire("GIT.example.com").await;
        assert!(limits.try_acquire("git.example.com").is_none(), "third operation must wait");
        assert!(limits.try_acquire("other.example.com").is_some());
        drop(a);
        assert!(limits.try_acquire("git.example.com").is_some());
    }

    #[tokio::test]
    async fn idle_hosts_are_forgotten() {
        let limits = HostLimits::new(1);
        drop(limits.acquire("a").await);
        let held = limits.acquire("b").await;
        assert_eq!(limits.hosts.lock().keys().collect::<Vec<_>>(), ["b"]);
        drop(held);
        assert!(limits.hosts.lock().is_empty());
    }
}
