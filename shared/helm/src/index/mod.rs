//! The index of a chart repository: reading what a server sends, keeping it in a compact form, and finding a chart in it.
//!
//! An index may be tens of megabytes for some hundred charts. It is never a tree in memory: [`convert`] reads it one
//! version at a time and keeps the text of one chart to put its versions in order, [`find`] reads what that wrote and
//! keeps the one version that was asked for.

mod find;
mod read;

use std::io::Write;
use std::ops::Range;

use serde_json::Value;

use crate::chart::Metadata;
use crate::semver::Version;

pub use find::{Reference, find};

/// Why an index cannot be used. The texts are Helm's where it has one.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The text is neither JSON nor YAML, or has another shape.
    #[error("{0}")]
    Malformed(String),
    /// There is nothing in the text.
    #[error("empty index.yaml file")]
    Empty,
    /// `apiVersion` is missing.
    #[error("no API version specified")]
    NoApiVersion,
    /// The JSON cannot be written.
    #[error("cannot write the index: {0}")]
    Write(#[from] std::io::Error),
    /// The version that was asked for is neither a version nor a range.
    #[error("invalid version or range '{0}': {1}")]
    Range(String, String),
    /// No chart, or no version of it, is what was asked for.
    #[error("no '{0}' chart with version matching '{1}' found")]
    NotFound(String, String),
}

/// What an index holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Charts.
    pub charts: usize,
    /// Versions of all charts.
    pub versions: usize,
    /// Entries that were left out, because they are null or not a valid chart.
    pub dropped: usize,
}

/// Reads the `index.yaml` of a repository, JSON or strict YAML, and writes it as indented JSON: entries that are no valid
/// chart are left out, the versions of a chart stand in descending order.
///
/// # Errors
/// [`IndexError`] for a text that is no index, or when `out` fails.
pub fn convert(text: &str, out: &mut impl Write) -> Result<Summary, IndexError> {
    if text.trim().is_empty() {
        return Err(IndexError::Empty);
    }
    let mut writer =
        Writer { out, fields: 0, charts: None, chart: None, summary: Summary::default(), has_version: false };
    writer.out.write_all(b"{")?;
    read::pieces(text, |piece| match piece {
        read::Piece::Top(name, value) => writer.field(name, &value),
        read::Piece::Chart(name) => writer.begin_chart(name),
        read::Piece::Version(entry) => writer.version(entry),
    })?;
    writer.end()
}

struct Writer<'w, W: Write> {
    out: &'w mut W,
    fields: usize,
    /// How many charts stand in `entries`, while that is open.
    charts: Option<usize>,
    chart: Option<OpenChart>,
    summary: Summary,
    has_version: bool,
}

/// A chart whose versions are still coming.
struct OpenChart {
    name: String,
    /// Each version and where its entry is in `json`.
    versions: Vec<(Version, Range<usize>)>,
    json: Vec<u8>,
}

