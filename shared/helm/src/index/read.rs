//! An index text in pieces: its fields, and its charts one after the other.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use sluice_yaml::{Entry, Reader};

use super::IndexError;

const ENTRIES: &str = "entries";

/// A part of an index.
pub(super) enum Piece<'k> {
    /// A field beside `entries`.
    Top(&'k str, Value),
    /// A chart, whose versions follow.
    Chart(&'k str),
    /// A version of the chart.
    Version(Value),
}

impl From<sluice_yaml::Error> for IndexError {
    fn from(error: sluice_yaml::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Calls `each` with every piece of an index.
pub(super) fn pieces(
    text: &str,
    mut each: impl FnMut(Piece<'_>) -> Result<(), IndexError>,
) -> Result<(), IndexError> {
    if is_json(text) {
        return json(text, each);
    }
    Reader::yaml11().entries(text, ENTRIES, |entry| {
        let value = |node: sluice_yaml::Node| node.to_value().map_err(IndexError::Malformed);
        match entry {
            Entry::Top(ENTRIES, _) => Ok(()),
            Entry::Top(name, node) => each(Piece::Top(name, value(node)?)),
            Entry::List(name) => each(Piece::Chart(name)),
            Entry::Item(node) => each(Piece::Version(value(node)?)),
            // Only with an anchor does a list come as a whole.
            Entry::Inner(name, node) => {
                each(Piece::Chart(name))?;
                let versions = value(node)?.as_array_mut().map(std::mem::take).unwrap_or_default();
                versions.into_iter().try_for_each(|version| each(Piece::Version(version)))
            }
        }
    })
}

/// Whether the whole text is JSON, at the cost of reading it once more.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn json(text: &str, each: impl FnMut(Piece<'_>) -> Result<(), IndexError>) -> Result<(), IndexError> {
    let mut pieces = Pieces { each, failed: None };
    let read = serde_json::Deserializer::from_str(text).deserialize_map(Top(&mut pieces));
    match pieces.failed {
        Some(error) => Err(error),
        None => read.map_err(|error| IndexError::Malformed(error.to_string())),
    }
}

struct Pieces<F> {
    each: F,
    /// What `each` returned; serde's errors can only hold text.
    failed: Option<IndexError>,
}

impl<F: FnMut(Piece<'_>) -> Result<(), IndexError>> Pieces<F> {
    fn hand<E: serde::de::Error>(&mut self, piece: Piece<'_>) -> Result<(), E> {
        (self.each)(piece).map_err(|error| {
            let text = error.to_string();
            self.failed = Some(error);
            E::custom(text)
        })
    }
}

struct Top<'p, F>(&'p mut Pieces<F>);

impl<'de, F: FnMut(Piece<'_>) -> Result<(), IndexError>> Visitor<'de> for Top<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an index")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = std::collections::HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == ENTRIES {
                map.next_value_seed(Charts(self.0))?;
            } else {
                let value = map.next_value()?;
                self.0.hand(Piece::Top(&name, value))?;
            }
            if !seen.insert(name) {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(())
    }
}

struct Charts<'p, F>(&'p mut Pieces<F>);

impl<'de, F: FnMut(Piece<'_>) -> Result<(), IndexError>> DeserializeSeed<'de> for Charts<'_, F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Piece<'_>) -> Result<(), IndexError>> Visitor<'de> for Charts<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of charts")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            self.0.hand(Piece::Chart(&name))?;
            map.next_value_seed(Versions(self.0))?;
        }
        Ok(())
    }
}

struct Versions<'p, F>(&'p mut Pieces<F>);

impl<'de, F: FnMut(Piece<'_>) -> Result<(), IndexError>> DeserializeSeed<'de> for Versions<'_, F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Piece<'_>) -> Result<(), IndexError>> Visitor<'de> for Versions<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of versions")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(version) = list.next_element()? {
            self.0.hand(Piece::Version(version))?;
        }
        Ok(())
    }
}
