//! What the API server warns of without refusing it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::quantity;
use super::rules::{is_empty, items, text};

const RELEASES: &[(&str, &str)] = &[
    ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];
const ANNOTATIONS: &[(&str, &str)] = &[
    ("scheduler.alpha.kubernetes.io/critical-pod", "use the \"priorityClassName\" field instead"),
    ("security.alpha.kubernetes.io/sysctls", "use the \"sysctls\" field instead"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "use the \"sysctls\" field instead"),
];
const SINCE: &[&str] = &["v1.16+", "v1.11+", "v1.11+"];
/// Labels of nodes that have other names now.
const LABELS: &[(&str, &str)] = &[
    ("beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
    ("beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"),
    (
        "failure-domain.beta.kubernetes.io/region",
        "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
    ),
    (
        "failure-domain.beta.kubernetes.io/zone",
        "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead",
    ),
    (
        "beta.kubernetes.io/instance-type",
        "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead",
    ),
];

/// The warnings for a new or changed object.
pub(crate) fn warnings(group: &str, plural: &str, object: &Value, old: Option<&Value>) -> Vec<String> {
    let mut out = Vec::new();
    // Templates are looked at again only when the spec has changed.
    let is_changed = old.is_none_or(|old| old["spec"] != object["spec"]);
    let spec = &object["spec"];
    match (group, plural) {
        ("apps", "deployments" | "replicasets" | "daemonsets" | "statefulsets") | ("batch", "jobs")
            if is_changed =>
        {
            pod(&spec["template"], "spec.template.", &mut out);
        }
        ("batch", "cronjobs") if is_changed => {
            pod(&spec["jobTemplate"]["spec"]["template"], "spec.jobTemplate.spec.template.", &mut out);
        }
        ("", "pods") => pod(object, "", &mut out),
        ("", "services") => service(object, &mut out),
        _ => {}
    }
    out
}

fn deprecated_label(key: &str) -> Option<&'static str> {
    LABELS.iter().find(|(known, _)| *known == key).map(|(_, why)| *why)
}

fn pod(pod: &Value, at: &str, out: &mut Vec<String>) {
    let (spec, annotations) = (&pod["spec"], &pod["metadata"]["annotations"]);
    for (key, _) in spec["nodeSelector"].as_object().into_iter().flatten() {
        out.extend(deprecated_label(key).map(|why| format!("{at}spec.nodeSelector[{key}]: {why}")));
    }
    for (index, one) in items(&spec["topologySpreadConstraints"]).iter().enumerate() {
        let path = format!("{at}spec.topologySpreadConstraints[{index}]");
        let key = text(&one["topologyKey"]);
        out.extend(deprecated_label(key).map(|why| format!("{path}.topologyKey: {key} is {why}")));
        null_selector(&one["labelSelector"], &path, out);
    }
    for ((key, instead), since) in ANNOTATIONS.iter().zip(SINCE) {
        if !annotations[*key].is_null() {
            out.push(format!("{at}metadata.annotations[{key}]: non-functional in {since}; {instead}"));
        }
    }
    for (index, volume) in items(&spec["volumes"]).iter().enumerate() {
        for (kind, why) in RELEASES.iter().filter(|(kind, _)| volume[*kind].is_object()) {
            let kind = if *kind == "storageos" { "storageOS" } else { kind };
            out.push(format!("{at}spec.volumes[{index}].{kind}: {why}"));
        }
    }
    for volume in items(&spec["volumes"]) {
        overlaps(volume, out);
    }
    repeated(&spec["hostAliases"], "ip", &format!("{at}spec.hostAliases"), out);
    repeated(&spec["imagePullSecrets"], "name", &format!("{at}spec.imagePullSecrets"), out);
    for (index, _) in
        items(&spec["imagePullSecrets"]).iter().enumerate().filter(|(_, one)| is_empty(&one["name"]))
    {
        out.push(format!("{at}spec.imagePullSecrets[{index}].name: invalid empty name \"\""));
    }
    containers(spec, at, out);
    if spec["terminationGracePeriodSeconds"].as_i64().is_some_and(|seconds| seconds < 0) {
        let why = "must be >= 0; negative values are invalid and will be treated as 1";
        out.push(format!("{at}spec.terminationGracePeriodSeconds: {why}"));
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        for list in [
            "requiredDuringSchedulingIgnoredDuringExecution",
            "preferredDuringSchedulingIgnoredDuringExecution",
        ] {
            for (index, one) in items(&spec["affinity"][kind][list]).iter().enumerate() {
                let path = format!("{at}spec.affinity.{kind}.{list}[{index}]");
                match list.starts_with("required") {
                    true => null_selector(&one["labelSelector"], &path, out),
                    false => null_selector(
                        &one["podAffinityTerm"]["labelSelector"],
                        &format!("{path}.podAffinityTerm"),
                        out,
                    ),
                }
            }
        }
    }
}

