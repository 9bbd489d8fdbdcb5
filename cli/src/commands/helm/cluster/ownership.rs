//! Whether an object that is there already may become part of a release.

use serde_json::Value;
use sluice_gotemplate::fmt::quoted;
use sluice_helm::Release;

use super::Cluster;
use super::objects::Found;

impl Cluster {
    /// Fails if the object is there and belongs to nobody, or to another release.
    ///
    /// # Errors
    /// Helm's text; also where the cluster does not tell.
    pub(super) fn claim(&self, object: &Found<'_>, release: &Release, anyway: bool) -> Result<(), String> {
        let shown = |text: &str| quoted(text.as_bytes());
        let what =
            format!("{} {} in namespace {}", object.kind, shown(&object.name), shown(&object.namespace));
        let unknown =
            |problem: &str| format!("could not get information about the resource {what}: {problem}");
        if object.name.is_empty() {
            return Err(unknown("resource name may not be empty"));
        }
        match self.get(object.served, &object.namespace, &object.name) {
            Ok(_) if anyway => Ok(()),
            Ok(there) => check(&there, release).map_err(|problem| {
                format!("{what} exists and cannot be imported into the current release: {problem}")
            }),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(unknown(&error.to_string())),
        }
    }
}

fn check(object: &Value, release: &Release) -> Result<(), String> {
    let wanted = [
        ("label", "labels", "app.kubernetes.io/managed-by", "Helm"),
        ("annotation", "annotations", "meta.helm.sh/release-name", &release.name),
        ("annotation", "annotations", "meta.helm.sh/release-namespace", &release.namespace),
    ];
    let mut problems = String::new();
    for (what, field, key, value) in wanted {
        let pointer = object.get("metadata").and_then(|metadata| metadata.get(field)?.get(key)?.as_str());
        let (key, value) = (quoted(key.as_bytes()), quoted(value.as_bytes()));
        let problem = match pointer.map(|there| quoted(there.as_bytes())) {
            Some(there) if there == value => continue,
            Some(there) => format!("key {key} must equal {value}: current value is {there}"),
            None => format!("missing key {key}: must be set to {value}"),
        };
        problems.push_str(&format!("; {what} validation error: {problem}"));
    }
    if problems.is_empty() { Ok(()) } else { Err(format!("invalid ownership metadata{problems}")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_objects_of_the_release_are_taken() {
        let release = Release { name: "r".into(), namespace: "n".into(), revision: 1, is_upgrade: false };
        let object = |managed: &str, name: &str| {
            json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": managed},
                "annotations": {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": "n"}}})
        };
        for (there, want) in [
            (object("Helm", "r"), None),
            (
                object("foo", "r"),
                Some(
                    "invalid ownership metadata; label validation error: key \"app.kubernetes.io/managed-by\" must equal \"Helm\": current value is \"foo\"",
                ),
            ),
            (
                object("Helm", "x"),
                Some(
                    "invalid ownership metadata; annotation validation error: key \"meta.helm.sh/release-name\" must equal \"r\": current value is \"x\"",
                ),
            ),
            (
                json!({"metadata": {}}),
                Some(
                    "invalid ownership metadata; label validation error: missing key \"app.kubernetes.io/managed-by\": must be set to \"Helm\"; annotation validation error: missing key \"meta.helm.sh/release-name\": must be set to \"r\"; annotation validation error: missing key \"meta.helm.sh/release-namespace\": must be set to \"n\"",
                ),
            ),
        ] {
            assert_eq!(check(&there, &release).err().as_deref(), want, "{there}");
        }
    }
}
