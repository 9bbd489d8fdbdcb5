//! One controller process: endpoints, leadership, supervised tasks, orderly end.
//!
//! A panicked or ended task ends the run with an error. A process that looks ready but reconciles nothing is worse than
//! one that restarts.

use crate::events::Recorder;
use crate::flags::Common;
use crate::leader::{self, Election};
use crate::metrics::{self, Metrics};
use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_TYPE, USER_AGENT};
use axum::routing::get;
use kube::Client;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

/// Name under which the metrics endpoint reports its address (the port's name in Flux's Deployments).
pub const METRICS_PORT: &str = "http-prom";
/// Name under which the health endpoint reports its address.
pub const HEALTH_PORT: &str = "healthz";
/// How long tasks may take to end after the shutdown began.
const GRACE: Duration = Duration::from_secs(10);

/// Why a process could not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// A flag names no address.
    #[error("'{address}' of --{flag} is not an address such as :8080 or 127.0.0.1:8080")]
    Address {
        /// The flag.
        flag: &'static str,
        /// Its value.
        address: String,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address} (--{flag})")]
    Bind {
        /// The flag.
        flag: &'static str,
        /// Its value.
        address: String,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
    /// The events address is no URL, or the HTTP client cannot be made.
    #[error("--events-addr '{address}' cannot be used: {cause}")]
    Events {
        /// The flag's value.
        address: String,
        /// What is wrong.
        cause: String,
    },
    /// Another instance may lead now.
    #[error("leader election lost: lease {0} was not renewed in time")]
    LeaseLost(String),
    /// A task ended with an error.
    #[error("{task} failed")]
    Task {
        /// Which task.
        task: String,
        /// Its error.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A task ended although nobody asked it to.
    #[error("{0} ended unexpectedly")]
    TaskEnded(String),
    /// A task panicked.
    #[error("{0} panicked")]
    TaskPanicked(String),
}

/// Makes the tokio runtime of a controller binary: two workers, and a blocking pool for `blocking` threads at most.
///
/// # Errors
/// The system has no threads left.
pub fn runtime(blocking: usize) -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(blocking.max(2))
        .thread_keep_alive(Duration::from_secs(2))
        .thread_name("sluice")
        .enable_all()
        .build()
}

/// Chooses the cryptography of all TLS connections of the process (ring). Later calls do nothing.
pub fn install_crypto() {
    // An error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A token that is cancelled by SIGTERM or SIGINT.
///
/// # Errors
/// Signals cannot be listened to.
pub fn shutdown_on_signal() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = CancellationToken::new();
    let shutdown = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("shutdown requested");
        shutdown.cancel();
    });
    Ok(token)
}

/// A client from the environment: kubeconfig or service account. The API server's audit log shows it as
/// `<controller>/<version>`, as a `User-Agent`.
///
/// # Errors
/// There is neither, or it cannot be used.
pub async fn client(controller: &str) -> kube::Result<Client> {
    install_crypto();
    let mut config = kube::Config::infer().await.map_err(kube::Error::InferConfig)?;
    let agent = format!("{controller}/{}", env!("CARGO_PKG_VERSION"));
    let agent = HeaderValue::from_str(&agent).map_err(|error| kube::Error::HttpError(error.into()))?;
    config.headers.push((USER_AGENT, agent));
    Client::try_from(config)
}

/// The addresses that a process really listens on, for those who asked for port 0. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bound(Arc<watch::Sender<BTreeMap<String, SocketAddr>>>);

impl Default for Bound {
    fn default() -> Self {
        Self(Arc::new(watch::channel(BTreeMap::new()).0))
    }
}

impl Bound {
    /// Reports an address under a port name.
    pub fn report(&self, port: &str, address: SocketAddr) {
        self.0.send_modify(|ports| {
            ports.insert(port.to_owned(), address);
        });
    }

    /// Waits until the port with this name is bound.
    pub async fn wait_for(&self, port: &str) -> SocketAddr {
        let mut receiver = self.0.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        match receiver.wait_for(|ports| ports.contains_key(port)).await.map(|ports| ports.get(port).copied())
        {
            Ok(Some(address)) => address,
            _ => std::future::pending().await,
        }
    }

    /// The address of a port, if it is bound.
    pub fn get(&self, port: &str) -> Option<SocketAddr> {
        self.0.borrow().get(port).copied()
    }
}

/// Listens on an address as Go writes it (`:8080` is all interfaces); `None` for the empty text and `0`, which switch
/// an endpoint off. `flag` is for the error.
///
/// # Errors
/// [`ProcessError::Address`], [`ProcessError::Bind`].
pub async fn listen(address: &str, flag: &'static str) -> Result<Option<TcpListener>, ProcessError> {
    if address.is_empty() || address == "0" {
        return Ok(None);
    }
    let bad = || ProcessError::Address { flag, address: address.to_owned() };
    let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
    let port: u16 = port.parse().map_err(|_| bad())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let bound = if host.is_empty() {
        match TcpListener::bind(("::", port)).await {
            Ok(listener) => Ok(listener),
            // No IPv6 on this machine.
            Err(_) => TcpListener::bind(("0.0.0.0", port)).await,
        }
    } else {
        TcpListener::bind((host, port)).await
    };
    bound.map(Some).map_err(|cause| ProcessError::Bind { flag, address: address.to_owned(), cause })
}

