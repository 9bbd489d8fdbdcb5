//! The columns of the built-in kinds, as `kubectl get` shows them.

use serde_json::{Value, json};

use super::Resource;
use super::columns::{Column, age};

/// The columns of a built-in kind.
pub(super) fn builtin(resource: &Resource) -> Vec<Column> {
    let name = || path("Name", "string", ".metadata.name");
    let created = || vec![path("Age", "date", ".metadata.creationTimestamp")];
    let mut columns = vec![name()];
    columns.extend(match (&*resource.group, &*resource.plural) {
        ("", "pods") => [
            vec![
                computed("Ready", "string", pod_ready),
                computed("Status", "string", pod_status),
                computed("Restarts", "string", pod_restarts),
            ],
            created(),
            wide(vec![
                or_none("IP", ".status.podIP"),
                or_none("Node", ".spec.nodeName"),
                or_none("Nominated Node", ".status.nominatedNodeName"),
                computed("Readiness Gates", "string", |_| json!("<none>")),
            ]),
        ]
        .concat(),
        ("apps", "deployments") => [
            vec![
                computed("Ready", "string", |o| ratio(&o["status"]["readyReplicas"], &o["spec"]["replicas"])),
                count("Up-to-date", ".status.updatedReplicas"),
                count("Available", ".status.availableReplicas"),
            ],
            created(),
            template(true),
        ]
        .concat(),
        ("apps", "replicasets") | ("", "replicationcontrollers") => [
            vec![
                count("Desired", ".spec.replicas"),
                count("Current", ".status.replicas"),
                count("Ready", ".status.readyReplicas"),
            ],
            created(),
            template(true),
        ]
        .concat(),
        ("apps", "statefulsets") => [
            vec![computed("Ready", "string", |o| {
                ratio(&o["status"]["readyReplicas"], &o["spec"]["replicas"])
            })],
            created(),
            template(false),
        ]
        .concat(),
        ("apps", "daemonsets") => [
            vec![
                count("Desired", ".status.desiredNumberScheduled"),
                count("Current", ".status.currentNumberScheduled"),
                count("Ready", ".status.numberReady"),
                count("Up-to-date", ".status.updatedNumberScheduled"),
                count("Available", ".status.numberAvailable"),
                computed("Node Selector", "string", |o| {
                    pairs(&o["spec"]["template"]["spec"]["nodeSelector"])
                }),
            ],
            created(),
            template(true),
        ]
        .concat(),
        ("apps", "controllerrevisions") => [
            vec![
                computed("Controller", "string", |o| {
                    let owner = &o["metadata"]["ownerReferences"][0];
                    json!(format!("{}/{}", text(&owner["kind"]).to_lowercase(), text(&owner["name"])))
                }),
                count("Revision", ".revision"),
            ],
            created(),
        ]
        .concat(),
        ("batch", "jobs") => [
            vec![
                computed("Status", "string", job_status),
                computed("Completions", "string", |o| {
                    ratio(&o["status"]["succeeded"], &o["spec"]["completions"])
                }),
                computed("Duration", "string", job_duration),
            ],
            created(),
            template(true),
        ]
        .concat(),
        ("batch", "cronjobs") => [
            vec![
                path("Schedule", "string", ".spec.schedule"),
                or_none("Timezone", ".spec.timeZone"),
                computed("Suspend", "boolean", |o| {
                    json!(if o["spec"]["suspend"] == true { "True" } else { "False" })
                }),
                computed("Active", "integer", |o| {
                    json!(o["status"]["active"].as_array().map_or(0, Vec::len))
                }),
                computed("Last Schedule", "string", |o| match o["status"]["lastScheduleTime"].as_str() {
                    Some(time) => json!(age(time)),
                    None => json!("<none>"),
                }),
            ],
            created(),
        ]
        .concat(),
        ("", "services") => [
            vec![
                path("Type", "string", ".spec.type"),
                or_none("Cluster-IP", ".spec.clusterIP"),
                computed("External-IP", "string", service_address),
                computed("Port(s)", "string", service_ports),
            ],
            created(),
            wide(vec![computed("Selector", "string", |o| pairs(&o["spec"]["selector"]))]),
        ]
        .concat(),
        ("networking.k8s.io", "ingresses") => [
            vec![
                or_none("Class", ".spec.ingressClassName"),
                computed("Hosts", "string", ingress_hosts),
                computed("Address", "string", |o| json!(addresses(&o["status"]["loadBalancer"]["ingress"]))),
                computed("Ports", "string", |o| {
                    json!(if o["spec"]["tls"].as_array().is_some_and(|tls| !tls.is_empty()) {
                        "80, 443"
                    } else {
                        "80"
                    })
                }),
            ],
            created(),
        ]
        .concat(),
        ("networking.k8s.io", "networkpolicies") => [
            vec![computed("Pod-Selector", "string", |o| pairs(&o["spec"]["podSelector"]["matchLabels"]))],
            created(),
        ]
        .concat(),
        ("", "configmaps") => [
            vec![computed("Data", "integer", |o| json!(entries(&o["data"]) + entries(&o["binaryData"])))],
            created(),
        ]
        .concat(),
        ("", "secrets") => [
            vec![
                path("Type", "string", ".type"),
                computed("Data", "integer", |o| json!(entries(&o["data"]))),
            ],
            created(),
        ]
        .concat(),
        ("", "serviceaccounts") => {
            let secrets = |o: &Value| json!(o["secrets"].as_array().map_or(0, Vec::len));
            [vec![computed("Secrets", "integer", secrets)], created()].concat()
        }
        ("", "namespaces") => [vec![path("Status", "string", ".status.phase")], created()].concat(),
        ("", "nodes") => [
            vec![computed("Status", "string", node_status), computed("Roles", "string", |_| json!("<none>"))],
            created(),
            vec![path("Version", "string", ".status.nodeInfo.kubeletVersion")],
        ]
        .concat(),
        ("", "persistentvolumeclaims") => [
            vec![
                path("Status", "string", ".status.phase"),
                path("Volume", "string", ".spec.volumeName"),
                path("Capacity", "string", ".status.capacity.storage"),
                computed("Access Modes", "string", |o| json!(access_modes(&o["status"]["accessModes"]))),
                path("StorageClass", "string", ".spec.storageClassName"),
                or_unset("VolumeAttributesClass", ".spec.volumeAttributesClassName"),
            ],
            created(),
            wide(vec![path("VolumeMode", "string", ".spec.volumeMode")]),
        ]
        .concat(),
        ("coordination.k8s.io", "leases") => {
            [vec![path("Holder", "string", ".spec.holderIdentity")], created()].concat()
        }
        ("rbac.authorization.k8s.io", "roles" | "clusterroles")
        | ("apiextensions.k8s.io", "customresourcedefinitions") => {
            vec![path("Created At", "date", ".metadata.creationTimestamp").verbatim()]
        }
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => [
            vec![computed("Role", "string", |o| {
                json!(format!("{}/{}", text(&o["roleRef"]["kind"]), text(&o["roleRef"]["name"])))
            })],
            created(),
            wide(vec![
                computed("Users", "string", |o| subjects(o, "User")),
                computed("Groups", "string", |o| subjects(o, "Group")),
                computed("ServiceAccounts", "string", |o| subjects(o, "ServiceAccount")),
            ]),
        ]
        .concat(),
        ("policy", "poddisruptionbudgets") => [
            vec![
                or_na("Min Available", ".spec.minAvailable"),
                or_na("Max Unavailable", ".spec.maxUnavailable"),
                count("Allowed Disruptions", ".status.disruptionsAllowed"),
            ],
            created(),
        ]
        .concat(),
        ("scheduling.k8s.io", "priorityclasses") => [
            vec![
                count("Value", ".value"),
                computed("Global-Default", "boolean", |o| json!(o["globalDefault"] == true)),
            ],
            created(),
            vec![path("PreemptionPolicy", "string", ".preemptionPolicy")],
        ]
        .concat(),
        ("storage.k8s.io", "storageclasses") => [
            vec![
                path("Provisioner", "string", ".provisioner"),
                path("ReclaimPolicy", "string", ".reclaimPolicy"),
                path("VolumeBindingMode", "string", ".volumeBindingMode"),
                computed("AllowVolumeExpansion", "boolean", |o| json!(o["allowVolumeExpansion"] == true)),
            ],
            created(),
        ]
        .concat(),
        ("" | "events.k8s.io", "events") => return events(),
        _ => created(),
    });
    columns
}

