//! `helm show …`.

use sluice_helm::show;

use super::arguments::{ShowCommand, ShowOptions};
use super::{Failure, load, print, wrong_count};

pub(super) fn run(command: &ShowCommand) -> Result<(), Failure> {
    let text = match command {
        ShowCommand::Chart(options) => show::chart(&chart("chart", options)?),
        ShowCommand::Readme(options) => show::readme(&chart("readme", options)?),
        ShowCommand::Crds(options) => show::crds(&chart("crds", options)?),
        ShowCommand::All(options) => show::all(&chart("all", options)?),
        ShowCommand::Values(options) => {
            let chart = chart("values", &options.chart)?;
            match options.jsonpath.as_deref().filter(|path| !path.is_empty()) {
                Some(path) => {
                    show::values_at(&chart, path).map_err(|error| Failure::new(error.to_string()))?
                }
                None => show::values(&chart),
            }
        }
    };
    print(&text)
}

fn chart(command: &str, options: &ShowOptions) -> Result<sluice_helm::Chart, Failure> {
    match options.charts.as_slice() {
        // Helm's loader of this command says less.
        [chart]
            if std::path::Path::new(chart).is_dir()
                && !std::path::Path::new(chart).join("Chart.yaml").exists() =>
        {
            Err(Failure::new("Chart.yaml file is missing")
                .hint("a chart is a folder with a Chart.yaml, or an archive of one"))
        }
        [chart] => load(chart),
        _ => Err(wrong_count(&format!("show {command}"), "1 argument", "[CHART] [flags]")),
    }
}
