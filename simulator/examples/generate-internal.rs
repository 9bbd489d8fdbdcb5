//! Writes `simulator/schemas/internal.txt`: how the API server's own Go structs look in its messages.
//!
//! ```text
//! cargo run -p sluice-simulator --example generate-internal -- DIR [OUT]
//! ```
//! `DIR` holds `kubernetes@VERSION` and `api@VERSION` of `k8s.io` (a Go module cache, see `generate-protobuf`). A refusal
//! that repeats a struct prints it as the server holds it: all fields, in the order and under the names of the internal
//! type, which are not those of the API.
//!
//! One struct per line: its name, then `GO:JSON:TYPE` per field. Types: `*` a pointer, `[]` a list, `~` embedded;
//! `s` text, `b` boolean, `n` number, `m` a map, `q` quantity, `o` number or text, `@NAME` a struct, and `j` what prints
//! as it is sent. A JSON name that begins with `^` is a field of the struct around this one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use regex::Regex;

/// The structs that messages repeat; what they hold comes with them.
const ROOTS: &[&str] = &[
    "PodTemplateSpec",
    "PersistentVolumeClaimSpec",
    "PersistentVolumeSource",
    "ServicePort",
    "SecurityContext",
    "DeploymentStrategy",
    "StatefulSetUpdateStrategy",
    "DaemonSetUpdateStrategy",
    "PodDisruptionBudgetSpec",
    "PodFailurePolicy",
    "SuccessPolicy",
    "RoleRef",
];
/// Internal package, and the public one that knows the JSON names.
const PACKAGES: &[(&str, &str)] = &[
    ("core", "core/v1"),
    ("apps", "apps/v1"),
    ("batch", "batch/v1"),
    ("policy", "policy/v1"),
    ("rbac", "rbac/v1"),
];
/// Fields that the public API has one level up.
const MOVED: &[&str] = &["HostNetwork", "HostPID", "HostIPC", "ShareProcessNamespace", "HostUsers"];

/// Fields of a struct: Go name (empty where embedded), type, JSON name.
type Fields = Vec<(String, String, String)>;

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1);
    let input = PathBuf::from(args.next().context("usage: generate-internal DIR [OUT]")?);
    let output = args
        .next()
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/internal.txt"), PathBuf::from);
    let (kubernetes, api) = (newest(&input, "kubernetes@")?, newest(&input, "api@")?);
    let (mut internal, mut public, mut named) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (package, version) in PACKAGES {
        read(&kubernetes.join(format!("pkg/apis/{package}/types.go")), &mut internal, &mut named)?;
        read(&api.join(version).join("types.go"), &mut public, &mut BTreeMap::new())?;
    }
    let mut out = String::new();
    let mut todo: Vec<String> = ROOTS.iter().rev().map(|root| (*root).to_owned()).collect();
    let mut done = BTreeSet::new();
    while let Some(name) = todo.pop() {
        if !done.insert(name.clone()) {
            continue;
        }
        let fields = internal.get(&name).with_context(|| format!("no struct {name}"))?;
        let names = public.get(&name);
        write!(out, "{name}")?;
        for (field, kind, _) in fields {
            let json = match names.and_then(|names| names.iter().find(|(known, ..)| known == field)) {
                Some((_, _, json)) => json.clone(),
                None if MOVED.contains(&field.as_str()) => format!("^{}", lower(field)),
                None => lower(field),
            };
            let code = code(kind, &internal, &named, &mut todo);
            let code = if field.is_empty() { format!("~{code}") } else { code };
            write!(out, " {field}:{json}:{code}")?;
        }
        out.push('\n');
    }
    std::fs::write(&output, out).with_context(|| output.display().to_string())
}

fn newest(dir: &Path, prefix: &str) -> Result<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir)
        .with_context(|| dir.display().to_string())?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .collect();
    found.sort();
    // The API that belongs to the server: v1.36.3 has v0.36.3.
    let server = newest_of(dir, "kubernetes@v1.")?;
    let of_server = found.iter().find(|path| path.to_string_lossy().ends_with(&server)).cloned();
    of_server.or_else(|| found.pop()).with_context(|| format!("no {prefix}* in {}", dir.display()))
}

fn newest_of(dir: &Path, prefix: &str) -> Result<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)?
        .filter_map(|entry| entry.ok()?.file_name().to_string_lossy().strip_prefix(prefix).map(str::to_owned))
        .collect();
    names.sort();
    names.pop().with_context(|| format!("no {prefix}* in {}", dir.display()))
}

/// Reads the structs of a file, and what its other named types stand for.
fn read(
    path: &Path,
    structs: &mut BTreeMap<String, Fields>,
    named: &mut BTreeMap<String, String>,
) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let start = Regex::new(r"^type (\w+) struct \{")?;
    let other = Regex::new(r"^type (\w+) (\S+)$")?;
    let field = Regex::new(r"^\s+(\w+)\s+([^\s`/]+)(?:\s+`.*json:\x22([^,\x22]*).*`)?")?;
    let embedded = Regex::new(r"^\s+((?:\w+\.)?\w+)\s*(?:`.*`)?$")?;
    let mut current: Option<(String, Fields)> = None;
    for line in text.lines() {
        if let Some(found) = start.captures(line) {
            current = Some((found[1].to_owned(), Vec::new()));
        } else if let Some(found) = other.captures(line) {
            named.insert(found[1].to_owned(), found[2].to_owned());
        } else if line == "}" {
            if let Some((name, fields)) = current.take() {
                structs.insert(name, fields);
            }
        } else if let Some((_, fields)) = current.as_mut().filter(|_| !line.trim_start().starts_with("//")) {
            if let Some(found) = embedded.captures(line) {
                fields.push((String::new(), found[1].to_owned(), String::new()));
            } else if let Some(found) = field.captures(line) {
                let json = found.get(3).map(|json| json.as_str().to_owned()).unwrap_or_default();
                fields.push((found[1].to_owned(), found[2].to_owned(), json));
            }
        }
    }
    Ok(())
}

fn code(
    kind: &str,
    structs: &BTreeMap<String, Fields>,
    named: &BTreeMap<String, String>,
    todo: &mut Vec<String>,
) -> String {
    if let Some(inner) = kind.strip_prefix('*') {
        return format!("*{}", code(inner, structs, named, todo));
    }
    if let Some(inner) = kind.strip_prefix("[]").filter(|inner| *inner != "byte") {
        return format!("[]{}", code(inner, structs, named, todo));
    }
    let name = kind.trim_start_matches("api.").trim_start_matches("core.");
    match name {
        "string" => "s".into(),
        "bool" => "b".into(),
        "int" | "int32" | "int64" => "n".into(),
        "resource.Quantity" => "q".into(),
        "intstr.IntOrString" => "o".into(),
        "types.UID" => "s".into(),
        "metav1.ObjectMeta" => "@ObjectMeta".into(),
        _ if name.starts_with("map[") => "m".into(),
        _ if structs.contains_key(name) => {
            todo.push(name.to_owned());
            format!("@{name}")
        }
        _ => match named.get(name) {
            Some(inner) => code(&inner.clone(), structs, named, todo),
            None => "j".into(),
        },
    }
}

fn lower(name: &str) -> String {
    let capitals = name.chars().take_while(char::is_ascii_uppercase).count();
    let split = if capitals > 1 && capitals < name.len() { capitals - 1 } else { capitals };
    format!("{}{}", name[..split].to_lowercase(), &name[split..])
}