impl<W: Write> Writer<'_, W> {
    fn field(&mut self, name: &str, value: &Value) -> Result<(), IndexError> {
        if !matches!(name, "apiVersion" | "generated" | "publicKeys" | "annotations") {
            return Ok(());
        }
        self.close_charts()?;
        self.has_version |= name == "apiVersion" && value.as_str().is_some_and(|version| !version.is_empty());
        self.name(name, 1)?;
        self.value(value, 1)
    }

    fn begin_chart(&mut self, name: &str) -> Result<(), IndexError> {
        self.close_chart()?;
        self.chart = Some(OpenChart { name: name.to_owned(), versions: Vec::new(), json: Vec::new() });
        Ok(())
    }

    fn version(&mut self, entry: Value) -> Result<(), IndexError> {
        let Some(chart) = &mut self.chart else { return Ok(()) };
        let Some(version) = version_of(&entry) else {
            self.summary.dropped += 1;
            return Ok(());
        };
        let start = chart.json.len();
        serde_json::to_writer(&mut chart.json, &entry).map_err(std::io::Error::from)?;
        chart.versions.push((version, start..chart.json.len()));
        Ok(())
    }

    fn close_chart(&mut self) -> Result<(), IndexError> {
        let Some(OpenChart { name, mut versions, json }) = self.chart.take() else { return Ok(()) };
        // Stable: what a server lists first of two equal versions stays first.
        versions.sort_by(|(a, _), (b, _)| b.compare(a));
        if self.charts.is_none() {
            self.name("entries", 1)?;
            self.out.write_all(b"{")?;
        }
        let count = self.charts.get_or_insert(0);
        if *count > 0 {
            self.out.write_all(b",")?;
        }
        *count += 1;
        self.summary.charts += 1;
        self.summary.versions += versions.len();
        self.indent(2)?;
        serde_json::to_writer(&mut *self.out, &name).map_err(std::io::Error::from)?;
        self.out.write_all(b": [")?;
        for (number, (_, range)) in versions.iter().enumerate() {
            if number > 0 {
                self.out.write_all(b",")?;
            }
            self.indent(3)?;
            let entry: Value = serde_json::from_slice(&json[range.clone()]).map_err(std::io::Error::from)?;
            self.value(&entry, 3)?;
        }
        if !versions.is_empty() {
            self.indent(2)?;
        }
        Ok(self.out.write_all(b"]")?)
    }

    fn name(&mut self, name: &str, level: usize) -> Result<(), IndexError> {
        if self.fields > 0 {
            self.out.write_all(b",")?;
        }
        self.fields += 1;
        self.indent(level)?;
        serde_json::to_writer(&mut *self.out, name).map_err(std::io::Error::from)?;
        Ok(self.out.write_all(b": ")?)
    }

    fn indent(&mut self, level: usize) -> Result<(), IndexError> {
        self.out.write_all(b"\n")?;
        Ok(self.out.write_all("  ".repeat(level).as_bytes())?)
    }

    fn value(&mut self, value: &Value, level: usize) -> Result<(), IndexError> {
        let text = serde_json::to_string_pretty(value).map_err(std::io::Error::from)?;
        for (at, line) in text.lines().enumerate() {
            if at > 0 {
                self.indent(level)?;
            }
            self.out.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    fn close_charts(&mut self) -> Result<(), IndexError> {
        self.close_chart()?;
        if self.charts.take().is_some() {
            self.indent(1)?;
            self.out.write_all(b"}")?;
        }
        Ok(())
    }

    fn end(mut self) -> Result<Summary, IndexError> {
        self.close_charts()?;
        if !self.has_version {
            return Err(IndexError::NoApiVersion);
        }
        self.out.write_all(b"\n}\n")?;
        Ok(self.summary)
    }
}

/// The version of an entry, if it is a valid chart.
fn version_of(entry: &Value) -> Option<Version> {
    let metadata = Metadata::checked(entry)?;
    Version::parse(&metadata.version).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(text: &str) -> Result<(String, Summary), IndexError> {
        let mut out = Vec::new();
        let summary = convert(text, &mut out)?;
        Ok((String::from_utf8(out).expect("JSON"), summary))
    }

    const INDEX: &str = "apiVersion: v1
entries:
  b:
  - {apiVersion: v2, name: b, version: 1.0.0, urls: [b-1.0.0.tgz]}
  - {apiVersion: v2, name: b, version: 1.10.0, urls: [b-1.10.0.tgz]}
  -
  - {apiVersion: v2, name: b, version: nonsense}
  - {apiVersion: v2, name: b, version: 1.9.0, urls: [b-1.9.0.tgz]}
  a: []
generated: 2026-01-01T00:00:00Z
";

    #[test]
    fn an_index_becomes_sorted_json_without_what_is_no_chart() {
        let (text, summary) = converted(INDEX).unwrap();
        assert_eq!(summary, Summary { charts: 2, versions: 3, dropped: 2 });
        let value: Value = serde_json::from_str(&text).unwrap();
        let versions: Vec<_> =
            value["entries"]["b"].as_array().unwrap().iter().map(|entry| entry["version"].clone()).collect();
        assert_eq!(versions, ["1.10.0", "1.9.0", "1.0.0"]);
        assert_eq!(value["entries"]["a"], serde_json::json!([]));
        assert_eq!(
            (&value["apiVersion"], &value["generated"]),
            (&"v1".into(), &"2026-01-01T00:00:00Z".into())
        );
        // What was written is an index again, and the same one.
        assert_eq!(converted(&text).unwrap().0, text);
    }

    #[test]
    fn what_is_no_index_is_refused() {
        for (text, want) in [
            ("", "empty index.yaml file"),
            ("entries: {}\n", "no API version specified"),
            ("{\"entries\": {}}", "no API version specified"),
            ("apiVersion: v1\nentries:\n  a: []\n  a: []\n", "already defined"),
            ("apiVersion: v1\napiVersion: v1\n", "already defined"),
            ("- a\n", "not a map"),
            ("<html>\n<body>a: b: c</body>", "the document is not a map"),
        ] {
            let error = converted(text).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
