//! A stand-in for the API server: a function from requests to answers.

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use std::sync::Arc;

/// A request as a handler sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// The body, null if there is none.
    pub(crate) body: Value,
}

/// A client whose requests are answered by `answer`: with a status code and a body, or never.
pub(crate) fn client(answer: impl Fn(Seen) -> Option<(u16, Value)> + Send + Sync + 'static) -> Client {
    let answer = Arc::new(answer);
    let service = tower::service_fn(move |request: Request<Body>| {
        let answer = answer.clone();
        async move {
            let (parts, body) = request.into_parts();
            let bytes = body.collect_bytes().await?;
            let seen = Seen {
                method: parts.method.to_string(),
                path: parts.uri.to_string(),
                body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            };
            let Some((code, value)) = answer(seen) else { return std::future::pending().await };
            let body = Body::from(serde_json::to_vec(&value).unwrap());
            Ok::<_, kube::Error>(Response::builder().status(code).body(body).unwrap())
        }
    });
    Client::new(service, "default")
}

/// The API server's answer to a failure.
pub(crate) fn failure(code: u16, reason: &str) -> (u16, Value) {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("{reason} happened"), "reason": reason, "code": code,
    });
    (code, body)
}
