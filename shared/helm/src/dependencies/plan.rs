//! What values decide: which subcharts take part, under which names.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::wanted::Wanted;
use crate::LogLine;
use crate::chart::Metadata;
use crate::chart::{Chart, Dependency};
use crate::semver::{Constraint, Version};
use crate::values::coalesce::{self, Nulls};

/// How many subcharts may take part: aliases of charts with aliases multiply.
const CHARTS: usize = 10_000;

/// A chart and the subcharts that take part, recursively.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) chart: Arc<Chart>,
    /// The alias, or the chart's name.
    pub(crate) name: String,
    /// The dependencies that are enabled, under their aliases.
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) children: Vec<Plan>,
}

impl PartialEq for Plan {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.chart, &other.chart)
            && self.name == other.name
            && self.dependencies.len() == other.dependencies.len()
            && self.dependencies.iter().zip(&other.dependencies).all(|(a, b)| a.name == b.name)
            && self.children == other.children
    }
}

impl Plan {
    /// Works out which subcharts take part with the user's values.
    ///
    /// # Errors
    /// Helm's text: a subchart's values are no map.
    pub(crate) fn new(
        chart: &Arc<Chart>,
        values: &Map<String, Value>,
        wanted: &Wanted,
        log: &mut dyn FnMut(LogLine),
    ) -> Result<Self, String> {
        let mut plan = Self::all_of(chart, chart.name());
        let mut left = CHARTS;
        plan.decide(&wanted.part(values), "", wanted, &mut left, log)?;
        Ok(plan)
    }

    /// A chart with all its subcharts.
    fn all_of(chart: &Arc<Chart>, name: &str) -> Self {
        Self {
            chart: Arc::clone(chart),
            name: name.to_owned(),
            dependencies: chart.metadata.dependencies.clone(),
            children: chart.dependencies.iter().map(|child| Self::all_of(child, child.name())).collect(),
        }
    }

    /// The metadata as templates see it.
    pub(crate) fn metadata(&self) -> Metadata {
        let mut metadata = self.chart.metadata.clone();
        metadata.name.clone_from(&self.name);
        metadata.dependencies.clone_from(&self.dependencies);
        metadata
    }

    /// Applies aliases, tags and conditions. `path` is `parent.child.`: where this chart's values are in `values`, which
    /// hold what is wanted. A subchart's own defaults are laid below all of them, as if it were the root.
    fn decide(
        &mut self,
        values: &Map<String, Value>,
        path: &str,
        wanted: &Wanted,
        left: &mut usize,
        log: &mut dyn FnMut(LogLine),
    ) -> Result<(), String> {
        if !self.chart.metadata.declares {
            return Ok(());
        }
        self.children = self.under_their_names(left)?;
        for dependency in &mut self.dependencies {
            if !dependency.alias.is_empty() {
                dependency.name.clone_from(&dependency.alias);
            }
            dependency.enabled = true;
        }
        let mut all = values.clone();
        // The same warnings come again when all values are coalesced.
        coalesce::coalesce(&wanted.chart(self), &mut all, Nulls::Remove, &mut |_| {})?;
        for dependency in &mut self.dependencies {
            by_tags(dependency, &all, log);
            by_condition(dependency, &all, path, log);
        }
        let disabled: Vec<String> =
            self.dependencies.iter().filter(|it| !it.enabled).map(|it| it.name.clone()).collect();
        self.children.retain(|child| !disabled.contains(&child.name));
        self.dependencies.retain(|dependency| !disabled.contains(&dependency.name));
        for child in &mut self.children {
            let path = format!("{path}{}.", child.name);
            child.decide(&all, &path, wanted, left, log)?;
        }
        Ok(())
    }

    /// The subcharts that no entry speaks of, then one for each entry that finds its chart. `left` is how many more may
    /// take part.
    fn under_their_names(&self, left: &mut usize) -> Result<Vec<Plan>, String> {
        let fits = |wanted: &Dependency, chart: &Chart| {
            wanted.name == chart.name() && compatible(&wanted.version, &chart.metadata.version)
        };
        let charts = &self.chart.dependencies;
        let unnamed = charts.iter().filter(|chart| !self.dependencies.iter().any(|it| fits(it, chart)));
        let named = self.dependencies.iter().filter_map(|wanted| {
            let chart = charts.iter().find(|chart| fits(wanted, chart))?;
            let name = if wanted.alias.is_empty() { chart.name() } else { &wanted.alias };
            Some((chart, name))
        });
        let mut children = Vec::new();
        for (chart, name) in unnamed.map(|chart| (chart, chart.name())).chain(named) {
            *left = left
                .checked_sub(1 + chart.dependencies.len())
                .ok_or_else(|| format!("more than {CHARTS} subcharts take part, at {name}"))?;
            children.push(Self::all_of(chart, name));
        }
        Ok(children)
    }
}

/// Whether a version is in a range; a range that cannot be read holds none.
pub(crate) fn compatible(range: &str, version: &str) -> bool {
    match (Constraint::parse(range), Version::parse(version)) {
        (Ok(range), Ok(version)) => range.matches(&version),
        _ => false,
    }
}

fn by_tags(dependency: &mut Dependency, values: &Map<String, Value>, log: &mut dyn FnMut(LogLine)) {
    let Some(Value::Object(tags)) = values.get("tags") else { return };
    let (mut on, mut off) = (false, false);
    for tag in &dependency.tags {
        match tags.get(tag) {
            None => {}
            Some(Value::Bool(true)) => on = true,
            Some(Value::Bool(false)) => off = true,
            Some(_) => log(LogLine {
                level: "WARN",
                message: format!("returned non-bool value tag={tag} chart={}", dependency.name),
            }),
        }
    }
    dependency.enabled = on || !off;
}

fn by_condition(
    dependency: &mut Dependency,
    values: &Map<String, Value>,
    path: &str,
    log: &mut dyn FnMut(LogLine),
) {
    for condition in dependency.condition.trim().split(',').filter(|condition| !condition.is_empty()) {
        match at_path(values, &format!("{path}{condition}")) {
            None => {}
            Some(Value::Bool(yes)) => {
                dependency.enabled = *yes;
                return;
            }
            Some(_) => log(LogLine {
                level: "WARN",
                message: format!("returned non-bool value path={condition} chart={}", dependency.name),
            }),
        }
    }
}

/// What stands at a dotted path, unless it is a map.
pub(crate) fn at_path<'v>(values: &'v Map<String, Value>, path: &str) -> Option<&'v Value> {
    let (table, key) = match path.rsplit_once('.') {
        Some((tables, key)) => (table(values, tables)?, key),
        None => (values, path),
    };
    table.get(key).filter(|value| !value.is_object())
}

/// The map at a dotted path.
pub(crate) fn table<'v>(values: &'v Map<String, Value>, path: &str) -> Option<&'v Map<String, Value>> {
    path.split('.').try_fold(values, |table, key| table.get(key)?.as_object())
}
