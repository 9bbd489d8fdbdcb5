//! What extension headers (GNU's long names, PAX records) say of the entry that follows them.

use std::io::{self, Read};

use tar::EntryType;

use super::{UnpackError, padding, skip};

/// Largest extension header that is read, in bytes.
const MAX_EXTENSION: u64 = 64 * 1024;

/// What extension headers say of the entry that follows.
#[derive(Default)]
pub(super) struct Extension {
    pub(super) path: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
}

impl Extension {
    pub(super) fn add(&mut self, kind: EntryType, bytes: &[u8]) -> Result<(), UnpackError> {
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

/// The content of an extension header, which ends at a block.
pub(super) fn read_extension(input: &mut impl Read, size: u64) -> Result<Vec<u8>, UnpackError> {
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
