//! Names that follow from a HelmRelease: those of its release, of where that is stored, and of its HelmChart.

use sluice_api::helm::{HelmRelease, HelmReleaseSpec};
use sluice_runtime::controller::Key;

/// What identifies the release of a HelmRelease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseName {
    /// The release's name, at most 53 bytes long.
    pub name: String,
    /// The namespace that it is released to.
    pub namespace: String,
    /// The namespace of its Secrets.
    pub storage: String,
}

impl ReleaseName {
    /// The release of a HelmRelease. A name that is too long for Helm is cut, and made unique by its hash.
    #[must_use]
    pub fn of(release: &HelmRelease) -> Self {
        let own = Key::of(release);
        let spec = &release.spec;
        let target = given(&spec.target_namespace);
        let name = match (given(&spec.release_name), target) {
            (Some(name), _) => name.to_owned(),
            (None, Some(target)) => format!("{target}-{}", own.name),
            (None, None) => own.name.to_string(),
        };
        Self {
            name: sluice_helm::release::shorten(&name),
            namespace: target.unwrap_or(&own.namespace).to_owned(),
            storage: given(&spec.storage_namespace).unwrap_or(&own.namespace).to_owned(),
        }
    }
}

/// The HelmChart that is made of `spec.chart`, if there is one.
pub(crate) fn chart_of(own: &Key, spec: &HelmReleaseSpec) -> Option<Key> {
    let template = spec.chart.as_ref()?;
    let namespace = given(&template.spec.source_ref.namespace).unwrap_or(&own.namespace);
    Some(Key::new(namespace, &format!("{}-{}", own.namespace, own.name)))
}

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn release(name: &str, spec: Value) -> HelmRelease {
        let mut full = json!({"interval": "1m"});
        if let (Some(full), Some(spec)) = (full.as_object_mut(), spec.as_object()) {
            full.extend(spec.clone());
        }
        let object = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"namespace": "own", "name": name}, "spec": full});
        serde_json::from_value(object).expect("a HelmRelease")
    }

    #[test]
    fn names_follow_from_the_spec() {
        let long = "release-name-with-very-long-name-which-is-longer-than-53-characters";
        for (name, spec, want) in [
            ("app", json!({}), ("app", "own", "own")),
            ("app", json!({"targetNamespace": "prod"}), ("prod-app", "prod", "own")),
            ("app", json!({"targetNamespace": "prod", "releaseName": "x"}), ("x", "prod", "own")),
            ("app", json!({"storageNamespace": "kept"}), ("app", "own", "kept")),
            (long, json!({}), ("release-name-with-very-long-name-which-i-788ca0d0d7b0", "own", "own")),
            (
                "nice-object-name",
                json!({"targetNamespace": "a-very-lengthy-target-namespace-with-a"}),
                (
                    "a-very-lengthy-target-namespace-with-a-n-97af5d7f41f3",
                    "a-very-lengthy-target-namespace-with-a",
                    "own",
                ),
            ),
        ] {
            let got = ReleaseName::of(&release(name, spec));
            assert_eq!((&*got.name, &*got.namespace, &*got.storage), want, "{name}");
        }
    }

    #[test]
    fn the_chart_lives_beside_its_source() {
        let own = Key::new("own", "app");
        let source =
            json!({"chart": {"spec": {"chart": "c", "sourceRef": {"kind": "HelmRepository", "name": "r"}}}});
        assert_eq!(chart_of(&own, &release("app", source).spec), Some(Key::new("own", "own-app")));
        let other = json!({"chart": {"spec": {"chart": "c",
            "sourceRef": {"kind": "HelmRepository", "name": "r", "namespace": "sources"}}}});
        assert_eq!(chart_of(&own, &release("app", other).spec), Some(Key::new("sources", "own-app")));
        let none = json!({"chartRef": {"kind": "OCIRepository", "name": "c"}});
        assert_eq!(chart_of(&own, &release("app", none).spec), None);
    }
}
