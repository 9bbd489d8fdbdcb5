//! Values: what the user gives, and how it is laid over the charts' defaults.
//!
//! Everywhere in this crate values are [`serde_json`] values in which the kind of a number says where it comes from:
//! numbers of YAML and JSON are floats, integral or not; integers come only from `--set`.

use serde_json::{Map, Value};
use sluice_yaml::Notice;

use crate::yaml;

pub(crate) mod coalesce;
mod set;
mod sources;

pub(crate) use sources::advice;
pub use sources::{Sources, ValuesError};

/// Reads every document of a values file and merges them, later ones over earlier ones.
///
/// # Errors
/// Helm's text for what is not YAML or no map.
pub fn read_documents(text: &[u8]) -> Result<Map<String, Value>, String> {
    read_documents_noting(text, &mut Vec::new())
}

/// As [`read_documents`]; `notices` gets what is accepted, and yet seldom meant. Lines count from the beginning of the
/// text.
///
/// # Errors
/// As [`read_documents`].
pub fn read_documents_noting(text: &[u8], notices: &mut Vec<Notice>) -> Result<Map<String, Value>, String> {
    let mut values = Map::new();
    for document in documents(text)? {
        let before = notices.len();
        let map = yaml::map_noting(document, notices)
            .map_err(|error| format!("cannot unmarshal yaml document: {error}"))?;
        if let Some(new) = notices.get_mut(before..).filter(|new| !new.is_empty()) {
            let above = document.as_ptr().addr() - text.as_ptr().addr();
            let above = text.iter().take(above).filter(|b| **b == b'\n').count();
            new.iter_mut().for_each(|notice| notice.below(above));
        }
        if values.is_empty() {
            values = map;
        } else {
            merge(&mut values, map);
        }
    }
    Ok(values)
}

/// Reads the first document of a text as values.
///
/// # Errors
/// Helm's text for what is not YAML or no map.
pub fn read(text: &[u8]) -> Result<Map<String, Value>, String> {
    yaml::map(text)
}

/// Makes values of parsed JSON: every number becomes a float.
pub fn from_json(value: &mut Value) {
    yaml::to_floats(value);
}

/// Sets what an argument of `--set` says, or with `text` one of `--set-string`.
///
/// # Errors
/// Helm's text. What was read before the error is set.
pub fn assign(values: &mut Map<String, Value>, argument: &str, text: bool) -> Result<(), String> {
    set::parse(argument, values, if text { set::Kind::Text } else { set::Kind::Typed })
}

/// Lays `over` on top of `base`: maps are merged, everything else is replaced, `null` included.
pub fn merge(base: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => merge(below, above),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Cuts a text at lines that begin with `---`.
fn documents(text: &[u8]) -> Result<Vec<&[u8]>, String> {
    let mut documents = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive(|b| *b == b'\n') {
        if let Some(rest) = line.strip_prefix(b"---") {
            let rest = rest.trim_ascii();
            if !rest.is_empty() && !rest.starts_with(b"#") {
                let rest = String::from_utf8_lossy(rest);
                return Err(format!("error reading yaml document: invalid Yaml document separator: {rest}"));
            }
            // A separator with nothing before it belongs to the document that it begins.
            if at > start {
                documents.push(&text[start..at]);
                start = at + line.len();
            }
        }
        at += line.len();
    }
    if at > start {
        documents.push(&text[start..at]);
    }
    Ok(documents)
}

/// The JSON value that a text begins with, and the number of bytes that it takes.
fn json_prefix(text: &str) -> Result<(Value, usize), String> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match stream.next() {
        Some(Ok(mut value)) => {
            yaml::to_floats(&mut value);
            Ok((value, stream.byte_offset()))
        }
        Some(Err(error)) => Err(error.to_string()),
        None => Err("unexpected end of JSON input".into()),
    }
}
