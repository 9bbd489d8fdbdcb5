//! A Git server for tests: repositories made by the git program, served on a port that the kernel chooses, with faults on demand.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header},
    response::IntoResponse,
};
use base64::Engine as _;
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use crate::serve::Repositories;

/// What the server does instead of answering properly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Answers properly.
    #[default]
    None,
    /// Takes requests and never answers.
    Hang,
    /// Breaks the connection in the middle of a pack, after so many bytes of it.
    CloseMidPack(usize),
    /// Answers everything with bytes that are not Git.
    Garbage,
    /// Answers packs with the proper beginning and then bytes that are no pack.
    GarbagePack,
    /// Answers with this HTTP status.
    Status(u16),
    /// Redirects the first request of a conversation to this base address.
    Redirect(String),
}

/// How the server behaves from its start.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Refuses requests without this `Authorization` header.
    pub authorization: Option<String>,
    /// Speaks TLS with a certificate of its own authority for `localhost`.
    pub tls: bool,
    /// With TLS, refuses clients without a certificate of the same authority.
    pub client_certificates: bool,
    /// Speaks protocol v0 and hands out advertised objects only.
    pub protocol_v0: bool,
}

impl Options {
    /// Wants this user name and password.
    pub fn basic(username: &str, password: &str) -> Self {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
        Self { authorization: Some(format!("Basic {pair}")), ..Self::default() }
    }
}

/// A running server. Dropping it closes the port and removes its repositories.
pub struct GitServer {
    shared: Arc<Shared>,
    root: TempDir,
    address: SocketAddr,
    pki: Option<Pki>,
    accepting: JoinHandle<()>,
}

struct Shared {
    repositories: Repositories,
    options: Options,
    fault: Mutex<Fault>,
    requests: AtomicU64,
    pack_bytes: AtomicU64,
    seen: Mutex<Vec<HeaderMap>>,
}

struct Pki {
    ca: String,
    client: (String, String),
}

impl GitServer {
    /// Starts a server without repositories.
    ///
    /// # Panics
    /// Without git, or when no port can be bound: a test cannot go on.
    pub async fn start(options: Options) -> Self {
        let root = TempDir::new().expect("a temporary directory can be created");
        let repositories =
            Repositories::new(root.path()).expect("tests need git").protocol_v2(!options.protocol_v0);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (pki, tls) = match options.tls {
            true => {
                let (pki, acceptor) = tls(options.client_certificates);
                (Some(pki), Some(acceptor))
            }
            false => (None, None),
        };
        let shared = Arc::new(Shared {
            repositories,
            options,
            fault: Mutex::default(),
            requests: AtomicU64::new(0),
            pack_bytes: AtomicU64::new(0),
            seen: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, tls, shared.clone()));
        Self { shared, root, address, pki, accepting }
    }

    /// The address of a repository.
    pub fn url(&self, repository: &str) -> String {
        let scheme = if self.pki.is_some() { "https" } else { "http" };
        format!("{scheme}://localhost:{}/{repository}", self.address.port())
    }

    /// The authority that signed the server's certificate, as PEM.
    pub fn ca(&self) -> Vec<u8> {
        self.pki.as_ref().map(|pki| pki.ca.clone().into_bytes()).unwrap_or_default()
    }

    /// A client certificate and its key that the server accepts, as PEM.
    pub fn client_certificate(&self) -> (Vec<u8>, Vec<u8>) {
        let pki = self.pki.as_ref().expect("the server speaks TLS");
        (pki.client.0.clone().into_bytes(), pki.client.1.clone().into_bytes())
    }

    /// Switches a fault on, or off.
    pub fn fault(&self, fault: Fault) {
        *self.shared.fault.lock() = fault;
    }

    /// How many requests came in.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many bytes of packs went out.
    pub fn pack_bytes(&self) -> u64 {
        self.shared.pack_bytes.load(Ordering::SeqCst)
    }

    /// The headers of each request so far.
    pub fn seen(&self) -> Vec<HeaderMap> {
        self.shared.seen.lock().clone()
    }

    /// Creates an empty repository, served as `name`.
    pub fn repository(&self, name: &str) -> Repository {
        Repository::create(self.root.path().join(name))
    }

    /// Removes a repository.
    pub fn remove(&self, name: &str) {
        std::fs::remove_dir_all(self.root.path().join(name)).expect("the repository exists");
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // Ends, with every connection, when the server is dropped.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), shared.clone());
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                let shared = shared.clone();
                async move { Ok::<_, std::convert::Infallible>(answer(&shared, request.map(Body::new)).await) }
            });
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            match tls {
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        let _ = server.serve_connection(TokioIo::new(stream), service).await;
                    }
                }
                None => drop(server.serve_connection(TokioIo::new(stream), service).await),
            }
        });
    }
}

