//! Finds mistakes in a chart, as `helm lint` does.
//!
//! The rules, their order and their texts are those of Helm 4: `Chart.yaml`, values, templates, dependencies, CRDs. A
//! rule that others need (the file can be read, the chart renders) ends its group where it fails.

use std::fmt;
use std::path::Path;

use serde_json::{Map, Value};

use crate::chart::{Chart, LoadOptions};
use crate::render::{Log, LogLine};
use crate::{Capabilities, LoadError};

mod addresses;
mod chart_file;
mod crds;
mod deprecations;
mod document;
mod names;
mod templates;
mod values_file;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Works, and should not be so.
    Warning,
    /// Will not work.
    Error,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }
}

/// Something that a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// How bad it is.
    pub severity: Severity,
    /// The file, relative to the chart; empty for the chart as a whole.
    pub path: String,
    /// What was found.
    pub text: String,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}: {}", self.severity.name(), self.path, self.text)
    }
}

/// How a chart is linted.
#[derive(Clone, Default)]
pub struct Options {
    /// The user's values, laid over those of the chart.
    pub values: Map<String, Value>,
    /// `.Release.Namespace`.
    pub namespace: String,
    /// The cluster that templates see and that deprecations are told for.
    pub capabilities: Capabilities,
    /// Leaves the values unchecked.
    pub skip_schema_validation: bool,
    /// How the chart is read.
    pub load: LoadOptions,
    /// Where the lines of a render's log go.
    pub log: Option<Log>,
}

/// What all rules found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order of the rules.
    pub messages: Vec<Message>,
}

impl Report {
    /// Adds what a rule found, and says whether it found nothing.
    fn rule(&mut self, severity: Severity, path: &str, result: Result<(), String>) -> bool {
        match result {
            Ok(()) => true,
            Err(text) => {
                self.messages.push(Message { severity, path: path.to_owned(), text });
                false
            }
        }
    }

    /// Whether anything is as bad as `severity`, or worse.
    #[must_use]
    pub fn reaches(&self, severity: Severity) -> bool {
        self.messages.iter().any(|message| message.severity >= severity)
    }
}

/// Lints the chart in a folder.
///
/// # Errors
/// If the folder has no `Chart.yaml`: it is no chart.
pub fn lint(folder: &Path, options: &Options) -> Result<Report, LoadError> {
    let chart_yaml = folder.join("Chart.yaml");
    chart_yaml.metadata().map_err(|error| {
        let problem = crate::chart::go_error("stat", &chart_yaml, &error);
        LoadError::new(format!("unable to check Chart.yaml file in chart: {problem}"))
    })?;
    let mut report = Report::default();
    chart_file::check(folder, &mut report);
    values_file::check(folder, options, &mut report);
    if !chart_file::is_known(folder) {
        return Ok(report); // told by the rules of Chart.yaml; no loader takes it
    }
    let chart = Chart::load(folder, &options.load).map_err(|error| as_linter(&error.to_string()));
    if let (Ok(chart), Some(log)) = (&chart, &options.log) {
        chart.advice.iter().cloned().for_each(|message| log(LogLine { level: "WARN", message }));
    }
    templates::check(folder, &chart, options, &mut report);
    dependencies(folder, &chart, &mut report);
    crds::check(folder, &chart, &mut report);
    Ok(report)
}

/// The chart that the rules of a folder look at, if the folder is one and the chart could be loaded.
fn loaded<'c>(
    name: &str,
    path: &Path,
    chart: &'c Result<Chart, String>,
    report: &mut Report,
) -> Option<&'c Chart> {
    let folder = if path.is_dir() { Ok(()) } else { Err("not a directory".to_owned()) };
    if !report.rule(Severity::Error, name, folder) {
        return None;
    }
    report.rule(Severity::Error, name, chart.as_ref().map(drop).map_err(Clone::clone));
    chart.as_ref().ok()
}

/// The linter looks at `Chart.yaml` once, the loader first at its version alone: what does not fit has another name.
fn as_linter(error: &str) -> String {
    error.replace("loader.chartBase", "v2.Metadata")
}

fn dependencies(folder: &Path, chart: &Result<Chart, String>, report: &mut Report) {
    let loaded = chart.as_ref().map(|_| ()).map_err(|error| format!("unable to load chart\n\t{error}"));
    report.rule(Severity::Error, "", loaded);
    let Ok(chart) = chart else { return };
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let path = folder.display().to_string();
    let wanted = |name: &str| chart.metadata.dependencies.iter().any(|wanted| wanted.name == name);
    let undeclared: Vec<_> =
        chart.dependencies.iter().map(|chart| chart.name()).filter(|name| !wanted(name)).collect();
    let listed = |text: &str, names: &[&str]| {
        if names.is_empty() { Ok(()) } else { Err(format!("{text}: {}", names.join(","))) }
    };
    let rule = listed("chart metadata is missing these dependencies", &undeclared);
    report.rule(Severity::Error, &path, rule);
    let missing = crate::dependencies::missing(chart);
    let rule = listed("chart directory is missing these dependencies", &missing);
    report.rule(Severity::Warning, &path, rule);
}
