//! One version: `v1.2.3-rc.1+build`.

use std::{cmp::Ordering, fmt};

/// The longest text that is read as a version, in bytes.
const MAX_LENGTH: usize = 256;

/// A semantic version, and the text it was read from.
///
/// Equality of two values is equality of all their parts; the order of versions, which ignores build metadata, is
/// [`Version::compare`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The first number.
    pub major: u64,
    /// The second number; 0 if the text had none.
    pub minor: u64,
    /// The third number; 0 if the text had none.
    pub patch: u64,
    /// What follows the `-`, or an empty text.
    pub prerelease: String,
    /// What follows the `+`, or an empty text.
    pub metadata: String,
    /// The text as it was written.
    pub original: String,
}

/// Why a text is no version. The texts are those of Masterminds/semver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// The text does not have the form of a version.
    #[error("invalid semantic version")]
    Invalid,
    /// A pre-release identifier is a number with a leading zero.
    #[error("version segment starts with 0")]
    LeadingZero,
    /// A number does not fit.
    #[error("error parsing version segment: strconv.ParseUint: parsing \"{0}\": value out of range")]
    Number(String),
    /// The text is longer than 256 bytes.
    #[error("version string is too long (max {MAX_LENGTH} bytes)")]
    TooLong,
    /// A pre-release that was set afterwards is malformed.
    #[error("invalid prerelease string")]
    Prerelease,
    /// Build metadata that was set afterwards is malformed.
    #[error("invalid metadata string")]
    Metadata,
}

