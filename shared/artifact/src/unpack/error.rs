//! Why an archive is not unpacked.

use std::io;
use std::path::PathBuf;

/// Why an archive was not unpacked. Texts are Flux's where it has one.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// Not gzip.
    #[error("requires gzip-compressed body: {0}")]
    NotGzip(io::Error),
    /// The stream or a header is broken, or ends too early.
    #[error("tar error: {0}")]
    Broken(io::Error),
    /// A name that is empty, absolute, leaves the target, or holds a backslash.
    #[error("tar contained invalid name error {0:?}")]
    Name(String),
    /// A symbolic link where none is allowed.
    #[error("tar file entry {0} is a symlink, which is not allowed in this context")]
    Symlink(String),
    /// A device, a pipe, a hard link or the like.
    #[error("tar file entry {name} contained unsupported file type {kind}")]
    Kind {
        /// Name of the entry.
        name: String,
        /// What it is.
        kind: String,
    },
    /// More content than allowed.
    #[error("tar {name:?} is bigger than max archive size of {max} bytes")]
    TooLarge {
        /// The entry that passed the limit.
        name: String,
        /// The limit.
        max: u64,
    },
    /// More entries than allowed.
    #[error("tar has more than {max} entries")]
    TooMany {
        /// The limit.
        max: u64,
    },
    /// A path that is too deep or too long.
    #[error(
        "tar entry name is too long or too deep: {length} bytes, {depth} levels, starting with {start:?}"
    )]
    TooDeep {
        /// Bytes of the path.
        length: usize,
        /// Components of the path.
        depth: usize,
        /// Its first bytes.
        start: String,
    },
    /// The path passes through something in the target that is not a directory.
    #[error("tar entry {name:?} would pass through '{}', which is not a directory", at.display())]
    Obstructed {
        /// Name of the entry.
        name: String,
        /// What is in the way.
        at: PathBuf,
    },
    /// The target could not be written.
    #[error("cannot write '{}': {error}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system answered.
        error: io::Error,
    },
}
