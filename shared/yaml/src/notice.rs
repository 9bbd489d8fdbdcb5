//! What is accepted, and yet seldom meant.

use std::fmt;

use crate::{Tag, resolve};

/// Something in a text that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Where, counted from 1.
    pub line: usize,
    /// What.
    pub what: What,
}

impl Notice {
    /// Counts lines in a text that has this many lines above.
    pub fn below(&mut self, lines: usize) {
        self.line += lines;
        if let What::DuplicateKey { first, .. } = &mut self.what {
            *first += lines;
        }
    }
}

/// What a person should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A key stands twice in one map.
    DuplicateKey {
        /// The key.
        key: String,
        /// The line where it stood before.
        first: usize,
    },
    /// A key without quotes that YAML 1.1 reads as a boolean: `on`, `y`.
    BooleanKey(String),
    /// An integer above 2^53: a float, which it becomes, does not hold every one.
    LargeInteger(String),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateKey { key, first } => {
                write!(f, "the key {key:?} was set in line {first} already: the last one counts")
            }
            Self::BooleanKey(key) => {
                let read = resolve::bool_of(key).unwrap_or_default();
                write!(f, "the key {key} is read as {read}: put it in quotes if it is a name")
            }
            Self::LargeInteger(text) => {
                write!(
                    f,
                    "{text} is above 2^53 and may not be kept exactly: put it in quotes, or give it with --set"
                )
            }
        }
    }
}

/// Whether an integer is above 2^53.
pub(crate) fn is_large(text: &str) -> bool {
    const EXACT: u64 = 1 << 53;
    // The shortest that is has 11 digits, in hexadecimal with a prefix even more; few texts are looked at further.
    text.len() > 11
        && resolve::classify(text, crate::Schema::Yaml11) == Tag::Int
        && resolve::number_of(text).and_then(Result::ok).is_some_and(|number| {
            number
                .as_u64()
                .or_else(|| number.as_i64().map(i64::unsigned_abs))
                .is_some_and(|number| number > EXACT)
        })
}
