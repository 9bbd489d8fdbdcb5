//! Unpacks a `tar.gz` that somebody else made, and expects the worst of it.
//!
//! A stream in constant memory. Nothing is written outside the target: names are checked, links are never created nor
//! followed. Size, number, depth and the length of names are limited ([`Limits`]). The tar crate reads the header
//! blocks; the loop around it is ours, because the crate's reads extension headers of any size into memory.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::bufread::MultiGzDecoder;
use tar::{EntryType, Header};

const BLOCK: usize = 512;

/// Largest extension header (a long name, PAX records) that is read, in bytes.
const MAX_EXTENSION: u64 = 64 * 1024;

/// Compressed bytes after the end of the archive that are still read to check the stream's own checksum.
const MAX_TRAILER: u64 = 1024 * 1024;

/// What an archive may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sum of the sizes of all files, in bytes.
    pub bytes: u64,
    /// Entries in the archive plus directories made for them.
    pub entries: u64,
    /// Components of a path.
    pub depth: usize,
    /// Length of a path, in bytes.
    pub path: usize,
}

impl Default for Limits {
    /// 512 MiB in 250,000 entries, 128 levels deep, paths of 4,096 bytes: far above any source of manifests.
    fn default() -> Self {
        Self { bytes: 512 * 1024 * 1024, entries: 250_000, depth: 128, path: 4096 }
    }
}

/// What to do with a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Leave it out (OCI layers, artifacts).
    Skip,
    /// Refuse the archive (charts, includes).
    Refuse,
}

/// What was unpacked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Regular files written.
    pub files: u64,
    /// Bytes of content written.
    pub bytes: u64,
    /// Symbolic links left out.
    pub skipped_links: u64,
}

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

/// Unpacks a gzipped tar into `dir`, which is created when absent.
///
/// On an error `dir` holds part of the files; the caller removes it. Nobody else may change `dir` meanwhile.
///
/// # Errors
/// See [`UnpackError`]. Names, kinds and limits are checked before anything of the entry is written.
pub fn unpack(
    archive: impl Read,
    dir: &Path,
    links: Links,
    limits: &Limits,
) -> Result<Unpacked, UnpackError> {
    let mut compressed = BufReader::with_capacity(64 * 1024, archive);
    check_magic(&mut compressed)?;
    let mut target = Target::open(dir, limits)?;
    let mut input = MultiGzDecoder::new(compressed);
    let mut done = Unpacked::default();
    let mut extension = Extension::default();
    let mut block = [0; BLOCK];
    while read_block(&mut input, &mut block)? {
        if block.iter().all(|byte| *byte == 0) {
            drain(&mut input)?;
            break;
        }
        target.count_entry()?;
        let header = parse(&block)?;
        let declared = header.entry_size().map_err(UnpackError::Broken)?;
        let kind = header.entry_type();
        match kind {
            EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader => {
                let bytes = read_extension(&mut input, declared)?;
                extension.add(kind, &bytes)?;
                continue;
            }
            EntryType::XGlobalHeader => {
                read_extension(&mut input, declared)?;
                continue;
            }
            _ => {}
        }
        let Extension { path, size } = std::mem::take(&mut extension);
        let raw = path.unwrap_or_else(|| header.path_bytes().into_owned());
        let size = size.unwrap_or(declared);
        let entry = Entry::check(&raw, limits)?;
        match kind {
            EntryType::Directory => {
                target.directory(&entry, header.mode().map_err(UnpackError::Broken)?)?;
                skip(&mut input, size)?;
            }
            // A trailing slash makes a directory of an old-style entry.
            EntryType::Regular | EntryType::Continuous if raw.ends_with(b"/") && size == 0 => {
                target.directory(&entry, header.mode().map_err(UnpackError::Broken)?)?;
            }
            EntryType::Regular | EntryType::Continuous => {
                done.bytes = done
                    .bytes
                    .checked_add(size)
                    .filter(|total| *total <= limits.bytes)
                    .ok_or(UnpackError::TooLarge { name: entry.name.clone(), max: limits.bytes })?;
                target.file(&entry, header, size, &mut input)?;
                done.files += 1;
                skip(&mut input, padding(size))?;
            }
            EntryType::Symlink => match links {
                Links::Refuse => return Err(UnpackError::Symlink(entry.name)),
                Links::Skip => {
                    done.skipped_links += 1;
                    skip(&mut input, size)?;
                }
            },
            other => {
                return Err(UnpackError::Kind { name: entry.name, kind: describe(other) });
            }
        }
    }
    Ok(done)
}

