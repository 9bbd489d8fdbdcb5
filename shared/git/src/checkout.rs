//! Writes a commit's tree to a directory.
//!
//! No filter runs: no LFS, no end-of-line conversion, no `export-ignore`. Every file is created anew in a directory created anew, so
//! that nothing is ever written through a link. Links that could lead out of the directory are left out.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use gix::{
    ObjectId,
    objs::{Find, FindHeader, Kind, TreeRefIter, tree::EntryKind},
};

use crate::{
    error::{Error, Result, chain},
    limit::Limit,
    mirror::{Commit, Paths, read_commit},
    refs::Resolved,
    remote::Remote,
    submodule,
};

/// Bound on the depth of directories.
const MAX_DEPTH: usize = 256;

/// What to write.
#[derive(Clone, Debug)]
pub struct CheckoutOptions {
    /// Directories, relative to the root, to which the checkout is limited; all when empty. A leading `./` is dropped.
    pub sparse: Vec<String>,
    /// Whether to fetch submodules and theirs, ten levels deep.
    pub submodules: bool,
    /// Bound on files, directories and links.
    pub max_entries: u64,
    /// Bound on the bytes of all files.
    pub max_bytes: u64,
}

impl Default for CheckoutOptions {
    /// Everything, without submodules; at most two million entries and 16 GiB.
    fn default() -> Self {
        Self { sparse: Vec::new(), submodules: false, max_entries: 2_000_000, max_bytes: 16 << 30 }
    }
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// The reference, with ties broken.
    pub resolved: Resolved,
    /// The commit whose tree was written.
    pub commit: Commit,
    /// Number of files.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Symbolic links that were left out, because they could lead out of the directory.
    pub skipped_links: u64,
}

/// Writes the tree of `resolved`, which must be in the mirror, to the empty directory `into`.
pub(crate) fn write(
    paths: &Paths,
    remote: &Remote,
    resolved: Resolved,
    into: &Path,
    options: &CheckoutOptions,
    limit: &Limit,
) -> Result<Checkout> {
    let mut budget = Budget::new(options);
    let commit = write_commit(paths, remote, resolved.commit, into, &mut budget, limit, 0)?;
    Ok(Checkout {
        resolved,
        commit,
        files: budget.files,
        bytes: options.max_bytes - budget.bytes_left,
        skipped_links: budget.skipped_links,
    })
}

/// What a checkout and its submodules may still write.
pub(crate) struct Budget {
    sparse: Vec<Vec<String>>,
    pub(crate) submodules: bool,
    entries_left: u64,
    bytes_left: u64,
    pub(crate) submodules_left: u32,
    files: u64,
    skipped_links: u64,
}

impl Budget {
    fn new(options: &CheckoutOptions) -> Self {
        let sparse: Vec<Vec<String>> = options.sparse.iter().map(|path| components(path)).collect();
        Self {
            // The root itself means everything.
            sparse: if sparse.iter().any(Vec::is_empty) { Vec::new() } else { sparse },
            submodules: options.submodules,
            entries_left: options.max_entries,
            bytes_left: options.max_bytes,
            submodules_left: 256,
            files: 0,
            skipped_links: 0,
        }
    }

    /// Runs `write` without sparse paths, which are those of the outermost repository.
    pub(crate) fn whole_tree<T>(&mut self, write: impl FnOnce(&mut Self) -> T) -> T {
        let sparse = std::mem::take(&mut self.sparse);
        let done = write(self);
        self.sparse = sparse;
        done
    }

    /// Whether `path` is inside a sparse directory, or leads to one.
    fn wants(&self, path: &[String]) -> Wants {
        if self.sparse.is_empty() || self.sparse.iter().any(|sparse| path.starts_with(sparse)) {
            Wants::All
        } else if self.sparse.iter().any(|sparse| sparse.starts_with(path)) {
            Wants::Below
        } else {
            Wants::Nothing
        }
    }

    fn entry(&mut self, path: &str) -> Result<()> {
        self.entries_left = self.entries_left.checked_sub(1).ok_or_else(|| too_large(path, "files"))?;
        Ok(())
    }

