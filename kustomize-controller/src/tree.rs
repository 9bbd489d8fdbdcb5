//! Unpacked sources: downloaded once per digest, shared by every Kustomization that uses them, never written to.

use crate::scratch::Scratch;
use parking_lot::Mutex;
use sluice_artifact::{FetchError, Fetcher};
use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Weak};
use tokio_util::sync::CancellationToken;

/// Trees that stay on disk although nobody uses them.
const KEPT: usize = 4;
/// Table entries after which those without a tree are dropped.
const TABLE: usize = 64;

/// An unpacked source. Its directory is removed with the last reference.
#[derive(Debug)]
pub(crate) struct Tree(tempfile::TempDir);

impl Tree {
    /// The root of the source.
    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }
}

/// Why there is no tree.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TreeError {
    /// No directory for it.
    #[error("tmp dir error: {0}")]
    Directory(std::io::Error),
    /// No content for it.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

/// Fetches trees and remembers the last ones.
#[derive(Debug)]
pub(crate) struct Trees {
    fetcher: Fetcher,
    scratch: Scratch,
    by_digest: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Weak<Tree>>>>>,
    recent: Mutex<VecDeque<Arc<Tree>>>,
}

impl Trees {
    /// An empty memory, whose trees are in `scratch`.
    pub(crate) fn new(fetcher: Fetcher, scratch: Scratch) -> Self {
        Self { fetcher, scratch, by_digest: Mutex::default(), recent: Mutex::default() }
    }

    /// The tree of an artifact. Callers with the same digest wait for one download.
    ///
    /// # Errors
    /// See [`TreeError`].
    pub(crate) async fn get(
        &self,
        url: &str,
        digest: &str,
        cancel: &CancellationToken,
    ) -> Result<Arc<Tree>, TreeError> {
        let slot = {
            let mut table = self.by_digest.lock();
            if table.len() >= TABLE {
                table.retain(|_, slot| {
                    Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|t| t.strong_count() > 0)
                });
            }
            table.entry(digest.to_owned()).or_default().clone()
        };
        let mut held = slot.lock().await;
        // An empty digest is never trusted to be the same source.
        if let Some(tree) = held.upgrade().filter(|_| !digest.is_empty()) {
            return Ok(tree);
        }
        let dir = tempfile::Builder::new()
            .prefix("kustomization-")
            .tempdir_in(self.scratch.path())
            .map_err(TreeError::Directory)?;
        self.fetcher.fetch(url, digest, dir.path(), cancel).await?;
        let tree = Arc::new(Tree(dir));
        *held = Arc::downgrade(&tree);
        let mut recent = self.recent.lock();
        recent.push_front(tree.clone());
        let keep = KEPT.min(recent.len());
        let old = recent.split_off(keep);
        drop(recent);
        if !old.is_empty() {
            // Removing a large directory takes a while.
            tokio::task::spawn_blocking(move || drop(old));
        }
        Ok(tree)
    }
}
