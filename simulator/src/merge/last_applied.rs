//! What kube-apiserver does for kubectl's move from client-side to server-side apply: fields that an object has as its
//! last-applied annotation says are no conflicts for the manager `kubectl`, and the annotation follows what it applies.

use serde_json::Value;

use super::fields::Set;
use super::managed::{ApplyError, Manager, conflicts_besides, merge_applied};
use super::typed::{self, Type};
use crate::schema::Schema;

const KUBECTL: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// All annotations of an object together may have so many bytes.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// Applies a configuration to `live` (`None`: the object is created) and gives the new object.
///
/// Defaults and validation come after, as on the real server. The time of the manager's entry moves only when something
/// changed.
///
/// # Errors
/// [`ApplyError`], each with the status that it becomes.
pub(crate) fn apply(
    schema: Option<&Schema>,
    live: Option<&Value>,
    applied: &Value,
    manager: &Manager<'_>,
    force: bool,
) -> Result<Value, ApplyError> {
    if manager.name != KUBECTL {
        return merge_applied(schema, live, applied, manager, force);
    }
    let mut new = match merge_applied(schema, live, applied, manager, force) {
        Err(ApplyError::Conflicts { fields, .. }) => {
            let allowed =
                live.map(|live| as_last_applied(schema.map(Schema::view), live)).unwrap_or_default();
            if let Some(conflicts) = conflicts_besides(fields, &allowed) {
                return Err(conflicts);
            }
            merge_applied(schema, live, applied, manager, true)?
        }
        outcome => outcome?,
    };
    let annotations = &mut new["metadata"]["annotations"];
    if annotations[ANNOTATION].is_string() {
        let mut applied = applied.clone();
        if let Some(metadata) = applied["metadata"].as_object_mut() {
            metadata.remove("managedFields");
            if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
                annotations.remove(ANNOTATION);
            }
        }
        let text = format!("{applied}\n");
        annotations[ANNOTATION] = if text.len() > MAX_ANNOTATIONS { "".into() } else { text.into() };
    }
    Ok(new)
}

/// The fields that an object has with the values that its annotation gives them.
fn as_last_applied(ty: Type<'_>, live: &Value) -> Set {
    let annotation = live["metadata"]["annotations"][ANNOTATION].as_str();
    let Some(last) = annotation.and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return Set::default();
    };
    if !last.is_object() || !typed::misfits(ty, &last).is_empty() {
        return Set::default();
    }
    let difference = typed::compare(ty, &last, live);
    typed::field_set(ty, &last)
        .difference(&difference.modified)
        .difference(&difference.added)
        .difference(&difference.removed)
}
