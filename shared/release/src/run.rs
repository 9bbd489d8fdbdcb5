//! One action under way: what it has stored so far, and what it had to say.

use std::sync::Arc;

use sluice_helm::release::{Release, Status, Time};

use crate::error::{ActionError, StorageError};
use crate::helm::Helm;
use crate::log::{Log, LogLine};

/// What came of an action.
#[derive(Debug)]
pub struct Done {
    /// The release as it was stored last, or why it did not get through.
    pub result: Result<Release, ActionError>,
    /// Each revision as it was stored, in order; empty if the action failed without a trace.
    pub written: Vec<Release>,
    /// The last lines of the log.
    pub logs: Vec<LogLine>,
}

pub(crate) struct Run<'a> {
    pub(crate) helm: &'a Helm,
    pub(crate) log: Arc<Log>,
    written: Vec<Release>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(helm: &'a Helm) -> Self {
        Self { helm, log: Arc::default(), written: Vec::new() }
    }

    pub(crate) fn done(self, result: Result<Release, ActionError>) -> Done {
        Done { result, written: self.written, logs: self.log.take() }
    }

    /// Stores a new revision.
    pub(crate) async fn create(&mut self, release: &Release) -> Result<(), StorageError> {
        self.log.line("creating release", [("version", &release.full_name())]);
        self.helm.storage().create(release).await?;
        self.helm.stored(release);
        self.written.push(release.clone());
        Ok(())
    }

    /// Stores a revision again.
    pub(crate) async fn update(&mut self, release: &Release) -> Result<(), StorageError> {
        self.log.line(
            "updating release",
            [("version", &release.full_name()), ("status", release.info.status.as_str())],
        );
        self.helm.storage().update(release).await?;
        self.helm.stored(release);
        match self.written.last_mut() {
            // Nobody needs each step of one revision.
            Some(last) if last.version == release.version && last.info.status == release.info.status => {
                last.clone_from(release);
            }
            _ => self.written.push(release.clone()),
        }
        Ok(())
    }

    /// Deletes a revision.
    pub(crate) async fn delete(&mut self, version: u32) -> Result<(), StorageError> {
        self.helm.storage().delete(version).await?;
        self.helm.deleted(version);
        Ok(())
    }

    /// Makes room for a new revision: the oldest go, but not the last that was deployed. A failure is no reason to stop.
    pub(crate) async fn prune(&mut self, keep: usize) -> Result<(), ActionError> {
        if keep == 0 {
            return Ok(());
        }
        let revisions = self.helm.revisions().await?;
        let deployed = revisions.iter().rfind(|r| r.status == Status::Deployed).map(|r| r.version);
        let surplus = (revisions.len() + 1).saturating_sub(keep);
        let old = revisions.iter().map(|r| r.version).filter(|version| Some(*version) != deployed);
        for version in old.take(surplus).collect::<Vec<_>>() {
            if let Err(error) = self.delete(version).await {
                self.log.line("error pruning old release", [("error", &error.to_string())]);
            }
        }
        Ok(())
    }

    /// Stores a revision as failed, for a reason. A failure to store it is added to the reason.
    pub(crate) async fn fail(
        &mut self,
        mut release: Release,
        what: &str,
        error: ActionError,
    ) -> Result<Release, ActionError> {
        release.info.status = Status::Failed;
        release.info.description = format!("{what} {:?} failed: {error}", release.name);
        match self.update(&release).await {
            Ok(()) => Err(error),
            Err(storage) => {
                Err(ActionError::Failed(format!("{error}; and the failure could not be stored: {storage}")))
            }
        }
    }
}

pub(crate) fn now() -> Option<Time> {
    Some(Time::utc(jiff::Timestamp::now()))
}
