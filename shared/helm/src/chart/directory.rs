//! A chart out of a folder: walked in byte order, links followed as far as the options allow.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::files::{self, Budget};
use super::ignore::Ignore;
use super::{Chart, ChartFile, LoadError, LoadOptions, Metadata, archive, version};

/// Levels of folders.
const DEPTH: usize = 64;

/// Loads the chart in folder `dir`.
///
/// # Errors
/// Helm's text for what is missing, cannot be read or is not allowed.
pub(super) fn load(dir: &Path, options: &LoadOptions) -> Result<Chart, LoadError> {
    let (top, mut walk) = Walk::of(dir, options)?;
    version::check(&walk.chart_yaml(&top)?)?;
    let rules = top.join(".helmignore");
    if rules.exists() {
        walk.check_link(&rules)?;
        let fault = |error: io::Error| LoadError::new(error.to_string());
        walk.rules = Ignore::parse(&read(&rules, options.max_bytes).map_err(fault)?).map_err(fault)?;
    } else {
        walk.rules = Ignore::parse(b"").map_err(|error| LoadError::new(error.to_string()))?;
    }
    walk.folder(&top, "", 0)?;
    let Walk { files, mut budget, warnings, rules, .. } = walk;
    let mut chart = files::load(files, &mut budget)?;
    chart.warnings.splice(0..0, warnings);
    chart.advice.extend(rules.negations().map(|rule| {
        format!(".helmignore: {rule} leaves out everything that it does not match, unlike in .gitignore")
    }));
    Ok(chart)
}

/// Reads the `Chart.yaml` in folder `dir`.
///
/// # Errors
/// Helm's text for what is missing, cannot be read or is not allowed.
pub(super) fn metadata(dir: &Path, options: &LoadOptions) -> Result<Metadata, LoadError> {
    let (top, mut walk) = Walk::of(dir, options)?;
    let data = walk.chart_yaml(&top)?;
    version::check(&data)?;
    let file = ChartFile { name: "Chart.yaml".into(), data: archive::without_bom(data), modified: None };
    files::load(vec![file], &mut walk.budget).map(|chart| chart.metadata)
}

struct Walk {
    /// The folder that links may not leave.
    allowed: Option<PathBuf>,
    follow_anywhere: bool,
    rules: Ignore,
    budget: Budget,
    max_file_bytes: u64,
    /// Entries that may still be looked at.
    entries: usize,
    files: Vec<ChartFile>,
    warnings: Vec<String>,
    /// The real folders that are being walked, to see a loop.
    open: Vec<PathBuf>,
}

impl Walk {
    /// A walk through `dir`, and its absolute path.
    fn of(dir: &Path, options: &LoadOptions) -> Result<(PathBuf, Self), LoadError> {
        let top = std::path::absolute(dir).map_err(|error| LoadError::new(error.to_string()))?;
        let real_top = top.canonicalize().map_err(|error| undetected(&top, &error))?;
        let walk = Self {
            allowed: options
                .links_within
                .as_deref()
                .map_or_else(|| Ok(real_top.clone()), Path::canonicalize)
                .ok(),
            follow_anywhere: options.links_anywhere,
            rules: Ignore::default(),
            budget: Budget::new(options.max_bytes, options.max_files),
            max_file_bytes: options.max_file_bytes,
            entries: options.max_files.saturating_mul(4),
            files: Vec::new(),
            warnings: Vec::new(),
            open: vec![real_top],
        };
        Ok((top, walk))
    }

    fn chart_yaml(&mut self, top: &Path) -> Result<Vec<u8>, LoadError> {
        let path = top.join("Chart.yaml");
        self.check_link(&path)?;
        let info = path.metadata().map_err(|error| undetected(top, &error))?;
        self.check_size("Chart.yaml", info.len())?;
        read(&path, self.budget.max).map_err(|error| undetected(top, &error))
    }

    fn check_size(&self, name: &str, size: u64) -> Result<(), LoadError> {
        match self.max_file_bytes {
            max if size > max => Err(LoadError::new(format!(
                "cannot load file {name} as file size ({size}) exceeds limit ({max})"
            ))),
            _ => Ok(()),
        }
    }

