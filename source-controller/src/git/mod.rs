//! GitRepository: an artifact of the files at one commit (sources.md 7).
//!
//! A pass asks the remote which commit the reference names, and ends there if the artifact is of that commit and made
//! with the same settings. Otherwise the commit is fetched into a mirror, as a delta to what the mirror has, and its
//! tree is written to the working directory, completed by includes, and stored.

mod access;
mod failure;
mod include;
mod reference;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use sluice_api::source::GitRepository;
use sluice_git::{Checkout, CheckoutOptions, HttpClient, HttpOptions, Limit, Mirrors, Remote, Resolved};
use sluice_runtime::conditions;
use sluice_runtime::events::Event;
use tokio::runtime::Handle;

use crate::git::access::Access;
use crate::git::failure::{Asking, GitFailure};
use crate::git::include::Included;
use crate::kind::{
    ARTIFACT_IN_STORAGE, ARTIFACT_OUTDATED, Failure, Produced, SOURCE_VERIFIED, SourceKind, Stop,
};
use crate::suspects::Suspects;
use crate::work::{Archive, Leave, Work};

/// Mirrors kept on disk. One that is gone costs a shallow clone.
const MAX_MIRRORS: usize = 128;
/// HTTP clients kept: one per combination of trust, client certificate and proxy.
const MAX_CLIENTS: usize = 32;
/// Length at which the subject of a commit is cut in events.
const MAX_SUBJECT: usize = 50;

/// The kind GitRepository.
#[derive(Debug)]
pub struct Git {
    mirrors: Arc<Mirrors>,
    clients: Mutex<VecDeque<(HttpOptions, HttpClient)>>,
    suspects: Suspects,
}

impl Git {
    /// Keeps mirrors in a directory below `cache`, of its own for each `storage` path.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn new(cache: &Path, storage: &Path) -> Result<Self, sluice_git::Error> {
        let id = hex::encode(&Sha256::digest(storage.as_os_str().as_encoded_bytes())[..8]);
        let mirrors = Mirrors::new(cache.join(format!("source-controller-git-{id}")), MAX_MIRRORS)?;
        Ok(Self { mirrors: Arc::new(mirrors), clients: Mutex::default(), suspects: Suspects::default() })
    }

    /// A client for these options, made when there is none yet.
    fn client(&self, options: &HttpOptions) -> Result<HttpClient, sluice_git::Error> {
        let mut clients = self.clients.lock();
        if let Some(at) = clients.iter().position(|(known, _)| known == options)
            && let Some(found) = clients.remove(at)
        {
            let client = found.1.clone();
            clients.push_back(found);
            return Ok(client);
        }
        let client = HttpClient::new(options, Handle::current())?;
        clients.push_back((options.clone(), client.clone()));
        if clients.len() > MAX_CLIENTS {
            clients.pop_front();
        }
        Ok(client)
    }

    fn remote(&self, access: &Access) -> Result<Remote, Stop> {
        let client = self.client(&access.http).map_err(|error| access::misconfigured(&error.to_string()))?;
        Ok(Remote::new(client, access.url.clone(), access.auth.clone()))
    }
}

impl SourceKind for Git {
    type Object = GitRepository;

    async fn produce(&self, work: &mut Work<GitRepository>) -> Result<Produced, Stop> {
        forget_verification(work)?;
        let access = access::of(work).await?;
        let remote = self.remote(&access)?;
        let includes = include::look_up(work).await?;
        if settings::includes_moved(&work.object, &includes) {
            let message = "included artifacts differ from last observed includes";
            work.outdated("IncludeChange", message).await?;
            work.remove_condition(ARTIFACT_OUTDATED);
        }
        let chosen = reference::choose(work.object.spec.reference.as_ref());
        let is_same_content = !settings::changed(&work.object, &includes);
        let limit = Limit::new(work.timeout(), work.shutdown.clone());

        let host = access.url.host();
        let _place = work.place_at(&host).await;
        let _turn = self.suspects.turn(&host)?;
        let asking = if can_skip(work) { Asking::List } else { Asking::Clone };
        let resolved = {
            let (remote, reference, limit) = (remote.clone(), chosen.reference.clone(), limit.clone());
            blocking(move || remote.resolve(&reference, &limit)).await
        };
        let resolved = self
            .suspects
            .note(&host, resolved, GitFailure::is_silence)
            .map_err(|error| error.stop(&remote, &chosen.reference, asking))?;
        if is_same_content && can_skip(work) && resolved.ties.is_empty() && is_stored(work, &resolved) {
            let revision = resolved.revision();
            mark_stored(work, &revision);
            return Err(Stop::Unchanged {
                reason: "GitOperationSucceeded",
                message: format!("no changes since last reconciliation: observed revision '{revision}'"),
            });
        }

        let tree = work.dir().join("worktree");
        let checkout = self.check_out(work, &access, &remote, resolved, &tree, limit).await;
        let checkout = self
            .suspects
            .note(&host, checkout, GitFailure::is_silence)
            .map_err(|error| error.stop(&remote, &chosen.reference, Asking::Clone))?;
        check_sparse(&tree, &work.object.spec.sparse_checkout)?;
        let produced = Produced::new(message(&checkout));
        let revision = checkout.resolved.revision();
        if is_same_content && is_stored(work, &checkout.resolved) {
            mark_stored(work, &revision);
            return Ok(produced);
        }
        if !is_stored(work, &checkout.resolved) {
            work.outdated("NewRevision", &format!("new upstream revision '{revision}'")).await?;
        }
        include::copy(work, &includes, &tree).await?;
        store(work, &checkout, tree).await?;
        record(work, includes);
        mark_stored(work, &revision);
        if let Some(warning) = chosen.warning {
            work.event(Event::trace("AmbiguousReference", warning));
        }
        Ok(produced)
    }
}

