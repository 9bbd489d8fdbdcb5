//! Events of the built-in controllers.

use serde_json::json;

use super::workload::create;
use crate::api::{Api, now};
use crate::storage::Stored;

/// Says that a Deployment was scaled.
pub(super) fn record(api: &Api, object: &Stored, message: &str) {
    let time = now();
    let body = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"generateName": format!("{}.", object.key.name)},
        "involvedObject": {"apiVersion": "apps/v1", "kind": "Deployment", "name": object.key.name,
                           "namespace": object.key.namespace, "uid": object.uid},
        "type": "Normal", "reason": "ScalingReplicaSet", "message": message, "count": 1,
        "firstTimestamp": time, "lastTimestamp": time,
        "source": {"component": "deployment-controller"}, "reportingComponent": "deployment-controller",
        "reportingInstance": "",
    });
    create(api, "", "events", &object.key.namespace, body);
}
