//! What a chart is, once it is read: metadata, defaults, templates, files and subcharts.
//!
//! A [`Chart`] is immutable and shared: nothing that a release does changes it. What a release makes of it (aliases,
//! disabled subcharts, imported values) is an [`Instance`](crate::Instance).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use serde_json::{Map, Value};

mod archive;
mod decode;
mod directory;
mod error;
mod file;
mod files;
mod ignore;
mod metadata;
mod serialize;
mod validate;
mod version;

pub(crate) use directory::go_error;
pub use error::LoadError;
pub use metadata::{Dependency, ImportValue, Lock, Maintainer, Metadata};
pub(crate) use serialize::OrNull;

/// The file of the defaults.
pub const VALUES: &str = "values.yaml";

/// A chart and its subcharts.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// `Chart.yaml`, with the dependencies of `requirements.yaml` where that exists.
    pub metadata: Metadata,
    /// `Chart.lock` or `requirements.lock`.
    pub lock: Option<Lock>,
    /// The defaults: all documents of `values.yaml`, merged. Numbers are floats (JSON floats, integral or not).
    pub values: Map<String, Value>,
    /// `values.schema.json` as it stands.
    pub schema: Option<Bytes>,
    /// Everything below `templates/`, in the order of loading.
    pub templates: Vec<ChartFile>,
    /// What templates see as `.Files`: all files without a meaning of their own, CRDs among them.
    pub files: Vec<ChartFile>,
    /// Every file, as it was read.
    pub raw: Vec<ChartFile>,
    /// The subcharts in byte order of their folders in `charts/`.
    pub dependencies: Vec<Arc<Chart>>,
    /// What loading had to say, in Helm's words; no reason to stop.
    pub warnings: Vec<String>,
    /// What Helm accepts without a word, and the chart's author hardly meant. Subcharts are not looked at: who uses them
    /// seldom can change them.
    pub advice: Vec<String>,
}

/// One file of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartFile {
    /// The path from the chart's root, with `/`.
    pub name: String,
    /// The content, without a UTF-8 byte order mark.
    pub data: Bytes,
    /// When it was changed last, if the source says so.
    pub modified: Option<SystemTime>,
}

/// How a chart is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// Symbolic links in a chart's folder may lead anywhere, as Helm lets them. Only for charts of one's own.
    pub links_anywhere: bool,
    /// The folder within which links have to stay; the chart's own by default.
    pub links_within: Option<PathBuf>,
    /// Bytes of all files, subcharts and what is packed in them included.
    pub max_bytes: u64,
    /// Bytes of one file in a folder; no limit of its own by default.
    pub max_file_bytes: u64,
    /// Number of all files.
    pub max_files: usize,
}

impl Default for LoadOptions {
    /// 100 MiB, which is Helm's limit, in 50,000 files.
    fn default() -> Self {
        Self {
            links_anywhere: false,
            links_within: None,
            max_bytes: 100 << 20,
            max_file_bytes: u64::MAX,
            max_files: 50_000,
        }
    }
}

impl Metadata {
    /// Reads no more than the `Chart.yaml` of a folder or of an archive file.
    ///
    /// # Errors
    /// Helm's text for what is missing, cannot be read or is not allowed.
    pub fn load(path: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        let info =
            path.metadata().map_err(|error| LoadError::new(directory::go_error("stat", path, &error)))?;
        if info.is_dir() {
            directory::metadata(path, options)
        } else {
            Self::from_archive(&file::read(path, options)?, options)
        }
    }

    /// Reads no more than the `Chart.yaml` in the bytes of an archive.
    ///
    /// # Errors
    /// Helm's text for what is missing, cannot be read or is not allowed.
    pub fn from_archive(data: &[u8], options: &LoadOptions) -> Result<Self, LoadError> {
        archive::metadata(data, options)
    }
}

impl Chart {
    /// Loads a chart from a folder or from an archive file.
    ///
    /// # Errors
    /// Helm's text for what is missing, cannot be read or is not allowed.
    pub fn load(path: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        let info =
            path.metadata().map_err(|error| LoadError::new(directory::go_error("stat", path, &error)))?;
        if info.is_dir() { directory::load(path, options) } else { file::load(path, options) }
    }

    /// Loads a chart from the bytes of an archive.
    ///
    /// # Errors
    /// Helm's text for what is missing, cannot be read or is not allowed.
    pub fn from_archive(data: &[u8], options: &LoadOptions) -> Result<Self, LoadError> {
        archive::load(data, options)
    }

    /// Makes a chart of files in memory; their names are paths from the chart's root.
    ///
    /// # Errors
    /// Helm's text for what is missing, cannot be read or is not allowed.
    pub fn from_files(files: Vec<ChartFile>, options: &LoadOptions) -> Result<Self, LoadError> {
        if let Some(file) = files.iter().find(|file| file.name == "Chart.yaml") {
            version::check(&file.data)?;
        }
        files::load(files, &mut files::Budget::new(options.max_bytes, options.max_files))
    }

    /// Makes other values the defaults, in `values.yaml` as well.
    pub fn set_defaults(&mut self, values: Map<String, Value>) {
        let text = sluice_yaml::to_string(&Value::Object(values.clone()));
        let file = ChartFile { name: VALUES.to_owned(), data: text.into(), modified: None };
        match self.raw.iter_mut().find(|file| file.name == VALUES) {
            Some(known) => *known = file,
            None => self.raw.push(file),
        }
        self.values = values;
    }

    /// The name in `Chart.yaml`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Whether the chart holds only helpers for other charts: files that begin with `_`.
    #[must_use]
    pub fn is_library(&self) -> bool {
        self.metadata.kind.eq_ignore_ascii_case("library")
    }

    /// The file `name` as it was read.
    #[must_use]
    pub fn raw_file(&self, name: &str) -> Option<&ChartFile> {
        self.raw.iter().find(|file| file.name == name)
    }
}
