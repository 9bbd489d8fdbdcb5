//! Jobs and CronJobs.

use serde_json::{Value, json};

use super::FieldError;
use super::error::Struct;
use super::networking::domain_prefixed;
use super::rules::{
    immutable, immutable_struct, in_range, is_empty, items, label_selector, matches, named, not_negative,
    one_of, required_one_of, same, text,
};
use super::{cron, names, workloads};

/// The labels that tie pods to their Job, and what they hold: its uid or its name.
pub(crate) const LABELS: [(&str, &str); 4] = [
    ("batch.kubernetes.io/controller-uid", "uid"),
    ("batch.kubernetes.io/job-name", "name"),
    ("controller-uid", "uid"),
    ("job-name", "name"),
];
const HUNDRED_THOUSAND: i64 = 100_000;
const TEN_THOUSAND: i64 = 10_000;

/// A Job. An update is looked at twice: as a Job, and as a change of one.
pub(super) fn job(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    generated_selector(object, out);
    with_selector(spec, out);
    let last = spec["completions"].as_i64().filter(|count| *count > 0);
    let name = text(&object["metadata"]["name"]);
    if let Some(last) = last.filter(|_| spec["completionMode"] == "Indexed") {
        let host = format!("{name}-{}", last - 1);
        if !names::label(&host).is_empty() {
            let why = format!("will not able to create pod with invalid DNS label: {host}");
            out.push(FieldError::invalid("metadata.name", name, why));
        }
    }
    if let Some(old) = old {
        with_selector(spec, out);
        changes(spec, old, out);
    }
}

fn with_selector(spec: &Value, out: &mut Vec<FieldError>) {
    job_spec(spec, "spec", out);
    if spec["selector"].is_null() {
        out.push(FieldError::required("spec.selector", ""));
    } else {
        label_selector(&spec["selector"], "spec.selector", out);
    }
    let labels = &spec["template"]["metadata"]["labels"];
    if !matches(&spec["selector"], labels) {
        let why = "`selector` does not match template `labels`";
        out.push(FieldError::invalid("spec.template.metadata.labels", labels, why));
    }
}

/// Unless the user manages it, the selector is the one that the server made.
fn generated_selector(object: &Value, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    if spec["manualSelector"] == true || spec["selector"].is_null() {
        return;
    }
    let metadata = &object["metadata"];
    let labels = &spec["template"]["metadata"]["labels"];
    // The two old names come first, as upstream has them.
    for (label, field) in LABELS[2..].iter().chain(&LABELS[..2]) {
        let (path, want) = ("spec.template.metadata.labels", text(&metadata[*field]));
        match labels[*label].as_str() {
            None => out.push(FieldError::required(format!("{path}[{label}]"), format!("must be '{want}'"))),
            Some(got) if got != want => {
                out.push(FieldError::invalid(
                    format!("{path}[{label}]"),
                    labels,
                    format!("must be '{want}'"),
                ));
            }
            Some(_) => {}
        }
    }
    let wanted: serde_json::Map<String, Value> =
        LABELS.iter().map(|(label, field)| ((*label).to_owned(), metadata[*field].clone())).collect();
    if !matches(&spec["selector"], &Value::Object(wanted)) {
        let why = "`selector` not auto-generated";
        out.push(FieldError::invalid("spec.selector", &Struct("LabelSelector", &spec["selector"]), why));
    }
}

