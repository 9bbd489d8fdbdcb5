//! A bare repository on disk that keeps the commits fetched so far, so that the next one costs a delta.
//!
//! It is plain Git (`git --git-dir DIR cat-file …` works), plus the file `tips`: the commits whose trees are complete, newest
//! last. A commit is written there only after its pack, so a crash costs one more fetch. A mirror that turns out broken, or
//! that has collected many packs, is emptied and filled again.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use gix::{
    ObjectId,
    objs::{CommitRef, Find, Kind},
};

use crate::{
    checkout::{self, Checkout, CheckoutOptions},
    error::{Error, Result, chain},
    fetch::{Depth, Wanted, fetch},
    limit::Limit,
    refs::Resolved,
    remote::Remote,
    session::Session,
};

/// Bound on a single object in memory.
pub(crate) const MAX_OBJECT_BYTES: usize = 1 << 30;
/// Bound on what one fetch may transfer.
const MAX_FETCH_BYTES: u64 = 16 << 30;
/// Commits named to the server as known. More do not make the delta smaller.
const MAX_HAVES: usize = 8;
/// Each fetch adds a pack. With so many the mirror is filled anew, which is one shallow clone.
const MAX_TIPS: usize = 48;

/// What a mirror knows of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The commit's id.
    pub id: ObjectId,
    /// The id of its tree.
    pub tree: ObjectId,
    /// The whole message.
    pub message: String,
    /// When it was committed, in seconds since 1970.
    pub committed: i64,
}

impl Commit {
    /// The first line of the message.
    pub fn subject(&self) -> &str {
        self.message.trim_start().lines().next().unwrap_or_default()
    }
}

/// A bare repository that mirrors some commits of a remote one. One caller at a time; see [`crate::Mirrors`].
#[derive(Debug)]
pub struct Mirror {
    paths: Paths,
}

/// Where things are in a mirror.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    root: PathBuf,
}

impl Paths {
    fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    pub(crate) fn packs(&self) -> PathBuf {
        self.root.join("objects/pack")
    }

    pub(crate) fn shallow(&self) -> PathBuf {
        self.root.join("shallow")
    }

    fn tips(&self) -> PathBuf {
        self.root.join("tips")
    }

    pub(crate) fn submodule(&self, name: &str) -> PathBuf {
        self.root.join("modules").join(name)
    }

    /// Removes what a process that was killed in a fetch left behind: its lock, and files that are no whole packs.
    pub(crate) fn clean(&self) -> Result<()> {
        let packs = self.packs();
        let mut litter = vec![self.root.join("shallow.lock")];
        for entry in fs::read_dir(&packs).map_err(Error::local("read directory", &packs))? {
            let path = entry.map_err(Error::local("read directory", &packs))?.path();
            let is_whole = match path.extension().and_then(|extension| extension.to_str()) {
                Some("pack") => path.with_extension("idx").exists(),
                Some("idx") => path.with_extension("pack").exists(),
                _ => false,
            };
            if !is_whole {
                litter.push(path);
            }
        }
        for path in litter {
            match fs::remove_file(&path) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::Local { action: "remove", path, cause });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The object database.
    pub(crate) fn open(&self) -> Result<gix::odb::Handle> {
        let options = gix::odb::store::init::Options {
            use_multi_pack_index: false,
            alloc_limit_bytes: Some(MAX_OBJECT_BYTES),
            ..Default::default()
        };
        gix::odb::at_opts(self.objects(), gix::hash::Kind::Sha1, None, options)
            .map_err(Error::local("open object database", self.objects()))
    }

    pub(crate) fn corrupt(&self, detail: String) -> Error {
        Error::Corrupt { mirror: self.root.clone(), detail }
    }
}

impl Mirror {
    /// Opens the mirror in `dir`, and creates an empty one where there is none.
    ///
    /// # Errors
    /// [`Error::Local`].
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self> {
        let mirror = Self { paths: Paths { root: dir.into() } };
        if !mirror.paths.root.join("HEAD").is_file() {
            mirror.create()?;
        }
        Ok(mirror)
    }

