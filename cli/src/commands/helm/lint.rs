//! `helm lint`.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use sluice_helm::Chart;
use sluice_helm::lint::{Options, Report, Severity, lint};

use super::arguments::LintOptions;
use super::{Failure, capabilities, load_options, log_line, merge, print, wrong_count};

pub(super) fn run(options: &LintOptions, namespace: &str) -> Result<(), Failure> {
    if options.paths.is_empty() {
        return Err(wrong_count("lint", "at least 1 argument", "PATH [flags]"));
    }
    let capabilities = capabilities(options.kube_version.as_deref(), &[])?;
    let mut paths = options.paths.clone();
    if options.with_subcharts {
        for path in &options.paths {
            subcharts(&Path::new(path).join("charts"), 0, &mut paths);
        }
    }
    let wanted = Options {
        values: merge(&options.values)?,
        namespace: namespace.to_owned(),
        capabilities,
        skip_schema_validation: options.skip_schema_validation,
        load: load_options(),
        log: Some(Arc::new(log_line)),
    };
    let failing = if options.strict { Severity::Warning } else { Severity::Error };
    let (mut text, mut failed, mut noted) = (String::new(), 0, false);
    for path in &paths {
        let result = lint_path(Path::new(path), &wanted);
        let bad = result.as_ref().map_or(true, |report| report.reaches(Severity::Warning));
        noted |= bad;
        if options.quiet && !bad {
            continue;
        }
        text.push_str(&format!("==> Linting {path}\n"));
        match &result {
            Err(error) => text.push_str(&format!("Error {error}\n")),
            Ok(report) => {
                let shown = |severity| !options.quiet || severity > Severity::Info;
                for message in report.messages.iter().filter(|message| shown(message.severity)) {
                    text.push_str(&format!("{message}\n"));
                }
            }
        }
        failed += usize::from(result.as_ref().map_or(true, |report| report.reaches(failing)));
        text.push('\n');
    }
    let summary = format!("{} chart(s) linted, {failed} chart(s) failed", paths.len());
    if failed == 0 && (!options.quiet || noted) {
        text.push_str(&format!("{summary}\n"));
    }
    print(&text)?;
    if failed > 0 { Err(Failure::new(summary)) } else { Ok(()) }
}

fn lint_path(path: &Path, options: &Options) -> Result<Report, String> {
    let name = path.to_string_lossy();
    if !name.ends_with(".tgz") && !name.ends_with(".tar.gz") {
        return lint(path, options).map_err(|error| error.to_string());
    }
    if let Err(error) = std::fs::File::open(path) {
        let problem = match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            _ => error.to_string(),
        };
        return Err(format!("unable to open tarball: open {name}: {problem}"));
    }
    let chart =
        Chart::load(path, &options.load).map_err(|error| format!("unable to extract tarball: {error}"))?;
    let folder = tempfile::Builder::new()
        .prefix("helm-lint")
        .tempdir()
        .map_err(|error| format!("unable to create temp dir to extract tarball: {error}"))?;
    let root = folder.path().join(chart.name());
    unpack(&chart, &root).map_err(|error| format!("unable to extract tarball: {error}"))?;
    lint(&root, options).map_err(|error| error.to_string())
}

/// Writes the files of a chart. Their names come from an archive: only plain ones are taken.
fn unpack(chart: &Chart, root: &Path) -> std::io::Result<()> {
    for file in &chart.raw {
        let name = Path::new(&file.name);
        if !name.components().all(|part| matches!(part, Component::Normal(_))) {
            continue;
        }
        let path = root.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, &file.data)?;
    }
    Ok(())
}

/// How deep folders below `charts/` are looked through.
const DEPTH: usize = 64;

/// Adds every folder with a `Chart.yaml` and every archive below a folder, in byte order.
fn subcharts(folder: &Path, depth: usize, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let real_folder = path.symlink_metadata().is_ok_and(|info| info.is_dir());
        if name == "Chart.yaml" {
            found.push(folder.display().to_string());
        } else if name.ends_with(".tgz") || name.ends_with(".tar.gz") {
            found.push(path.display().to_string());
        }
        if real_folder && depth < DEPTH {
            subcharts(&path, depth + 1, found);
        }
    }
}
