//! Events, in the form of the core group (`events.k8s.io` shows the same under other names).

use serde_json::Value;

use super::FieldError;
use super::names;
use super::rules::{immutable, is_empty, required, same, text};

/// An Event; `is_new_api` tells that it came through `events.k8s.io`, which is stricter.
pub(super) fn event(object: &Value, old: Option<&Value>, is_new_api: bool, out: &mut Vec<FieldError>) {
    common(object, is_new_api, out);
    if !is_new_api {
        return;
    }
    match old {
        None => strict(object, out),
        Some(old) => {
            if !same(&old["series"], &object["series"]) {
                series(&object["series"], out);
            }
            for field in [
                "involvedObject",
                "reason",
                "message",
                "source",
                "firstTimestamp",
                "lastTimestamp",
                "count",
                "type",
                "eventTime",
                "action",
                "related",
                "reportingComponent",
                "reportingInstance",
            ] {
                let name = if field == "reportingComponent" { "reportingController" } else { field };
                immutable(&object[field], &old[field], name, out);
            }
        }
    }
}

fn common(object: &Value, is_new_api: bool, out: &mut Vec<FieldError>) {
    let own = text(&object["metadata"]["namespace"]);
    let involved = &object["involvedObject"]["namespace"];
    let mut elsewhere = |is_elsewhere: bool| {
        if is_elsewhere {
            let why = "does not match event.namespace";
            out.push(FieldError::invalid("involvedObject.namespace", text(involved), why));
        }
    };
    if is_empty(&object["eventTime"]) {
        let expected = if is_empty(involved) { "default" } else { text(involved) };
        elsewhere(own != expected);
        return;
    }
    elsewhere(is_empty(involved) && !matches!(own, "default" | "kube-system"));
    let controller = &object["reportingComponent"];
    let path = if is_new_api { "reportingController" } else { "reportingComponent" };
    required(controller, path, out);
    out.extend(
        names::qualified(text(controller))
            .into_iter()
            .map(|why| FieldError::invalid(path, text(controller), why)),
    );
    for (field, most) in [("reportingInstance", 128), ("action", 128), ("reason", 128)] {
        required(&object[field], field, out);
        at_most(&object[field], most, field, out);
    }
    at_most(&object["message"], 1024, "message", out);
}

fn at_most(value: &Value, most: usize, path: &str, out: &mut Vec<FieldError>) {
    if text(value).len() > most {
        out.push(FieldError::invalid(path, "", format!("can have at most {most} characters")));
    }
}

fn strict(object: &Value, out: &mut Vec<FieldError>) {
    series(&object["series"], out);
    required(&object["eventTime"], "eventTime", out);
    let kind = text(&object["type"]);
    if !matches!(kind, "Normal" | "Warning") {
        out.push(FieldError::invalid("type", "", format!("has invalid value: {kind}")));
    }
    for field in ["firstTimestamp", "lastTimestamp", "count", "source"] {
        if !is_empty(&object[field]) {
            out.push(FieldError::invalid(field, "", "needs to be unset"));
        }
    }
}

fn series(series: &Value, out: &mut Vec<FieldError>) {
    if series.is_object() {
        if series["count"].as_i64().unwrap_or(0) < 2 {
            out.push(FieldError::invalid("series.count", "", "should be at least 2"));
        }
        required(&series["lastObservedTime"], "series.lastObservedTime", out);
    }
}