/// What Jobs and templates of Jobs share.
fn job_spec(spec: &Value, path: &str, out: &mut Vec<FieldError>) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        not_negative(&spec[field], format!("{path}.{field}"), out);
    }
    let has = |field: &str| !spec[field].is_null();
    if has("maxFailedIndexes") && !has("backoffLimitPerIndex") {
        out.push(FieldError::required(
            format!("{path}.backoffLimitPerIndex"),
            "when maxFailedIndexes is specified",
        ));
    }
    if let Some(manager) = spec["managedBy"].as_str() {
        let path = format!("{path}.managedBy");
        domain_prefixed(manager, &path, out);
        if manager.len() > 63 {
            out.push(FieldError::too_long(path, 63));
        }
    }
    one_of(&spec["completionMode"], &["NonIndexed", "Indexed"], &format!("{path}.completionMode"), out);
    let is_indexed = spec["completionMode"] == "Indexed";
    if is_indexed {
        indexed(spec, path, out);
    } else if spec["completionMode"].is_null() || spec["completionMode"] == "NonIndexed" {
        for field in ["backoffLimitPerIndex", "maxFailedIndexes"].into_iter().filter(|field| has(field)) {
            let why = "requires indexed completion mode";
            out.push(FieldError::invalid(format!("{path}.{field}"), &spec[field], why));
        }
    }
    if has("podFailurePolicy") {
        failure_policy(spec, &format!("{path}.podFailurePolicy"), out);
    }
    if has("successPolicy") {
        let at = format!("{path}.successPolicy");
        if is_indexed {
            success_policy(spec, &at, out);
        } else {
            let value = Struct("SuccessPolicy", &spec["successPolicy"]);
            out.push(FieldError::invalid(at, &value, "requires indexed completion mode"));
        }
    }
    let replacement = format!("{path}.podReplacementPolicy");
    if has("podFailurePolicy") {
        let policy = &spec["podReplacementPolicy"];
        if policy.as_str().is_some_and(|policy| policy != "Failed") {
            out.push(FieldError::not_supported(replacement, policy, &["Failed"]));
        }
    } else {
        one_of(&spec["podReplacementPolicy"], &["Failed", "TerminatingOrFailed"], &replacement, out);
    }
    workloads::template(&spec["template"], &format!("{path}.template"), out);
    let policy = &spec["template"]["spec"]["restartPolicy"];
    let at = format!("{path}.template.spec.restartPolicy");
    match text(policy) {
        "" | "Always" => {
            out.push(FieldError::required(at, "valid values: \"OnFailure\", \"Never\""));
        }
        "OnFailure" if has("podFailurePolicy") => {
            let why = "only \"Never\" is supported when podFailurePolicy is specified";
            out.push(FieldError::invalid(at, policy, why));
        }
        _ => one_of(policy, &["OnFailure", "Never"], &at, out),
    }
}

fn indexed(spec: &Value, path: &str, out: &mut Vec<FieldError>) {
    let number = |field: &str| spec[field].as_i64();
    let limit = |field: &str, max: i64, why: String, out: &mut Vec<FieldError>| {
        if number(field).is_some_and(|number| number > max) {
            out.push(FieldError::invalid(format!("{path}.{field}"), &spec[field], why));
        }
    };
    let completions = number("completions");
    if completions.is_none() {
        out.push(FieldError::required(format!("{path}.completions"), "when completion mode is Indexed"));
    }
    let at_most = |max: i64| format!("must be less than or equal to {max}");
    limit(
        "parallelism",
        HUNDRED_THOUSAND,
        at_most(HUNDRED_THOUSAND) + " when completion mode is Indexed",
        out,
    );
    if let Some(completions) = completions {
        limit("maxFailedIndexes", completions, "must be less than or equal to completions".into(), out);
    }
    limit("maxFailedIndexes", HUNDRED_THOUSAND, at_most(HUNDRED_THOUSAND), out);
    if completions.is_some_and(|count| count > HUNDRED_THOUSAND) && !spec["backoffLimitPerIndex"].is_null() {
        if spec["maxFailedIndexes"].is_null() {
            let why = format!("must be specified when completions is above {HUNDRED_THOUSAND}");
            out.push(FieldError::required(format!("{path}.maxFailedIndexes"), why));
        }
        for field in ["parallelism", "maxFailedIndexes"] {
            let why = format!(
                "{} when completions are above {HUNDRED_THOUSAND} and used with backoff limit per index",
                at_most(TEN_THOUSAND)
            );
            limit(field, TEN_THOUSAND, why, out);
        }
    }
}