async fn answer(shared: &Shared, request: Request<Body>) -> Response<Body> {
    shared.requests.fetch_add(1, Ordering::SeqCst);
    shared.seen.lock().push(request.headers().clone());
    let fault = shared.fault.lock().clone();
    match &fault {
        Fault::Hang => std::future::pending().await,
        Fault::Garbage => {
            return (StatusCode::OK, "<html>this is not the server you look for</html>").into_response();
        }
        Fault::Status(code) => {
            let status = StatusCode::from_u16(*code).expect("tests use valid status codes");
            return (status, "the server says no\nand no more").into_response();
        }
        Fault::Redirect(base) if request.uri().path().ends_with("/info/refs") => {
            let to = format!("{base}{}", request.uri());
            return (StatusCode::FOUND, [(header::LOCATION, to)]).into_response();
        }
        _ => {}
    }
    if let Some(wanted) = &shared.options.authorization
        && request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes) != Some(wanted.as_bytes())
    {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")];
        return (StatusCode::UNAUTHORIZED, challenge, "who are you?").into_response();
    }
    let is_fetch = request.uri().path().ends_with("/git-upload-pack");
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    // `ls-refs` goes to the same place; only a fetch has wants.
    let is_fetch = is_fetch && body.windows(5).any(|window| window == b"want ");
    let response = shared.repositories.answer(Request::from_parts(parts, Body::from(body))).await;
    if !is_fetch {
        return response;
    }
    let (parts, body) = response.into_parts();
    let mut pack = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    match fault {
        Fault::CloseMidPack(after) => {
            pack.truncate(after);
            let broken: std::io::Result<Vec<u8>> = Err(std::io::Error::other("closed by the test"));
            let stream = [Ok(pack), broken];
            return Response::from_parts(parts, Body::from_stream(tokio_stream::iter(stream)));
        }
        Fault::GarbagePack => {
            let start = pack.windows(4).position(|window| window == b"PACK").unwrap_or_default();
            for byte in &mut pack[start..] {
                *byte ^= 0x5a;
            }
        }
        _ => {}
    }
    shared.pack_bytes.fetch_add(pack.len() as u64, Ordering::SeqCst);
    Response::from_parts(parts, Body::from(pack))
}

fn tls(client_certificates: bool) -> (Pki, TlsAcceptor) {
    let ca_key = rcgen::KeyPair::generate().expect("ring makes keys");
    let mut ca_params = rcgen::CertificateParams::new(Vec::new()).expect("no names are valid names");
    ca_params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = ca_params.self_signed(&ca_key).expect("a key can sign itself");
    let issuer = rcgen::Issuer::new(ca_params, ca_key);
    let sign = |name: &str| {
        let key = rcgen::KeyPair::generate().expect("ring makes keys");
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a valid name");
        let certificate = params.signed_by(&key, &issuer).expect("the authority can sign");
        (certificate, key)
    };
    let (certificate, key) = sign("localhost");
    let (client, client_key) = sign("client");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions");
    let config = if client_certificates {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from(ca.der().to_vec())).expect("our authority is valid");
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        config.with_client_cert_verifier(verifier.build().expect("there is one root"))
    } else {
        config.with_no_client_auth()
    };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let config = config.with_single_cert(chain, key).expect("certificate and key belong together");
    let pki = Pki { ca: ca.pem(), client: (client.pem(), client_key.serialize_pem()) };
    (pki, TlsAcceptor::from(Arc::new(config)))
}

/// A bare repository and a directory to make commits from.
pub struct Repository {
    git_dir: PathBuf,
    work: TempDir,
}

impl Repository {
    fn create(git_dir: PathBuf) -> Self {
        let work = TempDir::new().expect("a temporary directory can be created");
        let repository = Self { git_dir, work };
        let dir = repository.git_dir.to_str().expect("temporary paths are UTF-8").to_owned();
        run(Command::new("git").args(["init", "--quiet", "--bare", "--initial-branch=main", &dir]));
        repository
    }

    /// The bare repository's directory.
    pub fn dir(&self) -> &Path {
        &self.git_dir
    }

    /// The directory that [`Repository::commit`] records.
    pub fn work(&self) -> &Path {
        self.work.path()
    }

    /// Writes a file; parents are created.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.work.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a file has a parent"))
            .expect("directories can be created");
        std::fs::write(path, text).expect("files can be written");
        self
    }

    /// Removes a file.
    pub fn remove(&self, path: &str) -> &Self {
        std::fs::remove_file(self.work.path().join(path)).expect("the file exists");
        self
    }

    /// Commits the directory as it is, and returns the commit's id.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head()
    }

    /// The id of the commit checked out.
    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs git on the repository and returns what it prints.
    ///
    /// # Panics
    /// When git fails.
    pub fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(&self.git_dir).arg("--work-tree").arg(self.work.path());
        run(command.current_dir(self.work.path()).args(arguments))
    }
}

fn run(command: &mut Command) -> String {
    for (key, value) in [
        ("GIT_AUTHOR_NAME", "Test"),
        ("GIT_AUTHOR_EMAIL", "test@example.com"),
        ("GIT_COMMITTER_NAME", "Test"),
        ("GIT_COMMITTER_EMAIL", "test@example.com"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ] {
        command.env(key, value);
    }
    let output = command.output().expect("git can be run");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