impl Git {
    async fn check_out(
        &self,
        work: &Work<GitRepository>,
        access: &Access,
        remote: &Remote,
        resolved: Resolved,
        tree: &Path,
        limit: Limit,
    ) -> Result<Checkout, GitFailure> {
        let options = CheckoutOptions {
            sparse: work.object.spec.sparse_checkout.clone(),
            submodules: work.object.spec.recurse_submodules,
            ..CheckoutOptions::default()
        };
        let (mirrors, remote, tree, key) =
            (self.mirrors.clone(), remote.clone(), tree.to_owned(), access.mirror_key.clone());
        blocking(move || {
            std::fs::create_dir_all(&tree).map_err(|cause| sluice_git::Error::Local {
                action: "create directory",
                path: tree.clone(),
                cause,
            })?;
            mirrors.lease(&key, &limit)?.checkout(&remote, &resolved, &tree, &options, &limit)
        })
        .await
    }
}

/// Signatures are not checked yet, so nothing that asks for them is fetched.
fn forget_verification(work: &mut Work<GitRepository>) -> Result<(), Stop> {
    if work.object.spec.verify.is_some() {
        return Err(Failure::new(
            SOURCE_VERIFIED,
            "VerificationError",
            "spec.verify is set, but the verification of Git signatures is not built yet: \
             no new commit is fetched; remove spec.verify to fetch commits unverified",
        )
        .stall());
    }
    work.remove_condition(SOURCE_VERIFIED);
    work.object.status.get_or_insert_default().source_verification_mode = None;
    Ok(())
}

/// Whether the pass may end when the commit is the same.
fn can_skip(work: &Work<GitRepository>) -> bool {
    let conditions = work.object.status.as_ref().map_or(&[][..], |status| &status.conditions);
    work.artifact().is_some() && conditions::is_true(conditions, ARTIFACT_IN_STORAGE)
}

fn is_stored(work: &Work<GitRepository>, resolved: &Resolved) -> bool {
    work.artifact().is_some_and(|artifact| reference::is_same_revision(&artifact.revision, resolved))
}

fn mark_stored(work: &mut Work<GitRepository>, revision: &str) {
    work.mark_stored(format!("stored artifact for revision '{revision}'"));
}

/// Every directory that the spec asks for must be in the tree.
fn check_sparse(tree: &Path, sparse: &[String]) -> Result<(), Stop> {
    for path in sparse {
        let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
        let mut inside = PathBuf::new();
        inside.extend(parts);
        let is_there =
            !path.split('/').any(|part| part == "..") && tree.join(&inside).symlink_metadata().is_ok();
        if !is_there {
            // The blank before the colon is Flux's.
            let message = format!(
                "failed to sparse checkout directories : '{path}' is not in the repository; \
                 sparseCheckout names directories relative to its root"
            );
            return Err(Failure::fetch("GitOperationFailed", message).retry());
        }
    }
    Ok(())
}

async fn store(work: &mut Work<GitRepository>, checkout: &Checkout, tree: PathBuf) -> Result<(), Stop> {
    work.store_directory(Archive {
        file: format!("{}.tar.gz", checkout.resolved.commit),
        dir: tree,
        revision: checkout.resolved.revision(),
        metadata: BTreeMap::new(),
        leave: Leave::Ignored(work.object.spec.ignore.clone()),
        link: None,
    })
    .await
}

/// Notes the settings that the artifact was made with.
fn record(work: &mut Work<GitRepository>, includes: Vec<Included>) {
    let spec = work.object.spec.clone();
    let status = work.object.status.get_or_insert_default();
    status.included_artifacts = includes.into_iter().map(|include| include.artifact).collect();
    status.observed_ignore = spec.ignore;
    status.observed_recurse_submodules = spec.recurse_submodules;
    status.observed_include = spec.include;
    status.observed_sparse_checkout = spec.sparse_checkout;
}

/// The text of the event that tells of a new artifact.
fn message(checkout: &Checkout) -> String {
    let subject = checkout.commit.subject();
    let mut cut: String = subject.chars().take(MAX_SUBJECT).collect();
    if cut.len() < subject.len() {
        cut.push_str("...");
    }
    if cut.is_empty() {
        cut = checkout.resolved.revision();
    }
    format!("stored artifact for commit '{cut}'")
}

/// Runs Git work where blocking is allowed.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> sluice_git::Result<T> + Send + 'static,
) -> Result<T, GitFailure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(GitFailure::Git),
        Err(error) => Err(GitFailure::Lost(error.to_string())),
    }
}