    fn bytes(&mut self, path: &str, size: u64) -> Result<()> {
        self.bytes_left = self.bytes_left.checked_sub(size).ok_or_else(|| too_large(path, "bytes"))?;
        Ok(())
    }
}

fn too_large(path: &str, what: &str) -> Error {
    Error::UnsafeTree { path: path.to_owned(), why: format!("the repository has more {what} than allowed") }
}

#[derive(PartialEq, Eq)]
enum Wants {
    All,
    Below,
    Nothing,
}

/// Splits a path as a user writes it.
fn components(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).map(str::to_owned).collect()
}

/// A directory that is still to be read.
struct Pending {
    tree: ObjectId,
    path: Vec<String>,
}

/// Writes one commit, and its submodules at `level + 1`.
pub(crate) fn write_commit(
    paths: &Paths,
    remote: &Remote,
    id: ObjectId,
    into: &Path,
    budget: &mut Budget,
    limit: &Limit,
    level: u32,
) -> Result<Commit> {
    let objects = paths.open()?;
    let commit = read_commit(paths, &objects, id)?;
    let mut gitlinks = Vec::new();
    let mut modules = None;
    let mut pending = vec![Pending { tree: commit.tree, path: Vec::new() }];
    let (mut tree, mut blob) = (Vec::new(), Vec::new());
    while let Some(dir) = pending.pop() {
        let found = find(paths, &objects, &dir.tree, Kind::Tree, &mut tree)?;
        for entry in TreeRefIter::from_bytes(found, gix::hash::Kind::Sha1) {
            let entry = entry.map_err(|error| paths.corrupt(chain(&error)))?;
            let name = safe_name(entry.filename, &dir.path)?;
            let (kind, id) = (entry.mode.kind(), entry.oid.to_owned());
            if dir.path.is_empty() && name == ".gitmodules" && matches!(kind, EntryKind::Blob) {
                modules = Some(id);
            }
            let mut path = dir.path.clone();
            path.push(name);
            let wants = budget.wants(&path);
            let is_dir = matches!(kind, EntryKind::Tree);
            if wants == Wants::Nothing || (wants == Wants::Below && !is_dir) {
                continue;
            }
            let shown = path.join("/");
            limit.check("writing files")?;
            budget.entry(&shown)?;
            let target = into.join(&shown);
            match kind {
                EntryKind::Tree => {
                    if path.len() >= MAX_DEPTH {
                        let why = format!("directories are nested more than {MAX_DEPTH} deep");
                        return Err(Error::UnsafeTree { path: shown, why });
                    }
                    make_dir(&target)?;
                    pending.push(Pending { tree: id, path });
                }
                EntryKind::Commit => {
                    make_dir(&target)?;
                    gitlinks.push((shown, id));
                }
                EntryKind::Blob | EntryKind::BlobExecutable => {
                    let header = objects
                        .try_header(&id)
                        .map_err(|error| paths.corrupt(chain(&error)))?
                        .ok_or_else(|| paths.corrupt(format!("blob {id} is missing")))?;
                    budget.bytes(&shown, header.size)?;
                    let data = find(paths, &objects, &id, Kind::Blob, &mut blob)?;
                    let mode = if matches!(kind, EntryKind::BlobExecutable) { 0o700 } else { 0o600 };
                    write_file(&target, data, mode)?;
                    budget.files += 1;
                }
                EntryKind::Link => {
                    let data = find(paths, &objects, &id, Kind::Blob, &mut blob)?;
                    match safe_link(data, path.len() - 1) {
                        Some(to) => std::os::unix::fs::symlink(to, &target)
                            .map_err(Error::local("create symbolic link", &target))?,
                        None => budget.skipped_links += 1,
                    }
                }
            }
        }
    }
    if budget.submodules && !gitlinks.is_empty() {
        let modules = match modules {
            Some(id) => find(paths, &objects, &id, Kind::Blob, &mut blob)?.to_vec(),
            None => Vec::new(),
        };
        submodule::write_all(paths, remote, &modules, &gitlinks, into, budget, limit, level)?;
    }
    Ok(commit)
}

