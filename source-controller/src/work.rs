//! One pass at work: the object, a working directory, and what the sub-steps of a kind may do with them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::{Api, ResourceExt};
use parking_lot::Mutex;
use sluice_api::meta::Time;
use sluice_api::source::Artifact;
use sluice_artifact::{Ignore, Location, StoreError, Stored};
use sluice_runtime::conditions::{self, State};
use sluice_runtime::controller::{Pass, Slot, Store as Objects};
use sluice_runtime::events::Event;
use sluice_runtime::hosts::HostPermit;
use sluice_runtime::status::Patcher;
use sluice_runtime::{Key, Shutdown, requests};
use tempfile::TempDir;
use tokio::time::Instant;
use tracing::warn;

use crate::context::{CONTROLLER, Context};
use crate::kind::{
    ARTIFACT_IN_STORAGE, ARTIFACT_OUTDATED, Failure, NEGATIVE, OWNED, STORAGE_OPERATION_FAILED, Stop,
};
use crate::object::SourceObject;

/// One pass over one object.
pub struct Work<O> {
    /// The object as this pass leaves it. Written to the API by [`Work::publish`] and at the end of the pass.
    pub object: O,
    /// What all passes share.
    pub cx: Arc<Context>,
    /// Cancelled when the process ends.
    pub shutdown: Shutdown,
    /// The object as the API holds it.
    pub(crate) written: O,
    /// The object as the pass found it.
    pub(crate) found: O,
    pub(crate) objects: Objects<O>,
    slot: Arc<Slot>,
    /// What [`Work::show_later`] would write.
    to_show: Arc<Mutex<O>>,
    /// What it has written, or was about to write.
    shown: Arc<Mutex<Option<O>>>,
    begun: Instant,
    dir: Option<TempDir>,
}

/// Until a pass shows that it is at work: most are done sooner, and then save a write.
const SHOW_AFTER: Duration = Duration::from_secs(1);

/// How to store the files of a directory; see [`Work::store_directory`].
#[derive(Debug, Clone)]
pub struct Archive<'a> {
    /// Name of the file in the store.
    pub file: String,
    /// Directory whose files go in.
    pub dir: PathBuf,
    /// Revision of the artifact.
    pub revision: String,
    /// Metadata of the artifact.
    pub metadata: BTreeMap<String, String>,
    /// Which files stay out.
    pub leave: Leave,
    /// Symbolic link that is to point at the file, which `status.url` then names.
    pub link: Option<&'a str>,
}

/// Which files stay out of an archive.
#[derive(Debug, Clone)]
pub enum Leave {
    /// None: somebody has chosen them already.
    Nothing,
    /// Those that `spec.ignore`, the ignore files and the built-in lists say.
    Ignored(Option<String>),
}

impl<O: SourceObject> Work<O> {
    pub(crate) fn new(cx: Arc<Context>, objects: Objects<O>, pass: Pass<O>) -> Self {
        let (object, shutdown) = (O::clone(&pass.object), pass.shutdown);
        Self {
            written: object.clone(),
            found: object.clone(),
            to_show: Arc::new(Mutex::new(object.clone())),
            object,
            cx,
            shutdown,
            objects,
            slot: Arc::new(pass.slot),
            shown: Arc::default(),
            begun: Instant::now(),
            dir: None,
        }
    }

    /// Namespace of the object: also that of everything it refers to.
    pub fn namespace(&self) -> String {
        self.object.namespace().unwrap_or_default()
    }

    /// Name of the object.
    pub fn name(&self) -> String {
        self.object.name_any()
    }

    /// Generation that this pass handles.
    pub fn generation(&self) -> i64 {
        requests::generation(&self.object)
    }

    /// `spec.timeout`, or its default.
    pub fn timeout(&self) -> Duration {
        self.object.timeout()
    }

    /// The current artifact, whose file is known to be intact.
    pub fn artifact(&self) -> Option<&Artifact> {
        self.object.artifact()
    }

