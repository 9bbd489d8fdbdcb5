//! Validation of Secrets by their types.

use base64::Engine;
use serde_json::Value;

use super::FieldError;
use super::rules::{is_empty, text};

/// The data that a type of Secret promises.
pub(crate) fn secret(object: &Value, out: &mut Vec<FieldError>) {
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
    let missing: Vec<&&str> = keys.iter().filter(|key| data.get(**key).is_none()).collect();
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
            out.push(FieldError::invalid_text(format!("data[{key}]"), "<secret contents redacted>", at));
        }
    }
}
