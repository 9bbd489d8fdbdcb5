//! Which files of an object stay, and the removal of the others.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::{Location, Store, StoreError};

/// Files looked at by one garbage collection.
const MAX_VISITED: usize = 1000;
/// Time that one garbage collection takes at most.
const MAX_COLLECTION: Duration = Duration::from_secs(5);

impl Store {
    /// Removes one file. That it is already gone is no error.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, path: &str) -> Result<(), StoreError> {
        let full = self.resolve(path)?;
        self.forget(&full);
        match fs::remove_file(&full) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io("remove", &full)(error))
            }
            _ => Ok(()),
        }
    }

    /// Removes everything of an object. Returns whether there was anything.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove_all(&self, location: &Location) -> Result<bool, StoreError> {
        let dir = self.resolve(&location.dir())?;
        self.forget(&dir);
        match fs::remove_dir_all(&dir) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StoreError::io("remove", &dir)(error)),
        }
    }

    /// Removes the files of an object that retention does not keep; `current` (relative to the root) always stays.
    /// Returns how many files were removed.
    ///
    /// # Errors
    /// When the directory cannot be read or a file cannot be removed.
    pub fn collect_garbage(&self, location: &Location, current: &str) -> Result<usize, StoreError> {
        let dir = self.resolve(&location.dir())?;
        let current = self.resolve(current)?;
        let (mut files, mut locks, now) = (Vec::new(), Vec::new(), SystemTime::now());
        let listing = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            listing => listing.map_err(StoreError::io("list", &dir))?,
        };
        let started = Instant::now();
        for entry in listing.take(MAX_VISITED) {
            let entry = entry.map_err(StoreError::io("list", &dir))?;
            let path = entry.path();
            let is_lock = path.extension().is_some_and(|extension| extension == "lock");
            // A file may be renamed away between listing and looking: then it is not ours to remove.
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            if is_lock {
                locks.push(path);
            } else if metadata.is_file() && path != current {
                files.push((metadata.modified().unwrap_or(now), path));
            }
            if started.elapsed() > MAX_COLLECTION {
                break;
            }
        }
        files.sort_unstable();
        let kept_besides_current = self.options.retention_records.saturating_sub(1);
        let surplus = files.len().saturating_sub(kept_besides_current);
        let expired = files
            .iter()
            .filter(|(modified, _)| {
                now.duration_since(*modified).is_ok_and(|age| age > self.options.retention_ttl)
            })
            .count();
        let mut removed = 0;
        // Sorted by age: both rules take from the front.
        for (_, path) in files.iter().take(surplus.max(expired)) {
            if started.elapsed() > MAX_COLLECTION {
                break;
            }
            fs::remove_file(path).map_err(StoreError::io("remove", path))?;
            self.forget(path);
            removed += 1;
        }
        for lock in locks {
            remove_unused_lock(&lock)?;
        }
        Ok(removed)
    }
}

/// Removes a lock file if what it locks is not there (any more) and nobody is about to write it. A writer that is killed
/// before its file is in place leaves one.
fn remove_unused_lock(lock: &Path) -> Result<(), StoreError> {
    if fs::symlink_metadata(lock.with_extension("")).is_ok() {
        return Ok(());
    }
    let removed = match File::open(lock) {
        Ok(file) if file.try_lock().is_ok() => fs::remove_file(lock),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", lock)(error)),
        _ => Ok(()),
    }
}