fn events() -> Vec<Column> {
    let seen = |o: &Value| {
        let time = ["lastTimestamp", "deprecatedLastTimestamp", "eventTime", "firstTimestamp"];
        let time = time.iter().find_map(|field| o[*field].as_str());
        json!(time.map_or_else(|| "<unknown>".to_owned(), age))
    };
    let object = |o: &Value| {
        let about = if o["involvedObject"].is_object() { &o["involvedObject"] } else { &o["regarding"] };
        json!(format!("{}/{}", text(&about["kind"]).to_lowercase(), text(&about["name"])))
    };
    let message = |o: &Value| json!(o["message"].as_str().or(o["note"].as_str()).unwrap_or_default().trim());
    let mut columns = vec![
        computed("Last Seen", "string", seen),
        path("Type", "string", ".type"),
        path("Reason", "string", ".reason"),
        computed("Object", "string", object),
    ];
    columns.extend(wide(vec![
        path("Subobject", "string", ".involvedObject.fieldPath"),
        path("Source", "string", ".source.component"),
    ]));
    columns.push(computed("Message", "string", message));
    columns.extend(wide(vec![count("Count", ".count"), path("Name", "string", ".metadata.name")]));
    columns
}

fn path(name: &str, kind: &str, path: &str) -> Column {
    Column::simple(name, kind, path)
}

