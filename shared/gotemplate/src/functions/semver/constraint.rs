//! Constraints: `>=1.2 <2 || ^3.0.1-0`.

use std::{cmp::Ordering, sync::LazyLock};

use regex::Regex;

use super::{
    Version,
    version::{VersionError, compare_prerelease},
};
use crate::fmt::quoted;

/// The longest constraint that is read, in bytes.
const MAX_LENGTH: usize = 512;
/// The most alternatives of a constraint.
const MAX_ALTERNATIVES: usize = 32;

/// A set of alternatives, each a set of comparisons that must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    alternatives: Vec<Alternative>,
}

/// Why a text is no constraint. The texts are those of Masterminds/semver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// An alternative has the wrong form.
    #[error("improper constraint: {}", quoted(.0.as_bytes()))]
    Improper(String),
    /// A part looks like a version but is none.
    #[error("constraint parser error")]
    Version,
    /// The text is longer than 512 bytes.
    #[error("constraint string is too long (max {MAX_LENGTH} bytes)")]
    TooLong,
    /// The text has more than 32 alternatives.
    #[error("too many constraint groups (max {MAX_ALTERNATIVES})")]
    TooManyAlternatives,
}

impl From<VersionError> for ConstraintError {
    fn from(_: VersionError) -> Self {
        Self::Version
    }
}

impl Constraint {
    /// Reads a constraint: alternatives divided by `||`, comparisons by spaces or commas, `a - b` for a range.
    ///
    /// # Errors
    /// [`ConstraintError`] if a part has the wrong form, or a limit is passed.
    pub fn parse(text: &str) -> Result<Self, ConstraintError> {
        if text.len() > MAX_LENGTH {
            return Err(ConstraintError::TooLong);
        }
        let text = rewrite_ranges(text);
        let parts: Vec<_> = text.split("||").collect();
        if parts.len() > MAX_ALTERNATIVES {
            return Err(ConstraintError::TooManyAlternatives);
        }
        let alternatives = parts.into_iter().map(Alternative::parse).collect::<Result<_, _>>()?;
        Ok(Self { alternatives })
    }

    /// Whether the version satisfies the constraint.
    ///
    /// Pre-releases only satisfy alternatives that name a pre-release themselves.
    #[must_use]
    pub fn matches(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|alternative| alternative.matches(version))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Alternative {
    comparisons: Vec<Comparison>,
    names_prerelease: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparison {
    operator: Operator,
    version: Version,
    precision: Precision,
}

/// How much of the version was written; the rest is `x` or absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Precision {
    Nothing,
    Major,
    Minor,
    Full,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Tilde,
    Caret,
}

/// The longer operators first.
const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("=>", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=<", Operator::LessOrEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

const BLANKS: [char; 5] = [' ', '\t', '\n', '\r', '\u{c}'];

impl Alternative {
    fn parse(text: &str) -> Result<Self, ConstraintError> {
        let improper = || ConstraintError::Improper(text.to_owned());
        let mut comparisons = Vec::new();
        let mut rest = text.trim_start_matches(BLANKS);
        // The form of the whole part is judged before any of its versions.
        let mut forms = Vec::new();
        loop {
            let (operator, after) = split_operator(rest);
            let (form, after) = Form::split(after.trim_start_matches(BLANKS)).ok_or_else(improper)?;
            forms.push((operator, form));
            let next = after.trim_start_matches(BLANKS);
            if next.is_empty() {
                break;
            }
            rest = match next.strip_prefix(',') {
                Some(next) => next.trim_start_matches(BLANKS),
                None if next.len() < after.len() => next,
                None => return Err(improper()),
            };
        }
        for (operator, form) in forms {
            let (version, precision) = form.version()?;
            comparisons.push(Comparison { operator, version, precision });
        }
        let names_prerelease = comparisons.iter().any(|c| !c.version.prerelease.is_empty());
        Ok(Self { comparisons, names_prerelease })
    }

    fn matches(&self, version: &Version) -> bool {
        (version.prerelease.is_empty() || self.names_prerelease)
            && self.comparisons.iter().all(|comparison| comparison.matches(version))
    }
}

fn split_operator(text: &str) -> (Operator, &str) {
    let found = OPERATORS.iter().find_map(|(word, operator)| Some((*operator, text.strip_prefix(word)?)));
    found.unwrap_or((Operator::Equal, text))
}

/// A version as constraints write it: numbers may be `x`, `X` or `*`.
struct Form<'a> {
    numbers: [&'a str; 3],
    prerelease: &'a str,
    whole: &'a str,
}

impl<'a> Form<'a> {
    fn split(text: &'a str) -> Option<(Self, &'a str)> {
        let mut numbers = [""; 3];
        let (first, mut rest) = split_while(text.strip_prefix('v').unwrap_or(text), is_number);
        if first.is_empty() {
            return None;
        }
        numbers[0] = first;
        for slot in &mut numbers[1..] {
            let Some(after) = rest.strip_prefix('.') else { break };
            let (part, after) = split_while(after, is_number);
            if part.is_empty() {
                break;
            }
            (*slot, rest) = (part, after);
        }
        let (prerelease, rest) = split_identifiers(rest, '-');
        let (_metadata, rest) = split_identifiers(rest, '+');
        let whole = &text[..text.len() - rest.len()];
        Some((Self { numbers, prerelease, whole }, rest))
    }

    fn version(&self) -> Result<(Version, Precision), ConstraintError> {
        let [major, minor, patch] = self.numbers;
        let pre = self.prerelease;
        let (text, precision) = if is_wildcard(major) {
            (format!("0.0.0{pre}"), Precision::Nothing)
        } else if is_wildcard(minor) || minor.is_empty() {
            (format!("{major}.0.0{pre}"), Precision::Major)
        } else if is_wildcard(patch) || patch.is_empty() {
            (format!("{major}.{minor}.0{pre}"), Precision::Minor)
        } else {
            (self.whole.to_owned(), Precision::Full)
        };
        Ok((Version::parse(&text)?, precision))
    }
}

fn is_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'x' | b'X' | b'*' | b'|')
}

