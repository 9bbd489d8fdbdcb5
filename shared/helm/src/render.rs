//! A chart, compiled once and rendered often.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value};

use crate::dependencies::plan::{Plan, compatible};
use crate::dependencies::wanted::Wanted;
use crate::engine::{Cache, Compiled, Failure, parse_failure};
use crate::release::StoredChart;
use crate::schema::Schemas;
use crate::values::coalesce::{self, Nulls};
use crate::{Capabilities, Chart, Instance};

/// What is rendered for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// `.Release.Name`.
    pub name: String,
    /// `.Release.Namespace`.
    pub namespace: String,
    /// `.Release.Revision`, from 1.
    pub revision: u32,
    /// Whether it exists already: `.Release.IsUpgrade`.
    pub is_upgrade: bool,
}

/// What `lookup` asks a cluster.
pub trait Lookup: Send + Sync {
    /// The object `name` in `namespace`, or the list of all where `name` is empty; an empty map if there is none.
    ///
    /// # Errors
    /// The text fails the render.
    fn lookup(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<Value, String>;
}

/// Gives the items of a list that was looked up their kind, which API servers leave out.
pub fn name_items(list: &mut Value) {
    let text = |key: &str| list.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let Some(kind) = kind.strip_suffix("List").filter(|kind| !kind.is_empty()) else { return };
    let items = list.get_mut("items").and_then(Value::as_array_mut);
    for item in items.into_iter().flatten().filter_map(Value::as_object_mut) {
        item.entry("apiVersion").or_insert_with(|| api_version.as_str().into());
        item.entry("kind").or_insert_with(|| kind.into());
    }
}

/// One line for the log, in Helm's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// `INFO` or `WARN`.
    pub level: &'static str,
    /// The message; with `key=value` pairs after it where Helm has them.
    pub message: String,
}

/// Takes the lines of the log.
pub type Log = Arc<dyn Fn(LogLine) + Send + Sync>;

/// How to render.
#[derive(Clone, Default)]
pub struct RenderOptions {
    /// The cluster's version and APIs.
    pub capabilities: Arc<Capabilities>,
    /// Leaves the values unchecked.
    pub skip_schema_validation: bool,
    /// `required` and `fail` do not fail: for linting.
    pub lint: bool,
    /// Answers `lookup`; without it every answer is an empty map.
    pub lookup: Option<Arc<dyn Lookup>>,
    /// Whether `getHostByName` may ask the resolver; it returns nothing otherwise.
    pub dns: bool,
    /// Makes random functions repeatable: for tests only.
    pub seed: Option<u64>,
    /// Where warnings go; nowhere by default.
    pub log: Option<Log>,
    /// Set by another thread to end the render.
    pub canceled: Option<Arc<AtomicBool>>,
    /// Bounds on one render.
    pub limits: Limits,
}

impl fmt::Debug for RenderOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenderOptions")
            .field("lint", &self.lint)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Bounds on one render. The defaults suit charts of any size; a render that passes one fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text that templates may produce, by output and by functions together.
    pub output: usize,
    /// Actions, calls and iterations.
    pub steps: u64,
    /// Items of a list or repetition that one function makes.
    pub items: usize,
    /// Time.
    pub time: Option<Duration>,
}

impl Default for Limits {
    /// 1 GiB of text, a billion steps, ten million items, no limit in time.
    fn default() -> Self {
        Self { output: 1 << 30, steps: 1_000_000_000, items: 10_000_000, time: None }
    }
}

/// A rendered file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedFile {
    /// `chart/templates/x.yaml`.
    pub name: String,
    /// What the template printed.
    pub text: String,
}

/// What templates make of values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendered {
    /// Every template that is not a helper, without `NOTES.txt` files, in byte order of the names.
    pub files: Vec<RenderedFile>,
    /// `templates/NOTES.txt` of the root chart.
    pub notes: Option<String>,
    /// The `NOTES.txt` files of the subcharts, in byte order of the names.
    pub subchart_notes: Vec<RenderedFile>,
    /// Files in `crds/` that are YAML or JSON, root first, never rendered; names are `chart/crds/x.yaml`.
    pub crds: Vec<RenderedFile>,
}

