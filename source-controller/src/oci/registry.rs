//! The part of the OCI distribution protocol that a source needs: tags, digests, manifests, blobs.
//!
//! Written over reqwest because oci-client offers no client certificates, hides why authentication failed and reads
//! manifests of any size. Everything that a registry says is bounded and, where it has a digest, checked against it.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue, LINK, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use sluice_artifact::{Algorithm, Digest, HashingWriter};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use super::address::{Repository, valid_tag};
use super::session::{Challenge, Session};
use crate::suspects::Trouble;

/// Largest manifest, in bytes (the distribution specification's recommendation).
const MAX_MANIFEST: usize = 4 * 1024 * 1024;
/// Largest page of a tag list or error text, in bytes.
const MAX_PAGE: usize = 8 * 1024 * 1024;
/// Tags read at most.
const MAX_TAGS: usize = 200_000;
/// Tries per request, and the wait between them unless the registry names another.
const TRIES: u32 = 3;
const WAIT: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_secs(20);
/// Largest layer, in bytes.
pub(crate) const MAX_LAYER: u64 = 512 * 1024 * 1024;

const MANIFEST_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// Why a registry could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    /// The registry answered with an error.
    #[error("{method} {url}: {text}")]
    Answer { method: Method, url: String, status: StatusCode, text: String },
    /// It could not be reached, or broke off.
    #[error("{method} {url}: {text}")]
    Transport { method: Method, url: String, text: String },
    /// It took longer than `spec.timeout`.
    #[error("no answer within the timeout of {}", sluice_api::meta::Duration::format(*.0))]
    Timeout(Duration),
    /// The process ends.
    #[error("the controller is shutting down")]
    Shutdown,
    /// The token endpoint refused.
    #[error("authentication failed: {0}")]
    Authentication(String),
    /// It answered something that is not what the protocol says.
    #[error("{0}")]
    Protocol(String),
    /// The content does not have the digest that names it.
    #[error("{what} has digest {actual}, but {wanted} was asked for")]
    Digest { what: &'static str, wanted: String, actual: String },
    /// The work directory could not be written.
    #[error("cannot write '{path}': {error}")]
    Disk { path: String, error: std::io::Error },
}

impl Trouble for RegistryError {
    fn is_silence(&self) -> bool {
        matches!(self, Self::Transport { .. } | Self::Timeout(_))
    }

    fn timeout(limit: Duration) -> Self {
        Self::Timeout(limit)
    }

    fn shutdown() -> Self {
        Self::Shutdown
    }
}

impl RegistryError {
    /// Whether another login might help.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Authentication(_) => true,
            Self::Answer { status, .. } => *status == StatusCode::UNAUTHORIZED,
            Self::Transport { text, .. } => text.contains("certificate"),
            _ => false,
        }
    }
}

/// A manifest, as much of it as we use.
#[derive(Debug, Deserialize)]
pub(crate) struct Manifest {
    #[serde(rename = "mediaType", default)]
    media_type: String,
    /// Layers of an image.
    #[serde(default)]
    pub(crate) layers: Vec<Layer>,
    /// Manifests of an index.
    #[serde(default)]
    manifests: Vec<Entry>,
    /// Annotations, `null` allowed.
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

/// A layer of an artifact.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Layer {
    #[serde(rename = "mediaType", default)]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    #[serde(default)]
    pub(crate) size: u64,
}

#[derive(Debug, Deserialize)]
struct Entry {
    digest: String,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Debug, Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

impl Manifest {
    /// The annotations.
    pub(crate) fn annotations(&self) -> BTreeMap<String, String> {
        self.annotations.clone().unwrap_or_default()
    }

    fn is_index(&self) -> bool {
        self.media_type.ends_with("image.index.v1+json")
            || self.media_type.ends_with("manifest.list.v2+json")
            || (self.layers.is_empty() && !self.manifests.is_empty())
    }
}

/// A repository, with what is needed to talk to its registry.
#[derive(Debug)]
pub(crate) struct Registry<'a> {
    pub(crate) http: reqwest::Client,
    pub(crate) repository: &'a Repository,
    pub(crate) session: Arc<Session>,
    /// Plain HTTP is tried when HTTPS does not answer.
    pub(crate) plain_http: bool,
}

