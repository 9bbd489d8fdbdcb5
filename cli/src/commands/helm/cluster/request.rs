//! Requests that block, and what Go's client says where they fail.

use std::time::Duration;

use kube::Client;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::Cluster;
use super::apis::Served;
use crate::failure::chain;

/// Nobody listens at the address.
const REFUSED: &str = "connect: connection refused";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    /// The API server refuses.
    #[error("{}", text(.0))]
    Refused(Box<kube::core::Status>),
    /// No usable answer came.
    #[error("{0}")]
    Transport(String),
}

impl RequestError {
    /// Whether the object, or the path, is not there.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code == 404)
    }

    /// The text with the address, where no answer came.
    pub(super) fn at(&self, url: &http::Uri) -> String {
        match self {
            Self::Refused(_) => self.to_string(),
            Self::Transport(problem) if problem == REFUSED => {
                let host = url.host().unwrap_or_default().replace("localhost", "127.0.0.1");
                let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("http") { 80 } else { 443 });
                format!("Get \"{url}\": dial tcp {host}:{port}: {problem}")
            }
            Self::Transport(problem) => format!("Get \"{url}\": {problem}"),
        }
    }
}

impl From<kube::Error> for RequestError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused(status),
            other => Self::Transport(transport(&other)),
        }
    }
}

/// The text of a status; where the server's says less, the one of Go's client.
fn text(status: &kube::core::Status) -> String {
    match status.code {
        401 => "the server has asked for the client to provide credentials".to_owned(),
        404 if status.details.as_ref().is_none_or(|details| details.name.is_empty()) => {
            "the server could not find the requested resource".to_owned()
        }
        405 => "the server does not allow this method on the requested resource".to_owned(),
        code if status.message.is_empty() => format!("the server answered with status {code}"),
        _ => status.message.trim_end().to_owned(),
    }
}

/// A failure to connect, in the words of Go where it has its own.
fn transport(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused) {
            return REFUSED.to_owned();
        }
        if error.to_string().ends_with("UnknownIssuer") {
            return "tls: failed to verify certificate: x509: certificate signed by unknown authority"
                .to_owned();
        }
        cause = error.source();
    }
    chain(error)
}

/// Waits for the answer, but not for ever.
pub(super) fn within<T, E: Into<RequestError>>(
    runtime: &Runtime,
    patience: Duration,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, RequestError> {
    runtime.block_on(async {
        match tokio::time::timeout(patience, answer).await {
            Ok(answer) => answer.map_err(Into::into),
            Err(_) => Err(RequestError::Transport("context deadline exceeded".to_owned())),
        }
    })
}

impl Cluster {
    /// Reads an object, or the list of all where `name` is empty; an empty namespace is all of them.
    ///
    /// # Errors
    /// Also for names that cannot be part of a path: nothing is sent then.
    pub(super) fn get(&self, kind: &Served, namespace: &str, name: &str) -> Result<Value, RequestError> {
        let namespace = if kind.namespaced { namespace } else { "" };
        segment("namespace", namespace)?;
        segment("resource name", name)?;
        within(&self.runtime, self.patience, get(&self.client, &kind.path(namespace, name)))
    }
}

async fn get(client: &Client, path: &str) -> Result<Value, RequestError> {
    let request = http::Request::get(path).body(Vec::new());
    let request =
        request.map_err(|error| RequestError::Transport(format!("cannot ask for {path}: {error}")))?;
    Ok(client.request(request).await?)
}

/// Refuses what the API server would take for another path.
fn segment(what: &str, text: &str) -> Result<(), RequestError> {
    let problems: Vec<String> = match text {
        "." | ".." => vec![format!("may not be '{text}'")],
        _ => ['/', '%']
            .iter()
            .filter(|c| text.contains(**c))
            .map(|c| format!("may not contain '{c}'"))
            .collect(),
    };
    if problems.is_empty() {
        return Ok(());
    }
    let text = sluice_gotemplate::fmt::quoted(text.as_bytes());
    Err(RequestError::Transport(format!("invalid {what} {text}: [{}]", problems.join(" "))))
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn names_that_lead_elsewhere_are_not_sent() {
        for (name, want) in [
            ("web", None),
            ("", None),
            ("a?b#c", None), // encoded in the path
            ("a/b", Some("invalid resource name \"a/b\": [may not contain '/']")),
            ("a%2f/", Some("invalid resource name \"a%2f/\": [may not contain '/' may not contain '%']")),
            ("..", Some("invalid resource name \"..\": [may not be '..']")),
        ] {
            let got = segment("resource name", name).err().map(|error| error.to_string());
            assert_eq!(got.as_deref(), want, "{name}");
        }
    }
}
