//! Writes `simulator/schemas/protobuf.txt`: the field numbers of the built-in kinds, from Kubernetes' Go modules.
//!
//! ```text
//! cargo run -p sluice-simulator --example generate-protobuf -- DIR [OUT]
//! ```
//! `DIR` holds `api@VERSION` and `apimachinery@VERSION` of `k8s.io` (a Go module cache: `go mod download` puts them into
//! `$(go env GOMODCACHE)/k8s.io`); of several versions the last by name is taken. The facts come from the struct tags
//! of the types: number, JSON name, whether a field is inlined, a pointer, a list or a map.
//!
//! One message per line: its name, then `NUMBER:NAME:FLAGS:TYPE` per field. Flags: `r` repeated, `m` map from strings,
//! `i` inlined into its parent in JSON, `z` a zero is the same as nothing. Types: `s` text, `b` boolean, `n` integer,
//! `f` double, `y` bytes, `@NAME` a message.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use regex::Regex;

const META: &str = "apimachinery/pkg/apis/meta/v1";

/// What a named Go type is.
#[derive(Debug, Clone)]
enum Named {
    Message(Vec<Field>),
    Other(String),
}

#[derive(Debug, Clone)]
struct Field {
    number: u32,
    json: String,
    inline: bool,
    omit_empty: bool,
    go: String,
}

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1);
    let input = PathBuf::from(args.next().context("usage: generate-protobuf DIR [OUT]")?);
    let output = args
        .next()
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/protobuf.txt"), PathBuf::from);
    let (api, machinery) = (module(&input, "api")?, module(&input, "apimachinery")?);

    let mut packages = vec![(META.to_owned(), machinery.join("pkg/apis/meta/v1"))];
    for group in std::fs::read_dir(&api)? {
        let group = group?;
        for version in ["v1", "v2"] {
            let dir = group.path().join(version);
            if dir.join("types.go").exists() {
                packages.push((format!("api/{}/{version}", group.file_name().to_string_lossy()), dir));
            }
        }
    }
    packages.sort();

    let mut types: BTreeMap<String, Named> = BTreeMap::new();
    for (package, dir) in &packages {
        read_package(package, dir, &mut types)?;
    }
    let mut text = String::new();
    for (name, named) in &types {
        let Named::Message(fields) = named else { continue };
        if fields.is_empty() {
            continue;
        }
        text += name;
        for field in fields {
            let (mut flags, mut go) = (String::new(), field.go.as_str());
            let pointer = go.starts_with('*');
            go = go.trim_start_matches('*');
            let kind = kind(go, &types, &mut flags);
            if field.inline {
                flags.push('i');
            }
            if field.omit_empty && !pointer {
                flags.push('z');
            }
            text += &format!(" {}:{}:{flags}:{kind}", field.number, field.json);
        }
        text.push('\n');
    }
    if text.is_empty() {
        bail!("no types in {}", input.display());
    }
    std::fs::write(&output, text).with_context(|| format!("write {}", output.display()))
}

fn module(dir: &Path, name: &str) -> Result<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir)
        .with_context(|| format!("read {}", dir.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&format!("{name}@")))
        })
        .collect();
    found.sort();
    found.pop().with_context(|| format!("no {name}@VERSION in {}", dir.display()))
}

fn read_package(package: &str, dir: &Path, types: &mut BTreeMap<String, Named>) -> Result<()> {
    let import = Regex::new(r#"^\s*(?:import\s+)?(\w+)?\s*"k8s\.io/([^"]+)"\s*$"#)?;
    let start = Regex::new(r"^type (\w+) struct \{")?;
    let other = Regex::new(r"^type (\w+) =?\s*([\w.\[\]*]+)\s*$")?;
    let field = Regex::new(r#"^\s*(?:(\w+)\s+)?(\S+)\s+`json:"([^",]*)([^"]*)".*protobuf:"\w+,(\d+),"#)?;
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.ends_with(".go") || name.ends_with("_test.go") || name.contains("generated") {
            continue;
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let mut imports: BTreeMap<String, String> = BTreeMap::new();
        let mut open: Option<(String, Vec<Field>)> = None;
        for line in text.lines() {
            if let Some((_, fields)) = &mut open {
                if let Some(found) = field.captures(line) {
                    fields.push(Field {
                        number: found[5].parse()?,
                        json: found[3].to_owned(),
                        inline: found[4].contains("inline"),
                        omit_empty: found[4].contains("omitempty"),
                        go: resolve(&found[2], package, &imports),
                    });
                } else if line == "}"
                    && let Some((name, fields)) = open.take()
                {
                    types.insert(format!("{package}.{name}"), Named::Message(fields));
                }
            } else if let Some(found) = start.captures(line) {
                open = Some((found[1].to_owned(), Vec::new()));
            } else if let Some(found) = other.captures(line) {
                let go = resolve(&found[2], package, &imports);
                types.insert(format!("{package}.{}", &found[1]), Named::Other(go));
            } else if let Some(found) = import.captures(line) {
                let alias = found
                    .get(1)
                    .map_or_else(|| found[2].rsplit('/').next().unwrap_or_default(), |m| m.as_str());
                imports.insert(alias.to_owned(), found[2].to_owned());
            }
        }
    }
    Ok(())
}

/// Writes the package into the name of a type.
fn resolve(go: &str, package: &str, imports: &BTreeMap<String, String>) -> String {
    let at = go.rfind(['*', ']']).map_or(0, |at| at + 1);
    let (prefix, name) = go.split_at(at);
    let full = match name.split_once('.') {
        Some((alias, name)) => format!("{}.{name}", imports.get(alias).map_or(alias, String::as_str)),
        None if name.chars().next().is_some_and(char::is_uppercase) => format!("{package}.{name}"),
        None => name.to_owned(),
    };
    format!("{prefix}{full}")
}

fn kind(go: &str, types: &BTreeMap<String, Named>, flags: &mut String) -> String {
    if go == "[]byte" {
        return "y".to_owned();
    }
    if let Some(item) = go.strip_prefix("[]") {
        flags.push('r');
        return kind(item.trim_start_matches('*'), types, flags);
    }
    if let Some(rest) = go.strip_prefix("map[") {
        flags.push('m');
        return kind(rest.split_once(']').map_or("string", |(_, value)| value), types, flags);
    }
    match go {
        "string" => return "s".to_owned(),
        "bool" => return "b".to_owned(),
        "float64" => return "f".to_owned(),
        "int" | "int32" | "int64" | "uint8" | "uint32" | "uint64" | "byte" => return "n".to_owned(),
        _ => {}
    }
    if go.starts_with("apimachinery/pkg/types.") {
        return "s".to_owned();
    }
    match types.get(go) {
        // A named list is a message with the list as its first field.
        Some(Named::Other(other)) if other.starts_with("[]") => {
            format!("@list/{}", kind(&other[2..], types, &mut String::new()))
        }
        Some(Named::Other(other)) => kind(other, types, flags),
        _ => format!("@{go}"),
    }
}
