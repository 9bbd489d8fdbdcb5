//! Pods, alone and in templates: what they hold beyond containers and volumes, and what may change of a pod.

mod containers;
mod scheduling;
mod volumes;

use serde_json::Value;

pub(super) use scheduling::node_selector;
pub(super) use volumes::simple as simple_source;

use super::FieldError;
use super::difference::difference;
use super::rules::{
    in_range, is_empty, items, local_path, named, one_of, optional, required, required_one_of, same, text,
};
use super::{meta, names, quotas};

/// Ids of users and groups, and durations in seconds, are of 32 bits.
const MOST: i64 = i32::MAX as i64;

/// The spec of a pod or of a template.
pub(super) fn spec(spec: &Value, path: &str, out: &mut Vec<FieldError>) {
    let volumes = volumes::volumes(&spec["volumes"], &format!("{path}.volumes"), out);
    containers::containers(spec, &volumes, path, out);
    let policies = ["Always", "OnFailure", "Never"];
    required_one_of(&spec["restartPolicy"], &policies, &format!("{path}.restartPolicy"), out);
    let dns = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    required_one_of(&spec["dnsPolicy"], &dns, &format!("{path}.dnsPolicy"), out);
    out.extend(meta::labels(&spec["nodeSelector"], &format!("{path}.nodeSelector")));
    security(spec, &format!("{path}.securityContext"), out);
    scheduling::affinity(&spec["affinity"], &format!("{path}.affinity"), out);
    dns_config(spec, &format!("{path}.dnsConfig"), out);
    for (at, gate) in items(&spec["readinessGates"]).iter().enumerate() {
        let path = format!("{path}.readinessGates[{at}].conditionType");
        named(&gate["conditionType"], names::qualified, &path, out);
    }
    for (at, gate) in items(&spec["schedulingGates"]).iter().enumerate() {
        named(&gate["name"], names::qualified, &format!("{path}.schedulingGates[{at}]"), out);
    }
    scheduling::spread(&spec["topologySpreadConstraints"], &format!("{path}.topologySpreadConstraints"), out);
    optional(&spec["serviceAccountName"], names::subdomain, &format!("{path}.serviceAccountName"), out);
    optional(&spec["nodeName"], names::subdomain, &format!("{path}.nodeName"), out);
    in_range(&spec["activeDeadlineSeconds"], 1, MOST, &format!("{path}.activeDeadlineSeconds"), out);
    optional(&spec["hostname"], names::label, &format!("{path}.hostname"), out);
    optional(&spec["subdomain"], names::label, &format!("{path}.subdomain"), out);
    for (at, toleration) in items(&spec["tolerations"]).iter().enumerate() {
        scheduling::toleration(toleration, &format!("{path}.tolerations[{at}]"), out);
    }
    for (at, alias) in items(&spec["hostAliases"]).iter().enumerate() {
        let path = format!("{path}.hostAliases[{at}]");
        ip(&alias["ip"], &format!("{path}.ip"), out);
        for (at, name) in items(&alias["hostnames"]).iter().enumerate() {
            let problems = names::subdomain(text(name)).into_iter();
            out.extend(problems.map(|why| FieldError::invalid(format!("{path}.hostnames[{at}]"), name, why)));
        }
    }
    optional(&spec["priorityClassName"], names::subdomain, &format!("{path}.priorityClassName"), out);
    optional(&spec["runtimeClassName"], names::subdomain, &format!("{path}.runtimeClassName"), out);
    let preemption = ["PreemptLowerPriority", "Never"];
    one_of(&spec["preemptionPolicy"], &preemption, &format!("{path}.preemptionPolicy"), out);
    for (name, value) in spec["overhead"].as_object().into_iter().flatten() {
        let path = format!("{path}.overhead[{name}]");
        quotas::container_resource(name, &path, out);
        super::rules::quantity_not_negative(value, &path, out);
    }
    if spec["os"].is_object() {
        required_one_of(&spec["os"]["name"], &["linux", "windows"], &format!("{path}.os.name"), out);
    }
}

fn ip(value: &Value, path: &str, out: &mut Vec<FieldError>) {
    out.extend(names::ip(text(value)).into_iter().map(|why| FieldError::invalid(path, text(value), why)));
}