fn null_selector(selector: &Value, path: &str, out: &mut Vec<String>) {
    if selector.is_null() {
        out.push(format!("{path}.labelSelector: a null labelSelector results in matching no pod"));
    }
}

/// Entries that say again what another has said.
fn repeated(list: &Value, field: &str, path: &str, out: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for (index, one) in items(list).iter().map(|one| text(&one[field])).enumerate() {
        if !seen.insert(one) {
            out.push(format!("{path}[{index}].{field}: duplicate {field} {one:?}"));
        }
    }
}

/// All containers of a pod, in the order in which they are visited, with their paths.
fn visited<'a>(spec: &'a Value, at: &str) -> Vec<(String, &'a Value)> {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let list = |name: &str| items(&spec[name]).iter().enumerate();
    lists
        .into_iter()
        .flat_map(|name| list(name).map(move |(index, one)| (format!("{at}spec.{name}[{index}]"), one)))
        .collect()
}

fn containers(spec: &Value, at: &str, out: &mut Vec<String>) {
    let all = visited(spec, at);
    for (path, container) in &all {
        for (name, kind) in [
            ("memory", "limits"),
            ("memory", "requests"),
            ("ephemeral-storage", "limits"),
            ("ephemeral-storage", "requests"),
        ] {
            let value = text(&container["resources"][kind][name]);
            if !value.is_empty() && !quantity::is_whole(value) {
                out.push(format!(
                    "{path}.resources.{kind}[{name}]: fractional byte value {value:?} is invalid, must be an integer"
                ));
            }
        }
        let mut seen = BTreeSet::new();
        for (index, variable) in items(&container["env"]).iter().enumerate() {
            let (name, value) = (text(&variable["name"]), text(&variable["value"]));
            let reference = format!("$({name})");
            let extends = variable["valueFrom"].is_null() && value != reference && value.contains(&reference);
            if !seen.insert(name) && !extends {
                out.push(format!(
                    "{path}.env[{index}]: hides previous definition of {name:?}, which may be dropped when using apply"
                ));
            }
        }
    }
    ports(&all, out);
}

fn ports(all: &[(String, &Value)], out: &mut Vec<String>) {
    let every = || {
        all.iter().flat_map(|(path, container)| {
            items(&container["ports"])
                .iter()
                .enumerate()
                .map(move |(at, port)| (format!("{path}.ports[{at}]"), port))
        })
    };
    let mut known: BTreeMap<(i64, &str), Vec<(String, &Value)>> = BTreeMap::new();
    for (path, port) in every() {
        let key = (port["containerPort"].as_i64().unwrap_or(0), text(&port["protocol"]));
        let host = |port: &Value| port["hostPort"].as_i64().unwrap_or(0);
        let address = |port: &Value| text(&port["hostIP"]).to_owned();
        let others = known.entry(key).or_default();
        for (other, earlier) in others.iter() {
            let what = if address(port) == address(earlier) && host(port) == host(earlier) {
                "duplicate"
            } else if host(port) == 0 || host(earlier) == 0 {
                "overlapping"
            } else if host(port) == host(earlier) && address(port).is_empty() != address(earlier).is_empty() {
                "dangerously ambiguous"
            } else {
                continue;
            };
            out.push(format!("{path}: {what} port definition with {other}"));
        }
        others.push((path, port));
    }
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    for (path, port) in every().filter(|(_, port)| !is_empty(&port["name"])) {
        let name = text(&port["name"]);
        match names.get(name) {
            Some(other) => out.push(format!(
                "{path}: duplicate port name {name:?} with {other}, services and probes that select ports by name will \
                 use {other}"
            )),
            None => drop(names.insert(name, path)),
        }
    }
}

