//! Reading requests: the query, and bodies in JSON or YAML within a limit.

use std::collections::HashMap;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Map, Value};

use super::{json, protobuf};
use crate::api::{ApiError, PatchType};

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

/// What an object is sent as.
const OBJECT_TYPES: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// A body that was read.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) value: Value,
    /// The paths of fields that it has twice.
    pub(crate) duplicates: Vec<String>,
}

impl From<Value> for Decoded {
    fn from(value: Value) -> Self {
        Self { value, duplicates: Vec::new() }
    }
}

/// Reads an object; `kind` is what is expected.
///
/// # Errors
/// 400 for anything that is no object, 415 for types that this server does not read.
pub(crate) fn object(body: &[u8], content_type: &str, kind: &str, custom: bool) -> Result<Decoded, ApiError> {
    let unrecognized = |why: &str| {
        let body = summary(body);
        ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): {why} ({body})"
        ))
    };
    let decoded = match content_type {
        "application/vnd.kubernetes.protobuf" => {
            protobuf::decode(body).map_err(|error| ApiError::bad_request(error.to_string()))?.into()
        }
        "" | "application/json" => {
            let read = json::read(body).map_err(|error| {
                unrecognized(&format!("couldn't get version/kind; json parse error: {error}"))
            })?;
            Decoded { value: read.value, duplicates: read.duplicates }
        }
        "application/yaml" => {
            let text = std::str::from_utf8(body).map_err(|_| unrecognized("yaml: invalid UTF-8"))?;
            let value: Value =
                sluice_yaml::from_str(text).map_err(|error| unrecognized(&error.to_string()))?;
            value.into()
        }
        _ => return Err(ApiError::unsupported_media_type(OBJECT_TYPES)),
    };
    match decoded.value {
        Value::Null => Ok(Value::Object(Map::new()).into()),
        Value::Object(ref map) if custom && !map.contains_key("kind") => {
            let text = String::from_utf8_lossy(body);
            Err(unrecognized(&format!("Object 'Kind' is missing in '{text}'")))
        }
        Value::Object(_) => Ok(decoded),
        other => {
            let found = json::type_name(&other);
            let fields = r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;
            Err(unrecognized(&format!(
                "couldn't get version/kind; json parse error: json: cannot unmarshal {found} into Go value of type {fields}"
            )))
        }
    }
}

/// Reads a patch.
///
/// # Errors
/// 400 for anything that is no patch of the type.
pub(crate) fn patch(body: &[u8], kind: PatchType) -> Result<Decoded, ApiError> {
    // What decodes a strategic patch does not say that it does.
    let prefix = if kind == PatchType::Strategic { "" } else { "error decoding patch: " };
    if kind == PatchType::Apply {
        let refuse = |error: &dyn std::fmt::Display| {
            ApiError::bad_request(format!("error decoding YAML: error converting YAML to JSON: {error}"))
        };
        let text = std::str::from_utf8(body).map_err(|_| refuse(&"yaml: invalid UTF-8"))?;
        let value: Value = sluice_yaml::from_str(text).map_err(|error| refuse(&error))?;
        return Ok(value.into());
    }
    let read = json::read(body).map_err(|error| ApiError::bad_request(format!("{prefix}{error}")))?;
    let (fits, wanted) = match kind {
        PatchType::Json => (read.value.is_array(), "[]handlers.jsonPatchOp"),
        _ => (read.value.is_object(), "map[string]interface {}"),
    };
    if !fits && !read.value.is_null() {
        let found = json::type_name(&read.value);
        let why = format!("{prefix}json: cannot unmarshal {found} into Go value of type {wanted}");
        return Err(ApiError::bad_request(why));
    }
    let value = match (read.value, kind) {
        (Value::Null, PatchType::Json) => Value::Array(Vec::new()),
        (Value::Null, _) => Value::Object(Map::new()),
        (value, _) => value,
    };
    Ok(Decoded { value, duplicates: read.duplicates })
}

/// Reads the options in the body of a deletion; an empty one is `null`.
///
/// # Errors
/// 400 for anything that is not JSON or YAML.
pub(crate) fn options(body: &[u8], content_type: &str) -> Result<Value, ApiError> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    Ok(object(body, content_type, "DeleteOptions", false)?.value)
}

/// The beginning of a body, as messages show it.
fn summary(body: &[u8]) -> String {
    const SHOWN: usize = 30;
    let (shown, more) = match body.get(..SHOWN).filter(|_| body.len() > SHOWN) {
        Some(shown) => (shown, " ..."),
        None => (body, ""),
    };
    match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(shown)),
        Some(_) => format!("{}{more}", hex::encode(shown)),
    }
}

/// The field manager of a client that names none: its user agent up to the first slash.
pub(crate) fn default_manager(headers: &HeaderMap) -> String {
    let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = agent.split('/').next().unwrap_or_default();
    if name.is_empty() { "unknown".to_owned() } else { name.chars().take(128).collect() }
}
