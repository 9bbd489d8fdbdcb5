//! What a chart is, once it is read: metadata, defaults, templates, files and subcharts.
//!
//! A [`Chart`] is immutable and shared: nothing that a release does changes it. What a release makes of it (aliases,
//! disabled subcharts, imported values) is an [`Instance`](crate::Instance).

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use serde_json::{Map, Value};

mod error;
mod metadata;

pub use error::LoadError;
pub use metadata::{Dependency, ImportValue, Lock, Maintainer, Metadata};

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

impl Chart {
    /// The name in `Chart.yaml`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Whether the chart holds only helpers for other charts: files that begin with `_`.
    #[must_use]
    pub fn is_library(&self) -> bool {
        self.metadata.kind == "library"
    }

    /// The file `name` as it was read.
    #[must_use]
    pub fn raw_file(&self, name: &str) -> Option<&ChartFile> {
        self.raw.iter().find(|file| file.name == name)
    }
}
