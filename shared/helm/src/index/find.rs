//! One version of one chart in an index that [`convert`](super::convert) wrote.

use std::fmt;
use std::io::Read;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::IndexError;
use crate::semver::{Constraint, Version};

/// Where a version of a chart is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The chart's name.
    pub name: String,
    /// The version as the index writes it.
    pub version: String,
    /// Addresses of the archive, absolute or relative to the repository's.
    pub urls: Vec<String>,
    /// The SHA-256 of the archive in hexadecimal digits, if the index names it.
    pub digest: Option<String>,
}

/// Finds the version of a chart: the one that is spelt as `wanted`, else the highest in that range, and of versions that
/// differ in build metadata only the one that was made last. An empty text and `*` are the highest stable version.
///
/// # Errors
/// [`IndexError::NotFound`], or what is wrong with the range or the index.
pub fn find(index: impl Read, chart: &str, wanted: &str) -> Result<Reference, IndexError> {
    let mut choice = Choice { wanted, range: Err(String::new()), exact: None, best: None };
    choice.range =
        Constraint::parse(if wanted.is_empty() { "*" } else { wanted }).map_err(|error| error.to_string());
    let level = Level { wanted: "entries", inner: Some(chart), choice: &mut choice };
    serde_json::Deserializer::from_reader(index)
        .deserialize_map(level)
        .map_err(|error| IndexError::Malformed(error.to_string()))?;
    let chosen = match (choice.exact, choice.range) {
        (Some(entry), _) => entry,
        (None, Err(error)) => return Err(IndexError::Range(wanted.to_owned(), error)),
        (None, Ok(_)) => {
            let not_found = || IndexError::NotFound(chart.to_owned(), wanted.to_owned());
            choice.best.ok_or_else(not_found)?.entry
        }
    };
    let text = |field: &str| chosen[field].as_str().unwrap_or_default().to_owned();
    let urls = chosen["urls"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(Reference {
        name: text("name"),
        version: text("version"),
        urls: urls.iter().filter_map(|url| url.as_str().map(str::to_owned)).collect(),
        digest: Some(text("digest")).filter(|digest| !digest.is_empty()),
    })
}

/// The version that has been the best so far: never more than two are kept.
struct Choice<'w> {
    wanted: &'w str,
    range: Result<Constraint, String>,
    /// The first that is spelt as `wanted`.
    exact: Option<Value>,
    best: Option<Candidate>,
}

struct Candidate {
    version: Version,
    created: Option<jiff::Timestamp>,
    entry: Value,
}

impl Choice<'_> {
    fn look_at(&mut self, entry: Value) {
        let Some(text) = entry["version"].as_str() else { return };
        if self.exact.is_none() && text == self.wanted {
            self.exact = Some(entry);
            return;
        }
        let Ok(version) = Version::parse(text) else { return };
        if !self.range.as_ref().is_ok_and(|range| range.matches(&version)) {
            return;
        }
        let created = entry["created"].as_str().and_then(|text| text.parse().ok());
        let is_better = self.best.as_ref().is_none_or(|best| {
            version.compare(&best.version).then_with(|| created.cmp(&best.created)).is_gt()
        });
        if is_better {
            self.best = Some(Candidate { version, created, entry });
        }
    }
}

/// Skips all keys of a map but one.
struct Level<'w, 'c> {
    wanted: &'w str,
    /// The key to look for one level below; the value itself is the list where there is none.
    inner: Option<&'w str>,
    choice: &'w mut Choice<'c>,
}

impl<'de> DeserializeSeed<'de> for Level<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Level<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an index")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key != self.wanted {
                map.next_value::<IgnoredAny>()?;
            } else if let Some(inner) = self.inner {
                map.next_value_seed(Level { wanted: inner, inner: None, choice: &mut *self.choice })?;
            } else {
                map.next_value_seed(Versions(&mut *self.choice))?;
            }
        }
        Ok(())
    }
}

/// The versions of the chart, one after the other.
struct Versions<'w, 'c>(&'w mut Choice<'c>);

impl<'de> DeserializeSeed<'de> for Versions<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Versions<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of versions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(entry) = list.next_element()? {
            self.0.look_at(entry);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::convert;
    use super::*;

    const INDEX: &str = "apiVersion: v1
entries:
  app:
  - {apiVersion: v2, name: app, version: 2.0.0-rc.1, urls: [r.tgz]}
  - {apiVersion: v2, name: app, version: 1.2.0+a, urls: [a.tgz], created: '2026-01-01T00:00:00Z'}
  - {apiVersion: v2, name: app, version: 1.2.0+b, urls: [b.tgz], created: '2026-02-01T00:00:00Z', digest: abc}
  - {apiVersion: v2, name: app, version: v1.1.0, urls: ['https://example.com/c.tgz', other]}
  other:
  - {apiVersion: v2, name: other, version: 9.0.0}
";

    #[test]
    fn the_highest_version_in_the_range_is_found() {
        let mut index = Vec::new();
        convert(INDEX, &mut index).unwrap();
        for (wanted, version) in [
            ("", "1.2.0+b"),
            ("*", "1.2.0+b"),
            ("1.2.0+a", "1.2.0+a"),
            ("1.2.0", "1.2.0+b"),
            ("~1.1", "v1.1.0"),
            ("1.1.0", "v1.1.0"),
            (">0.0.0-0", "2.0.0-rc.1"),
            ("2.0.0-rc.1", "2.0.0-rc.1"),
        ] {
            assert_eq!(find(&index[..], "app", wanted).unwrap().version, version, "{wanted}");
        }
        let chosen = find(&index[..], "app", "1.x").unwrap();
        assert_eq!((chosen.urls, chosen.digest), (vec!["b.tgz".to_owned()], Some("abc".to_owned())));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let mut index = Vec::new();
        convert(INDEX, &mut index).unwrap();
        for (chart, wanted, want) in [
            ("app", "3.x", "no 'app' chart with version matching '3.x' found"),
            ("none", "", "no 'none' chart with version matching '' found"),
            ("app", "x y", "invalid version or range 'x y': "),
        ] {
            let error = find(&index[..], chart, wanted).unwrap_err().to_string();
            assert!(error.starts_with(want), "{error}");
        }
        assert!(matches!(find(&b"{\"entries\": ["[..], "app", ""), Err(IndexError::Malformed(_))));
    }
}