fn failure_policy(spec: &Value, path: &str, out: &mut Vec<FieldError>) {
    let rules = items(&spec["podFailurePolicy"]["rules"]);
    let path = format!("{path}.rules");
    if rules.len() > 20 {
        out.push(FieldError::too_many(&path, rules.len(), 20));
    }
    let template = &spec["template"]["spec"];
    let containers = items(&template["containers"]).iter().chain(items(&template["initContainers"]));
    let names: Vec<&str> = containers.map(|container| text(&container["name"])).collect();
    for (at, rule) in rules.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let known = ["Count", "FailIndex", "FailJob", "Ignore"];
        let at = format!("{path}.action");
        match text(&rule["action"]) {
            "FailIndex" if spec["backoffLimitPerIndex"].is_null() => {
                let why = "requires the backoffLimitPerIndex to be set";
                out.push(FieldError::invalid(at, "FailIndex", why));
            }
            _ => valid_value(&rule["action"], &known, &at, out),
        }
        let (codes, conditions) = (&rule["onExitCodes"], items(&rule["onPodConditions"]));
        if codes.is_object() {
            exit_codes(codes, &names, &format!("{path}.onExitCodes"), out);
        }
        for (at, pattern) in conditions.iter().enumerate() {
            let path = format!("{path}.onPodConditions[{at}]");
            named(&pattern["type"], names::qualified, &format!("{path}.type"), out);
            valid_value(&pattern["status"], &["False", "True", "Unknown"], &format!("{path}.status"), out);
        }
        match (codes.is_object(), conditions.is_empty()) {
            (true, false) => out.push(FieldError::invalid_omitted(
                &path,
                "specifying both OnExitCodes and OnPodConditions is not supported",
            )),
            (false, true) => out.push(FieldError::invalid_omitted(
                &path,
                "specifying one of OnExitCodes and OnPodConditions is required",
            )),
            _ => {}
        }
    }
}

/// One of a few, which are named where there is none.
fn valid_value(value: &Value, known: &[&str], path: &str, out: &mut Vec<FieldError>) {
    if is_empty(value) {
        let known: Vec<String> = known.iter().map(|one| format!("{one:?}")).collect();
        out.push(FieldError::required(path, format!("valid values: [{}]", known.join(" "))));
    } else {
        one_of(value, known, path, out);
    }
}

fn exit_codes(codes: &Value, names: &[&str], path: &str, out: &mut Vec<FieldError>) {
    valid_value(&codes["operator"], &["In", "NotIn"], &format!("{path}.operator"), out);
    if codes["containerName"].as_str().is_some_and(|name| !names.contains(&name)) {
        let why = "must be one of the container or initContainer names in the pod template";
        out.push(FieldError::invalid(format!("{path}.containerName"), &codes["containerName"], why));
    }
    let (at, values) = (format!("{path}.values"), items(&codes["values"]));
    if values.is_empty() {
        out.push(FieldError::invalid(&at, &codes["values"], "at least one value is required"));
    } else if values.len() > 255 {
        out.push(FieldError::too_many(&at, values.len(), 255));
    }
    for (index, value) in values.iter().enumerate() {
        if codes["operator"] == "In" && value.as_i64() == Some(0) {
            out.push(FieldError::invalid(
                format!("{at}[{index}]"),
                value,
                "must not be 0 for the In operator",
            ));
        }
        if values[..index].contains(value) {
            out.push(FieldError::duplicate(format!("{at}[{index}]"), value));
        }
    }
    if !values.is_sorted_by_key(Value::as_i64) {
        out.push(FieldError::invalid(at, &codes["values"], "must be ordered"));
    }
}

