//! A chart out of a `.tgz`, from somebody whom nobody knows.
//!
//! Everything stays in memory and below a limit. The first component of each name is dropped, whatever it is; names
//! that would leave the chart are refused, links become empty files.

use std::io::{self, Read};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

use super::files::{self, Budget};
use super::{Chart, ChartFile, LoadError, LoadOptions, Metadata, version};
use crate::text::quoted;

/// Loads a chart from the bytes of an archive.
///
/// # Errors
/// Not an archive, not a chart, or larger than the options allow.
pub(super) fn load(data: &[u8], options: &LoadOptions) -> Result<Chart, LoadError> {
    load_part(data, None, options)
}

/// Reads `Chart.yaml` and nothing that stands behind it.
///
/// # Errors
/// Not an archive, not a chart, or more than the options allow before `Chart.yaml`.
pub(super) fn metadata(data: &[u8], options: &LoadOptions) -> Result<Metadata, LoadError> {
    load_part(data, Some("Chart.yaml"), options).map(|chart| chart.metadata)
}

fn load_part(data: &[u8], only: Option<&str>, options: &LoadOptions) -> Result<Chart, LoadError> {
    let mut budget = Budget::new(options.max_bytes, options.max_files);
    let files = unpack_or_explain(data, only, &mut budget)?;
    let Some(file) = files.iter().find(|file| file.name == "Chart.yaml") else {
        return Err(LoadError::new("unable to detect chart version, no Chart.yaml found"));
    };
    version::check(&file.data)?;
    files::load(files, &mut budget)
}

/// Loads an archive that is a subchart, out of what is left of the budget.
pub(super) fn load_within(data: &[u8], budget: &mut Budget) -> Result<Chart, LoadError> {
    let files = unpack(data, None, budget).map_err(|error| LoadError::new(error.to_string()))?;
    files::load(files, budget)
}

fn unpack_or_explain(
    data: &[u8],
    only: Option<&str>,
    budget: &mut Budget,
) -> Result<Vec<ChartFile>, LoadError> {
    unpack(data, only, budget).map_err(|error| match error {
        UnpackError::NotGzip => {
            LoadError::new(format!("stream does not appear to be a valid chart file (details: {error})"))
                .with_hint("a chart archive is a gzip-compressed tar file, as `helm package` makes it")
        }
        error => LoadError::new(format!("unable to load chart archive: {error}")),
    })
}

/// Why an archive is refused; texts are Helm's where it has one.
#[derive(Debug, thiserror::Error)]
enum UnpackError {
    #[error("gzip: invalid header")]
    NotGzip,
    #[error("chart illegally contains absolute paths")]
    Absolute,
    #[error("chart illegally contains content outside the base directory: {0}")]
    Outside(String),
    #[error("chart illegally references parent directory")]
    Parent,
    #[error("chart contains illegally named files")]
    Named,
    #[error("chart yaml not in base directory")]
    NotInBase,
    #[error("no files in chart archive")]
    Empty,
    #[error("decompressed chart is larger than the maximum size {0}")]
    TooLarge(u64),
    #[error("{0}")]
    Broken(#[from] io::Error),
}

/// The files of an archive, or only the first of that name.
fn unpack(data: &[u8], only: Option<&str>, budget: &mut Budget) -> Result<Vec<ChartFile>, UnpackError> {
    const HEADER: usize = 10;
    if !data.starts_with(b"\x1f\x8b\x08") || data.len() < HEADER {
        return Err(if data.is_empty() {
            UnpackError::Broken(io::Error::new(io::ErrorKind::UnexpectedEof, "EOF"))
        } else if data.len() < HEADER {
            UnpackError::Broken(io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected EOF"))
        } else {
            UnpackError::NotGzip
        });
    }
    // Names and padding are no content, but a stream of nothing else must end too.
    let stream = MultiGzDecoder::new(data).take(budget.bytes.saturating_mul(2).saturating_add(1 << 20));
    let mut files: Vec<ChartFile> = Vec::new();
    let mut archive = Archive::new(stream);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        let is_dir = kind.is_dir()
            || entry.header().mode().is_ok_and(|mode| mode & 0o170_000 == 0o040_000)
            || (kind.is_file() && name.ends_with('/'));
        if is_dir || matches!(kind, EntryType::XGlobalHeader | EntryType::XHeader) {
            continue;
        }
        let path = path_in_chart(&name)?;
        let size = if has_content(kind) { entry.size() } else { 0 };
        if !budget.take(size) {
            return Err(UnpackError::TooLarge(budget.max));
        }
        if only.is_some_and(|only| only != path) {
            continue;
        }
        let mut data = Vec::new();
        if size > 0 {
            entry.by_ref().take(size).read_to_end(&mut data)?;
        }
        if data.len() as u64 != size {
            return Err(UnpackError::Broken(io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected EOF")));
        }
        let modified =
            entry.header().mtime().ok().map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        files.push(ChartFile { name: path, data: without_bom(data), modified });
        if only.is_some() {
            break;
        }
    }
    if files.is_empty() && only.is_none() {
        return Err(UnpackError::Empty);
    }
    Ok(last_of_each(files))
}

/// The name below the first component, cleaned.
fn path_in_chart(name: &str) -> Result<String, UnpackError> {
    let name = name.to_owned();
    let delimiter = if name.contains('\\') { '\\' } else { '/' };
    let (first, below) = name.split_once(delimiter).unwrap_or((&name, ""));
    let below = below.replace(delimiter, "/");
    if below.starts_with('/') {
        return Err(UnpackError::Absolute);
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in below.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    if path.is_empty() {
        return Err(UnpackError::Outside(quoted(&name)));
    }
    if path.starts_with("..") {
        return Err(UnpackError::Parent);
    }
    if let [drive, b':', b'/', ..] = path.as_bytes()
        && drive.is_ascii_alphabetic()
    {
        return Err(UnpackError::Named);
    }
    if first == "Chart.yaml" {
        return Err(UnpackError::NotInBase);
    }
    Ok(path)
}

fn has_content(kind: EntryType) -> bool {
    !(kind.is_symlink()
        || kind.is_hard_link()
        || kind.is_character_special()
        || kind.is_block_special()
        || kind.is_fifo())
}

pub(super) fn without_bom(data: Vec<u8>) -> Bytes {
    let data = Bytes::from(data);
    if data.starts_with(b"\xef\xbb\xbf") { data.slice(3..) } else { data }
}

/// Keeps the last of several files of one name, in its place.
fn last_of_each(files: Vec<ChartFile>) -> Vec<ChartFile> {
    let mut seen = std::collections::HashSet::new();
    let mut kept: Vec<ChartFile> =
        files.into_iter().rev().filter(|file| seen.insert(file.name.clone())).collect();
    kept.reverse();
    kept
}
