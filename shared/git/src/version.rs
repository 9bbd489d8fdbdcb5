//! Version ranges in the dialect of Go's Masterminds/semver, which Flux's users write.

use std::{cmp::Ordering, fmt, str::FromStr};

use semver::{BuildMetadata, Prerelease, Version};

const MAX_VERSION: usize = 256;
const MAX_RANGE: usize = 512;
const MAX_GROUPS: usize = 32;

/// Why a range could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A part is no comparison.
    #[error("improper constraint: {0}")]
    Improper(String),
    /// Too long, or too many alternatives.
    #[error("constraint is longer than {MAX_RANGE} bytes or has more than {MAX_GROUPS} alternatives")]
    TooLong,
}

/// Reads a version as Flux reads Git tags: an optional `v`, three numbers (leading zeros allowed), pre-release and build metadata.
pub fn parse_version(text: &str) -> Option<Version> {
    if text.len() > MAX_VERSION {
        return None;
    }
    let partial = Partial::parse(text)?;
    match partial.numbers {
        [Some(major), Some(minor), Some(patch)] => {
            Some(Version { major, minor, patch, pre: partial.pre, build: partial.build })
        }
        _ => None,
    }
}

/// A set of versions, such as `>=1.2 <2 || ^3.0.0-rc`.
#[derive(Clone, Debug)]
pub struct Range {
    text: String,
    /// Alternatives, of which one must hold.
    groups: Vec<Group>,
}

/// Comparisons that must all hold.
#[derive(Clone, Debug)]
struct Group {
    comparisons: Vec<Comparison>,
    /// Whether one of them names a pre-release, which lets pre-releases match.
    names_prerelease: bool,
}

#[derive(Clone, Debug)]
struct Comparison {
    operator: Operator,
    version: Version,
    /// The first number that was left out or is a wildcard.
    open: Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    Tilde,
    Caret,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    No,
    Major,
    Minor,
    Patch,
}

impl Range {
    /// Whether `version` is in the range. Pre-releases are only where an alternative names one.
    pub fn matches(&self, version: &Version) -> bool {
        self.groups.iter().any(|group| {
            (version.pre.is_empty() || group.names_prerelease)
                && group.comparisons.iter().all(|comparison| comparison.matches(version))
        })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Range {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() > MAX_RANGE || text.split("||").count() > MAX_GROUPS {
            return Err(ParseError::TooLong);
        }
        let groups = text.split("||").map(Group::parse).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), groups })
    }
}

impl Group {
    fn parse(text: &str) -> Result<Self, ParseError> {
        let improper = || ParseError::Improper(text.trim().to_owned());
        // An operator may stand apart from its version, and " - " makes a range of two versions.
        let mut words =
            text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()).peekable();
        let mut comparisons = Vec::new();
        while let Some(word) = words.next() {
            let (operator, rest) = Operator::split(word).ok_or_else(improper)?;
            let version = if rest.is_empty() { words.next().ok_or_else(improper)? } else { rest };
            let partial = Partial::parse(version).ok_or_else(improper)?;
            if words.peek() == Some(&"-") && operator == Operator::Equal {
                words.next();
                let end = words.next().and_then(Partial::parse).ok_or_else(improper)?;
                comparisons.push(Comparison::new(Operator::GreaterEqual, partial));
                comparisons.push(Comparison::new(Operator::LessEqual, end));
                continue;
            }
            comparisons.push(Comparison::new(operator, partial));
        }
        if comparisons.is_empty() {
            if text.contains(',') {
                return Err(improper());
            }
            comparisons.push(Comparison::new(Operator::Equal, Partial::default()));
        }
        let names_prerelease = comparisons.iter().any(|comparison| !comparison.version.pre.is_empty());
        Ok(Self { comparisons, names_prerelease })
    }
}

impl Operator {
    fn split(word: &str) -> Option<(Self, &str)> {
        let end = word.find(|c| !"=!<>~^".contains(c)).unwrap_or(word.len());
        let operator = match &word[..end] {
            "" | "=" => Self::Equal,
            "!=" => Self::NotEqual,
            ">" => Self::Greater,
            "<" => Self::Less,
            ">=" | "=>" => Self::GreaterEqual,
            "<=" | "=<" => Self::LessEqual,
            "~" | "~>" => Self::Tilde,
            "^" => Self::Caret,
            _ => return None,
        };
        Some((operator, &word[end..]))
    }
}

