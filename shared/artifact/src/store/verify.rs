//! Whether a stored file is the artifact that it should be; a file is read once for that.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Store;
use crate::digest::{Digest, DigestError};
use crate::path::secure_join;

/// Verified files that are remembered.
const MAX_REMEMBERED: usize = 16 * 1024;

/// Why a stored file is not the artifact that it should be.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is no such file.
    #[error("no such file")]
    Missing,
    /// There is something, but it is not a regular file.
    #[error("not a regular file")]
    NotAFile,
    /// The digest is empty.
    #[error("artifact digest is empty")]
    EmptyDigest,
    /// The digest cannot be read.
    #[error("failed to parse digest '{text}': {error}")]
    BadDigest {
        /// As given.
        text: String,
        /// What is wrong with it.
        error: DigestError,
    },
    /// The content is another.
    #[error("computed digest doesn't match '{wanted}': the file has '{actual}'")]
    Mismatch {
        /// What the file should have.
        wanted: Digest,
        /// What it has.
        actual: Digest,
    },
    /// The file could not be read.
    #[error("cannot read the file: {0}")]
    Read(io::Error),
}

/// Files whose digest has been computed: not hashed again until their inode, size or times change.
pub(super) type Verified = Mutex<HashMap<PathBuf, (Fingerprint, Digest)>>;

/// Changes whenever a file's content may have: the change time cannot be set back from user space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Store {
    /// Whether the file at `path` (relative to the root) has the digest `digest`.
    ///
    /// A file that has been hashed before is not read again while its inode, size and times stay the same.
    ///
    /// # Errors
    /// Why it is not that artifact.
    pub fn verify(&self, path: &str, digest: &str) -> Result<(), VerifyError> {
        let full = secure_join(self.root(), path).map_err(VerifyError::Read)?;
        let metadata = match fs::symlink_metadata(&full) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(VerifyError::Missing),
            Err(error) => return Err(VerifyError::Read(error)),
        };
        if !metadata.is_file() {
            return Err(VerifyError::NotAFile);
        }
        if digest.is_empty() {
            return Err(VerifyError::EmptyDigest);
        }
        let wanted: Digest =
            digest.parse().map_err(|error| VerifyError::BadDigest { text: digest.to_owned(), error })?;
        let fingerprint = Fingerprint::of(&metadata);
        let remembered = self
            .verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&full)
            .is_some_and(|(seen, digest)| *seen == fingerprint && *digest == wanted);
        if remembered {
            return Ok(());
        }
        let actual = Digest::of_file(wanted.algorithm(), &full).map_err(VerifyError::Read)?;
        if actual != wanted {
            return Err(VerifyError::Mismatch { wanted, actual });
        }
        self.remember(full, fingerprint, actual);
        Ok(())
    }

    pub(super) fn remember(&self, path: PathBuf, fingerprint: Fingerprint, digest: Digest) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= MAX_REMEMBERED {
            verified.clear();
        }
        verified.insert(path, (fingerprint, digest));
    }

    pub(super) fn forget(&self, path: &Path) {
        self.verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|known, _| !known.starts_with(path));
    }
}
