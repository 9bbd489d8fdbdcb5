//! `helm package`.

use std::path::{Path, PathBuf};

use sluice_helm::Chart;
use sluice_helm::package::{Options, package};

use sluice_gotemplate::fmt::quoted;

use super::arguments::PackageOptions;
use super::{Failure, load_options, log, print};

pub(super) fn run(options: &PackageOptions) -> Result<(), Failure> {
    if options.paths.is_empty() {
        return Err(Failure::new("need at least one argument, the path to the chart"));
    }
    let epoch = epoch(std::env::var("SOURCE_DATE_EPOCH").ok().as_deref())?;
    if options.sign {
        return Err(match &options.key {
            None => Failure::new("--key is required for signing a package"),
            Some(_) => Failure::new("packages are not signed here")
                .hint("pack without --sign, and sign the archive with another program"),
        });
    }
    if options.dependency_update {
        log("WARN", "subcharts are not fetched here: --dependency-update has no effect");
    }
    for path in &options.paths {
        let file = pack(path, options, epoch)?;
        print(&format!("Successfully packaged chart and saved it to: {}\n", file.display()))?;
    }
    Ok(())
}

fn pack(path: &str, options: &PackageOptions, epoch: Option<u64>) -> Result<PathBuf, Failure> {
    let folder = Path::new(path);
    if let Err(error) = folder.metadata() {
        let problem = match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            _ => error.to_string(),
        };
        return Err(Failure::new(format!("stat {path}: {problem}")));
    }
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    if !folder.is_dir() {
        let folder = folder.display();
        return Err(Failure::new(format!(
            "unable to detect chart at {folder}/Chart.yaml: open {folder}/Chart.yaml: not a directory"
        )));
    }
    let chart = Chart::load(&folder, &load_options()).map_err(|error| {
        let failure = Failure::new(error.to_string());
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    for warning in &chart.warnings {
        log("INFO", warning);
    }
    let wanted =
        Options { version: options.version.clone(), app_version: options.app_version.clone(), epoch };
    let archive = package(&chart, &wanted).map_err(|error| Failure::new(error.to_string()))?;
    let destination = if options.destination == Path::new(".") {
        std::env::current_dir()
            .map_err(|error| Failure::new(format!("cannot find the current folder: {error}")))?
    } else {
        options.destination.clone()
    };
    let file = destination.join(&archive.file_name);
    store(&file, &archive.data)
        .map_err(|error| Failure::new(format!("failed to save: cannot write {}: {error}", file.display())))?;
    Ok(file)
}

/// Writes a file so that it is whole or not there.
fn store(file: &Path, data: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut partial = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        partial.permissions(std::fs::Permissions::from_mode(0o644));
    }
    let mut partial = partial.tempfile_in(folder)?;
    std::io::Write::write_all(&mut partial, data)?;
    partial.persist(file)?;
    Ok(())
}

/// The time that all files of a package have.
fn epoch(value: Option<&str>) -> Result<Option<u64>, Failure> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    match value.parse::<i64>() {
        Ok(seconds) => u64::try_from(seconds)
            .map(Some)
            .map_err(|_| Failure::new("invalid SOURCE_DATE_EPOCH: must not be negative")),
        Err(_) => Err(Failure::new(format!(
            "invalid SOURCE_DATE_EPOCH: strconv.ParseInt: parsing {}: invalid syntax",
            quoted(value.as_bytes())
        ))),
    }
}
