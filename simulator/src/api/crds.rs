//! CustomResourceDefinitions: what a write of one does to what is served.

use std::sync::Arc;

use serde_json::{Value, json};

use super::columns::Column;
use super::registry::{Custom, ScalePaths, Subresource};
use super::{Api, DeleteOptions, Resource, now};
use crate::schema::Schema;
use crate::storage::{CollectionId, Stored};

/// What holds a definition back until its objects are gone.
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The status of a definition that nobody has looked at yet.
pub(super) fn initial_status(definition: &Value) -> Value {
    let versions = definition["spec"]["versions"].as_array();
    let stored = versions.into_iter().flatten().find(|version| version["storage"] == true);
    json!({
        "acceptedNames": {"kind": "", "plural": ""},
        "conditions": null,
        "storedVersions": stored.map(|version| json!([version["name"]])),
    })
}

fn is_definition(collection: &CollectionId) -> bool {
    collection.is("apiextensions.k8s.io", "customresourcedefinitions")
}

impl Api {
    /// What follows a write at once.
    pub(super) fn after_write(&self, _resource: &Resource, stored: &Stored) {
        if is_definition(&stored.collection) {
            self.serve(stored);
        }
    }

    /// Brings names, conditions and what is served in line with a definition.
    fn serve(&self, stored: &Stored) {
        let mut value = stored.value();
        let before = value["status"].clone();
        let versions = value["spec"]["versions"].as_array().into_iter().flatten();
        let now = versions
            .filter(|version| version["storage"] == true)
            .map(|version| version["name"].clone())
            .next();
        if let (Some(now), Some(stored)) = (now, value["status"]["storedVersions"].as_array_mut())
            && !stored.contains(&now)
        {
            stored.push(now);
        }
        let accepted = self.name(&mut value);
        let resources = if accepted { resources(&value) } else { Ok(Vec::new()) };
        match resources {
            Ok(resources) => self.registry.set_custom(&stored.key.name, resources),
            Err(error) => {
                return tracing::warn!(definition = stored.key.name, %error, "the schema cannot be served");
            }
        }
        if value["status"] != before {
            // A write in between comes back here by itself.
            let (collection, key) = (&stored.collection, stored.key.clone());
            let _ = self.store.update(collection, key, stored.revision, value, stored.fields.to_vec());
        }
    }

    /// Accepts the names that no other definition of the group has, and writes the conditions; tells whether all were
    /// accepted.
    fn name(&self, definition: &mut Value) -> bool {
        let (own, group) = (definition["metadata"]["name"].clone(), definition["spec"]["group"].clone());
        let collection = CollectionId::new("apiextensions.k8s.io", "customresourcedefinitions");
        let others = self.store.list(&collection, &crate::storage::Query::default());
        let others: Vec<Value> = others
            .into_iter()
            .flat_map(|listing| listing.objects)
            .map(|other| other.value())
            .filter(|other| other["spec"]["group"] == group && other["metadata"]["name"] != own)
            .map(|mut other| other["status"]["acceptedNames"].take())
            .collect();
        let of_resources = |taken: &Value, name: &Value| {
            let short = taken["shortNames"].as_array().is_some_and(|names| names.contains(name));
            taken["plural"] == *name || taken["singular"] == *name || short
        };
        let of_kinds = |taken: &Value, name: &Value| taken["kind"] == *name || taken["listKind"] == *name;
        let names = definition["spec"]["names"].clone();
        let mut accepted = definition["status"]["acceptedNames"].clone();
        let mut conflict: Option<(String, &str)> = None;
        for (field, reason) in [
            ("plural", "PluralConflict"),
            ("singular", "SingularConflict"),
            ("shortNames", "ShortNamesConflict"),
            ("kind", "KindConflict"),
            ("listKind", "ListKindConflict"),
        ] {
            let wanted = match &names[field] {
                Value::Array(list) => list.clone(),
                Value::Null => continue,
                name => vec![name.clone()],
            };
            let is_kind = field.to_lowercase().ends_with("kind");
            let is_taken = |name: &Value| {
                others
                    .iter()
                    .any(|taken| if is_kind { of_kinds(taken, name) } else { of_resources(taken, name) })
            };
            match wanted.iter().find(|name| is_taken(name)) {
                Some(name) => conflict = Some((format!("{name} is already in use"), reason)),
                None => accepted[field] = names[field].clone(),
            }
        }
        if conflict.is_none() {
            accepted = names;
        }
        let status = &mut definition["status"];
        status["acceptedNames"] = accepted;
        let is_accepted = conflict.is_none();
        match conflict {
            Some((message, reason)) => {
                set_condition(status, "NamesAccepted", false, reason, &message);
                set_condition(status, "Established", false, "NotAccepted", "not all names are accepted");
            }
            None => {
                set_condition(status, "NamesAccepted", true, "NoConflicts", "no conflicts found");
                let message = "the initial names have been accepted";
                set_condition(status, "Established", true, "InitialNamesAccepted", message);
            }
        }
        is_accepted
    }

