//! Pods run at once, or as they are told to.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::workload::{Behaviour, merged, patch};
use crate::api::Api;
use crate::storage::{CollectionId, Query, Stored};

/// Opens a node that is ready.
pub(super) fn node(api: &Arc<Api>, object: &Stored) {
    let value = object.value();
    let is_shut = |taint: &&Value| taint["key"] == "node.kubernetes.io/not-ready";
    let taints = value["spec"]["taints"].as_array().map(Vec::as_slice).unwrap_or_default();
    if super::workload::is_ready(&value) && taints.iter().any(|taint| is_shut(&taint)) {
        let rest: Vec<&Value> = taints.iter().filter(|taint| !is_shut(taint)).collect();
        let rest = if rest.is_empty() { Value::Null } else { json!(rest) };
        patch(api, object, "", json!({"spec": {"taints": rest}}));
    }
}

/// Brings a pod a step on; gives the time after which to look again.
pub(super) fn changed(api: &Arc<Api>, object: &Stored) -> Option<Duration> {
    let value = object.value();
    let behaviour = Behaviour::of(&value["metadata"]);
    let nodes = api.store.list(&CollectionId::new("", "nodes"), &Query::default());
    let nodes = nodes.map(|listing| listing.objects).unwrap_or_default();
    if value["spec"]["nodeName"].is_null() {
        let index = usize::try_from(object.revision).unwrap_or(0).checked_rem(nodes.len())?;
        patch(api, object, "", json!({"spec": {"nodeName": nodes.get(index)?.key.name}}));
        return None;
    }
    let wait = match behaviour {
        Behaviour::Slow(wait) => {
            let created = value["metadata"]["creationTimestamp"].as_str().unwrap_or_default();
            let created = created.parse::<jiff::Timestamp>().unwrap_or_default();
            let age = jiff::Timestamp::now().duration_since(created).unsigned_abs();
            wait.checked_sub(age).filter(|left| !left.is_zero())
        }
        _ => None,
    };
    let ready = wait.is_none() && matches!(behaviour, Behaviour::Ready | Behaviour::Slow(_));
    let restarts = value["spec"]["restartPolicy"].as_str().is_none_or(|policy| policy == "Always");
    let finished = !restarts && ready;
    let failed = behaviour == Behaviour::Fail && value["spec"]["restartPolicy"] == "Never";
    let containers: Vec<Value> = value["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|container| {
            let state = match behaviour {
                _ if finished => json!({"terminated": {"exitCode": 0, "reason": "Completed"}}),
                _ if ready => json!({"running": {"startedAt": value["metadata"]["creationTimestamp"]}}),
                _ if failed => json!({"terminated": {"exitCode": 1, "reason": "Error"}}),
                Behaviour::Fail => json!({"waiting": {"reason": "CrashLoopBackOff", "message": "the container was told to fail"}}),
                _ => json!({"waiting": {"reason": "ContainerCreating"}}),
            };
            json!({"name": container["name"], "image": container["image"], "imageID": "", "ready": ready && !finished,
                   "restartCount": i32::from(behaviour == Behaviour::Fail && !failed), "started": ready, "state": state})
        })
        .collect();
    let text = |yes: bool| if yes { "True" } else { "False" };
    let conditions = [
        ("Initialized", "True", "", String::new()),
        (
            "Ready",
            text(ready && !finished),
            if finished {
                "PodCompleted"
            } else if ready {
                ""
            } else {
                "ContainersNotReady"
            },
            String::new(),
        ),
        ("ContainersReady", text(ready && !finished), "", String::new()),
        ("PodScheduled", "True", "", String::new()),
    ];
    let phase = match behaviour {
        _ if finished => "Succeeded",
        _ if failed => "Failed",
        Behaviour::Never => "Pending",
        _ if wait.is_some() => "Pending",
        _ => "Running",
    };
    let address = format!("10.244.{}.{}", (object.revision >> 8) & 0xFF, object.revision & 0xFF);
    let address = value["status"]["podIP"].as_str().map_or(address, str::to_owned);
    let status = json!({
        "phase": phase, "conditions": merged(&value["status"]["conditions"], &conditions), "containerStatuses": containers,
        "podIP": address, "podIPs": [{"ip": address}], "hostIP": "127.0.0.1", "startTime": value["metadata"]["creationTimestamp"],
    });
    patch(api, object, "status", json!({"status": status}));
    wait
}