impl Registry<'_> {
    /// All tags.
    pub(crate) async fn tags(&self) -> Result<Vec<String>, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let mut path = "tags/list?n=1000".to_owned();
        let mut tags = Vec::new();
        loop {
            let response = self.request(Method::GET, &path, "application/json").await?;
            let next = response
                .headers()
                .get(LINK)
                .and_then(|link| link.to_str().ok())
                .and_then(|link| next_page(link, &self.repository.path));
            let bytes = body(response, MAX_PAGE, "tag list").await?;
            let page: Page = serde_json::from_slice(&bytes).map_err(|error| {
                RegistryError::Protocol(format!("tag list of {}: {error}", self.repository))
            })?;
            let tags_in_page = page.tags.unwrap_or_default();
            let is_empty = tags_in_page.is_empty();
            tags.extend(tags_in_page.into_iter().filter(|tag| valid_tag(tag)));
            if tags.len() > MAX_TAGS {
                return Err(RegistryError::Protocol(format!(
                    "{} has more than {MAX_TAGS} tags",
                    self.repository
                )));
            }
            match next {
                Some(next) if !is_empty && next != path => path = next,
                _ => return Ok(tags),
            }
        }
    }

    /// The digest that a tag, or a digest, names now.
    pub(crate) async fn digest(&self, reference: &str) -> Result<String, RegistryError> {
        let path = format!("manifests/{reference}");
        // Some registries answer HEAD with an error or without the header: then the manifest itself decides.
        if let Ok(response) = self.request(Method::HEAD, &path, MANIFEST_TYPES).await
            && let Some(digest) = response.headers().get("docker-content-digest")
            && let Ok(digest) = digest.to_str().unwrap_or_default().parse::<Digest>()
            && matches!(digest.algorithm(), Algorithm::Sha256 | Algorithm::Sha512)
        {
            let digest = digest.to_string();
            if reference.contains(':') && reference != digest {
                return Err(RegistryError::Digest {
                    what: "manifest",
                    wanted: reference.to_owned(),
                    actual: digest,
                });
            }
            return Ok(digest);
        }
        let (bytes, _) = self.manifest_bytes(reference).await?;
        match reference.parse::<Digest>() {
            Ok(digest) if reference.contains(':') => Ok(digest.to_string()),
            _ => Ok(Algorithm::Sha256.digest(bytes).to_string()),
        }
    }

    /// The manifest of that digest; of an index, the one for linux/amd64.
    pub(crate) async fn manifest(&self, digest: &str) -> Result<Manifest, RegistryError> {
        let manifest = self.one_manifest(digest).await?;
        if !manifest.is_index() {
            return Ok(manifest);
        }
        let entry = manifest
            .manifests
            .iter()
            .find(|entry| {
                entry.platform.as_ref().is_some_and(|at| at.os == "linux" && at.architecture == "amd64")
            })
            .ok_or_else(|| {
                RegistryError::Protocol(format!(
                    "index {digest} of {} has no linux/amd64 manifest",
                    self.repository
                ))
            })?;
        let manifest = self.one_manifest(&entry.digest).await?;
        if manifest.is_index() {
            return Err(RegistryError::Protocol(format!(
                "index {digest} of {} leads to another index",
                self.repository
            )));
        }
        Ok(manifest)
    }

    async fn one_manifest(&self, digest: &str) -> Result<Manifest, RegistryError> {
        let (bytes, media_type) = self.manifest_bytes(digest).await?;
        let mut manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| {
            RegistryError::Protocol(format!("manifest {digest} of {}: {error}", self.repository))
        })?;
        if manifest.media_type.is_empty() {
            manifest.media_type = media_type;
        }
        Ok(manifest)
    }

    /// The bytes of a manifest, which have its digest if it was asked for by one.
    async fn manifest_bytes(&self, reference: &str) -> Result<(Vec<u8>, String), RegistryError> {
        let wanted = match reference.contains(':') {
            true => Some(checked_digest(reference)?),
            false => None,
        };
        let response = self.request(Method::GET, &format!("manifests/{reference}"), MANIFEST_TYPES).await?;
        let media_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let bytes = body(response, MAX_MANIFEST, "manifest").await?;
        if let Some(wanted) = wanted {
            let actual = wanted.algorithm().digest(&bytes);
            if actual != wanted {
                let (wanted, actual) = (wanted.to_string(), actual.to_string());
                return Err(RegistryError::Digest { what: "manifest", wanted, actual });
            }
        }
        Ok((bytes, media_type))
    }

    /// Writes a blob of at most `max` bytes to a new file, and checks its size and digest on the way.
    pub(crate) async fn blob(&self, layer: &Layer, path: &Path, max: u64) -> Result<(), RegistryError> {
        let wanted = checked_digest(&layer.digest)?;
        let limit = if layer.size > 0 { layer.size } else { max };
        if limit > max {
            return Err(RegistryError::Protocol(format!(
                "layer {} has {} bytes, more than the {max} that are accepted",
                layer.digest, layer.size
            )));
        }
        let mut response = self.request(Method::GET, &format!("blobs/{}", layer.digest), "*/*").await?;
        let disk = |error| RegistryError::Disk { path: path.display().to_string(), error };
        let file = std::fs::File::create_new(path).map_err(disk)?;
        let mut out = HashingWriter::new(wanted.algorithm(), file);
        let mut written = 0u64;
        let broken = |error: reqwest::Error| RegistryError::Transport {
            method: Method::GET,
            url: format!("blob {} of {}", layer.digest, self.repository),
            text: causes(&error.without_url()),
        };
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            written += chunk.len() as u64;
            if written > limit {
                return Err(RegistryError::Protocol(format!(
                    "layer {} is larger than the {limit} bytes that the manifest names",
                    layer.digest
                )));
            }
            // One network chunk at a time into the page cache: too short to be worth a trip to the blocking pool.
            out.write_all(&chunk).map_err(disk)?;
        }
        let (_, actual, _) = out.finish();
        if actual != wanted {
            let (wanted, actual) = (wanted.to_string(), actual.to_string());
            return Err(RegistryError::Digest { what: "layer", wanted, actual });
        }
        Ok(())
    }

    /// Sends a request for something in the repository until it succeeds, fails for good or was tried enough.
    async fn request(
        &self,
        method: Method,
        path: &str,
        accept: &'static str,
    ) -> Result<Response, RegistryError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (error, wait) = match self.attempt(method.clone(), path, accept).await {
                Ok(response) => return Ok(response),
                Err((error, Some(wait))) if attempt < TRIES => (error, wait),
                Err((error, _)) => return Err(error),
            };
            tracing::debug!(%error, attempt, again_in = ?wait, "registry request failed");
            tokio::time::sleep(wait).await;
        }
    }

    /// One try; an error with a duration may be tried again after it.
    async fn attempt(
        &self,
        method: Method,
        path: &str,
        accept: &'static str,
    ) -> Result<Response, (RegistryError, Option<Duration>)> {
        let mut asked_for_token = false;
        loop {
            // A host that does not answer is left to the object's back-off, which holds no worker.
            let response = self.send(method.clone(), path, accept).await.map_err(|error| (error, None))?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            if status == StatusCode::UNAUTHORIZED && !asked_for_token {
                asked_for_token = true;
                let challenges: Vec<&str> = response
                    .headers()
                    .get_all(WWW_AUTHENTICATE)
                    .iter()
                    .filter_map(|value| value.to_str().ok())
                    .collect();
                if let Some(challenge) = Challenge::parse(&challenges) {
                    let is_https = response.url().scheme() == "https";
                    let known = self
                        .session
                        .authenticate(&self.http, &challenge, &self.repository.path, is_https)
                        .await
                        .map_err(|text| (RegistryError::Authentication(text), None))?;
                    if known {
                        continue;
                    }
                }
            }
            let wait = match status.as_u16() {
                408 | 429 | 500 | 502 | 503 | 504 => Some(retry_after(&response).unwrap_or(WAIT)),
                _ => None,
            };
            return Err((answer(method, response).await, wait));
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        accept: &'static str,
    ) -> Result<Response, RegistryError> {
        let known = self.session.scheme();
        let schemes: &[&str] = match (known, self.plain_http) {
            (Some(scheme), _) => &[scheme],
            (None, true) => &["https", "http"],
            (None, false) => &["https"],
        };
        let mut first_error = None;
        for scheme in schemes {
            let url = format!("{scheme}://{}/v2/{}/{path}", self.repository.host, self.repository.path);
            let mut request = self.http.request(method.clone(), &url).header(ACCEPT, accept);
            if let Some(header) = self.session.header() {
                request = request.header(reqwest::header::AUTHORIZATION, header);
            }
            match request.send().await {
                Ok(response) => {
                    self.session.set_scheme(scheme);
                    return Ok(response);
                }
                Err(error) => {
                    let text = causes(&error.without_url());
                    first_error.get_or_insert(RegistryError::Transport { method: method.clone(), url, text });
                }
            }
        }
        // What HTTPS answered is the true cause: plain HTTP was only a second guess.
        self.session.forget_scheme();
        Err(first_error.unwrap_or_else(|| RegistryError::Protocol("no scheme to try".to_owned())))
    }
}

