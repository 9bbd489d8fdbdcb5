//! ConfigMaps and Secrets: their keys, their size, what may change, and what the types of Secrets promise.

use base64::Engine;
use serde_json::Value;

use super::FieldError;
use super::names;
use super::rules::{IMMUTABLE, immutable, is_empty, same, text};

/// Most bytes in all values together.
const MOST: u64 = 1 << 20;

/// A ConfigMap.
pub(super) fn config_map(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    frozen(object, old, &["data", "binaryData"], out);
    for (key, _) in entries(&object["data"]) {
        config_key(key, "data", out);
        if object["binaryData"].get(key).is_some() {
            let why = "duplicate of key present in binaryData";
            out.push(FieldError::invalid(format!("data[{key}]"), key, why));
        }
    }
    for (key, _) in entries(&object["binaryData"]) {
        config_key(key, "binaryData", out);
    }
    let plain: u64 = entries(&object["data"]).map(|(_, value)| text(value).len() as u64).sum();
    if plain + decoded_size(&object["binaryData"]) > MOST {
        out.push(FieldError::too_long("", MOST));
    }
}

/// A Secret.
pub(super) fn secret(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    if let Some(old) = old {
        immutable(&object["type"], &old["type"], "type", out);
    }
    frozen(object, old, &["data"], out);
    for (key, _) in entries(&object["data"]) {
        config_key(key, "data", out);
    }
    if decoded_size(&object["data"]) > MOST {
        out.push(FieldError::too_long("data", MOST));
    }
    promised(object, out);
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Keys become file names, so not every text is one.
fn config_key(key: &str, field: &str, out: &mut Vec<FieldError>) {
    let path = format!("{field}[{key}]");
    out.extend(names::config_key(key).into_iter().map(|why| FieldError::invalid(&path, key, why)));
}

/// Bytes behind texts in base64.
fn decoded_size(values: &Value) -> u64 {
    let size = |text: &str| (text.trim_end_matches('=').len() * 3 / 4) as u64;
    entries(values).map(|(_, value)| size(text(value))).sum()
}

/// What was declared immutable stays, and stays declared so.
fn frozen(object: &Value, old: Option<&Value>, fields: &[&str], out: &mut Vec<FieldError>) {
    let Some(old) = old.filter(|old| old["immutable"] == true) else { return };
    let why = format!("{IMMUTABLE} when `immutable` is set");
    if object["immutable"] != true {
        out.push(FieldError::forbidden("immutable", &why));
    }
    for field in fields.iter().filter(|field| !same(&object[**field], &old[**field])) {
        out.push(FieldError::forbidden(*field, &why));
    }
}

/// The data that a type of Secret promises.
fn promised(object: &Value, out: &mut Vec<FieldError>) {
    let data = &object["data"];
    let (keys, any): (&[&str], bool) = match text(&object["type"]) {
        "kubernetes.io/tls" => (&["tls.crt", "tls.key"], false),
        "kubernetes.io/dockerconfigjson" => (&[".dockerconfigjson"], false),
        "kubernetes.io/dockercfg" => (&[".dockercfg"], false),
        "kubernetes.io/basic-auth" => (&["username", "password"], true),
        "kubernetes.io/ssh-auth" => (&["ssh-privatekey"], false),
        "kubernetes.io/service-account-token" => {
            let name = "kubernetes.io/service-account.name";
            if is_empty(&object["metadata"]["annotations"][name]) {
                out.push(FieldError::required(format!("metadata.annotations[{name}]"), ""));
            }
            return;
        }
        _ => return,
    };
    let is_missing = |key: &&&str| match **key {
        "ssh-privatekey" => is_empty(&data["ssh-privatekey"]),
        key => data.get(key).is_none(),
    };
    let missing: Vec<&&str> = keys.iter().filter(is_missing).collect();
    if !any || missing.len() == keys.len() {
        out.extend(missing.into_iter().map(|key| FieldError::required(format!("data[{key}]"), "")));
    }
    for key in keys.iter().filter(|key| key.starts_with(".docker")) {
        let Some(encoded) = data.get(*key) else { continue };
        let bytes = base64::engine::general_purpose::STANDARD.decode(text(encoded)).unwrap_or_default();
        if let Err(error) = serde_json::from_slice::<Value>(&bytes) {
            // The content stays out of the message; the reader's position in it says nothing of it either.
            let at = match bytes.get(error.column().saturating_sub(1)) {
                Some(byte) if byte.is_ascii_graphic() => {
                    format!("invalid character '{}' looking for beginning of value", char::from(*byte))
                }
                _ => "unexpected end of JSON input".to_owned(),
            };
            out.push(FieldError::invalid(format!("data[{key}]"), "<secret contents redacted>", at));
        }
    }
}
