//! Validation of pods: containers, their probes and environment, and volumes.

use serde_json::Value;

use super::FieldError;
use super::names;
use super::rules::{
    in_range, is_empty, items, local_path, named, no_way_up, not_negative, one_of, optional, port, text,
};

const SECONDS: i64 = i32::MAX as i64;

/// The sources that a volume can have, in the order in which the API server looks at them.
const SOURCES: &[&str] = &[
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "flocker",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
    "projected",
    "csi",
    "ephemeral",
    "image",
    "photonPersistentDisk",
];

/// The spec of a pod or of a template.
pub(crate) fn spec(spec: &Value, path: &str, out: &mut Vec<FieldError>) {
    let volumes = volumes(&spec["volumes"], &format!("{path}.volumes"), out);
    containers(spec, &volumes, path, out);
    one_of(
        &spec["dnsPolicy"],
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
        &format!("{path}.dnsPolicy"),
        out,
    );
    labels(&spec["nodeSelector"], &format!("{path}.nodeSelector"), out);
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        in_range(
            &spec["securityContext"][field],
            0,
            SECONDS,
            &format!("{path}.securityContext.{field}"),
            out,
        );
    }
    optional(&spec["serviceAccountName"], names::subdomain, &format!("{path}.serviceAccountName"), out);
    optional(&spec["nodeName"], names::subdomain, &format!("{path}.nodeName"), out);
    in_range(&spec["activeDeadlineSeconds"], 1, SECONDS, &format!("{path}.activeDeadlineSeconds"), out);
    optional(&spec["hostname"], names::label, &format!("{path}.hostname"), out);
    optional(&spec["subdomain"], names::label, &format!("{path}.subdomain"), out);
    for (at, toleration) in items(&spec["tolerations"]).iter().enumerate() {
        self::toleration(toleration, &format!("{path}.tolerations[{at}]"), out);
    }
    optional(&spec["priorityClassName"], names::subdomain, &format!("{path}.priorityClassName"), out);
}

fn labels(labels: &Value, path: &str, out: &mut Vec<FieldError>) {
    out.extend(super::meta::labels(labels, path));
}

fn toleration(toleration: &Value, path: &str, out: &mut Vec<FieldError>) {
    let (key, operator) = (&toleration["key"], &toleration["operator"]);
    let at = format!("{path}.operator");
    if !is_empty(key) {
        named(key, names::qualified, &format!("{path}.key"), out);
    } else if text(operator) != "Exists" {
        let why =
            "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        out.push(FieldError::invalid_text(&at, text(operator), why));
    }
    if text(operator) == "Exists" && !is_empty(&toleration["value"]) {
        let why = "value must be empty when `operator` is 'Exists'";
        out.push(FieldError::invalid(&at, &toleration["value"], why));
    }
    if !is_empty(operator) {
        one_of(operator, &["Equal", "Exists"], &at, out);
    }
    if !is_empty(&toleration["effect"]) {
        let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        one_of(&toleration["effect"], &effects, &format!("{path}.effect"), out);
    }
}

fn containers(spec: &Value, volumes: &[&str], path: &str, out: &mut Vec<FieldError>) {
    let main = items(&spec["containers"]);
    if main.is_empty() {
        out.push(FieldError::required(format!("{path}.containers"), ""));
    }
    let host_network = spec["hostNetwork"] == true;
    let mut names = Vec::new();
    for list in ["containers", "initContainers"] {
        for (at, container) in items(&spec[list]).iter().enumerate() {
            let path = format!("{path}.{list}[{at}]");
            self::container(container, volumes, host_network, list == "containers", &path, out);
            let name = &container["name"];
            if !is_empty(name) && names.contains(&name) {
                out.push(FieldError::duplicate(format!("{path}.name"), name));
            }
            names.push(name);
        }
    }
}

