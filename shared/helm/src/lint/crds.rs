//! Rules for `crds/`.

use std::path::Path;

use super::{Report, Severity, document};
use crate::Chart;

const FOLDER: &str = "crds/";

pub(super) fn check(folder: &Path, chart: &Result<Chart, String>, report: &mut Report) {
    let path = folder.join(FOLDER);
    // A trailing slash makes a file look absent; Go reports it as no directory.
    let without_slash = folder.join("crds");
    if !without_slash.exists() {
        return;
    }
    if let Some(chart) = super::loaded(FOLDER, &path, chart, report) {
        check_chart(chart, report);
    }
}

/// Whether all CRDs of a chart and its subcharts can be read.
fn check_chart(chart: &Chart, report: &mut Report) -> bool {
    for file in chart.files.iter().filter(|file| crate::show::is_crd(&file.name)) {
        let text = String::from_utf8_lossy(&file.data);
        for object in document::objects(&text) {
            let object = match object {
                Ok(object) => object,
                Err(error) => {
                    return report.rule(
                        Severity::Error,
                        &file.name,
                        Err(format!("unable to parse YAML: {error}")),
                    );
                }
            };
            let Some(object) = object else { continue };
            if !object.api_version.starts_with("apiextensions.k8s.io") {
                let text = "apiVersion is not in 'apiextensions.k8s.io'";
                report.rule(Severity::Error, &file.name, Err(text.into()));
            }
            if object.kind != "CustomResourceDefinition" {
                let text = "object kind is not 'CustomResourceDefinition'";
                report.rule(Severity::Error, &file.name, Err(text.into()));
            }
        }
    }
    chart.dependencies.iter().all(|dependency| check_chart(dependency, report))
}
