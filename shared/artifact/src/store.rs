//! Where artifacts lie: a directory per object, files that appear whole or not at all, and their removal.
//!
//! Every file is written to a temporary file beside its target, flushed to the disk and renamed, so that a crash at
//! any point leaves either the old state or the new one. The current file of an object is never collected.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::digest::{Algorithm, Digest, DigestError, HashingWriter};
use crate::pack::{self, PackError, Packed};
use crate::path::secure_join;

/// Files looked at by one garbage collection.
const MAX_VISITED: usize = 1000;
/// Time that one garbage collection takes at most.
const MAX_COLLECTION: Duration = Duration::from_secs(5);
/// Verified files that are remembered.
const MAX_REMEMBERED: usize = 16 * 1024;

/// The object that artifacts belong to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
    kind: String,
    namespace: String,
    name: String,
}

impl Location {
    /// The place of an object's artifacts; the kind is written in lower case.
    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self { kind: kind.to_lowercase(), namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// `<kind>/<namespace>/<name>`, relative to the root of the store.
    pub fn dir(&self) -> String {
        format!("{}/{}/{}", self.kind, self.namespace, self.name)
    }

    /// `<kind>/<namespace>/<name>/<file>`, relative to the root of the store.
    pub fn file(&self, file: &str) -> String {
        format!("{}/{file}", self.dir())
    }
}

/// The address under which clients reach the file server, e.g. `http://source-controller.flux-system.svc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised(String);

impl Advertised {
    /// From `--storage-adv-addr`, or where that is empty from the address that the server binds, as Flux derives it:
    /// no host means `localhost`, and `0.0.0.0` means `hostname`.
    pub fn new(advertised: &str, bind: &str, hostname: &str) -> Self {
        let address = match advertised {
            "" => match bind.rsplit_once(':') {
                Some(("", port)) => format!("localhost:{port}"),
                Some(("0.0.0.0" | "[::]", port)) => format!("{hostname}:{port}"),
                _ => bind.to_owned(),
            },
            given => given.trim_end_matches('/').to_owned(),
        };
        let has_scheme = address.starts_with("http://") || address.starts_with("https://");
        Self(if has_scheme { address } else { format!("http://{address}") })
    }

    /// The URL of a path in the store.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.0)
    }

    /// The same path on this address; `url` comes from an earlier run with perhaps another address.
    ///
    /// A text that is not a URL with a path is returned unchanged.
    pub fn rehost(&self, url: &str) -> String {
        match url.split_once("://").and_then(|(_, rest)| rest.split_once('/')) {
            Some((_, path)) => self.url(path),
            None => url.to_owned(),
        }
    }
}

/// Settings of a [`Store`].
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// An existing directory.
    pub root: PathBuf,
    /// How clients reach it.
    pub advertised: Advertised,
    /// Digest of new artifacts.
    pub algorithm: Algorithm,
    /// Files other than the current one are kept for at least this long, since a consumer may be reading them.
    pub retention_ttl: Duration,
    /// Files of an object that are kept, the current one included.
    pub retention_records: usize,
}

/// A file that has been stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Relative to the root of the store.
    pub path: String,
    /// Where clients find it.
    pub url: String,
    /// Digest of the bytes of the file.
    pub digest: Digest,
    /// Size of the file in bytes.
    pub size: u64,
    /// When it was stored.
    pub time: SystemTime,
}

/// Why something could not be stored or removed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The root is missing or is not a directory.
    #[error("storage path '{}' is not a directory", .0.display())]
    Root(PathBuf),
    /// A file or directory could not be handled.
    #[error("cannot {action} '{}': {error}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system answered.
        error: io::Error,
    },
    /// The source could not be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
}

impl StoreError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { action, path: path.to_path_buf(), error }
    }
}

/// Why a stored file is not the artifact that it should be.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is no such file.
    #[error("no such file")]
    Missing,
    /// There is something, but it is not a regular file.
    #[error("not a regular file")]
    NotAFile,
    /// The digest is empty.
    #[error("artifact digest is empty")]
    EmptyDigest,
    /// The digest cannot be read.
    #[error("failed to parse digest '{text}': {error}")]
    BadDigest {
        /// As given.
        text: String,
        /// What is wrong with it.
        error: DigestError,
    },
    /// The content is another.
    #[error("computed digest doesn't match '{wanted}': the file has '{actual}'")]
    Mismatch {
        /// What the file should have.
        wanted: Digest,
        /// What it has.
        actual: Digest,
    },
    /// The file could not be read.
    #[error("cannot read the file: {0}")]
    Read(io::Error),
}

