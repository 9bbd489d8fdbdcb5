//! From a plan to instances: `import-values` brings defaults of children into their parents.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Instance;
use super::plan::{Plan, table};
use crate::LogLine;
use crate::chart::ImportValue;
use crate::values::coalesce::{self, Nulls, Path, lay_under};

impl Instance {
    /// The charts of a plan, with the defaults that they import.
    ///
    /// # Errors
    /// Helm's text: a chart's defaults hold no map where a subchart's values belong.
    pub(crate) fn of(plan: &Plan, log: &mut dyn FnMut(LogLine)) -> Result<Self, String> {
        Self::below(plan, plan.name.clone(), log)
    }

    fn below(plan: &Plan, path: String, log: &mut dyn FnMut(LogLine)) -> Result<Self, String> {
        let children = plan
            .children
            .iter()
            .map(|child| Self::below(child, format!("{path}/charts/{}", child.name), log))
            .collect::<Result<Vec<_>, _>>()?;
        let mut instance = Self {
            chart: Arc::clone(&plan.chart),
            metadata: plan.metadata(),
            path,
            defaults: Arc::new(plan.chart.values.clone()),
            children,
        };
        if !instance.metadata.dependencies.is_empty() {
            instance.import(log)?;
        }
        Ok(instance)
    }

    /// Completes the defaults with those of the children, and with what is imported from them.
    fn import(&mut self, log: &mut dyn FnMut(LogLine)) -> Result<(), String> {
        let mut defaults = Map::new();
        let mut warn = |message| log(LogLine { level: "INFO", message });
        coalesce::coalesce(&*self, &mut defaults, Nulls::Keep, &mut warn)?;
        let mut imported = Map::new();
        for dependency in &mut self.metadata.dependencies {
            for import in &mut dependency.import_values {
                let (child, parent) = match import {
                    ImportValue::Export(name) => (format!("exports.{name}"), ".".to_owned()),
                    ImportValue::Paths { child, parent } => (child.clone(), parent.clone()),
                    ImportValue::Other(_) => continue,
                };
                match table(&defaults, &format!("{}.{child}", dependency.name)) {
                    Some(found) => {
                        let mut warn = |message| log(LogLine { level: "INFO", message });
                        lay_under(&mut imported, &under(&parent, found), &Path::ROOT, Nulls::Keep, &mut warn);
                    }
                    None => {
                        let missing = first_missing(&defaults, &dependency.name, &child);
                        let message = match import {
                            ImportValue::Export(_) => {
                                format!(
                                    "ImportValues missing table error=\"\\\"{missing}\\\" is not a table\""
                                )
                            }
                            _ => format!(
                                "ImportValues missing table from chart chart={} error=\"\\\"{missing}\\\" is not a \
                                 table\"",
                                dependency.name
                            ),
                        };
                        log(LogLine { level: "WARN", message });
                    }
                }
                *import = ImportValue::Paths { child, parent };
            }
            dependency.import_values.retain(|import| !matches!(import, ImportValue::Other(_)));
        }
        let mut warn = |message| log(LogLine { level: "INFO", message });
        lay_under(&mut defaults, &imported, &Path::ROOT, Nulls::Keep, &mut warn);
        self.defaults = Arc::new(defaults);
        Ok(())
    }
}

/// `{a: {b: table}}` for `a.b`, the table itself for `.`.
fn under(path: &str, table: &Map<String, Value>) -> Map<String, Value> {
    if path == "." {
        return table.clone();
    }
    path.rsplit('.').fold(table.clone(), |inner, key| {
        let mut outer = Map::new();
        outer.insert(key.to_owned(), Value::Object(inner));
        outer
    })
}

/// The first component of the path that is not there or no map.
fn first_missing<'p>(values: &Map<String, Value>, name: &'p str, path: &'p str) -> &'p str {
    let mut table = values;
    for key in name.split('.').chain(path.split('.')) {
        match table.get(key).and_then(Value::as_object) {
            Some(next) => table = next,
            None => return key,
        }
    }
    path
}
