//! The default fields of each transformer.

/// `(group, version, kind, path, create)`; empty parts match everything.
pub(crate) type Spec = (&'static str, &'static str, &'static str, &'static str, bool);

pub(crate) const NAMES: &[Spec] = &[("", "", "", "metadata/name", false)];

pub(crate) const NAMESPACE: &[Spec] = &[
    ("", "", "Namespace", "metadata/name", true),
    ("apiregistration.k8s.io", "", "APIService", "spec/service/namespace", true),
    (
        "apiextensions.k8s.io",
        "",
        "CustomResourceDefinition",
        "spec/conversion/webhook/clientConfig/service/namespace",
        false,
    ),
];

const PREFERRED_AFFINITY: &str = "spec/template/spec/affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels";
const REQUIRED_AFFINITY: &str = "spec/template/spec/affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels";
const PREFERRED_ANTI_AFFINITY: &str = "spec/template/spec/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels";
const REQUIRED_ANTI_AFFINITY: &str = "spec/template/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels";
const SPREAD: &str = "spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels";

/// Selectors; `commonLabels` is these, [`TEMPLATE_LABELS`] and [`CLAIM_TEMPLATE_LABELS`].
pub(crate) const SELECTORS: &[Spec] = &[
    ("", "v1", "Service", "spec/selector", true),
    ("", "v1", "ReplicationController", "spec/selector", true),
    ("", "", "Deployment", "spec/selector/matchLabels", true),
    ("apps", "", "Deployment", PREFERRED_AFFINITY, false),
    ("apps", "", "Deployment", REQUIRED_AFFINITY, false),
    ("apps", "", "Deployment", PREFERRED_ANTI_AFFINITY, false),
    ("apps", "", "Deployment", REQUIRED_ANTI_AFFINITY, false),
    ("apps", "", "Deployment", SPREAD, false),
    ("", "", "ReplicaSet", "spec/selector/matchLabels", true),
    ("", "", "DaemonSet", "spec/selector/matchLabels", true),
    ("apps", "", "StatefulSet", "spec/selector/matchLabels", true),
    ("apps", "", "StatefulSet", PREFERRED_AFFINITY, false),
    ("apps", "", "StatefulSet", REQUIRED_AFFINITY, false),
    ("apps", "", "StatefulSet", PREFERRED_ANTI_AFFINITY, false),
    ("apps", "", "StatefulSet", REQUIRED_ANTI_AFFINITY, false),
    ("apps", "", "StatefulSet", SPREAD, false),
    ("batch", "", "Job", "spec/selector/matchLabels", false),
    ("batch", "", "CronJob", "spec/jobTemplate/spec/selector/matchLabels", false),
    ("policy", "", "PodDisruptionBudget", "spec/selector/matchLabels", false),
    ("networking.k8s.io", "", "NetworkPolicy", "spec/podSelector/matchLabels", false),
    ("networking.k8s.io", "", "NetworkPolicy", "spec/ingress/from/podSelector/matchLabels", false),
    ("networking.k8s.io", "", "NetworkPolicy", "spec/egress/to/podSelector/matchLabels", false),
];

pub(crate) const TEMPLATE_LABELS: &[Spec] = &[
    ("", "", "", "metadata/labels", true),
    ("", "v1", "ReplicationController", "spec/template/metadata/labels", true),
    ("", "", "Deployment", "spec/template/metadata/labels", true),
    ("", "", "ReplicaSet", "spec/template/metadata/labels", true),
    ("", "", "DaemonSet", "spec/template/metadata/labels", true),
    ("apps", "", "StatefulSet", "spec/template/metadata/labels", true),
    ("batch", "", "Job", "spec/template/metadata/labels", true),
    ("batch", "", "CronJob", "spec/jobTemplate/metadata/labels", true),
    ("batch", "", "CronJob", "spec/jobTemplate/spec/template/metadata/labels", true),
];