fn is_wildcard(part: &str) -> bool {
    matches!(part, "x" | "X" | "*")
}

fn split_while(text: &str, accept: fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().position(|b| !accept(b)).unwrap_or(text.len()))
}

/// Splits `-a.b` or `+a.b` off, mark included; takes as many identifiers as there are.
fn split_identifiers(text: &str, mark: char) -> (&str, &str) {
    let identifier = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let Some(mut rest) = text.strip_prefix(mark) else { return ("", text) };
    let mut end = 0;
    loop {
        let (part, after) = split_while(rest, identifier);
        if part.is_empty() {
            break;
        }
        end = text.len() - after.len();
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None => break,
        }
    }
    text.split_at(end)
}

impl Comparison {
    fn matches(&self, v: &Version) -> bool {
        let order = v.compare(&self.version);
        match self.operator {
            Operator::Equal if self.precision == Precision::Full => order.is_eq(),
            Operator::Equal | Operator::Tilde => self.tilde(v),
            Operator::NotEqual => self.not_equal(v),
            Operator::Greater => match self.precision {
                Precision::Full | Precision::Nothing => order.is_gt(),
                Precision::Major => v.major > self.version.major,
                Precision::Minor => (v.major, v.minor) > (self.version.major, self.version.minor),
            },
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => match self.precision {
                Precision::Full => order.is_le(),
                Precision::Major => v.major <= self.version.major,
                Precision::Nothing | Precision::Minor => {
                    (v.major, v.minor) <= (self.version.major, self.version.minor)
                }
            },
            Operator::Caret => self.caret(v, order),
        }
    }

    fn tilde(&self, v: &Version) -> bool {
        let own = &self.version;
        if v.compare(own).is_lt() {
            return false;
        }
        let partial = matches!(self.precision, Precision::Major | Precision::Minor);
        if !partial && (own.major, own.minor, own.patch) == (0, 0, 0) {
            return true; // `~0.0.0` and `*` take everything
        }
        v.major == own.major && (v.minor == own.minor || self.precision == Precision::Major)
    }

    fn not_equal(&self, v: &Version) -> bool {
        let own = &self.version;
        match self.precision {
            Precision::Full => v.compare(own).is_ne(),
            _ if v.major != own.major => true,
            Precision::Major => false,
            _ if v.minor != own.minor => true,
            Precision::Minor => compare_prerelease(&v.prerelease, &own.prerelease).is_ne(),
            Precision::Nothing => v.patch != own.patch || v.compare(own).is_ne(),
        }
    }

    /// `^1.2.3` keeps the first number that is not zero.
    fn caret(&self, v: &Version, order: Ordering) -> bool {
        let own = &self.version;
        if order.is_lt() {
            return false;
        }
        if own.major > 0 || self.precision == Precision::Major {
            return v.major == own.major;
        }
        if v.major > 0 {
            return false;
        }
        if own.minor > 0 || self.precision == Precision::Minor {
            return v.minor == own.minor;
        }
        v.minor == 0 && v.patch == own.patch
    }
}

/// Turns `a - b` into `>= a, <= b `, wherever it stands.
fn rewrite_ranges(text: &str) -> String {
    // A constant pattern; it is compiled once and only for texts that may hold a range.
    static RANGE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let version = r"(v?[0-9xX*|]+(?:\.[0-9xX*|]+){0,2}(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?)";
        let blank = r"[ \t\n\r\x0C]";
        Regex::new(&format!("{blank}*{version}{blank}+-{blank}+{version}{blank}*")).ok()
    });
    let Some(range) = RANGE.as_ref().filter(|_| text.contains('-')) else { return text.to_owned() };
    let mut out = text.to_owned();
    for captures in range.captures_iter(text) {
        out = out.replacen(&captures[0], &format!(">= {}, <= {} ", &captures[1], &captures[2]), 1);
    }
    out
}