fn container(
    container: &Value,
    volumes: &[&str],
    host_network: bool,
    is_main: bool,
    path: &str,
    out: &mut Vec<FieldError>,
) {
    named(&container["name"], names::label, &format!("{path}.name"), out);
    if is_empty(&container["image"]) {
        out.push(FieldError::required(format!("{path}.image"), ""));
    }
    one_of(
        &container["terminationMessagePolicy"],
        &["File", "FallbackToLogsOnError"],
        &format!("{path}.terminationMessagePolicy"),
        out,
    );
    ports(&container["ports"], host_network, &format!("{path}.ports"), out);
    for (at, variable) in items(&container["env"]).iter().enumerate() {
        self::variable(variable, &format!("{path}.env[{at}]"), out);
    }
    for (at, source) in items(&container["envFrom"]).iter().enumerate() {
        let references = ["configMapRef", "secretRef"];
        if references.iter().all(|reference| source[*reference].is_null()) {
            let why = "must specify one of: `configMapRef` or `secretRef`";
            out.push(FieldError::invalid_text(format!("{path}.envFrom"), "", why));
        }
        for reference in references.iter().filter(|reference| source[**reference].is_object()) {
            let path = format!("{path}.envFrom[{at}].{reference}.name");
            named(&source[*reference]["name"], names::subdomain, &path, out);
        }
    }
    mounts(&container["volumeMounts"], volumes, &format!("{path}.volumeMounts"), out);
    one_of(
        &container["imagePullPolicy"],
        &["Always", "IfNotPresent", "Never"],
        &format!("{path}.imagePullPolicy"),
        out,
    );
    if is_main {
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            if container[probe].is_object() {
                self::probe(&container[probe], probe, &format!("{path}.{probe}"), out);
            }
        }
        for hook in ["postStart", "preStop"] {
            if container["lifecycle"][hook].is_object() {
                let handlers = ["exec", "httpGet", "tcpSocket", "sleep"];
                handler(&container["lifecycle"][hook], &handlers, &format!("{path}.lifecycle.{hook}"), out);
            }
        }
    }
    for field in ["runAsUser", "runAsGroup"] {
        let path = format!("{path}.securityContext.{field}");
        in_range(&container["securityContext"][field], 0, SECONDS, &path, out);
    }
}

fn ports(ports: &Value, host_network: bool, path: &str, out: &mut Vec<FieldError>) {
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
            if host_network && one["hostPort"] != one["containerPort"] {
                let why = "must match `containerPort` when `hostNetwork` is true";
                out.push(FieldError::invalid(format!("{path}.hostPort"), &one["hostPort"], why));
            }
        }
        one_of(&one["protocol"], &["SCTP", "TCP", "UDP"], &format!("{path}.protocol"), out);
    }
}

fn variable(variable: &Value, path: &str, out: &mut Vec<FieldError>) {
    let name = &variable["name"];
    if is_empty(name) {
        out.push(FieldError::required(format!("{path}.name"), ""));
    } else if !text(name).bytes().all(|c| (b' '..=b'~').contains(&c) && c != b'=') {
        let why = "a valid environment variable name must consist only of printable ASCII characters other than '='";
        out.push(FieldError::invalid(format!("{path}.name"), name, why));
    }
    let from = &variable["valueFrom"];
    if !from.is_object() {
        return;
    }
    let path = format!("{path}.valueFrom");
    let sources = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
    let given = sources.iter().filter(|source| !from[**source].is_null()).count();
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
    out.push(FieldError::invalid_text(path, "", why));
}

fn mounts(mounts: &Value, volumes: &[&str], path: &str, out: &mut Vec<FieldError>) {
    let mut places = Vec::new();
    for (at, mount) in items(mounts).iter().enumerate() {
        let one = format!("{path}[{at}]");
        if is_empty(&mount["name"]) {
            out.push(FieldError::required(format!("{one}.name"), ""));
        } else if !volumes.contains(&text(&mount["name"])) {
            out.push(FieldError::not_found(format!("{one}.name"), &mount["name"]));
        }
        let place = &mount["mountPath"];
        if is_empty(place) {
            out.push(FieldError::required(format!("{one}.mountPath"), ""));
        } else if places.contains(&place) {
            out.push(FieldError::invalid(format!("{one}.mountPath"), place, "must be unique"));
        }
        places.push(place);
        local_path(&mount["subPath"], &format!("{path}.subPath"), out); // the index is not in upstream's path either
    }
}

