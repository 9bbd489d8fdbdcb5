//! Deletes objects that left the source. Nothing is deleted that another owner labels as its own.

use std::time::Duration;

use futures::{StreamExt, stream};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    applier::Applier,
    change::{Action, Change, ChangeSet},
    discovery::DiscoveryError,
    inventory::Entry,
    object::{ObjectId, metadata_map},
    order, rest,
};

/// What a prune did.
#[derive(Debug, Clone, Default)]
pub struct Pruned {
    /// Objects that were deleted, were gone already, or are left alone.
    pub changes: ChangeSet,
    /// Objects that could not be deleted: they stay in the inventory and are tried again.
    pub survivors: Vec<Entry>,
    /// Why, one per survivor.
    pub errors: Vec<String>,
}

/// Some objects could not be deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("delete failed, errors: {0}")]
pub struct PruneError(
    /// The causes, each followed by `;`.
    pub String,
);

impl Pruned {
    /// The failure, in Flux's words, if there was one.
    ///
    /// # Errors
    /// [`PruneError`] when there are survivors.
    pub fn result(&self) -> Result<(), PruneError> {
        if self.errors.is_empty() {
            return Ok(());
        }
        Err(PruneError(self.errors.iter().map(|error| format!("{error};")).collect()))
    }
}

enum Fate {
    Settled(Action),
    Survives(String),
}

impl Applier {
    /// Deletes objects, in the reverse of apply order, those of one kind at the same time.
    ///
    /// An object is skipped when its ownership labels name another owner or are missing, or when a label or annotation
    /// says that it is kept. Deletion runs in the background on the server's side; nothing is waited for.
    pub async fn prune(&self, stale: &[Entry]) -> Pruned {
        let mut stale = stale.to_vec();
        stale.sort_by(|a, b| order::compare(&b.id, &a.id));
        let mut pruned = Pruned::default();
        for wave in order::waves(stale, |entry| &entry.id) {
            let fates: Vec<_> = stream::iter(wave.into_iter().map(|entry| async {
                let fate = self.prune_one(&entry).await;
                (entry, fate)
            }))
            .buffered(self.options.concurrent.max(1))
            .collect()
            .await;
            for (entry, fate) in fates {
                match fate {
                    Fate::Settled(action) => {
                        pruned.changes.0.push(Change {
                            id: entry.id,
                            version: entry.version,
                            action,
                            vanishes: false,
                        });
                    }
                    Fate::Survives(error) => {
                        pruned.errors.push(error);
                        pruned.survivors.push(entry);
                    }
                }
            }
        }
        pruned
    }

    async fn prune_one(&self, entry: &Entry) -> Fate {
        let inner = &self.cluster.inner;
        let Entry { id, version } = entry;
        let failed = |cause: &dyn std::fmt::Display| Fate::Survives(format!("{id} query failed: {cause}"));
        let mut again = true;
        let (path, live) = loop {
            let resource = match inner.discovery.resource(&id.group, version, &id.kind).await {
                Ok(resource) => resource,
                Err(error @ DiscoveryError::NoMatch { .. }) => {
                    match inner.discovery.preferred(&id.group_kind()).await {
                        Ok(resource) => resource,
                        Err(_) => return failed(&error),
                    }
                }
                Err(error) => return failed(&error),
            };
            let path = resource.path(&id.namespace, &id.name);
            match rest::get_metadata(&self.client, &path).await {
                Ok(live) => break (path, live),
                Err(error) if error.kind_not_served() => {
                    inner.discovery.forget(&resource.group, &resource.version);
                    if !std::mem::take(&mut again) {
                        return failed(&error);
                    }
                }
                Err(error) if error.is_not_found() => {
                    self.cluster.forget(std::slice::from_ref(entry), &self.owner);
                    return Fate::Settled(Action::Deleted);
                }
                Err(error) => return failed(&error),
            }
        };
        if !self.owns(&live) || inner.keys.kept(&live) {
            self.cluster.forget(std::slice::from_ref(entry), &self.owner);
            return Fate::Settled(Action::Skipped);
        }
        // Forgotten first, so that the watch does not take our own deletion for drift.
        self.cluster.forget(std::slice::from_ref(entry), &self.owner);
        match rest::delete(&self.client, &path).await {
            Ok(()) => Fate::Settled(Action::Deleted),
            Err(error) if error.is_not_found() => Fate::Settled(Action::Deleted),
            Err(error) => Fate::Survives(format!("{id} delete failed: {error}")),
        }
    }

    fn owns(&self, live: &Value) -> bool {
        let keys = &self.cluster.inner.keys;
        let label = |key: &str| metadata_map(live, "labels").and_then(|l| l.get(key)).and_then(Value::as_str);
        label(&keys.name) == Some(&self.owner.name) && label(&keys.namespace) == Some(&self.owner.namespace)
    }

    /// Waits until deleted objects are gone (`deletionPolicy: WaitForTermination`), all within `timeout`.
    ///
    /// # Errors
    /// The objects that are still there, in Flux's form for a wait.
    pub async fn wait_for_termination(
        &self,
        deleted: &ChangeSet,
        timeout: Duration,
    ) -> Result<(), crate::WaitError> {
        let deadline = Instant::now() + timeout;
        let mut left: Vec<&Change> = deleted.0.iter().filter(|c| c.action == Action::Deleted).collect();
        let mut pause = Duration::from_millis(50);
        loop {
            let mut still = Vec::new();
            for change in left {
                if !self.is_gone(&change.id, &change.version).await {
                    still.push(change);
                }
            }
            if still.is_empty() {
                return Ok(());
            }
            left = still;
            if Instant::now() >= deadline {
                let stuck = |c: &&Change| crate::Health {
                    id: c.id.clone(),
                    status: crate::status::Status::new(crate::status::Kind::Terminating, ""),
                    error: None,
                };
                return Err(crate::WaitError::Timeout(left.iter().map(stuck).collect()));
            }
            tokio::time::sleep(pause.min(deadline.saturating_duration_since(Instant::now()))).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    async fn is_gone(&self, id: &ObjectId, version: &str) -> bool {
        match self.cluster.discovery().resource(&id.group, version, &id.kind).await {
            Ok(resource) => rest::get_metadata(&self.client, &resource.path(&id.namespace, &id.name))
                .await
                .is_err_and(|error| error.is_not_found()),
            Err(DiscoveryError::NoMatch { .. } | DiscoveryError::NoGroupMatch { .. }) => true,
            Err(DiscoveryError::Failed(_)) => false,
        }
    }
}
