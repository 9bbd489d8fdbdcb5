//! One object in several versions of its API: what is stored, and what a request shows and sends.
//!
//! Built-in kinds differ between versions in two places: `events.k8s.io` names the fields of events anew, and
//! `autoscaling/v1` knows one metric where `autoscaling/v2` has a list. Custom kinds only change their version.

use serde_json::{Map, Value, json};

use super::Resource;
use super::defaults::child;

/// Fields of events: in the core group, and in `events.k8s.io`.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("count", "deprecatedCount"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("involvedObject", "regarding"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
];
/// Where `autoscaling/v1` keeps the metrics that it has no field for.
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";

/// Whether the resource is a view of what another version stores.
pub(super) fn is_view(resource: &Resource) -> bool {
    resource.is("events.k8s.io", "events")
        || (resource.is("autoscaling", "horizontalpodautoscalers") && &*resource.version == "v1")
}

/// The object as it is stored.
pub(super) fn to_storage(resource: &Resource, mut value: Value) -> Value {
    if let Some(custom) = &resource.custom {
        value["apiVersion"] = format!("{}/{}", resource.group, custom.storage_version).into();
    } else if resource.is("events.k8s.io", "events") {
        rename(&mut value, |(core, new)| (new, core));
        complete_core_event(&mut value);
        value["apiVersion"] = "v1".into();
    } else if is_view(resource) {
        to_metrics(&mut value);
        value["apiVersion"] = "autoscaling/v2".into();
    }
    value
}

/// A stored object as the version of the resource shows it.
pub(super) fn from_storage(resource: &Resource, mut value: Value) -> Value {
    if is_view(resource) {
        match &*resource.group {
            "autoscaling" => from_metrics(&mut value),
            _ => to_new_event(&mut value),
        }
    }
    value["apiVersion"] = resource.api_version().into();
    value
}

/// Writes what Go writes of an event although it is nothing.
pub(super) fn complete_event(resource: &Resource, value: &mut Value) {
    if is_view(resource) {
        rename(value, |(core, new)| (new, core));
        complete_core_event(value);
        to_new_event(value);
    } else {
        complete_core_event(value);
    }
}

fn complete_core_event(value: &mut Value) {
    let Some(map) = value.as_object_mut() else { return };
    for (field, nothing) in [
        ("eventTime", Value::Null),
        ("firstTimestamp", Value::Null),
        ("involvedObject", json!({})),
        ("lastTimestamp", Value::Null),
        ("reportingComponent", json!("")),
        ("reportingInstance", json!("")),
        ("source", json!({})),
    ] {
        map.entry(field).or_insert(nothing);
    }
}

fn to_new_event(value: &mut Value) {
    rename(value, |names| names);
    if let Some(map) = value.as_object_mut() {
        map.retain(|field, value| {
            !(*value == "" && matches!(field.as_str(), "reportingController" | "reportingInstance"))
        });
    }
}

fn rename(value: &mut Value, direction: fn((&'static str, &'static str)) -> (&'static str, &'static str)) {
    let Some(map) = value.as_object_mut() else { return };
    for (from, to) in EVENT_FIELDS.map(direction) {
        if let Some(field) = map.remove(from) {
            map.insert(to.to_owned(), field);
        }
    }
}

/// A metric of the processor's use, in percent of what pods ask for.
fn processor(metric: &Value) -> Option<&Value> {
    let target = &metric["resource"]["target"]["averageUtilization"];
    let is_it = metric["type"] == "Resource" && metric["resource"]["name"] == "cpu" && target.is_i64();
    is_it.then_some(target)
}

fn to_metrics(value: &mut Value) {
    let kept = value["metadata"]["annotations"][METRICS].as_str().map(str::to_owned);
    let mut metrics: Vec<Value> = kept.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    forget_annotation(value);
    let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let percent = spec.remove("targetCPUUtilizationPercentage");
    let percent = percent.or_else(|| metrics.is_empty().then(|| json!(80)));
    if let Some(percent) = percent {
        let target = json!({"type": "Utilization", "averageUtilization": percent});
        metrics.insert(0, json!({"type": "Resource", "resource": {"name": "cpu", "target": target}}));
    }
    spec.insert("metrics".to_owned(), metrics.into());
}

fn from_metrics(value: &mut Value) {
    let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let metrics = spec.remove("metrics").unwrap_or_default();
    let metrics = metrics.as_array().map(Vec::as_slice).unwrap_or_default();
    let known = metrics.iter().position(|metric| processor(metric).is_some());
    if let Some(percent) = known.and_then(|at| processor(&metrics[at])) {
        spec.insert("targetCPUUtilizationPercentage".to_owned(), percent.clone());
    }
    let rest: Vec<&Value> =
        metrics.iter().enumerate().filter(|(at, _)| Some(*at) != known).map(|(_, metric)| metric).collect();
    if !rest.is_empty() {
        let text = json!(rest).to_string();
        child(child(value, "metadata"), "annotations")[METRICS] = text.into();
    }
}

fn forget_annotation(value: &mut Value) {
    let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let annotations = metadata.get_mut("annotations").and_then(Value::as_object_mut);
    if annotations
        .is_some_and(|annotations| annotations.remove(METRICS).is_some() && Map::is_empty(annotations))
    {
        metadata.remove("annotations");
    }
}
