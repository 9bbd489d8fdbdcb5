//! Servers in this process, a container registry and a website, for tests and benchmarks of whoever asks them.

mod website;

pub use website::Website;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use parking_lot::Mutex;
use serde_json::{Value, json};
use sluice_artifact::Algorithm;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;

/// Media type of Flux's content layers.
pub const FLUX_CONTENT: &str = "application/vnd.cncf.flux.content.v1.tar+gzip";
const FLUX_CONFIG: &str = "application/vnd.cncf.flux.config.v1+json";
/// Media type of the layer that is a packaged chart.
pub const HELM_CONTENT: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
const HELM_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// How the registry wants to be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Auth {
    /// Everybody may read.
    #[default]
    None,
    /// User and password with each request.
    Basic(String, String),
    /// A token, which the registry's own endpoint gives for user and password.
    Token(String, String),
}

/// A registry on a port of the kernel's choice, over plain HTTP. Dropping it ends it.
#[derive(Debug)]
pub struct Registry {
    host: String,
    shared: Arc<Shared>,
    _running: DropGuard,
}

#[derive(Debug, Default)]
struct Shared {
    auth: Auth,
    host: String,
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    /// By repository and digest: media type and bytes.
    manifests: HashMap<(String, String), (String, Vec<u8>)>,
    tags: HashMap<String, BTreeMap<String, String>>,
    blobs: HashMap<String, Vec<u8>>,
    requests: Vec<String>,
    /// Statuses with which the next requests are answered.
    failures: Vec<u16>,
}

impl Registry {
    /// Starts a registry that everybody may read.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_with(Auth::None).await
    }

    /// Starts a registry with authentication.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_with(auth: Auth) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let host = listener.local_addr()?.to_string();
        let shared = Arc::new(Shared { auth, host: host.clone(), content: Mutex::default() });
        let stop = CancellationToken::new();
        let app = Router::new().fallback(answer).with_state(shared.clone());
        let ended = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            tokio::select! {
                result = async { axum::serve(listener, app).await } => {
                    if let Err(error) = result {
                        tracing::warn!(%error, "test registry ended");
                    }
                }
                () = ended => {}
            }
        });
        Ok(Self { host, shared, _running: stop.drop_guard() })
    }

    /// `host:port`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `oci://host:port/<repository>`.
    pub fn url(&self, repository: &str) -> String {
        format!("oci://{}/{repository}", self.host)
    }

    /// Stores an artifact of one Flux content layer under a tag, as `flux push artifact` does; returns its digest.
    pub fn push_tar_gz(&self, repository: &str, tag: &str, bytes: impl Into<Vec<u8>>) -> String {
        self.push(repository, tag, &[(FLUX_CONTENT, bytes.into())], &[])
    }

    /// Stores an artifact of several layers with annotations under a tag; returns its digest.
    pub fn push(
        &self,
        repository: &str,
        tag: &str,
        layers: &[(&str, Vec<u8>)],
        annotations: &[(&str, &str)],
    ) -> String {
        self.put(repository, tag, (FLUX_CONFIG, b"{}"), layers, annotations)
    }

    /// Stores a packaged chart under the tag of its version, as `helm push` does; returns its digest.
    ///
    /// `metadata` is the chart's `Chart.yaml` as JSON. A `+` of the version is `_` in the tag.
    pub fn push_chart(&self, repository: &str, version: &str, metadata: &Value, bytes: Vec<u8>) -> String {
        let config = metadata.to_string();
        let layers = [(HELM_CONTENT, bytes)];
        self.put(repository, &version.replace('+', "_"), (HELM_CONFIG, config.as_bytes()), &layers, &[])
    }

    fn put(
        &self,
        repository: &str,
        tag: &str,
        config: (&str, &[u8]),
        layers: &[(&str, Vec<u8>)],
        annotations: &[(&str, &str)],
    ) -> String {
        let descriptor = |media_type: &str, bytes: &[u8]| {
            json!({
                "mediaType": media_type,
                "digest": Algorithm::Sha256.digest(bytes).to_string(),
                "size": bytes.len(),
            })
        };
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(config.0, config.1),
            "layers": layers.iter().map(|(media_type, bytes)| descriptor(media_type, bytes)).collect::<Vec<_>>(),
        });
        if !annotations.is_empty() {
            manifest["annotations"] = annotations.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        }
        let mut content = self.shared.content.lock();
        for bytes in layers.iter().map(|(_, bytes)| bytes.clone()).chain([config.1.to_vec()]) {
            content.blobs.insert(Algorithm::Sha256.digest(&bytes).to_string(), bytes);
        }
        content.put(repository, tag, MANIFEST, &manifest)
    }

    /// Stores an index that names `digest` for linux/amd64 under a tag; returns the index's digest.
    pub fn push_index(&self, repository: &str, tag: &str, digest: &str) -> String {
        let index = json!({
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [
                {"mediaType": MANIFEST, "digest": format!("sha256:{}", "0".repeat(64)), "size": 1,
                 "platform": {"os": "linux", "architecture": "arm64"}},
                {"mediaType": MANIFEST, "digest": digest, "size": 1,
                 "platform": {"os": "linux", "architecture": "amd64"}},
            ],
        });
        self.shared.content.lock().put(repository, tag, INDEX, &index)
    }

    /// Points a tag at a digest that is already there.
    pub fn tag(&self, repository: &str, tag: &str, digest: &str) {
        let mut content = self.shared.content.lock();
        content.tags.entry(repository.to_owned()).or_default().insert(tag.to_owned(), digest.to_owned());
    }

    /// Removes a tag.
    pub fn untag(&self, repository: &str, tag: &str) {
        if let Some(tags) = self.shared.content.lock().tags.get_mut(repository) {
            tags.remove(tag);
        }
    }

    /// Replaces the bytes of every blob, so that their digests no longer hold.
    pub fn corrupt_blobs(&self) {
        for bytes in self.shared.content.lock().blobs.values_mut() {
            if let Some(byte) = bytes.last_mut() {
                *byte ^= 1;
            }
        }
    }

    /// Answers the next requests with these statuses.
    pub fn fail_next(&self, statuses: &[u16]) {
        self.shared.content.lock().failures.extend(statuses.iter().rev());
    }

    /// The requests (`METHOD path`) since the last call.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.content.lock().requests)
    }
}