impl Comparison {
    fn new(operator: Operator, partial: Partial) -> Self {
        let (open, [major, minor, patch]) = match partial.numbers {
            [None, ..] => (Open::Major, [0, 0, 0]),
            [Some(major), None, _] => (Open::Minor, [major, 0, 0]),
            [Some(major), Some(minor), None] => (Open::Patch, [major, minor, 0]),
            [Some(major), Some(minor), Some(patch)] => (Open::No, [major, minor, patch]),
        };
        let version = Version { major, minor, patch, pre: partial.pre, build: BuildMetadata::EMPTY };
        Self { operator, version, open }
    }

    fn matches(&self, version: &Version) -> bool {
        let wanted = &self.version;
        let order = version.cmp_precedence(wanted);
        let same_major = version.major == wanted.major;
        let same_minor = same_major && version.minor == wanted.minor;
        match (self.operator, self.open) {
            (Operator::Less, _) => order == Ordering::Less,
            (Operator::GreaterEqual, _) => order != Ordering::Less,

            (Operator::Equal, Open::No) => order == Ordering::Equal,
            (Operator::Equal | Operator::Tilde, _) => order != Ordering::Less && self.is_in_tilde(version),

            (Operator::NotEqual, Open::No) => order != Ordering::Equal,
            (Operator::NotEqual, Open::Major) => false,
            (Operator::NotEqual, Open::Minor) => !same_major,
            (Operator::NotEqual, Open::Patch) => !same_minor,

            (Operator::Greater, Open::No | Open::Major) => order == Ordering::Greater,
            (Operator::Greater, Open::Minor) => version.major > wanted.major,
            (Operator::Greater, Open::Patch) => (version.major, version.minor) > (wanted.major, wanted.minor),

            (Operator::LessEqual, Open::No) => order != Ordering::Greater,
            (Operator::LessEqual, Open::Major) => true,
            (Operator::LessEqual, Open::Minor) => version.major <= wanted.major,
            (Operator::LessEqual, Open::Patch) => {
                (version.major, version.minor) <= (wanted.major, wanted.minor)
            }

            (Operator::Caret, open) => order != Ordering::Less && is_in_caret(version, wanted, open),
        }
    }

    fn is_in_tilde(&self, version: &Version) -> bool {
        let wanted = &self.version;
        match self.open {
            Open::Major => true,
            Open::Minor => version.major == wanted.major,
            // `~0.0.0` accepts all, as in Masterminds/semver.
            Open::No if (wanted.major, wanted.minor, wanted.patch) == (0, 0, 0) => true,
            Open::Patch | Open::No => (version.major, version.minor) == (wanted.major, wanted.minor),
        }
    }
}

/// Whether `version`, which is not less than `wanted`, keeps its leftmost number that is not zero.
fn is_in_caret(version: &Version, wanted: &Version, open: Open) -> bool {
    match open {
        Open::Major => true,
        _ if wanted.major > 0 || open == Open::Minor => version.major == wanted.major,
        _ if version.major > 0 => false,
        _ if wanted.minor > 0 || open == Open::Patch => version.minor == wanted.minor,
        _ => version.minor == 0 && version.patch == wanted.patch,
    }
}

/// A version of which numbers may be missing or wildcards.
#[derive(Default)]
struct Partial {
    numbers: [Option<u64>; 3],
    pre: Prerelease,
    build: BuildMetadata,
}

