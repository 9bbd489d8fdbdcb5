//! Containers: their names, ports, environment, mounts, resources, probes and hooks.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{MOST, downward_field, downward_resource, profile};
use crate::validate::FieldError;
use crate::validate::error::Struct;
use crate::validate::rules::{
    PROTOCOLS, in_range, is_empty, items, local_path, named, not_negative, one_of, port, required,
    required_one_of, text,
};
use crate::validate::{names, quotas};

/// What a variable can tell of its pod.
const FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// What the containers of one pod share.
struct Pod<'a> {
    volumes: &'a [&'a str],
    grace: i64,
}

/// All containers of a pod.
pub(super) fn containers(spec: &Value, volumes: &[&str], path: &str, out: &mut Vec<FieldError>) {
    let main = items(&spec["containers"]);
    if main.is_empty() {
        out.push(FieldError::required(format!("{path}.containers"), ""));
    }
    let pod = Pod { volumes, grace: spec["terminationGracePeriodSeconds"].as_i64().unwrap_or(30) };
    let mut names = Vec::new();
    let mut host_ports = BTreeSet::new();
    for list in ["containers", "initContainers"] {
        for (at, container) in items(&spec[list]).iter().enumerate() {
            let path = format!("{path}.{list}[{at}]");
            self::container(container, &pod, &path, out);
            let name = &container["name"];
            if list == "initContainers" {
                one_of(
                    &container["restartPolicy"],
                    &["Always", "Never", "OnFailure"],
                    &format!("{path}.restartPolicy"),
                    out,
                );
            }
            if !is_empty(name) && names.contains(&name) {
                out.push(FieldError::duplicate(format!("{path}.name"), name));
            }
            names.push(name);
            if list == "containers" || container["restartPolicy"] == "Always" {
                attended(container, &pod, &path, out);
            } else {
                unattended(container, &path, out);
            }
        }
        if list == "containers" {
            let path = format!("{path}.{list}");
            distinct_host_ports(items(&spec[list]), &mut host_ports, &path, out);
        }
    }
    if spec["hostNetwork"] == true {
        host_network(main, path, out);
    }
}

fn container(container: &Value, pod: &Pod<'_>, path: &str, out: &mut Vec<FieldError>) {
    named(&container["name"], names::label, &format!("{path}.name"), out);
    required(&container["image"], format!("{path}.image"), out);
    let policies = ["File", "FallbackToLogsOnError"];
    let policy = &container["terminationMessagePolicy"];
    required_one_of(policy, &policies, &format!("{path}.terminationMessagePolicy"), out);
    ports(&container["ports"], &format!("{path}.ports"), out);
    for (at, variable) in items(&container["env"]).iter().enumerate() {
        self::variable(variable, &format!("{path}.env[{at}]"), out);
    }
    for (at, source) in items(&container["envFrom"]).iter().enumerate() {
        variables(source, &format!("{path}.envFrom"), at, out);
    }
    mounts(container, pod.volumes, &format!("{path}.volumeMounts"), out);
    let policies = ["Always", "IfNotPresent", "Never"];
    one_of(&container["imagePullPolicy"], &policies, &format!("{path}.imagePullPolicy"), out);
    quotas::requirements(&container["resources"], &format!("{path}.resources"), out);
    security(&container["securityContext"], &format!("{path}.securityContext"), out);
}

/// Probes and hooks, of containers that run as long as the pod.
fn attended(container: &Value, pod: &Pod<'_>, path: &str, out: &mut Vec<FieldError>) {
    for hook in ["postStart", "preStop"] {
        if container["lifecycle"][hook].is_object() {
            let handlers = ["exec", "httpGet", "tcpSocket", "sleep"];
            handler(&container["lifecycle"][hook], &handlers, pod, &format!("{path}.lifecycle.{hook}"), out);
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container[probe].is_object() {
            self::probe(&container[probe], probe, pod, &format!("{path}.{probe}"), out);
        }
    }
}

fn unattended(container: &Value, path: &str, out: &mut Vec<FieldError>) {
    for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
        if container[field].is_object() {
            let why = "may not be set for init containers without restartPolicy=Always";
            out.push(FieldError::forbidden(format!("{path}.{field}"), why));
        }
    }
}

fn security(context: &Value, path: &str, out: &mut Vec<FieldError>) {
    for field in ["runAsUser", "runAsGroup"] {
        in_range(&context[field], 0, MOST, &format!("{path}.{field}"), out);
    }
    one_of(&context["procMount"], &["Default", "Unmasked"], &format!("{path}.procMount"), out);
    profile(&context["seccompProfile"], "seccomp", &format!("{path}.seccompProfile"), out);
    if context["allowPrivilegeEscalation"] != false {
        return;
    }
    let value = Struct("SecurityContext", context);
    if context["privileged"] == true {
        let why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
        out.push(FieldError::invalid(path, &value, why));
    }
    if items(&context["capabilities"]["add"]).iter().any(|one| one == "CAP_SYS_ADMIN") {
        let why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
        out.push(FieldError::invalid(path, &value, why));
    }
}

