//! Validation of the kinds that make pods from a template.

use serde_json::{Map, Value};

use super::FieldError;
use super::error::Struct;
use super::rules::{
    IMMUTABLE, at_most_all, immutable_struct, is_empty, is_none_of, items, label_selector, matches, named,
    not_negative, number_or_percent, one_of, required_one_of, same, text,
};
use super::{meta, names, pods, storage};

/// A Deployment.
pub(super) fn deployment(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    not_negative(&spec["replicas"], "spec.replicas", out);
    if selector(spec, "deployment", "invalid label selector", out) {
        replicas_template(spec, out);
    }
    strategy(&spec["strategy"], out);
    not_negative(&spec["minReadySeconds"], "spec.minReadySeconds", out);
    not_negative(&spec["revisionHistoryLimit"], "spec.revisionHistoryLimit", out);
    let deadline = &spec["progressDeadlineSeconds"];
    not_negative(deadline, "spec.progressDeadlineSeconds", out);
    let ready = spec["minReadySeconds"].as_i64().unwrap_or(0);
    if deadline.as_i64().is_some_and(|deadline| deadline <= ready) {
        let why = "must be greater than minReadySeconds";
        out.push(FieldError::invalid("spec.progressDeadlineSeconds", deadline, why));
    }
    selector_stays(spec, old, out);
}

/// A ReplicaSet.
pub(super) fn replica_set(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    not_negative(&spec["replicas"], "spec.replicas", out);
    not_negative(&spec["minReadySeconds"], "spec.minReadySeconds", out);
    if selector(spec, "deployment", "invalid label selector", out) {
        replicas_template(spec, out);
    }
    selector_stays(spec, old, out);
}

/// A StatefulSet.
pub(super) fn stateful_set(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let policy = &spec["podManagementPolicy"];
    if !matches!(text(policy), "OrderedReady" | "Parallel") {
        let why = "must be 'OrderedReady' or 'Parallel'";
        out.push(FieldError::invalid("spec.podManagementPolicy", policy, why));
    }
    let update = &spec["updateStrategy"];
    let (path, rolling) = ("spec.updateStrategy.rollingUpdate", &update["rollingUpdate"]);
    match text(&update["type"]) {
        "OnDelete" if rolling.is_object() => {
            let why = "only allowed for updateStrategy 'RollingUpdate'";
            out.push(FieldError::invalid(path, &Struct("RollingUpdateStatefulSetStrategy", rolling), why));
        }
        "OnDelete" => {}
        "RollingUpdate" => {
            not_negative(&rolling["partition"], format!("{path}.partition"), out);
        }
        _ => {
            let why = "must be 'RollingUpdate' or 'OnDelete'";
            let value = Struct("StatefulSetUpdateStrategy", update);
            out.push(FieldError::invalid("spec.updateStrategy", &value, why));
        }
    }
    let retention = &spec["persistentVolumeClaimRetentionPolicy"];
    if retention.is_object() {
        for field in ["whenDeleted", "whenScaled"] {
            let path = format!("spec.persistentVolumeClaimRetentionPolicy.{field}");
            one_of(&retention[field], &["Retain", "Delete"], &path, out);
        }
    }
    if old.is_none() {
        for (at, claim) in items(&spec["volumeClaimTemplates"]).iter().enumerate() {
            storage::claim_spec(&claim["spec"], &format!("spec.volumeClaimTemplates[{at}].spec"), out);
        }
    }
    not_negative(&spec["replicas"], "spec.replicas", out);
    not_negative(&spec["minReadySeconds"], "spec.minReadySeconds", out);
    not_negative(&spec["ordinals"]["start"], "spec.ordinals.start", out);
    if old.is_none() && !is_empty(&spec["serviceName"]) {
        named(&spec["serviceName"], names::label, "spec.serviceName", out);
    }
    if selector(spec, "statefulset", "", out) {
        let template = identities(spec);
        fits(spec, out);
        self::template(&template, "spec.template", out);
        let metadata = &template["metadata"];
        out.extend(meta::labels(&metadata["labels"], "spec.template.labels"));
        out.extend(meta::annotations(&metadata["annotations"], "spec.template.annotations"));
    }
    always(spec, "StatefulSet", out);
    if old.is_some_and(|old| !same(&fixed(&old["spec"]), &fixed(spec))) {
        let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                   'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                   'minReadySeconds' are forbidden";
        out.push(FieldError::forbidden("spec", why));
    }
}