fn check_magic(input: &mut impl io::BufRead) -> Result<(), UnpackError> {
    let start = input.fill_buf().map_err(UnpackError::NotGzip)?;
    if start.starts_with(&[0x1f, 0x8b]) {
        return Ok(());
    }
    let looks = match start {
        [] => "empty body",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "body is zstd",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "body is xz",
        [b'P', b'K', ..] => "body is zip",
        _ if start.len() >= 262 && &start[257..262] == b"ustar" => "body is an uncompressed tar",
        _ => "gzip: invalid header",
    };
    Err(UnpackError::NotGzip(io::Error::new(io::ErrorKind::InvalidData, looks)))
}

/// A header whose checksum is right.
fn parse(block: &[u8; BLOCK]) -> Result<&Header, UnpackError> {
    let broken = |text| UnpackError::Broken(io::Error::new(io::ErrorKind::InvalidData, text));
    let header = Header::from_byte_slice(block);
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
        .sum();
    match header.cksum() {
        Ok(stated) if stated == sum => Ok(header),
        _ => Err(broken("invalid tar header")),
    }
}

fn describe(kind: EntryType) -> String {
    match kind {
        EntryType::Link => "hard link".to_owned(),
        EntryType::Char => "character device".to_owned(),
        EntryType::Block => "block device".to_owned(),
        EntryType::Fifo => "named pipe".to_owned(),
        EntryType::GNUSparse => "sparse file".to_owned(),
        other => format!("{:?}", char::from(other.as_byte())),
    }
}

/// Reads one block; `false` at a clean end.
fn read_block(input: &mut impl Read, block: &mut [u8; BLOCK]) -> Result<bool, UnpackError> {
    let mut filled = 0;
    while filled < BLOCK {
        match input.read(&mut block[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(UnpackError::Broken(io::ErrorKind::UnexpectedEof.into())),
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(UnpackError::Broken(error)),
        }
    }
    Ok(true)
}

fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

fn skip(input: &mut impl Read, bytes: u64) -> Result<(), UnpackError> {
    let skipped = io::copy(&mut input.take(bytes), &mut io::sink()).map_err(UnpackError::Broken)?;
    if skipped == bytes { Ok(()) } else { Err(UnpackError::Broken(io::ErrorKind::UnexpectedEof.into())) }
}

/// Reads on after the end, so that a damaged stream is noticed by its checksum.
fn drain(input: &mut impl Read) -> Result<(), UnpackError> {
    let drained = io::copy(&mut input.take(MAX_TRAILER + 1), &mut io::sink()).map_err(UnpackError::Broken)?;
    if drained > MAX_TRAILER {
        return Err(UnpackError::Broken(io::Error::new(
            io::ErrorKind::InvalidData,
            "more than 1 MiB after the end of the archive",
        )));
    }
    Ok(())
}

fn read_extension(input: &mut impl Read, size: u64) -> Result<Vec<u8>, UnpackError> {
    if size > MAX_EXTENSION {
        return Err(UnpackError::Broken(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("extension header of {size} bytes, at most {MAX_EXTENSION} are read"),
        )));
    }
    let mut bytes = vec![0; size as usize];
    input.read_exact(&mut bytes).map_err(UnpackError::Broken)?;
    skip(input, padding(size))?;
    Ok(bytes)
}

