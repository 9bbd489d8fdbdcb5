//! Charts, downloaded once per digest: checked, parsed, compiled and kept while there is room.
//!
//! An in-sync HelmRelease needs of its chart only name and version, which are remembered beyond the chart itself; so its
//! pass neither downloads nor parses.

mod version;

pub(crate) use version::{Used, VersionError, used};

use crate::source::Artifact;
use parking_lot::Mutex;
use sluice_artifact::{FetchError, Fetcher};
use sluice_helm::chart::LoadOptions;
use sluice_helm::{Chart, LoadError};
use sluice_release::LoadedChart;
use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Bytes of charts that are kept, by the size of their files.
const KEPT: usize = 16 << 20;
/// What a chart costs beyond its files: parsed templates, values and schema.
const OVERHEAD: usize = 64 << 10;
/// Charts whose name and version are remembered.
const NAMES: usize = 8192;
/// Charts that are downloaded and parsed at a time: that is what takes memory.
const LOADING: usize = 2;

/// A chart's name and versions, as `Chart.yaml` has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChartName {
    pub(crate) name: Arc<str>,
    pub(crate) version: Arc<str>,
}

/// Why a chart cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChartError {
    /// The source has to store it again.
    #[error("failed to download chart from '{0}': file not found")]
    NotFound(String),
    /// The server refused, or what it sent is not what was announced.
    #[error("{0}")]
    Fetch(String),
    /// It is no chart.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// It could not be read back from where it was downloaded to.
    #[error("cannot read the downloaded chart: {0}")]
    Read(std::io::Error),
    /// The process ends.
    #[error("the process ends")]
    Shutdown,
}

/// Downloads and keeps charts.
pub(crate) struct Charts {
    fetcher: Fetcher,
    kept: Mutex<Kept>,
    loading: Semaphore,
}

impl Charts {
    pub(crate) fn new(fetcher: Fetcher) -> Self {
        Self { fetcher, kept: Mutex::default(), loading: Semaphore::new(LOADING) }
    }

    /// The name of a chart that was loaded before.
    pub(crate) fn name(&self, artifact: &Artifact) -> Option<ChartName> {
        self.kept.lock().names.get(&artifact.digest).cloned()
    }

    /// The chart of an artifact under the version that `used` makes of its own.
    pub(crate) async fn get<E: From<ChartError>>(
        &self,
        artifact: &Artifact,
        used: impl Fn(&str) -> Result<String, E>,
        shutdown: &CancellationToken,
    ) -> Result<LoadedChart, E> {
        if let Some(found) = self.kept.lock().find(&artifact.digest, &used) {
            return found;
        }
        // Never closed. Whoever waited may find what another pass loaded.
        let _place = self.loading.acquire().await.ok();
        if let Some(found) = self.kept.lock().find(&artifact.digest, &used) {
            return found;
        }
        let chart = self.load(artifact, shutdown).await?;
        let name = ChartName {
            name: chart.metadata.name.as_str().into(),
            version: chart.metadata.version.as_str().into(),
        };
        let size = size(&chart) + OVERHEAD;
        let version = used(&name.version);
        let mut kept = self.kept.lock();
        kept.remember(&artifact.digest, name);
        let chart = LoadedChart::with_version(chart, &version?);
        kept.put(&artifact.digest, size, chart.clone());
        Ok(chart)
    }

    async fn load(&self, artifact: &Artifact, shutdown: &CancellationToken) -> Result<Chart, ChartError> {
        let url = &artifact.url;
        let download = self.fetcher.download(url, &artifact.digest, shutdown).await;
        let mut file = download.map_err(|err| match err {
            FetchError::NotFound => ChartError::NotFound(url.to_string()),
            FetchError::Cancelled => ChartError::Shutdown,
            FetchError::Mismatch { announced, .. } => {
                ChartError::Fetch(format!("integrity failure: computed digest doesn't match '{announced}'"))
            }
            FetchError::Status { url, status } => {
                ChartError::Fetch(format!("failed to download chart from '{url}' (status: {status})"))
            }
            other => ChartError::Fetch(
                sluice_runtime::telemetry::chain(&other).to_string().replace("archive", "chart"),
            ),
        })?;
        let load = tokio::task::spawn_blocking(move || {
            let mut data = Vec::new();
            file.read_to_end(&mut data).map_err(ChartError::Read)?;
            Ok(Chart::from_archive(&data, &LoadOptions::default())?)
        });
        load.await.map_err(|err| ChartError::Fetch(err.to_string()))?
    }
}

