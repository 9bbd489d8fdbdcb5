//! The text of the files below `crds/`, for the program that writes them and the test that compares them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

/// Where the manifests are kept.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../crds")
}

/// Path below [`folder`] and text of every manifest: a folder per API group, each a kustomization of its own, so that a
/// controller installs its group alone.
pub(crate) fn all() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for crd in sluice_api::crds() {
        let group = crd.spec.group.split('.').next().unwrap_or_default().to_owned();
        let file = format!("{}.yaml", crd.metadata.name.as_deref().expect("a generated CRD has a name"));
        files.insert(format!("{group}/{file}"), sluice_yaml::to_string(&value(&crd)));
        groups.entry(group).or_default().push(file);
    }
    for (group, crds) in &groups {
        files.insert(format!("{group}/kustomization.yaml"), kustomization(crds.iter()));
    }
    files.insert("kustomization.yaml".to_owned(), kustomization(groups.keys()));
    files
}

fn kustomization<'a>(resources: impl Iterator<Item = &'a String>) -> String {
    let list: String = resources.map(|resource| format!("- {resource}\n")).collect();
    format!("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n{list}")
}

/// A CRD as plain data. Bounds are floating-point numbers in Rust's type, and whole ones in every manifest.
pub(crate) fn value(crd: &CustomResourceDefinition) -> Value {
    let mut value = serde_json::to_value(crd).expect("a CRD is plain data");
    whole_numbers(&mut value);
    value
}

fn whole_numbers(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(map) => map.values_mut().for_each(whole_numbers),
        Value::Number(number) => {
            if let Some(float) =
                number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15)
            {
                *value = (float as i64).into();
            }
        }
        _ => {}
    }
}