fn ports(ports: &Value, path: &str, out: &mut Vec<FieldError>) {
    let mut names = Vec::new();
    for (at, one) in items(ports).iter().enumerate() {
        let path = format!("{path}[{at}]");
        let name = &one["name"];
        if !is_empty(name) {
            let before = out.len();
            named(name, names::port_name, &format!("{path}.name"), out);
            if out.len() == before && names.contains(&name) {
                out.push(FieldError::duplicate(format!("{path}.name"), name));
            }
            names.push(name);
        }
        if is_empty(&one["containerPort"]) {
            out.push(FieldError::required(format!("{path}.containerPort"), ""));
        } else {
            in_range(&one["containerPort"], 1, 65_535, &format!("{path}.containerPort"), out);
        }
        if !is_empty(&one["hostPort"]) {
            in_range(&one["hostPort"], 1, 65_535, &format!("{path}.hostPort"), out);
        }
        required_one_of(&one["protocol"], PROTOCOLS, &format!("{path}.protocol"), out);
    }
}

/// A port of the node belongs to one container.
fn distinct_host_ports(
    containers: &[Value],
    seen: &mut BTreeSet<String>,
    path: &str,
    out: &mut Vec<FieldError>,
) {
    for (at, container) in containers.iter().enumerate() {
        for (index, one) in items(&container["ports"]).iter().enumerate() {
            let Some(port) = one["hostPort"].as_i64().filter(|port| *port != 0) else { continue };
            let key = format!("{}/{}/{port}", text(&one["protocol"]), text(&one["hostIP"]));
            if seen.contains(&key) {
                out.push(FieldError::duplicate(format!("{path}[{at}].ports[{index}].hostPort"), &key));
            }
            seen.insert(key);
        }
    }
}

fn host_network(containers: &[Value], path: &str, out: &mut Vec<FieldError>) {
    for (at, container) in containers.iter().enumerate() {
        for (index, one) in items(&container["ports"]).iter().enumerate() {
            if !is_empty(&one["hostPort"]) && one["hostPort"] != one["containerPort"] {
                let path = format!("{path}.containers[{at}].ports[{index}].hostPort");
                let why = "must match `containerPort` when `hostNetwork` is true";
                out.push(FieldError::invalid(path, &one["hostPort"], why));
            }
        }
    }
}

fn variable_name(name: &Value, path: &str, out: &mut Vec<FieldError>) {
    if !text(name).bytes().all(|c| (b' '..=b'~').contains(&c) && c != b'=') {
        let why = "a valid environment variable name must consist only of printable ASCII characters other than '='";
        out.push(FieldError::invalid(path, name, why));
    }
}

fn variable(variable: &Value, path: &str, out: &mut Vec<FieldError>) {
    let name = &variable["name"];
    required(name, format!("{path}.name"), out);
    variable_name(name, &format!("{path}.name"), out);
    let from = &variable["valueFrom"];
    if !from.is_object() {
        return;
    }
    let path = format!("{path}.valueFrom");
    let sources = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
    let given = sources.iter().filter(|source| !from[**source].is_null()).count();
    if from["fieldRef"].is_object() {
        downward_field(&from["fieldRef"], FIELDS, &format!("{path}.fieldRef"), out);
    }
    if from["resourceFieldRef"].is_object() {
        downward_resource(&from["resourceFieldRef"], false, &format!("{path}.resourceFieldRef"), out);
    }
    for reference in ["configMapKeyRef", "secretKeyRef"] {
        if from[reference].is_object() {
            named(&from[reference]["key"], names::config_key, &format!("{path}.{reference}.key"), out);
        }
    }
    let why = match given {
        0 => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        }
        _ if !is_empty(&variable["value"]) => "may not be specified when `value` is not empty",
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    out.push(FieldError::invalid(path, "", why));
}

