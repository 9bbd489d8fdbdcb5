//! Rules for `Chart.yaml`.

use std::path::Path;

use serde_json::Value;
use sluice_yaml::Reader;

use super::addresses::{is_email, is_request_url, is_url};
use super::{Report, Severity};
use crate::semver::{Constraint, Version};
use crate::text::quoted;
use crate::{Metadata, yaml};

const FILE: &str = "Chart.yaml";

/// The keys that Helm knows in the maps of its lists.
const MAINTAINER_KEYS: &[&str] = &["name", "email", "url"];
const DEPENDENCY_KEYS: &[&str] =
    &["name", "version", "repository", "condition", "tags", "enabled", "import-values", "alias"];

pub(super) fn check(folder: &Path, report: &mut Report) {
    let path = folder.join(FILE);
    let is_folder = path.is_dir();
    let file = || if is_folder { Err("should be a file, not a directory".into()) } else { Ok(()) };
    report.rule(Severity::Error, FILE, file());
    let mut metadata = Metadata::default();
    let read = std::fs::read(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::IsADirectory => format!("read {}: is a directory", shown(&path)),
        _ => crate::chart::go_error("open", &path, &error),
    });
    let parsed = read.and_then(|text| metadata.read(&text).map(|()| text));
    let text = match parsed {
        Ok(text) => text,
        Err(error) => {
            let error = super::as_linter(&error);
            report.rule(Severity::Error, FILE, Err(format!("unable to parse YAML\n\t{error}")));
            return;
        }
    };
    let strict = strict_fault(&text)
        .map_or(Ok(()), |fault| Err(format!("failed to strictly parse chart metadata file\n\t{fault}")));
    report.rule(Severity::Warning, FILE, strict);
    let written = yaml::value(&text).unwrap_or_default();
    for (severity, result) in [
        (Severity::Error, name(&metadata)),
        (Severity::Error, api_version(&metadata)),
        (Severity::Error, is_text(&written, "version")),
        (Severity::Error, version(&metadata)),
        (Severity::Error, is_text(&written, "appVersion")),
        (Severity::Error, maintainers(&metadata, &written)),
        (Severity::Error, sources(&metadata)),
        (Severity::Info, icon_given(&metadata)),
        (Severity::Error, icon(&metadata)),
        (Severity::Error, kind(&metadata)),
        (Severity::Error, dependencies(&metadata)),
        (Severity::Warning, strict_version(&metadata)),
    ] {
        report.rule(severity, FILE, result);
    }
}

/// Whether the version of the chart's format is one that can be loaded, or cannot be told.
pub(super) fn is_known(folder: &Path) -> bool {
    let mut metadata = Metadata::default();
    let read = std::fs::read(folder.join(FILE)).is_ok_and(|text| metadata.read(&text).is_ok());
    !read || ["", "v1", "v2"].contains(&metadata.api_version.as_str())
}