fn success_policy(spec: &Value, path: &str, out: &mut Vec<FieldError>) {
    let rules = items(&spec["successPolicy"]["rules"]);
    let path = format!("{path}.rules");
    if rules.is_empty() {
        let why = "at least one rules must be specified when the successPolicy is specified";
        out.push(FieldError::required(&path, why));
    }
    if rules.len() > 20 {
        out.push(FieldError::too_many(&path, rules.len(), 20));
    }
    for (at, rule) in rules.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let count = &rule["succeededCount"];
        if count.is_null() && rule["succeededIndexes"].is_null() {
            let why = "at least one of succeededCount or succeededIndexes must be specified";
            out.push(FieldError::required(&path, why));
        }
        not_negative(count, format!("{path}.succeededCount"), out);
        let completions = spec["completions"].as_i64().unwrap_or(0);
        if count.as_i64().is_some_and(|count| count > completions) {
            let why =
                format!("must be less than or equal to {completions} (the number of specified completions)");
            out.push(FieldError::invalid(format!("{path}.succeededCount"), count, why));
        }
    }
}

/// What an update may not touch.
fn changes(spec: &Value, old: &Value, out: &mut Vec<FieldError>) {
    let before = &old["spec"];
    if spec["completionMode"] != "Indexed" {
        immutable(&spec["completions"], &before["completions"], "spec.completions", out);
    } else if spec["completions"] != before["completions"] && spec["completions"] != spec["parallelism"] {
        let why = "can only be modified in tandem with spec.parallelism";
        out.push(FieldError::invalid("spec.completions", &spec["completions"], why));
    }
    immutable_struct("LabelSelector", &spec["selector"], &before["selector"], "spec.selector", out);
    let mut template = before["template"].clone();
    // A Job that has not started yet may still be told where to run, and with what.
    let is_open = before["suspend"] == true && old["status"]["startTime"].is_null();
    if is_open {
        for field in ["nodeSelector", "tolerations", "schedulingGates"] {
            template["spec"][field] = spec["template"]["spec"][field].clone();
        }
        for field in ["annotations", "labels"] {
            template["metadata"][field] = spec["template"]["metadata"][field].clone();
        }
        let node = &spec["template"]["spec"]["affinity"]["nodeAffinity"];
        if !node.is_null() || !template["spec"]["affinity"]["nodeAffinity"].is_null() {
            template["spec"]["affinity"]["nodeAffinity"] = node.clone();
        }
        resources_of(&spec["template"], &mut template);
    }
    if !same(&without_nulls(&spec["template"]), &without_nulls(&template)) {
        let (kind, path, value) = match is_open {
            true => ("PodSpec", "spec.template.spec", &spec["template"]["spec"]),
            false => ("PodTemplateSpec", "spec.template", &spec["template"]),
        };
        out.push(FieldError::invalid(path, &Struct(kind, value), super::rules::IMMUTABLE));
    }
    immutable(&spec["completionMode"], &before["completionMode"], "spec.completionMode", out);
    for (field, kind) in [("podFailurePolicy", "PodFailurePolicy"), ("successPolicy", "SuccessPolicy")] {
        immutable_struct(kind, &spec[field], &before[field], &format!("spec.{field}"), out);
    }
    for field in ["backoffLimitPerIndex", "managedBy"] {
        immutable(&spec[field], &before[field], &format!("spec.{field}"), out);
    }
}

/// The resources of containers are taken over, where these are still the same containers.
fn resources_of(template: &Value, into: &mut Value) {
    for list in ["containers", "initContainers"] {
        let new = items(&template["spec"][list]);
        let Some(old) = into["spec"][list].as_array_mut().filter(|old| old.len() == new.len()) else {
            continue;
        };
        for (old, new) in old.iter_mut().zip(new).filter(|(old, new)| old["name"] == new["name"]) {
            old["resources"] = new["resources"].clone();
        }
    }
}

/// Indexing by name leaves nulls behind in a copy.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        Value::Array(list) => list.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