impl Partial {
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, build) = match text.split_once('+') {
            Some((text, build)) if !build.is_empty() => (text, BuildMetadata::new(build).ok()?),
            Some(_) => return None,
            None => (text, BuildMetadata::EMPTY),
        };
        let (text, pre) = match text.split_once('-') {
            Some((text, pre)) if !pre.is_empty() => (text, Prerelease::new(pre).ok()?),
            Some(_) => return None,
            None => (text, Prerelease::EMPTY),
        };
        let mut numbers = [None; 3];
        let mut open = false;
        let mut parts = text.split('.');
        for (at, slot) in numbers.iter_mut().enumerate() {
            match parts.next() {
                Some("x" | "X" | "*") => open = true,
                Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                    let number = digits.parse().ok()?;
                    if !open {
                        *slot = Some(number);
                    }
                }
                None if at > 0 => open = true,
                _ => return None,
            }
        }
        parts.next().is_none().then_some(Self { numbers, pre, build })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_masterminds_semver_holds() {
        for (range, yes, no) in [
            ("", &["0.0.0", "1.2.3", "99.0.0"][..], &["1.0.0-rc.1"][..]),
            ("*", &["0.1.0", "1.2.3"], &["1.0.0-rc.1"]),
            ("1.x", &["1.0.0", "1.9.9"], &["2.0.0", "0.9.0", "1.2.0-rc.1"]),
            ("~1", &["1.0.0", "1.9.0"], &["2.0.0", "0.9.9"]),
            ("~1.2", &["1.2.0", "1.2.9"], &["1.3.0", "1.1.9"]),
            ("~>1.2.3", &["1.2.3", "1.2.9"], &["1.3.0", "1.2.2"]),
            ("^1.2", &["1.2.0", "1.9.0"], &["2.0.0", "1.1.0"]),
            ("^0.2.3", &["0.2.3", "0.2.9"], &["0.3.0", "0.2.2", "1.0.0"]),
            ("^0.0.3", &["0.0.3"], &["0.0.4", "0.1.3", "0.0.2"]),
            ("^0.0", &["0.0.3", "0.0.9"], &["0.1.0"]),
            ("^0", &["0.0.3", "0.9.9"], &["1.0.0"]),
            ("=1.2", &["1.2.0", "1.2.7"], &["1.3.0"]),
            ("1.2", &["1.2.0", "1.2.7"], &["1.3.0"]),
            ("1.2.3", &["1.2.3", "1.2.3+build"], &["1.2.4"]),
            ("!=1.2", &["1.3.0", "2.2.0"], &["1.2.0", "1.2.9"]),
            (">11", &["12.0.0"], &["11.0.0", "11.9.9"]),
            (">1.2", &["1.3.0", "2.0.0"], &["1.2.0", "1.2.9", "0.9.0"]),
            ("<=1.2", &["1.2.9", "0.1.0"], &["1.3.0", "2.0.0"]),
            ("<v0.2.1", &["0.2.0", "0.1.9"], &["0.2.1", "1.0.0"]),
            ("1.2 - 1.4.5", &["1.2.0", "1.4.5"], &["1.4.6", "1.1.9"]),
            (">=1.0.0 <2.0.0", &["1.0.0", "1.9.9"], &["2.0.0", "0.9.9"]),
            (">= 1.0.0, < 2.0.0", &["1.0.0", "1.9.9"], &["2.0.0", "0.9.9"]),
            ("=>1.0.0 =<1.5.0", &["1.0.0", "1.5.0"], &["1.5.1"]),
            ("<1 || >=3", &["0.9.0", "3.0.0"], &["1.0.0", "2.9.9"]),
            (">=1.0.0-0", &["1.0.0", "1.1.0-rc.1", "1.0.0-alpha"], &["0.9.9"]),
            ("^1.0.0-rc", &["1.0.0-rc.1", "1.5.0"], &["1.0.0-alpha", "2.0.0"]),
            (">=1.0.0-0 <1.0.0 || 2.x", &["1.0.0-rc.1", "2.1.0"], &["2.1.0-rc.1"]),
        ] {
            let parsed: Range = range.parse().unwrap();
            for version in yes {
                assert!(parsed.matches(&parse_version(version).unwrap()), "{version} should be in {range:?}");
            }
            for version in no {
                assert!(
                    !parsed.matches(&parse_version(version).unwrap()),
                    "{version} should not be in {range:?}"
                );
            }
        }
    }

    #[test]
    fn nonsense_ranges_are_refused() {
        for range in
            ["hello", ">=", "1.2.3.4", ">>1", "1..2", "^", "1.2.3-", "- 1.2", "1.2 -", "v", "=1.0.0<2", ","]
        {
            assert!(range.parse::<Range>().is_err(), "{range:?}");
        }
        assert_eq!("1||".repeat(40).parse::<Range>().unwrap_err(), ParseError::TooLong);
    }

    #[test]
    fn versions_of_tags_need_three_numbers_and_may_have_leading_zeros() {
        for (text, want) in [
            ("1.2.3", Some("1.2.3")),
            ("v1.2.3-rc.1+b5", Some("1.2.3-rc.1+b5")),
            ("v2025.02.03", Some("2025.2.3")),
            ("v1.2", None),
            ("1", None),
            ("1.2.x", None),
            ("release-1.2.3", None),
            ("1.2.3.4", None),
            ("", None),
            ("99999999999999999999.0.0", None),
        ] {
            assert_eq!(parse_version(text).map(|v| v.to_string()).as_deref(), want, "{text:?}");
        }
    }
}
