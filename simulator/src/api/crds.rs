//! CustomResourceDefinitions: what a write of one does to what is served.

use std::sync::Arc;

use serde_json::{Value, json};

use super::columns::Column;
use super::registry::{Custom, ScalePaths, Subresource};
use super::{Api, Resource, now, strategy};
use crate::schema::Schema;
use crate::storage::{CollectionId, Stored};

impl Api {
    /// What follows a write at once.
    pub(super) fn after_write(&self, resource: &Resource, stored: &Stored) {
        if !resource.is("apiextensions.k8s.io", "customresourcedefinitions") {
            return;
        }
        let mut value = stored.value();
        match resources(&value) {
            Ok(resources) => {
                self.registry.set_custom(&stored.key.name, resources);
                if established(&mut value) {
                    let fields = strategy::fields(resource, &value);
                    // A write in between comes back here by itself.
                    let _ = self.store.update(
                        &stored.collection,
                        stored.key.clone(),
                        stored.revision,
                        value,
                        fields,
                    );
                }
            }
            Err(error) => tracing::warn!(definition = stored.key.name, %error, "the schema cannot be served"),
        }
    }

    /// What follows a deletion at once.
    pub(super) fn after_delete(&self, resource: &Resource, stored: &Stored) {
        if resource.is("apiextensions.k8s.io", "customresourcedefinitions") {
            let value = stored.value();
            let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let collection = CollectionId::new(text("/spec/group"), text("/spec/names/plural"));
            if let Some(all) = self.store.list(&collection, &crate::storage::Query::default()) {
                for object in all.objects {
                    let _ = self.store.delete(&collection, &object.key, object.revision);
                }
            }
            self.registry.set_custom(&stored.key.name, Vec::new());
        }
    }
}

/// Writes the conditions and names of a served definition into its status; tells whether that changed anything.
fn established(definition: &mut Value) -> bool {
    let names = definition["spec"]["names"].clone();
    let versions: Vec<Value> = definition["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|version| version["storage"] == true)
        .map(|version| version["name"].clone())
        .collect();
    let before = definition["status"].clone();
    let status = &mut definition["status"];
    if status["conditions"].as_array().is_none_or(Vec::is_empty) {
        let time = now();
        status["conditions"] = json!([
            {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found", "lastTransitionTime": time},
            {"type": "Established", "status": "True", "reason": "InitialNamesAccepted", "message": "the initial names have been accepted", "lastTransitionTime": time},
        ]);
    }
    status["acceptedNames"] = names;
    if status["storedVersions"].as_array().is_none_or(Vec::is_empty) {
        status["storedVersions"] = versions.into();
    }
    before != *status
}

/// The resources that a definition serves, one per version.
fn resources(definition: &Value) -> Result<Vec<Arc<Resource>>, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
    let (spec, names) = (&definition["spec"], &definition["spec"]["names"]);
    let (group, plural) = (text(&spec["group"]), text(&names["plural"]));
    let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let storage = versions
        .iter()
        .find(|version| version["storage"] == true)
        .ok_or("no version is the storage version")?;
    let mut served = Vec::new();
    for version in versions.iter().filter(|version| version["served"] == true) {
        let schema = &version["schema"]["openAPIV3Schema"];
        let schema = Schema::from_crd(schema).map_err(|error| error.to_string())?;
        let verbs = |all: &[&str]| all.iter().map(|verb| (*verb).to_owned()).collect::<Vec<_>>();
        let mut subresources = Vec::new();
        if version["subresources"]["status"].is_object() {
            subresources.push(Subresource {
                name: "status".into(),
                group: String::new(),
                version: String::new(),
                kind: text(&names["kind"]),
                verbs: verbs(&["get", "patch", "update"]),
            });
        }
        let scale = &version["subresources"]["scale"];
        let scale = scale.is_object().then(|| ScalePaths {
            spec: text(&scale["specReplicasPath"]),
            status: text(&scale["statusReplicasPath"]),
            selector: scale["labelSelectorPath"].as_str().map(str::to_owned),
        });
        let custom = Custom {
            columns: version["additionalPrinterColumns"]
                .as_array()
                .into_iter()
                .flatten()
                .map(Column::from_definition)
                .collect(),
            scale,
            selectable: version["selectableFields"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|field| text(&field["jsonPath"]).trim_start_matches('.').to_owned())
                .collect(),
            deprecation: version["deprecationWarning"].as_str().map(str::to_owned),
            storage_version: text(&storage["name"]),
        };
        served.push(Arc::new(Resource {
            group: group.as_str().into(),
            version: version["name"].as_str().unwrap_or_default().into(),
            plural: plural.as_str().into(),
            kind: text(&names["kind"]),
            list_kind: text(&names["listKind"]),
            singular: text(&names["singular"]),
            short_names: texts(&names["shortNames"]),
            categories: texts(&names["categories"]),
            namespaced: spec["scope"] == "Namespaced",
            verbs: verbs(&[
                "create",
                "delete",
                "deletecollection",
                "get",
                "list",
                "patch",
                "update",
                "watch",
            ]),
            subresources,
            collection: CollectionId::new(&group, &plural),
            schema: Some(schema),
            custom: Some(custom),
        }));
    }
    Ok(served)
}