/// A CronJob.
pub(super) fn cron_job(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let schedule = text(&spec["schedule"]);
    let knew_zone = old.is_some_and(|old| text(&old["spec"]["schedule"]).contains("TZ"));
    if schedule.is_empty() {
        out.push(FieldError::required("spec.schedule", ""));
    } else {
        if let Err(why) = cron::Schedule::parse(schedule) {
            out.push(FieldError::invalid("spec.schedule", schedule, why));
        }
        if schedule.contains("TZ") && !knew_zone {
            let why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
            out.push(FieldError::invalid("spec.schedule", schedule, why));
        } else if schedule.contains("TZ") && !spec["timeZone"].is_null() {
            let why = "cannot use both timeZone field and TZ or CRON_TZ in schedule";
            out.push(FieldError::invalid("spec.schedule", schedule, why));
        }
    }
    not_negative(&spec["startingDeadlineSeconds"], "spec.startingDeadlineSeconds", out);
    if old.is_none_or(|old| old["spec"]["timeZone"] != spec["timeZone"]) {
        time_zone(&spec["timeZone"], out);
    }
    let policies = ["Allow", "Forbid", "Replace"];
    required_one_of(&spec["concurrencyPolicy"], &policies, "spec.concurrencyPolicy", out);
    let inner = &spec["jobTemplate"]["spec"];
    job_spec(inner, "spec.jobTemplate.spec", out);
    if !inner["selector"].is_null() {
        let value = Struct("LabelSelector", &inner["selector"]);
        out.push(FieldError::invalid(
            "spec.jobTemplate.spec.selector",
            &value,
            "`selector` will be auto-generated",
        ));
    }
    if inner["manualSelector"] == true {
        let path = "spec.jobTemplate.spec.manualSelector";
        out.push(FieldError::not_supported(path, &json!(true), &["nil", "false"]));
    }
    for field in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        not_negative(&spec[field], format!("spec.{field}"), out);
    }
    let name = text(&object["metadata"]["name"]);
    if old.is_none() && name.len() > 52 {
        out.push(FieldError::invalid("metadata.name", name, "must be no more than 52 characters"));
    }
}

fn time_zone(zone: &Value, out: &mut Vec<FieldError>) {
    let Some(name) = zone.as_str() else { return };
    let path = "spec.timeZone";
    let is_part = |part: &str| {
        (1..=14).contains(&part.len())
            && !part.starts_with('-')
            && !matches!(part, "." | "..")
            && part.bytes().all(|c| c.is_ascii_alphanumeric() || b"._+-".contains(&c))
    };
    if is_empty(zone) {
        out.push(FieldError::invalid(path, name, "timeZone must be nil or non-empty string"));
        return;
    }
    if name.eq_ignore_ascii_case("local") {
        let why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        out.push(FieldError::invalid(path, name, why));
    }
    let is_known = name == "Local" || jiff::tz::TimeZone::get(name).is_ok();
    if !name.split('/').all(is_part) || !is_known {
        out.push(FieldError::invalid(path, name, format!("unknown time zone {name}")));
    }
}

/// The status of a Job: counts do not go below zero, and a Job ends in one way.
pub(super) fn job_status(object: &Value, out: &mut Vec<FieldError>) {
    let status = &object["status"];
    for field in ["active", "succeeded", "failed", "ready", "terminating"] {
        in_range(&status[field], 0, i64::from(i32::MAX), &format!("status.{field}"), out);
    }
    let is_true = |kind: &str| {
        items(&status["conditions"]).iter().any(|one| one["type"] == kind && one["status"] == "True")
    };
    let path = "status.conditions";
    let mut refuse = |breaks: bool, why: &str| {
        if breaks {
            out.push(FieldError::invalid_omitted(path, why));
        }
    };
    refuse(is_true("Complete") && is_true("Failed"), "cannot set Complete=True and Failed=true conditions");
    refuse(
        is_true("Complete") && is_true("FailureTarget"),
        "cannot set Complete=True and FailureTarget=true conditions",
    );
    refuse(
        is_true("Failed") && !is_true("FailureTarget"),
        "cannot set Failed=True condition without the FailureTarget=true condition",
    );
    refuse(
        is_true("Complete") && !is_true("SuccessCriteriaMet"),
        "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
    );
    if status["completionTime"].is_null() && is_true("Complete") {
        let why = "completionTime is required for Complete jobs";
        out.push(FieldError::required("status.completionTime", why));
    }
    if status["startTime"].is_null() && (is_true("Complete") || is_true("Failed")) {
        out.push(FieldError::required("status.startTime", "startTime is required for finished job"));
    }
}