/// Tasks of which none may end before the shutdown.
#[derive(Debug)]
pub struct Tasks {
    set: JoinSet<Ended>,
    names: BTreeMap<tokio::task::Id, String>,
    shutdown: CancellationToken,
}

impl Tasks {
    fn new(shutdown: CancellationToken) -> Self {
        Self { set: JoinSet::new(), names: BTreeMap::new(), shutdown }
    }

    /// Cancelled when the tasks have to end.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Starts a task that ends only when [`Tasks::shutdown`] is cancelled, or fails.
    pub fn spawn<E>(
        &mut self,
        name: impl Into<String>,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let name = name.into();
        let handle = self.set.spawn({
            let name = name.clone();
            async move { (name, task.await.map_err(Into::into)) }
        });
        self.names.insert(handle.id(), name);
    }

    /// Waits for the first task that ends before the shutdown, or for the shutdown.
    async fn watch(&mut self) -> Result<(), ProcessError> {
        loop {
            let ended = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Ok(()),
                Some(ended) = self.set.join_next() => ended,
            };
            verdict(ended, &self.names, self.shutdown.is_cancelled())?;
        }
    }

    /// Ends all tasks, by force after [`GRACE`].
    async fn end(mut self) -> Result<(), ProcessError> {
        self.shutdown.cancel();
        let mut result = Ok(());
        let drain = async {
            while let Some(ended) = self.set.join_next().await {
                let names = &self.names;
                if let Err(err) = verdict(ended, names, true) {
                    result = Err(err);
                }
            }
        };
        let _ = tokio::time::timeout(GRACE, drain).await;
        result
    }
}

/// A task's name and how it ended.
type Ended = (String, Result<(), Box<dyn std::error::Error + Send + Sync>>);
type TaskResult = Result<Ended, tokio::task::JoinError>;