/// Files of a volume that lie on or below each other.
fn overlaps(volume: &Value, out: &mut Vec<String>) {
    let name = text(&volume["name"]);
    let mut warn = |what: &str, files: Vec<(String, String)>| {
        let mut seen: Vec<(String, String)> = Vec::new();
        let shown = |(path, source): &(String, String)| match source.is_empty() {
            true => format!("{path:?}"),
            false => format!("{path:?} ({source})"),
        };
        for (path, source) in files {
            let file = (path.trim_end_matches('/').to_owned(), source);
            let below = |a: &str, b: &str| format!("{a}/").starts_with(&format!("{b}/"));
            let hits = |other: &&(String, String)| {
                !file.0.is_empty()
                    && !other.0.is_empty()
                    && (below(&other.0, &file.0) || below(&file.0, &other.0))
            };
            for other in seen.iter().filter(hits) {
                out.push(format!(
                    "volume {name:?} ({what}): overlapping paths: {} with {}",
                    shown(&file),
                    shown(other)
                ));
            }
            seen.push(file);
        }
    };
    let files = |list: &Value, source: String| -> Vec<(String, String)> {
        items(list).iter().map(|item| (text(&item["path"]).to_owned(), source.clone())).collect()
    };
    for (kind, label, field) in [("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")] {
        let source = &volume[kind];
        warn(&format!("{label} {:?}", text(&source[field])), files(&source["items"], String::new()));
    }
    warn("DownwardAPI", files(&volume["downwardAPI"]["items"], String::new()));
    let mut all = Vec::new();
    let mut empty = 0;
    for source in items(&volume["projected"]["sources"]) {
        if is_empty(source) {
            empty += 1;
        }
        for (kind, label) in [("configMap", "ConfigMap"), ("secret", "Secret")] {
            all.extend(files(&source[kind]["items"], format!("{label} {:?}", text(&source[kind]["name"]))));
        }
        all.extend(files(&source["downwardAPI"]["items"], "DownwardAPI".to_owned()));
        if let Some(path) = source["serviceAccountToken"]["path"].as_str() {
            all.push((path.to_owned(), "ServiceAccountToken".to_owned()));
        }
    }
    warn("Projected", all);
    out.extend((0..empty).map(|_| format!("volume {name:?} (Projected) has no sources provided")));
}

fn service(object: &Value, out: &mut Vec<String>) {
    let spec = &object["spec"];
    let hints = "service.kubernetes.io/topology-aware-hints";
    if !object["metadata"]["annotations"][hints].is_null() {
        out.push(format!(
            "annotation {hints} is deprecated, please use service.kubernetes.io/topology-mode instead"
        ));
    }
    let (kind, has_external) = (text(&spec["type"]), !is_empty(&spec["externalIPs"]));
    let is_headless = kind == "ClusterIP" && spec["clusterIP"] == "None";
    let mut warn = |applies: bool, what: &str| {
        if applies {
            out.push(what.to_owned());
        }
    };
    if is_headless {
        warn(!is_empty(&spec["loadBalancerIP"]), "spec.loadBalancerIP is ignored for headless services");
        warn(has_external, "spec.externalIPs is ignored for headless services");
        warn(spec["sessionAffinity"] != "None", "spec.SessionAffinity is ignored for headless services");
    }
    let is_name = kind == "ExternalName";
    warn(
        has_external && !is_headless && !is_name,
        "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
    );
    warn(has_external && is_name, "spec.externalIPs is ignored when spec.type is \"ExternalName\"");
    warn(
        !is_name && !is_empty(&spec["externalName"]),
        "spec.externalName is ignored when spec.type is not \"ExternalName\"",
    );
    warn(
        spec["trafficDistribution"] == "PreferClose",
        "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"",
    );
}