    pub(crate) fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Fetches what is missing of `resolved` and writes its tree to the empty directory `into`.
    ///
    /// Ties are broken (see [`Resolved::ties`]); [`Checkout::resolved`] tells what was chosen. Nothing is fetched when the commit
    /// is here already. A broken mirror is filled anew. On an error `into` may hold part of the files.
    ///
    /// # Errors
    /// [`Error::CommitNotFound`], [`Error::UnsafeTree`], [`Error::Submodule`], [`Error::Local`] and those of the network.
    pub fn checkout(
        &self,
        remote: &Remote,
        resolved: &Resolved,
        into: &Path,
        options: &CheckoutOptions,
        limit: &Limit,
    ) -> Result<Checkout> {
        let broken = match self.try_checkout(remote, resolved, into, options, limit) {
            Err(Error::Corrupt { detail, .. }) => detail,
            done => return done,
        };
        tracing::warn!(mirror = %self.paths.root.display(), detail = broken, "mirror is broken, filling it again");
        self.reset()?;
        clear(into)?;
        self.try_checkout(remote, resolved, into, options, limit).map_err(|error| match error {
            // Broken at once after a fetch: then it is the server that sent too little.
            Error::Corrupt { detail, .. } => {
                Error::Protocol { url: remote.url().without_user_info(), detail }
            }
            error => error,
        })
    }

    fn try_checkout(
        &self,
        remote: &Remote,
        resolved: &Resolved,
        into: &Path,
        options: &CheckoutOptions,
        limit: &Limit,
    ) -> Result<Checkout> {
        let resolved = self.obtain(remote, resolved, limit)?;
        checkout::write(&self.paths, remote, resolved, into, options, limit)
    }

    /// Fetches what is missing of `resolved`, and breaks its ties.
    ///
    /// # Errors
    /// As [`Mirror::checkout`].
    pub fn obtain(&self, remote: &Remote, resolved: &Resolved, limit: &Limit) -> Result<Resolved> {
        let candidates = resolved.candidates();
        let mut tips = self.read_tips();
        let objects = self.paths.open()?;
        let have = |candidate: &Resolved, tips: &[ObjectId]| {
            tips.contains(&candidate.commit)
                && candidate.tag.is_none_or(|tag| gix::objs::Exists::exists(&objects, &tag))
        };
        let missing: Vec<&Resolved> = candidates.iter().filter(|candidate| !have(candidate, &tips)).collect();
        if !missing.is_empty() {
            if tips.len() + missing.len() > MAX_TIPS {
                self.reset()?;
                tips.clear();
            }
            let wanted = Wanted {
                wants: missing.iter().map(|candidate| candidate.tag.unwrap_or(candidate.commit)).collect(),
                haves: tips.iter().rev().take(MAX_HAVES).copied().collect(),
                depth: Depth::One,
            };
            let mut session = Session::open(remote, limit, MAX_FETCH_BYTES)?;
            match fetch(&mut session, &self.paths, wanted, limit) {
                Ok(()) => {}
                Err(Error::CommitNotFound { .. }) if resolved.pinned => {
                    drop(session);
                    self.fetch_history(remote, resolved, limit)?;
                    tips.clear();
                }
                Err(error) => return Err(error),
            }
            for candidate in &missing {
                self.commit(candidate.commit).map_err(|error| not_sent(error, remote, candidate))?;
                tips.retain(|tip| *tip != candidate.commit);
                tips.push(candidate.commit);
            }
            self.write_tips(&tips)?;
        }
        let mut newest: Option<(i64, Resolved)> = None;
        for candidate in candidates {
            let committed = self.commit(candidate.commit)?.committed;
            if newest.as_ref().is_none_or(|(best, _)| committed > *best) {
                newest = Some((committed, candidate));
            }
        }
        newest
            .map(|(_, chosen)| chosen)
            .ok_or_else(|| Error::InvalidReference { detail: "the reference names no commit".into() })
    }

    /// For servers that hand out only what they advertise: fetches the history of the branch, or of all branches.
    fn fetch_history(&self, remote: &Remote, resolved: &Resolved, limit: &Limit) -> Result<()> {
        let url = || remote.url().without_user_info();
        self.reset()?;
        let mut session = Session::open(remote, limit, MAX_FETCH_BYTES)?;
        let branch = resolved.name.as_ref().map(|branch| format!("refs/heads/{branch}"));
        let mut heads = session.list(&["refs/heads/"])?;
        if let Some(branch) = &branch {
            heads.retain(|head| head.name == *branch);
        }
        if heads.is_empty() {
            return Err(match branch {
                Some(reference) => Error::RefNotFound { reference, url: url() },
                None => Error::EmptyRepository { url: url() },
            });
        }
        let mut wants: Vec<ObjectId> = heads.iter().map(|head| head.commit).collect();
        wants.sort();
        wants.dedup();
        // Protocol v0 hands out its refs with the handshake and then expects wants at once: begin anew.
        let mut session = Session::open(remote, limit, MAX_FETCH_BYTES)?;
        fetch(&mut session, &self.paths, Wanted { wants, haves: Vec::new(), depth: Depth::Full }, limit)?;
        if self.commit(resolved.commit).is_err() {
            let detail = match &resolved.name {
                Some(branch) => format!("it is not in the history of branch '{branch}'"),
                None => "it is not in the history of any branch".into(),
            };
            return Err(Error::CommitNotFound { commit: resolved.commit.to_string(), url: url(), detail });
        }
        Ok(())
    }