fn find<'b>(
    paths: &Paths,
    objects: &gix::odb::Handle,
    id: &ObjectId,
    kind: Kind,
    buffer: &'b mut Vec<u8>,
) -> Result<&'b [u8]> {
    let found = objects
        .try_find(id, buffer)
        .map_err(|error| paths.corrupt(chain(&error)))?
        .ok_or_else(|| paths.corrupt(format!("{kind} {id} is missing")))?;
    if found.kind != kind {
        return Err(paths.corrupt(format!("object {id} is a {}, not a {kind}", found.kind)));
    }
    Ok(found.data)
}

/// The entry's name, if it is one file name that does not mean anything to Git or the system.
fn safe_name(name: &[u8], dir: &[String]) -> Result<String> {
    let shown = || {
        let mut path = dir.to_vec();
        path.push(String::from_utf8_lossy(name).into_owned());
        path.join("/")
    };
    let text = std::str::from_utf8(name)
        .map_err(|_| Error::UnsafeTree { path: shown(), why: "its name is not UTF-8".into() })?;
    let bad = text.is_empty()
        || matches!(text, "." | "..")
        || text.eq_ignore_ascii_case(".git")
        || text.contains(['/', '\0']);
    if bad {
        return Err(Error::UnsafeTree { path: shown(), why: "its name is not allowed in a Git tree".into() });
    }
    Ok(text.to_owned())
}

/// The target of a link in a directory `depth` levels below the root, if following it cannot leave the root: relative, and going
/// up only at its beginning and no further than the root. (`..` after a name could lead out through another link.)
fn safe_link(target: &[u8], depth: usize) -> Option<&str> {
    let target = std::str::from_utf8(target).ok()?;
    if target.is_empty() || target.starts_with('/') || target.contains('\0') {
        return None;
    }
    let mut up = 0;
    let mut named = false;
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if named => return None,
            ".." => up += 1,
            _ => named = true,
        }
    }
    (up <= depth).then_some(target)
}

fn make_dir(path: &Path) -> Result<()> {
    DirBuilder::new().mode(0o700).create(path).map_err(Error::local("create directory", path))
}

fn write_file(path: &Path, data: &[u8], mode: u32) -> Result<()> {
    let mut file: fs::File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(Error::local("create file", path))?;
    file.write_all(data).map_err(Error::local("write file", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_could_leave_the_root_are_not_safe() {
        for (target, depth, want) in [
            ("a", 0, true),
            ("a/b", 0, true),
            ("./a", 0, true),
            ("../a", 1, true),
            ("../../a", 2, true),
            ("..", 0, false),
            ("../a", 0, false),
            ("../../a", 1, false),
            ("/etc/passwd", 3, false),
            ("a/../b", 1, false),
            ("", 1, false),
        ] {
            assert_eq!(safe_link(target.as_bytes(), depth).is_some(), want, "{target} at depth {depth}");
        }
    }

    #[test]
    fn names_that_mean_something_are_refused() {
        for name in ["", ".", "..", ".git", ".GIT", "a/b", "a\0b"] {
            assert!(safe_name(name.as_bytes(), &[]).is_err(), "{name:?}");
        }
        assert!(safe_name(b"\xff", &[]).is_err());
        for name in ["a", ".github", ".gitignore", "...", "ünï", "a\\b"] {
            assert!(safe_name(name.as_bytes(), &[]).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn sparse_paths_choose_whole_components() {
        let options = |sparse: &[&str]| CheckoutOptions {
            sparse: sparse.iter().map(|path| (*path).to_owned()).collect(),
            ..Default::default()
        };
        for (sparse, path, all, below) in [
            (&["deploy"][..], "deploy/a", true, false),
            (&["./deploy/"], "deploy", true, false),
            (&["deploy"], "deploy2/a", false, false),
            (&["a/b/c"], "a/b", false, true),
            (&["a/b/c"], "a/b/d", false, false),
            (&["."], "x", true, false),
            (&[], "x", true, false),
        ] {
            let wants = Budget::new(&options(sparse)).wants(&components(path));
            assert_eq!(wants == Wants::All, all, "{sparse:?} {path}");
            assert_eq!(wants == Wants::Below, below, "{sparse:?} {path}");
        }
    }
}
