//! Rules for `values.yaml`.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Options, Report, Severity};
use crate::schema::Schema;
use crate::yaml;

const FILE: &str = "values.yaml";

pub(super) fn check(folder: &Path, options: &Options, report: &mut Report) {
    let path = folder.join(FILE);
    if !path.exists() {
        report.rule(Severity::Info, FILE, Err("file does not exist".into()));
        return;
    }
    let text = std::fs::read(&path).map_err(|error| crate::chart::go_error("open", &path, &error));
    let result = text
        .and_then(|text| yaml::map(&text))
        .map_err(|error| error.replace("type map[string]interface {}", "type common.Values"))
        .map_err(|error| format!("unable to parse YAML: {error}"))
        .and_then(|defaults| validate(folder, defaults, options));
    report.rule(Severity::Error, FILE, result);
}

/// Only the chart's own values against the chart's own schema.
fn validate(folder: &Path, defaults: Map<String, Value>, options: &Options) -> Result<(), String> {
    let Ok(schema) = std::fs::read(folder.join("values.schema.json")) else { return Ok(()) };
    if schema.is_empty() || options.skip_schema_validation {
        return Ok(());
    }
    let mut values = options.values.clone();
    lay_under(&mut values, defaults);
    let schema = Schema::compile(&schema).map_err(|fault| fault.to_string())?;
    // The text of violations ends with a newline.
    schema.validate(&Value::Object(values)).map_err(|fault| format!("{fault}\n"))
}

/// Adds defaults: maps are merged, a `null` of the user removes what it stands for.
fn lay_under(values: &mut Map<String, Value>, defaults: Map<String, Value>) {
    for (key, default) in defaults {
        match (values.get_mut(&key), default) {
            (Some(Value::Null), default) if !default.is_null() => {
                values.remove(&key);
            }
            (Some(Value::Object(above)), Value::Object(below)) => lay_under(above, below),
            (Some(_), _) => {}
            (None, Value::Null) => {}
            (None, default) => {
                values.insert(key, default);
            }
        }
    }
}
