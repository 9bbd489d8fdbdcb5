//! What every cluster has from the start: the system namespaces, the default roles, the nodes.

use serde_json::{Value, json};

use super::{Api, WriteOptions};

const RBAC: &str = "rbac.authorization.k8s.io";
const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];

/// What the role `view` shows, by group.
const VIEWED: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "bindings",
            "configmaps",
            "endpoints",
            "events",
            "limitranges",
            "namespaces",
            "namespaces/status",
            "persistentvolumeclaims",
            "persistentvolumeclaims/status",
            "pods",
            "pods/log",
            "pods/status",
            "replicationcontrollers",
            "replicationcontrollers/scale",
            "replicationcontrollers/status",
            "resourcequotas",
            "resourcequotas/status",
            "serviceaccounts",
            "services",
            "services/status",
        ],
    ),
    (
        "apps",
        &[
            "controllerrevisions",
            "daemonsets",
            "daemonsets/status",
            "deployments",
            "deployments/scale",
            "deployments/status",
            "replicasets",
            "replicasets/scale",
            "replicasets/status",
            "statefulsets",
            "statefulsets/scale",
            "statefulsets/status",
        ],
    ),
    ("autoscaling", &["horizontalpodautoscalers", "horizontalpodautoscalers/status"]),
    ("batch", &["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
    ("discovery.k8s.io", &["endpointslices"]),
    ("networking.k8s.io", &["ingresses", "ingresses/status", "networkpolicies"]),
    ("policy", &["poddisruptionbudgets", "poddisruptionbudgets/status"]),
];

/// What the role `edit` changes, by group.
const EDITED: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "configmaps",
            "endpoints",
            "events",
            "persistentvolumeclaims",
            "pods",
            "pods/attach",
            "pods/eviction",
            "pods/exec",
            "pods/portforward",
            "pods/proxy",
            "replicationcontrollers",
            "replicationcontrollers/scale",
            "secrets",
            "serviceaccounts",
            "serviceaccounts/token",
            "services",
            "services/proxy",
        ],
    ),
    (
        "apps",
        &[
            "daemonsets",
            "deployments",
            "deployments/rollback",
            "deployments/scale",
            "replicasets",
            "replicasets/scale",
            "statefulsets",
            "statefulsets/scale",
        ],
    ),
    ("autoscaling", &["horizontalpodautoscalers"]),
    ("batch", &["cronjobs", "jobs"]),
    ("coordination.k8s.io", &["leases"]),
    ("networking.k8s.io", &["ingresses", "networkpolicies"]),
    ("policy", &["poddisruptionbudgets"]),
];

impl Api {
    /// Creates what every cluster has, and `nodes` nodes.
    ///
    /// # Errors
    /// A text, if an object is refused: a fault of this program.
    pub(super) fn bootstrap(&self, nodes: usize) -> Result<(), String> {
        for namespace in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            self.provide("", "namespaces", body)?;
        }
        for number in 0..nodes {
            let name = format!("node-{number}");
            let labels = json!({
                "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
            });
            let body =
                json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}});
            self.provide("", "nodes", body)?;
        }
        for body in cluster_roles() {
            self.provide(RBAC, "clusterroles", body)?;
        }
        for (role, group) in
            [("cluster-admin", "system:masters"), ("system:basic-user", "system:authenticated")]
        {
            let body = json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": {"name": role, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
                "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
                "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": group}],
            });
            self.provide(RBAC, "clusterrolebindings", body)?;
        }
        Ok(())
    }

    fn provide(&self, group: &str, plural: &str, body: Value) -> Result<(), String> {
        let target = self.target(group, "v1", plural, "", "").map_err(|error| error.to_string())?;
        let created = self.create(&target, body, &WriteOptions::by("kube-apiserver"));
        created.map(drop).map_err(|error| error.to_string())
    }
}

fn cluster_roles() -> Vec<Value> {
    let everything = json!([
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ]);
    let basic = json!([
        {"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], "verbs": ["create"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]},
    ]);
    let mut edit = rules(EDITED, WRITE);
    edit.push(json!({"apiGroups": [""], "resources": ["secrets"], "verbs": READ}));
    edit.push(json!({"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]}));
    let all = [READ, WRITE].concat();
    let admin = json!([
        {"apiGroups": [RBAC], "resources": ["rolebindings", "roles"], "verbs": all},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["localsubjectaccessreviews"], "verbs": ["create"]},
    ]);
    let aggregate = |to: &str| json!({(format!("{RBAC}/aggregate-to-{to}")): "true"});
    let aggregated = |to: &str| json!({"clusterRoleSelectors": [{"matchLabels": aggregate(to)}]});
    let role = |name: &str, labels: Value, rules: Value, aggregation: Option<Value>| {
        let mut labels = labels;
        labels["kubernetes.io/bootstrapping"] = "rbac-defaults".into();
        let mut role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": name, "labels": labels}, "rules": rules,
        });
        if let Some(aggregation) = aggregation {
            role["aggregationRule"] = aggregation;
        }
        role
    };
    vec![
        role("cluster-admin", json!({}), everything, None),
        role("system:basic-user", json!({}), basic, None),
        role("admin", json!({}), json!([]), Some(aggregated("admin"))),
        role("edit", aggregate("admin"), json!([]), Some(aggregated("edit"))),
        role("view", aggregate("edit"), json!([]), Some(aggregated("view"))),
        role("system:aggregate-to-admin", aggregate("admin"), admin, None),
        role("system:aggregate-to-edit", aggregate("edit"), edit.into(), None),
        role("system:aggregate-to-view", aggregate("view"), rules(VIEWED, READ).into(), None),
    ]
}

fn rules(resources: &[(&str, &[&str])], verbs: &[&str]) -> Vec<Value> {
    resources
        .iter()
        .map(|(group, names)| json!({"apiGroups": [group], "resources": names, "verbs": verbs}))
        .collect()
}