/// The template as the pods will be: host names and claims are the controller's to give.
fn identities(spec: &Value) -> Value {
    let mut template = spec["template"].clone();
    let Some(pod) = template.get_mut("spec").and_then(Value::as_object_mut) else { return template };
    pod.remove("subdomain");
    pod.remove("hostname");
    let claims: Vec<&str> =
        items(&spec["volumeClaimTemplates"]).iter().map(|claim| text(&claim["metadata"]["name"])).collect();
    if claims.is_empty() {
        return template;
    }
    let volume =
        |name: &&str| serde_json::json!({"name": name, "persistentVolumeClaim": {"claimName": name}});
    let mut volumes: Vec<Value> = claims.iter().map(volume).collect();
    let others = pod.remove("volumes").unwrap_or_default();
    volumes.extend(items(&others).iter().filter(|volume| !claims.contains(&text(&volume["name"]))).cloned());
    pod.insert("volumes".to_owned(), volumes.into());
    template
}

/// What of a StatefulSet's spec stays.
fn fixed(spec: &Value) -> Value {
    const FREE: &[&str] = &[
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let fields = spec.as_object().into_iter().flatten();
    let kept = fields.filter(|(name, value)| !FREE.contains(&name.as_str()) && !value.is_null());
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
}

/// A DaemonSet.
pub(super) fn daemon_set(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    selector_stays(spec, old, out);
    let (selector, before) = (&spec["selector"], out.len());
    label_selector(selector, "spec.selector", out);
    if out.len() == before {
        fits(spec, out);
    }
    if selector.is_object() && is_everything(selector) {
        out.push(FieldError::invalid("spec.selector", selector, "empty selector is invalid for daemonset"));
    }
    template(&spec["template"], "spec.template", out);
    always(spec, "DaemonSet", out);
    not_negative(&spec["minReadySeconds"], "spec.minReadySeconds", out);
    let (update, path) = (&spec["updateStrategy"], "spec.updateStrategy.rollingUpdate");
    match text(&update["type"]) {
        "OnDelete" => {}
        "RollingUpdate" => {
            let rolling = &update["rollingUpdate"];
            let most = [("maxUnavailable", &rolling["maxUnavailable"]), ("maxSurge", &rolling["maxSurge"])];
            for (field, value) in most {
                number_or_percent(value, &format!("{path}.{field}"), out);
            }
            for (field, value) in most {
                at_most_all(value, &format!("{path}.{field}"), out);
            }
            match (is_none_of(&rolling["maxUnavailable"]), is_none_of(&rolling["maxSurge"])) {
                (false, false) => {
                    let why = "may not be set when maxUnavailable is non-zero";
                    out.push(FieldError::invalid(format!("{path}.maxSurge"), &rolling["maxSurge"], why));
                }
                (true, true) => {
                    let why = "cannot be 0 when maxSurge is 0";
                    out.push(FieldError::required(format!("{path}.maxUnavailable"), why));
                }
                _ => {}
            }
        }
        _ => {
            let value = Struct("DaemonSetUpdateStrategy", update);
            let known = ["RollingUpdate", "OnDelete"];
            out.push(FieldError::not_supported("spec.updateStrategy", &value, &known));
        }
    }
    not_negative(&spec["revisionHistoryLimit"], "spec.revisionHistoryLimit", out);
}

/// Tells whether the selector can be used, so that the template can be held against it.
fn selector(spec: &Value, kind: &str, why: &str, out: &mut Vec<FieldError>) -> bool {
    let selector = &spec["selector"];
    if selector.is_null() {
        out.push(FieldError::required("spec.selector", ""));
        return true;
    }
    let before = out.len();
    label_selector(selector, "spec.selector", out);
    let is_usable = out.len() == before;
    if is_everything(selector) {
        out.push(FieldError::invalid(
            "spec.selector",
            selector,
            format!("empty selector is invalid for {kind}"),
        ));
    }
    if !is_usable {
        out.push(FieldError::invalid("spec.selector", &Struct("LabelSelector", selector), why));
    }
    is_usable
}

/// Whether a selector picks all there is.
fn is_everything(selector: &Value) -> bool {
    is_empty(&selector["matchLabels"]) && is_empty(&selector["matchExpressions"])
}

fn selector_stays(spec: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    if let Some(old) = old {
        immutable_struct("LabelSelector", &spec["selector"], &old["spec"]["selector"], "spec.selector", out);
    }
}

/// The selector picks the pods that the template makes.
fn fits(spec: &Value, out: &mut Vec<FieldError>) {
    let (selector, labels) = (&spec["selector"], &spec["template"]["metadata"]["labels"]);
    let picks_all = selector.is_object() && is_everything(selector);
    if !picks_all && !matches(selector, labels) {
        let why = "`selector` does not match template `labels`";
        out.push(FieldError::invalid("spec.template.metadata.labels", labels, why));
    }
}

fn replicas_template(spec: &Value, out: &mut Vec<FieldError>) {
    fits(spec, out);
    template(&spec["template"], "spec.template", out);
    always(spec, "ReplicaSet", out);
}

/// Pods of these kinds run until somebody ends them.
fn always(spec: &Value, kind: &str, out: &mut Vec<FieldError>) {
    let pod = &spec["template"]["spec"];
    if text(&pod["restartPolicy"]) != "Always" {
        let policy = text(&pod["restartPolicy"]);
        out.push(FieldError::not_supported("spec.template.spec.restartPolicy", policy, &["Always"]));
    }
    if !pod["activeDeadlineSeconds"].is_null() {
        out.push(FieldError::forbidden(
            "spec.template.spec.activeDeadlineSeconds",
            format!("activeDeadlineSeconds in {kind} is not Supported"),
        ));
    }
}

/// A template of pods.
pub(super) fn template(template: &Value, path: &str, out: &mut Vec<FieldError>) {
    let metadata = &template["metadata"];
    out.extend(meta::labels(&metadata["labels"], &format!("{path}.labels")));
    out.extend(meta::annotations(&metadata["annotations"], &format!("{path}.annotations")));
    pods::spec(&template["spec"], &format!("{path}.spec"), out);
}

fn strategy(strategy: &Value, out: &mut Vec<FieldError>) {
    let path = "spec.strategy.rollingUpdate";
    let rolling = &strategy["rollingUpdate"];
    match text(&strategy["type"]) {
        "Recreate" => {
            if rolling.is_object() {
                let why = "may not be specified when strategy `type` is 'Recreate'";
                out.push(FieldError::forbidden(path, why));
            }
        }
        "RollingUpdate" => {
            for field in ["maxUnavailable", "maxSurge"] {
                number_or_percent(&rolling[field], &format!("{path}.{field}"), out);
            }
            let (most, at) = (&rolling["maxUnavailable"], format!("{path}.maxUnavailable"));
            if is_none_of(most) && is_none_of(&rolling["maxSurge"]) {
                out.push(FieldError::invalid(&at, most, "may not be 0 when `maxSurge` is 0"));
            }
            at_most_all(most, &at, out);
        }
        _ => {
            let value = Struct("DeploymentStrategy", strategy);
            let known = ["Recreate", "RollingUpdate"];
            out.push(FieldError::not_supported("spec.strategy", &value, &known));
        }
    }
}

/// A ControllerRevision.
pub(super) fn revision(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    not_negative(&object["revision"], "revision", out);
    match old {
        None if object["data"].is_null() => out.push(FieldError::required("data", "data is mandatory")),
        None if !object["data"].is_object() => {
            out.push(FieldError::required("data", "data must be a valid JSON object"));
        }
        Some(old) if old["data"] != object["data"] => {
            out.push(FieldError::invalid("data", &object["data"], IMMUTABLE));
        }
        _ => {}
    }
}

/// The counts in the status of a workload: none is below zero, none above that of all replicas.
pub(super) fn status(plural: &str, object: &Value, out: &mut Vec<FieldError>) {
    let fields: &[&str] = match plural {
        "deployments" => &[
            "observedGeneration",
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
            "terminatingReplicas",
            "collisionCount",
        ],
        "statefulsets" => &[
            "replicas",
            "readyReplicas",
            "currentReplicas",
            "updatedReplicas",
            "availableReplicas",
            "observedGeneration",
            "collisionCount",
        ],
        "replicasets" => &[
            "replicas",
            "fullyLabeledReplicas",
            "readyReplicas",
            "availableReplicas",
            "observedGeneration",
            "terminatingReplicas",
        ],
        _ => &[
            "currentNumberScheduled",
            "numberMisscheduled",
            "desiredNumberScheduled",
            "numberReady",
            "observedGeneration",
            "updatedNumberScheduled",
            "numberAvailable",
            "numberUnavailable",
            "collisionCount",
        ],
    };
    let status = &object["status"];
    for field in fields {
        not_negative(&status[*field], format!("status.{field}"), out);
    }
    let parts: &[&str] = match plural {
        "deployments" => &["updatedReplicas", "readyReplicas", "availableReplicas"],
        "statefulsets" => &["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"],
        "replicasets" => &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
        _ => return,
    };
    let number = |field: &str| status[field].as_i64().unwrap_or(0);
    for field in parts.iter().filter(|field| number(field) > number("replicas")) {
        let why = "cannot be greater than status.replicas";
        out.push(FieldError::invalid(format!("status.{field}"), &number(field), why));
    }
    if number("availableReplicas") > number("readyReplicas") {
        let ready = if plural == "statefulsets" { "status.readyReplicas" } else { "readyReplicas" };
        let why = format!("cannot be greater than {ready}");
        out.push(FieldError::invalid("status.availableReplicas", &number("availableReplicas"), why));
    }
}

/// A PodDisruptionBudget.
pub(super) fn budget(object: &Value, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        let why = "minAvailable and maxUnavailable cannot be both set";
        out.push(FieldError::invalid("spec", &Struct("PodDisruptionBudgetSpec", spec), why));
    }
    for field in ["minAvailable", "maxUnavailable"] {
        let path = format!("spec.{field}");
        number_or_percent(&spec[field], &path, out);
        at_most_all(&spec[field], &path, out);
    }
    label_selector(&spec["selector"], "spec.selector", out);
    let policy = &spec["unhealthyPodEvictionPolicy"];
    one_of(policy, &["AlwaysAllow", "IfHealthyBudget"], "spec.unhealthyPodEvictionPolicy", out);
}

