//! Turns Git repositories, OCI artifacts, buckets, indexes of Helm repositories and charts into verified artifacts.
//!
//! The steps that all kinds share are in [`machine`]; a kind is one implementation of [`kind::SourceKind`] in a file
//! of its own ([`git`], [`oci`], [`bucket`], [`helm`]). [`run`] starts a controller per kind and the file server.
//!
//! Invariants: only the machinery writes a status; whatever fails, the artifact stored before stays and is served;
//! everything that an object refers to is in its own namespace.

pub mod bucket;
mod config;
pub mod context;
mod dependents;
#[cfg(test)]
mod fake;
pub mod git;
pub mod helm;
pub mod kind;
pub mod machine;
pub mod object;
pub mod oci;
mod secrets;
mod summary;
mod suspects;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod transport;
pub mod work;

pub use config::Config;

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use kube::Client;
use sha2::{Digest, Sha256};
use sluice_artifact::{Advertised, Store, StoreOptions, serve};
use sluice_runtime::hosts::HostLimits;
use sluice_runtime::process::{self, Process, Tasks};
use sluice_runtime::{Controller, Handle, Shutdown, controller};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::info;

use crate::context::{CONTROLLER, Context};
use crate::kind::SourceKind;
use crate::machine::Machine;

/// Name under which the file server reports its address in [`sluice_runtime::flags::Common::bound`].
pub const STORAGE_PORT: &str = "http";

/// Operations at a time on one remote host.
const PER_HOST: usize = 8;
/// Passes at a time that wait for somebody else: the API server, a registry, the disk.
const WAITING: usize = 16;

/// Runs the controller until `shutdown`.
///
/// # Errors
/// A flag that cannot be used, an address that cannot be bound, a task that ended.
pub async fn run(config: Config, client: Client, shutdown: Shutdown) -> anyhow::Result<()> {
    let gates = config.common.gates(&config::GATES)?;
    if !config.default_service_account.is_empty() && !gates.enabled("ObjectLevelWorkloadIdentity") {
        anyhow::bail!("--default-service-account needs the feature gate ObjectLevelWorkloadIdentity");
    }
    let process = Process::start(CONTROLLER, &config.common, client, &shutdown).await?;
    // A fixed port is bound only by the leader, as the readiness of a standby replica must fail; a port of the kernel's
    // choice has to be known before the first artifact is stored.
    let early = match config.storage_addr.ends_with(":0") {
        true => process::listen(&config.storage_addr, "storage-addr").await?,
        false => None,
    };
    let bound = early.as_ref().map(TcpListener::local_addr).transpose()?;
    let store = open_store(&config, bound)?;
    let cx = Arc::new(Context {
        client: process.client().clone(),
        store: Arc::new(store),
        events: process.events().clone(),
        requeue_dependency: config.requeue_dependency,
        gates,
        hosts: HostLimits::new(PER_HOST),
        waiting: Semaphore::new(WAITING),
        charts: OnceLock::new(),
        work_root: work_root(&config.storage_path),
    });
    let metrics = process.metrics().clone();
    let start = Start { cx: cx.clone(), config: config.clone(), metrics };
    let git =
        git::Git::new(&std::env::temp_dir(), cx.store.root()).context("no directory for Git mirrors")?;
    let registries = Arc::new(oci::Registries::new()?);
    let oci = oci::Oci::new(registries.clone());
    let buckets = bucket::Buckets::new()?;
    let repositories = helm::repository::Repositories::new(config.helm_index_max_size)?;
    process
        .run(move |tasks| {
            if let Err(error) = clear(&cx.work_root) {
                tasks.spawn("working directory", std::future::ready(Err(error)));
                return;
            }
            let files = serve_files(config.clone(), cx.store.clone(), early, tasks.shutdown());
            tasks.spawn("file server", files);
            start.kind(tasks, oci);
            let sources = helm::chart::Sources {
                git: start.kind(tasks, git).store().clone(),
                repositories: start.kind(tasks, repositories).store().clone(),
                buckets: start.kind(tasks, buckets).store().clone(),
            };
            let sizes = helm::chart::Sizes {
                index: config.helm_index_max_size,
                chart: config.helm_chart_max_size,
                file: config.helm_chart_file_max_size,
            };
            match helm::chart::Charts::new(sources, sizes, registries) {
                Ok(charts) => drop(cx.charts.set(start.kind(tasks, charts))),
                Err(error) => tasks.spawn("charts", std::future::ready(Err(error))),
            }
        })
        .await?;
    info!("stopped");
    Ok(())
}

