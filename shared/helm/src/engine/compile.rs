//! A chart's templates, parsed once and put into one set in the order in which Helm parses them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use sluice_gotemplate::{Functions, ParseError, Parsed, Set};

use super::files::{self, Index};
use super::functions;
use crate::{Instance, parallel};

/// Everything about a chart that does not depend on values, once its subcharts are chosen.
pub(crate) struct Compiled {
    pub(super) set: Set,
    /// In the order of execution.
    pub(super) files: Vec<TemplateFile>,
    pub(super) chart_files: ChartFiles,
}

/// One file below `templates/`.
pub(super) struct TemplateFile {
    /// `c/charts/sub/templates/x.yaml`.
    pub(super) name: String,
    /// Which chart it belongs to: the number in a walk over the instances, parents first.
    pub(super) chart: usize,
    /// Helpers, which begin with `_`, are only parsed.
    pub(super) executed: bool,
}

/// The `.Files` of a chart and of its subcharts.
pub(super) struct ChartFiles {
    pub(super) index: Index,
    pub(super) children: Vec<ChartFiles>,
}

/// Parsed files by name. The content is kept to tell whether a name still means the same file.
pub(crate) struct Cache {
    functions: Arc<Functions>,
    parsed: Mutex<HashMap<String, (Bytes, Arc<Parsed>)>>,
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self { functions: Arc::new(functions::all()), parsed: Mutex::default() }
    }

    fn parse(&self, name: &str, data: &Bytes) -> Result<Arc<Parsed>, ParseError> {
        if let Some((known, parsed)) = self.parsed.lock().get(name)
            && known.as_ptr() == data.as_ptr()
            && known.len() == data.len()
        {
            return Ok(Arc::clone(parsed));
        }
        let parsed = Arc::new(Parsed::parse(name, data, &self.functions)?);
        self.parsed.lock().insert(name.to_owned(), (data.clone(), Arc::clone(&parsed)));
        Ok(parsed)
    }
}

impl Compiled {
    /// Parses what is not in the cache yet.
    ///
    /// # Errors
    /// The first file that is no template, with its name.
    pub(crate) fn new(instance: &Instance, cache: &Cache) -> Result<Self, (String, ParseError)> {
        let mut found = BTreeMap::new();
        collect(instance, &mut 0, &mut found);
        let mut names: Vec<(&String, &(usize, Bytes))> = found.iter().collect();
        // Deepest path first, then the last name first: what is parsed later wins, so parents beat their subcharts.
        names.sort_by_key(|(name, _)| (std::cmp::Reverse(depth(name)), std::cmp::Reverse(name.as_str())));
        let mut set = Set::new("gotpl", Arc::clone(&cache.functions));
        let mut files = Vec::with_capacity(names.len());
        let parsed =
            parallel::map(&names, |(_, (_, data))| data.len(), |(name, (_, data))| cache.parse(name, data));
        for ((name, (chart, _)), parsed) in names.into_iter().zip(parsed) {
            let parsed = parsed.map_err(|error| (name.clone(), error))?;
            set.add(&parsed);
            let base = name.rsplit('/').next().unwrap_or(name);
            files.push(TemplateFile { name: name.clone(), chart: *chart, executed: !base.starts_with('_') });
        }
        Ok(Self { set, files, chart_files: chart_files(instance) })
    }
}

fn depth(name: &str) -> usize {
    name.bytes().filter(|b| *b == b'/').count()
}

/// Templates by full name, with the number of their chart. Of one name the parent's counts, else the last subchart's.
fn collect(instance: &Instance, next: &mut usize, found: &mut BTreeMap<String, (usize, Bytes)>) {
    let chart = *next;
    *next += 1;
    for child in &instance.children {
        collect(child, next, found);
    }
    let library = instance.chart.is_library();
    for file in &instance.chart.templates {
        let base = file.name.rsplit('/').next().unwrap_or(&file.name);
        if !library || base.starts_with('_') {
            found.insert(format!("{}/{}", instance.path, file.name), (chart, file.data.clone()));
        }
    }
}

fn chart_files(instance: &Instance) -> ChartFiles {
    ChartFiles {
        index: files::index(&instance.chart.files),
        children: instance.children.iter().map(chart_files).collect(),
    }
}
