//! The few values on which the choice of subcharts depends, so that the rest need not be copied to make it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::plan::Plan;
use crate::chart::Chart;
use crate::values::coalesce::Node;

/// Paths into values, as a tree.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// All below is wanted.
    everything: bool,
    below: BTreeMap<String, Wanted>,
}

/// Charts, counted once for each name that they may get, for which paths are collected.
const CHARTS: usize = 1000;

impl Wanted {
    /// What the conditions and tags of a chart and its subcharts ask for.
    pub(crate) fn of(chart: &Arc<Chart>) -> Self {
        let mut wanted = Self::default();
        match wanted.add_chart(chart, &mut Vec::new(), CHARTS) {
            Some(_) => wanted,
            None => Self { everything: true, below: BTreeMap::new() },
        }
    }

    /// Returns how many charts are left of those that may be looked at, if any.
    fn add_chart(&mut self, chart: &Chart, path: &mut Vec<String>, left: usize) -> Option<usize> {
        let mut left = left.checked_sub(1)?;
        for dependency in &chart.metadata.dependencies {
            for tag in &dependency.tags {
                self.add(["tags", tag].into_iter());
            }
            for condition in dependency.condition.trim().split(',') {
                let condition: Vec<&str> =
                    path.iter().map(String::as_str).chain(condition.split('.')).collect();
                self.add(condition.iter().copied());
                // What is global comes from the charts above.
                if let Some(global) = condition.iter().position(|key| *key == "global") {
                    for above in 0..global {
                        self.add(condition[..above].iter().chain(&condition[global..]).copied());
                    }
                }
            }
        }
        for child in &chart.dependencies {
            let aliases = chart.metadata.dependencies.iter().filter(|it| it.name == child.name());
            let aliases = aliases.map(|it| it.alias.as_str()).filter(|alias| !alias.is_empty());
            for name in aliases.chain([child.name()]) {
                path.push(name.to_owned());
                self.add(path.iter().map(String::as_str));
                left = self.add_chart(child, path, left)?;
                path.pop();
            }
        }
        Some(left)
    }

    fn add<'k>(&mut self, mut path: impl Iterator<Item = &'k str>) {
        if let Some(key) = path.next() {
            self.below.entry(key.to_owned()).or_default().add(path);
        }
    }

    /// The part of values that is wanted. Of a list only its existence is.
    pub(crate) fn part(&self, values: &Map<String, Value>) -> Map<String, Value> {
        if self.everything {
            return values.clone();
        }
        let pairs = self.below.iter().filter_map(|(key, below)| {
            let value = match values.get(key)? {
                Value::Object(map) => Value::Object(below.part(map)),
                Value::Array(_) => Value::Array(Vec::new()),
                scalar => scalar.clone(),
            };
            Some((key.clone(), value))
        });
        pairs.collect()
    }

    /// A chart of a plan with the wanted part of its defaults, and its subcharts with theirs.
    pub(super) fn chart(&self, plan: &Plan) -> Part {
        let other = Self { everything: self.everything, below: BTreeMap::new() };
        let children =
            plan.children.iter().map(|child| self.below.get(&child.name).unwrap_or(&other).chart(child));
        Part {
            name: plan.name.clone(),
            defaults: self.part(&plan.chart.values),
            children: children.collect(),
        }
    }
}

/// A chart reduced to the defaults that are wanted.
pub(super) struct Part {
    name: String,
    defaults: Map<String, Value>,
    children: Vec<Part>,
}

impl Node for Part {
    fn name(&self) -> &str {
        &self.name
    }

    fn defaults(&self) -> &Map<String, Value> {
        &self.defaults
    }

    fn children(&self) -> &[Self] {
        &self.children
    }
}