    /// Marks a definition for deletion; its objects go first.
    pub(super) fn delete_definition(&self, stored: &Stored) -> Option<Arc<Stored>> {
        let mut value = stored.value();
        value["metadata"]["deletionTimestamp"] = now().into();
        let metadata = &mut value["metadata"];
        metadata["finalizers"] = match metadata["finalizers"].take() {
            Value::Array(mut list) => {
                list.push(CLEANUP.into());
                list.into()
            }
            _ => json!([CLEANUP]),
        };
        let message = "CustomResource deletion is in progress";
        set_condition(&mut value["status"], "Terminating", true, "InstanceDeletionInProgress", message);
        let (collection, key) = (&stored.collection, stored.key.clone());
        let marked =
            self.store.update(collection, key, stored.revision, value, stored.fields.to_vec()).ok()?;
        for object in self.objects_of(&marked) {
            if let Some(target) = self.target_of(&object) {
                // One that went in between is what is wanted.
                let _ = self.delete(&target, &DeleteOptions::default());
            }
        }
        self.finish_definition(&marked);
        Some(marked)
    }

    /// The objects of a definition.
    fn objects_of(&self, definition: &Stored) -> Vec<Arc<Stored>> {
        let value = definition.value();
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let collection = CollectionId::new(text("/spec/group"), text("/spec/names/plural"));
        let listing = self.store.list(&collection, &crate::storage::Query::default());
        listing.map(|listing| listing.objects).unwrap_or_default()
    }

    /// Lets a definition go that is marked and has no objects left.
    fn finish_definition(&self, definition: &Stored) {
        let Some(stored) = self.store.get(&definition.collection, &definition.key) else { return };
        if !stored.deleting || !self.objects_of(&stored).is_empty() {
            return;
        }
        let mut value = stored.value();
        if let Some(list) = value["metadata"]["finalizers"].as_array_mut() {
            list.retain(|finalizer| finalizer != CLEANUP);
            if !list.is_empty() {
                let (collection, key) = (&stored.collection, stored.key.clone());
                let _ = self.store.update(collection, key, stored.revision, value, stored.fields.to_vec());
                return;
            }
        }
        if self.store.delete(&stored.collection, &stored.key, stored.revision).is_ok() {
            self.after_removal(&stored);
        }
    }

    /// What follows at once when an object is gone.
    pub(super) fn after_removal(&self, gone: &Stored) {
        let definitions = CollectionId::new("apiextensions.k8s.io", "customresourcedefinitions");
        if is_definition(&gone.collection) {
            self.registry.set_custom(&gone.key.name, Vec::new());
            // Its names are free for the others.
            let listing = self.store.list(&definitions, &crate::storage::Query::default());
            for other in listing.into_iter().flat_map(|listing| listing.objects) {
                self.serve(&other);
            }
            return;
        }
        let name = format!("{}.{}", gone.collection.resource, gone.collection.group);
        let key = crate::storage::Key::new("", &name);
        if let Some(definition) = self.store.get(&definitions, &key).filter(|definition| definition.deleting)
        {
            self.finish_definition(&definition);
        }
    }
}

/// Writes a condition; its time moves with its status.
fn set_condition(status: &mut Value, kind: &str, is: bool, reason: &str, message: &str) {
    let is = if is { "True" } else { "False" };
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(conditions) = status["conditions"].as_array_mut() else { return };
    let mut condition = json!({
        "type": kind, "status": is, "reason": reason, "message": message, "lastTransitionTime": now(),
    });
    match conditions.iter_mut().find(|known| known["type"] == kind) {
        Some(known) => {
            if known["status"] == is {
                condition["lastTransitionTime"] = known["lastTransitionTime"].clone();
            }
            *known = condition;
        }
        None => conditions.push(condition),
    }
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
    let conditions = definition["status"]["conditions"].as_array();
    let terminating = conditions.into_iter().flatten().any(|condition| condition["type"] == "Terminating");
    let verbs_of_objects: &[&str] = match terminating {
        true => &["delete", "deletecollection", "get", "list", "watch"],
        false => &["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"],
    };
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
            deprecation: deprecation(spec, version),
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
            verbs: verbs(verbs_of_objects),
            subresources,
            collection: CollectionId::new(&group, &plural),
            schema: Some(schema),
            custom: Some(custom),
        }));
    }
    Ok(served)
}

/// What whoever uses a deprecated version is told.
fn deprecation(spec: &Value, version: &Value) -> Option<String> {
    if version["deprecated"] != true {
        return None;
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Some(warning) = version["deprecationWarning"].as_str() {
        return Some(warning.to_owned());
    }
    let (group, kind, name) = (text(&spec["group"]), text(&spec["names"]["kind"]), text(&version["name"]));
    let versions = spec["versions"].as_array().into_iter().flatten();
    let current = versions.rev().find(|other| other["served"] == true && other["deprecated"] != true);
    let instead = current.map(|other| format!("; use {group}/{} {kind}", text(&other["name"])));
    Some(format!("{group}/{name} {kind} is deprecated{}", instead.unwrap_or_default()))
}
