//! Starting, stopping and restarting a server: the part that owns tasks, the port and the certificates.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::auth::Authenticator;
use crate::tls::{self, Identity, TlsError};
use crate::{controllers, http, kubeconfig};

/// A request, as its observer sees it before it is served.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `PATCH`, …
    pub method: String,
    /// Path and query.
    pub uri: String,
    /// The `User-Agent` header.
    pub user_agent: String,
}

/// Hears of every request. It must be quick; it runs before the request is served.
pub type RequestObserver = Arc<dyn Fn(&Request) + Send + Sync>;

/// Says whether a request is served. One that is not changes nothing and is never answered. It must be quick.
pub type RequestGate = Arc<dyn Fn(&Request) -> bool + Send + Sync>;

/// How a server is set up. `Options::default()` suits tests: a kernel-chosen port on the loopback interface.
#[derive(Clone)]
pub struct Options {
    /// Where to listen. Port 0 lets the kernel choose; [`Server::url`] tells what it chose.
    pub listen: SocketAddr,
    /// Name of the cluster, its context and user in the kubeconfig.
    pub name: String,
    /// How many Node objects exist from the start; pods are spread over them. Zero leaves pods Pending.
    pub nodes: usize,
    /// How many changes are kept per kind of object for watches that come back. A watch from before that gets 410 Gone.
    pub watch_history: usize,
    /// Whether the built-in controllers (Deployments, garbage collection, namespaces …) run.
    pub controllers: bool,
    /// The administrator's bearer token; `None` makes a random one.
    pub admin_token: Option<String>,
    /// Hears of every request: for tests that count them.
    pub observer: Option<RequestObserver>,
    /// Lets requests through or loses them: for tests that break something at the n-th.
    pub gate: Option<RequestGate>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            name: "sluice".to_owned(),
            nodes: 1,
            watch_history: 4096,
            controllers: true,
            admin_token: None,
            observer: None,
            gate: None,
        }
    }
}

/// Why a server could not start or come back.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is in use or not ours.
    #[error("the API server cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the operating system answered.
        #[source]
        cause: std::io::Error,
    },
    /// The certificates could not be made.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The tables of built-in kinds, which are part of this program, could not be read.
    #[error("cannot set up the built-in kinds: {0}")]
    Builtin(String),
}

/// A running API server. Dropping it ends it abruptly; [`Server::stop`] lets requests finish.
pub struct Server {
    options: Options,
    address: SocketAddr,
    identity: Identity,
    admin_token: String,
    context: Arc<http::Context>,
    background: CancellationToken,
    controllers: Mutex<Option<JoinHandle<()>>>,
    listening: Mutex<Option<Listening>>,
}

struct Listening {
    graceful: CancellationToken,
    abrupt: CancellationToken,
    task: JoinHandle<()>,
}

/// How long a graceful stop waits for requests that are under way.
const GRACE: Duration = Duration::from_secs(2);

