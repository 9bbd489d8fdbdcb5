//! Where artifacts lie: a directory per object, files that appear whole or not at all, and their removal.
//!
//! Every file is written to a temporary file beside its target, flushed to the disk and renamed, so that a crash at
//! any point leaves either the old state or the new one. The current file of an object is never collected.

mod location;
mod retention;
#[cfg(test)]
mod tests;
mod verify;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::digest::{Algorithm, Digest, HashingWriter};
use crate::pack::{self, PackError, Packed};
use crate::path::secure_join;
pub use location::{Advertised, Location};
pub use verify::VerifyError;
use verify::{Fingerprint, Verified};

/// Settings of a [`Store`].
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// An existing directory.
    pub root: PathBuf,
    /// How clients reach it.
    pub advertised: Advertised,
    /// Digest of new artifacts.
    pub algorithm: Algorithm,
    /// Files other than the current one are kept for at least this long, since a consumer may be reading them.
    pub retention_ttl: Duration,
    /// Files of an object that are kept, the current one included.
    pub retention_records: usize,
}

/// A file that has been stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Relative to the root of the store.
    pub path: String,
    /// Where clients find it.
    pub url: String,
    /// Digest of the bytes of the file.
    pub digest: Digest,
    /// Size of the file in bytes.
    pub size: u64,
    /// When it was stored.
    pub time: SystemTime,
}

/// Why something could not be stored or removed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The root is missing or is not a directory.
    #[error("storage path '{}' is not a directory", .0.display())]
    Root(PathBuf),
    /// A file or directory could not be handled.
    #[error("cannot {action} '{}': {error}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system answered.
        error: io::Error,
    },
    /// The source could not be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
}

impl StoreError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { action, path: path.to_path_buf(), error }
    }
}

/// A place for artifacts on the local disk. Every method blocks.
#[derive(Debug)]
pub struct Store {
    options: StoreOptions,
    verified: Verified,
}

/// An exclusive claim on one file of the store, also against other processes. Dropping it ends it.
#[derive(Debug)]
#[must_use]
pub struct Lock(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

impl Store {
    /// Opens a store.
    ///
    /// # Errors
    /// When the root is not a directory.
    pub fn open(options: StoreOptions) -> Result<Self, StoreError> {
        if !options.root.is_dir() {
            return Err(StoreError::Root(options.root));
        }
        Ok(Self { options, verified: Verified::default() })
    }

    /// The directory that holds everything.
    pub fn root(&self) -> &Path {
        &self.options.root
    }

    /// The address of the file server.
    pub fn advertised(&self) -> &Advertised {
        &self.options.advertised
    }

    /// The digest algorithm of new artifacts.
    pub fn algorithm(&self) -> Algorithm {
        self.options.algorithm
    }

    /// Where a stored path lies on the disk; never outside the root.
    ///
    /// # Errors
    /// When the path cannot be resolved.
    pub fn resolve(&self, path: &str) -> Result<PathBuf, StoreError> {
        secure_join(self.root(), path).map_err(StoreError::io("resolve", Path::new(path)))
    }

    /// Claims a file before it is written. Waits while another process or thread holds it.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock(&self, location: &Location, file: &str) -> Result<Lock, StoreError> {
        self.make_dir(location)?;
        let path = self.resolve(&location.file(&format!("{file}.lock")))?;
        let failed = |error| StoreError::Io { action: "lock", path: path.clone(), error };
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(Lock(lock))
    }

    /// Packs the files below `dir` for which `keep` holds (see [`crate::pack()`]) and stores them as `file`.
    ///
    /// # Errors
    /// When packing or writing fails; the store is then unchanged.
    pub fn archive(
        &self,
        location: &Location,
        file: &str,
        dir: &Path,
        keep: impl FnMut(&Path, bool) -> bool,
    ) -> Result<(Stored, Packed), StoreError> {
        self.write(location, file, |out| pack::pack(dir, keep, out).map(|(packed, _)| packed))
    }

    /// Stores what `content` yields, byte for byte, as `file`.
    ///
    /// # Errors
    /// When reading or writing fails; the store is then unchanged.
    pub fn copy(
        &self,
        location: &Location,
        file: &str,
        mut content: impl Read,
    ) -> Result<Stored, StoreError> {
        let path = PathBuf::from(location.file(file));
        let copied = self.write(location, file, |out| {
            io::copy(&mut content, out).map_err(StoreError::io("copy to", &path))
        });
        copied.map(|(stored, _)| stored)
    }

    fn write<T, E>(
        &self,
        location: &Location,
        file: &str,
        fill: impl FnOnce(&mut dyn Write) -> Result<T, E>,
    ) -> Result<(Stored, T), StoreError>
    where
        StoreError: From<E>,
    {
        let dir = self.make_dir(location)?;
        let target = self.resolve(&location.file(file))?;
        let temporary = tempfile::Builder::new()
            .prefix(&format!("{file}."))
            .tempfile_in(&dir)
            .map_err(StoreError::io("create a file in", &dir))?;
        let buffered = BufWriter::with_capacity(64 * 1024, temporary);
        let mut hashing = HashingWriter::new(self.options.algorithm, buffered);
        let filled = fill(&mut hashing)?;
        let (buffered, digest, size) = hashing.finish();
        let temporary =
            buffered.into_inner().map_err(|error| StoreError::io("write", &target)(error.into_error()))?;
        temporary.as_file().sync_all().map_err(StoreError::io("write", &target))?;
        let stored = temporary.persist(&target).map_err(|error| StoreError::Io {
            action: "rename to",
            path: target.clone(),
            error: error.error,
        })?;
        File::open(&dir).and_then(|dir| dir.sync_all()).map_err(StoreError::io("flush", &dir))?;
        if let Ok(metadata) = stored.metadata() {
            self.remember(target, Fingerprint::of(&metadata), digest.clone());
        }
        let path = location.file(file);
        let url = self.options.advertised.url(&path);
        Ok((Stored { path, url, digest, size, time: SystemTime::now() }, filled))
    }

    /// Points the link `link` of an object at its file `file` and returns the link's URL.
    ///
    /// # Errors
    /// When the link cannot be made; an older one then stays.
    pub fn link(&self, location: &Location, file: &str, link: &str) -> Result<String, StoreError> {
        let dir = self.make_dir(location)?;
        let (temporary, target) = (dir.join(format!("{link}.tmp")), dir.join(link));
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", &temporary)(error));
            }
            _ => {}
        }
        std::os::unix::fs::symlink(file, &temporary).map_err(StoreError::io("link", &temporary))?;
        fs::rename(&temporary, &target).map_err(StoreError::io("rename to", &target))?;
        Ok(self.options.advertised.url(&location.file(link)))
    }

    fn make_dir(&self, location: &Location) -> Result<PathBuf, StoreError> {
        let dir = self.resolve(&location.dir())?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(StoreError::io("create directory", &dir))?;
        Ok(dir)
    }
}
