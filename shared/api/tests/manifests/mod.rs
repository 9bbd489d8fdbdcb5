//! The text of the files below `crds/`, for the program that writes them and the test that compares them.

use std::path::PathBuf;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

/// Where the manifests are kept.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../crds")
}

/// Name and text of every manifest, and the kustomization that lists them.
pub(crate) fn all() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut kustomization =
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n".to_owned();
    for crd in sluice_api::crds() {
        let file = format!("{}.yaml", crd.metadata.name.as_deref().expect("a generated CRD has a name"));
        let value = value(&crd);
        kustomization.push_str(&format!("- {file}\n"));
        files.push((file, sluice_yaml::to_string(&value)));
    }
    files.push(("kustomization.yaml".to_owned(), kustomization));
    files
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