    /// An API of the object's namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.cx.client.clone(), &self.namespace())
    }

    /// Runs a part of the pass that only waits (for the API server, a registry, the disk). Meanwhile the pass does not
    /// count as one of `--concurrent`, and another one begins: what the flag limits is the work, not the patience.
    pub fn wait<T>(&self, part: impl Future<Output = T>) -> impl Future<Output = T> {
        let (cx, slot) = (self.cx.clone(), self.slot.clone());
        async move {
            // Never closed. Who gets no place waits as a worker, so that the number of passes stays bounded.
            let place = cx.waiting.acquire().await.ok();
            let part = async {
                let output = part.await;
                // Before the wait for a worker: who has one may be waiting for this place.
                drop(place);
                output
            };
            slot.park(part).await
        }
    }

    /// A place at a remote host, for as long as it is held. To wait for it costs no worker: those that have one may need
    /// a worker to go on.
    pub(crate) fn place_at(&self, host: &str) -> impl Future<Output = HostPermit> {
        let (cx, slot, host) = (self.cx.clone(), self.slot.clone(), host.to_owned());
        async move { slot.park(cx.hosts.acquire(&host)).await }
    }

    /// An empty directory, removed at the end of the pass.
    pub fn dir(&self) -> &Path {
        self.dir.as_ref().map_or(&self.cx.work_root, TempDir::path)
    }

    /// Where the artifacts of the object lie.
    pub fn location(&self) -> Location {
        Location::new(&O::kind(&()), &self.namespace(), &self.name())
    }

    pub(crate) fn make_dir(&mut self) -> Result<(), Stop> {
        let prefix = format!("{}-{}-{}-", O::kind(&()).to_lowercase(), self.namespace(), self.name());
        match tempfile::Builder::new().prefix(&prefix).tempdir_in(&self.cx.work_root) {
            Ok(dir) => {
                self.dir = Some(dir);
                self.remove_condition(STORAGE_OPERATION_FAILED);
                Ok(())
            }
            Err(error) => Err(Failure::storage(
                "DirectoryCreationFailed",
                format!("failed to create temporary working directory: {error}"),
            )
            .retry()),
        }
    }

    /// Sets a condition.
    pub fn set_condition(&mut self, type_: &str, state: State, reason: &str, message: impl Into<String>) {
        let generation = self.generation();
        conditions::set(self.object.conditions_mut(), generation, type_, state, reason, message);
    }

    /// Removes a condition.
    pub fn remove_condition(&mut self, type_: &str) {
        conditions::remove(self.object.conditions_mut(), type_);
    }

    /// Tells what the pass is doing: Reconciling and Ready=Unknown. Not written before [`Work::publish`].
    pub fn progress(&mut self, message: impl Into<String>) {
        let (generation, message) = (self.generation(), message.into());
        let list = self.object.conditions_mut();
        conditions::mark_reconciling(list, generation, conditions::PROGRESSING, message.clone());
        conditions::mark_unknown(list, generation, conditions::READY, conditions::PROGRESSING, message);
    }

    /// Tells that something newer was seen: ArtifactOutdated (only where there is an artifact), Reconciling and Ready
    /// with `building artifact: <message>`, so that users see it while the fetch goes on, if that takes long enough to be
    /// seen.
    ///
    /// # Errors
    /// When the status cannot be written.
    pub async fn outdated(&mut self, reason: &'static str, message: &str) -> Result<(), Stop> {
        if self.artifact().is_some() {
            self.set_condition(ARTIFACT_OUTDATED, State::True, reason, message);
        }
        self.progress(format!("building artifact: {message}"));
        self.show().await
    }

    /// Writes the status as it is now once the pass takes long: at once if it does already.
    ///
    /// # Errors
    /// When the status cannot be written.
    pub(crate) async fn show(&mut self) -> Result<(), Stop> {
        if self.begun.elapsed() >= SHOW_AFTER {
            return self.publish().await;
        }
        self.to_show.lock().clone_from(&self.object);
        Ok(())
    }

    /// Writes the status as it is now, if it differs from what was written last.
    ///
    /// # Errors
    /// What the API server answered.
    pub async fn publish(&mut self) -> Result<(), Stop> {
        if let Some(shown) = self.shown.lock().take() {
            self.object.meta_mut().resource_version = shown.meta().resource_version.clone();
            self.written = shown;
        }
        let (patcher, api) = (Patcher::new(CONTROLLER, &OWNED), self.api::<O>());
        match self.wait(patcher.patch(&api, &self.written, &self.object)).await {
            Ok(None) => Ok(()),
            Ok(Some(answer)) => {
                self.objects.observe(answer.clone());
                // What others changed meanwhile stays theirs; the next difference is against what the API holds now.
                self.object.meta_mut().resource_version = answer.meta().resource_version.clone();
                self.written = self.object.clone();
                Ok(())
            }
            Err(error) => {
                Err(Failure::plain("PatchOperationFailed", format!("failed to patch status: {error}"))
                    .retry())
            }
        }
    }

    /// Writes what [`Work::show`] left to be shown if the pass takes long; never ends. Dropped at any await, it leaves
    /// nothing that [`Work::publish`] would not put right.
    pub(crate) fn show_later(&self) -> impl Future<Output = std::convert::Infallible> + Send + use<O> {
        let (api, objects, shown) = (self.api::<O>(), self.objects.clone(), self.shown.clone());
        let (written, to_show, at) = (self.written.clone(), self.to_show.clone(), self.begun + SHOW_AFTER);
        async move {
            tokio::time::sleep_until(at).await;
            let mut object = to_show.lock().clone();
            // Before the request: whether it arrives cannot be known if this is dropped meanwhile.
            *shown.lock() = Some(object.clone());
            match Patcher::new(CONTROLLER, &OWNED).patch(&api, &written, &object).await {
                Ok(Some(answer)) => {
                    object.meta_mut().resource_version = answer.meta().resource_version.clone();
                    objects.observe(answer);
                    *shown.lock() = Some(object);
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "status not written at the begin of the pass"),
            }
            std::future::pending().await
        }
    }

    /// Records an event about the object.
    pub fn event(&self, event: Event) {
        self.cx.events.record(&self.object, event);
    }

    /// Marks the current artifact as stored. `message` is the one of sources.md 3.4.
    pub fn mark_stored(&mut self, message: impl Into<String>) {
        self.mark_stored_as("Succeeded", message);
    }

    /// Marks the current artifact as stored, with a reason of the kind's own.
    pub fn mark_stored_as(&mut self, reason: &str, message: impl Into<String>) {
        self.set_condition(ARTIFACT_IN_STORAGE, State::True, reason, message);
    }

    /// Packs a directory and makes it the current artifact. The caller then calls [`Work::mark_stored`] and updates its
    /// `observed…` fields.
    ///
    /// # Errors
    /// With Flux's reasons and messages (sources.md 7.1, artifact sub-step).
    pub async fn store_directory(&mut self, archive: Archive<'_>) -> Result<(), Stop> {
        let Archive { file, dir, revision, metadata, leave, link } = archive;
        self.check_directory(&dir)?;
        let ignored = blocking({
            let dir = dir.clone();
            move || match leave {
                Leave::Nothing => Ok(Ignore::default()),
                Leave::Ignored(ignore) => Ignore::load(&dir, ignore.as_deref()),
            }
        })
        .await
        .map_err(|error| {
            Failure::plain(
                "SourceIgnoreError",
                format!("failed to load source ignore patterns from repository: {error}"),
            )
            .retry()
        })?;
        self.store(
            file,
            revision,
            metadata,
            link,
            "unable to archive artifact to storage",
            move |store, location, file| {
                store.archive(location, file, &dir, |path, is_dir| !ignored.excludes(path, is_dir)).map(
                    |(stored, packed)| {
                        if packed.dropped > 0 {
                            tracing::debug!(
                                dropped = packed.dropped,
                                "links and special files are not archived"
                            );
                        }
                        stored
                    },
                )
            },
        )
        .await
    }

    /// Makes a file, byte for byte, the current artifact.
    ///
    /// # Errors
    /// As [`Work::store_directory`].
    pub async fn store_file(
        &mut self,
        file: String,
        content: PathBuf,
        revision: String,
        metadata: BTreeMap<String, String>,
        link: Option<&str>,
    ) -> Result<(), Stop> {
        self.store(
            file,
            revision,
            metadata,
            link,
            "unable to copy artifact to storage",
            move |store, location, file| {
                let content_file = std::fs::File::open(&content).map_err(|error| StoreError::Io {
                    action: "read",
                    path: content.clone(),
                    error,
                })?;
                store.copy(location, file, content_file)
            },
        )
        .await
    }

    fn check_directory(&self, dir: &Path) -> Result<(), Stop> {
        match std::fs::metadata(dir) {
            Err(error) => Err(Failure::storage(
                "StatOperationFailed",
                format!("failed to stat target artifact path: {error}"),
            )
            .retry()),
            Ok(metadata) if !metadata.is_dir() => Err(Failure::storage(
                "InvalidPath",
                format!("invalid target path: '{}' is not a directory", dir.display()),
            )
            .retry()),
            Ok(_) => Ok(()),
        }
    }

    async fn store(
        &mut self,
        file: String,
        revision: String,
        metadata: BTreeMap<String, String>,
        link: Option<&str>,
        failed: &str,
        write: impl FnOnce(&sluice_artifact::Store, &Location, &str) -> Result<Stored, StoreError>
        + Send
        + 'static,
    ) -> Result<(), Stop> {
        let (store, location, link) = (self.cx.store.clone(), self.location(), link.map(str::to_owned));
        let writing = tokio::task::spawn_blocking(move || {
            let lock = match store.lock(&location, &file) {
                Ok(lock) => lock,
                Err(error) => return (Err(error), None),
            };
            let written = write(&store, &location, &file).map(|stored| {
                let url = link.as_ref().map(|link| store.link(&location, &file, link));
                (stored, url)
            });
            drop(lock);
            (Ok(()), Some(written))
        });
        // Most of it is waiting until the disk has it; the pool of threads limits how many do so.
        let (locked, written) = self
            .wait(writing)
            .await
            .map_err(|error| Failure::plain("Failed", format!("{failed}: {error}")).retry())?;
        locked.map_err(|error| {
            Failure::plain("Failed", format!("failed to acquire lock for artifact: {error}")).retry()
        })?;
        let Some(written) = written else { return Ok(()) };
        let (stored, url) = written.map_err(|error| {
            Failure::storage("ArchiveOperationFailed", format!("{failed}: {error}")).retry()
        })?;
        let seconds = Timestamp::try_from(stored.time).unwrap_or_else(|_| Timestamp::now()).as_second();
        self.object.set_artifact(Some(Artifact {
            path: stored.path,
            url: stored.url,
            revision,
            digest: stored.digest.to_string(),
            last_update_time: Time(Timestamp::from_second(seconds).unwrap_or_default()),
            size: i64::try_from(stored.size).ok(),
            metadata,
        }));
        match url {
            None => {}
            Some(Ok(url)) => self.object.set_status_url(Some(url)),
            Some(Err(error)) => {
                warn!(%error, "link to the artifact not updated");
                self.event(Event::error(
                    "SymlinkUpdateFailed",
                    format!("failed to update status URL symlink: {error}"),
                ));
            }
        }
        for condition in NEGATIVE {
            self.remove_condition(condition);
        }
        Ok(())
    }

    pub(crate) fn key(&self) -> Key {
        Key::new(&self.namespace(), &self.name())
    }
}

impl<O> std::fmt::Debug for Work<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// Runs blocking work; a panic in it is an error of the pass, not of the process.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, io::Error>
where
    T: Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(io::Error::other),
        Err(error) => Err(io::Error::other(error)),
    }
}
