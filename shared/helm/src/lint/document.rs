//! What lint rules read of a document.

use serde_json::{Map, Value};

use crate::{manifest, yaml};

/// The fields that rules look at; empty where a document has none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
}

/// The documents of a text, one after the other, as Kubernetes' own reader cuts them; `None` for an empty one.
pub(super) fn objects(text: &str) -> impl Iterator<Item = Result<Option<Object>, String>> + '_ {
    split(text).map(|part| {
        let value = manifest::to_value(part?)?;
        object(&value).map_err(|error| format!("error unmarshaling JSON: while decoding JSON: {error}"))
    })
}

/// Cuts at lines that begin with `---` and hold at most a comment behind it.
fn split(text: &str) -> impl Iterator<Item = Result<&str, String>> + '_ {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            if let Some(behind) = line.strip_prefix("---").filter(|_| at > 0) {
                let behind = behind.trim();
                if !behind.is_empty() && !behind.starts_with('#') {
                    return Some(Err(format!("invalid Yaml document separator: {behind}")));
                }
                rest = text.get(at + line.len()..);
                return Some(Ok(text.get(..at).unwrap_or_default()));
            }
            at += line.len();
        }
        Some(Ok(text))
    })
}

fn object(value: &Value) -> Result<Option<Object>, String> {
    let map = match value {
        Value::Null => return Ok(None),
        Value::Object(map) => map,
        other => return Err(misfit(other, "value of type rules.k8sYamlStruct")),
    };
    let mut object = Object::default();
    for (key, value) in in_order(map) {
        match key.to_ascii_lowercase().as_str() {
            "apiversion" => object.api_version = text(value, "k8sYamlStruct.apiVersion")?,
            "kind" => object.kind = text(value, "k8sYamlStruct.Kind")?,
            "metadata" => match value {
                Value::Null => {}
                Value::Object(metadata) => object.name = name(metadata)?,
                other => {
                    let field = "struct field k8sYamlStruct.Metadata of type rules.k8sYamlMetadata";
                    return Err(misfit(other, field));
                }
            },
            _ => {}
        }
    }
    Ok(Some(object))
}

fn name(metadata: &Map<String, Value>) -> Result<String, String> {
    let mut name = String::new();
    for (key, value) in in_order(metadata) {
        match key.to_ascii_lowercase().as_str() {
            "name" => name = text(value, "k8sYamlMetadata.Metadata.Name")?,
            "namespace" => {
                text(value, "k8sYamlMetadata.Metadata.Namespace")?;
            }
            _ => {}
        }
    }
    Ok(name)
}

/// Pairs in the order in which Go decodes them.
fn in_order(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut pairs: Vec<_> = map.iter().collect();
    pairs.sort_unstable_by_key(|(key, _)| key.as_bytes());
    pairs
}

fn text(value: &Value, field: &str) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::Array(_) | Value::Object(_) => {
            Err(misfit(value, &format!("struct field {field} of type string")))
        }
        simple => Ok(crate::text::go_value(simple)),
    }
}

fn misfit(value: &Value, wanted: &str) -> String {
    format!("json: cannot unmarshal {} into Go {wanted}", yaml::go_json_kind(value))
}
