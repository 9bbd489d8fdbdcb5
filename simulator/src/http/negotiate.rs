//! Content negotiation: which encoding, and which view of an object, a client accepts.

use bytes::Bytes;
use http::HeaderMap;
use http::header::ACCEPT;
use serde_json::Value;

use crate::api::ApiError;

/// How a response is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    PrettyJson,
    Yaml,
}

impl Encoding {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json | Self::PrettyJson => "application/json",
            Self::Yaml => "application/yaml",
        }
    }

    pub(crate) fn encode(self, value: &Value) -> Bytes {
        match self {
            Self::Json => Bytes::from(value.to_string()),
            Self::PrettyJson => Bytes::from(format!("{value:#}\n")),
            Self::Yaml => Bytes::from(sluice_yaml::to_string(value)),
        }
    }
}

/// Which representation of objects a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// The object itself.
    Object,
    /// `meta.k8s.io/v1` Table, for humans.
    Table,
    /// `meta.k8s.io/v1` PartialObjectMetadata (or its list).
    Metadata,
}

/// The outcome of negotiation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) encoding: Encoding,
    pub(crate) view: View,
}

impl Default for Accepted {
    fn default() -> Self {
        Self { encoding: Encoding::Json, view: View::Object }
    }
}

/// One media range of an `Accept` header.
pub(crate) struct Media<'a> {
    pub(crate) kind: &'a str,
    params: Vec<(&'a str, &'a str)>,
}

impl<'a> Media<'a> {
    pub(crate) fn param(&self, name: &str) -> Option<&'a str> {
        self.params.iter().find(|(k, _)| *k == name).map(|(_, v)| *v)
    }
}

/// The media ranges a client accepts, in its order of preference.
pub(crate) fn media(headers: &HeaderMap) -> Vec<Media<'_>> {
    let mut ranges: Vec<(f32, Media<'_>)> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|h| h.to_str().ok())
        .flat_map(|h| h.split(','))
        .filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().filter(|k| !k.is_empty())?;
            let params: Vec<_> = parts.filter_map(|p| p.split_once('=')).collect();
            let q = params.iter().find(|(k, _)| *k == "q").and_then(|(_, v)| v.parse().ok()).unwrap_or(1.0);
            (q > 0.0).then_some((q, Media { kind, params }))
        })
        .collect();
    ranges.sort_by(|a, b| b.0.total_cmp(&a.0)); // stable: the header's order among equals
    ranges.into_iter().map(|(_, m)| m).collect()
}

/// Picks the first acceptable range.
///
/// # Errors
/// 406 if the client accepts nothing that this server writes.
pub(crate) fn negotiate(headers: &HeaderMap, pretty: bool) -> Result<Accepted, ApiError> {
    let ranges = media(headers);
    let json = if pretty { Encoding::PrettyJson } else { Encoding::Json };
    if ranges.is_empty() {
        return Ok(Accepted { encoding: json, view: View::Object });
    }
    for range in &ranges {
        let encoding = match range.kind {
            "application/json" | "*/*" | "application/*" => json,
            "application/yaml" => Encoding::Yaml,
            _ => continue,
        };
        let view = match (range.param("as"), range.param("g"), range.param("v")) {
            (None, ..) => View::Object,
            (Some("Table"), Some("meta.k8s.io"), Some("v1")) => View::Table,
            (
                Some("PartialObjectMetadata" | "PartialObjectMetadataList"),
                Some("meta.k8s.io"),
                Some("v1"),
            ) => View::Metadata,
            _ => continue,
        };
        return Ok(Accepted { encoding, view });
    }
    let written = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
    if ranges.iter().any(|range| written.contains(&range.kind)) {
        return Err(ApiError::not_acceptable());
    }
    Err(ApiError::nothing_acceptable())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_first_acceptable_range_wins() {
        let table = Accepted { encoding: Encoding::Json, view: View::Table };
        let partial = Accepted { encoding: Encoding::Json, view: View::Metadata };
        for (accept, want) in [
            ("application/json", Some(Accepted::default())),
            ("*/*", Some(Accepted::default())),
            ("application/vnd.kubernetes.protobuf, application/json", Some(Accepted::default())),
            ("application/vnd.kubernetes.protobuf", None),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                Some(table),
            ),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Some(partial)),
            ("application/json;as=Table;v=v9;g=meta.k8s.io", None),
            ("application/yaml;q=0.5, application/json;q=0.9", Some(Accepted::default())),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(negotiate(&headers, false).ok(), want, "{accept}");
        }
    }
}