/// The status of a PodDisruptionBudget.
pub(super) fn budget_status(object: &Value, out: &mut Vec<FieldError>) {
    for field in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
        not_negative(&object["status"][field], format!("status.{field}"), out);
    }
}

/// A PriorityClass.
pub(super) fn priority_class(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    const MOST: i64 = 1_000_000_000;
    let (name, value) = (text(&object["metadata"]["name"]), &object["value"]);
    let policy = &object["preemptionPolicy"];
    match old {
        None => {
            if name.starts_with("system-")
                && !matches!(name, "system-cluster-critical" | "system-node-critical")
            {
                let why = format!(
                    "priority class names with 'system-' prefix are reserved for system use only. error: {name} is \
                     not a known system priority class"
                );
                out.push(FieldError::forbidden("metadata.name", why));
            } else if !name.starts_with("system-") && value.as_i64().is_some_and(|value| value > MOST) {
                let why = format!("maximum allowed value of a user defined priority is {MOST}");
                out.push(FieldError::forbidden("value", why));
            }
            required_one_of(policy, &["PreemptLowerPriority", "Never"], "preemptionPolicy", out);
        }
        Some(old) => {
            if old["value"] != *value {
                out.push(FieldError::forbidden("value", "may not be changed in an update."));
            }
            if old["preemptionPolicy"] != *policy {
                out.push(FieldError::invalid("preemptionPolicy", policy, IMMUTABLE));
            }
        }
    }
}
