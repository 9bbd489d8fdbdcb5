//! `helm …`: what Helm's client does with charts on this machine, in its words.
//!
//! Standard output, the first line of an error and the exit status are Helm's, so that scripts need not care which of
//! the two they run. What Helm does not say follows as a hint. Nothing here needs a cluster, the network or async code.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Map, Value};
use sluice_gotemplate::fmt::quoted;
use sluice_helm::capabilities::KubeVersion;
use sluice_helm::chart::LoadOptions;
use sluice_helm::{Capabilities, Chart, LogLine};

use crate::arguments::Global;
use crate::talk;

pub(crate) mod arguments;
mod cluster;
mod inflate;
mod lint;
mod name;
mod output_dir;
mod package;
mod show;
mod template;

use arguments::{HelmArguments, HelmCommand, ValueOptions};
pub(crate) use inflate::Inflator;

/// Why a command failed: Helm's text, and what may help.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    hint: Option<String>,
}

impl Failure {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Runs a command; failures are printed as Helm prints them.
pub(crate) fn run(arguments: HelmArguments, global: &Global) -> ExitCode {
    let global = arguments.cluster.over(global);
    let result = match arguments.command {
        HelmCommand::Template(options) => template::run(&options, &global),
        HelmCommand::Lint(options) => lint::run(&options, &namespace(&global)),
        HelmCommand::Package(options) => package::run(&options),
        HelmCommand::Show(command) => show::run(&command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

/// The namespace of the release: the flag's, the variable's, the context's, the default.
fn namespace(global: &Global) -> String {
    let given = global.namespace.clone().or_else(|| std::env::var("HELM_NAMESPACE").ok());
    let given = given.filter(|name| !name.is_empty());
    given.or_else(|| cluster::namespace(global)).unwrap_or_else(|| "default".to_owned())
}

/// Says what is wrong with a command line.
pub(crate) fn usage(text: &str) -> ExitCode {
    report(&Failure::new(text))
}

fn report(failure: &Failure) -> ExitCode {
    eprintln!("Error: {}", failure.text);
    if let Some(hint) = &failure.hint {
        eprintln!("hint: {hint}");
    }
    ExitCode::FAILURE
}

/// Prints to standard output. Whoever closed the pipe has seen enough.
fn print(text: &str) -> Result<(), Failure> {
    match talk::data(text) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// A line of Helm's log.
fn log(level: &str, message: &str) {
    log_with(level, message, "");
}

fn log_with(level: &str, message: &str, pairs: &str) {
    let plain = !message.is_empty() && !message.contains([' ', '"', '=', '\n', '\t']);
    let message = if plain { message.to_owned() } else { quoted(message.as_bytes()) };
    eprintln!("level={level} msg={message}{pairs}");
}

/// A line of the engine's log: what follows the message as `key=value` is no part of it. Warnings of values show values,
/// which may look the same.
fn log_line(line: LogLine) {
    let text = &line.message;
    let is_pair = |at: &usize| {
        let key = text.get(at + 1..).and_then(|rest| rest.split_once('=')).map(|(key, _)| key);
        key.is_some_and(|key| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphabetic()))
    };
    let blanks = text.match_indices(' ').map(|(at, _)| at);
    let end = blanks.filter(|_| !text.starts_with("warning: ")).find(is_pair).unwrap_or(text.len());
    let (message, pairs) = text.split_at(end);
    log_with(line.level, message, pairs);
}

/// Charts on this machine are one's own: links in them may lead anywhere.
fn load_options() -> LoadOptions {
    LoadOptions { links_anywhere: true, ..LoadOptions::default() }
}

/// Loads the chart that an argument names.
fn load(argument: &str) -> Result<Chart, Failure> {
    let path = locate(argument)?;
    let chart = Chart::load(&path, &load_options()).map_err(|error| {
        let failure = Failure::new(error.to_string());
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    for warning in &chart.warnings {
        log("INFO", warning);
    }
    Ok(chart)
}

/// The path of a chart. What is no path would be the name of a chart in a repository.
fn locate(argument: &str) -> Result<PathBuf, Failure> {
    let argument = argument.trim();
    let path = Path::new(argument);
    if path.exists() {
        return Ok(path.to_owned());
    }
    if path.is_absolute() || argument.starts_with('.') {
        return Err(Failure::new(format!("path {} not found", quoted(argument.as_bytes()))));
    }
    let text = if argument.contains("://") {
        format!("cannot fetch {argument}")
    } else if let Some((repository, _)) = argument.split_once('/') {
        format!("repo {repository} not found")
    } else {
        format!("non-absolute URLs should be in form of repo_name/path_to_chart, got: {argument}")
    };
    Err(Failure::new(text).hint("charts are not fetched here: name the path of a folder or of an archive"))
}

/// Merges the values that the arguments give.
fn merge(options: &ValueOptions) -> Result<Map<String, Value>, Failure> {
    let merged = options.sources().merge_with_advice(&mut read, &mut |advice| log("WARN", &advice));
    merged.map_err(|error| Failure::new(error.to_string()))
}

/// Reads a file, or standard input for `-`; the error is Go's.
fn read(name: &str) -> Result<Vec<u8>, String> {
    let name = name.trim();
    if name == "-" {
        let mut data = Vec::new();
        return match std::io::stdin().lock().read_to_end(&mut data) {
            Ok(_) => Ok(data),
            Err(error) => Err(format!("cannot read standard input: {error}")),
        };
    }
    std::fs::read(name).map_err(|error| {
        let problem = match error.kind() {
            std::io::ErrorKind::NotFound if name.contains("://") => {
                "values are not fetched here: name a file".to_owned()
            }
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            std::io::ErrorKind::IsADirectory => return format!("read {name}: is a directory"),
            _ => error.to_string(),
        };
        format!("open {name}: {problem}")
    })
}

/// The cluster to render for.
fn capabilities(kube_version: Option<&str>, api_versions: &[String]) -> Result<Capabilities, Failure> {
    let mut capabilities = Capabilities::default();
    if let Some(version) = kube_version.filter(|version| !version.is_empty()) {
        capabilities.kube_version = KubeVersion::parse(version)
            .map_err(|error| Failure::new(format!("invalid kube version '{version}': {error}")))?;
    }
    capabilities.api_versions.extend(api_versions.iter().cloned());
    Ok(capabilities)
}

/// Helm's complaint about the number of arguments.
fn wrong_count(command: &str, wanted: &str, usage: &str) -> Failure {
    Failure::new(format!("\"helm {command}\" requires {wanted}\n\nUsage:  helm {command} {usage}"))
}
