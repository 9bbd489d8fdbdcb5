//! From the text of a manifest to objects with a place in the API.

use std::sync::Arc;

use serde_json::{Value, json};
use sluice_apply::ObjectId;
use sluice_apply::discovery::{Discovery, DiscoveryError, Resource};
use sluice_apply::object::{join_api_version, metadata_text, object_entry, split_api_version, text};

/// The label and the annotations by which Helm knows what is a release's.
pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub(crate) const HELM: &str = "Helm";
pub(crate) const RELEASE_NAME: &str = "meta.helm.sh/release-name";
pub(crate) const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";
/// Keeps an object when its release goes.
pub(crate) const RESOURCE_POLICY: &str = "helm.sh/resource-policy";

/// An object and where it is served.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) id: ObjectId,
    pub(crate) resource: Arc<Resource>,
    pub(crate) value: Value,
}

impl Object {
    pub(crate) fn path(&self) -> String {
        self.resource.path(&self.id.namespace, &self.id.name)
    }

    pub(crate) fn collection(&self) -> String {
        self.resource.collection(&self.id.namespace)
    }

    /// `apps/v1, Kind=Deployment`, as Go prints a kind with its version.
    pub(crate) fn group_version_kind(&self) -> String {
        format!("{}/{}, Kind={}", self.resource.group, self.resource.version, self.resource.kind)
    }

    /// Sets the marks of a release.
    pub(crate) fn own(&mut self, release: &str, namespace: &str) {
        let Some(object) = self.value.as_object_mut() else { return };
        let metadata = object_entry(object, "metadata");
        object_entry(metadata, "labels").insert(MANAGED_BY.into(), json!(HELM));
        let annotations = object_entry(metadata, "annotations");
        annotations.insert(RELEASE_NAME.into(), json!(release));
        annotations.insert(RELEASE_NAMESPACE.into(), json!(namespace));
    }

    /// The annotation of an object, empty where there is none.
    pub(crate) fn annotation(object: &Value, key: &str) -> String {
        let annotations = sluice_apply::object::metadata_map(object, "annotations");
        let text = annotations.and_then(|map| map.get(key)).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    }
}

/// The objects in a text of documents, Lists taken apart; nothing is asked of a cluster.
///
/// # Errors
/// A document that is no object.
pub(crate) fn parse(manifest: &str) -> Result<Vec<Value>, String> {
    let reader = sluice_yaml::Reader::yaml11().last_wins();
    let mut objects = Vec::new();
    for document in sluice_helm::manifest::split(manifest) {
        let Some(node) = reader.first(document).map_err(|error| error.to_string())? else { continue };
        let value = node.into_value_by(sluice_yaml::Schema::Yaml11)?;
        flatten(value, &mut objects, 0)?;
    }
    Ok(objects)
}

fn flatten(value: Value, into: &mut Vec<Value>, depth: usize) -> Result<(), String> {
    const LISTS: usize = 16;
    if value.is_null() {
        return Ok(());
    }
    let kind = text(&value, "kind");
    if kind.is_empty() {
        return Err("Object 'Kind' is missing in a document".to_owned());
    }
    if kind.ends_with("List") && value.get("items").is_some_and(Value::is_array) {
        if depth == LISTS {
            return Err(format!("Lists are more than {LISTS} levels deep"));
        }
        let mut value = value;
        for item in value["items"].as_array_mut().map(std::mem::take).into_iter().flatten() {
            flatten(item, into, depth + 1)?;
        }
        return Ok(());
    }
    into.push(value);
    Ok(())
}

/// Finds the place of every object, and its namespace where it has none.
///
/// # Errors
/// All kinds that the cluster does not serve, in the words of Kubernetes' clients.
pub(crate) async fn locate(
    objects: Vec<Value>,
    discovery: &Discovery,
    namespace: &str,
) -> Result<Vec<Object>, String> {
    let mut located = Vec::with_capacity(objects.len());
    let mut missing = Vec::new();
    for mut value in objects {
        let (group, version) = split_api_version(text(&value, "apiVersion"));
        let kind = text(&value, "kind");
        match discovery.resource(group, version, kind).await {
            Ok(resource) => {
                let (mut id, _) = ObjectId::of(&value);
                if !resource.namespaced {
                    id.namespace.clear();
                } else if id.namespace.is_empty() {
                    namespace.clone_into(&mut id.namespace);
                    if let Some(object) = value.as_object_mut() {
                        object_entry(object, "metadata").insert("namespace".into(), json!(namespace));
                    }
                }
                check_name(&value, &id)?;
                located.push(Object { id, resource, value });
            }
            Err(DiscoveryError::NoMatch { .. } | DiscoveryError::NoGroupMatch { .. }) => {
                missing.push(format!(
                    "resource mapping not found for name: {:?} namespace: {:?} from \"\": no matches for kind {kind:?} \
                     in version {:?}\nensure CRDs are installed first",
                    metadata_text(&value, "name"),
                    metadata_text(&value, "namespace"),
                    join_api_version(group, version),
                ));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    match missing.as_slice() {
        [] => Ok(located),
        [one] => Err(one.clone()),
        more => Err(format!("[{}]", more.join(", "))),
    }
}

fn check_name(value: &Value, id: &ObjectId) -> Result<(), String> {
    let generated = !metadata_text(value, "generateName").is_empty();
    match (id.name.is_empty(), generated) {
        (false, true) => Err("metadata.name and metadata.generateName cannot both be set".to_owned()),
        (true, false) => Err(format!("{} has no metadata.name: resource name may not be empty", id.kind)),
        _ => Ok(()),
    }
}

/// Runs of objects of one kind, which may be sent at the same time.
pub(crate) fn runs(objects: &[Object]) -> impl Iterator<Item = &[Object]> {
    objects.chunk_by(|a, b| a.id.kind == b.id.kind && a.id.group == b.id.group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_taken_apart_and_documents_without_a_kind_are_refused() {
        let text = "kind: A\n---\n# nothing\n---\nkind: List\nitems:\n- kind: B\n- kind: ConfigMapList\n  items: [{kind: C}]\n- null\n---\nkind: AccessList\nspec: {}\n";
        let kinds: Vec<_> = parse(text)
            .expect("objects")
            .iter()
            .map(|o| sluice_apply::object::text(o, "kind").to_owned())
            .collect();
        assert_eq!(kinds, ["A", "B", "C", "AccessList"]);
        for (wrong, want) in [("a: 1\n", "Object 'Kind' is missing"), ("kind: A\n b: 1\n", "yaml: line 2")] {
            let error = parse(wrong).expect_err("no object");
            assert!(error.contains(want), "{error}");
        }
        let mut deep = String::from("kind: A");
        for _ in 0..20 {
            deep = format!("{{kind: List, items: [{{{deep}}}]}}").replace("{{", "{").replace("}}", "}");
        }
        assert!(parse(&deep).expect_err("too deep").contains("levels deep"));
    }
}