fn security(spec: &Value, path: &str, out: &mut Vec<FieldError>) {
    let context = &spec["securityContext"];
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        in_range(&context[field], 0, MOST, &format!("{path}.{field}"), out);
    }
    for (at, group) in items(&context["supplementalGroups"]).iter().enumerate() {
        in_range(group, 0, MOST, &format!("{path}.supplementalGroups[{at}]"), out);
    }
    if spec["shareProcessNamespace"] == true && spec["hostPID"] == true {
        let why = "ShareProcessNamespace and HostPID cannot both be enabled";
        out.push(FieldError::invalid(format!("{path}.shareProcessNamespace"), &spec["hostPID"], why));
    }
    let policies = ["Always", "OnRootMismatch"];
    one_of(&context["fsGroupChangePolicy"], &policies, &format!("{path}.fsGroupChangePolicy"), out);
    profile(&context["seccompProfile"], "seccomp", &format!("{path}.seccompProfile"), out);
    let policies = ["Merge", "Strict"];
    one_of(&context["supplementalGroupsPolicy"], &policies, &format!("{path}.supplementalGroupsPolicy"), out);
}

/// A profile of seccomp.
fn profile(profile: &Value, what: &str, path: &str, out: &mut Vec<FieldError>) {
    if !profile.is_object() {
        return;
    }
    let kinds = ["Localhost", "RuntimeDefault", "Unconfined"];
    if is_empty(&profile["type"]) {
        out.push(FieldError::required(
            format!("{path}.type"),
            format!("type is required when {what}Profile is set"),
        ));
    } else {
        one_of(&profile["type"], &kinds, &format!("{path}.type"), out);
    }
    let (local, at) = (&profile["localhostProfile"], format!("{path}.localhostProfile"));
    match (profile["type"] == "Localhost", local.is_null()) {
        (true, true) => {
            out.push(FieldError::required(at, format!("must be set when {what} type is Localhost")))
        }
        (true, false) => local_path(local, &at, out),
        (false, false) => {
            let why = format!("can only be set when {what} type is Localhost");
            out.push(FieldError::invalid(at, &super::error::Struct("SeccompProfile", profile), why));
        }
        (false, true) => {}
    }
}

fn dns_config(spec: &Value, path: &str, out: &mut Vec<FieldError>) {
    let config = &spec["dnsConfig"];
    let servers = items(&config["nameservers"]);
    if spec["dnsPolicy"] == "None" && config.is_null() {
        let why = "must provide `dnsConfig` when `dnsPolicy` is None";
        out.push(FieldError::required(path, why));
        return;
    }
    let at = format!("{path}.nameservers");
    if spec["dnsPolicy"] == "None" && servers.is_empty() {
        let why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        out.push(FieldError::required(at, why));
        return;
    }
    if servers.len() > 3 {
        out.push(FieldError::invalid(&at, &config["nameservers"], "must not have more than 3 nameservers"));
    }
    for (index, server) in servers.iter().enumerate() {
        ip(server, &format!("{at}[{index}]"), out);
    }
    let (searches, at) = (items(&config["searches"]), format!("{path}.searches"));
    if searches.len() > 32 {
        out.push(FieldError::invalid(&at, &config["searches"], "must not have more than 32 search paths"));
    }
    for (index, search) in searches.iter().map(text).enumerate().filter(|(_, search)| *search != ".") {
        let plain = search.strip_suffix('.').unwrap_or(search);
        let problems = names::search(plain).into_iter();
        out.extend(problems.map(|why| FieldError::invalid(format!("{at}[{index}]"), plain, why)));
    }
    for (index, option) in items(&config["options"]).iter().enumerate() {
        if is_empty(&option["name"]) {
            out.push(FieldError::required(format!("{path}.options[{index}]"), "must not be empty"));
        }
    }
}

/// A field of a pod that its containers can read: one of `known`.
fn downward_field(field: &Value, known: &[&str], path: &str, out: &mut Vec<FieldError>) {
    const CONVERTIBLE: &[&str] = &[
        "metadata.annotations",
        "metadata.labels",
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.serviceAccountName",
        "spec.schedulerName",
        "status.phase",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    ];
    let (label, at) = (text(&field["fieldPath"]), format!("{path}.fieldPath"));
    let version = text(&field["apiVersion"]);
    let mut refuse =
        |why: String| out.push(FieldError::invalid(&at, label, format!("error converting fieldPath: {why}")));
    if label.is_empty() {
        out.push(FieldError::required(at, ""));
    } else if !matches!(version, "" | "v1") {
        refuse(format!("unsupported pod version: {version}"));
    } else if let Some((map, key)) = label.strip_suffix("']").and_then(|label| label.split_once("['")) {
        match map {
            "metadata.annotations" => named(&key.to_lowercase().into(), names::qualified, path, out),
            "metadata.labels" => named(&key.into(), names::qualified, path, out),
            _ => refuse(format!("field label does not support subscript: {label}")),
        }
    } else if !CONVERTIBLE.contains(&label) {
        refuse(format!("field label not supported: {label}"));
    } else if !known.contains(&label) {
        out.push(FieldError::not_supported(at, label, known));
    }
}

