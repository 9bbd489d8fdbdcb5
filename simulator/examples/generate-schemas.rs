//! Writes `simulator/schemas/` from what a real API server answers.
//!
//! ```text
//! cargo run -p sluice-simulator --example generate-schemas -- DIR [OUT]
//! ```
//! `DIR` holds `api.json` and `apis.json` (aggregated discovery: `kubectl get --raw /api` and `/apis` with the Accept
//! header `application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList`) and `openapi-v3/*.json` (one document
//! per path of `kubectl get --raw /openapi/v3`). `OUT` defaults to the `schemas` folder of this crate.
//!
//! The facts are kept, the prose is not. A definition that is in several documents is written once; the list of group,
//! version and kind is the union of all of them. One definition per line, so that an upgrade gives a readable diff.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

const REF: &str = "#/components/schemas/";
const GVK: &str = "x-kubernetes-group-version-kind";

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1);
    let input = PathBuf::from(args.next().context("usage: generate-schemas DIR [OUT]")?);
    let output =
        args.next().map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas"), PathBuf::from);

    let mut definitions: BTreeMap<String, Value> = BTreeMap::new();
    let mut documents: Vec<PathBuf> = fs::read_dir(input.join("openapi-v3"))
        .with_context(|| format!("read {}/openapi-v3", input.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    documents.sort();
    for path in documents.iter().filter(|path| path.extension().is_some_and(|e| e == "json")) {
        let document = read(path)?;
        let Some(schemas) = document["components"]["schemas"].as_object() else {
            continue;
        };
        for (name, schema) in schemas {
            let schema = compact(schema, false);
            match definitions.get_mut(name) {
                None => {
                    definitions.insert(name.clone(), schema);
                }
                Some(known) => unite(name, known, schema)?,
            }
        }
    }
    if definitions.is_empty() {
        bail!("no schema in {}/openapi-v3", input.display());
    }

    let mut text = String::from("{\n");
    for (at, (name, schema)) in definitions.iter().enumerate() {
        let comma = if at + 1 < definitions.len() { "," } else { "" };
        text += &format!("{}:{}{comma}\n", Value::from(name.as_str()), schema);
    }
    text += "}\n";
    write(&output.join("definitions.json"), &text)?;

    let mut text = String::from("[\n");
    let mut groups = Vec::new();
    for file in ["api.json", "apis.json"] {
        let document = read(&input.join(file))?;
        groups.extend(document["items"].as_array().cloned().unwrap_or_default());
    }
    for (at, group) in groups.iter().enumerate() {
        let comma = if at + 1 < groups.len() { "," } else { "" };
        text += &format!("{group}{comma}\n");
    }
    text += "]\n";
    write(&output.join("discovery.json"), &text)
}

fn read(path: &Path) -> Result<Value> {
    let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("parse {}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// Drops descriptions, and turns `allOf: [{$ref}]` with siblings into a `$ref` with siblings.
fn compact(schema: &Value, is_properties: bool) -> Value {
    match schema {
        Value::Object(map) => {
            let mut out = serde_json::Map::new();
            for (key, value) in map {
                if !is_properties {
                    match key.as_str() {
                        "description" | "example" | "externalDocs" => continue,
                        "$ref" => {
                            let name = value.as_str().unwrap_or_default();
                            out.insert(key.clone(), name.strip_prefix(REF).unwrap_or(name).into());
                            continue;
                        }
                        "allOf" if value.as_array().is_some_and(|all| all.len() == 1) => {
                            let only = compact(&value[0], false);
                            if let Value::Object(only) = only {
                                out.extend(only);
                            }
                            continue;
                        }
                        "default" | "enum" => {
                            out.insert(key.clone(), value.clone());
                            continue;
                        }
                        _ => {}
                    }
                }
                out.insert(key.clone(), compact(value, !is_properties && key == "properties"));
            }
            Value::Object(out)
        }
        Value::Array(items) => items.iter().map(|item| compact(item, false)).collect(),
        other => other.clone(),
    }
}

fn unite(name: &str, known: &mut Value, other: Value) -> Result<()> {
    let Value::Object(mut other) = other else {
        bail!("{name} is not an object");
    };
    let kinds = other.remove(GVK);
    let Some(known) = known.as_object_mut() else {
        bail!("{name} is not an object");
    };
    let known_kinds = known.remove(GVK);
    if *known != other {
        bail!("{name} differs between two documents");
    }
    let mut all: Vec<Value> = Vec::new();
    for kind in
        [known_kinds, kinds].into_iter().flatten().filter_map(|kinds| kinds.as_array().cloned()).flatten()
    {
        if !all.contains(&kind) {
            all.push(kind);
        }
    }
    if !all.is_empty() {
        known.insert(GVK.into(), all.into());
    }
    Ok(())
}
