//! Downloads an artifact and checks its digest before anybody sees a byte of it.
//!
//! Streams to memory, or to a temporary file when it is large, while hashing. Connection errors and server errors are
//! tried again; the deadline and the shutdown signal end everything at once. Messages are those of Flux's consumers.

use std::io::{self, Seek, Write};
use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use tempfile::SpooledTempFile;
use tokio_util::sync::CancellationToken;

use crate::digest::{Digest, DigestError, HashingWriter};
use crate::unpack::{Limits, Links, UnpackError, Unpacked, unpack};

/// Largest download that is kept in memory, in bytes: a file of its own costs more than the download.
const IN_MEMORY: usize = 256 * 1024;

/// Settings of a [`Fetcher`].
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Tries after the first one (`--http-retry`).
    pub retries: u32,
    /// Shortest and longest wait between two tries; it doubles in between.
    pub wait: (Duration, Duration),
    /// Time for everything, waits included; `None` for no limit.
    pub deadline: Option<Duration>,
    /// Largest download in bytes.
    pub max_bytes: u64,
    /// Limits of unpacking.
    pub limits: Limits,
    /// `host:port` that replaces the host of every artifact's URL (development outside the cluster).
    pub source_controller_host: Option<String>,
    /// The same for URLs that contain `//source-watcher`.
    pub source_watcher_host: Option<String>,
}

impl Default for FetchOptions {
    /// 9 retries 5 to 30 seconds apart, five minutes in all, 512 MiB.
    fn default() -> Self {
        Self {
            retries: 9,
            wait: (Duration::from_secs(5), Duration::from_secs(30)),
            deadline: Some(Duration::from_secs(300)),
            max_bytes: 512 * 1024 * 1024,
            limits: Limits::default(),
            source_controller_host: None,
            source_watcher_host: None,
        }
    }
}

impl FetchOptions {
    /// Takes the host replacements from `SOURCE_CONTROLLER_LOCALHOST` and `SOURCE_WATCHER_LOCALHOST`.
    pub fn with_hosts_from_env(mut self) -> Self {
        let read = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        self.source_controller_host = read("SOURCE_CONTROLLER_LOCALHOST");
        self.source_watcher_host = read("SOURCE_WATCHER_LOCALHOST");
        self
    }
}

/// Why an artifact could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server does not have the file (any more): wait for the source to store it again.
    #[error("file not found")]
    NotFound,
    /// The URL cannot be requested.
    #[error("failed to download archive: invalid artifact URL: {0}")]
    Url(String),
    /// The server refused.
    #[error("failed to download archive from {url} (status: {status})")]
    Status {
        /// The address, without credentials.
        url: String,
        /// Code and text.
        status: String,
    },
    /// No try succeeded.
    #[error("failed to download archive: GET {url} giving up after {attempts} attempt(s): {cause}")]
    Exhausted {
        /// The address, without credentials.
        url: String,
        /// Tries made.
        attempts: u32,
        /// How the last one ended.
        cause: String,
    },
    /// The deadline passed.
    #[error("failed to download archive: GET {url} not finished within {seconds} seconds{}", last.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default())]
    Deadline {
        /// The address, without credentials.
        url: String,
        /// The deadline.
        seconds: u64,
        /// How the last try ended, if one did.
        last: Option<String>,
    },
    /// The process is shutting down.
    #[error("failed to download archive: cancelled")]
    Cancelled,
    /// More bytes than allowed.
    #[error("failed to download archive from {url}: larger than {max} bytes")]
    TooLarge {
        /// The address, without credentials.
        url: String,
        /// The limit.
        max: u64,
    },
    /// The source announced no digest.
    #[error("failed to verify archive: empty digest")]
    EmptyDigest,
    /// The source announced something that is no digest.
    #[error("failed to verify archive: failed to parse digest '{text}': {error}")]
    BadDigest {
        /// As announced.
        text: String,
        /// What is wrong with it.
        error: DigestError,
    },
    /// The content is not what the source announced.
    #[error(
        "failed to verify archive: computed digest doesn't match provided '{announced}' (check whether file size exceeds max download size)"
    )]
    Mismatch {
        /// What the source announced.
        announced: String,
        /// What came.
        actual: Digest,
    },
    /// The archive is broken or not allowed.
    #[error("failed to extract archive (check whether file size exceeds max download size): {0}")]
    Unpack(#[from] UnpackError),
    /// The download could not be kept.
    #[error("failed to store downloaded archive: {0}")]
    Disk(io::Error),
}

/// Downloads artifacts.
#[derive(Debug, Clone)]
pub struct Fetcher {
    client: reqwest::Client,
    options: FetchOptions,
}

/// How one try ended badly.
enum Attempt {
    Fatal(FetchError),
    Again(String),
}

impl Fetcher {
    /// A fetcher over the process's HTTP client.
    pub fn new(client: reqwest::Client, options: FetchOptions) -> Self {
        Self { client, options }
    }

