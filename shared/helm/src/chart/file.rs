//! A chart out of an archive file, and what to say when it is none.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::directory::go_error;
use super::{Chart, LoadError, LoadOptions, archive};

/// Loads the archive at `path`.
///
/// # Errors
/// Helm's text for what is not a chart archive.
pub(super) fn load(path: &Path, options: &LoadOptions) -> Result<Chart, LoadError> {
    archive::load(&read(path, options)?, options)
}

/// The bytes of the archive at `path`.
///
/// # Errors
/// Helm's text for what is not a chart archive.
pub(super) fn read(path: &Path, options: &LoadOptions) -> Result<Vec<u8>, LoadError> {
    let fault = |error: std::io::Error| LoadError::new(go_error("open", path, &error));
    let mut data = Vec::new();
    let file = File::open(path).map_err(fault)?;
    file.take(options.max_bytes.saturating_add(1)).read_to_end(&mut data).map_err(fault)?;
    if data.len() as u64 > options.max_bytes {
        return Err(LoadError::new(format!(
            "unable to load chart archive: {} is larger than {} bytes",
            path.display(),
            options.max_bytes
        )));
    }
    if !data.starts_with(b"\x1f\x8b\x08") {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let shown = path.display();
        let text = path.to_string_lossy();
        return Err(LoadError::new(if text.ends_with(".yml") || text.ends_with(".yaml") {
            format!("file '{shown}' seems to be a YAML file, but expected a gzipped archive")
        } else {
            format!("file '{shown}' does not appear to be a gzipped archive; got '{}'", content_type(&data))
        }));
    }
    Ok(data)
}

/// What the first 512 bytes, zeros after a shorter file, look like.
fn content_type(data: &[u8]) -> &'static str {
    let head = data.get(..512).unwrap_or(data);
    if head.starts_with(b"PK\x03\x04") {
        return "application/zip";
    }
    if head.starts_with(b"%PDF-") {
        return "application/pdf";
    }
    let binary = |b: &u8| matches!(b, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    if head.len() == 512 && !head.iter().any(binary) {
        "text/plain; charset=utf-8"
    } else {
        "application/octet-stream"
    }
}
