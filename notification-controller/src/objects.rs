//! The objects that Alerts and Receivers name, of kinds that need not be known here in full.

use kube::api::ApiResource;
use kube::core::GroupVersionKind;
use sluice_api::notification::EventObjectKind;

/// How a kind is addressed in the API.
pub(crate) fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let name = kind.to_lowercase();
    let plural = match name.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{name}s"),
    };
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), &plural)
}

/// The API version that a reference without one means, for the kinds that have such a default in Flux.
pub(crate) fn default_api_version(kind: EventObjectKind) -> Option<&'static str> {
    use EventObjectKind as Kind;
    match kind {
        Kind::Bucket | Kind::HelmChart | Kind::HelmRepository | Kind::GitRepository | Kind::OCIRepository => {
            Some("source.toolkit.fluxcd.io/v1")
        }
        Kind::ImageRepository => Some("image.toolkit.fluxcd.io/v1"),
        Kind::ArtifactGenerator => Some("source.extensions.fluxcd.io/v1beta1"),
        Kind::Kustomization
        | Kind::HelmRelease
        | Kind::ImagePolicy
        | Kind::ImageUpdateAutomation
        | Kind::ExternalArtifact => None,
    }
}

/// Whether a text can be a name, and nothing else, in a path of the API.
pub(crate) fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    !text.is_empty() && text.len() <= 253 && !text.contains("..") && text != "." && text.chars().all(plain)
}

/// Whether an object has all of some labels.
pub(crate) fn has_labels<'a>(
    labels: &std::collections::BTreeMap<String, String>,
    mut wanted: impl Iterator<Item = (&'a String, &'a String)>,
) -> bool {
    wanted.all(|(key, value)| labels.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_plurals_of_their_definitions() {
        for definition in sluice_api::crds() {
            let names = definition.spec.names;
            assert_eq!(resource("g/v1", &names.kind).plural, names.plural);
        }
    }
}
