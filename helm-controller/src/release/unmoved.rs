//! Which releases are known to be in storage as they were verified last, without reading them again.
//!
//! One metadata watch follows the Secrets of all releases of the own cluster. While the Secret of the newest revision is at
//! the version at which it was verified, and none of a newer revision appears, there is nothing new to be learnt from it.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use parking_lot::Mutex;
use sluice_api::helm::ReleaseSnapshot;
use sluice_helm::release::{OWNER, secret_name};
use sluice_runtime::controller::Key;
use sluice_runtime::watch::Watched;
use std::collections::HashMap;
use tokio_util::sync::CancellationToken;

/// Secrets as the watch knows them, and the versions that were verified.
#[derive(Debug, Default)]
pub(crate) struct Unmoved {
    secrets: Watched<Option<String>>,
    verified: Mutex<HashMap<Key, Mark>>,
}

/// A Secret at a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    secret: Key,
    version: String,
}

impl Unmoved {
    /// Follows the Secrets until `shutdown`.
    pub(crate) async fn watch(&self, api: Api<PartialObjectMeta<Secret>>, shutdown: CancellationToken) {
        let config = watcher::Config::default().page_size(500).labels(&format!("{OWNER}=helm"));
        let version = |secret: &PartialObjectMeta<Secret>| secret.metadata.resource_version.clone();
        self.secrets.run(api, config, version, |_| {}, shutdown).await;
    }

    /// What the watch knows of the Secret of a snapshot; to be asked before the Secret is read.
    pub(crate) fn mark(&self, snapshot: &ReleaseSnapshot, storage: &str) -> Option<Mark> {
        if !self.secrets.is_synced() {
            return None;
        }
        let secret = secret(snapshot, storage, 0)?;
        let version = self.secrets.get(&secret)??;
        let newer = secret_of_next(snapshot, storage)?;
        self.secrets.get(&newer).is_none().then_some(Mark { secret, version })
    }

    /// Whether the newest revision is where it was verified.
    pub(crate) fn is_unmoved(&self, release: &Key, snapshot: &ReleaseSnapshot, storage: &str) -> bool {
        self.mark(snapshot, storage).is_some_and(|mark| self.verified.lock().get(release) == Some(&mark))
    }

    /// Notes that the release was verified at a mark.
    pub(crate) fn verified(&self, release: &Key, mark: Option<Mark>) {
        match mark {
            Some(mark) => drop(self.verified.lock().insert(release.clone(), mark)),
            None => self.forget(release),
        }
    }

    pub(crate) fn forget(&self, release: &Key) {
        self.verified.lock().remove(release);
    }
}

fn secret_of_next(snapshot: &ReleaseSnapshot, storage: &str) -> Option<Key> {
    secret(snapshot, storage, 1)
}

fn secret(snapshot: &ReleaseSnapshot, storage: &str, after: u32) -> Option<Key> {
    let version = u32::try_from(snapshot.version).ok()?.checked_add(after)?;
    Some(Key::new(storage, &secret_name(&snapshot.name, version)))
}
