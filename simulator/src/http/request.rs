//! Reading requests: the query, and bodies in JSON or YAML within a limit.

use std::collections::HashMap;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::Value;

use super::protobuf;
use crate::api::ApiError;

/// The limit of kube-apiserver.
const MAX_BODY: usize = 3 << 20;

/// The parameters of a request.
#[derive(Debug, Default)]
pub(crate) struct Query(HashMap<String, String>);

impl Query {
    /// Reads a query string; of repeated parameters the first counts.
    pub(crate) fn read(text: Option<&str>) -> Self {
        let mut map = HashMap::new();
        for (name, value) in url::form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
            map.entry(name.into_owned()).or_insert_with(|| value.into_owned());
        }
        Self(map)
    }

    /// A parameter; empty where it is absent.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// A boolean parameter.
    pub(crate) fn is(&self, name: &str) -> bool {
        matches!(self.get(name), "true" | "1")
    }
}

/// Reads a body up to the limit.
///
/// # Errors
/// 413 beyond the limit, 400 where the connection breaks.
pub(crate) async fn body(incoming: Incoming) -> Result<Bytes, ApiError> {
    match Limited::new(incoming, MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(ApiError::too_large(MAX_BODY)),
        Err(error) => Err(ApiError::bad_request(format!("cannot read the request body: {error}"))),
    }
}

/// The media type of a body, without parameters.
pub(crate) fn content_type(headers: &HeaderMap) -> &str {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim()
}

/// Decodes a body; an empty one is `null`.
///
/// # Errors
/// 400 for anything that is not what its type says, 415 for types that this server does not read.
pub(crate) fn decode(body: &[u8], content_type: &str) -> Result<Value, ApiError> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    if content_type == "application/vnd.kubernetes.protobuf" {
        return protobuf::decode(body).map_err(|error| ApiError::bad_request(error.to_string()));
    }
    if content_type.contains("protobuf") || content_type.contains("cbor") {
        return Err(ApiError::unsupported_media_type(
            "application/json, application/yaml, application/vnd.kubernetes.protobuf",
        ));
    }
    if !content_type.contains("yaml") {
        return serde_json::from_slice(body).map_err(|error| {
            ApiError::bad_request(format!("couldn't get version/kind; json parse error: {error}"))
        });
    }
    let text =
        std::str::from_utf8(body).map_err(|_| ApiError::bad_request("the request body is not UTF-8"))?;
    sluice_yaml::from_str(text)
        .map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}")))
}

/// The field manager of a client that names none: its user agent up to the first slash.
pub(crate) fn default_manager(headers: &HeaderMap) -> String {
    let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = agent.split('/').next().unwrap_or_default();
    if name.is_empty() { "unknown".to_owned() } else { name.chars().take(128).collect() }
}
