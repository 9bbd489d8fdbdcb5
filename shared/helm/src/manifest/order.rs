//! The order in which kinds are applied and removed.

use std::cmp::Ordering;

/// Which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KindOrder {
    /// Namespaces first, webhooks last.
    Install,
    /// The other way round.
    Uninstall,
}

/// The order of Helm 4 (`pkg/release/v1/util`, kind sorter).
const INSTALL: [&str; 38] = [
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Not the reverse of the above: webhooks and the objects behind services go in their own order.
const UNINSTALL: [&str; 38] = [
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "APIService",
    "Ingress",
    "IngressClass",
    "Service",
    "CronJob",
    "Job",
    "StatefulSet",
    "HorizontalPodAutoscaler",
    "Deployment",
    "ReplicaSet",
    "ReplicationController",
    "Pod",
    "DaemonSet",
    "RoleBindingList",
    "RoleBinding",
    "RoleList",
    "Role",
    "ClusterRoleBindingList",
    "ClusterRoleBinding",
    "ClusterRoleList",
    "ClusterRole",
    "CustomResourceDefinition",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "StorageClass",
    "ConfigMap",
    "SecretList",
    "Secret",
    "ServiceAccount",
    "PodDisruptionBudget",
    "PodSecurityPolicy",
    "LimitRange",
    "ResourceQuota",
    "NetworkPolicy",
    "Namespace",
    "PriorityClass",
];

impl KindOrder {
    /// Compares two kinds; unknown ones come last, by name. Use it with a stable sort.
    #[must_use]
    pub fn compare(self, left: &str, right: &str) -> Ordering {
        let kinds = match self {
            Self::Install => &INSTALL,
            Self::Uninstall => &UNINSTALL,
        };
        let rank = |kind: &str| kinds.iter().position(|known| *known == kind);
        match (rank(left), rank(right)) {
            (Some(left), Some(right)) => left.cmp(&right),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => left.cmp(right),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_kinds_come_first_and_others_by_name() {
        let mut kinds = ["Zeta", "Deployment", "", "Namespace", "Alpha", "Service"];
        kinds.sort_by(|left, right| KindOrder::Install.compare(left, right));
        assert_eq!(kinds, ["Namespace", "Service", "Deployment", "", "Alpha", "Zeta"]);
        kinds.sort_by(|left, right| KindOrder::Uninstall.compare(left, right));
        assert_eq!(kinds, ["Service", "Deployment", "Namespace", "", "Alpha", "Zeta"]);
    }

    #[test]
    fn both_orders_hold_the_same_kinds() {
        let (mut install, mut uninstall) = (INSTALL, UNINSTALL);
        install.sort_unstable();
        uninstall.sort_unstable();
        assert_eq!(install, uninstall);
    }
}
