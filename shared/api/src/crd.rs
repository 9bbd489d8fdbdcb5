//! The CRD manifests, from the types: what the derive gives, brought to exactly the schema of Flux.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceSubresources, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
    JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::json;

use crate::meta::{DISABLED_VALUE, SUBSTITUTE_ANNOTATION};
use crate::{helm, kustomize, notification, source};

/// The CRDs of all eleven kinds, ordered by name.
///
/// Costly (the schemas are built anew at each call) and of use to installers and tests only.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut crds: Vec<_> = [
        source::Bucket::crd(),
        source::ExternalArtifact::crd(),
        source::GitRepository::crd(),
        source::HelmChart::crd(),
        source::HelmRepository::crd(),
        source::OCIRepository::crd(),
        kustomize::Kustomization::crd(),
        helm::HelmRelease::crd(),
        notification::Alert::crd(),
        notification::Provider::crd(),
        notification::Receiver::crd(),
    ]
    .into_iter()
    .map(finish)
    .collect();
    crds.sort_by(|one, other| one.metadata.name.cmp(&other.metadata.name));
    crds
}

/// Adds what the derive has no word for, and removes what it says beyond Flux's schema.
fn finish(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    // The descriptions and patterns hold `${…}` and `$`: a Kustomization that installs the CRDs must not substitute there.
    crd.metadata
        .annotations
        .get_or_insert_default()
        .insert(SUBSTITUTE_ANNOTATION.to_owned(), DISABLED_VALUE.to_owned());
    crd.spec.names.list_kind = Some(format!("{}List", crd.spec.names.kind));
    // Only these two kinds have no observedGeneration to start from.
    let observes_generation = crd.spec.names.kind != "ExternalArtifact";

    for version in &mut crd.spec.versions {
        // Kinds without a status say so with an empty object.
        version.subresources.get_or_insert_with(CustomResourceSubresources::default);
        let Some(root) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) else {
            continue;
        };
        strip(root);
        root.required = None;
        root.type_ = Some("object".to_owned());
        let properties = root.properties.get_or_insert_default();
        for name in ["spec", "status"] {
            if let Some(part) = properties.get_mut(name) {
                part.default = None;
            }
        }
        if let Some(status) = properties.get_mut("status").filter(|_| observes_generation) {
            status.default = Some(JSON(json!({"observedGeneration": -1})));
        }
        for (name, type_, description) in [
            ("apiVersion", "string", Some("API group and version of the object.")),
            ("kind", "string", Some("Kind of the object.")),
            // The API server refuses a description here.
            ("metadata", "object", None),
        ] {
            let schema = JSONSchemaProps {
                type_: Some(type_.to_owned()),
                description: description.map(str::to_owned),
                ..JSONSchemaProps::default()
            };
            properties.insert(name.to_owned(), schema);
        }
    }
    crd
}

/// Removes from a schema and all below it what the derive adds for optional fields (`nullable`, null as a value: absent
/// is enough), and from descriptions the marks and line ends of the source text.
fn strip(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    if let Some(values) = &mut schema.enum_ {
        values.retain(|value| !value.0.is_null());
    }
    if let Some(description) = &mut schema.description {
        *description = description.replace('`', "").split_whitespace().collect::<Vec<_>>().join(" ");
    }
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        strip(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => strip(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(strip),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        strip(values);
    }
}