/// A place for artifacts on the local disk. Every method blocks.
#[derive(Debug)]
pub struct Store {
    options: StoreOptions,
    /// Files whose digest has been computed: not hashed again until their inode, size or times change.
    verified: Mutex<HashMap<PathBuf, (Fingerprint, Digest)>>,
}

/// Changes whenever a file's content may have: the change time cannot be set back from user space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// An exclusive claim on one file of the store, also against other processes. Dropping it ends it.
#[derive(Debug)]
#[must_use]
pub struct Lock(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

impl Store {
    /// Opens a store.
    ///
    /// # Errors
    /// When the root is not a directory.
    pub fn open(options: StoreOptions) -> Result<Self, StoreError> {
        if !options.root.is_dir() {
            return Err(StoreError::Root(options.root));
        }
        Ok(Self { options, verified: Mutex::default() })
    }

    /// The directory that holds everything.
    pub fn root(&self) -> &Path {
        &self.options.root
    }

    /// The address of the file server.
    pub fn advertised(&self) -> &Advertised {
        &self.options.advertised
    }

    /// The digest algorithm of new artifacts.
    pub fn algorithm(&self) -> Algorithm {
        self.options.algorithm
    }

    /// Where a stored path lies on the disk; never outside the root.
    ///
    /// # Errors
    /// When the path cannot be resolved.
    pub fn resolve(&self, path: &str) -> Result<PathBuf, StoreError> {
        secure_join(self.root(), path).map_err(StoreError::io("resolve", Path::new(path)))
    }

    /// Claims a file before it is written. Waits while another process or thread holds it.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock(&self, location: &Location, file: &str) -> Result<Lock, StoreError> {
        self.make_dir(location)?;
        let path = self.resolve(&location.file(&format!("{file}.lock")))?;
        let failed = |error| StoreError::Io { action: "lock", path: path.clone(), error };
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(Lock(lock))
    }

    /// Packs the files below `dir` for which `keep` holds (see [`crate::pack()`]) and stores them as `file`.
    ///
    /// # Errors
    /// When packing or writing fails; the store is then unchanged.
    pub fn archive(
        &self,
        location: &Location,
        file: &str,
        dir: &Path,
        keep: impl FnMut(&Path, bool) -> bool,
    ) -> Result<(Stored, Packed), StoreError> {
        self.write(location, file, |out| pack::pack(dir, keep, out).map(|(packed, _)| packed))
    }

    /// Stores what `content` yields, byte for byte, as `file`.
    ///
    /// # Errors
    /// When reading or writing fails; the store is then unchanged.
    pub fn copy(
        &self,
        location: &Location,
        file: &str,
        mut content: impl Read,
    ) -> Result<Stored, StoreError> {
        let path = PathBuf::from(location.file(file));
        let copied = self.write(location, file, |out| {
            io::copy(&mut content, out).map_err(StoreError::io("copy to", &path))
        });
        copied.map(|(stored, _)| stored)
    }

    fn write<T, E>(
        &self,
        location: &Location,
        file: &str,
        fill: impl FnOnce(&mut dyn Write) -> Result<T, E>,
    ) -> Result<(Stored, T), StoreError>
    where
        StoreError: From<E>,
    {
        let dir = self.make_dir(location)?;
        let target = self.resolve(&location.file(file))?;
        let temporary = tempfile::Builder::new()
            .prefix(&format!("{file}."))
            .tempfile_in(&dir)
            .map_err(StoreError::io("create a file in", &dir))?;
        let buffered = BufWriter::with_capacity(64 * 1024, temporary);
        let mut hashing = HashingWriter::new(self.options.algorithm, buffered);
        let filled = fill(&mut hashing)?;
        let (buffered, digest, size) = hashing.finish();
        let temporary =
            buffered.into_inner().map_err(|error| StoreError::io("write", &target)(error.into_error()))?;
        temporary.as_file().sync_all().map_err(StoreError::io("write", &target))?;
        let stored = temporary.persist(&target).map_err(|error| StoreError::Io {
            action: "rename to",
            path: target.clone(),
            error: error.error,
        })?;
        File::open(&dir).and_then(|dir| dir.sync_all()).map_err(StoreError::io("flush", &dir))?;
        if let Ok(metadata) = stored.metadata() {
            self.remember(target, Fingerprint::of(&metadata), digest.clone());
        }
        let path = location.file(file);
        let url = self.options.advertised.url(&path);
        Ok((Stored { path, url, digest, size, time: SystemTime::now() }, filled))
    }

    /// Points the link `link` of an object at its file `file` and returns the link's URL.
    ///
    /// # Errors
    /// When the link cannot be made; an older one then stays.
    pub fn link(&self, location: &Location, file: &str, link: &str) -> Result<String, StoreError> {
        let dir = self.make_dir(location)?;
        let (temporary, target) = (dir.join(format!("{link}.tmp")), dir.join(link));
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", &temporary)(error));
            }
            _ => {}
        }
        std::os::unix::fs::symlink(file, &temporary).map_err(StoreError::io("link", &temporary))?;
        fs::rename(&temporary, &target).map_err(StoreError::io("rename to", &target))?;
        Ok(self.options.advertised.url(&location.file(link)))
    }

    /// Whether the file at `path` (relative to the root) has the digest `digest`.
    ///
    /// A file that has been hashed before is not read again while its inode, size and times stay the same.
    ///
    /// # Errors
    /// Why it is not that artifact.
    pub fn verify(&self, path: &str, digest: &str) -> Result<(), VerifyError> {
        let full = secure_join(self.root(), path).map_err(VerifyError::Read)?;
        let metadata = match fs::symlink_metadata(&full) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(VerifyError::Missing),
            Err(error) => return Err(VerifyError::Read(error)),
        };
        if !metadata.is_file() {
            return Err(VerifyError::NotAFile);
        }
        if digest.is_empty() {
            return Err(VerifyError::EmptyDigest);
        }
        let wanted: Digest =
            digest.parse().map_err(|error| VerifyError::BadDigest { text: digest.to_owned(), error })?;
        let fingerprint = Fingerprint::of(&metadata);
        let remembered = self
            .verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&full)
            .is_some_and(|(seen, digest)| *seen == fingerprint && *digest == wanted);
        if remembered {
            return Ok(());
        }
        let actual = Digest::of_file(wanted.algorithm(), &full).map_err(VerifyError::Read)?;
        if actual != wanted {
            return Err(VerifyError::Mismatch { wanted, actual });
        }
        self.remember(full, fingerprint, actual);
        Ok(())
    }

    fn remember(&self, path: PathBuf, fingerprint: Fingerprint, digest: Digest) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= MAX_REMEMBERED {
            verified.clear();
        }
        verified.insert(path, (fingerprint, digest));
    }

    fn forget(&self, path: &Path) {
        self.verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|known, _| !known.starts_with(path));
    }

    /// Removes one file. That it is already gone is no error.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, path: &str) -> Result<(), StoreError> {
        let full = self.resolve(path)?;
        self.forget(&full);
        match fs::remove_file(&full) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io("remove", &full)(error))
            }
            _ => Ok(()),
        }
    }

    /// Removes everything of an object. Returns whether there was anything.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove_all(&self, location: &Location) -> Result<bool, StoreError> {
        let dir = self.resolve(&location.dir())?;
        self.forget(&dir);
        match fs::remove_dir_all(&dir) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StoreError::io("remove", &dir)(error)),
        }
    }

    /// Removes the files of an object that retention does not keep; `current` (relative to the root) always stays.
    /// Returns how many files were removed.
    ///
    /// # Errors
    /// When the directory cannot be read or a file cannot be removed.
    pub fn collect_garbage(&self, location: &Location, current: &str) -> Result<usize, StoreError> {
        let dir = self.resolve(&location.dir())?;
        let current = self.resolve(current)?;
        let (mut files, mut locks, now) = (Vec::new(), Vec::new(), SystemTime::now());
        let listing = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            listing => listing.map_err(StoreError::io("list", &dir))?,
        };
        let started = Instant::now();
        for entry in listing.take(MAX_VISITED) {
            let entry = entry.map_err(StoreError::io("list", &dir))?;
            let path = entry.path();
            let is_lock = path.extension().is_some_and(|extension| extension == "lock");
            // A file may be renamed away between listing and looking: then it is not ours to remove.
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            if is_lock {
                locks.push(path);
            } else if metadata.is_file() && path != current {
                files.push((metadata.modified().unwrap_or(now), path));
            }
            if started.elapsed() > MAX_COLLECTION {
                break;
            }
        }
        files.sort_unstable();
        let kept_besides_current = self.options.retention_records.saturating_sub(1);
        let surplus = files.len().saturating_sub(kept_besides_current);
        let expired = files
            .iter()
            .filter(|(modified, _)| {
                now.duration_since(*modified).is_ok_and(|age| age > self.options.retention_ttl)
            })
            .count();
        let mut removed = 0;
        // Sorted by age: both rules take from the front.
        for (_, path) in files.iter().take(surplus.max(expired)) {
            if started.elapsed() > MAX_COLLECTION {
                break;
            }
            fs::remove_file(path).map_err(StoreError::io("remove", path))?;
            self.forget(path);
            removed += 1;
        }
        for lock in locks {
            remove_unused_lock(&lock)?;
        }
        Ok(removed)
    }

    fn make_dir(&self, location: &Location) -> Result<PathBuf, StoreError> {
        let dir = self.resolve(&location.dir())?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(StoreError::io("create directory", &dir))?;
        Ok(dir)
    }
}

