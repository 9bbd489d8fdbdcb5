//! Which lists merge by key: the patch strategies of Kubernetes 1.21, which is the schema that kustomize has built in.

/// How two lists merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListMerge {
    /// Elements with the same values of these fields are one element.
    ByKeys(&'static [&'static str]),
    /// Elements are texts or numbers; equal ones are one element.
    Primitive,
}

/// A type: its fields that merge by key or lead to such fields. Lists and maps not named are atomic and plain.
#[derive(Debug)]
pub struct Type(&'static [(&'static str, Field)]);

#[derive(Debug, Clone, Copy)]
struct Field {
    /// The type of the field, or of the elements of the list.
    of: Option<&'static Type>,
    list: Option<ListMerge>,
}

impl Type {
    /// The type below a field, and how it merges if it is a list. Nothing for fields that are not named.
    #[must_use]
    pub fn field(&self, name: &str) -> (Option<&'static Type>, Option<ListMerge>) {
        self.0.iter().find(|(n, _)| *n == name).map_or((None, None), |(_, field)| (field.of, field.list))
    }
}

const fn map(of: &'static Type) -> Field {
    Field { of: Some(of), list: None }
}
const fn keyed(keys: &'static [&'static str]) -> Field {
    Field { of: None, list: Some(ListMerge::ByKeys(keys)) }
}
const fn keyed_of(keys: &'static [&'static str], of: &'static Type) -> Field {
    Field { of: Some(of), list: Some(ListMerge::ByKeys(keys)) }
}
const PRIMITIVE: Field = Field { of: None, list: Some(ListMerge::Primitive) };

const OBJECT_META: Type = Type(&[("finalizers", PRIMITIVE), ("ownerReferences", keyed(&["uid"]))]);
const META_ONLY: Type = Type(&[("metadata", map(&OBJECT_META))]);
const CONDITIONS: Type = Type(&[("conditions", keyed(&["type"]))]);

const CONTAINER: Type = Type(&[
    ("ports", keyed(&["containerPort", "protocol"])),
    ("env", keyed(&["name"])),
    ("volumeMounts", keyed(&["mountPath"])),
    ("volumeDevices", keyed(&["devicePath"])),
]);
const EPHEMERAL_CONTAINER: Type = Type(&[
    ("env", keyed(&["name"])),
    ("volumeMounts", keyed(&["mountPath"])),
    ("volumeDevices", keyed(&["devicePath"])),
]);
const EPHEMERAL_VOLUME: Type = Type(&[("volumeClaimTemplate", map(&META_ONLY))]);
const VOLUME: Type = Type(&[("ephemeral", map(&EPHEMERAL_VOLUME))]);
const POD_SPEC: Type = Type(&[
    ("containers", keyed_of(&["name"], &CONTAINER)),
    ("initContainers", keyed_of(&["name"], &CONTAINER)),
    ("ephemeralContainers", keyed_of(&["name"], &EPHEMERAL_CONTAINER)),
    ("volumes", keyed_of(&["name"], &VOLUME)),
    ("imagePullSecrets", keyed(&["name"])),
    ("hostAliases", keyed(&["ip"])),
    ("topologySpreadConstraints", keyed(&["topologyKey", "whenUnsatisfiable"])),
]);
const POD_STATUS: Type = Type(&[("podIPs", keyed(&["ip"])), ("conditions", keyed(&["type"]))]);
const POD: Type =
    Type(&[("metadata", map(&OBJECT_META)), ("spec", map(&POD_SPEC)), ("status", map(&POD_STATUS))]);
const POD_TEMPLATE_SPEC: Type = Type(&[("metadata", map(&OBJECT_META)), ("spec", map(&POD_SPEC))]);
const POD_TEMPLATE: Type = Type(&[("metadata", map(&OBJECT_META)), ("template", map(&POD_TEMPLATE_SPEC))]);
const WORKLOAD_SPEC: Type = Type(&[("template", map(&POD_TEMPLATE_SPEC))]);
const WORKLOAD: Type =
    Type(&[("metadata", map(&OBJECT_META)), ("spec", map(&WORKLOAD_SPEC)), ("status", map(&CONDITIONS))]);
const JOB_TEMPLATE: Type = Type(&[("metadata", map(&OBJECT_META)), ("spec", map(&WORKLOAD_SPEC))]);
const CRON_JOB_SPEC: Type = Type(&[("jobTemplate", map(&JOB_TEMPLATE))]);
const CRON_JOB: Type = Type(&[("metadata", map(&OBJECT_META)), ("spec", map(&CRON_JOB_SPEC))]);
const SERVICE_SPEC: Type = Type(&[("ports", keyed(&["port", "protocol"]))]);
const SERVICE: Type =
    Type(&[("metadata", map(&OBJECT_META)), ("spec", map(&SERVICE_SPEC)), ("status", map(&CONDITIONS))]);
