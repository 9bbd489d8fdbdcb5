//! Names of entries, checked before anything is done with them.

use super::{Limits, UnpackError};

/// The name of an entry, found harmless.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) components: Vec<String>,
}

impl Entry {
    pub(super) fn check(raw: &[u8], limits: &Limits) -> Result<Self, UnpackError> {
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
