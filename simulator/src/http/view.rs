//! How objects are shown: whole, as metadata only, or as rows of a table.

use bytes::Bytes;
use serde_json::{Value, json};

use super::negotiate::View;
use crate::api::columns::{self, Column};
use crate::api::{Api, Page, Resource};
use crate::storage::Stored;

/// One object in the view that the client asked for, as JSON text.
pub(crate) fn object(resource: &Resource, json: &Bytes, view: View) -> Bytes {
    let decode = || serde_json::from_slice::<Value>(json).unwrap_or_default();
    match view {
        View::Object => json.clone(),
        View::Metadata => Bytes::from(partial(&decode()).to_string()),
        View::Table => {
            let object = decode();
            let columns = columns::columns(resource);
            let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
            Bytes::from(table(&columns, metadata, vec![row(&columns, &object)], true).to_string())
        }
    }
}

/// One object within a watch; only the first row of a table stream repeats the column definitions.
pub(crate) fn watched(resource: &Resource, json: &Bytes, view: View, first: bool) -> Bytes {
    match view {
        View::Table => {
            let object = serde_json::from_slice::<Value>(json).unwrap_or_default();
            let columns = columns::columns(resource);
            let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
            Bytes::from(table(&columns, metadata, vec![row(&columns, &object)], first).to_string())
        }
        _ => self::object(resource, json, view),
    }
}

/// A page of a list, as JSON text.
pub(crate) fn list(resource: &Resource, page: &Page, view: View) -> Bytes {
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if resource.custom.is_some() && view == View::Object {
        metadata["continue"] = "".into(); // lists without a Go type leave nothing out
    }
    if let Some(token) = &page.continue_token {
        metadata["continue"] = token.as_str().into();
        if page.remaining > 0 {
            metadata["remainingItemCount"] = page.remaining.into(); // not known where selectors skip objects
        }
    }
    let (api_version, kind) = match view {
        View::Table => {
            let columns = columns::columns(resource);
            let rows = page.objects.iter().map(|stored| row(&columns, &value(resource, stored))).collect();
            return Bytes::from(table(&columns, metadata, rows, true).to_string());
        }
        View::Metadata => ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadataList"),
        View::Object => (resource.api_version(), resource.list_kind.as_str()),
    };
    // Texts are joined, and decoded only where they change: the items of built-in lists do not repeat their kind.
    let is_bare = view == View::Object && resource.custom.is_none();
    let mut text =
        format!("{{\"apiVersion\":\"{api_version}\",\"kind\":\"{kind}\",\"metadata\":{metadata},\"items\":[");
    for (index, stored) in page.objects.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        let item = object(resource, &Api::render(resource, stored), view);
        if is_bare && let Ok(Value::Object(mut map)) = serde_json::from_slice::<Value>(&item) {
            map.remove("apiVersion");
            map.remove("kind");
            text.push_str(&Value::Object(map).to_string());
        } else {
            text.push_str(&String::from_utf8_lossy(&item));
        }
    }
    text.push_str("]}");
    Bytes::from(text)
}

fn value(resource: &Resource, stored: &Stored) -> Value {
    serde_json::from_slice(&Api::render(resource, stored)).unwrap_or_default()
}

fn partial(object: &Value) -> Value {
    json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"]})
}

fn row(columns: &[Column], object: &Value) -> Value {
    let cells: Vec<Value> = columns.iter().map(|column| column.cell(object)).collect();
    json!({"cells": cells, "object": partial(object)})
}

fn table(columns: &[Column], metadata: Value, rows: Vec<Value>, definitions: bool) -> Value {
    let definitions: Vec<Value> =
        if definitions { columns.iter().map(Column::definition).collect() } else { Vec::new() };
    json!({"apiVersion": "meta.k8s.io/v1", "kind": "Table", "metadata": metadata,
           "columnDefinitions": definitions, "rows": rows})
}