fn checked_digest(text: &str) -> Result<Digest, RegistryError> {
    match text.parse::<Digest>() {
        Ok(digest)
            if text.contains(':') && matches!(digest.algorithm(), Algorithm::Sha256 | Algorithm::Sha512) =>
        {
            Ok(digest)
        }
        Ok(_) => Err(RegistryError::Protocol(format!("digest '{text}' is not sha256 or sha512"))),
        Err(error) => Err(RegistryError::Protocol(error.to_string())),
    }
}

/// The path below the repository that a `Link: <…>; rel="next"` header points at.
fn next_page(link: &str, repository: &str) -> Option<String> {
    let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    if !rest.contains("next") {
        return None;
    }
    let query = target.split_once('?')?.1;
    // Only the query is taken over: a registry cannot send us elsewhere.
    let is_plain = query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    let is_ours = target.contains(&format!("{repository}/tags/list"));
    (is_plain && is_ours).then(|| format!("tags/list?{query}"))
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_WAIT))
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn body(mut response: Response, limit: usize, what: &str) -> Result<Vec<u8>, RegistryError> {
    let url = response.url().path().to_owned();
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > limit => {
                return Err(RegistryError::Protocol(format!("{what} is larger than {limit} bytes")));
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Ok(bytes),
            Err(error) => {
                let text = causes(&error.without_url());
                return Err(RegistryError::Transport { method: Method::GET, url, text });
            }
        }
    }
}

