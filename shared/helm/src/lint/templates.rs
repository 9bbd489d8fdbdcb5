//! Rules for `templates/`: what the chart renders with its defaults and the user's values.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::document::{self, Object};
use super::{Options, Report, Severity, deprecations, names};
use crate::render::{RenderError, Renderer};
use crate::text::quoted;
use crate::{Chart, Release, RenderOptions, manifest};

const FOLDER: &str = "templates/";

pub(super) fn check(folder: &Path, chart: &Result<Chart, String>, options: &Options, report: &mut Report) {
    let path = folder.join("templates");
    if !path.exists() {
        report.rule(Severity::Warning, FOLDER, Err("directory does not exist".into()));
        return;
    }
    let Some(chart) = super::loaded(FOLDER, &path, chart, report) else { return };
    let Some(files) = render(chart, options, report) else { return };
    for template in &chart.templates {
        let name = &template.name;
        report.rule(Severity::Error, name, extension(name));
        let lower = name.to_lowercase();
        if !lower.ends_with(".yaml") && !lower.ends_with(".yml") {
            continue;
        }
        let text = files.get(&format!("{}/{name}", chart.name())).map(String::as_str).unwrap_or_default();
        if text.trim().is_empty() {
            continue;
        }
        report.rule(Severity::Warning, name, indent(text));
        for object in document::objects(text) {
            match object {
                Ok(Some(object)) => check_object(name, text, &object, options, report),
                Ok(None) => {}
                Err(error) => {
                    // What follows can only fail the same way.
                    report.rule(Severity::Error, name, Err(format!("unable to parse YAML: {error}")));
                    return;
                }
            }
        }
    }
}

/// The rendered files by name; nothing where the render failed.
fn render(chart: &Chart, options: &Options, report: &mut Report) -> Option<BTreeMap<String, String>> {
    let release = Release {
        name: "test-release".into(),
        namespace: options.namespace.clone(),
        revision: 0,
        is_upgrade: false,
    };
    let render = RenderOptions {
        capabilities: std::sync::Arc::new(options.capabilities.clone()),
        skip_schema_validation: options.skip_schema_validation,
        lint: true,
        log: options.log.clone(),
        ..RenderOptions::default()
    };
    match Renderer::new(Arc::new(chart.clone())).render(&release, &options.values, &render) {
        Ok(rendered) => Some(rendered.files.into_iter().map(|file| (file.name, file.text)).collect()),
        // Helm says nothing about these two here; the first is told by the values' own rules, if at all.
        Err(RenderError::Dependencies(_) | RenderError::Values(_)) => None,
        Err(error) => {
            report.rule(Severity::Error, FOLDER, Err(error.to_string()));
            None
        }
    }
}

fn extension(name: &str) -> Result<(), String> {
    let base = name.rsplit('/').next().unwrap_or(name);
    let extension = base.rfind('.').and_then(|dot| base.get(dot..)).unwrap_or_default();
    if [".yaml", ".yml", ".tpl", ".txt"].contains(&extension) {
        return Ok(());
    }
    Err(format!("file extension '{extension}' not valid. Valid extensions are .yaml, .yml, .tpl, or .txt"))
}

/// The first line with text must begin at the margin.
fn indent(text: &str) -> Result<(), String> {
    match text.lines().find(|line| !line.trim().is_empty()) {
        Some(line) if line.starts_with([' ', '\t']) => Err(format!(
            "document starts with an illegal indent: {}, which may cause parsing problems",
            quoted(line)
        )),
        _ => Ok(()),
    }
}

fn check_object(file: &str, text: &str, object: &Object, options: &Options, report: &mut Report) {
    report.rule(Severity::Warning, file, name(object));
    let version = &options.capabilities.kube_version;
    let deprecated = if object.api_version.is_empty() || object.kind.is_empty() {
        None
    } else {
        deprecations::warning(&object.api_version, &object.kind, &version.major, &version.minor)
    };
    report.rule(Severity::Warning, file, deprecated.map_or(Ok(()), Err));
    report.rule(Severity::Error, file, selector(object, text));
    report.rule(Severity::Error, file, list(object, text));
}

fn name(object: &Object) -> Result<(), String> {
    let name = quoted(&object.name);
    let faults: Vec<_> = names::faults(&object.kind, &object.name)
        .into_iter()
        .map(|fault| format!("metadata.name: Invalid value: {name}: {fault}"))
        .collect();
    let told = match faults.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    Err(format!("object name does not conform to Kubernetes naming requirements: {name}: {told}"))
}

fn selector(object: &Object, text: &str) -> Result<(), String> {
    let kind = &object.kind;
    let needs = ["Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"].contains(&kind.as_str());
    if !needs || text.contains("matchLabels") || text.contains("matchExpressions") {
        return Ok(());
    }
    let name = quoted(&object.name);
    Err(format!("a {kind} must contain matchLabels or matchExpressions, and {name} does not"))
}

/// Helm reads the policy of objects, not of the items of a list. Only the first document of the file is looked at.
fn list(object: &Object, text: &str) -> Result<(), String> {
    if object.kind != "List" {
        return Ok(());
    }
    let value = manifest::to_value(text).map_err(|error| format!("unable to parse YAML: {error}"))?;
    let items = match value.get("items") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(items)) => items,
        Some(other) => {
            return Err(format!(
                "unable to parse YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into \
                 Go struct field .Items of type []struct {{ Metadata struct {{ Annotations map[string]string }} }}",
                crate::yaml::go_json_kind(other)
            ));
        }
    };
    let kept = |item: &Value| item.pointer("/metadata/annotations/helm.sh~1resource-policy").is_some();
    if items.iter().any(kept) {
        return Err("annotation 'helm.sh/resource-policy' within List objects are ignored".into());
    }
    Ok(())
}
