//! `helmCharts`: what an entry asks for, and the seam behind which somebody renders it.
//!
//! This crate knows no templates. Without a [`ChartRenderer`] in the options, charts are refused as kustomize refuses
//! them without `--enable-helm`. Charts are never fetched: they have to lie in the chart home.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{BuildError, ErrorKind, Result, Within as _};
use crate::file::Kustomization;
use crate::loader::Files;
use crate::read;
use crate::resource::Resource;

/// The name of the generator in messages and origins.
pub(crate) const GENERATOR: &str = "HelmChartInflationGenerator";

/// Renders charts.
pub trait ChartRenderer: Send + Sync {
    /// The documents that a chart renders to, as one stream.
    ///
    /// # Errors
    /// The text is shown with the name of the chart.
    fn render(&self, request: &ChartRequest) -> Result<String, String>;
}

/// One chart to render.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChartRequest {
    /// The folder of the chart; absolute.
    pub chart: PathBuf,
    /// Nothing outside of this folder may be read.
    pub root: PathBuf,
    /// The release's name, if one is given.
    pub release_name: Option<String>,
    /// A template for the release's name.
    pub name_template: Option<String>,
    /// The release's namespace; empty where neither the entry nor a kustomization names one.
    pub namespace: String,
    /// The values, later ones over earlier ones.
    pub values: Vec<Map<String, Value>>,
    /// APIs that the cluster has besides Kubernetes' own.
    pub api_versions: Vec<String>,
    /// The version of the cluster.
    pub kube_version: Option<String>,
    /// Whether CRDs are part of the result.
    pub include_crds: bool,
    /// Whether hooks are left out.
    pub skip_hooks: bool,
    /// Whether tests are left out.
    pub skip_tests: bool,
}

/// How charts are rendered, and what counts where a chart's entry says nothing.
#[derive(Clone)]
pub struct Helm {
    /// Who renders.
    pub renderer: Arc<dyn ChartRenderer>,
    /// For entries without `apiVersions`.
    pub api_versions: Vec<String>,
    /// For entries without `kubeVersion`.
    pub kube_version: Option<String>,
}

impl fmt::Debug for Helm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Helm")
            .field("api_versions", &self.api_versions)
            .field("kube_version", &self.kube_version)
            .finish_non_exhaustive()
    }
}

/// Equal where they share the renderer.
impl PartialEq for Helm {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.renderer, &other.renderer)
            && self.api_versions == other.api_versions
            && self.kube_version == other.kube_version
    }
}

impl Eq for Helm {}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Globals {
    chart_home: String,
}

/// An entry of `helmCharts`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Entry {
    name: String,
    version: String,
    repo: String,
    release_name: String,
    namespace: String,
    additional_values_files: Vec<String>,
    values_file: String,
    values_inline: Map<String, Value>,
    values_merge: String,
    #[serde(rename = "includeCRDs")]
    include_crds: bool,
    skip_hooks: bool,
    api_versions: Vec<String>,
    kube_version: String,
    name_template: String,
    skip_tests: bool,
    debug: bool,
    devel: bool,
}

/// Turns `helmChartInflationGenerator` into `helmCharts` and `helmGlobals`.
pub(crate) fn convert_deprecated(file: &mut Kustomization) {
    let mut home = None;
    for old in std::mem::take(&mut file.helm_chart_inflation_generator) {
        let mut entry = Map::new();
        for (from, to) in [
            ("chartName", "name"),
            ("chartVersion", "version"),
            ("chartRepoUrl", "repo"),
            ("values", "valuesFile"),
            ("valuesLocal", "valuesInline"),
            ("valuesMerge", "valuesMerge"),
            ("releaseName", "releaseName"),
        ] {
            if let Some(value) = old.get(from) {
                entry.insert(to.to_owned(), value.clone());
            }
        }
        home = old.get("chartHome").filter(|home| home.as_str() != Some("")).cloned().or(home);
        file.helm_charts.push(Value::Object(entry));
    }
    if let Some(home) = home
        && file.helm_globals.is_none()
    {
        file.helm_globals = Some(serde_json::json!({ "chartHome": home }));
    }
}

/// The charts of one kustomization.
pub(crate) struct Charts<'a> {
    pub(crate) files: &'a Files<'a>,
    /// The folder of the kustomization.
    pub(crate) dir: &'a Path,
    /// Where the entry names no namespace.
    pub(crate) namespace: &'a str,
    pub(crate) globals: Option<&'a Value>,
    pub(crate) helm: Option<&'a Helm>,
}

