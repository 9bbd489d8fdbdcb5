//! The generated CRDs: up to date in `crds/`, described for `kubectl explain`, and equal to Flux's where those are at hand.

mod manifests;

use std::collections::BTreeMap;

use serde_json::Value;

#[test]
fn committed_manifests_are_up_to_date() {
    let folder = manifests::folder();
    let expected = manifests::all();
    for (file, text) in &expected {
        let committed = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
        assert!(
            committed == *text,
            "crds/{file} is stale: run cargo run -p sluice-api --example generate-crds"
        );
    }
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let group = path.file_name().unwrap().to_str().unwrap().to_owned();
        let below = if path.is_dir() { std::fs::read_dir(&path).unwrap().collect() } else { Vec::new() };
        let mut found: Vec<_> = below
            .into_iter()
            .map(|entry| format!("{group}/{}", entry.unwrap().file_name().to_str().unwrap()))
            .collect();
        if found.is_empty() {
            found.push(group);
        }
        for file in found {
            assert!(expected.contains_key(&file), "crds/{file} belongs to no kind: remove it");
        }
    }
}

#[test]
fn every_field_is_described_in_full_sentences() {
    for crd in sluice_api::crds() {
        let name = crd.metadata.name.clone().unwrap();
        let value = serde_json::to_value(&crd).unwrap();
        undescribed(&value["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &name, true);
    }
}

fn undescribed(schema: &Value, path: &str, is_field: bool) {
    if is_field {
        let description = schema["description"].as_str().unwrap_or_default();
        assert!(
            description.ends_with('.') && description.len() > 8,
            "{path} lacks a description: {description:?}"
        );
        assert!(
            !description.contains('`') && !description.contains("[["),
            "{path} is described in Rust's markup: {description}"
        );
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let is_root_metadata = name == "metadata" && schema["properties"]["apiVersion"].is_object();
        undescribed(property, &format!("{path}.{name}"), !is_root_metadata);
    }
    for below in ["items", "additionalProperties"] {
        if schema[below].is_object() {
            undescribed(&schema[below], &format!("{path}[]"), false);
        }
    }
}

#[test]
fn every_crd_is_exempt_from_substitution() {
    for crd in sluice_api::crds() {
        let annotations = crd.metadata.annotations.unwrap();
        assert_eq!(annotations["kustomize.toolkit.fluxcd.io/substitute"], "disabled");
    }
}

/// Compares every fact but descriptions with the CRDs of Flux v2.9, where they lie beside the workspace.
#[test]
fn schemas_equal_those_of_flux() {
    let reference = manifests::folder().join("../../shared/reference/crds");
    if !reference.is_dir() {
        return;
    }
    let mut differences = Vec::new();
    let mut compared = 0;
    for crd in sluice_api::crds() {
        let name = crd.metadata.name.clone().unwrap();
        let text = std::fs::read_to_string(reference.join(format!("{name}.yaml"))).unwrap();
        let flux = facts(&sluice_yaml::from_str(&text).unwrap());
        let ours = facts(&manifests::value(&crd));
        for (path, fact) in &flux {
            match ours.get(path) {
                Some(own) if own == fact => {}
                Some(own) => differences.push(format!("{name}{path}: {own}, but Flux has {fact}")),
                None => differences.push(format!("{name}{path}: missing, Flux has {fact}")),
            }
        }
        for (path, own) in ours.iter().filter(|(path, _)| !flux.contains_key(*path)) {
            differences.push(format!("{name}{path}: {own}, which Flux does not have"));
        }
        compared += flux.len();
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    assert!(compared > 1000, "only {compared} facts were compared");
}

/// Every leaf of a CRD by its path. Lists whose order says nothing are sorted; descriptions and annotations are left out.
fn facts(crd: &Value) -> BTreeMap<String, Value> {
    fn walk(value: &Value, path: &str, in_properties: bool, facts: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(map) if map.is_empty() => {
                facts.insert(path.to_owned(), value.clone());
            }
            Value::Object(map) => {
                for (key, child) in map {
                    if !in_properties && (key == "description" || key == "annotations") {
                        continue;
                    }
                    walk(child, &format!("{path}/{key}"), key == "properties" && !in_properties, facts);
                }
            }
            Value::Array(items) => {
                let mut items = items.clone();
                if path.ends_with("/required") {
                    items.sort_by_key(Value::to_string);
                }
                for (index, child) in items.iter().enumerate() {
                    walk(child, &format!("{path}/{index}"), false, facts);
                }
                facts.insert(format!("{path}#"), items.len().into());
            }
            leaf => {
                facts.insert(path.to_owned(), leaf.clone());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(crd, "", false, &mut found);
    found
}