const SERVICE_ACCOUNT: Type = Type(&[("metadata", map(&OBJECT_META)), ("secrets", keyed(&["name"]))]);
const WEBHOOKS: Type = Type(&[("metadata", map(&OBJECT_META)), ("webhooks", keyed(&["name"]))]);
const CSI_NODE_SPEC: Type = Type(&[("drivers", keyed(&["name"]))]);
const CSI_NODE: Type = Type(&[("metadata", map(&OBJECT_META)), ("spec", map(&CSI_NODE_SPEC))]);
const NODE_SPEC: Type = Type(&[("podCIDRs", PRIMITIVE)]);
const NODE_STATUS: Type = Type(&[("addresses", keyed(&["type"])), ("conditions", keyed(&["type"]))]);
const NODE: Type =
    Type(&[("metadata", map(&OBJECT_META)), ("spec", map(&NODE_SPEC)), ("status", map(&NODE_STATUS))]);
const WITH_CONDITIONS: Type = Type(&[("metadata", map(&OBJECT_META)), ("status", map(&CONDITIONS))]);
const COMPONENT_STATUS: Type = Type(&[("metadata", map(&OBJECT_META)), ("conditions", keyed(&["type"]))]);
const KUSTOMIZATION: Type =
    Type(&[("configMapGenerator", keyed(&["name"])), ("secretGenerator", keyed(&["name"]))]);

/// The apiVersions that the schema has, besides those that name a type below.
const KNOWN: &[(&str, &[&str])] = &[
    ("", &["v1"]),
    ("apps", &["v1"]),
    ("batch", &["v1", "v1beta1"]),
    ("autoscaling", &["v1", "v2beta1", "v2beta2"]),
    ("networking.k8s.io", &["v1", "v1beta1"]),
    ("policy", &["v1", "v1beta1"]),
    ("rbac.authorization.k8s.io", &["v1", "v1beta1"]),
    ("storage.k8s.io", &["v1", "v1beta1"]),
    ("scheduling.k8s.io", &["v1", "v1beta1"]),
    ("node.k8s.io", &["v1", "v1beta1"]),
    ("coordination.k8s.io", &["v1", "v1beta1"]),
    ("discovery.k8s.io", &["v1", "v1beta1"]),
    ("events.k8s.io", &["v1", "v1beta1"]),
    ("certificates.k8s.io", &["v1", "v1beta1"]),
    ("admissionregistration.k8s.io", &["v1", "v1beta1"]),
    ("apiextensions.k8s.io", &["v1", "v1beta1"]),
    ("apiregistration.k8s.io", &["v1", "v1beta1"]),
    ("flowcontrol.apiserver.k8s.io", &["v1beta1"]),
    ("authentication.k8s.io", &["v1", "v1beta1"]),
    ("authorization.k8s.io", &["v1", "v1beta1"]),
];

/// The type of an object, by exact apiVersion and kind; none for kinds that the schema lacks.
#[must_use]
pub fn root_type(group: &str, version: &str, kind: &str) -> Option<&'static Type> {
    if (group, version, kind) == ("extensions", "v1beta1", "Ingress") {
        return Some(&META_ONLY);
    }
    if (group, version, kind) == ("kustomize.config.k8s.io", "v1beta1", "Kustomization") {
        return Some(&KUSTOMIZATION);
    }
    if !KNOWN.iter().any(|(g, versions)| *g == group && versions.contains(&version)) {
        return None;
    }
    Some(match (group, kind) {
        ("", "Pod") => &POD,
        ("", "PodTemplate") => &POD_TEMPLATE,
        ("", "ReplicationController") => &WORKLOAD,
        ("", "Service") => &SERVICE,
        ("", "ServiceAccount") => &SERVICE_ACCOUNT,
        ("", "Node") => &NODE,
        ("", "ComponentStatus") => &COMPONENT_STATUS,
        ("", "Namespace" | "PersistentVolumeClaim") => &WITH_CONDITIONS,
        ("apps", "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet") => &WORKLOAD,
        ("batch", "Job") => &WORKLOAD,
        ("batch", "CronJob") => &CRON_JOB,
        ("policy", "PodDisruptionBudget") => &WITH_CONDITIONS,
        ("apiregistration.k8s.io", "APIService") => &WITH_CONDITIONS,
        (
            "admissionregistration.k8s.io",
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration",
        ) => &WEBHOOKS,
        ("storage.k8s.io", "CSINode") => &CSI_NODE,
        _ => &META_ONLY,
    })
}