pub(crate) const CLAIM_TEMPLATE_LABELS: &[Spec] =
    &[("apps", "", "StatefulSet", "spec/volumeClaimTemplates[]/metadata/labels", true)];

/// The field of `labels` entries that ask for nothing more.
pub(crate) const METADATA_LABELS: Spec = ("", "", "", "metadata/labels", true);

pub(crate) const COMMON_ANNOTATIONS: &[Spec] = &[
    ("", "", "", "metadata/annotations", true),
    ("", "v1", "ReplicationController", "spec/template/metadata/annotations", true),
    ("", "", "Deployment", "spec/template/metadata/annotations", true),
    ("", "", "ReplicaSet", "spec/template/metadata/annotations", true),
    ("", "", "DaemonSet", "spec/template/metadata/annotations", true),
    ("", "", "StatefulSet", "spec/template/metadata/annotations", true),
    ("batch", "", "Job", "spec/template/metadata/annotations", true),
    ("batch", "", "CronJob", "spec/jobTemplate/metadata/annotations", true),
    ("batch", "", "CronJob", "spec/jobTemplate/spec/template/metadata/annotations", true),
];

pub(crate) const REPLICAS: &[Spec] = &[
    ("", "", "Deployment", "spec/replicas", true),
    ("", "", "StatefulSet", "spec/replicas", true),
    ("", "", "ReplicaSet", "spec/replicas", true),
    ("", "", "ReplicationController", "spec/replicas", true),
];

pub(crate) const IMAGES: &[Spec] = &[
    ("", "", "", "spec/containers[]/image", false),
    ("", "", "", "spec/initContainers[]/image", false),
    ("", "", "", "spec/volumes[]/image/reference", false),
    ("", "", "", "spec/template/spec/containers[]/image", false),
    ("", "", "", "spec/template/spec/initContainers[]/image", false),
    ("", "", "", "spec/template/spec/volumes[]/image/reference", false),
    ("", "", "", "spec/jobTemplate/spec/template/spec/volumes[]/image/reference", false),
];

/// Pod specs in which variables are substituted: kind and path.
pub(crate) const VAR_POD_SPECS: &[(&str, &str)] = &[
    ("Deployment", "spec/template/spec"),
    ("DaemonSet", "spec/template/spec"),
    ("Job", "spec/template/spec"),
    ("ReplicaSet", "spec/template/spec"),
    ("StatefulSet", "spec/template/spec"),
    ("CronJob", "spec/jobTemplate/spec/template/spec"),
    ("Pod", "spec"),
];

/// Fields of the containers of [`VAR_POD_SPECS`].
pub(crate) const VAR_CONTAINER_FIELDS: &[&str] = &["args", "command", "env/value", "volumeMounts/mountPath"];

/// The other fields in which variables are substituted.
pub(crate) const VAR_FIELDS: &[Spec] = &[
    ("", "", "Deployment", "spec/template/spec/volumes/nfs/server", false),
    ("", "", "DaemonSet", "spec/template/spec/volumes/nfs/server", false),
    ("", "", "Job", "spec/template/spec/volumes/nfs/server", false),
    ("", "", "ReplicaSet", "spec/template/spec/volumes/nfs/server", false),
    ("", "", "Deployment", "spec/template/metadata/annotations", false),
    ("", "", "StatefulSet", "spec/volumeClaimTemplates/spec/nfs/server", false),
    ("", "", "CronJob", "spec/jobTemplate/spec/template/volumes/nfs/server", false),
    ("", "", "Pod", "spec/volumes/nfs/server", false),
    ("", "", "Ingress", "spec/rules/host", false),
    ("", "", "Ingress", "spec/tls/hosts", false),
    ("", "", "Ingress", "spec/tls/secretName", false),
    ("", "", "Service", "spec/ports/port", false),
    ("", "", "Service", "spec/ports/targetPort", false),
    ("", "", "PersistentVolume", "spec/nfs/server", false),
    ("", "", "", "metadata/labels", false),
    ("", "", "", "metadata/annotations", false),
];
