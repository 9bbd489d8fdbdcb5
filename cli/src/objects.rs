//! What the commands read from an object, whatever its kind.

use jiff::Timestamp;
use serde_json::Value;
use sluice_apply::status;

use crate::kinds::{self, Kind};

/// The text at a JSON pointer, or nothing.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The object's name.
pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// The object's namespace.
pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// Whether reconciliation is suspended.
pub(crate) fn suspended(object: &Value) -> bool {
    object.pointer("/spec/suspend") == Some(&Value::Bool(true))
}

/// The conditions of the status.
pub(crate) fn conditions(object: &Value) -> &[Value] {
    object.pointer("/status/conditions").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The condition Ready.
pub(crate) fn ready(object: &Value) -> Option<&Value> {
    conditions(object).iter().find(|condition| condition["type"] == "Ready")
}

/// The message of the condition Ready, or nothing.
pub(crate) fn ready_message(object: &Value) -> &str {
    ready(object).map_or("", |condition| text(condition, "/message"))
}

/// Whether no controller ever writes a status for the object.
pub(crate) fn is_static(kind: &Kind, object: &Value) -> bool {
    kind == &kinds::ALERT
        || kind == &kinds::PROVIDER
        || (kind == &kinds::HELM_REPOSITORY && text(object, "/spec/type") == "oci")
}

/// The object's readiness by kstatus.
pub(crate) fn readiness(object: &Value) -> status::Status {
    status::compute(object, Timestamp::now())
}

/// What the object's last reconciliation came to, for `get`.
pub(crate) fn revision<'a>(kind: &Kind, object: &'a Value) -> &'a str {
    if kind == &kinds::KUSTOMIZATION {
        return text(object, "/status/lastAppliedRevision");
    }
    if kind == &kinds::HELM_RELEASE {
        let installed = text(object, "/status/history/0/chartVersion");
        return if installed.is_empty() { text(object, "/status/lastAttemptedRevision") } else { installed };
    }
    text(object, "/status/artifact/revision")
}

/// What to say when a reconciliation succeeded.
pub(crate) fn success_message(kind: &Kind, object: &Value) -> String {
    if kind == &kinds::KUSTOMIZATION || kind == &kinds::HELM_RELEASE {
        format!("applied revision {}", revision(kind, object))
    } else if kinds::SOURCES.contains(&kind) {
        format!("fetched revision {}", revision(kind, object))
    } else {
        format!("{} reconciliation completed", kind.kind)
    }
}

/// The source that the object names, as `(kind, namespace, name)`; the namespace is the object's own by default.
pub(crate) fn source_of<'a>(kind: &Kind, object: &'a Value) -> Option<(&'a str, &'a str, &'a str)> {
    let candidates: &[&str] = if kind == &kinds::HELM_RELEASE {
        &["/spec/chartRef", "/spec/chart/spec/sourceRef"]
    } else {
        &["/spec/sourceRef"]
    };
    let reference = candidates.iter().find_map(|pointer| object.pointer(pointer))?;
    let own = text(reference, "/namespace");
    let namespace = if own.is_empty() { namespace(object) } else { own };
    Some((text(reference, "/kind"), namespace, text(reference, "/name")))
}
