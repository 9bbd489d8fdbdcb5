//! Charts to files: the part of a build that reads and writes folders and archives, and waits for nobody.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluice_artifact::secure_join;
use sluice_helm::chart::LoadOptions;
use sluice_helm::{Chart, Metadata, package};

use super::fault::{Fault, Step};
use super::values::Merged;

/// Reads charts that come from somewhere else.
#[derive(Debug, Clone)]
pub(super) struct Loader {
    options: LoadOptions,
    /// The folder outside of which nothing is read; its name is left out of messages.
    root: PathBuf,
}

impl Loader {
    /// A loader of what lies below `root`, with files of at most `max_file` bytes.
    pub(super) fn new(root: &Path, max_file: u64) -> Self {
        let options = LoadOptions {
            links_within: Some(root.to_owned()),
            max_file_bytes: max_file,
            ..LoadOptions::default()
        };
        Self { options, root: root.to_owned() }
    }

    /// Where a path from a spec or a chart leads, which is never outside of the root.
    pub(super) fn path(&self, untrusted: impl AsRef<Path>) -> Result<PathBuf, String> {
        secure_join(&self.root, untrusted).map_err(|error| self.shown(&error.to_string()))
    }

    /// No more than the metadata of a chart.
    pub(super) fn metadata(&self, path: &Path) -> Result<Metadata, String> {
        Metadata::load(path, &self.options).map_err(|error| self.shown(&error.to_string()))
    }

    /// A chart with all that is in it.
    pub(super) fn chart(&self, path: &Path) -> Result<Chart, String> {
        Chart::load(path, &self.options).map_err(|error| self.shown(&error.to_string()))
    }

    /// No more than the metadata of a chart that was downloaded into a file.
    pub(super) fn downloaded_metadata(&self, path: &Path) -> Result<Metadata, String> {
        let data = std::fs::read(path).map_err(|error| error.to_string())?;
        Metadata::from_archive(&data, &self.options).map_err(|error| error.to_string())
    }

    /// A chart that was downloaded into a file.
    pub(super) fn downloaded_chart(&self, path: &Path) -> Result<Chart, String> {
        let data = std::fs::read(path).map_err(|error| error.to_string())?;
        Chart::from_archive(&data, &self.options).map_err(|error| error.to_string())
    }

    /// A text that may hold names of files, as somebody sees it who knows nothing of our folders.
    pub(super) fn shown(&self, text: &str) -> String {
        text.replace(&*self.root.to_string_lossy(), "")
    }
}

/// Writes a chart with that version into an archive.
pub(super) fn pack(chart: &Chart, version: &str, to: &Path) -> Result<(), Fault> {
    let options = package::Options { version: Some(version.to_owned()), ..package::Options::default() };
    let archive = package::package(chart, &options).map_err(|error| Step::Package.fault(error))?;
    std::fs::write(to, archive.data).map_err(|error| Step::Package.fault(error))
}

/// Makes merged values the defaults of a chart, if there was a file to merge.
pub(super) fn set_values(chart: &mut Chart, merged: Merged) -> Vec<String> {
    if !merged.files.is_empty() {
        chart.set_defaults(merged.values);
    }
    merged.files
}

/// Adds subcharts in the order in which they are asked for. Two of one name would share a folder: the second then goes
/// by its alias.
pub(super) fn add(chart: &mut Chart, subcharts: Vec<(Chart, String)>) -> Result<(), Fault> {
    for (mut subchart, alias) in subcharts {
        let same = chart.dependencies.iter().find(|known| known.name() == subchart.name());
        if let Some(same) = same {
            if same.metadata.version == subchart.metadata.version {
                continue;
            }
            if alias.is_empty() || chart.dependencies.iter().any(|known| known.name() == alias) {
                let (name, one, other) =
                    (subchart.name(), &same.metadata.version, &subchart.metadata.version);
                return Err(Step::Dependencies.fault(format!(
                    "'{name}' is asked for as {one} and as {other}: give the second an alias"
                )));
            }
            subchart.metadata.name = alias;
        }
        chart.dependencies.push(Arc::new(subchart));
    }
    Ok(())
}

/// Runs what blocks where that is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Fault::unexpected(error)))
}
