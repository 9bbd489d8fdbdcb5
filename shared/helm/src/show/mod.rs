//! The parts of a chart that `helm show` prints.

use serde_json::Value;

use crate::package::metadata_value;
use crate::{Chart, ChartFile};

mod json_path;

pub use json_path::JsonPathError;

/// `Chart.yaml` as Helm understands it, and an empty line.
#[must_use]
pub fn chart(chart: &Chart) -> String {
    format!("{}\n", sluice_yaml::to_string(&Value::Object(metadata_value(&chart.metadata))))
}

/// `values.yaml` as it stands, and a newline; nothing where there is none.
#[must_use]
pub fn values(chart: &Chart) -> String {
    chart.raw_file("values.yaml").map(text).unwrap_or_default()
}

/// What a path in the words of `kubectl -o jsonpath` finds in the default values.
///
/// # Errors
/// If the path cannot be read.
pub fn values_at(chart: &Chart, path: &str) -> Result<String, JsonPathError> {
    json_path::print(path, &Value::Object(chart.values.clone()))
}

/// The first file at the root that is called `readme.md`, `readme.txt` or `readme`, in any case, and a newline.
#[must_use]
pub fn readme(chart: &Chart) -> String {
    readme_file(chart).map(text).unwrap_or_default()
}

fn readme_file(chart: &Chart) -> Option<&ChartFile> {
    let names = ["readme.md", "readme.txt", "readme"];
    chart.files.iter().find(|file| names.iter().any(|name| file.name.eq_ignore_ascii_case(name)))
}

/// The CRDs of a chart and its subcharts, each as a document.
#[must_use]
pub fn crds(chart: &Chart) -> String {
    let mut out = String::new();
    add_crds(chart, &mut out);
    out
}

fn add_crds(chart: &Chart, out: &mut String) {
    for file in chart.files.iter().filter(|file| is_crd(&file.name)) {
        if !file.data.starts_with(b"---") {
            out.push_str("---\n");
        }
        out.push_str(&text(file));
    }
    for dependency in &chart.dependencies {
        add_crds(dependency, out);
    }
}

/// Whether a file of a chart is a CRD: YAML or JSON at any depth of `crds/`.
pub(crate) fn is_crd(name: &str) -> bool {
    name.starts_with("crds/") && [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending))
}

/// Everything.
#[must_use]
pub fn all(chart: &Chart) -> String {
    let mut out = self::chart(chart);
    if chart.raw_file("values.yaml").is_some() {
        out.push_str("---\n");
        out.push_str(&values(chart));
    }
    if readme_file(chart).is_some() {
        out.push_str("---\n");
        out.push_str(&readme(chart));
    }
    out.push_str(&crds(chart));
    out
}

fn text(file: &ChartFile) -> String {
    format!("{}\n", String::from_utf8_lossy(&file.data))
}
