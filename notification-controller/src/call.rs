//! One HTTP request of a delivery, and how it is sent: tried again as Flux's client does, never told with its secrets.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::Serialize;
use sluice_runtime::telemetry::chain;
use std::time::Duration;
use url::Url;

/// Tries of one request.
const TRIES: u32 = 5;
/// Delay before the second try; doubles.
const FIRST_DELAY: Duration = Duration::from_secs(2);
/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 1024 * 1024;
/// Characters of an answer that an error repeats.
const SHOWN_ANSWER: usize = 512;

/// What in an answer of status 2xx still tells a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing: the status says it all.
    Status,
    /// Slack's member `ok`, whatever the status.
    Slack,
    /// Lark's member `code`.
    Lark,
}

/// A request to a service.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) answer: Answer,
    /// Whether failures that may pass are tried again.
    pub(crate) again: bool,
}

/// Why a request was not served. Holds neither address nor headers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The service answered with a failure.
    #[error("request failed with status code {status}: {body}")]
    Status { status: u16, body: String },
    /// Its answer of success holds a failure.
    #[error("{0}")]
    Refused(String),
    /// There was no answer.
    #[error("failed to execute request: {0}")]
    Connection(String),
}

impl Call {
    /// A POST of JSON.
    pub(crate) fn json(url: Url, body: &impl Serialize) -> Result<Self, String> {
        let body = serde_json::to_vec(body).map_err(|err| format!("cannot encode the request: {err}"))?;
        Ok(Self::post(url, "application/json", body))
    }

    /// A POST of anything.
    pub(crate) fn post(url: Url, content_type: &'static str, body: Vec<u8>) -> Self {
        let headers =
            HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Self { method: Method::POST, url, headers, body, answer: Answer::Status, again: true }
    }

    /// Sets a header.
    ///
    /// # Errors
    /// A value with line breaks or other control characters; the value is not repeated.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Result<Self, String> {
        let value = HeaderValue::from_str(value).map_err(|_| {
            format!("the value of the header '{name}' holds characters that no header may hold")
        })?;
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| "a name among the headers holds characters that no name may hold".to_owned())?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// `Authorization: Bearer …`.
    pub(crate) fn bearer(self, token: &str) -> Result<Self, String> {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Basic authorization.
    pub(crate) fn basic(self, user: &str, password: &str) -> Result<Self, String> {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        self.header("authorization", &format!("Basic {encoded}"))
    }

    /// Sends until it is served, or trying again is of no use. The caller bounds the time.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) async fn send(&self, client: &reqwest::Client) -> Result<(), CallError> {
        let mut delay = FIRST_DELAY;
        let mut tries = 1;
        loop {
            let (error, wait) = match self.exchange(client).await {
                Ok((status, _, body)) if self.answer == Answer::Slack => return slack(status, &body),
                Ok((status, _, body)) if status.is_success() => return self.judge(&body),
                Ok((status, retry_after, body)) => {
                    let body = shown(&body);
                    let error = CallError::Status { status: status.as_u16(), body };
                    if !may_pass(status) {
                        return Err(error);
                    }
                    (error, retry_after)
                }
                Err(error) => (error, None),
            };
            if tries == TRIES || !self.again {
                return Err(error);
            }
            tokio::time::sleep(wait.unwrap_or(delay)).await;
            delay *= 2;
            tries += 1;
        }
    }

    /// Sends once, and returns status, body and the time after which the service wants to be asked again.
    pub(crate) async fn exchange(
        &self,
        client: &reqwest::Client,
    ) -> Result<(StatusCode, Option<Duration>, Vec<u8>), CallError> {
        let failed = |err: reqwest::Error| CallError::Connection(chain(&err.without_url()).to_string());
        let request = client
            .request(self.method.clone(), self.url.clone())
            .headers(self.headers.clone())
            .body(self.body.clone());
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let after = response.headers().get(http::header::RETRY_AFTER);
        let after = after.and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
        let after = after.filter(|_| matches!(status.as_u16(), 429 | 503));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk[..chunk.len().min(MAX_ANSWER - body.len())]);
            if body.len() == MAX_ANSWER {
                break;
            }
        }
        Ok((status, after, body))
    }

    fn judge(&self, body: &[u8]) -> Result<(), CallError> {
        if self.answer != Answer::Lark {
            return Ok(());
        }
        let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        match answer["code"].as_i64() {
            None | Some(0) => Ok(()),
            Some(code) => {
                let text = answer["msg"].as_str().unwrap_or_default();
                Err(CallError::Refused(format!(
                    "Lark responded with code {code}: {}",
                    shown(text.as_bytes())
                )))
            }
        }
    }
}

fn slack(status: StatusCode, body: &[u8]) -> Result<(), CallError> {
    let answer: serde_json::Value = serde_json::from_slice(body).map_err(|err| {
        CallError::Refused(format!("unable to unmarshal response body of status {}: {err}", status.as_u16()))
    })?;
    match answer["ok"].as_bool() {
        Some(true) => Ok(()),
        _ => {
            let error = shown(answer["error"].as_str().unwrap_or_default().as_bytes());
            Err(CallError::Refused(format!("Slack responded with error: {error}")))
        }
    }
}

/// Whether the same request may be served later.
fn may_pass(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS
        || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
}

/// The beginning of an answer, on one line.
pub(crate) fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.trim().chars().take(SHOWN_ANSWER).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