/// An amount that a container can read of itself, or of another.
fn downward_resource(resource: &Value, is_file: bool, path: &str, out: &mut Vec<FieldError>) {
    const KNOWN: &[&str] = &[
        "limits.cpu",
        "limits.ephemeral-storage",
        "limits.memory",
        "requests.cpu",
        "requests.ephemeral-storage",
        "requests.memory",
    ];
    let name = text(&resource["resource"]);
    if is_file && is_empty(&resource["containerName"]) {
        out.push(FieldError::required(format!("{path}.containerName"), ""));
    } else if name.is_empty() {
        out.push(FieldError::required(format!("{path}.resource"), ""));
    } else if !KNOWN.contains(&name)
        && !name.starts_with("limits.hugepages-")
        && !name.starts_with("requests.hugepages-")
    {
        out.push(FieldError::not_supported(format!("{path}.resource"), name, KNOWN));
    }
    let divisor = text(&resource["divisor"]);
    if matches!(divisor, "" | "0") {
        return;
    }
    let units = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];
    let (known, what): (&[&str], &str) = match name.split_once('.').map(|(_, what)| what) {
        Some("cpu") => (&["1m", "1"], "cpu"),
        Some("memory") => (&units, "memory"),
        Some("ephemeral-storage") => (&units, "local ephemeral storage"),
        Some(_) => (&units, "hugepages"),
        None => return,
    };
    if !known.contains(&divisor) {
        let list = if what == "cpu" { "1m and 1".to_owned() } else { units.join(", ") };
        let why = format!("only divisor's values {list} are supported with the {what} resource");
        out.push(FieldError::invalid(format!("{path}.divisor"), name, why));
    }
}

/// A pod that is not in a template.
pub(super) fn pod(object: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let now = &object["spec"];
    spec(now, "spec", out);
    for list in ["containers", "initContainers"] {
        for (at, container) in items(&now[list]).iter().enumerate() {
            trimmed_image(container, &format!("spec.{list}[{at}].image"), out);
        }
    }
    if let Some(old) = old {
        changes(now, &old["spec"], out);
    }
}

fn trimmed_image(container: &Value, path: &str, out: &mut Vec<FieldError>) {
    let image = text(&container["image"]);
    if image.trim() != image {
        out.push(FieldError::invalid(path, image, "must not have leading or trailing whitespace"));
    }
}

/// A pod is made once: images, deadlines and tolerations are all that may change.
fn changes(now: &Value, before: &Value, out: &mut Vec<FieldError>) {
    for list in ["containers", "initContainers"] {
        let (new, old) = (items(&now[list]), items(&before[list]));
        if new.len() != old.len() {
            let why = "pod updates may not add or remove containers";
            out.push(FieldError::forbidden(format!("spec.{list}"), why));
            return;
        }
        for (at, container) in new.iter().enumerate() {
            let path = format!("spec.{list}[{at}].image");
            required(&container["image"], &path, out);
            trimmed_image(container, &path, out);
        }
    }
    let field = "activeDeadlineSeconds";
    match (now[field].as_i64(), before[field].as_i64()) {
        (Some(new), Some(old)) if old < new => {
            let why = "must be less than or equal to previous value";
            out.push(FieldError::invalid("spec.activeDeadlineSeconds", &new, why));
            return;
        }
        (None, Some(_)) => {
            let why = "must not update from a positive integer to nil value";
            out.push(FieldError::invalid("spec.activeDeadlineSeconds", &Value::Null, why));
        }
        _ => {}
    }
    let kept = items(&now["tolerations"]);
    if items(&before["tolerations"]).iter().any(|old| !kept.iter().any(|new| same_but_for_time(old, new))) {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        out.push(FieldError::forbidden("spec.tolerations", why));
    }
    let mut rest = now.clone();
    for free in [field, "tolerations", "schedulingGates"] {
        rest[free] = before[free].clone();
    }
    // The scheduler says where a pod runs, once.
    if is_empty(&before["nodeName"]) {
        rest["nodeName"] = before["nodeName"].clone();
    }
    for list in ["containers", "initContainers"] {
        for (new, old) in rest[list].as_array_mut().into_iter().flatten().zip(items(&before[list])) {
            new["image"] = old["image"].clone();
        }
    }
    if !same(&rest, before) {
        let shown = difference("PodSpec", before, &rest);
        let why = "pod updates may not change fields other than \
                   `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
                   `spec.tolerations` (only additions to existing tolerations),\
                   `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        out.push(FieldError::forbidden("spec", format!("{why}\n{shown}")));
    }
}

fn same_but_for_time(old: &Value, new: &Value) -> bool {
    ["key", "operator", "value", "effect"].iter().all(|field| same(&old[*field], &new[*field]))
}