fn shown(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// Helm reads `Chart.yaml` with an older reader than manifests: it says less of a key that stands twice.
fn in_older_words(error: &str) -> String {
    let key = error.split_once("mapping key ").and_then(|(before, rest)| {
        rest.split_once(" already defined at line ")
            .map(|(key, _)| format!("{before}key {key} already set in map"))
    });
    key.unwrap_or_else(|| error.to_owned())
}

/// What a reader that takes nothing unknown and nothing twice says.
fn strict_fault(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let node = match Reader::yaml11().first(text) {
        Ok(node) => node?,
        Err(error) => {
            return Some(format!("error converting YAML to JSON: {}", in_older_words(&error.to_string())));
        }
    };
    let value = node.into_value_by(sluice_yaml::Schema::Yaml11).ok()?;
    let unknown = |value: &Value, known: &[&str]| -> Option<String> {
        let mut keys: Vec<_> = value.as_object()?.keys().collect();
        keys.sort_unstable();
        let is_known = |key: &str| known.iter().any(|known| known.eq_ignore_ascii_case(key));
        keys.into_iter().find(|key| !is_known(key)).cloned()
    };
    // The fields are decoded in the order of their names.
    let mut found: Vec<(String, String)> = Vec::new();
    if let Some(key) = unknown(&value, &Metadata::KEYS) {
        found.push((key.clone(), key));
    }
    for (list, known) in [("dependencies", DEPENDENCY_KEYS), ("maintainers", MAINTAINER_KEYS)] {
        let items = value.get(list).and_then(Value::as_array).into_iter().flatten();
        if let Some(key) = items.filter_map(|item| unknown(item, known)).next() {
            found.push((list.to_owned(), key));
        }
    }
    found.sort();
    let (_, key) = found.into_iter().next()?;
    let key = quoted(&key);
    Some(format!("error unmarshaling JSON: while decoding JSON: json: unknown field {key}"))
}

fn name(metadata: &Metadata) -> Result<(), String> {
    let name = &metadata.name;
    if name.is_empty() {
        return Err("name is required".into());
    }
    if name.contains('/') && name != "/" {
        return Err(format!("chart name {} is invalid", quoted(name)));
    }
    Ok(())
}

fn api_version(metadata: &Metadata) -> Result<(), String> {
    match metadata.api_version.as_str() {
        "v1" | "v2" => Ok(()),
        "" => Err("apiVersion is required. The value must be either \"v1\" or \"v2\"".into()),
        other => Err(format!("apiVersion '{other}' is not valid. The value must be either \"v1\" or \"v2\"")),
    }
}

fn is_text(written: &Value, key: &str) -> Result<(), String> {
    let kind = match written.get(key) {
        None | Some(Value::String(_)) => return Ok(()),
        Some(Value::Null) => "<nil>",
        Some(Value::Bool(_)) => "bool",
        Some(Value::Number(_)) => "float64",
        Some(Value::Array(_)) => "[]interface {}",
        Some(Value::Object(_)) => "map[string]interface {}",
    };
    Err(format!("{key} should be of type string but it's of type {kind}"))
}

fn version(metadata: &Metadata) -> Result<(), String> {
    let version = &metadata.version;
    if version.is_empty() {
        return Err("version is required".into());
    }
    let Ok(parsed) = Version::parse(version) else {
        return Err(format!("version '{version}' is not a valid SemVer"));
    };
    // Anything above the lowest version there can be.
    match Constraint::parse(">0.0.0-0") {
        Ok(constraint) if !constraint.matches(&parsed) => {
            Err(format!("version {} is less than or equal to \"0.0.0-0\"", quoted(version)))
        }
        _ => Ok(()),
    }
}

fn strict_version(metadata: &Metadata) -> Result<(), String> {
    let version = &metadata.version;
    if crate::schema::is_strict_version(version) {
        return Ok(());
    }
    Err(format!("version '{version}' is not a valid SemVerV2"))
}

/// The first fault of the first maintainer that has one.
fn maintainers(metadata: &Metadata, written: &Value) -> Result<(), String> {
    let empty = written
        .get("maintainers")
        .and_then(Value::as_array)
        .and_then(|list| list.iter().position(Value::is_null));
    for (index, maintainer) in metadata.maintainers.iter().enumerate() {
        if Some(index) == empty {
            break;
        }
        let name = &maintainer.name;
        if name.is_empty() {
            return Err("each maintainer requires a name".into());
        }
        if !maintainer.email.is_empty() && !is_email(&maintainer.email) {
            return Err(format!("invalid email '{}' for maintainer '{name}'", maintainer.email));
        }
        if !maintainer.url.is_empty() && !is_url(&maintainer.url) {
            return Err(format!("invalid url '{}' for maintainer '{name}'", maintainer.url));
        }
    }
    if empty.is_some() { Err("a maintainer entry is empty".into()) } else { Ok(()) }
}

fn sources(metadata: &Metadata) -> Result<(), String> {
    let wrong = metadata.sources.iter().find(|source| !is_request_url(source));
    wrong.map_or(Ok(()), |source| Err(format!("invalid source URL '{source}'")))
}

fn icon_given(metadata: &Metadata) -> Result<(), String> {
    if metadata.icon.is_empty() { Err("icon is recommended".into()) } else { Ok(()) }
}

fn icon(metadata: &Metadata) -> Result<(), String> {
    let icon = &metadata.icon;
    if icon.is_empty() || is_request_url(icon) { Ok(()) } else { Err(format!("invalid icon URL '{icon}'")) }
}

fn kind(metadata: &Metadata) -> Result<(), String> {
    let version = &metadata.api_version;
    if metadata.kind.is_empty() || version == "v2" {
        return Ok(());
    }
    Err(format!("chart type is not valid in apiVersion '{version}'. It is valid in apiVersion 'v2'"))
}

fn dependencies(metadata: &Metadata) -> Result<(), String> {
    let version = &metadata.api_version;
    if metadata.dependencies.is_empty() || version == "v2" {
        return Ok(());
    }
    Err(format!(
        "dependencies are not valid in the Chart file with apiVersion '{version}'. They are valid in apiVersion 'v2'"
    ))
}
