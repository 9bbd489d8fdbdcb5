//! The handle on one release.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Map, Value};
use sluice_apply::discovery::Discovery;
use sluice_helm::release::Release;
use tokio_util::sync::CancellationToken;

use crate::actions;
use crate::chart::LoadedChart;
use crate::cluster::Cluster;
use crate::error::StorageError;
use crate::options::{Install, Rollback, Test, Uninstall, Upgrade};
use crate::run::{Done, Run};
use crate::send::Sender;
use crate::storage::{Revision, Storage};
use crate::target::Target;

/// Under which names releases are made.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// Field manager of all writes, such as `helm-controller`.
    pub field_manager: String,
    /// Labels of every object of a release and of its CRDs, that say where it comes from.
    pub origin: BTreeMap<String, String>,
}

/// One release in a cluster, for one pass over it.
///
/// The storage is read when it is first needed, and then known by what the handle's own actions write: there is one
/// writer per release. Make a new handle to look again.
///
/// Cancelling ends renders and waits at once. A revision that is under way is stored as failed before the action
/// returns, so no release stays locked, and the baseline of a later rollback is as it was.
pub struct Helm {
    cluster: Cluster,
    target: Target,
    identity: Identity,
    cancel: CancellationToken,
    storage: Storage,
    sender: Sender,
    known: Mutex<Known>,
}

/// What is known of the storage.
#[derive(Default)]
struct Known {
    revisions: Option<Vec<Revision>>,
    newest: Option<Release>,
}

impl Helm {
    /// Takes hold of a release. Sends nothing yet.
    #[must_use]
    pub fn new(cluster: &Cluster, target: Target, identity: Identity, cancel: CancellationToken) -> Self {
        let client = cluster.client().clone();
        let storage =
            Storage::new(client.clone(), &target.storage_namespace, &target.release, &identity.field_manager);
        let sender = Sender::new(client, &identity.field_manager);
        Self { cluster: cluster.clone(), target, identity, cancel, storage, sender, known: Mutex::default() }
    }

    /// The release and where it lives.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// All revisions in storage, oldest first, without reading what they hold.
    ///
    /// # Errors
    /// When the Secrets cannot be listed.
    pub async fn revisions(&self) -> Result<Vec<Revision>, StorageError> {
        if let Some(revisions) = self.known.lock().revisions.clone() {
            return Ok(revisions);
        }
        let revisions = self.storage.revisions().await?;
        self.known.lock().revisions = Some(revisions.clone());
        Ok(revisions)
    }

    /// The newest revision.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn last(&self) -> Result<Option<Release>, StorageError> {
        if let Some(newest) = self.known.lock().newest.clone() {
            return Ok(Some(newest));
        }
        let Some(newest) = self.revisions().await?.pop() else { return Ok(None) };
        let release = self.storage.get(newest.version).await?;
        self.known.lock().newest.clone_from(&release);
        Ok(release)
    }

    /// One revision.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn get(&self, version: u32) -> Result<Option<Release>, StorageError> {
        if let Some(newest) = self.known.lock().newest.clone().filter(|newest| newest.version == version) {
            return Ok(Some(newest));
        }
        self.storage.get(version).await
    }

    /// All revisions, oldest first, with what they hold.
    ///
    /// # Errors
    /// When one cannot be read.
    pub async fn history(&self) -> Result<Vec<Release>, StorageError> {
        let mut releases = Vec::new();
        for revision in self.revisions().await? {
            releases.extend(self.get(revision.version).await?);
        }
        Ok(releases)
    }

    /// Installs a chart.
    pub async fn install(&self, chart: &LoadedChart, values: &Map<String, Value>, options: &Install) -> Done {
        let mut run = Run::new(self);
        let result = actions::install::run(&mut run, chart, values, options).await;
        run.done(result)
    }

    /// Upgrades to a chart.
    pub async fn upgrade(&self, chart: &LoadedChart, values: &Map<String, Value>, options: &Upgrade) -> Done {
        let mut run = Run::new(self);
        let result = actions::upgrade::run(&mut run, chart, values, options).await;
        run.done(result)
    }

    /// Goes back to a revision, which becomes a new one.
    pub async fn rollback(&self, to: u32, options: &Rollback) -> Done {
        let mut run = Run::new(self);
        let result = actions::rollback::run(&mut run, to, options).await;
        run.done(result)
    }

    /// Removes the release. The result is the newest revision as it was stored or, without history, as it was last.
    pub async fn uninstall(&self, options: &Uninstall) -> Done {
        let mut run = Run::new(self);
        let result = actions::uninstall::run(&mut run, options).await;
        run.done(result)
    }

    /// Runs the tests of the newest revision.
    pub async fn test(&self, options: &Test) -> Done {
        let mut run = Run::new(self);
        let result = actions::test::run(&mut run, options).await;
        run.done(result)
    }

    /// Marks the newest revision as failed, if an action that was cut off left it pending. Without a pending revision
    /// the result is [`ActionError::NotFound`](crate::ActionError::NotFound).
    pub async fn unlock(&self) -> Done {
        let mut run = Run::new(self);
        let result = actions::unlock::run(&mut run).await;
        run.done(result)
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(crate) fn client(&self) -> &kube::Client {
        self.cluster.client()
    }

    pub(crate) fn discovery(&self) -> &Arc<Discovery> {
        self.cluster.discovery()
    }

    pub(crate) fn origin(&self) -> &BTreeMap<String, String> {
        &self.identity.origin
    }

    pub(crate) fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }

    pub(crate) fn sender(&self) -> &Sender {
        &self.sender
    }

    /// Notes what was stored.
    pub(crate) fn stored(&self, release: &Release) {
        let mut known = self.known.lock();
        if known.newest.as_ref().is_none_or(|newest| newest.version <= release.version) {
            known.newest = Some(release.clone());
        }
        let Some(revisions) = &mut known.revisions else { return };
        let status = release.info.status.clone();
        match revisions.iter_mut().find(|revision| revision.version == release.version) {
            Some(revision) => revision.status = status,
            None => revisions.push(Revision::written(release.version, status)),
        }
    }

    /// Notes that a revision is gone.
    pub(crate) fn deleted(&self, version: u32) {
        let mut known = self.known.lock();
        if known.newest.as_ref().is_some_and(|newest| newest.version == version) {
            known.newest = None;
        }
        if let Some(revisions) = &mut known.revisions {
            revisions.retain(|revision| revision.version != version);
        }
    }
}
