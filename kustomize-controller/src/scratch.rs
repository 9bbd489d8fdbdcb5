//! A directory for the temporary files of one run, which the next run removes if this one is killed.
//!
//! The directory is locked as long as the process lives. The kernel ends the lock with the process, however it ends, so
//! that a directory without a lock belongs to nobody; that of another process of the same machine stays.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use tempfile::TempDir;
use tracing::{debug, info};

/// How the names of all such directories begin.
const PREFIX: &str = "kustomize-controller-";
/// How often a new directory may be taken for an old one by another process that starts at the same time.
const TRIES: usize = 16;

/// The directory of this run. It goes with the value.
#[derive(Debug)]
pub(crate) struct Scratch {
    dir: TempDir,
    _lock: File,
}

impl Scratch {
    /// Removes what killed runs have left in `parent`, and makes a directory there. Blocks.
    ///
    /// # Errors
    /// When no directory can be made.
    pub(crate) fn new(parent: &Path) -> io::Result<Self> {
        sweep(parent);
        for _ in 0..TRIES {
            let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
            match lock(dir.path()) {
                // Removed between its making and its locking.
                Ok(Some(_)) if !dir.path().exists() => {}
                Ok(Some(lock)) => return Ok(Self { dir, _lock: lock }),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("other processes keep removing it"))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Locks a directory; nothing if somebody else has.
fn lock(dir: &Path) -> io::Result<Option<File>> {
    let file = File::open(dir)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Removes the directories that nobody has locked. What cannot be removed is for a later run.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.file_type().is_ok_and(|kind| kind.is_dir());
        let path = entry.path();
        let Some(_lock) = is_ours.then(|| lock(&path).ok().flatten()).flatten() else { continue };
        match fs::remove_dir_all(&path) {
            Ok(()) => info!(directory = %path.display(), "removed what a killed run had left"),
            Err(error) => debug!(directory = %path.display(), %error, "not removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_uses_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let alive = Scratch::new(parent.path()).unwrap();
        let killed = parent.path().join("kustomize-controller-killed");
        fs::create_dir_all(killed.join("kustomization-1/app")).unwrap();
        let other = parent.path().join("source-controller-work-1");
        fs::create_dir(&other).unwrap();
        let file = parent.path().join("kustomize-controller-file");
        fs::write(&file, "").unwrap();
        let target = parent.path().join("target");
        fs::create_dir(&target).unwrap();
        std::os::unix::fs::symlink(&target, parent.path().join("kustomize-controller-link")).unwrap();

        let next = Scratch::new(parent.path()).unwrap();
        assert!(!killed.exists());
        for stays in [alive.path(), next.path(), &other, &file, &target] {
            assert!(stays.exists(), "{}", stays.display());
        }
        let path = alive.path().to_owned();
        drop(alive);
        assert!(!path.exists());
    }

    #[test]
    fn a_parent_that_is_not_there_is_an_error() {
        let parent = tempfile::tempdir().unwrap();
        assert!(Scratch::new(&parent.path().join("absent")).is_err());
    }
}
