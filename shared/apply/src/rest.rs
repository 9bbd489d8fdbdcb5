//! The few requests that this crate sends, on plain JSON objects, each with a deadline and an error in one line.

use std::time::Duration;

use http::{Method, Request, header};
use kube::core::Status;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::discovery::Resource;

/// No answer within this time counts as a failure of the request.
const DEADLINE: Duration = Duration::from_secs(60);
/// Accept header for an object without spec and status.
pub const METADATA: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;q=0.9";
/// Accept header for a list of such objects.
pub const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;q=0.9";

/// Why a request failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RequestError {
    /// The API server answered with a failure.
    #[error("{}", status_text(.0))]
    Api(Box<Status>),
    /// No usable answer.
    #[error("{0}")]
    Transport(String),
}

fn status_text(status: &Status) -> String {
    if is_not_served(status) {
        "the server could not find the requested resource".to_owned()
    } else if status.message.is_empty() {
        format!("the server answered with status {} {}", status.code, status.reason)
    } else {
        status.message.trim_end().to_owned()
    }
}

fn is_not_served(status: &Status) -> bool {
    status.code == 404 && status.details.as_ref().is_none_or(|d| d.name.is_empty())
}

impl RequestError {
    /// The status that the API server answered with.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Api(status) => Some(status),
            Self::Transport(_) => None,
        }
    }

    /// HTTP status, 0 when there was no answer.
    pub fn code(&self) -> u16 {
        self.status().map_or(0, |s| s.code)
    }

    /// The object, or something that it needs, is not there.
    pub fn is_not_found(&self) -> bool {
        self.code() == 404
    }

    /// The path itself is unknown: the kind is not (or no longer, or not yet) served.
    pub fn kind_not_served(&self) -> bool {
        self.status().is_some_and(is_not_served)
    }

    /// The reason as Flux prints it in `dry-run failed (<reason>)`.
    pub fn reason(&self) -> String {
        let Some(status) = self.status() else { return String::new() };
        let field_conflict = status
            .details
            .as_ref()
            .is_some_and(|d| d.causes.iter().any(|c| c.reason == "FieldManagerConflict"));
        if field_conflict {
            "FieldManagerConflict".to_owned()
        } else if status.reason.contains(' ') {
            String::new() // not from the API server: the client's word for an answer that is no Status
        } else {
            status.reason.clone()
        }
    }
}

impl From<kube::Error> for RequestError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Api(status),
            kube::Error::Service(cause) => Self::Transport(chain(&*cause)),
            other => Self::Transport(chain(&other)),
        }
    }
}

/// An error with its causes, each of them once.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// Sends a request and reads a JSON answer.
///
/// # Errors
/// [`RequestError`], without an answer within the deadline, too.
pub async fn send<T: DeserializeOwned>(
    client: &kube::Client,
    request: Request<Vec<u8>>,
) -> Result<T, RequestError> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let text = tokio::time::timeout(DEADLINE, client.request_text(request)).await.map_err(|_| {
        RequestError::Transport(format!("{method} {path}: no answer within {} seconds", DEADLINE.as_secs()))
    })??;
    serde_json::from_str(&text).map_err(|error| {
        RequestError::Transport(format!("{method} {path}: the answer is not valid: {error}"))
    })
}

/// Sends a request and reads a JSON answer, and whether it created something (status 201).
///
/// # Errors
/// As [`send`].
pub async fn send_creating(
    client: &kube::Client,
    request: Request<Vec<u8>>,
) -> Result<(Value, bool), RequestError> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let failed = |what: String| RequestError::Transport(format!("{method} {path}: {what}"));
    let exchange = async {
        let answer = client.send(request.map(kube::client::Body::from)).await?;
        let code = answer.status();
        let body = answer.into_body().collect_bytes().await?;
        Ok::<_, RequestError>((code, body))
    };
    let (code, body) = tokio::time::timeout(DEADLINE, exchange)
        .await
        .map_err(|_| failed(format!("no answer within {} seconds", DEADLINE.as_secs())))??;
    if code.is_success() {
        let object = serde_json::from_slice(&body)
            .map_err(|error| failed(format!("the answer is not valid: {error}")))?;
        return Ok((object, code == http::StatusCode::CREATED));
    }
    let status = serde_json::from_slice::<Status>(&body);
    let status = status.unwrap_or_else(|_| Status::failure(&String::from_utf8_lossy(&body), ""));
    Err(RequestError::Api(Box::new(Status { code: code.as_u16(), ..status })))
}

/// Builds a request.
///
/// # Errors
/// An address that is none.
pub fn request(
    method: Method,
    uri: &str,
    content_type: &str,
    accept: &str,
    body: Vec<u8>,
) -> Result<Request<Vec<u8>>, RequestError> {
    Request::builder()
        .method(method)
        .uri(uri)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::ACCEPT, accept)
        .body(body)
        .map_err(|error| RequestError::Transport(format!("cannot address {uri}: {error}")))
}

