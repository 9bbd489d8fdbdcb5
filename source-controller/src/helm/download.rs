//! Downloads of indexes and charts over HTTP, bounded in size.

use reqwest::header::{
    ETAG, HeaderMap, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, USER_AGENT as AGENT,
};
use std::time::Duration;

use reqwest::{Response, StatusCode};
use url::{Origin, Url};

use crate::suspects::Trouble;

/// Why a download failed. Addresses are shown without their query, which may hold a token.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownloadError {
    /// The server could not be reached, or broke off.
    #[error("failed to fetch {url}: {text}")]
    Transport { url: String, text: String },
    /// The server answered with an error.
    #[error("failed to fetch {url} : {status}")]
    Status { url: String, status: StatusCode },
    /// It took longer than the repository's `spec.timeout`.
    #[error("no answer within the timeout of {}", sluice_api::meta::Duration::format(*.0))]
    Timeout(Duration),
    /// The process ends.
    #[error("the controller is shutting down")]
    Shutdown,
    /// The answer is longer than allowed.
    #[error("{what} exceeds the maximum {what} file size of {limit} bytes")]
    TooLarge { what: &'static str, limit: u64 },
}

impl Trouble for DownloadError {
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

impl DownloadError {
    /// Whether another login might help.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status == StatusCode::UNAUTHORIZED,
            Self::Transport { text, .. } => text.contains("certificate"),
            _ => false,
        }
    }
}

/// A user and a password, and for whom they are.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
    /// The one scheme and host that gets them; `None` for any.
    pub(super) only_for: Option<Origin>,
}

/// A client with what it logs in with.
#[derive(Clone)]
pub(super) struct Download {
    pub(super) http: reqwest::Client,
    pub(super) login: Option<Login>,
}

/// What tells a server which version of a file is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Validators {
    etag: Option<String>,
    modified: Option<String>,
}

impl Validators {
    fn of(headers: &HeaderMap) -> Self {
        let text =
            |name| headers.get(name).and_then(|value: &reqwest::header::HeaderValue| value.to_str().ok());
        Self { etag: text(ETAG).map(str::to_owned), modified: text(LAST_MODIFIED).map(str::to_owned) }
    }
}

/// A file, or that it is the known one.
pub(super) enum Fetched {
    /// The server says that the known version is the newest.
    Unchanged,
    /// The content.
    New(Vec<u8>, Validators),
}

impl Download {
    /// Fetches a file of at most `limit` bytes, unless it is the `known` one. `what` is what the file is, for errors.
    pub(super) async fn get(
        &self,
        url: &Url,
        known: Option<&Validators>,
        what: &'static str,
        limit: u64,
    ) -> Result<Fetched, DownloadError> {
        let mut request = self.http.get(url.clone()).header(AGENT, super::USER_AGENT);
        if let Some(login) = &self.login
            && login.only_for.as_ref().is_none_or(|origin| *origin == url.origin())
        {
            request = request.basic_auth(&login.user, Some(&login.password));
        }
        let validators = known.cloned().unwrap_or_default();
        for (name, value) in [(IF_NONE_MATCH, validators.etag), (IF_MODIFIED_SINCE, validators.modified)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let broken =
            |error: reqwest::Error| DownloadError::Transport { url: shown(url), text: causes(error) };
        let response = request.send().await.map_err(broken)?;
        match response.status() {
            StatusCode::NOT_MODIFIED if known.is_some() => return Ok(Fetched::Unchanged),
            status if !status.is_success() => return Err(DownloadError::Status { url: shown(url), status }),
            _ => {}
        }
        let validators = Validators::of(response.headers());
        Ok(Fetched::New(body(response, url, what, limit).await?, validators))
    }
}

/// Reads an answer, and stops at the limit whatever its length was said to be.
async fn body(
    mut response: Response,
    url: &Url,
    what: &'static str,
    limit: u64,
) -> Result<Vec<u8>, DownloadError> {
    let too_large = || DownloadError::TooLarge { what, limit };
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    loop {
        let chunk = response.chunk().await;
        let chunk =
            chunk.map_err(|error| DownloadError::Transport { url: shown(url), text: causes(error) })?;
        let Some(chunk) = chunk else { return Ok(bytes) };
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
}

fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.into()
}

/// The error and what caused it, without the address.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
