//! Packs a chart into a reproducible archive.
//!
//! The same chart gives the same bytes: files are in a fixed order, subcharts in the order of their folders, nothing of
//! the machine gets in. What is left is the time of each file; [`Options::epoch`] replaces those, too.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::{Compression, GzBuilder};

use crate::semver::Version;
use crate::{Chart, ChartFile};

mod metadata;

pub(crate) use metadata::metadata_value;
pub use metadata::{chart_yaml, lock_yaml};

/// What Helm writes into the header of the gzip stream, so that archives can be told apart.
const GZIP_EXTRA: &[u8] = b"rr\x28\x00aHR0cHM6Ly95b3V0dS5iZS96OVV6MWljandyTQo=";

/// How a chart is packed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Replaces the chart's version.
    pub version: Option<String>,
    /// Replaces the version of what the chart installs.
    pub app_version: Option<String>,
    /// The time of every file, in seconds since 1970.
    pub epoch: Option<u64>,
}

/// A packed chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// `name-version.tgz`
    pub file_name: String,
    /// The content.
    pub data: Vec<u8>,
}

/// Why a chart cannot be packed; the texts are Helm's.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The version is not one.
    #[error("{0}")]
    Version(String),
    /// Subcharts that `Chart.yaml` asks for are not there.
    #[error("found in Chart.yaml, but missing in charts/ directory: {0}")]
    Missing(String),
    /// The schema of a chart is not JSON.
    #[error("failed to save: invalid JSON in values.schema.json")]
    Schema,
    /// The name of a chart would lead out of its folder.
    #[error("failed to save: invalid chart name \"{0}\"")]
    Name(String),
    /// The archive cannot hold a file.
    #[error("failed to save: {0}")]
    Write(#[from] std::io::Error),
}

/// Packs a chart and its subcharts.
///
/// # Errors
/// If the version is none, if a subchart is missing, or if a file cannot be part of a package.
pub fn package(chart: &Chart, options: &Options) -> Result<Archive, PackageError> {
    let mut chart = chart.clone();
    if let Some(version) = &options.version {
        chart.metadata.version.clone_from(version);
    }
    Version::parse(&chart.metadata.version).map_err(|error| PackageError::Version(error.to_string()))?;
    if let Some(version) = &options.app_version {
        chart.metadata.app_version.clone_from(version);
    }
    let missing = crate::dependencies::missing(&chart);
    if !missing.is_empty() {
        return Err(PackageError::Missing(missing.join(", ")));
    }
    let zip = GzBuilder::new()
        .extra(GZIP_EXTRA)
        .comment("Helm")
        .mtime(0)
        .operating_system(255)
        .write(Vec::new(), Compression::default());
    let mut writer = Writer { tar: tar::Builder::new(zip), epoch: options.epoch };
    writer.chart(&chart, "")?;
    let data = writer.tar.into_inner()?.finish()?;
    Ok(Archive { file_name: format!("{}-{}.tgz", chart.name(), chart.metadata.version), data })
}

struct Writer<W: Write> {
    tar: tar::Builder<W>,
    epoch: Option<u64>,
}

impl<W: Write> Writer<W> {
    /// Subcharts are nested no deeper than the loader allows.
    fn chart(&mut self, chart: &Chart, prefix: &str) -> Result<(), PackageError> {
        let name = chart.name();
        if name.is_empty() || name.contains(['/', '\\']) || name == "." || name == ".." {
            return Err(PackageError::Name(name.to_owned()));
        }
        let base = format!("{prefix}{name}/");
        let modified = |file: Option<&ChartFile>| file.and_then(|file| file.modified);
        let chart_file = modified(chart.raw_file("Chart.yaml"));
        self.file(&base, "Chart.yaml", chart_yaml(&chart.metadata).as_bytes(), chart_file)?;
        if chart.metadata.api_version == "v2"
            && let Some(lock) = &chart.lock
        {
            let generated = metadata::lock_time(lock);
            let text = lock_yaml(lock, self.epoch);
            self.file(&base, "Chart.lock", text.as_bytes(), generated)?;
        }
        if let Some(values) = chart.raw_file("values.yaml") {
            self.file(&base, "values.yaml", &values.data, values.modified)?;
        }
        if let Some(schema) = &chart.schema {
            if serde_json::from_slice::<serde::de::IgnoredAny>(schema).is_err() {
                return Err(PackageError::Schema);
            }
            let schema_file = modified(chart.raw_file("values.schema.json"));
            self.file(&base, "values.schema.json", schema, schema_file)?;
        }
        for file in chart.templates.iter().chain(&chart.files) {
            self.file(&base, &file.name, &file.data, file.modified)?;
        }
        for dependency in &chart.dependencies {
            self.chart(dependency, &format!("{base}charts/"))?;
        }
        Ok(())
    }

    fn file(
        &mut self,
        base: &str,
        name: &str,
        data: &[u8],
        modified: Option<SystemTime>,
    ) -> Result<(), PackageError> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(data.len() as u64);
        header.set_mtime(self.epoch.unwrap_or_else(|| modified.map_or(0, seconds)));
        self.tar.append_data(&mut header, format!("{base}{name}"), data)?;
        Ok(())
    }
}

/// Seconds since 1970, rounded as Go's writer rounds them.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() + u64::from(since.subsec_millis() >= 500))
}