    /// Downloads the artifact at `url`, checks it against `digest` and unpacks it into `dir`; links are left out.
    ///
    /// # Errors
    /// See [`FetchError`]. Nothing is unpacked unless the digest matches; when unpacking itself fails, `dir` holds
    /// part of the files.
    pub async fn fetch(
        &self,
        url: &str,
        digest: &str,
        dir: &Path,
        cancel: &CancellationToken,
    ) -> Result<Unpacked, FetchError> {
        let file = self.download(url, digest, cancel).await?;
        let (dir, limits) = (dir.to_path_buf(), self.options.limits);
        let unpacked = tokio::task::spawn_blocking(move || unpack(file, &dir, Links::Skip, &limits)).await;
        match unpacked {
            Ok(result) => Ok(result?),
            Err(error) => Err(FetchError::Disk(io::Error::other(error))),
        }
    }

    /// Downloads the artifact at `url` and rewinds it; its digest is `digest`. What is not small lies in an
    /// unnamed temporary file.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn download(
        &self,
        url: &str,
        digest: &str,
        cancel: &CancellationToken,
    ) -> Result<SpooledTempFile, FetchError> {
        if digest.is_empty() {
            return Err(FetchError::EmptyDigest);
        }
        let announced: Digest =
            digest.parse().map_err(|error| FetchError::BadDigest { text: digest.to_owned(), error })?;
        let url = self.address(url)?;
        let shown = display(&url);
        let mut last = None;
        let tries = self.tries(&url, &shown, &announced, &mut last);
        let deadline = async {
            match self.options.deadline {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let seconds = self.options.deadline.unwrap_or_default().as_secs();
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(FetchError::Cancelled),
            result = tries => return result,
            () = deadline => {}
        }
        Err(FetchError::Deadline { url: shown, seconds, last })
    }

    async fn tries(
        &self,
        url: &url::Url,
        shown: &str,
        announced: &Digest,
        last: &mut Option<String>,
    ) -> Result<SpooledTempFile, FetchError> {
        let (mut wait, longest) = self.options.wait;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let cause = match self.attempt(url, shown, announced).await {
                Ok(file) => return Ok(file),
                Err(Attempt::Fatal(error)) => return Err(error),
                Err(Attempt::Again(cause)) => cause,
            };
            if attempts > self.options.retries {
                return Err(FetchError::Exhausted { url: shown.to_owned(), attempts, cause });
            }
            tracing::debug!(url = shown, attempts, cause, again_in = ?wait, "download failed");
            *last = Some(cause);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(longest);
        }
    }

    async fn attempt(
        &self,
        url: &url::Url,
        shown: &str,
        announced: &Digest,
    ) -> Result<SpooledTempFile, Attempt> {
        let again = |error: reqwest::Error| Attempt::Again(chain(&error.without_url()));
        let response = self.client.get(url.clone()).send().await.map_err(again)?;
        let status = response.status();
        if status == reqwest::StatusCode::NOT_FOUND {
            return Err(Attempt::Fatal(FetchError::NotFound));
        }
        if status == reqwest::StatusCode::TOO_MANY_REQUESTS
            || (status.is_server_error() && status != reqwest::StatusCode::NOT_IMPLEMENTED)
        {
            return Err(Attempt::Again(format!("unexpected HTTP status {status}")));
        }
        if status != reqwest::StatusCode::OK {
            let status = status.to_string();
            return Err(Attempt::Fatal(FetchError::Status { url: shown.to_owned(), status }));
        }
        let too_large =
            || Attempt::Fatal(FetchError::TooLarge { url: shown.to_owned(), max: self.options.max_bytes });
        if response.content_length().is_some_and(|length| length > self.options.max_bytes) {
            return Err(too_large());
        }
        let disk = |error| Attempt::Fatal(FetchError::Disk(error));
        let file = SpooledTempFile::new(IN_MEMORY);
        let mut hashing = HashingWriter::new(announced.algorithm(), file);
        let mut received = 0u64;
        let mut body = response.bytes_stream();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(again)?;
            received += chunk.len() as u64;
            if received > self.options.max_bytes {
                return Err(too_large());
            }
            // One network chunk at a time into the page cache: too short to be worth a trip to the blocking pool.
            hashing.write_all(&chunk).map_err(disk)?;
        }
        let (mut file, actual, _) = hashing.finish();
        if actual != *announced {
            let announced = announced.to_string();
            return Err(Attempt::Fatal(FetchError::Mismatch { announced, actual }));
        }
        file.rewind().map_err(disk)?;
        Ok(file)
    }

    fn address(&self, text: &str) -> Result<url::Url, FetchError> {
        let mut url = url::Url::parse(text).map_err(|error| FetchError::Url(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::Url(format!("scheme '{}' is not http or https", url.scheme())));
        }
        let host = if text.contains("//source-watcher") {
            &self.options.source_watcher_host
        } else {
            &self.options.source_controller_host
        };
        if let Some(host) = host {
            let replaced = url::Url::parse(&format!("{}://{host}", url.scheme()))
                .map_err(|error| FetchError::Url(format!("'{host}': {error}")))?;
            let set = url.set_host(replaced.host_str()).is_ok() && url.set_port(replaced.port()).is_ok();
            if !set {
                return Err(FetchError::Url(format!("'{host}' is not a host")));
            }
        }
        Ok(url)
    }
}