impl Charts<'_> {
    /// The objects of one chart.
    pub(crate) fn objects(&self, entry: &Value) -> Result<Vec<Resource>> {
        let configuring = || {
            let mut shown = Map::new();
            for source in [self.globals, Some(entry)].into_iter().flatten() {
                shown.extend(source.as_object().cloned().unwrap_or_default());
            }
            let shown = sluice_yaml::to_string(&Value::Object(shown));
            format!("trouble configuring builtin {GENERATOR} with config: `\n{shown}`")
        };
        let Some(helm) = self.helm else {
            return Err(BuildError::unsupported("must specify --enable-helm").within(configuring()));
        };
        let read = |what: &str, error: serde_json::Error| BuildError::invalid(format!("{what}: {error}"));
        let globals: Globals = match self.globals {
            Some(globals) => {
                serde_json::from_value(globals.clone()).map_err(|error| read("helmGlobals", error))?
            }
            None => Globals::default(),
        };
        let entry: Entry =
            serde_json::from_value(entry.clone()).map_err(|error| read("helmCharts", error))?;
        check(&entry).within(configuring)?;
        let home = if globals.chart_home.is_empty() { "charts" } else { &globals.chart_home };
        let name = &entry.name;
        let folder = if entry.version.is_empty() || entry.repo.is_empty() {
            format!("{home}/{name}")
        } else {
            format!("{home}/{name}-{}/{name}", entry.version)
        };
        let request = self.request(helm, &entry, &folder)?;
        let text = helm.renderer.render(&request).map_err(|error| {
            BuildError::invalid(format!(
                "cannot render chart {name} in {}: {error}",
                self.files.shown(&request.chart)
            ))
        })?;
        let mut objects = read::objects(text.as_bytes(), "")
            .map_err(|error| error.within("could not parse rnode slice into resource map"))?;
        for object in &mut objects {
            object.helm_generated = true;
        }
        Ok(objects)
    }

    fn request(&self, helm: &Helm, entry: &Entry, folder: &str) -> Result<ChartRequest> {
        let chart = self.chart(entry, folder)?;
        let mut values = vec![self.values(entry, folder)?];
        for file in &entry.additional_values_files {
            values.push(self.read_values(file).within(|| "could not load additionalValuesFile".into())?);
        }
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let namespace = if entry.namespace.is_empty() { self.namespace } else { &entry.namespace };
        let api_versions = match entry.api_versions.as_slice() {
            [] => &helm.api_versions,
            _ => &entry.api_versions,
        };
        Ok(ChartRequest {
            chart,
            root: self.files.root().to_owned(),
            release_name: given(&entry.release_name),
            name_template: given(&entry.name_template),
            namespace: namespace.to_owned(),
            values,
            api_versions: api_versions.clone(),
            kube_version: given(&entry.kube_version).or_else(|| helm.kube_version.clone()),
            include_crds: entry.include_crds,
            skip_hooks: entry.skip_hooks,
            skip_tests: entry.skip_tests,
        })
    }

    /// The folder of a chart; charts are not fetched.
    fn chart(&self, entry: &Entry, folder: &str) -> Result<PathBuf> {
        match self.files.folder(self.dir, folder) {
            Ok(chart) => Ok(chart),
            Err(error) if error.kind() != ErrorKind::Missing => Err(error),
            Err(_) if entry.repo.is_empty() => {
                let shown = self.files.shown(&self.dir.join(folder));
                Err(BuildError::new(
                    ErrorKind::Missing,
                    format!("no repo specified for pull, no chart found at '{shown}'"),
                ))
            }
            Err(_) => {
                let shown = self.files.shown(&self.dir.join(folder));
                Err(BuildError::unsupported(format!(
                    "chart {} is not at '{shown}', and charts are not fetched from {}: put it there",
                    entry.name, entry.repo
                )))
            }
        }
    }

    /// The values of an entry: of its file, its own, or both.
    fn values(&self, entry: &Entry, folder: &str) -> Result<Map<String, Value>> {
        let inline = &entry.values_inline;
        if entry.values_merge == "replace" && !inline.is_empty() {
            return Ok(inline.clone());
        }
        let of_file = if entry.values_file.is_empty() {
            // The chart's own defaults, which it need not have.
            match self.read_values(&format!("{folder}/values.yaml")) {
                Err(error) if error.kind() == ErrorKind::Missing => Map::new(),
                other => other?,
            }
        } else {
            self.read_values(&entry.values_file)?
        };
        let (mut below, above) =
            if entry.values_merge == "merge" { (inline.clone(), of_file) } else { (of_file, inline.clone()) };
        merge(&mut below, above);
        Ok(below)
    }

    fn read_values(&self, path: &str) -> Result<Map<String, Value>> {
        let content = self.files.read(self.dir, path)?;
        let text = read::text_of(&content)?;
        let malformed =
            |text: String| BuildError::new(ErrorKind::Malformed, format!("{text} in File: {path}"));
        match sluice_yaml::from_str(&text).map_err(|error| malformed(error.to_string()))? {
            Value::Null => Ok(Map::new()),
            Value::Object(map) => Ok(map),
            _ => Err(malformed("values are no map".into())),
        }
    }
}

fn check(entry: &Entry) -> Result<()> {
    if entry.name.is_empty() {
        return Err(BuildError::invalid("chart name cannot be empty"));
    }
    for (what, text) in [("releaseName", &entry.release_name), ("chart name", &entry.name)] {
        if text.starts_with('-') {
            return Err(BuildError::invalid(format!("{what} must not start with '-', got {text:?}")));
        }
    }
    if !["", "merge", "override", "replace"].contains(&entry.values_merge.as_str()) {
        return Err(BuildError::invalid("valuesMerge must be one of [merge override replace]"));
    }
    Ok(())
}

/// Lays values over others: maps are merged, a `null` removes, everything else is replaced.
fn merge(below: &mut Map<String, Value>, above: Map<String, Value>) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (_, Value::Null) => {
                below.remove(&key);
            }
            (Some(Value::Object(below)), Value::Object(above)) => merge(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}