/// Media type of plain objects.
pub const JSON: &str = "application/json";

/// Reads an object.
///
/// # Errors
/// [`RequestError`].
pub async fn get(client: &kube::Client, path: &str) -> Result<Value, RequestError> {
    send(client, request(Method::GET, path, JSON, JSON, Vec::new())?).await
}

/// Reads the metadata of an object.
///
/// # Errors
/// [`RequestError`].
pub async fn get_metadata(client: &kube::Client, path: &str) -> Result<Value, RequestError> {
    send(client, request(Method::GET, path, JSON, METADATA, Vec::new())?).await
}

/// How an object is applied.
pub struct Apply<'a> {
    /// In whose name.
    pub field_manager: &'a str,
    /// Whether nothing is stored.
    pub dry_run: bool,
}

/// Applies an object on the server's side, with force.
///
/// # Errors
/// [`RequestError`].
pub async fn apply(
    client: &kube::Client,
    path: &str,
    how: &Apply<'_>,
    body: &Value,
) -> Result<Value, RequestError> {
    let dry_run = if how.dry_run { "&dryRun=All" } else { "" };
    let uri = format!("{path}?fieldManager={}&force=true{dry_run}", encode(how.field_manager));
    let body = serde_json::to_vec(body)
        .map_err(|e| RequestError::Transport(format!("cannot write the object as JSON: {e}")))?;
    send(client, request(Method::PATCH, &uri, "application/apply-patch+yaml", JSON, body)?).await
}

/// Asks whether an object could be created, without creating it.
///
/// # Errors
/// [`RequestError`].
pub async fn try_create(
    client: &kube::Client,
    collection: &str,
    field_manager: &str,
    body: &Value,
) -> Result<Value, RequestError> {
    let uri = format!("{collection}?fieldManager={}&dryRun=All", encode(field_manager));
    let body = serde_json::to_vec(body)
        .map_err(|e| RequestError::Transport(format!("cannot write the object as JSON: {e}")))?;
    send(client, request(Method::POST, &uri, JSON, JSON, body)?).await
}

/// Changes an object by a JSON patch.
///
/// # Errors
/// [`RequestError`].
pub async fn json_patch(
    client: &kube::Client,
    path: &str,
    field_manager: &str,
    patch: &Value,
) -> Result<Value, RequestError> {
    let uri = format!("{path}?fieldManager={}", encode(field_manager));
    let body = serde_json::to_vec(patch)
        .map_err(|e| RequestError::Transport(format!("cannot write the patch as JSON: {e}")))?;
    send(client, request(Method::PATCH, &uri, "application/json-patch+json", JSON, body)?).await
}

/// Deletes an object; its dependents follow in the background.
///
/// # Errors
/// [`RequestError`].
pub async fn delete(client: &kube::Client, path: &str) -> Result<(), RequestError> {
    let body = br#"{"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Background"}"#.to_vec();
    send::<Value>(client, request(Method::DELETE, path, JSON, JSON, body)?).await.map(drop)
}

impl Resource {
    /// The path of a collection; without a namespace the one of all namespaces.
    pub fn collection(&self, namespace: &str) -> String {
        let mut path = match self.group.is_empty() {
            true => format!("/api/{}", encode(&self.version)),
            false => format!("/apis/{}/{}", encode(&self.group), encode(&self.version)),
        };
        if self.namespaced && !namespace.is_empty() {
            path.push_str("/namespaces/");
            path.push_str(&encode(namespace));
        }
        path.push('/');
        path.push_str(&encode(&self.plural));
        path
    }

    /// The path of an object.
    pub fn path(&self, namespace: &str, name: &str) -> String {
        format!("{}/{}", self.collection(namespace), encode(name))
    }
}

/// Percent-encodes one segment of a path or a query value, so that no name can lead elsewhere.
pub fn encode(segment: &str) -> String {
    if segment == "." || segment == ".." {
        return segment.replace('.', "%2E");
    }
    let mut out = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                out.push(char::from(byte))
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_segment() {
        let pods = Resource {
            group: String::new(),
            version: "v1".into(),
            kind: "Pod".into(),
            plural: "pods".into(),
            namespaced: true,
        };
        for (namespace, name, want) in [
            ("a", "web", "/api/v1/namespaces/a/pods/web"),
            ("", "web", "/api/v1/pods/web"),
            ("a/../b", "..", "/api/v1/namespaces/a%2F..%2Fb/pods/%2E%2E"),
            ("a", "x?dryRun=All#y", "/api/v1/namespaces/a/pods/x%3FdryRun%3DAll%23y"),
            ("a", "system:node", "/api/v1/namespaces/a/pods/system:node"),
        ] {
            assert_eq!(pods.path(namespace, name), want);
        }
    }

    #[test]
    fn causes_are_printed_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer: {0}")]
        struct Outer(#[source] std::io::Error);
        assert_eq!(chain(&Outer(std::io::Error::other("inner"))), "outer: inner");
    }
}