fn verdict(
    ended: TaskResult,
    names: &BTreeMap<tokio::task::Id, String>,
    may_end: bool,
) -> Result<(), ProcessError> {
    match ended {
        Ok((task, Err(cause))) => Err(ProcessError::Task { task, cause }),
        Ok((task, Ok(()))) if !may_end => Err(ProcessError::TaskEnded(task)),
        Err(err) if err.is_panic() => {
            Err(ProcessError::TaskPanicked(names.get(&err.id()).cloned().unwrap_or_default()))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// A started controller process.
pub struct Process {
    name: &'static str,
    flags: Common,
    client: Client,
    metrics: Metrics,
    events: Recorder,
    shutdown: CancellationToken,
    background: Tasks,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Process {
    /// Binds the endpoints and starts what serves them and delivers events.
    ///
    /// `name` is the controller's: event source, and prefix of the lease. The client that [`Process::client`] returns
    /// counts its requests.
    ///
    /// # Errors
    /// An address that cannot be listened on, a bad events address.
    pub async fn start(
        name: &'static str,
        flags: &Common,
        client: Client,
        shutdown: &CancellationToken,
    ) -> Result<Self, ProcessError> {
        install_crypto();
        let metrics = Metrics::new();
        let host = std::env::var("KUBERNETES_SERVICE_HOST").unwrap_or_else(|_| "kubernetes".to_owned());
        let client = crate::client::counted(client, &metrics, &host);
        // The endpoints and the event queue outlive the controllers: cancelled last.
        let mut background = Tasks::new(CancellationToken::new());
        if let Some(listener) = listen(&flags.metrics_addr, "metrics-addr").await? {
            let registry = metrics.clone();
            let answer = move || {
                let registry = registry.clone();
                async move { ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], registry.encode()) }
            };
            serve(
                &mut background,
                flags,
                METRICS_PORT,
                listener,
                Router::new().route("/metrics", get(answer)),
            );
        }
        if let Some(listener) = listen(&flags.health_addr, "health-addr").await? {
            let router = Router::new()
                .route("/healthz", get(|| async { "ok" }))
                .route("/readyz", get(|| async { "ok" }));
            serve(&mut background, flags, HEALTH_PORT, listener, router);
        }
        let (events, delivery) = Recorder::new(name, &client, &flags.events_addr)
            .map_err(|cause| ProcessError::Events { address: flags.events_addr.clone(), cause })?;
        background.spawn("event delivery", delivery.run(background.shutdown()));
        Ok(Self {
            name,
            flags: flags.clone(),
            client,
            metrics,
            events,
            shutdown: shutdown.child_token(),
            background,
        })
    }

    /// The client to use, which counts its requests.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The figures of the process.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Where events go.
    pub fn events(&self) -> &Recorder {
        &self.events
    }

    /// Tasks that run whether or not this process leads, from now until everything else has ended.
    pub fn background(&mut self) -> &mut Tasks {
        &mut self.background
    }

    /// Waits for leadership if the flags ask for it, starts the tasks that `body` spawns, and supervises them until
    /// the shutdown.
    ///
    /// # Errors
    /// The first task that failed, panicked or ended on its own; the loss of leadership.
    pub async fn run<F>(mut self, body: F) -> Result<(), ProcessError>
    where
        F: FnOnce(&mut Tasks),
    {
        let result = self.lead_and_supervise(body).await;
        let end = self.background.end().await;
        result.and(end)
    }

    async fn lead_and_supervise<F>(&mut self, body: F) -> Result<(), ProcessError>
    where
        F: FnOnce(&mut Tasks),
    {
        let lease = leader::lease_name(self.name, &self.flags.watch_label_selector);
        let held = if self.flags.enable_leader_election {
            self.metrics.leader(&lease, false);
            let election = Election::new(&self.client, &lease, &self.flags);
            let held = tokio::select! {
                () = self.shutdown.cancelled() => return Ok(()),
                ended = self.background.watch() => return ended,
                held = election.acquire() => held,
            };
            self.metrics.leader(&lease, true);
            Some(held)
        } else {
            None
        };
        let mut tasks = Tasks::new(self.shutdown.clone());
        body(&mut tasks);
        let lost = async {
            match &held {
                Some(held) => held.lost().await,
                None => std::future::pending().await,
            }
        };
        let result = tokio::select! {
            ended = tasks.watch() => ended,
            ended = self.background.watch() => ended,
            () = lost => Err(ProcessError::LeaseLost(lease.clone())),
        };
        let end = tasks.end().await;
        if let Some(held) = held {
            self.metrics.leader(&lease, false);
            held.end(self.flags.leader_election_release_on_cancel).await;
        }
        result.and(end)
    }
}

fn serve(background: &mut Tasks, flags: &Common, port: &str, listener: TcpListener, router: Router) {
    if let Ok(address) = listener.local_addr() {
        flags.bound.report(port, address);
    }
    let shutdown = background.shutdown();
    background.spawn(format!("{port} endpoint"), async move {
        axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::client;

    async fn started() -> (Process, Common, CancellationToken) {
        let flags = Common {
            metrics_addr: "127.0.0.1:0".into(),
            health_addr: "127.0.0.1:0".into(),
            ..Common::default()
        };
        let shutdown = CancellationToken::new();
        let process = Process::start("x", &flags, client(|_| None), &shutdown).await.unwrap();
        (process, flags, shutdown)
    }

    #[tokio::test]
    async fn endpoints_answer_until_the_shutdown() {
        let (process, flags, shutdown) = started().await;
        let run = tokio::spawn(process.run(|tasks| {
            let shutdown = tasks.shutdown();
            tasks.spawn("worker", async move {
                shutdown.cancelled().await;
                Ok::<_, std::io::Error>(())
            });
        }));
        let (health, metrics) =
            (flags.bound.wait_for(HEALTH_PORT).await, flags.bound.wait_for(METRICS_PORT).await);
        for (address, path, part) in
            [(health, "healthz", "ok"), (health, "readyz", "ok"), (metrics, "metrics", "# EOF")]
        {
            let text = reqwest::get(format!("http://{address}/{path}")).await.unwrap().text().await.unwrap();
            assert!(text.contains(part), "{path}: {text}");
        }
        shutdown.cancel();
        run.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_task_that_ends_ends_the_run() {
        type Task = std::pin::Pin<Box<dyn Future<Output = Result<(), std::io::Error>> + Send>>;
        let cases: [(Task, &str); 3] = [
            (Box::pin(async { panic!("a bug") }), "worker panicked"),
            (Box::pin(async { Ok(()) }), "worker ended unexpectedly"),
            (Box::pin(async { Err(std::io::Error::other("disk")) }), "worker failed"),
        ];
        for (task, want) in cases {
            let (process, _, _shutdown) = started().await;
            let err = process.run(|tasks| tasks.spawn("worker", task)).await.unwrap_err();
            assert_eq!(err.to_string(), want);
        }
    }

    #[tokio::test]
    async fn bad_addresses_are_named() {
        for address in ["8080", "x:y", "127.0.0.1:99999"] {
            let err = listen(address, "metrics-addr").await.unwrap_err();
            assert!(err.to_string().starts_with(&format!("'{address}' of --metrics-addr")), "{err}");
        }
        assert!(listen("0", "metrics-addr").await.unwrap().is_none());
        assert!(listen(":0", "metrics-addr").await.unwrap().is_some());
    }
}
