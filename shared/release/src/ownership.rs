//! Whose an object is, by Helm's marks.

use serde_json::Value;
use sluice_apply::object::metadata_map;

use crate::error::ActionError;
use crate::object::{HELM, MANAGED_BY, Object, RELEASE_NAME, RELEASE_NAMESPACE};
use crate::send::Sender;
use crate::target::Target;

/// What is wrong with the marks of an object, in Helm's words; nothing if it is the release's.
pub(crate) fn fault(live: &Value, target: &Target) -> Option<String> {
    let mark = |group: &str, key: &str, wanted: &str| {
        let field = format!("{group}s");
        let is = metadata_map(live, &field).and_then(|map| map.get(key)).and_then(Value::as_str);
        match is {
            Some(is) if is == wanted => None,
            Some(is) => Some(format!(
                "{group} validation error: key {key:?} must equal {wanted:?}: current value is {is:?}"
            )),
            None => Some(format!("{group} validation error: missing key {key:?}: must be set to {wanted:?}")),
        }
    };
    let faults: Vec<_> = [
        mark("label", MANAGED_BY, HELM),
        mark("annotation", RELEASE_NAME, &target.release),
        mark("annotation", RELEASE_NAMESPACE, &target.namespace),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!faults.is_empty()).then(|| format!("invalid ownership metadata; {}", faults.join("; ")))
}

/// Refuses objects that are there and not the release's.
pub(crate) async fn check<'a>(
    sender: &Sender,
    objects: impl Iterator<Item = &'a Object>,
    target: &Target,
) -> Result<(), ActionError> {
    for object in objects.filter(|object| !object.id.name.is_empty()) {
        let id = &object.id;
        let live = sender.metadata(object).await.map_err(|error| {
            ActionError::Failed(format!("could not get information about the resource {id}: {error}"))
        })?;
        let Some(fault) = live.and_then(|live| fault(&live, target)) else { continue };
        return Err(ActionError::Failed(format!(
            "{} {:?} in namespace {:?} exists and cannot be imported into the current release: {fault}",
            id.kind, id.name, id.namespace
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_that_is_wrong_is_told() {
        let target = Target { release: "web".into(), namespace: "a".into(), storage_namespace: "s".into() };
        let object = |labels: Value, annotations: Value| json!({"metadata": {"labels": labels, "annotations": annotations}});
        let label = json!({MANAGED_BY: "Helm"});
        for (live, want) in [
            (object(label.clone(), json!({RELEASE_NAME: "web", RELEASE_NAMESPACE: "a"})), None),
            (
                object(json!({}), json!({RELEASE_NAME: "other", RELEASE_NAMESPACE: "a"})),
                Some(
                    "invalid ownership metadata; label validation error: missing key \"app.kubernetes.io/managed-by\": must be set to \"Helm\"; annotation validation error: key \"meta.helm.sh/release-name\" must equal \"web\": current value is \"other\"",
                ),
            ),
            (
                json!({"metadata": {"labels": label}}),
                Some(
                    "invalid ownership metadata; annotation validation error: missing key \"meta.helm.sh/release-name\": must be set to \"web\"; annotation validation error: missing key \"meta.helm.sh/release-namespace\": must be set to \"a\"",
                ),
            ),
        ] {
            assert_eq!(fault(&live, &target).as_deref(), want);
        }
    }
}