/// Removes a lock file if what it locks is not there (any more) and nobody is about to write it. A writer that is killed
/// before its file is in place leaves one.
fn remove_unused_lock(lock: &Path) -> Result<(), StoreError> {
    if fs::symlink_metadata(lock.with_extension("")).is_ok() {
        return Ok(());
    }
    let removed = match File::open(lock) {
        Ok(file) if file.try_lock().is_ok() => fs::remove_file(lock),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", lock)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(records: usize, ttl: Duration) -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions {
            root: dir.path().to_path_buf(),
            advertised: Advertised::new("", ":9090", "host"),
            algorithm: Algorithm::Sha256,
            retention_ttl: ttl,
            retention_records: records,
        })
        .unwrap();
        (dir, store)
    }

    fn location() -> Location {
        Location::new("GitRepository", "flux-system", "apps")
    }

    fn files(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir.join("gitrepository/flux-system/apps"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn addresses_are_derived_as_flux_derives_them() {
        for (advertised, bind, want) in [
            ("", ":9090", "http://localhost:9090/p"),
            ("", "0.0.0.0:9090", "http://pod-1:9090/p"),
            ("", "10.0.0.1:80", "http://10.0.0.1:80/p"),
            ("sc.flux-system.svc.cluster.local.", ":9090", "http://sc.flux-system.svc.cluster.local./p"),
            ("https://files.example.com/", ":9090", "https://files.example.com/p"),
        ] {
            assert_eq!(Advertised::new(advertised, bind, "pod-1").url("p"), want);
        }
        let new = Advertised::new("new:1", "", "");
        assert_eq!(new.rehost("http://old:9090/a/b/c"), "http://new:1/a/b/c");
        assert_eq!(Advertised::new("https://new", "", "").rehost("http://old/a"), "https://new/a");
        assert_eq!(new.rehost(""), "");
    }

    #[test]
    fn a_stored_file_is_whole_private_and_described() {
        let (dir, store) = store(2, Duration::from_secs(60));
        let stored = store.copy(&location(), "sha256:abc.tar.gz", &b"abc"[..]).unwrap();
        assert_eq!(stored.path, "gitrepository/flux-system/apps/sha256:abc.tar.gz");
        assert_eq!(stored.url, "http://localhost:9090/gitrepository/flux-system/apps/sha256:abc.tar.gz");
        assert_eq!((stored.size, &stored.digest), (3, &Algorithm::Sha256.digest("abc")));
        let full = dir.path().join(&stored.path);
        assert_eq!(fs::metadata(&full).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(full.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(files(dir.path()), ["sha256:abc.tar.gz"], "no temporary file is left");
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("unplugged"))
            }
        }
        let (dir, store) = store(2, Duration::from_secs(60));
        let stored = store.copy(&location(), "f", &b"old"[..]).unwrap();
        let error = store.copy(&location(), "f", Broken).unwrap_err().to_string();
        assert_eq!(error, "cannot copy to 'gitrepository/flux-system/apps/f': unplugged");
        assert_eq!(fs::read(dir.path().join(&stored.path)).unwrap(), b"old");
        assert_eq!(files(dir.path()), ["f"]);
    }

    #[test]
    fn verification_notices_every_difference() {
        let (dir, store) = store(2, Duration::from_secs(60));
        let stored = store.copy(&location(), "f", &b"abc"[..]).unwrap();
        let digest = stored.digest.to_string();
        let full = dir.path().join(&stored.path);
        store.verify(&stored.path, &digest).unwrap();
        let error = |path: &str, digest: &str| store.verify(path, digest).unwrap_err().to_string();
        assert_eq!(error(&stored.path, ""), "artifact digest is empty");
        assert!(error(&stored.path, "sha256:zz").starts_with("failed to parse digest 'sha256:zz'"));
        assert_eq!(error("gitrepository/x", &digest), "no such file");
        assert_eq!(error("gitrepository", &digest), "not a regular file");
        fs::write(&full, "abd").unwrap();
        assert!(error(&stored.path, &digest).starts_with("computed digest doesn't match 'sha256:ba78"));
        fs::write(&full, "abc").unwrap();
        store.verify(&stored.path, &digest).unwrap();
        store.remove(&stored.path).unwrap();
        store.remove(&stored.path).unwrap();
        assert_eq!(error(&stored.path, &digest), "no such file");
    }

    #[test]
    fn links_point_at_the_latest_file() {
        let (dir, store) = store(2, Duration::from_secs(60));
        for file in ["a", "b"] {
            store.copy(&location(), file, file.as_bytes()).unwrap();
            let url = store.link(&location(), file, "latest.tar.gz").unwrap();
            assert_eq!(url, "http://localhost:9090/gitrepository/flux-system/apps/latest.tar.gz");
        }
        assert_eq!(fs::read(dir.path().join(location().file("latest.tar.gz"))).unwrap(), b"b");
    }

    #[test]
    fn retention_keeps_the_current_file_and_the_youngest() {
        for (records, ttl, ages, current, want) in [
            (2, 60, &[("a", 1), ("b", 2), ("c", 3)][..], "a", &["a", "b"][..]), // records only
            (9, 60, &[("a", 1), ("b", 61), ("c", 90)], "a", &["a"]),            // age only
            (2, 60, &[("a", 1), ("b", 2), ("c", 3), ("d", 99)], "d", &["a", "d"]), // current is the oldest
            (1, 60, &[("a", 1), ("b", 2)], "b", &["b"]),
            (0, 0, &[("a", 5)], "a", &["a"]),
            (2, 60, &[("a", 1), ("b", 2)], "a", &["a", "b"]),
        ] {
            let (dir, store) = store(records, Duration::from_secs(ttl));
            for (file, age) in ages {
                let stored = store.copy(&location(), file, file.as_bytes()).unwrap();
                let _lock = store.lock(&location(), file).unwrap();
                File::options()
                    .write(true)
                    .open(dir.path().join(stored.path))
                    .unwrap()
                    .set_modified(SystemTime::now() - Duration::from_secs(*age))
                    .unwrap();
            }
            let removed = store.collect_garbage(&location(), &location().file(current)).unwrap();
            let mut expected: Vec<String> =
                want.iter().flat_map(|file| [(*file).to_owned(), format!("{file}.lock")]).collect();
            expected.sort();
            assert_eq!(
                files(dir.path()),
                expected,
                "{records} records, {ttl} s, {ages:?}, current {current}"
            );
            assert_eq!(removed, ages.len() - want.len());
        }
    }

    #[test]
    fn what_a_killed_writer_left_is_collected() {
        let (dir, store) = store(1, Duration::from_secs(60));
        store.copy(&location(), "new", &b"new"[..]).unwrap();
        drop(store.lock(&location(), "new").unwrap());
        drop(store.lock(&location(), "killed").unwrap());
        let _held = store.lock(&location(), "being-written").unwrap();
        fs::write(dir.path().join(location().file("killed.Ab3dE")), "half").unwrap();
        assert_eq!(store.collect_garbage(&location(), &location().file("new")).unwrap(), 1);
        assert_eq!(files(dir.path()), ["being-written.lock", "new", "new.lock"]);
    }

    #[test]
    fn everything_of_an_object_goes_at_once_and_twice() {
        let (dir, store) = store(2, Duration::from_secs(60));
        store.copy(&location(), "f", &b"abc"[..]).unwrap();
        store.copy(&Location::new("GitRepository", "flux-system", "other"), "f", &b"x"[..]).unwrap();
        assert!(store.remove_all(&location()).unwrap());
        assert!(!store.remove_all(&location()).unwrap());
        assert!(dir.path().join("gitrepository/flux-system/other/f").exists());
        assert_eq!(store.collect_garbage(&location(), "x").unwrap(), 0);
    }

    #[test]
    fn no_path_leaves_the_store_and_a_missing_root_is_named() {
        let (dir, store) = store(2, Duration::from_secs(60));
        assert_eq!(store.resolve("../../etc/passwd").unwrap(), dir.path().join("etc/passwd"));
        let mut options = store.options.clone();
        options.root = dir.path().join("missing");
        let error = Store::open(options).unwrap_err().to_string();
        assert!(error.contains("missing' is not a directory"), "{error}");
    }
}
