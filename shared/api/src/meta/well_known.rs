//! Names that clients can observe or set: annotations, labels, finalizer, condition types and common reasons.

/// Asks for a reconciliation now; any change of the value (usually a time) counts.
pub const RECONCILE_REQUEST_ANNOTATION: &str = "reconcile.fluxcd.io/requestedAt";
/// Asks helm-controller for a forced upgrade; counts when its value equals that of [`RECONCILE_REQUEST_ANNOTATION`].
pub const FORCE_REQUEST_ANNOTATION: &str = "reconcile.fluxcd.io/forceAt";
/// Asks helm-controller to reset its failure counters; counts as [`FORCE_REQUEST_ANNOTATION`] does.
pub const RESET_REQUEST_ANNOTATION: &str = "reconcile.fluxcd.io/resetAt";
/// On an applied object: `enabled` or `disabled`.
pub const RECONCILE_ANNOTATION: &str = "kustomize.toolkit.fluxcd.io/reconcile";
/// On an applied object: `disabled` keeps it when it disappears from the source.
pub const PRUNE_ANNOTATION: &str = "kustomize.toolkit.fluxcd.io/prune";
/// On an applied object: how it is applied (`Override`, `Merge`, `IfNotPresent`, `Ignore`).
pub const SSA_ANNOTATION: &str = "kustomize.toolkit.fluxcd.io/ssa";
/// On an applied object: `enabled` recreates it when an immutable field changed.
pub const FORCE_ANNOTATION: &str = "kustomize.toolkit.fluxcd.io/force";
/// On a manifest: `disabled` exempts it from post-build substitution.
pub const SUBSTITUTE_ANNOTATION: &str = "kustomize.toolkit.fluxcd.io/substitute";
/// The value that switches a behaviour on.
pub const ENABLED_VALUE: &str = "enabled";
/// The value that switches a behaviour off.
pub const DISABLED_VALUE: &str = "disabled";

/// Label on applied objects: name of the Kustomization that owns them.
pub const KUSTOMIZE_NAME_LABEL: &str = "kustomize.toolkit.fluxcd.io/name";
/// Label on applied objects: namespace of the Kustomization that owns them.
pub const KUSTOMIZE_NAMESPACE_LABEL: &str = "kustomize.toolkit.fluxcd.io/namespace";
/// Label on objects of a Helm release: name of the HelmRelease that owns them.
pub const HELM_NAME_LABEL: &str = "helm.toolkit.fluxcd.io/name";
/// Label on objects of a Helm release: namespace of the HelmRelease that owns them.
pub const HELM_NAMESPACE_LABEL: &str = "helm.toolkit.fluxcd.io/namespace";
/// Label on ConfigMaps and Secrets whose change should reconcile their users.
pub const WATCH_LABEL: &str = "reconcile.fluxcd.io/watch";
/// Label that assigns an object to a controller shard.
pub const SHARDING_LABEL: &str = "sharding.fluxcd.io/key";

/// Finalizer of every kind that has something to clean up.
pub const FINALIZER: &str = "finalizers.fluxcd.io";

/// Artifact metadata key that holds the revision an artifact was made from.
pub const ORIGIN_REVISION_METADATA: &str = "org.opencontainers.image.revision";

/// Condition type: the object reached the desired state.
pub const READY: &str = "Ready";
/// Condition type: work is in progress (absent when it is not).
pub const RECONCILING: &str = "Reconciling";
/// Condition type: only a change of the object can help (absent when that is not so).
pub const STALLED: &str = "Stalled";
/// Condition type: what was applied is healthy.
pub const HEALTHY: &str = "Healthy";

/// Reason: finished well.
pub const SUCCEEDED_REASON: &str = "Succeeded";
/// Reason: failed.
pub const FAILED_REASON: &str = "Failed";
/// Reason: work is in progress.
pub const PROGRESSING_REASON: &str = "Progressing";
/// Reason: work failed and is retried.
pub const PROGRESSING_WITH_RETRY_REASON: &str = "ProgressingWithRetry";
/// Reason: the object is suspended.
pub const SUSPENDED_REASON: &str = "Suspended";
/// Reason: an object that this one depends on is not ready.
pub const DEPENDENCY_NOT_READY_REASON: &str = "DependencyNotReady";
/// Reason: a reference to another namespace is not allowed.
pub const ACCESS_DENIED_REASON: &str = "AccessDenied";
/// Reason: what the object needs is behind a feature gate that is off.
pub const FEATURE_GATE_DISABLED_REASON: &str = "FeatureGateDisabled";
/// Reason: a CEL expression of the spec does not compile.
pub const INVALID_CEL_EXPRESSION_REASON: &str = "InvalidCELExpression";
/// Reason: the artifact could not be fetched or used.
pub const ARTIFACT_FAILED_REASON: &str = "ArtifactFailed";
/// Reason: the desired state was applied.
pub const RECONCILIATION_SUCCEEDED_REASON: &str = "ReconciliationSucceeded";
/// Reason: applying the desired state failed.
pub const RECONCILIATION_FAILED_REASON: &str = "ReconciliationFailed";
