//! A call of a webhook, from its path to the objects that it wakes.

use super::targets::{self, Filters};
use super::{PREFIX, is_open, secret_name, token, verify};
use crate::context::{Context, api_error};
use crate::http::{Answer, answer, read};
use http::header::{HeaderValue, LOCATION};
use http::{HeaderMap, Request, StatusCode};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sluice_api::notification::Receiver;
use sluice_runtime::Key;
use std::sync::Arc;
use std::time::Duration;
use tracing::{error, info, warn};

/// How long the first calls after the start wait for the list of Receivers.
const SYNC: Duration = Duration::from_secs(15);
/// Longest text in an answer.
const MAX_TEXT: usize = 512;

/// Serves a call, with Flux's codes. The texts are short and tell the caller nothing that it does not know.
pub(crate) async fn handle<B>(cx: Arc<Context>, request: Request<B>) -> Answer
where
    B: hyper::body::Body<Data = bytes::Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    // With its query, so that a path with one is another path.
    let uri = parts.uri.path_and_query().map_or("", |path| path.as_str());
    if let Some(redirect) = clean(uri) {
        return redirect;
    }
    if !uri.starts_with(PREFIX) {
        return answer(StatusCode::NOT_FOUND, "404 page not found\n");
    }
    // The path is a password: a digest of it is enough to find a call again.
    let call = hex::encode(&Sha256::digest(uri.as_bytes())[..6]);
    info!(call, "handling request");
    let body = match read(body).await {
        Ok(body) => body,
        Err(answer) => return *answer,
    };
    if tokio::time::timeout(SYNC, cx.receivers.synced()).await.is_err() {
        return answer(StatusCode::INTERNAL_SERVER_ERROR, "the receivers are not known yet\n");
    }
    let at = |receiver: &Arc<Receiver>| {
        receiver.status.as_ref().and_then(|status| status.webhook_path.as_deref()) == Some(uri)
    };
    let Some(receiver) = cx.receivers.find(at) else { return answer(StatusCode::NOT_FOUND, "") };
    if !is_open(&receiver) {
        return answer(StatusCode::SERVICE_UNAVAILABLE, "the receiver is not ready\n");
    }
    let key = Key::of(receiver.as_ref());
    match serve(&cx, &receiver, &parts.headers, body).await {
        Ok(()) => answer(StatusCode::OK, ""),
        Err((status, text)) => {
            warn!(call, receiver = %key, status = status.as_u16(), error = text, "request failed");
            let text: String = text.chars().take(MAX_TEXT).collect();
            // What is wrong within the cluster is not for the outside.
            let text = if status.is_server_error() { String::new() } else { format!("{text}\n") };
            answer(status, text)
        }
    }
}

async fn serve(
    cx: &Context,
    receiver: &Receiver,
    headers: &HeaderMap,
    body: bytes::Bytes,
) -> Result<(), (StatusCode, String)> {
    let bad = |text: String| (StatusCode::BAD_REQUEST, text);
    let failed = |text: String| (StatusCode::INTERNAL_SERVER_ERROR, text);
    let key = Key::of(receiver);
    let name = secret_name(&receiver.spec);
    let api: Api<Secret> = Api::namespaced(cx.client.clone(), &key.namespace);
    let secret = api.get(name).await.map_err(|err| {
        warn!(receiver = %key, error = api_error(&err), "cannot read the secret of a receiver");
        bad("unable to validate payload: the secret of the receiver cannot be read".to_owned())
    })?;
    let token = token(&secret, &key, name)
        .map_err(|_| bad("unable to validate payload: the receiver has no token".to_owned()))?;
    let payload = verify::verify(&receiver.spec, token, headers, body)
        .map_err(|err| bad(format!("unable to validate payload: {err}")))?;
    let filters = Filters::new(receiver).map_err(failed)?;
    let request = if filters.is_empty() { json!({}) } else { parsed(headers, &payload).map_err(failed)? };
    let mut failures = Vec::new();
    for index in 0..receiver.spec.resources.len() {
        if let Err(err) = targets::request(cx, receiver, index, &filters, &request).await {
            error!(receiver = %key, resource = index, error = err, "unable to request reconciliation");
            failures.push(err);
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failed(failures.join("; "))) }
}

/// The payload as filters see it: an object, empty unless the call says that it is JSON, or is a form that holds JSON.
fn parsed(headers: &HeaderMap, payload: &[u8]) -> Result<Value, String> {
    if !matches!(
        verify::media_type(headers).as_str(),
        "application/json" | "application/x-www-form-urlencoded"
    ) {
        return Ok(json!({}));
    }
    // Bytes after the first value are ignored.
    let mut from = serde_json::Deserializer::from_slice(payload);
    match Value::deserialize(&mut from) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err("failed to parse request body as JSON: it is no object".to_owned()),
        Err(err) => Err(format!("failed to parse request body as JSON: {err}")),
    }
}

/// Where a path with repeated slashes leads, as Go's router says it.
fn clean(uri: &str) -> Option<Answer> {
    let (path, query) = uri.split_once('?').map_or((uri, None), |(path, query)| (path, Some(query)));
    if !path.contains("//") {
        return None;
    }
    let mut clean = String::with_capacity(uri.len());
    for c in path.chars() {
        if c != '/' || !clean.ends_with('/') {
            clean.push(c);
        }
    }
    if let Some(query) = query {
        clean.extend(["?", query]);
    }
    let mut response = answer(StatusCode::TEMPORARY_REDIRECT, "");
    response.headers_mut().insert(LOCATION, HeaderValue::from_str(&clean).ok()?);
    Some(response)
}
