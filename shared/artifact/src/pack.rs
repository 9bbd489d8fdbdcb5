//! Turns a directory into a `tar.gz` whose bytes depend on nothing but names, contents and execute bits.
//!
//! Same tree, same digest, on any machine: entries sorted per directory, owner 0, time 0, modes 0750, 0600 and 0700
//! (Flux's archive format, sources.md 5.3). Links and special files are dropped and counted, never followed.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};

use crate::ustar::{self, Kind};

const DIRECTORY_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o600;
const EXECUTABLE_MODE: u32 = 0o700;

/// What went into an archive, and what did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Packed {
    /// Regular files written.
    pub files: u64,
    /// Directories written, the root included.
    pub directories: u64,
    /// Bytes of content of the files written.
    pub content_bytes: u64,
    /// Links and special files left out.
    pub dropped: u64,
    /// Files and directories that the filter left out.
    pub ignored: u64,
}

/// Why a directory could not be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// Something below the root could not be read.
    #[error("cannot read '{}': {error}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the system answered.
        error: io::Error,
    },
    /// The root is not a directory.
    #[error("'{}' is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// A file became shorter or longer while it was being read.
    #[error("'{}' changed while it was being packed", .0.display())]
    Changed(PathBuf),
    /// The archive could not be written.
    #[error("cannot write archive: {0}")]
    Write(io::Error),
}

/// Writes the files below `root` for which `keep(path relative to root, is a directory)` holds to `out`, gzipped.
///
/// A directory that is not kept is entered all the same; its content is asked for one by one. The root itself is
/// always kept. Returns the writer, not flushed. Memory does not depend on the size of files.
///
/// # Errors
/// See [`PackError`]; `out` then holds a part of the archive.
pub fn pack<W: Write>(
    root: &Path,
    keep: impl FnMut(&Path, bool) -> bool,
    out: W,
) -> Result<(Packed, W), PackError> {
    let mut gzip = GzBuilder::new().mtime(0).operating_system(255).write(out, Compression::default());
    let packed = pack_tar(root, keep, &mut gzip)?;
    let out = gzip.finish().map_err(PackError::Write)?;
    Ok((packed, out))
}

fn pack_tar(
    root: &Path,
    mut keep: impl FnMut(&Path, bool) -> bool,
    out: &mut impl Write,
) -> Result<Packed, PackError> {
    if !fs::metadata(root).map_err(|error| PackError::Read { path: root.into(), error })?.is_dir() {
        return Err(PackError::NotADirectory(root.into()));
    }
    let mut packed = Packed { directories: 1, ..Packed::default() };
    ustar::write_header(out, b".", Kind::Directory, DIRECTORY_MODE, 0).map_err(PackError::Write)?;

    // One sorted listing per level, instead of recursion; `path` names the level on top.
    let mut path = PathBuf::new();
    let mut levels = vec![list(root)?.into_iter()];
    let mut buffer = vec![0; 64 * 1024];
    while let Some(level) = levels.last_mut() {
        let Some((name, file_type)) = level.next() else {
            levels.pop();
            path.pop();
            continue;
        };
        path.push(name);
        let is_dir = file_type.is_dir();
        if !is_dir && !file_type.is_file() {
            packed.dropped += 1;
            path.pop();
            continue;
        }
        let kept = keep(&path, is_dir);
        if !kept {
            packed.ignored += 1;
        }
        if is_dir {
            if kept {
                packed.directories += 1;
                ustar::write_header(out, path.as_os_str().as_bytes(), Kind::Directory, DIRECTORY_MODE, 0)
                    .map_err(PackError::Write)?;
            }
            levels.push(list(&root.join(&path))?.into_iter());
        } else {
            if kept {
                packed.files += 1;
                packed.content_bytes += write_file(root, &path, out, &mut buffer)?;
            }
            path.pop();
        }
    }
    ustar::write_end(out).map_err(PackError::Write)?;
    Ok(packed)
}

/// The entries of a directory, sorted by the bytes of their names.
fn list(dir: &Path) -> Result<Vec<(OsString, fs::FileType)>, PackError> {
    let failed = |error| PackError::Read { path: dir.to_path_buf(), error };
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        entries.push((entry.file_name(), entry.file_type().map_err(failed)?));
    }
    entries.sort_unstable_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
    Ok(entries)
}

