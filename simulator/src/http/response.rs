//! Building responses: bodies, status objects, encodings.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WARNING};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use super::negotiate::Encoding;
use crate::api::ApiError;

/// A body of known length or a stream.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A complete body.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// A response with a body in JSON already.
pub(crate) fn json_bytes(code: u16, bytes: Bytes, content_type: &str) -> Response<Body> {
    let mut response = Response::new(full(bytes));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    if let Ok(value) = HeaderValue::from_str(content_type) {
        headers.insert(CONTENT_TYPE, value);
    }
    response
}

/// A response in the encoding that the client asked for.
pub(crate) fn value(code: u16, value: &Value, encoding: Encoding) -> Response<Body> {
    json_bytes(code, encoding.encode(value), encoding.content_type())
}

/// A response from an object's JSON text, re-encoded only if the client wants something else.
pub(crate) fn object(code: u16, json: Bytes, encoding: Encoding) -> Response<Body> {
    match encoding {
        Encoding::Json => json_bytes(code, json, encoding.content_type()),
        _ => match serde_json::from_slice::<Value>(&json) {
            Ok(v) => value(code, &v, encoding),
            Err(error) => status(&ApiError::internal(error), encoding),
        },
    }
}

/// A refusal.
pub(crate) fn status(error: &ApiError, encoding: Encoding) -> Response<Body> {
    let mut response = value(error.code(), &error.to_value(), encoding);
    if matches!(error.code(), 429 | 504) {
        response.headers_mut().insert("Retry-After", HeaderValue::from_static("1"));
    }
    response
}

/// Plain text.
pub(crate) fn text(code: u16, text: impl Into<Bytes>) -> Response<Body> {
    json_bytes(code, text.into(), "text/plain; charset=utf-8")
}

/// Adds `Warning` headers (RFC 7234, code 299) as kube-apiserver writes them.
pub(crate) fn with_warnings(mut response: Response<Body>, warnings: &[String]) -> Response<Body> {
    for warning in warnings {
        let escaped: String = warning
            .chars()
            .filter(|c| !c.is_control())
            .flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c]))
            .collect();
        if let Ok(header) = HeaderValue::from_str(&format!("299 - \"{escaped}\"")) {
            response.headers_mut().append(WARNING, header);
        }
    }
    response
}