impl std::fmt::Debug for Charts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Charts").field("kept", &self.kept.lock().charts.len()).finish_non_exhaustive()
    }
}

/// What is kept; the least used goes first.
#[derive(Default)]
struct Kept {
    charts: VecDeque<Entry>,
    names: HashMap<Arc<str>, ChartName>,
}

struct Entry {
    digest: Arc<str>,
    size: usize,
    chart: LoadedChart,
}

impl Kept {
    /// A chart by its digest and the version that `used` makes of its own.
    fn find<E>(
        &mut self,
        digest: &str,
        used: impl Fn(&str) -> Result<String, E>,
    ) -> Option<Result<LoadedChart, E>> {
        let version = match used(&self.names.get(digest)?.version) {
            Ok(version) => version,
            Err(err) => return Some(Err(err)),
        };
        let known = |entry: &Entry| *entry.digest == *digest && entry.chart.metadata().version == version;
        let at = self.charts.iter().position(known)?;
        let entry = self.charts.remove(at)?;
        let found = entry.chart.clone();
        self.charts.push_front(entry);
        Some(Ok(found))
    }

    fn remember(&mut self, digest: &Arc<str>, name: ChartName) {
        if self.names.len() >= NAMES {
            // A name is had again by a download; those in use come back first.
            self.names.clear();
        }
        self.names.insert(digest.clone(), name);
    }

    fn put(&mut self, digest: &Arc<str>, size: usize, chart: LoadedChart) {
        self.charts.push_front(Entry { digest: digest.clone(), size, chart });
        let mut sum = 0;
        let fit = self.charts.iter().take_while(|entry| {
            sum += entry.size;
            sum <= KEPT
        });
        let fit = fit.count();
        self.charts.truncate(fit);
    }
}

/// Bytes of a chart's files, twice: as they are, and parsed.
fn size(chart: &Chart) -> usize {
    let files: usize = chart.raw.iter().map(|file| file.data.len()).sum();
    2 * files + chart.dependencies.iter().map(|child| size(child)).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_helm::ChartFile;

    fn chart() -> LoadedChart {
        let data = b"apiVersion: v2\nname: c\nversion: 1.0.0\n".as_slice();
        let files = vec![ChartFile { name: "Chart.yaml".into(), data: data.into(), modified: None }];
        LoadedChart::new(Chart::from_files(files, &LoadOptions::default()).expect("a chart"))
    }

    fn find(kept: &mut Kept, digest: &str, used: &str) -> bool {
        kept.find::<()>(digest, |own| Ok(format!("{own}{used}"))).is_some()
    }

    #[test]
    fn charts_are_kept_by_digest_and_version_within_bounds() {
        let mut kept = Kept::default();
        let digests: Vec<Arc<str>> = (0..8).map(|i| format!("sha256:{i}").into()).collect();
        for digest in &digests {
            kept.remember(digest, ChartName { name: "c".into(), version: "1.0.0".into() });
            kept.put(digest, KEPT / 4 + 1, chart());
        }
        assert_eq!(kept.charts.len(), 3);
        assert!(!find(&mut kept, "sha256:0", "") && find(&mut kept, "sha256:7", ""));
        assert!(!find(&mut kept, "sha256:7", "+abc"), "under another version it is another chart");
        assert_eq!(kept.names.len(), 8, "names outlive their charts");
        kept.put(&digests[0], KEPT + 1, chart());
        assert!(kept.charts.is_empty(), "one beyond all bounds is used, but not kept");
    }
}