/// What extension headers say of the entry that follows.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Extension {
    fn add(&mut self, kind: EntryType, bytes: &[u8]) -> Result<(), UnpackError> {
        match kind {
            EntryType::GNULongName => {
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                self.path = Some(bytes[..end].to_vec());
            }
            EntryType::XHeader => self.add_records(bytes).ok_or_else(|| {
                UnpackError::Broken(io::Error::new(io::ErrorKind::InvalidData, "invalid PAX records"))
            })?,
            _ => {}
        }
        Ok(())
    }

    /// `<length> <key>=<value>\n` records, where the length counts the whole record.
    fn add_records(&mut self, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            let blank = bytes.iter().take(20).position(|byte| *byte == b' ')?;
            let length: usize = std::str::from_utf8(&bytes[..blank]).ok()?.parse().ok()?;
            let record = bytes.get(blank + 1..length)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|byte| *byte == b'=')?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"size" => self.size = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
                // Sparse files need their holes put back: not a format that artifacts use.
                key if key.starts_with(b"GNU.sparse.") => return None,
                _ => {}
            }
            bytes = &bytes[length..];
        }
        Some(())
    }
}

/// The name of an entry, found harmless.
struct Entry {
    name: String,
    components: Vec<String>,
}

impl Entry {
    fn check(raw: &[u8], limits: &Limits) -> Result<Self, UnpackError> {
        let too_deep = |depth| UnpackError::TooDeep {
            length: raw.len(),
            depth,
            start: String::from_utf8_lossy(&raw[..raw.len().min(64)]).into_owned(),
        };
        if raw.len() > limits.path {
            return Err(too_deep(raw.split(|byte| *byte == b'/').count()));
        }
        let name = match std::str::from_utf8(raw) {
            Ok(name) => name.to_owned(),
            Err(_) => return Err(UnpackError::Name(String::from_utf8_lossy(raw).into_owned())),
        };
        let bad = name.is_empty()
            || name.starts_with('/')
            || name.contains(['\\', '\0'])
            || name.split('/').any(|component| component == "..");
        if bad {
            return Err(UnpackError::Name(name));
        }
        let components: Vec<String> = name
            .split('/')
            .filter(|component| !component.is_empty() && *component != ".")
            .map(str::to_owned)
            .collect();
        if components.len() > limits.depth {
            return Err(too_deep(components.len()));
        }
        Ok(Self { name, components })
    }
}

/// The directory that is written to.
struct Target<'a> {
    root: &'a Path,
    limits: &'a Limits,
    entries: u64,
    now: SystemTime,
    /// Directory found to exist, without a link on the way, by the entry before.
    known: Vec<String>,
    buffer: Vec<u8>,
}