impl Content {
    fn put(&mut self, repository: &str, tag: &str, media_type: &str, manifest: &Value) -> String {
        let bytes = manifest.to_string().into_bytes();
        let digest = Algorithm::Sha256.digest(&bytes).to_string();
        self.manifests.insert((repository.to_owned(), digest.clone()), (media_type.to_owned(), bytes));
        self.tags.entry(repository.to_owned()).or_default().insert(tag.to_owned(), digest.clone());
        digest
    }
}

/// The token of the registry's own endpoint: for tests, it need not be hard to guess.
const TOKEN: &str = "token-of-the-test-registry";

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (method, path) = (request.method().as_str().to_owned(), request.uri().path().to_owned());
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let basic = |user: &str, password: &str| {
        format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
    };
    let mut content = shared.content.lock();
    content.requests.push(format!("{method} {path}"));
    if let Some(status) = content.failures.pop() {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return (status, [(header::RETRY_AFTER, "0")]).into_response();
    }
    if path == "/token" {
        return match &shared.auth {
            Auth::Token(user, password) if sent == Some(basic(user, password).as_str()) => {
                axum::Json(json!({"token": TOKEN, "expires_in": 300})).into_response()
            }
            _ => StatusCode::UNAUTHORIZED.into_response(),
        };
    }
    let (allowed, challenge) = match &shared.auth {
        Auth::None => (true, String::new()),
        Auth::Basic(user, password) => {
            (sent == Some(basic(user, password).as_str()), "Basic realm=\"test\"".to_owned())
        }
        Auth::Token(..) => (
            sent == Some(format!("Bearer {TOKEN}").as_str()),
            format!("Bearer realm=\"http://{}/token\",service=\"test\"", shared.host),
        ),
    };
    if !allowed {
        let body = json!({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]});
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], axum::Json(body))
            .into_response();
    }
    find(&content, &path)
}

fn find(content: &Content, path: &str) -> Response {
    let missing = |code: &str, message: &str| {
        let body = json!({"errors": [{"code": code, "message": message}]});
        (StatusCode::NOT_FOUND, axum::Json(body)).into_response()
    };
    let Some(path) = path.strip_prefix("/v2/") else { return missing("UNSUPPORTED", "not the registry API") };
    if path.is_empty() {
        return axum::Json(json!({})).into_response();
    }
    if let Some(repository) = path.strip_suffix("/tags/list") {
        return match content.tags.get(repository) {
            Some(tags) => axum::Json(json!({"name": repository, "tags": tags.keys().collect::<Vec<_>>()}))
                .into_response(),
            None => missing("NAME_UNKNOWN", "repository name not known to registry"),
        };
    }
    if let Some((repository, reference)) = path.split_once("/manifests/") {
        let digest = match content.tags.get(repository).and_then(|tags| tags.get(reference)) {
            Some(digest) => digest,
            None => reference,
        };
        return match content.manifests.get(&(repository.to_owned(), digest.to_owned())) {
            Some((media_type, bytes)) => (
                [
                    (header::CONTENT_TYPE, media_type.clone()),
                    (header::HeaderName::from_static("docker-content-digest"), digest.to_owned()),
                ],
                Body::from(bytes.clone()),
            )
                .into_response(),
            None => missing("MANIFEST_UNKNOWN", "manifest unknown"),
        };
    }
    if let Some((_, digest)) = path.split_once("/blobs/")
        && let Some(bytes) = content.blobs.get(digest)
    {
        return Body::from(bytes.clone()).into_response();
    }
    missing("BLOB_UNKNOWN", "blob unknown to registry")
}
