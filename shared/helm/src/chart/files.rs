//! Files in memory to a chart: which path means what.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::metadata::{Lock, Metadata};
use super::{Chart, ChartFile, LoadError, archive};
use crate::dependencies::plan::compatible;
use crate::values;

/// Subcharts within subcharts, folders and archives alike.
const DEPTH: usize = 32;

/// What may still be read while a chart and the archives in it are loaded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Bytes of all files.
    pub(super) bytes: u64,
    /// The number of bytes that all started with, for messages.
    pub(super) max: u64,
    /// The number of files.
    pub(super) files: usize,
    /// Levels of subcharts.
    pub(super) depth: usize,
}

impl Budget {
    pub(super) fn new(max: u64, files: usize) -> Self {
        Self { bytes: max, max, files, depth: DEPTH }
    }

    /// Takes one file of `size` bytes.
    pub(super) fn take(&mut self, size: u64) -> bool {
        match (self.bytes.checked_sub(size), self.files.checked_sub(1)) {
            (Some(bytes), Some(files)) => {
                (self.bytes, self.files) = (bytes, files);
                true
            }
            _ => false,
        }
    }
}

/// Makes a chart of its files.
///
/// # Errors
/// Helm's text for what is missing, cannot be read or is not allowed.
pub(super) fn load(files: Vec<ChartFile>, budget: &mut Budget) -> Result<Chart, LoadError> {
    let mut metadata = None;
    for file in files.iter().filter(|file| file.name == "Chart.yaml") {
        let metadata: &mut Metadata = metadata.get_or_insert_default();
        metadata.read(&file.data).map_err(|error| cannot_load(file, &error))?;
        if metadata.api_version.is_empty() {
            metadata.api_version = "v1".into();
        }
    }
    let mut loading = Loading { metadata, ..Loading::default() };
    for file in &files {
        loading.take(file)?;
    }
    let Some(mut metadata) = loading.metadata else {
        return Err(LoadError::new("Chart.yaml file is missing"));
    };
    metadata.clean().map_err(LoadError::new)?;
    let mut warnings = loading.warnings;
    let mut dependencies = Vec::new();
    for (name, files) in loading.subcharts {
        if name.starts_with(['_', '.']) {
            continue;
        }
        let subchart = subchart(&name, files, &metadata.name, budget)?;
        warnings.extend(subchart.warnings.iter().cloned());
        dependencies.push(Arc::new(subchart));
    }
    let mut advice = loading.advice;
    advice.extend(other_versions(&metadata, &dependencies));
    Ok(Chart {
        metadata,
        lock: loading.lock,
        values: loading.values,
        schema: loading.schema,
        templates: loading.templates,
        files: loading.files,
        raw: files,
        dependencies,
        warnings,
        advice,
    })
}

#[derive(Default)]
struct Loading {
    metadata: Option<Metadata>,
    lock: Option<Lock>,
    values: serde_json::Map<String, serde_json::Value>,
    schema: Option<bytes::Bytes>,
    templates: Vec<ChartFile>,
    files: Vec<ChartFile>,
    /// By the first component below `charts/`; the names of the files begin with it.
    subcharts: BTreeMap<String, Vec<ChartFile>>,
    warnings: Vec<String>,
    advice: Vec<String>,
}

impl Loading {
    fn take(&mut self, file: &ChartFile) -> Result<(), LoadError> {
        match file.name.as_str() {
            "Chart.yaml" => {}
            "Chart.lock" => {
                self.lock = Some(Lock::read(&file.data).map_err(|error| cannot_load(file, &error))?)
            }
            "values.yaml" => {
                let mut notices = Vec::new();
                self.values = values::read_documents_noting(&file.data, &mut notices)
                    .map_err(|error| cannot_load(file, &error))?;
                self.advice.extend(notices.iter().map(|notice| values::advice(&file.name, notice)));
            }
            "values.schema.json" => self.schema = Some(file.data.clone()),
            "requirements.yaml" => {
                if !self.is_v1() {
                    self.warnings.push(
                        "Warning: Dependencies are handled in Chart.yaml since apiVersion \"v2\". We recommend \
                         migrating dependencies to Chart.yaml."
                            .into(),
                    );
                }
                let metadata = self.metadata.get_or_insert_default();
                metadata.read(&file.data).map_err(|error| cannot_load(file, &error))?;
                self.keep_if_v1(file);
            }
            "requirements.lock" => {
                self.lock = Some(Lock::read(&file.data).map_err(|error| cannot_load(file, &error))?);
                if !self.is_v1() {
                    self.warnings.push(
                        "Warning: Dependency locking is handled in Chart.lock since apiVersion \"v2\". We recommend \
                         migrating to Chart.lock."
                            .into(),
                    );
                }
                self.keep_if_v1(file);
            }
            name if name.starts_with("templates/") => self.templates.push(file.clone()),
            name => match name.strip_prefix("charts/") {
                Some(below) if !name.ends_with(".prov") => {
                    let first = below.split('/').next().unwrap_or(below).to_owned();
                    let file = ChartFile { name: below.to_owned(), ..file.clone() };
                    self.subcharts.entry(first).or_default().push(file);
                }
                _ => self.files.push(file.clone()),
            },
        }
        Ok(())
    }

    fn is_v1(&self) -> bool {
        self.metadata.as_ref().is_some_and(|metadata| metadata.api_version == "v1")
    }

    fn keep_if_v1(&mut self, file: &ChartFile) {
        if self.is_v1() {
            self.files.push(file.clone());
        }
    }
}

fn subchart(
    name: &str,
    files: Vec<ChartFile>,
    parent: &str,
    budget: &mut Budget,
) -> Result<Chart, LoadError> {
    let frame =
        |error: LoadError| LoadError::new(format!("error unpacking subchart {name} in {parent}: {error}"));
    if budget.depth == 0 {
        return Err(frame(LoadError::new(format!("subcharts are nested deeper than {DEPTH} levels"))));
    }
    budget.depth -= 1;
    let loaded = if name.ends_with(".tgz") {
        match files.into_iter().next() {
            Some(file) if file.name == name => archive::load_within(&file.data, budget),
            other => {
                let got = other.map(|file| file.name).unwrap_or_default();
                return Err(LoadError::new(format!(
                    "error unpacking subchart tar in {parent}: expected {name}, got {got}"
                )));
            }
        }
    } else {
        let below = |file: ChartFile| {
            let name = file.name.split_once('/')?.1.to_owned();
            Some(ChartFile { name, ..file })
        };
        load(files.into_iter().filter_map(below).collect(), budget)
    };
    budget.depth += 1;
    loaded.map_err(frame)
}

/// Subcharts of a version that `Chart.yaml` does not ask for: they are rendered all the same.
fn other_versions(metadata: &Metadata, subcharts: &[Arc<Chart>]) -> Vec<String> {
    let mut found = Vec::new();
    for wanted in metadata.dependencies.iter().filter(|wanted| !wanted.version.is_empty()) {
        let mut named = subcharts.iter().filter(|subchart| subchart.name() == wanted.name).peekable();
        let fits = |subchart: &Arc<Chart>| compatible(&wanted.version, &subchart.metadata.version);
        let Some(first) = named.peek().copied() else { continue };
        if !named.any(fits) {
            let (name, asked, there) = (&wanted.name, &wanted.version, &first.metadata.version);
            found.push(format!(
                "Chart.yaml: the dependency {name} asks for version {asked}, but charts/ holds {there}, which is taken"
            ));
        }
    }
    found
}

fn cannot_load(file: &ChartFile, error: &str) -> LoadError {
    LoadError::new(format!("cannot load {}: {error}", file.name))
}
