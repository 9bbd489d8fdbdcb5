//! In which order objects reach the cluster: Flux's four stages, and within a stage its ranks of kinds.

use std::cmp::Ordering;

use crate::object::{GroupKind, ObjectId};

/// A group of objects that is checked as a whole and applied before the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// CustomResourceDefinition, Namespace, ClusterRole; waited for.
    Definitions,
    /// Kinds that end in `Class`; waited for.
    Classes,
    /// Kinds named by the operator (`--custom-apply-stage-kinds`).
    Custom,
    /// All others.
    Rest,
}

impl Stage {
    /// The stage of a kind.
    pub fn of(group: &str, kind: &str, custom: &[GroupKind]) -> Self {
        match (group, kind) {
            ("apiextensions.k8s.io", "CustomResourceDefinition")
            | ("", "Namespace")
            | ("rbac.authorization.k8s.io", "ClusterRole") => Self::Definitions,
            _ if kind.ends_with("Class") => Self::Classes,
            _ if custom.iter().any(|c| c.group == group && c.kind == kind) => Self::Custom,
            _ => Self::Rest,
        }
    }

    /// Whether the next stage starts only after all objects of this one are ready.
    pub fn waits(self) -> bool {
        matches!(self, Self::Definitions | Self::Classes)
    }
}

/// Kinds that come first, in this order; any group.
const FIRST: [&str; 23] = [
    "CustomResourceDefinition",
    "Namespace",
    "ClusterRole",
    "ClusterClass",
    "RuntimeClass",
    "PriorityClass",
    "StorageClass",
    "VolumeSnapshotClass",
    "IngressClass",
    "GatewayClass",
    "ClusterRoleBinding",
    "ResourceQuota",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "Service",
    "LimitRange",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
/// Kinds that come last.
const LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// The rank of a kind; all kinds that Flux does not list share one rank between its first and its last ones.
pub fn rank(kind: &str) -> usize {
    if let Some(rank) = FIRST.iter().position(|k| *k == kind) {
        return rank;
    }
    match LAST.iter().position(|k| *k == kind) {
        Some(rank) => FIRST.len() + 1 + rank,
        None => FIRST.len(),
    }
}

/// Flux's order within a stage: rank, group, kind, namespace, name.
pub fn compare(a: &ObjectId, b: &ObjectId) -> Ordering {
    rank(&a.kind)
        .cmp(&rank(&b.kind))
        .then_with(|| a.group.cmp(&b.group))
        .then_with(|| a.kind.cmp(&b.kind))
        .then_with(|| a.namespace.cmp(&b.namespace))
        .then_with(|| a.name.cmp(&b.name))
}

/// Cuts sorted items into runs of one kind, which may be applied at the same time.
pub(crate) fn waves<T>(items: Vec<T>, id: impl Fn(&T) -> &ObjectId) -> Vec<Vec<T>> {
    let mut waves: Vec<Vec<T>> = Vec::new();
    for item in items {
        let same = waves.last().and_then(|wave| wave.last()).is_some_and(|last| {
            let (a, b) = (id(last), id(&item));
            a.kind == b.kind && a.group == b.group
        });
        match waves.last_mut() {
            Some(wave) if same => wave.push(item),
            _ => waves.push(vec![item]),
        }
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(group: &str, kind: &str, name: &str) -> ObjectId {
        ObjectId { group: group.into(), kind: kind.into(), namespace: "a".into(), name: name.into() }
    }

    #[test]
    fn kinds_fall_into_fluxs_stages() {
        let custom = [GroupKind::parse("rbac.authorization.k8s.io/Role"), GroupKind::parse("Secret")];
        for (group, kind, want) in [
            ("apiextensions.k8s.io", "CustomResourceDefinition", Stage::Definitions),
            ("", "Namespace", Stage::Definitions),
            ("rbac.authorization.k8s.io", "ClusterRole", Stage::Definitions),
            ("storage.k8s.io", "StorageClass", Stage::Classes),
            ("example.com", "FancyClass", Stage::Classes),
            ("rbac.authorization.k8s.io", "Role", Stage::Custom),
            ("example.com", "Role", Stage::Rest),
            ("", "Secret", Stage::Custom),
            ("example.com", "Namespace", Stage::Rest),
            ("apps", "Deployment", Stage::Rest),
        ] {
            assert_eq!(Stage::of(group, kind, &custom), want, "{group}/{kind}");
        }
    }

    #[test]
    fn ranks_come_before_names() {
        let mut ids = [
            id("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", "a"),
            id("example.com", "Zebra", "a"),
            id("example.com", "Ant", "b"),
            id("example.com", "Ant", "a"),
            id("batch", "Job", "a"),
            id("apps", "Deployment", "a"),
            id("", "Service", "a"),
            id("", "ServiceAccount", "z"),
            id("", "Namespace", "z"),
        ];
        ids.sort_by(compare);
        let got: Vec<String> = ids.iter().map(|i| format!("{} {}", i.kind, i.name)).collect();
        assert_eq!(
            got,
            [
                "Namespace z",
                "ServiceAccount z",
                "Service a",
                "Deployment a",
                "Job a",
                "Ant a",
                "Ant b",
                "Zebra a",
                "ValidatingWebhookConfiguration a"
            ]
        );
        let sizes: Vec<usize> = waves(ids.to_vec(), |i| i).iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 1, 1, 1, 1, 2, 1, 1]);
    }
}