/// A URL without user, password and query.
fn display(url: &url::Url) -> String {
    let mut url = url.clone();
    // Both only fail for URLs without a host, which cannot have credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.to_string()
}

/// An error with its causes, each once.
fn chain(error: &dyn std::error::Error) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;
    use std::io::Read;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Serves `/<n>`: fails `n` times with 503, then the content.
    async fn server() -> (String, Arc<AtomicU32>) {
        let asked = Arc::new(AtomicU32::new(0));
        let counter = asked.clone();
        let flaky = move |axum::extract::Path(failures): axum::extract::Path<u32>| async move {
            if counter.fetch_add(1, Ordering::SeqCst) < failures {
                (StatusCode::SERVICE_UNAVAILABLE, "busy")
            } else {
                (StatusCode::OK, "content")
            }
        };
        let app = Router::new()
            .route("/flaky/{failures}", get(flaky))
            .route("/forbidden", get(|| async { StatusCode::FORBIDDEN }))
            .route("/unimplemented", get(|| async { StatusCode::NOT_IMPLEMENTED }))
            .route("/hang", get(std::future::pending::<&'static str>));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (address, asked)
    }

    fn fetcher(options: FetchOptions) -> Fetcher {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Fetcher::new(reqwest::Client::builder().no_proxy().build().unwrap(), options)
    }

    fn quick() -> FetchOptions {
        FetchOptions {
            retries: 2,
            wait: (Duration::from_millis(1), Duration::from_millis(1)),
            ..FetchOptions::default()
        }
    }

    #[tokio::test]
    async fn server_errors_are_retried_and_the_content_arrives() {
        let (address, asked) = server().await;
        let digest = Algorithm::Sha512.digest("content").to_string();
        let mut file = fetcher(quick())
            .download(&format!("{address}/flaky/2"), &digest, &CancellationToken::new())
            .await
            .unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), asked.load(Ordering::SeqCst)), ("content", 3));
    }

    #[tokio::test]
    async fn every_failure_says_what_happened() {
        let (address, _) = server().await;
        let good = Algorithm::Sha256.digest("content").to_string();
        let other = Algorithm::Sha256.digest("other").to_string();
        let small = FetchOptions { max_bytes: 3, ..quick() };
        for (options, path, digest, want) in [
            (
                quick(),
                "/flaky/99",
                good.as_str(),
                "/flaky/99 giving up after 3 attempt(s): unexpected HTTP status 503",
            ),
            (quick(), "/missing", &good, "file not found"),
            (quick(), "/forbidden", &good, "/forbidden (status: 403 Forbidden)"),
            (quick(), "/unimplemented", &good, "(status: 501 Not Implemented)"),
            (quick(), "/flaky/0", "", "failed to verify archive: empty digest"),
            (quick(), "/flaky/0", "md5:0", "failed to parse digest 'md5:0'"),
            (quick(), "/flaky/0", &other, "computed digest doesn't match provided 'sha256:"),
            (small, "/flaky/0", &good, "larger than 3 bytes"),
        ] {
            let error = fetcher(options)
                .download(&format!("{address}{path}"), digest, &CancellationToken::new())
                .await
                .unwrap_err()
                .to_string();
            assert!(error.contains(want), "{error:?} has no {want:?}");
        }
    }

    #[tokio::test]
    async fn a_dead_server_is_named_without_credentials() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = fetcher(quick())
            .download(
                &format!("http://user:pa55@127.0.0.1:{port}/x?token=s3cret"),
                &Algorithm::Sha256.digest("").to_string(),
                &CancellationToken::new(),
            )
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("GET http://127.0.0.1:{port}/x giving up after 3 attempt(s)")),
            "{error}"
        );
        assert!(!error.contains("pa55") && !error.contains("s3cret"), "{error}");
    }

    #[tokio::test]
    async fn a_hanging_server_ends_with_the_deadline_or_the_shutdown() {
        let (address, _) = server().await;
        let url = format!("{address}/hang");
        let digest = Algorithm::Sha256.digest("").to_string();
        let cancel = CancellationToken::new();
        cancel.cancel();
        let error = fetcher(quick()).download(&url, &digest, &cancel).await.unwrap_err();
        assert!(matches!(error, FetchError::Cancelled));
        let options = FetchOptions { deadline: Some(Duration::from_millis(20)), ..quick() };
        let error = fetcher(options).download(&url, &digest, &CancellationToken::new()).await.unwrap_err();
        assert!(matches!(error, FetchError::Deadline { .. }), "{error}");
    }

    #[tokio::test]
    async fn the_host_can_be_replaced_for_development() {
        let (address, _) = server().await;
        let host = address.strip_prefix("http://").map(str::to_owned);
        let options = FetchOptions { source_controller_host: host, ..quick() };
        let digest = Algorithm::Blake3.digest("content").to_string();
        fetcher(options)
            .download("http://source-controller.flux-system.svc/flaky/0", &digest, &CancellationToken::new())
            .await
            .unwrap();
    }
}