fn variables(source: &Value, path: &str, at: usize, out: &mut Vec<FieldError>) {
    if !is_empty(&source["prefix"]) {
        variable_name(&source["prefix"], &format!("{path}[{at}].prefix"), out);
    }
    let references = ["configMapRef", "secretRef"];
    let given: Vec<&str> =
        references.into_iter().filter(|reference| source[*reference].is_object()).collect();
    for reference in &given {
        let path = format!("{path}[{at}].{reference}.name");
        named(&source[*reference]["name"], names::subdomain, &path, out);
    }
    let why = match given.len() {
        0 => "must specify one of: `configMapRef` or `secretRef`",
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    out.push(FieldError::invalid(path, "", why));
}

fn mounts(container: &Value, volumes: &[&str], path: &str, out: &mut Vec<FieldError>) {
    let mut places = Vec::new();
    for (at, mount) in items(&container["volumeMounts"]).iter().enumerate() {
        let one = format!("{path}[{at}]");
        if is_empty(&mount["name"]) {
            out.push(FieldError::required(format!("{one}.name"), ""));
        }
        if !volumes.contains(&text(&mount["name"])) {
            out.push(FieldError::not_found(format!("{one}.name"), text(&mount["name"])));
        }
        let place = &mount["mountPath"];
        required(place, format!("{one}.mountPath"), out);
        if places.contains(&place) {
            out.push(FieldError::invalid(format!("{one}.mountPath"), text(place), "must be unique"));
        }
        places.push(place);
        // The index is not in upstream's paths either.
        local_path(&mount["subPath"], &format!("{path}.subPath"), out);
        if !is_empty(&mount["subPathExpr"]) {
            if !is_empty(&mount["subPath"]) {
                let why = "subPathExpr and subPath are mutually exclusive";
                out.push(FieldError::invalid(format!("{one}.subPathExpr"), &mount["subPathExpr"], why));
            }
            local_path(&mount["subPathExpr"], &format!("{path}.subPathExpr"), out);
        }
        let propagation = &mount["mountPropagation"];
        let (at, kinds) = (format!("{path}.mountPropagation"), ["Bidirectional", "HostToContainer", "None"]);
        one_of(propagation, &kinds, &at, out);
        if propagation == "Bidirectional" && container["securityContext"]["privileged"] != true {
            let why = "Bidirectional mount propagation is available only to privileged containers";
            out.push(FieldError::forbidden(at, why));
        }
    }
}

fn probe(probe: &Value, name: &str, pod: &Pod<'_>, path: &str, out: &mut Vec<FieldError>) {
    handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], pod, path, out);
    for field in
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
    {
        not_negative(&probe[field], format!("{path}.{field}"), out);
    }
    let (grace, at) =
        (&probe["terminationGracePeriodSeconds"], format!("{path}.terminationGracePeriodSeconds"));
    if grace.as_i64().is_some_and(|seconds| seconds <= 0) {
        out.push(FieldError::invalid(&at, grace, "must be greater than 0"));
    }
    if name == "readinessProbe" {
        if !grace.is_null() {
            out.push(FieldError::invalid(at, grace, "must not be set for readinessProbes"));
        }
    } else if probe["successThreshold"].as_i64().is_some_and(|times| times != 1) {
        let path = format!("{path}.successThreshold");
        out.push(FieldError::invalid(path, &probe["successThreshold"], "must be 1"));
    }
}

/// What a probe or a hook does: exactly one of `kinds`.
fn handler(handler: &Value, kinds: &[&str], pod: &Pod<'_>, path: &str, out: &mut Vec<FieldError>) {
    let mut given = 0;
    for kind in kinds.iter().filter(|kind| handler[**kind].is_object()) {
        let at = format!("{path}.{kind}");
        given += 1;
        if given > 1 {
            out.push(FieldError::forbidden(at, "may not specify more than 1 handler type"));
            continue;
        }
        let action = &handler[*kind];
        match *kind {
            "exec" => required(&action["command"], format!("{at}.command"), out),
            "httpGet" => {
                required(&action["path"], format!("{at}.path"), out);
                port(&action["port"], &format!("{at}.port"), out);
                let schemes = ["HTTP", "HTTPS"];
                required_one_of(&action["scheme"], &schemes, &format!("{at}.scheme"), out);
                for header in items(&action["httpHeaders"]) {
                    header_name(text(&header["name"]), &format!("{at}.httpHeaders"), out);
                }
            }
            "tcpSocket" => port(&action["port"], &format!("{at}.port"), out),
            "grpc" => in_range(&action["port"], 1, 65_535, &format!("{at}.port"), out),
            "sleep" => {
                let seconds = action["seconds"].as_i64().unwrap_or(0);
                if !(0..=pod.grace).contains(&seconds) {
                    let why = format!(
                        "must be non-negative and less than terminationGracePeriodSeconds ({})",
                        pod.grace
                    );
                    out.push(FieldError::invalid(at, &seconds, why));
                }
            }
            _ => {}
        }
    }
    if given == 0 {
        out.push(FieldError::required(path, "must specify a handler type"));
    }
}

fn header_name(name: &str, path: &str, out: &mut Vec<FieldError>) {
    if name.is_empty() || !name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') {
        let why = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex \
                   used for validation is '[-A-Za-z0-9]+')";
        out.push(FieldError::invalid(path, name, why));
    }
}
