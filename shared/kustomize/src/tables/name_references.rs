//! Which fields hold the name of another object.

use super::field_specs::Spec;

/// A kind that is referred to, and the fields that do.
pub(crate) struct Target {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    /// Fields below the pod specs of [`POD_SPECS`].
    pub(crate) in_pod_specs: (&'static [(&'static str, &'static str, &'static str)], &'static [&'static str]),
    pub(crate) fields: &'static [Spec],
}

/// Version, kind and path of the pod specs that refer to ConfigMaps and Secrets.
const P: &[(&str, &str, &str)] = &[
    ("v1", "Pod", "spec"),
    ("", "PodTemplate", "template/spec"),
    ("", "Deployment", "spec/template/spec"),
    ("", "ReplicaSet", "spec/template/spec"),
    ("", "DaemonSet", "spec/template/spec"),
    ("", "StatefulSet", "spec/template/spec"),
    ("", "Job", "spec/template/spec"),
    ("", "CronJob", "spec/jobTemplate/spec/template/spec"),
];

/// The pod specs that refer to service accounts, claims and priority classes.
const Q: &[(&str, &str, &str)] = &[
    ("", "Pod", "spec"),
    ("", "Deployment", "spec/template/spec"),
    ("", "StatefulSet", "spec/template/spec"),
    ("", "DaemonSet", "spec/template/spec"),
    ("", "ReplicationController", "spec/template/spec"),
    ("", "Job", "spec/template/spec"),
    ("", "CronJob", "spec/jobTemplate/spec/template/spec"),
];

const RBAC: &str = "rbac.authorization.k8s.io";
const NONE: (&[(&str, &str, &str)], &[&str]) = (&[], &[]);