impl Version {
    /// Reads a version leniently: an optional `v`, one to three numbers, leading zeros allowed.
    ///
    /// # Errors
    /// [`VersionError`] if the text has another form, or a number does not fit 64 bits.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        if text.len() > MAX_LENGTH {
            return Err(VersionError::TooLong);
        }
        let (rest, metadata) = split_suffix(text, '+')?;
        let (numbers, prerelease) = split_suffix(rest, '-')?;
        let numbers = numbers.strip_prefix('v').unwrap_or(numbers);
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if numbers.split('.').count() > 3 || !numbers.split('.').all(is_number) {
            return Err(VersionError::Invalid);
        }
        let mut parts = [0; 3];
        for (slot, part) in parts.iter_mut().zip(numbers.split('.')) {
            *slot = part.parse().map_err(|_| VersionError::Number(part.to_owned()))?;
        }
        let [major, minor, patch] = parts;
        check_prerelease(prerelease)?;
        Ok(Self {
            major,
            minor,
            patch,
            prerelease: prerelease.to_owned(),
            metadata: metadata.to_owned(),
            original: text.to_owned(),
        })
    }

    /// The precedence of two versions: numbers first, then a release above its pre-releases; metadata is ignored.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        (self.major, self.minor, self.patch)
            .cmp(&(other.major, other.minor, other.patch))
            .then_with(|| compare_prerelease(&self.prerelease, &other.prerelease))
    }

    /// The next major version, or none if the number would overflow.
    #[must_use]
    pub fn next_major(&self) -> Option<Self> {
        Some(self.release(self.major.checked_add(1)?, 0, 0))
    }

    /// The next minor version, or none if the number would overflow.
    #[must_use]
    pub fn next_minor(&self) -> Option<Self> {
        Some(self.release(self.major, self.minor.checked_add(1)?, 0))
    }

    /// The next patch: of a pre-release it is the release itself. None if the number would overflow.
    #[must_use]
    pub fn next_patch(&self) -> Option<Self> {
        let patch = if self.prerelease.is_empty() { self.patch.checked_add(1)? } else { self.patch };
        Some(self.release(self.major, self.minor, patch))
    }

    /// The same version with another pre-release; an empty text removes it.
    ///
    /// # Errors
    /// [`VersionError`] if the text is no pre-release.
    pub fn with_prerelease(&self, prerelease: &str) -> Result<Self, VersionError> {
        if !prerelease.is_empty() && !prerelease.split('.').all(is_identifier) {
            return Err(VersionError::Prerelease);
        }
        check_prerelease(prerelease)?;
        Ok(Self { prerelease: prerelease.to_owned(), ..self.clone() }.renamed())
    }

    /// The same version with other build metadata; an empty text removes it.
    ///
    /// # Errors
    /// [`VersionError::Metadata`] if the text is no build metadata.
    pub fn with_metadata(&self, metadata: &str) -> Result<Self, VersionError> {
        if !metadata.is_empty() && !metadata.split('.').all(is_identifier) {
            return Err(VersionError::Metadata);
        }
        Ok(Self { metadata: metadata.to_owned(), ..self.clone() }.renamed())
    }

    fn release(&self, major: u64, minor: u64, patch: u64) -> Self {
        let original = self.original.clone();
        Self { major, minor, patch, prerelease: String::new(), metadata: String::new(), original }.renamed()
    }

    /// Derived versions keep the `v` of the text they come from.
    fn renamed(mut self) -> Self {
        let prefix = if self.original.starts_with('v') { "v" } else { "" };
        self.original = format!("{prefix}{self}");
        self
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.prerelease.is_empty() {
            write!(f, "-{}", self.prerelease)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

/// Cuts the dotted identifiers that follow the first `mark`.
fn split_suffix(text: &str, mark: char) -> Result<(&str, &str), VersionError> {
    match text.split_once(mark) {
        None => Ok((text, "")),
        Some((head, tail)) if tail.split('.').all(is_identifier) => Ok((head, tail)),
        Some(_) => Err(VersionError::Invalid),
    }
}

fn is_identifier(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn check_prerelease(prerelease: &str) -> Result<(), VersionError> {
    let zero =
        |part: &str| part.len() > 1 && part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit());
    if prerelease.split('.').any(zero) { Err(VersionError::LeadingZero) } else { Ok(()) }
}

/// Compares two pre-releases; an empty one (a release) is above all others.
pub(super) fn compare_prerelease(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(x), Some(y)) => compare_identifiers(x, y),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Numbers compare as numbers and are below words.
fn compare_identifiers(a: &str, b: &str) -> Ordering {
    let number = |s: &str| if s.bytes().all(|b| b.is_ascii_digit()) { s.parse::<u64>().ok() } else { None };
    match (number(a), number(b)) {
        (Some(x), Some(y)) => x.cmp(&y),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_leniently_and_printed_in_full() {
        for (text, want) in [
            ("1.2.3", Ok("1.2.3")),
            ("v1.2", Ok("1.2.0")),
            ("01.2.3", Ok("1.2.3")),
            ("1", Ok("1.0.0")),
            ("1-rc.1+b.2", Ok("1.0.0-rc.1+b.2")),
            ("1.2.3--", Ok("1.2.3--")),
            ("1.2.3+a-b", Ok("1.2.3+a-b")),
            ("V1", Err(VersionError::Invalid)),
            (" 1", Err(VersionError::Invalid)),
            ("1.2.3.4", Err(VersionError::Invalid)),
            ("1.2.3-", Err(VersionError::Invalid)),
            ("1.2.3+a_b", Err(VersionError::Invalid)),
            ("1.2.3-01", Err(VersionError::LeadingZero)),
            ("", Err(VersionError::Invalid)),
            ("99999999999999999999.x", Err(VersionError::Invalid)),
            ("99999999999999999999", Err(VersionError::Number("99999999999999999999".into()))),
        ] {
            assert_eq!(Version::parse(text).map(|v| v.to_string()), want.map(str::to_owned), "{text:?}");
        }
        assert_eq!(Version::parse(&"1".repeat(257)), Err(VersionError::TooLong));
    }

    #[test]
    fn precedence_is_that_of_semver_and_ignores_metadata() {
        let order =
            ["0.9.9", "1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-a", "1.0.0-a.1", "1.0.0-b", "1.0.0", "1.0.1"];
        let versions: Vec<_> = order.iter().map(|t| Version::parse(t).expect("valid")).collect();
        for (i, a) in versions.iter().enumerate() {
            for (j, b) in versions.iter().enumerate() {
                assert_eq!(a.compare(b), i.cmp(&j), "{a} and {b}");
            }
        }
        let built = Version::parse("1.0.0+b").expect("valid");
        assert_eq!(built.compare(&versions[7]), Ordering::Equal);
    }

    #[test]
    fn derived_versions_keep_the_prefix() {
        let version = Version::parse("v1.2.3-rc.1+b").expect("valid");
        let originals = [version.next_major(), version.next_minor(), version.next_patch()];
        assert_eq!(originals.map(|v| v.expect("fits").original), ["v2.0.0", "v1.3.0", "v1.2.3"]);
        assert_eq!(version.with_prerelease("x").map(|v| v.original), Ok("v1.2.3-x+b".into()));
        assert_eq!(version.with_prerelease("a..b"), Err(VersionError::Prerelease));
        assert_eq!(version.with_prerelease("01"), Err(VersionError::LeadingZero));
        assert_eq!(version.with_metadata("é"), Err(VersionError::Metadata));
    }
}
