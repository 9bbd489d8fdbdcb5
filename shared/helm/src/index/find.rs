//! One version of one chart in an index that [`convert`](super::convert) wrote.

use std::fmt;
use std::io::Read;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
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
    let versions = versions_of(index, chart).map_err(|error| IndexError::Malformed(error.to_string()))?;
    let not_found = || IndexError::NotFound(chart.to_owned(), wanted.to_owned());
    let versions = versions.ok_or_else(not_found)?;
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let exact = versions.iter().find(|entry| !wanted.is_empty() && entry["version"] == wanted);
    let chosen = match exact {
        Some(entry) => entry,
        None => {
            let range = if wanted.is_empty() { "*" } else { wanted };
            let range = Constraint::parse(range)
                .map_err(|error| IndexError::Range(wanted.to_owned(), error.to_string()))?;
            let mut matching: Vec<(Version, &Value)> = versions
                .iter()
                .filter_map(|entry| Some((Version::parse(entry["version"].as_str()?).ok()?, entry)))
                .filter(|(version, _)| range.matches(version))
                .collect();
            let created = |entry: &Value| entry["created"].as_str()?.parse::<jiff::Timestamp>().ok();
            matching
                .sort_by(|(a, one), (b, other)| b.compare(a).then_with(|| created(other).cmp(&created(one))));
            matching.first().ok_or_else(not_found)?.1
        }
    };
    let urls = chosen["urls"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(Reference {
        name: text(chosen, "name"),
        version: text(chosen, "version"),
        urls: urls.iter().filter_map(|url| url.as_str().map(str::to_owned)).collect(),
        digest: Some(text(chosen, "digest")).filter(|digest| !digest.is_empty()),
    })
}

/// The versions of a chart; all else in the index is skipped unread.
fn versions_of(index: impl Read, chart: &str) -> Result<Option<Vec<Value>>, serde_json::Error> {
    let mut found = None;
    let level = Level { wanted: "entries", inner: Some(chart), found: &mut found };
    serde_json::Deserializer::from_reader(index).deserialize_map(level)?;
    Ok(found)
}

/// Skips all keys of a map but one.
struct Level<'w> {
    wanted: &'w str,
    /// The key to look for one level below; the value itself is taken where there is none.
    inner: Option<&'w str>,
    found: &'w mut Option<Vec<Value>>,
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an index")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key != self.wanted {
                map.next_value::<IgnoredAny>()?;
            } else if let Some(inner) = self.inner {
                map.next_value_seed(Level { wanted: inner, inner: None, found: &mut *self.found })?;
            } else {
                *self.found = map.next_value()?;
            }
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