const SCALE_TARGET: &[Spec] = &[("", "", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name", false)];

/// All references, in the order in which they are tried.
pub(crate) const NAME_REFERENCES: &[Target] = &[
    Target {
        group: "storage.k8s.io",
        version: "v1",
        kind: "StorageClass",
        in_pod_specs: NONE,
        fields: &[
            ("", "", "PersistentVolume", "spec/storageClassName", false),
            ("", "", "PersistentVolumeClaim", "spec/storageClassName", false),
            ("", "", "StatefulSet", "spec/volumeClaimTemplates/spec/storageClassName", false),
        ],
    },
    Target {
        group: "",
        version: "v1",
        kind: "ServiceAccount",
        in_pod_specs: (Q, &["serviceAccountName"]),
        fields: &[
            (RBAC, "", "RoleBinding", "subjects", false),
            (RBAC, "", "ClusterRoleBinding", "subjects", false),
        ],
    },
    Target {
        group: RBAC,
        version: "",
        kind: "Role",
        in_pod_specs: NONE,
        fields: &[(RBAC, "", "RoleBinding", "roleRef/name", false)],
    },
    Target {
        group: RBAC,
        version: "",
        kind: "ClusterRole",
        in_pod_specs: NONE,
        fields: &[
            (RBAC, "", "RoleBinding", "roleRef/name", false),
            (RBAC, "", "ClusterRoleBinding", "roleRef/name", false),
        ],
    },
    Target {
        group: "",
        version: "v1",
        kind: "ConfigMap",
        in_pod_specs: (
            P,
            &[
                "volumes/configMap/name",
                "volumes/projected/sources/configMap/name",
                "containers/env/valueFrom/configMapKeyRef/name",
                "initContainers/env/valueFrom/configMapKeyRef/name",
                "containers/envFrom/configMapRef/name",
                "initContainers/envFrom/configMapRef/name",
            ],
        ),
        fields: &[
            ("", "", "Node", "spec/configSource/configMap", false),
            ("", "", "Role", "rules/resourceNames", false),
            ("", "", "ClusterRole", "rules/resourceNames", false),
            (
                "",
                "",
                "Ingress",
                "metadata/annotations/nginx.ingress.kubernetes.io\\/fastcgi-params-configmap",
                false,
            ),
        ],
    },
    Target {
        group: "",
        version: "v1",
        kind: "Secret",
        in_pod_specs: (
            P,
            &[
                "volumes/secret/secretName",
                "volumes/projected/sources/secret/name",
                "containers/env/valueFrom/secretKeyRef/name",
                "initContainers/env/valueFrom/secretKeyRef/name",
                "containers/envFrom/secretRef/name",
                "initContainers/envFrom/secretRef/name",
                "imagePullSecrets/name",
            ],
        ),
        fields: &[
            ("", "", "Ingress", "spec/tls/secretName", false),
            ("", "", "Ingress", "metadata/annotations/ingress.kubernetes.io\\/auth-secret", false),
            ("", "", "Ingress", "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-secret", false),
            ("", "", "Ingress", "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-tls-secret", false),
            ("", "", "ServiceAccount", "imagePullSecrets/name", false),
            ("", "", "StorageClass", "parameters/secretName", false),
            ("", "", "StorageClass", "parameters/adminSecretName", false),
            ("", "", "StorageClass", "parameters/userSecretName", false),
            ("", "", "StorageClass", "parameters/secretRef", false),
            ("", "", "Role", "rules/resourceNames", false),
            ("", "", "ClusterRole", "rules/resourceNames", false),
            (
                "serving.knative.dev",
                "v1",
                "Service",
                "spec/template/spec/containers/env/valueFrom/secretKeyRef/name",
                false,
            ),
            ("", "", "PersistentVolume", "spec/azureFile/secretName", false),
        ],
    },
    Target {
        group: "",
        version: "v1",
        kind: "Service",
        in_pod_specs: NONE,
        fields: &[
            ("apps", "", "StatefulSet", "spec/serviceName", false),
            ("", "", "Ingress", "spec/rules/http/paths/backend/serviceName", false),
            ("", "", "Ingress", "spec/backend/serviceName", false),
            ("", "", "Ingress", "spec/rules/http/paths/backend/service/name", false),
            ("", "", "Ingress", "spec/defaultBackend/service/name", false),
            ("apiregistration.k8s.io", "", "APIService", "spec/service/name", false),
            (
                "admissionregistration.k8s.io",
                "",
                "ValidatingWebhookConfiguration",
                "webhooks/clientConfig/service",
                false,
            ),
            (
                "admissionregistration.k8s.io",
                "",
                "MutatingWebhookConfiguration",
                "webhooks/clientConfig/service",
                false,
            ),
        ],
    },
    Target {
        group: "scheduling.k8s.io",
        version: "v1",
        kind: "PriorityClass",
        in_pod_specs: (Q, &["priorityClassName"]),
        fields: &[],
    },
    Target {
        group: "",
        version: "v1",
        kind: "PersistentVolume",
        in_pod_specs: NONE,
        fields: &[
            ("", "", "PersistentVolumeClaim", "spec/volumeName", false),
            ("", "", "ClusterRole", "rules/resourceNames", false),
        ],
    },
    Target {
        group: "",
        version: "v1",
        kind: "PersistentVolumeClaim",
        in_pod_specs: (Q, &["volumes/persistentVolumeClaim/claimName"]),
        fields: &[],
    },
    Target { group: "", version: "", kind: "Deployment", in_pod_specs: NONE, fields: SCALE_TARGET },
    Target { group: "", version: "", kind: "StatefulSet", in_pod_specs: NONE, fields: SCALE_TARGET },
    Target {
        group: "admissionregistration.k8s.io",
        version: "",
        kind: "ValidatingAdmissionPolicy",
        in_pod_specs: NONE,
        fields: &[(
            "admissionregistration.k8s.io",
            "",
            "ValidatingAdmissionPolicyBinding",
            "spec/policyName",
            false,
        )],
    },
    // The group is misspelt in kustomize, so this never fires.
    Target {
        group: "networking.k8s.io/v1",
        version: "v1",
        kind: "IngressClass",
        in_pod_specs: NONE,
        fields: &[("", "", "Ingress", "spec/ingressClassName", false)],
    },
    Target { group: "", version: "", kind: "ReplicaSet", in_pod_specs: NONE, fields: SCALE_TARGET },
    Target {
        group: "",
        version: "",
        kind: "ReplicationController",
        in_pod_specs: NONE,
        fields: SCALE_TARGET,
    },
];