fn computed(name: &str, kind: &str, cell: fn(&Value) -> Value) -> Column {
    Column { cell: Some(cell), ..Column::simple(name, kind, "") }
}

fn count(name: &str, path: &str) -> Column {
    Column { absent: json!(0), ..Column::simple(name, "integer", path) }
}

fn or_none(name: &str, path: &str) -> Column {
    Column { absent: json!("<none>"), ..Column::simple(name, "string", path) }
}

fn or_unset(name: &str, path: &str) -> Column {
    Column { absent: json!("<unset>"), ..Column::simple(name, "string", path) }
}

fn or_na(name: &str, path: &str) -> Column {
    Column { absent: json!("N/A"), ..Column::simple(name, "string", path) }
}

fn wide(columns: Vec<Column>) -> Vec<Column> {
    columns.into_iter().map(|column| Column { priority: 1, ..column }).collect()
}

/// Containers, images and selector of a workload.
fn template(with_selector: bool) -> Vec<Column> {
    let mut columns = vec![
        computed("Containers", "string", |o| json!(containers(o, "name"))),
        computed("Images", "string", |o| json!(containers(o, "image"))),
    ];
    if with_selector {
        columns.push(computed("Selector", "string", |o| {
            let selector = &o["spec"]["selector"];
            pairs(if selector["matchLabels"].is_object() { &selector["matchLabels"] } else { selector })
        }));
    }
    wide(columns)
}

fn containers(object: &Value, field: &str) -> String {
    let all = object["spec"]["template"]["spec"]["containers"].as_array();
    all.into_iter().flatten().map(|container| text(&container[field])).collect::<Vec<_>>().join(",")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn entries(value: &Value) -> usize {
    value.as_object().map_or(0, serde_json::Map::len)
}

fn ratio(have: &Value, want: &Value) -> Value {
    json!(format!("{}/{}", have.as_i64().unwrap_or(0), want.as_i64().unwrap_or(0)))
}

fn pairs(map: &Value) -> Value {
    let pairs: Vec<String> = map
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
        .collect();
    json!(if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") })
}

fn subjects(binding: &Value, kind: &str) -> Value {
    let all = binding["subjects"].as_array().into_iter().flatten().filter(|subject| subject["kind"] == kind);
    let names: Vec<String> = all
        .map(|subject| match kind {
            "ServiceAccount" => format!("{}/{}", text(&subject["namespace"]), text(&subject["name"])),
            _ => text(&subject["name"]).to_owned(),
        })
        .collect();
    json!(names.join(", "))
}

fn access_modes(modes: &Value) -> String {
    let short = |mode: &Value| match text(mode) {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        _ => "",
    };
    modes.as_array().into_iter().flatten().map(short).collect::<Vec<_>>().join(",")
}

fn pod_ready(pod: &Value) -> Value {
    let statuses = pod["status"]["containerStatuses"].as_array();
    let ready = statuses.into_iter().flatten().filter(|status| status["ready"] == true).count();
    json!(format!("{ready}/{}", pod["spec"]["containers"].as_array().map_or(0, Vec::len)))
}

fn pod_status(pod: &Value) -> Value {
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return json!("Terminating");
    }
    let statuses = pod["status"]["containerStatuses"].as_array();
    let reason = statuses.into_iter().flatten().find_map(|status| {
        let state = &status["state"];
        state["waiting"]["reason"].as_str().or(state["terminated"]["reason"].as_str())
    });
    let phase = pod["status"]["reason"].as_str().or(pod["status"]["phase"].as_str());
    json!(reason.or(phase).unwrap_or("Unknown"))
}

fn pod_restarts(pod: &Value) -> Value {
    let statuses = pod["status"]["containerStatuses"].as_array();
    json!(
        statuses
            .into_iter()
            .flatten()
            .filter_map(|status| status["restartCount"].as_i64())
            .sum::<i64>()
            .to_string()
    )
}

fn has_condition(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == kind && condition["status"] == "True")
}

