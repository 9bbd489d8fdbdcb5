//! A bounded number of mirrors in one directory, each used by one caller at a time.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::{ArcMutexGuard, Mutex, RawMutex};
use sha2::{Digest as _, Sha256};

use crate::{
    error::{Error, Result},
    limit::Limit,
    mirror::Mirror,
};

/// Keeps mirrors in a directory, and removes the ones used least recently when there are too many.
///
/// The directory must belong to this value alone: another process would not see its locks.
#[derive(Debug)]
pub struct Mirrors {
    root: PathBuf,
    max: usize,
    locks: Mutex<HashMap<String, Arc<Mutex<()>>>>,
}

/// A mirror, locked for its holder.
pub struct Lease {
    mirror: Mirror,
    _lock: ArcMutexGuard<RawMutex, ()>,
}

impl std::ops::Deref for Lease {
    type Target = Mirror;

    fn deref(&self) -> &Mirror {
        &self.mirror
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.mirror.fmt(f)
    }
}

impl Mirrors {
    /// Mirrors below `root`, which is created; at most `max` of them stay.
    ///
    /// # Errors
    /// [`Error::Local`].
    pub fn new(root: impl Into<PathBuf>, max: usize) -> Result<Self> {
        let root = root.into();
        fs::create_dir_all(&root).map_err(Error::local("create directory", &root))?;
        Ok(Self { root, max: max.max(1), locks: Mutex::default() })
    }

    /// The mirror for `key`, as soon as nobody else uses it. Blocks, at most as long as `limit` allows.
    ///
    /// The key must hold everything that decides what the caller may see: a mirror hands out what it has to whoever holds it.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Cancelled`], [`Error::Local`].
    pub fn lease(&self, key: &str, limit: &Limit) -> Result<Lease> {
        let name = hex::encode(&Sha256::digest(key)[..16]);
        let lock = self.locks.lock().entry(name.clone()).or_default().clone();
        let lock = loop {
            if let Some(held) = lock.try_lock_arc_for(LOOK_UP) {
                break held;
            }
            limit.check("waiting for another fetch of the same repository")?;
        };
        let dir = self.root.join(&name);
        fs::create_dir_all(&dir).map_err(Error::local("create directory", &dir))?;
        touch(&dir);
        let mirror = Mirror::open(&dir)?;
        self.evict(&name);
        Ok(Lease { mirror, _lock: lock })
    }

    /// Removes the mirrors used least recently until `max` are left. Mirrors in use are not touched; failures are for the next time.
    fn evict(&self, current: &str) {
        let mut found: Vec<(SystemTime, String)> = self.stored().collect();
        if found.len() <= self.max {
            return;
        }
        found.sort();
        let mut excess = found.len() - self.max;
        for (_, name) in found.into_iter().filter(|(_, name)| name != current) {
            if excess == 0 {
                return;
            }
            let mut locks = self.locks.lock();
            let lock = locks.entry(name.clone()).or_default().clone();
            // With the map locked nobody else can come to wait for this one.
            if Arc::strong_count(&lock) == 2
                && let Some(_held) = lock.try_lock()
            {
                if let Err(error) = fs::remove_dir_all(self.root.join(&name)) {
                    tracing::warn!(mirror = name, %error, "cannot remove an old mirror");
                }
                locks.remove(&name);
                excess -= 1;
            }
        }
    }

    fn stored(&self) -> impl Iterator<Item = (SystemTime, String)> {
        fs::read_dir(&self.root).into_iter().flatten().flatten().filter_map(|entry| {
            let used = entry.path().join(USED).metadata().and_then(|meta| meta.modified());
            let used = used.unwrap_or(SystemTime::UNIX_EPOCH);
            Some((used, entry.file_name().into_string().ok()?))
        })
    }
}

/// How often a waiting caller looks whether its time is over.
const LOOK_UP: Duration = Duration::from_millis(100);
/// Its modification time says when a mirror was last used.
const USED: &str = "used";

fn touch(dir: &Path) {
    // Without it the mirror counts as old, which only costs a clone.
    let _ = fs::write(dir.join(USED), b"");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_mirrors_go_and_those_in_use_stay() {
        let dir = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::new(dir.path(), 2).unwrap();
        let limit = Limit::timeout(Duration::from_secs(60));
        let held = mirrors.lease("a", &limit).unwrap();
        for key in ["b", "c", "d"] {
            drop(mirrors.lease(key, &limit).unwrap());
        }
        assert_eq!(mirrors.stored().count(), 2, "one in use and the newest");
        drop(held);
        drop(mirrors.lease("e", &limit).unwrap());
        assert_eq!(mirrors.stored().count(), 2);
    }
}
