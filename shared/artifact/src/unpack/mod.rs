//! Unpacks a `tar.gz` that somebody else made, and expects the worst of it.
//!
//! A stream in constant memory. Nothing is written outside the target: names are checked, links are never created nor
//! followed. Size, number, depth and the length of names are limited ([`Limits`]). The tar crate reads the header
//! blocks; the loop around it is ours, because the crate's reads extension headers of any size into memory.

mod entry;
mod error;
mod extension;
mod target;
#[cfg(test)]
mod tests;

use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use tar::{EntryType, Header};

use entry::Entry;
pub use error::UnpackError;
use extension::{Extension, read_extension};
use target::Target;

const BLOCK: usize = 512;

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
