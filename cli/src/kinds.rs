//! The kinds that the commands know, and how each is spoken of.

use kube::Resource;
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use sluice_api::{helm, kustomize, notification, source};

/// A kind of object.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Its name in the API.
    pub(crate) kind: &'static str,
    /// What a person calls it, as in `suspending source git podinfo`.
    pub(crate) human: &'static str,
    resource: fn() -> ApiResource,
}

impl Kind {
    /// How the API server is asked for objects of the kind.
    pub(crate) fn resource(&self) -> ApiResource {
        (self.resource)()
    }

    /// The kind of that name, in any case of letters.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        ALL.into_iter().find(|kind| kind.kind.eq_ignore_ascii_case(name))
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

macro_rules! kind {
    ($name:ident, $type:ty, $kind:literal, $human:literal) => {
        pub(crate) static $name: Kind = Kind {
            kind: $kind,
            human: $human,
            resource: || {
                let gvk =
                    GroupVersionKind::gvk(&<$type>::group(&()), &<$type>::version(&()), &<$type>::kind(&()));
                ApiResource::from_gvk_with_plural(&gvk, &<$type>::plural(&()))
            },
        };
    };
}

kind!(GIT_REPOSITORY, source::GitRepository, "GitRepository", "source git");
kind!(OCI_REPOSITORY, source::OCIRepository, "OCIRepository", "source oci");
kind!(BUCKET, source::Bucket, "Bucket", "source bucket");
kind!(HELM_REPOSITORY, source::HelmRepository, "HelmRepository", "source helm");
kind!(HELM_CHART, source::HelmChart, "HelmChart", "source chart");
kind!(EXTERNAL_ARTIFACT, source::ExternalArtifact, "ExternalArtifact", "source external-artifact");
kind!(KUSTOMIZATION, kustomize::Kustomization, "Kustomization", "kustomization");
kind!(HELM_RELEASE, helm::HelmRelease, "HelmRelease", "helmrelease");
kind!(RECEIVER, notification::Receiver, "Receiver", "receiver");
kind!(PROVIDER, notification::Provider, "Provider", "alert provider");
kind!(ALERT, notification::Alert, "Alert", "alert");

/// The sources, in the order of `get sources all`.
pub(crate) static SOURCES: [&Kind; 6] =
    [&OCI_REPOSITORY, &BUCKET, &GIT_REPOSITORY, &HELM_REPOSITORY, &HELM_CHART, &EXTERNAL_ARTIFACT];

/// All kinds, in the order of `get all`.
pub(crate) static ALL: [&Kind; 11] = [
    &OCI_REPOSITORY,
    &BUCKET,
    &GIT_REPOSITORY,
    &HELM_REPOSITORY,
    &HELM_CHART,
    &EXTERNAL_ARTIFACT,
    &HELM_RELEASE,
    &KUSTOMIZATION,
    &RECEIVER,
    &PROVIDER,
    &ALERT,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_agree_with_the_api() {
        for kind in ALL {
            assert_eq!(kind.resource().kind, kind.kind);
            assert_eq!(Kind::named(&kind.kind.to_lowercase()), Some(kind));
        }
        assert_eq!(Kind::named("Pod"), None);
    }
}