fn node_status(node: &Value) -> Value {
    let ready = if has_condition(node, "Ready") { "Ready" } else { "NotReady" };
    json!(if node["spec"]["unschedulable"] == true {
        format!("{ready},SchedulingDisabled")
    } else {
        ready.to_owned()
    })
}

fn job_status(job: &Value) -> Value {
    let found = ["Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet"]
        .into_iter()
        .find(|kind| has_condition(job, kind));
    json!(found.unwrap_or("Running"))
}

fn job_duration(job: &Value) -> Value {
    let time =
        |field: &str| job["status"][field].as_str().and_then(|time| time.parse::<jiff::Timestamp>().ok());
    match (time("startTime"), time("completionTime")) {
        (Some(start), Some(end)) => json!(super::columns::duration(end.as_second() - start.as_second())),
        (Some(_), None) => json!(age(text(&job["status"]["startTime"]))),
        _ => json!(""),
    }
}

fn addresses(ingress: &Value) -> String {
    let all = ingress.as_array().into_iter().flatten();
    all.filter_map(|entry| entry["ip"].as_str().or(entry["hostname"].as_str())).collect::<Vec<_>>().join(",")
}

fn service_address(service: &Value) -> Value {
    let external =
        service["spec"]["externalIPs"].as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
    match text(&service["spec"]["type"]) {
        "ExternalName" => service["spec"]["externalName"].clone(),
        "LoadBalancer" => {
            let found = addresses(&service["status"]["loadBalancer"]["ingress"]);
            json!(if found.is_empty() { "<pending>".to_owned() } else { found })
        }
        _ if external.is_empty() => json!("<none>"),
        _ => json!(external.join(",")),
    }
}

fn service_ports(service: &Value) -> Value {
    let ports: Vec<String> = service["spec"]["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|port| {
            let (number, protocol) = (&port["port"], text(&port["protocol"]));
            match port["nodePort"].as_i64() {
                Some(node) => format!("{number}:{node}/{protocol}"),
                None => format!("{number}/{protocol}"),
            }
        })
        .collect();
    json!(if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") })
}

fn ingress_hosts(ingress: &Value) -> Value {
    let rules = ingress["spec"]["rules"].as_array().into_iter().flatten();
    let hosts: Vec<&str> =
        rules.filter_map(|rule| rule["host"].as_str()).filter(|host| !host.is_empty()).collect();
    match hosts.as_slice() {
        [] => json!("*"),
        [first @ .., _] if first.len() >= 3 => {
            json!(format!("{} + {} more...", hosts[..3].join(","), hosts.len() - 3))
        }
        all => json!(all.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_say_what_kubectl_shows() {
        let pod = json!({"spec": {"containers": [{}, {}]}, "status": {"phase": "Running", "containerStatuses": [
            {"ready": true, "restartCount": 1, "state": {"running": {}}},
            {"ready": false, "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}});
        assert_eq!(
            (pod_ready(&pod), pod_status(&pod), pod_restarts(&pod)),
            (json!("1/2"), json!("CrashLoopBackOff"), json!("5"))
        );
        let service = json!({"spec": {"type": "LoadBalancer", "ports": [
            {"port": 80, "protocol": "TCP", "nodePort": 30000}, {"port": 53, "protocol": "UDP"}]}});
        assert_eq!(
            (service_address(&service), service_ports(&service)),
            (json!("<pending>"), json!("80:30000/TCP,53/UDP"))
        );
        for (hosts, want) in [
            (vec![], "*"),
            (vec!["a", "b", "c"], "a,b,c"),
            (vec!["a", "b", "c", "d", "e"], "a,b,c + 2 more..."),
        ] {
            let rules: Vec<Value> = hosts.iter().map(|host| json!({"host": host})).collect();
            assert_eq!(ingress_hosts(&json!({"spec": {"rules": rules}})), json!(want));
        }
    }
}
