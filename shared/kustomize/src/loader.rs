//! Files and directories: what a path means, and that it stays inside the root.

use std::cell::Cell;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use crate::error::{BuildError, ErrorKind, Result};
use crate::options::{LoadRestrictions, Options};

/// The files of one build.
#[derive(Debug)]
pub(crate) struct Files<'a> {
    /// Nothing outside is read. Absolute, links resolved.
    root: PathBuf,
    options: &'a Options,
    bytes: Cell<u64>,
    opened: Cell<usize>,
}

impl<'a> Files<'a> {
    pub(crate) fn new(root: &Path, options: &'a Options) -> Result<Self> {
        let root = root.canonicalize().map_err(|error| {
            BuildError::new(ErrorKind::Missing, format!("cannot open the root '{}': {error}", root.display()))
        })?;
        Ok(Self { root, options, bytes: Cell::new(0), opened: Cell::new(0) })
    }

    /// A path as error texts show it.
    pub(crate) fn shown(&self, path: &Path) -> String {
        match (&self.options.shown_root, path.strip_prefix(&self.root)) {
            (Some(shown), Ok(rest)) if rest.as_os_str().is_empty() && !shown.is_empty() => shown.clone(),
            (Some(shown), Ok(rest)) => format!("{shown}/{}", rest.display()),
            _ => path.display().to_string(),
        }
    }

    /// The directory that a build starts in.
    pub(crate) fn start(&self, dir: &Path) -> Result<PathBuf> {
        let path = clean(&self.root.join(dir));
        self.directory(&path)
    }

    /// Nothing outside of this directory is read.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// An existing directory, as a kustomization in `dir` names it.
    pub(crate) fn folder(&self, dir: &Path, path: &str) -> Result<PathBuf> {
        self.count()?;
        let real = self.directory(&clean(&dir.join(path)))?;
        let confined = self.options.load_restrictions == LoadRestrictions::None || real.starts_with(dir);
        if confined { Ok(real) } else { Err(self.outside(&real, dir)) }
    }

    /// Resolves an existing directory inside the root.
    fn directory(&self, path: &Path) -> Result<PathBuf> {
        let real = self
            .resolve(path)
            .map_err(|error| error.within("must build at directory: not a valid directory"))?;
        if !real.is_dir() {
            let shown = self.shown(path);
            return Err(BuildError::invalid(format!(
                "must build at directory: '{shown}': file is not directory"
            )));
        }
        Ok(real)
    }