    fn folder(&mut self, path: &Path, below: &str, depth: usize) -> Result<(), LoadError> {
        let fault = |error: io::Error| LoadError::new(go_error("open", path, &error));
        if depth > DEPTH {
            return Err(LoadError::new(format!("folders are nested deeper than {DEPTH} levels at {below}")));
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(path).map_err(fault)? {
            self.entries = self.entries.checked_sub(1).ok_or_else(|| {
                LoadError::new(format!("the chart holds too many files, at {}", path.display()))
            })?;
            names.push(entry.map_err(fault)?.file_name());
        }
        names.sort();
        for name in names {
            let Some(text) = name.to_str() else {
                let shown = name.to_string_lossy();
                return Err(LoadError::new(format!("cannot load {below}{shown}: its name is not UTF-8")));
            };
            self.entry(&path.join(&name), &format!("{below}{text}"), depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, name: &str, depth: usize) -> Result<(), LoadError> {
        let fault = |error: io::Error| LoadError::new(go_error("lstat", path, &error));
        let mut info = fs::symlink_metadata(path).map_err(fault)?;
        if info.is_symlink() {
            let resolved = self.check_link(path)?;
            self.warnings.push(format!(
                "found symbolic link in path. Contents of linked file included and used path={} resolved={}",
                path.display(),
                resolved.display()
            ));
            info = fs::metadata(path).map_err(fault)?;
        }
        if self.rules.ignores(name, info.is_dir()) {
            return Ok(());
        }
        if info.is_dir() {
            let real = path.canonicalize().map_err(fault)?;
            if self.open.contains(&real) {
                return Err(LoadError::new(format!(
                    "lstat {}: too many levels of symbolic links",
                    path.display()
                )));
            }
            self.open.push(real);
            self.folder(path, &format!("{name}/"), depth + 1)?;
            self.open.pop();
            return Ok(());
        }
        if !info.is_file() {
            return Err(LoadError::new(format!(
                "cannot load irregular file {} as it has file mode type bits set",
                path.display()
            )));
        }
        let max = self.budget.max;
        let too_large = || {
            LoadError::new(format!(
                "error reading {name}: chart exceeds maximum decompressed size of {max} bytes"
            ))
        };
        self.check_size(name, info.len())?;
        if info.len() > self.budget.bytes {
            return Err(too_large());
        }
        let data = read_sized(path, info.len(), self.budget.bytes).map_err(|error| {
            LoadError::new(format!("error reading {name}: {}", go_error("open", path, &error)))
        })?;
        if !self.budget.take(data.len() as u64) {
            return Err(too_large());
        }
        let data = archive::without_bom(data);
        self.files.push(ChartFile { name: name.to_owned(), data, modified: info.modified().ok() });
        Ok(())
    }

    /// Where a path really leads, if a link may lead there.
    fn check_link(&self, path: &Path) -> Result<PathBuf, LoadError> {
        let Ok(info) = fs::symlink_metadata(path) else { return Ok(path.to_owned()) };
        if !info.is_symlink() {
            return Ok(path.to_owned());
        }
        let resolved = path.canonicalize().map_err(|error| {
            let target = fs::read_link(path).unwrap_or_default();
            let target = path.parent().unwrap_or(path).join(target);
            LoadError::new(format!(
                "error evaluating symlink {}: {}",
                path.display(),
                go_error("lstat", &target, &error)
            ))
        })?;
        if self.follow_anywhere || self.allowed.as_ref().is_some_and(|root| resolved.starts_with(root)) {
            return Ok(resolved);
        }
        Err(LoadError::new(format!("symbolic link {} leads out of the chart", path.display()))
            .with_hint("copy the file into the chart"))
    }
}

fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_sized(path, 0, limit)
}

/// Reads a file of about `size` bytes: with room for one more its end is seen without growing.
fn read_sized(path: &Path, size: u64, limit: u64) -> io::Result<Vec<u8>> {
    let mut data = Vec::with_capacity(usize::try_from(size.min(limit)).unwrap_or(0).saturating_add(1));
    File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut data)?;
    Ok(data)
}

fn undetected(top: &Path, error: &io::Error) -> LoadError {
    let path = top.join("Chart.yaml");
    LoadError::new(format!(
        "unable to detect chart at {}: {}",
        path.display(),
        go_error("open", &path, error)
    ))
    .with_hint("a chart is a folder with a Chart.yaml, or a .tgz of one")
}

/// A failed file operation in Go's words.
pub(crate) fn go_error(operation: &str, path: &Path, error: &io::Error) -> String {
    let text = match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        io::ErrorKind::NotADirectory => "not a directory".to_owned(),
        // The kind for a loop of links is not in stable Rust yet.
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            "too many levels of symbolic links".to_owned()
        }
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or(&text).to_lowercase()
        }
    };
    format!("{operation} {}: {text}", path.display())
}