fn write_file(root: &Path, path: &Path, out: &mut impl Write, buffer: &mut [u8]) -> Result<u64, PackError> {
    let full = root.join(path);
    let failed = |error| PackError::Read { path: full.clone(), error };
    let mut file = open_no_follow(&full).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let size = metadata.len();
    let mode = if metadata.permissions().mode() & 0o111 != 0 { EXECUTABLE_MODE } else { FILE_MODE };
    ustar::write_header(out, path.as_os_str().as_bytes(), Kind::File, mode, size)
        .map_err(PackError::Write)?;
    let mut copied = 0;
    loop {
        let n = read_full(&mut file, buffer).map_err(failed)?;
        if n == 0 {
            break;
        }
        copied += n as u64;
        if copied > size {
            break;
        }
        out.write_all(&buffer[..n]).map_err(PackError::Write)?;
    }
    if copied != size {
        return Err(PackError::Changed(full));
    }
    ustar::write_padding(out, size).map_err(PackError::Write)?;
    Ok(size)
}

fn open_no_follow(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32).open(path)
}

/// Fills the buffer, so that the compressor sees the same pieces whatever the file system returns per read.
fn read_full(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, Ignore};
    use std::os::unix::fs::symlink;

    fn write(root: &Path, path: &str, content: &str, mode: u32) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn names(root: &Path, keep: impl FnMut(&Path, bool) -> bool) -> Vec<String> {
        let mut bytes = Vec::new();
        pack_tar(root, keep, &mut bytes).unwrap();
        tar::Archive::new(bytes.as_slice())
            .entries()
            .unwrap()
            .map(|entry| String::from_utf8(entry.unwrap().path_bytes().into_owned()).unwrap())
            .collect()
    }

    #[test]
    fn the_archive_of_the_test_vector_has_the_published_digest() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "README.md", "hello\n", 0o644);
        write(dir.path(), "deploy/app.yaml", "a: 1\n", 0o640);
        write(dir.path(), "run.sh", "#!/bin/sh\n", 0o755);
        fs::create_dir(dir.path().join("empty")).unwrap();
        symlink("README.md", dir.path().join("link")).unwrap();
        let mut bytes = Vec::new();
        let packed = pack_tar(dir.path(), |_, _| true, &mut bytes).unwrap();
        assert_eq!(bytes.len(), 5632);
        assert_eq!(
            Algorithm::Sha256.digest(&bytes).to_string(),
            "sha256:d9246c3ae21d3147bcb83bb1ed72bea3a23982e18227f3a7e93446627a3a5fd5"
        );
        assert_eq!(packed, Packed { files: 3, directories: 3, content_bytes: 21, dropped: 1, ignored: 0 });
    }

    #[test]
    fn same_tree_gives_same_bytes_whatever_the_order_modes_and_times() {
        let build = |files: &[(&str, u32)]| {
            let dir = tempfile::tempdir().unwrap();
            for (path, mode) in files {
                write(dir.path(), path, path, *mode);
            }
            pack(dir.path(), |_, _| true, Vec::new()).unwrap().1
        };
        let one = build(&[("a/x", 0o644), ("a.txt", 0o600), ("z", 0o755)]);
        let two = build(&[("z", 0o711), ("a.txt", 0o664), ("a/x", 0o444)]);
        assert_eq!(one, two);
        assert_eq!(&one[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], "no name, no time, no system");
    }

    #[test]
    fn content_of_a_directory_stands_at_the_place_of_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["a/x", "a.txt", "a-b", "B"] {
            write(dir.path(), path, "", 0o600);
        }
        assert_eq!(names(dir.path(), |_, _| true), [".", "B", "a", "a/x", "a-b", "a.txt"]);
    }

    #[test]
    fn an_excluded_directory_is_entered() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["deploy/x/app.yaml", "src/main.rs", "README.md"] {
            write(dir.path(), path, "", 0o600);
        }
        let ignore = Ignore::new(Some("/*\n!/deploy/x"));
        assert_eq!(
            names(dir.path(), |path, is_dir| !ignore.excludes(path, is_dir)),
            [".", "deploy/x", "deploy/x/app.yaml"]
        );
    }

    #[test]
    fn a_root_that_is_missing_or_a_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "file", "", 0o600);
        let error = |path: &Path| pack(path, |_, _| true, Vec::new()).unwrap_err().to_string();
        assert!(error(&dir.path().join("missing")).contains("missing': No such file"));
        assert!(error(&dir.path().join("file")).contains("file' is not a directory"));
    }
}