/// Why a chart cannot be rendered with these values.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The release's name is not usable.
    #[error("release name check failed: {0}")]
    Name(String),
    /// Conditions, tags or the shape of a subchart's values.
    #[error("chart dependencies processing failed: {0}")]
    Dependencies(String),
    /// The values hold something else than a map where a subchart's belong.
    #[error("{0}")]
    Values(String),
    /// The values are not what a schema asks for.
    #[error("{0}")]
    Schema(String),
    /// The cluster is too old or too new.
    #[error("chart requires kubeVersion: {constraint} which is incompatible with Kubernetes {version}")]
    KubeVersion {
        /// What the chart asks for.
        constraint: String,
        /// What the cluster is.
        version: String,
    },
    /// A template cannot be parsed or executed.
    #[error("{message}")]
    Template {
        /// Helm's text.
        message: String,
        /// What may be wrong.
        hint: Option<String>,
    },
}

impl RenderError {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Template { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }
}

impl From<Failure> for RenderError {
    fn from(failure: Failure) -> Self {
        Self::Template { message: failure.message, hint: failure.hint }
    }
}

/// A chart that can be rendered with many values, from many threads at once.
///
/// Files are parsed when they are first needed and kept; so is what follows from the choice of subcharts, for the last
/// few choices.
pub struct Renderer {
    chart: Arc<Chart>,
    wanted: Wanted,
    cache: Cache,
    schemas: Schemas,
    prepared: Mutex<Vec<Arc<Prepared>>>,
}

/// How many choices of subcharts are kept.
const PREPARED: usize = 8;

/// All that does not depend on values, once the subcharts are chosen.
struct Prepared {
    plan: Plan,
    instance: Instance,
    /// What was logged on the way: the same for every render.
    log: Vec<LogLine>,
    compiled: Mutex<Option<Arc<Compiled>>>,
    stored: OnceLock<StoredChart>,
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renderer").field("chart", &self.chart.name()).finish_non_exhaustive()
    }
}

impl Renderer {
    /// Takes a chart; templates are compiled when they are first needed.
    #[must_use]
    pub fn new(chart: Arc<Chart>) -> Self {
        let wanted = Wanted::of(&chart);
        Self { chart, wanted, cache: Cache::new(), schemas: Schemas::default(), prepared: Mutex::default() }
    }

    /// The chart.
    #[must_use]
    pub fn chart(&self) -> &Arc<Chart> {
        &self.chart
    }

    /// Renders the chart with the user's values.
    ///
    /// # Errors
    /// The first step that fails, in Helm's order.
    pub fn render(
        &self,
        release: &Release,
        values: &Map<String, Value>,
        options: &RenderOptions,
    ) -> Result<Rendered, RenderError> {
        check_name(&release.name)?;
        let mut log = |line: LogLine| {
            if let Some(log) = &options.log {
                log(line);
            }
        };
        let prepared = self.prepare(values, &mut log).map_err(RenderError::Dependencies)?;
        let instance = &prepared.instance;
        let mut all = values.clone();
        let mut warn = |message| log(LogLine { level: "INFO", message });
        coalesce::coalesce(instance, &mut all, Nulls::Remove, &mut warn).map_err(RenderError::Values)?;
        if !options.skip_schema_validation {
            self.schemas.check(instance, &all).map_err(RenderError::Schema)?;
        }
        check_kube_version(instance, &options.capabilities)?;
        let compiled = self.compile(&prepared)?;
        let files = compiled.execute(instance, &all, release, options)?;
        Ok(sorted(instance, files))
    }

    /// What a release with these values stores of the chart. Releases that choose the same subcharts share it.
    ///
    /// # Errors
    /// As [`Renderer::render`], in the step that chooses the subcharts.
    pub fn stored_chart(&self, values: &Map<String, Value>) -> Result<StoredChart, RenderError> {
        let prepared = self.prepare(values, &mut |_| {}).map_err(RenderError::Dependencies)?;
        Ok(prepared.stored.get_or_init(|| StoredChart::of(&prepared.instance)).clone())
    }

    /// Whether the chart, or a subchart that these values switch on, has files in `crds/`.
    #[must_use]
    pub fn has_crds(&self, values: &Map<String, Value>) -> bool {
        self.crds(values).is_ok_and(|crds| !crds.is_empty())
    }

    /// The CRDs of the chart and of the subcharts that these values choose, as [`Rendered::crds`].
    ///
    /// # Errors
    /// As [`Renderer::render`], in the step that chooses the subcharts.
    pub fn crds(&self, values: &Map<String, Value>) -> Result<Vec<RenderedFile>, RenderError> {
        let prepared = self.prepare(values, &mut |_| {}).map_err(RenderError::Dependencies)?;
        let mut crds = Vec::new();
        collect_crds(&prepared.instance, &mut crds);
        Ok(crds)
    }