fn probe(probe: &Value, name: &str, path: &str, out: &mut Vec<FieldError>) {
    handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], path, out);
    for field in
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
    {
        not_negative(&probe[field], format!("{path}.{field}"), out);
    }
    if name != "readinessProbe" && probe["successThreshold"].as_i64().is_some_and(|times| times != 1) {
        out.push(FieldError::invalid(
            format!("{path}.successThreshold"),
            &probe["successThreshold"],
            "must be 1",
        ));
    }
}

/// What a probe or a hook does: exactly one of `kinds`.
fn handler(handler: &Value, kinds: &[&str], path: &str, out: &mut Vec<FieldError>) {
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
            "exec" if is_empty(&action["command"]) => {
                out.push(FieldError::required(format!("{at}.command"), ""));
            }
            "httpGet" | "tcpSocket" => port(&action["port"], &format!("{at}.port"), out),
            _ => {}
        }
    }
    if given == 0 {
        out.push(FieldError::required(path, "must specify a handler type"));
    }
}

/// Checks volumes and returns their names.
fn volumes<'a>(volumes: &'a Value, path: &str, out: &mut Vec<FieldError>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for (at, volume) in items(volumes).iter().enumerate() {
        let path = format!("{path}[{at}]");
        let before = out.len();
        source(volume, &path, out);
        named(&volume["name"], names::label, &format!("{path}.name"), out);
        let name = text(&volume["name"]);
        if names.contains(&name) {
            out.push(FieldError::duplicate(format!("{path}.name"), &volume["name"]));
        }
        if out.len() == before {
            names.push(name);
        }
    }
    names
}

fn source(volume: &Value, path: &str, out: &mut Vec<FieldError>) {
    let mut given = 0;
    for kind in SOURCES.iter().filter(|kind| volume[**kind].is_object()) {
        let at = format!("{path}.{kind}");
        given += 1;
        if given > 1 {
            out.push(FieldError::forbidden(at, "may not specify more than 1 volume type"));
            continue;
        }
        let source = &volume[*kind];
        let mut must = |field: &str, value: &Value| {
            if is_empty(value) {
                out.push(FieldError::required(format!("{at}.{field}"), ""));
            }
        };
        match *kind {
            "secret" => must("secretName", &source["secretName"]),
            "configMap" => must("name", &source["name"]),
            "persistentVolumeClaim" => must("claimName", &source["claimName"]),
            "csi" => must("driver", &source["driver"]),
            "nfs" => {
                must("server", &source["server"]);
                must("path", &source["path"]);
                if !text(&source["path"]).starts_with('/') {
                    out.push(FieldError::invalid_text(
                        format!("{at}.path"),
                        text(&source["path"]),
                        "must be an absolute path",
                    ));
                }
            }
            "hostPath" => {
                must("path", &source["path"]);
                no_way_up(&source["path"], &format!("{at}.path"), out);
                let kinds = [
                    "",
                    "BlockDevice",
                    "CharDevice",
                    "Directory",
                    "DirectoryOrCreate",
                    "File",
                    "FileOrCreate",
                    "Socket",
                ];
                one_of(&source["type"], &kinds, &format!("{at}.type"), out);
            }
            _ => {}
        }
        if matches!(*kind, "secret" | "configMap" | "projected" | "downwardAPI")
            && source["defaultMode"].as_i64().is_some_and(|mode| !(0..=0o777).contains(&mode))
        {
            let why = "must be a number between 0 and 0777 (octal), both inclusive";
            out.push(FieldError::invalid(format!("{at}.defaultMode"), &source["defaultMode"], why));
        }
        if matches!(*kind, "secret" | "configMap") {
            for (at_item, item) in items(&source["items"]).iter().enumerate() {
                let at = format!("{at}.items[{at_item}]");
                for field in ["key", "path"] {
                    if is_empty(&item[field]) {
                        out.push(FieldError::required(format!("{at}.{field}"), ""));
                    }
                }
                local_path(&item["path"], &format!("{at}.path"), out);
            }
        }
    }
}
