//! A chart that is ready to be released, again and again.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use sluice_helm::{Chart, Metadata, Renderer};

/// A loaded chart with its templates compiled when they are first needed. Cheap to clone; keep one per digest.
#[derive(Clone)]
pub struct LoadedChart {
    renderer: Arc<Renderer>,
    asks_for_apis: bool,
}

impl LoadedChart {
    /// Takes a chart as it was loaded.
    #[must_use]
    pub fn new(chart: Chart) -> Self {
        let asks_for_apis = mentions_apis(&chart);
        Self { renderer: Arc::new(Renderer::new(Arc::new(chart))), asks_for_apis }
    }

    /// Takes a chart under another version than its own, as Flux names those of OCI artifacts.
    #[must_use]
    pub fn with_version(mut chart: Chart, version: &str) -> Self {
        version.clone_into(&mut chart.metadata.version);
        Self::new(chart)
    }

    /// `Chart.yaml`, with the version as it is used.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.renderer.chart().metadata
    }

    /// `<name>@<version>`: how messages name the chart.
    #[must_use]
    pub fn versioned(&self) -> String {
        format!("{}@{}", self.metadata().name, self.metadata().version)
    }

    pub(crate) fn renderer(&self) -> &Arc<Renderer> {
        &self.renderer
    }

    /// Whether a template asks which APIs the cluster has, and needs a fresh answer.
    pub(crate) fn asks_for_apis(&self) -> bool {
        self.asks_for_apis
    }

    /// The same chart with other defaults.
    pub(crate) fn with_defaults(&self, values: Map<String, Value>) -> Self {
        let chart = Chart { values, ..(**self.renderer.chart()).clone() };
        Self { renderer: Arc::new(Renderer::new(Arc::new(chart))), asks_for_apis: self.asks_for_apis }
    }
}

impl fmt::Debug for LoadedChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.versioned())
    }
}

fn mentions_apis(chart: &Chart) -> bool {
    const WORD: &[u8] = b"APIVersions";
    let mentions = |data: &[u8]| data.windows(WORD.len()).any(|window| window == WORD);
    chart.templates.iter().any(|file| mentions(&file.data))
        || chart.dependencies.iter().any(|subchart| mentions_apis(subchart))
}