    fn prepare(
        &self,
        values: &Map<String, Value>,
        log: &mut dyn FnMut(LogLine),
    ) -> Result<Arc<Prepared>, String> {
        let plan = Plan::new(&self.chart, values, &self.wanted, log)?;
        let known = {
            let mut prepared = self.prepared.lock();
            let at = prepared.iter().position(|it| it.plan == plan);
            at.map(|at| {
                let it = prepared.remove(at);
                prepared.push(Arc::clone(&it));
                it
            })
        };
        if let Some(known) = known {
            known.log.iter().cloned().for_each(log);
            return Ok(known);
        }
        let mut lines = Vec::new();
        let instance = Instance::of(&plan, &mut |line| lines.push(line))?;
        lines.iter().cloned().for_each(log);
        let made = Arc::new(Prepared {
            plan,
            instance,
            log: lines,
            compiled: Mutex::default(),
            stored: OnceLock::new(),
        });
        let mut prepared = self.prepared.lock();
        if prepared.len() >= PREPARED {
            prepared.remove(0);
        }
        prepared.push(Arc::clone(&made));
        Ok(made)
    }

    fn compile(&self, prepared: &Prepared) -> Result<Arc<Compiled>, RenderError> {
        if let Some(compiled) = &*prepared.compiled.lock() {
            return Ok(Arc::clone(compiled));
        }
        let compiled = Compiled::new(&prepared.instance, &self.cache)
            .map_err(|(file, error)| parse_failure(&file, &error))?;
        let compiled = Arc::new(compiled);
        *prepared.compiled.lock() = Some(Arc::clone(&compiled));
        Ok(compiled)
    }
}

/// Refuses names that cannot be part of the names of objects.
///
/// # Errors
/// Helm's text.
pub fn check_name(name: &str) -> Result<(), RenderError> {
    if name.is_empty() {
        return Err(RenderError::Name("release name \"\": no name provided".into()));
    }
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let part = |part: &str| {
        let bytes = part.as_bytes();
        edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
    };
    if name.len() <= 53 && name.split('.').all(part) {
        return Ok(());
    }
    Err(RenderError::Name(format!(
        "release name {}: invalid release name, must match regex \
         ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ and the length must not be longer than 53",
        crate::text::quoted(name)
    )))
}

fn check_kube_version(instance: &Instance, capabilities: &Capabilities) -> Result<(), RenderError> {
    let constraint = &instance.metadata.kube_version;
    if constraint.is_empty() || compatible(constraint, capabilities.kube_version.comparable()) {
        return Ok(());
    }
    Err(RenderError::KubeVersion {
        constraint: constraint.clone(),
        version: capabilities.kube_version.version.clone(),
    })
}

/// Puts the files in order and the notes aside.
fn sorted(instance: &Instance, files: Vec<RenderedFile>) -> Rendered {
    const NOTES: &str = "NOTES.txt";
    let (mut notes, mut files): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| file.name.ends_with(NOTES));
    files.sort_by(|a, b| a.name.cmp(&b.name));
    notes.sort_by(|a, b| a.name.cmp(&b.name));
    let of_root = format!("{}/templates/{NOTES}", instance.path);
    let root = notes.iter().position(|file| file.name == of_root).map(|at| notes.remove(at).text);
    let mut crds = Vec::new();
    collect_crds(instance, &mut crds);
    Rendered { files, notes: root, subchart_notes: notes, crds }
}

fn collect_crds(instance: &Instance, crds: &mut Vec<RenderedFile>) {
    let is_crd = |name: &str| {
        name.starts_with("crds/") && [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending))
    };
    for file in instance.chart.files.iter().filter(|file| is_crd(&file.name)) {
        crds.push(RenderedFile {
            name: format!("{}/{}", instance.path, file.name),
            text: String::from_utf8_lossy(&file.data).into_owned(),
        });
    }
    for child in &instance.children {
        collect_crds(child, crds);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::name_items;

    #[test]
    fn items_of_a_list_have_a_kind() {
        let mut list =
            json!({"apiVersion": "apps/v1", "kind": "DeploymentList", "items": [{"a": 1}, {"kind": "X"}]});
        name_items(&mut list);
        let want = json!([{"a": 1, "apiVersion": "apps/v1", "kind": "Deployment"}, {"apiVersion": "apps/v1", "kind": "X"}]);
        assert_eq!(list["items"], want);
    }
}