    /// Follows links; the result exists and is inside the root.
    fn resolve(&self, path: &Path) -> Result<PathBuf> {
        match path.canonicalize() {
            Ok(real) if real.starts_with(&self.root) => Ok(real),
            Ok(_) => Err(self.outside(path, &self.root)),
            // What is outside is not looked at, not even for whether it exists.
            Err(_) if !path.starts_with(&self.root) => Err(self.outside(path, &self.root)),
            Err(error) => {
                let at = first_missing(path);
                let reason = match error.kind() {
                    std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
                    std::io::ErrorKind::NotADirectory => "not a directory".to_owned(),
                    _ => error.to_string(),
                };
                let text = format!(
                    "evalsymlink failure on '{}' : lstat {}: {reason}",
                    self.shown(path),
                    self.shown(at)
                );
                let missing =
                    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory);
                Err(BuildError::new(if missing { ErrorKind::Missing } else { ErrorKind::Io }, text))
            }
        }
    }

    fn outside(&self, path: &Path, root: &Path) -> BuildError {
        let text = format!("security; file '{}' is not in or below '{}'", self.shown(path), self.shown(root));
        BuildError::new(ErrorKind::Outside, text)
    }

    /// Whether `path`, as a kustomization in `dir` names it, is an existing directory or anything else.
    pub(crate) fn is_directory(&self, dir: &Path, path: &str) -> bool {
        !path.is_empty() && self.resolve(&clean(&dir.join(path))).is_ok_and(|real| real.is_dir())
    }

    /// Reads a file that a kustomization in `dir` names.
    pub(crate) fn read(&self, dir: &Path, path: &str) -> Result<Vec<u8>> {
        if is_http(path) {
            return Err(BuildError::unsupported(format!("remote file '{path}' is not supported yet")));
        }
        let full = clean(&dir.join(path));
        let real = self.resolve(&full)?;
        if real.is_dir() {
            return Err(BuildError::invalid(format!("'{}' must resolve to a file", self.shown(&full))));
        }
        let confined = self.options.load_restrictions == LoadRestrictions::None
            || real.parent().is_some_and(|parent| parent.starts_with(dir));
        if !confined {
            return Err(self.outside(&full, dir));
        }
        self.read_resolved(&real)
    }

    /// Reads the text of a kustomization file candidate; nothing if it cannot be one.
    pub(crate) fn read_candidate(&self, dir: &Path, name: &str) -> Result<Option<Vec<u8>>> {
        match self.resolve(&dir.join(name)) {
            Ok(real) if real.is_file() => self.read_resolved(&real).map(Some),
            _ => Ok(None),
        }
    }

    /// Counts a file or directory.
    fn count(&self) -> Result<()> {
        let limit = self.options.limits.files;
        self.opened.set(self.opened.get() + 1);
        if self.opened.get() > limit {
            return Err(BuildError::new(
                ErrorKind::TooLarge,
                format!("the build opens more than {limit} files"),
            ));
        }
        Ok(())
    }

    fn read_resolved(&self, real: &Path) -> Result<Vec<u8>> {
        self.count()?;
        let limits = self.options.limits;
        let wrong = |error: std::io::Error| {
            BuildError::new(ErrorKind::Io, format!("cannot read '{}': {error}", self.shown(real)))
        };
        let metadata = std::fs::metadata(real).map_err(wrong)?;
        if !metadata.is_file() {
            return Err(BuildError::invalid(format!("'{}' is not a regular file", self.shown(real))));
        }
        let file = std::fs::File::open(real).map_err(wrong)?;
        let mut content =
            Vec::with_capacity(usize::try_from(metadata.len().min(limits.file_bytes)).unwrap_or(0));
        file.take(limits.file_bytes.saturating_add(1)).read_to_end(&mut content).map_err(wrong)?;
        let read = content.len() as u64;
        if read > limits.file_bytes {
            let text = format!("'{}' is larger than {} bytes", self.shown(real), limits.file_bytes);
            return Err(BuildError::new(ErrorKind::TooLarge, text));
        }
        self.bytes.set(self.bytes.get() + read);
        if self.bytes.get() > limits.total_bytes {
            let text = format!("the build reads more than {} bytes", limits.total_bytes);
            return Err(BuildError::new(ErrorKind::TooLarge, text));
        }
        Ok(content)
    }

    /// The directory that a kustomization names as a base or component. `visited` are the kustomizations above and
    /// the one that asks, from the root on.
    pub(crate) fn enter(&self, visited: &[PathBuf], path: &str) -> Result<PathBuf> {
        let Some(dir) = visited.last() else { return Err(BuildError::invalid("no kustomization is open")) };
        if path.is_empty() {
            return Err(BuildError::invalid("new root cannot be empty"));
        }
        if is_remote(path) {
            return Err(BuildError::unsupported(format!("remote base '{path}' is not supported yet")));
        }
        if Path::new(path).is_absolute() {
            return Err(BuildError::invalid(format!("new root '{path}' cannot be absolute")));
        }
        if path.split('/').any(|segment| segment != ".." && segment.contains("..")) {
            let clean = clean_relative(path);
            return Err(BuildError::invalid(format!(
                "path \"{path}\" is ambiguous: resolves to \"{clean}\" after normalization, which is likely not the intended target; check for YAML indentation errors in your kustomization file"
            )));
        }
        let real = self.directory(&clean(&dir.join(path)))?;
        if let Some(above) = visited.iter().rev().find(|above| above.starts_with(&real)) {
            return Err(BuildError::invalid(format!(
                "cycle detected: candidate root '{}' contains visited root '{}'",
                self.shown(&real),
                self.shown(above)
            )));
        }
        self.count()?;
        if visited.len() > self.options.limits.depth {
            let text = format!("kustomizations are nested deeper than {} levels", self.options.limits.depth);
            return Err(BuildError::new(ErrorKind::TooLarge, text));
        }
        Ok(real)
    }
}

/// Removes `.` and `..` textually.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

fn clean_relative(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    if parts.is_empty() { ".".into() } else { parts.join("/") }
}

/// The shortest leading part of a path that does not exist.
fn first_missing(path: &Path) -> &Path {
    let mut missing = path;
    for ancestor in path.ancestors() {
        if std::fs::symlink_metadata(ancestor).is_ok() {
            break;
        }
        missing = ancestor;
    }
    missing
}

/// Whether a path is a URL to fetch.
pub(crate) fn is_http(path: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| has_prefix(path, scheme))
}

/// Whether a path names a remote directory: kustomize's grammar of Git URLs.
pub(crate) fn is_remote(path: &str) -> bool {
    let rest = strip_prefix(path, "git::").unwrap_or(path);
    if ["ssh://", "https://", "http://", "file://"].iter().any(|scheme| has_prefix(rest, scheme)) {
        return true;
    }
    if has_prefix(rest, "github.com/") || has_prefix(rest, "github.com:") {
        return true;
    }
    let Some((user, host)) = rest.split_once('@') else { return false };
    let user_ok = user.starts_with(|c: char| c.is_ascii_alphabetic())
        && user.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    user_ok && host.contains([':', '/'])
}

fn has_prefix(text: &str, prefix: &str) -> bool {
    strip_prefix(text, prefix).is_some()
}

fn strip_prefix<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_paths_are_recognised() {
        for (path, want) in [
            ("github.com/o/r/dir?ref=v1", true),
            ("GitHub.com/o/r", true),
            ("git@github.com/o/r/dir", true),
            ("git@h.example:o/r.git?ref=x", true),
            ("ssh://git@github.com/o/r//a/b", true),
            ("https://h.example/a/b", true),
            ("git::https://h.example/a", true),
            ("file:///a/b/r", true),
            ("../x", false),
            ("src/github.com/org/repo", false),
            ("gh:org/repo", false),
            ("a@b", false),
            ("ä@b:c", false),
            ("é", false),
        ] {
            assert_eq!(is_remote(path), want, "{path}");
        }
    }
}
