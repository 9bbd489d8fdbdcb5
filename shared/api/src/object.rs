//! What code that is generic over the kinds needs to read from any of them.

use crate::meta::{Condition, DependencyReference, RECONCILE_REQUEST_ANNOTATION};
use crate::source::Artifact;

/// An object that a controller reconciles.
pub trait Reconcilable: kube::Resource<DynamicType = ()> {
    /// Whether the user paused reconciliation.
    fn suspended(&self) -> bool;

    /// Conditions of the status, in stored order.
    fn conditions(&self) -> &[Condition];

    /// Generation that the status speaks of; `None` when there is no status or the kind does not record it.
    fn observed_generation(&self) -> Option<i64>;

    /// Value of the reconcile request that was last acted on.
    fn last_handled_reconcile_at(&self) -> Option<&str>;

    /// Value of the reconcile request annotation, if there is one.
    fn requested_at(&self) -> Option<&str> {
        self.meta().annotations.as_ref()?.get(RECONCILE_REQUEST_ANNOTATION).map(String::as_str)
    }

    /// The condition of that type.
    fn condition(&self, condition: &str) -> Option<&Condition> {
        self.conditions().iter().find(|candidate| candidate.type_ == condition)
    }
}

/// A source: an object whose status names an artifact.
pub trait ArtifactSource: Reconcilable {
    /// The artifact that the status names.
    fn artifact(&self) -> Option<&Artifact>;
}

/// A kind whose objects wait for others of the same kind.
pub trait Dependent: Reconcilable {
    /// `spec.dependsOn`.
    fn depends_on(&self) -> &[DependencyReference];
}

impl Dependent for crate::kustomize::Kustomization {
    fn depends_on(&self) -> &[DependencyReference] {
        &self.spec.depends_on
    }
}

impl Dependent for crate::helm::HelmRelease {
    fn depends_on(&self) -> &[DependencyReference] {
        &self.spec.depends_on
    }
}

macro_rules! reconcilable {
    ($($kind:ty),+) => { $(
        impl Reconcilable for $kind {
            fn suspended(&self) -> bool {
                self.spec.suspend
            }

            fn conditions(&self) -> &[Condition] {
                self.status.as_ref().map_or(&[], |status| &status.conditions)
            }

            fn observed_generation(&self) -> Option<i64> {
                self.status.as_ref().map(|status| status.observed_generation)
            }

            fn last_handled_reconcile_at(&self) -> Option<&str> {
                self.status.as_ref()?.last_handled_reconcile_at.as_deref()
            }
        }
    )+ };
}

macro_rules! artifact_source {
    ($($kind:ty),+) => { $(
        impl ArtifactSource for $kind {
            fn artifact(&self) -> Option<&Artifact> {
                self.status.as_ref()?.artifact.as_ref()
            }
        }
    )+ };
}

reconcilable!(
    crate::source::GitRepository,
    crate::source::OCIRepository,
    crate::source::HelmRepository,
    crate::source::HelmChart,
    crate::source::Bucket,
    crate::kustomize::Kustomization,
    crate::helm::HelmRelease,
    crate::notification::Receiver
);

artifact_source!(
    crate::source::GitRepository,
    crate::source::OCIRepository,
    crate::source::HelmRepository,
    crate::source::HelmChart,
    crate::source::Bucket,
    crate::source::ExternalArtifact
);

/// An ExternalArtifact is written by whoever makes it: it cannot be suspended and records neither generation nor request.
impl Reconcilable for crate::source::ExternalArtifact {
    fn suspended(&self) -> bool {
        false
    }

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }

    fn observed_generation(&self) -> Option<i64> {
        None
    }

    fn last_handled_reconcile_at(&self) -> Option<&str> {
        None
    }
}