    /// Reads a commit that was fetched.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it is not here or is no commit.
    pub fn commit(&self, id: ObjectId) -> Result<Commit> {
        read_commit(&self.paths, &self.paths.open()?, id)
    }

    /// Commits whose trees are here completely, oldest first. Unreadable lines are skipped: they cost a fetch.
    fn read_tips(&self) -> Vec<ObjectId> {
        let text = fs::read_to_string(self.paths.tips()).unwrap_or_default();
        text.lines().filter_map(|line| ObjectId::from_hex(line.trim().as_bytes()).ok()).collect()
    }

    fn write_tips(&self, tips: &[ObjectId]) -> Result<()> {
        let path = self.paths.tips();
        let text: String = tips.iter().map(|tip| format!("{tip}\n")).collect();
        let mut file = tempfile::NamedTempFile::new_in(&self.paths.root)
            .map_err(Error::local("create temporary file in", &self.paths.root))?;
        file.write_all(text.as_bytes()).map_err(Error::local("write", &path))?;
        file.persist(&path).map_err(|error| Error::Local { action: "write", path, cause: error.error })?;
        Ok(())
    }

    /// Removes everything that was fetched.
    ///
    /// # Errors
    /// [`Error::Local`].
    pub fn reset(&self) -> Result<()> {
        match fs::remove_dir_all(&self.paths.root) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::Local { action: "remove", path: self.paths.root.clone(), cause });
            }
            _ => {}
        }
        self.create()
    }

    fn create(&self) -> Result<()> {
        for dir in ["objects/pack", "objects/info", "refs/heads", "refs/tags"] {
            let dir = self.paths.root.join(dir);
            fs::create_dir_all(&dir).map_err(Error::local("create directory", &dir))?;
        }
        // HEAD last: it says that the rest is there.
        for (name, text) in [
            ("config", "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"),
            ("HEAD", "ref: refs/heads/main\n"),
        ] {
            let path = self.paths.root.join(name);
            fs::write(&path, text).map_err(Error::local("write", &path))?;
        }
        Ok(())
    }
}

/// Reads commit `id`.
pub(crate) fn read_commit(paths: &Paths, objects: &gix::odb::Handle, id: ObjectId) -> Result<Commit> {
    let mut buffer = Vec::new();
    let found = objects
        .try_find(&id, &mut buffer)
        .map_err(|error| paths.corrupt(chain(&error)))?
        .ok_or_else(|| paths.corrupt(format!("commit {id} is missing")))?;
    if found.kind != Kind::Commit {
        return Err(Error::InvalidReference {
            detail: format!("object {id} is a {}, not a commit", found.kind),
        });
    }
    let commit = CommitRef::from_bytes(found.data, gix::hash::Kind::Sha1)
        .map_err(|error| paths.corrupt(format!("commit {id} cannot be read: {}", chain(&error))))?;
    Ok(Commit {
        id,
        tree: commit.tree(),
        message: commit.message.to_string(),
        committed: commit.time().map(|time| time.seconds).unwrap_or_default(),
    })
}

/// A commit that is missing right after a fetch was not sent.
fn not_sent(error: Error, remote: &Remote, candidate: &Resolved) -> Error {
    match error {
        Error::Corrupt { detail, .. } => Error::Protocol {
            url: remote.url().without_user_info(),
            detail: format!("the pack lacks commit {}: {detail}", candidate.commit),
        },
        error => error,
    }
}

/// Empties a directory.
fn clear(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(Error::local("read directory", dir))? {
        let path = entry.map_err(Error::local("read directory", dir))?.path();
        let is_dir = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
        let removed = if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(Error::local("remove", &path))?;
    }
    Ok(())
}