impl<'a> Target<'a> {
    fn open(root: &'a Path, limits: &'a Limits) -> Result<Self, UnpackError> {
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

    fn count_entry(&mut self) -> Result<(), UnpackError> {
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

    fn directory(&mut self, entry: &Entry, mode: u32) -> Result<(), UnpackError> {
        let path = self.parents(entry, &entry.components)?;
        if entry.components.is_empty() {
            return Ok(());
        }
        fs::set_permissions(&path, Permissions::from_mode((mode & 0o777) | 0o700))
            .map_err(|error| UnpackError::Write { path, error })
    }

    fn file(
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

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::os::unix::fs::{MetadataExt, symlink};

    /// An archive in which every header field can be a lie.
    #[derive(Default)]
    struct Evil(Vec<u8>);

    impl Evil {
        fn entry(mut self, name: &str, kind: EntryType, mode: u32, content: &[u8]) -> Self {
            let mut header = Header::new_ustar();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_mtime(1_000_000);
            header.set_size(content.len() as u64);
            header.set_cksum();
            self.0.extend_from_slice(header.as_bytes());
            self.0.extend_from_slice(content);
            self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
            self
        }

        fn file(self, name: &str, content: &str) -> Self {
            self.entry(name, EntryType::Regular, 0o644, content.as_bytes())
        }

        fn gzip(mut self) -> Vec<u8> {
            self.0.resize(self.0.len() + 2 * BLOCK, 0);
            gzip(&self.0)
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn run(archive: &[u8], links: Links, limits: &Limits) -> (tempfile::TempDir, Result<Unpacked, String>) {
        let dir = tempfile::tempdir().unwrap();
        let result = unpack(archive, &dir.path().join("out"), links, limits);
        (dir, result.map_err(|error| error.to_string()))
    }

    #[test]
    fn what_is_packed_comes_back() {
        let from = tempfile::tempdir().unwrap();
        fs::create_dir_all(from.path().join("a/empty")).unwrap();
        fs::write(from.path().join("a/file"), "content").unwrap();
        let long = format!("{}/{}", "d".repeat(90), "ü".repeat(60));
        fs::create_dir(from.path().join("d".repeat(90))).unwrap();
        fs::write(from.path().join(&long), "x".repeat(100_000)).unwrap();
        let (packed, bytes) = crate::pack(from.path(), |_, _| true, Vec::new()).unwrap();
        let (dir, result) = run(&bytes, Links::Refuse, &Limits::default());
        let out = dir.path().join("out");
        assert_eq!(result.unwrap(), Unpacked { files: 2, bytes: packed.content_bytes, skipped_links: 0 });
        assert_eq!(fs::read_to_string(out.join("a/file")).unwrap(), "content");
        assert_eq!(fs::read_to_string(out.join(long)).unwrap().len(), 100_000);
        assert!(out.join("a/empty").is_dir());
    }

    #[test]
    fn names_that_could_leave_the_target_are_refused() {
        for name in ["../x", "a/../../x", "a/..", "..", "/etc/passwd", "a\\b", "", "//x"] {
            let (dir, result) = run(&Evil::default().file(name, "x").gzip(), Links::Skip, &Limits::default());
            assert_eq!(result.unwrap_err(), format!("tar contained invalid name error {name:?}"));
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{name:?} wrote outside");
        }
        let (dir, result) =
            run(&Evil::default().file("./a/./..b/c..", "x").gzip(), Links::Skip, &Limits::default());
        assert_eq!(result.unwrap().files, 1);
        assert!(dir.path().join("out/a/..b/c..").is_file());
    }

    #[test]
    fn links_and_special_files_are_skipped_or_refused_but_never_made() {
        let link = || Evil::default().entry("l", EntryType::Symlink, 0o777, b"").file("l/x", "x");
        let (dir, result) = run(&link().gzip(), Links::Skip, &Limits::default());
        assert_eq!(result.unwrap().skipped_links, 1);
        assert!(dir.path().join("out/l").is_dir(), "a real directory, as no link was made");
        let (_dir, result) = run(&link().gzip(), Links::Refuse, &Limits::default());
        assert_eq!(
            result.unwrap_err(),
            "tar file entry l is a symlink, which is not allowed in this context"
        );
        for (kind, text) in [
            (EntryType::Link, "hard link"),
            (EntryType::Char, "character device"),
            (EntryType::Block, "block device"),
            (EntryType::Fifo, "named pipe"),
            (EntryType::GNUSparse, "sparse file"),
            (EntryType::new(b'Z'), "'Z'"),
        ] {
            let archive = Evil::default().entry("e", kind, 0o600, b"").gzip();
            let (dir, result) = run(&archive, Links::Skip, &Limits::default());
            let error = result.unwrap_err();
            assert!(
                error == format!("tar file entry e contained unsupported file type {text}")
                    || error.starts_with("tar error: "),
                "{error}"
            );
            assert!(!dir.path().join("out/e").exists());
        }
    }

    #[test]
    fn a_link_that_is_already_in_the_target_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (out, outside) = (dir.path().join("out"), dir.path().join("outside"));
        fs::create_dir(&out).unwrap();
        fs::create_dir(&outside).unwrap();
        symlink(&outside, out.join("dir")).unwrap();
        symlink(outside.join("new"), out.join("file")).unwrap();
        for name in ["dir/x", "dir/y/z", "file"] {
            let archive = Evil::default().file(name, "x").gzip();
            let error = unpack(archive.as_slice(), &out, Links::Skip, &Limits::default()).unwrap_err();
            assert!(error.to_string().contains("which is not a directory"), "{error}");
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }

    #[test]
    fn limits_hold_exactly_at_the_boundary() {
        let limits = Limits { bytes: 10, entries: 4, depth: 3, path: 20 };
        for (archive, want) in [
            (Evil::default().file("a", "12345").file("b", "67890"), None),
            (
                Evil::default().file("a", "12345").file("b", "678901"),
                Some("tar \"b\" is bigger than max archive size of 10 bytes"),
            ),
            (Evil::default().file("a/b/c", ""), None),
            (Evil::default().file("a/b/c/d", ""), Some("too deep: 7 bytes, 4 levels")),
            (Evil::default().file("123456789012345678901", ""), Some("too long or too deep: 21 bytes")),
            (Evil::default().file("a", "").file("b", "").file("c", "").file("d", ""), None),
            (
                Evil::default().file("a", "").file("b", "").file("c", "").file("d", "").file("e", ""),
                Some("tar has more than 4 entries"),
            ),
            (
                Evil::default().file("a/b/x", "").file("c/d/x", ""),
                Some("tar has more than 4 entries"), // the directories made on the way count
            ),
        ] {
            let (_dir, result) = run(&archive.gzip(), Links::Skip, &limits);
            match want {
                None => assert!(result.is_ok(), "{result:?}"),
                Some(text) => assert!(result.clone().unwrap_err().contains(text), "{result:?} is not {text}"),
            }
        }
    }

    #[test]
    fn a_gigabyte_of_zeros_is_refused_before_it_reaches_the_disk() {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..4].copy_from_slice(b"bomb");
        header.set_mode(0o600);
        header.set_size(1 << 30);
        header.set_cksum();
        let (dir, result) = run(&gzip(header.as_bytes()), Links::Skip, &Limits::default());
        assert_eq!(result.unwrap_err(), "tar \"bomb\" is bigger than max archive size of 536870912 bytes");
        assert!(!dir.path().join("out/bomb").exists());
    }

    #[test]
    fn a_million_entries_are_refused() {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..1].copy_from_slice(b"d");
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o700);
        header.set_size(0);
        header.set_cksum();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        for _ in 0..1_000_000 {
            encoder.write_all(header.as_bytes()).unwrap();
        }
        let (_dir, result) = run(&encoder.finish().unwrap(), Links::Skip, &Limits::default());
        assert_eq!(result.unwrap_err(), "tar has more than 250000 entries");
    }

    #[test]
    fn extension_headers_are_bounded_and_their_names_are_checked() {
        let long = "x".repeat(70_000);
        for (kind, content, want) in [
            (EntryType::GNULongName, "../escape\0", "invalid name error \"../escape\""),
            (EntryType::XHeader, "18 path=../escape\n", "invalid name error \"../escape\""),
            (EntryType::GNULongName, long.as_str(), "extension header of 70000 bytes"),
            (EntryType::XHeader, "99 path=x\n", "invalid PAX records"),
            (EntryType::XHeader, "1 path=x\n", "invalid PAX records"),
            (EntryType::XHeader, "x path=x\n", "invalid PAX records"),
            (EntryType::XHeader, "24 size=999999999999999\n", "bigger than max archive size"),
            (EntryType::XHeader, "31 size=18446744073709551615999\n", "invalid PAX records"),
            (EntryType::XHeader, "22 GNU.sparse.major=1\n", "invalid PAX records"),
        ] {
            let archive = Evil::default().entry("ext", kind, 0, content.as_bytes()).file("plain", "x").gzip();
            let (_dir, result) = run(&archive, Links::Skip, &Limits::default());
            let error = result.unwrap_err();
            assert!(error.contains(want), "{content:.40?}: {error}");
        }
        let archive = Evil::default()
            .entry("pax_global_header", EntryType::XGlobalHeader, 0, b"16 comment=abcd\n")
            .entry("ext", EntryType::XHeader, 0, "20 path=dir/ümlaut\n".as_bytes())
            .file("ignored", "x")
            .gzip();
        let (dir, result) = run(&archive, Links::Skip, &Limits::default());
        assert_eq!(result.unwrap().files, 1);
        assert!(dir.path().join("out/dir/ümlaut").is_file());
    }

    #[test]
    fn damaged_streams_are_errors_not_short_files() {
        let archive = Evil::default().file("a", &"content ".repeat(5_000)).gzip();
        for cut in [1, 5, 20, archive.len() / 2, archive.len() - 1] {
            let (_dir, result) = run(&archive[..cut], Links::Skip, &Limits::default());
            let error = result.unwrap_err();
            assert!(
                error.starts_with("tar error: ") || error.starts_with("requires gzip-compressed body: "),
                "{error}"
            );
        }
        let mut wrong_checksum = archive.clone();
        let at = wrong_checksum.len() - 8;
        wrong_checksum[at] ^= 1;
        assert!(run(&wrong_checksum, Links::Skip, &Limits::default()).1.is_err());
        for (body, want) in [
            (&b""[..], "requires gzip-compressed body: empty body"),
            (b"hello", "requires gzip-compressed body: gzip: invalid header"),
            (b"\x28\xb5\x2f\xfd....", "requires gzip-compressed body: body is zstd"),
            (&Evil::default().file("x", "").0, "requires gzip-compressed body: body is an uncompressed tar"),
            (&gzip(&[b'z'; 2048]), "tar error: invalid tar header"),
        ] {
            assert_eq!(run(body, Links::Skip, &Limits::default()).1.unwrap_err(), want);
        }
    }

    #[test]
    fn modes_and_times_are_kept_within_reason() {
        let mut future = Header::new_ustar();
        future.as_old_mut().name[..6].copy_from_slice(b"future");
        future.set_mode(0o6755);
        future.set_size(0);
        future.set_mtime(u64::MAX);
        future.set_cksum();
        let mut evil = Evil::default().entry("d", EntryType::Directory, 0o500, b"").file("d/x", "x");
        evil.0.extend_from_slice(future.as_bytes());
        let (dir, result) = run(&evil.gzip(), Links::Skip, &Limits::default());
        assert_eq!(result.unwrap().files, 2);
        let metadata = |path: &str| fs::metadata(dir.path().join("out").join(path)).unwrap();
        assert_eq!(metadata("d").mode() & 0o7777, 0o700, "its owner can write to it");
        assert_eq!(metadata("d/x").mode() & 0o7777, 0o644);
        assert_eq!(metadata("d/x").mtime(), 1_000_000);
        assert_eq!(metadata("future").mode() & 0o7777, 0o755, "no setuid");
        assert!(metadata("future").modified().unwrap() <= SystemTime::now());
    }

    #[test]
    fn an_entry_may_replace_a_file_but_not_turn_a_file_into_a_directory() {
        let (dir, result) = run(
            &Evil::default().file("a", "long content").file("a", "b").gzip(),
            Links::Skip,
            &Limits::default(),
        );
        assert!(result.is_ok());
        assert_eq!(fs::read_to_string(dir.path().join("out/a")).unwrap(), "b");
        let (_dir, result) =
            run(&Evil::default().file("a", "").file("a/b", "").gzip(), Links::Skip, &Limits::default());
        assert!(result.unwrap_err().contains("which is not a directory"));
    }
}
