//! The directory that is written to: real directories and plain files, whatever lies in the way.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tar::Header;

use super::entry::Entry;
use super::{Limits, UnpackError};

/// The directory that is written to.
pub(super) struct Target<'a> {
    root: &'a Path,
    limits: &'a Limits,
    entries: u64,
    now: SystemTime,
    /// Directory found to exist, without a link on the way, by the entry before.
    known: Vec<String>,
    buffer: Vec<u8>,
}

impl<'a> Target<'a> {
    pub(super) fn open(root: &'a Path, limits: &'a Limits) -> Result<Self, UnpackError> {
        let failed = |error| UnpackError::Write { path: root.to_path_buf(), error };
        DirBuilder::new().recursive(true).mode(0o750).create(root).map_err(failed)?;
        Ok(Self {
            root,
            limits,
            entries: 0,
            now: SystemTime::now(),
            known: Vec::new(),
            buffer: vec![0; 64 * 1024],
        })
    }

    pub(super) fn count_entry(&mut self) -> Result<(), UnpackError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(UnpackError::TooMany { max: self.limits.entries });
        }
        Ok(())
    }

    /// Makes sure that `components` exist as real directories, and returns the path.
    fn parents(&mut self, entry: &Entry, components: &[String]) -> Result<PathBuf, UnpackError> {
        let mut path = self.root.to_path_buf();
        let mut same = true;
        for (depth, component) in components.iter().enumerate() {
            path.push(component);
            same = same && self.known.get(depth) == Some(component);
            if same {
                continue;
            }
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) => return Err(UnpackError::Obstructed { name: entry.name.clone(), at: path }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.count_entry()?;
                    DirBuilder::new()
                        .mode(0o750)
                        .create(&path)
                        .map_err(|error| UnpackError::Write { path: path.clone(), error })?;
                }
                Err(error) => return Err(UnpackError::Write { path, error }),
            }
        }
        self.known = components.to_vec();
        Ok(path)
    }

    pub(super) fn directory(&mut self, entry: &Entry, mode: u32) -> Result<(), UnpackError> {
        let path = self.parents(entry, &entry.components)?;
        if entry.components.is_empty() {
            return Ok(());
        }
        fs::set_permissions(&path, Permissions::from_mode((mode & 0o777) | 0o700))
            .map_err(|error| UnpackError::Write { path, error })
    }

    pub(super) fn file(
        &mut self,
        entry: &Entry,
        header: &Header,
        size: u64,
        input: &mut impl Read,
    ) -> Result<(), UnpackError> {
        let Some((name, parents)) = entry.components.split_last() else {
            return Err(UnpackError::Name(entry.name.clone()));
        };
        let path = self.parents(entry, parents)?.join(name);
        let mode = header.mode().map_err(UnpackError::Broken)? & 0o777;
        let failed = |error| UnpackError::Write { path: path.clone(), error };
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Err(UnpackError::Obstructed { name: entry.name.clone(), at: path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
            .open(&path)
            .map_err(failed)?;
        let mut left = size;
        while left > 0 {
            let want = left.min(self.buffer.len() as u64) as usize;
            match input.read(&mut self.buffer[..want]) {
                Ok(0) => return Err(UnpackError::Broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(n) => {
                    file.write_all(&self.buffer[..n]).map_err(failed)?;
                    left -= n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(UnpackError::Broken(error)),
            }
        }
        self.finish(&file, header, mode).map_err(failed)
    }

    fn finish(&self, file: &File, header: &Header, mode: u32) -> io::Result<()> {
        file.set_permissions(Permissions::from_mode(mode))?;
        // A time that cannot be read or lies in the future is not worth an error: it has no meaning downstream.
        let modified = header
            .mtime()
            .ok()
            .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
            .map_or(self.now, |time| time.min(self.now));
        file.set_modified(modified)
    }
}