/// Directory of the working directories of passes: known by the storage path, so that a process that is killed leaves
/// nothing that the next one does not find.
fn work_root(storage: &Path) -> PathBuf {
    let id = hex::encode(&Sha256::digest(storage.as_os_str().as_encoded_bytes())[..8]);
    std::env::temp_dir().join(format!("source-controller-work-{id}"))
}

/// Makes an empty directory of `dir`. Only the one writer of the store may do that.
fn clear(dir: &Path) -> anyhow::Result<()> {
    let context = || format!("cannot clear working directory '{}'", dir.display());
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(context);
        }
        _ => {}
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(context)
}

/// What starting the controller of a kind takes.
struct Start {
    cx: Arc<Context>,
    config: Config,
    metrics: sluice_runtime::metrics::Metrics,
}

impl Start {
    fn kind<K: SourceKind>(&self, tasks: &mut Tasks, kind: K) -> Handle<K::Object> {
        let name = <K::Object as kube::Resource>::kind(&()).to_lowercase();
        let common = &self.config.common;
        let options = controller::Options::new(&name, self.config.concurrent, common, &self.metrics);
        let (controller, handle) = Controller::new(common.api::<K::Object>(&self.cx.client), options);
        let machine = Arc::new(Machine::new(self.cx.clone(), kind, &handle));
        let shutdown = tasks.shutdown();
        tasks.spawn(name, async move { controller.run(machine, shutdown).await });
        handle
    }
}

fn open_store(config: &Config, bound: Option<SocketAddr>) -> anyhow::Result<Store> {
    let bind = match bound {
        Some(address) if address.ip().is_unspecified() => format!(":{}", address.port()),
        Some(address) => address.to_string(),
        None => config.storage_addr.clone(),
    };
    let hostname = std::env::var("HOSTNAME").unwrap_or_else(|_| "localhost".to_owned());
    Store::open(StoreOptions {
        root: config.storage_path.clone(),
        advertised: Advertised::new(&config.storage_adv_addr, &bind, &hostname),
        algorithm: config.artifact_digest_algo,
        retention_ttl: config.artifact_retention_ttl,
        retention_records: config.artifact_retention_records,
    })
    .context("--storage-path cannot be used")
}

async fn serve_files(
    config: Config,
    store: Arc<Store>,
    early: Option<TcpListener>,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let listener = match early {
        Some(listener) => Some(listener),
        None => process::listen(&config.storage_addr, "storage-addr").await?,
    };
    let Some(listener) = listener else {
        shutdown.cancelled().await;
        return Ok(());
    };
    config.common.bound.report(STORAGE_PORT, listener.local_addr()?);
    axum::serve(listener, serve::router(store.root()))
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_cleared() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("work");
        clear(&dir).unwrap();
        std::fs::create_dir_all(dir.join("gitrepository-flux-system-app-x/worktree")).unwrap();
        clear(&dir).unwrap();
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        std::fs::remove_dir(&dir).unwrap();
        std::fs::write(&dir, "a file").unwrap();
        assert!(clear(&dir).unwrap_err().to_string().starts_with("cannot clear working directory"));
        assert_eq!(work_root(Path::new("/data")), work_root(Path::new("/data")));
        assert_ne!(work_root(Path::new("/data")), work_root(Path::new("/other")));
    }
}