impl Server {
    /// Starts a server with an empty cluster: the four system namespaces, the default roles, and the nodes.
    ///
    /// # Errors
    /// [`StartError::Listen`] if the address cannot be bound.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let listener = bind(options.listen).await?;
        let address =
            listener.local_addr().map_err(|cause| StartError::Listen { address: options.listen, cause })?;
        let identity = tls::identity(address.ip())?;
        let admin_token = options.admin_token.clone().unwrap_or_else(crate::auth::random_token);
        let authenticator = Authenticator::new(&admin_token);
        let api = Api::new(&options, &identity.ca_pem).map_err(StartError::Builtin)?;
        let background = CancellationToken::new();
        let controllers =
            options.controllers.then(|| tokio::spawn(controllers::run(api.clone(), background.clone())));
        let context = Arc::new(http::Context {
            api,
            authenticator,
            observer: options.observer.clone(),
            gate: options.gate.clone(),
        });
        let server = Self {
            options,
            address,
            identity,
            admin_token,
            context,
            background,
            controllers: Mutex::new(controllers),
            listening: Mutex::new(None),
        };
        server.listen(listener);
        Ok(server)
    }

    /// The address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL, for example `https://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        let ip = match self.address.ip() {
            ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            ip => ip,
        };
        format!("https://{}", SocketAddr::new(ip, self.address.port()))
    }

    /// The certificate (PEM) of the authority that signed the server's certificate.
    pub fn ca_pem(&self) -> &str {
        &self.identity.ca_pem
    }

    /// The administrator's bearer token (user `kubernetes-admin` in the group `system:masters`).
    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// A kubeconfig (YAML text) for the administrator. It stays valid over [`Server::restart`].
    pub fn kubeconfig(&self) -> String {
        self.kubeconfig_for("kubernetes-admin", &self.admin_token)
    }

    /// A kubeconfig (YAML text) with the given user name and bearer token.
    pub fn kubeconfig_for(&self, user: &str, token: &str) -> String {
        kubeconfig::render(&self.options.name, &self.url(), &self.identity.ca_pem, user, token)
    }

    /// Writes the administrator's kubeconfig to a file, readable by its owner only.
    ///
    /// # Errors
    /// What the operating system answers.
    pub fn write_kubeconfig(&self, path: &Path) -> std::io::Result<()> {
        use std::io::Write;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path)?.write_all(self.kubeconfig().as_bytes())
    }

    /// A bearer token for a service account, as TokenRequest would give it; valid for an hour.
    ///
    /// The account need not exist yet: what the token may do is decided, by RBAC, when it is used.
    pub fn service_account_token(&self, namespace: &str, name: &str) -> String {
        self.context.authenticator.issue(namespace, name, "", Duration::from_secs(3600), &[]).token
    }

    /// Goes away as in a crash: the port is closed and every connection is cut. The data stays, for [`Server::resume`].
    ///
    /// The built-in controllers keep running, as they would on another machine with its own way to the storage.
    pub async fn suspend(&self) {
        let listening = self.listening.lock().take();
        if let Some(listening) = listening {
            listening.abrupt.cancel();
            finish(listening.task).await;
        }
    }

    /// Listens again, at the same address and with the same data, after [`Server::suspend`].
    ///
    /// # Errors
    /// [`StartError::Listen`] if the port was taken by someone else meanwhile.
    pub async fn resume(&self) -> Result<(), StartError> {
        if self.listening.lock().is_none() {
            self.listen(bind(self.address).await?);
        }
        Ok(())
    }

    /// [`Server::suspend`] and at once [`Server::resume`]: every connection is cut, the data stays.
    ///
    /// # Errors
    /// As [`Server::resume`].
    pub async fn restart(&self) -> Result<(), StartError> {
        self.suspend().await;
        self.resume().await
    }

    /// Stops: no new connections, watches end, requests under way get two seconds to finish.
    pub async fn stop(self) {
        let listening = self.listening.lock().take();
        if let Some(listening) = listening {
            listening.graceful.cancel();
            finish(listening.task).await;
        }
        self.background.cancel();
        let controllers = self.controllers.lock().take();
        if let Some(task) = controllers {
            finish(task).await;
        }
    }

    fn listen(&self, listener: TcpListener) {
        let graceful = CancellationToken::new();
        let abrupt = CancellationToken::new();
        let accept = http::Accept {
            listener,
            tls: self.identity.server.clone(),
            context: self.context.clone(),
            graceful: graceful.clone(),
            abrupt: abrupt.clone(),
            grace: GRACE,
        };
        let task = tokio::spawn(accept.run());
        *self.listening.lock() = Some(Listening { graceful, abrupt, task });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.background.cancel();
        if let Some(listening) = self.listening.lock().take() {
            listening.abrupt.cancel();
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("url", &self.url()).finish_non_exhaustive()
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|cause| StartError::Listen { address, cause })
}

async fn finish(task: JoinHandle<()>) {
    if let Err(error) = task.await
        && error.is_panic()
    {
        tracing::error!(%error, "a task of the API server panicked");
    }
}