/// An error answer, with what the registry said of it.
async fn answer(method: Method, response: Response) -> RegistryError {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let (status, mut url) = (response.status(), response.url().clone());
    url.set_query(None);
    let bytes = body(response, 64 * 1024, "error").await.unwrap_or_default();
    let text = match serde_json::from_slice::<Errors>(&bytes) {
        Ok(Errors { errors }) if !errors.is_empty() => errors
            .iter()
            .map(|error| match error.message.as_str() {
                "" => error.code.clone(),
                message => format!("{}: {message}", error.code),
            })
            .collect::<Vec<_>>()
            .join("; "),
        _ => format!("unexpected status code {status}"),
    };
    RegistryError::Answer { method, url: url.to_string(), status, text }
}

/// An error and its causes, each once.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// A header value that logs do not show.
pub(crate) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_page_never_leads_elsewhere() {
        for (link, want) in [
            (r#"</v2/a/b/tags/list?last=x&n=2>; rel="next""#, Some("tags/list?last=x&n=2")),
            (r#"<https://evil.example/v2/a/b/tags/list?last=x>; rel="next""#, Some("tags/list?last=x")),
            (r#"</v2/a/b/tags/list?last=x>; rel="prev""#, None),
            (r#"</v2/other/tags/list?last=x>; rel="next""#, None),
            (r#"</v2/a/b/tags/list?last=x y>; rel="next""#, None),
            ("garbage", None),
        ] {
            assert_eq!(next_page(link, "a/b").as_deref(), want, "{link}");
        }
    }
}
