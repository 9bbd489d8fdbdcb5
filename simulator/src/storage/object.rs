//! One stored object: its JSON text, and the few facts that are needed without decoding it.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

/// A kind of object in storage: its API group and plural name. All served versions share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CollectionId {
    pub(crate) group: Arc<str>,
    pub(crate) resource: Arc<str>,
}

impl CollectionId {
    pub(crate) fn new(group: &str, resource: &str) -> Self {
        Self { group: group.into(), resource: resource.into() }
    }

    pub(crate) fn is(&self, group: &str, resource: &str) -> bool {
        &*self.group == group && &*self.resource == resource
    }
}

/// Where an object lies within its collection; ordered as etcd orders its keys. Cluster-scoped: empty namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// An owner reference, as far as the controllers follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) controller: bool,
    pub(crate) blocks_deletion: bool,
}

/// An object at one revision. Never changes; a write makes a new one.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) collection: CollectionId,
    pub(crate) key: Key,
    pub(crate) revision: u64,
    pub(crate) uid: String,
    pub(crate) labels: Box<[(String, String)]>,
    /// Values that field selectors can ask for, apart from the name and namespace.
    pub(crate) fields: Box<[(String, String)]>,
    pub(crate) owners: Box<[Owner]>,
    pub(crate) deleting: bool,
    /// The object as clients see it, in its storage version.
    pub(crate) json: Bytes,
}

impl Stored {
    /// Encodes `value` after writing `revision` into it.
    pub(crate) fn encode(
        collection: &CollectionId,
        key: Key,
        revision: u64,
        mut value: Value,
        fields: Vec<(String, String)>,
    ) -> Self {
        if let Some(meta) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.insert("resourceVersion".to_owned(), Value::String(revision.to_string()));
        }
        let meta = &value["metadata"];
        let labels = meta["labels"]
            .as_object()
            .map(|map| {
                map.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())).collect()
            })
            .unwrap_or_default();
        let owners = meta["ownerReferences"]
            .as_array()
            .map(|refs| refs.iter().map(Owner::from_value).collect())
            .unwrap_or_default();
        Self {
            collection: collection.clone(),
            key,
            revision,
            uid: meta["uid"].as_str().unwrap_or_default().to_owned(),
            labels,
            fields: fields.into_boxed_slice(),
            owners,
            deleting: meta.get("deletionTimestamp").is_some_and(|t| !t.is_null()),
            json: Bytes::from(value.to_string()),
        }
    }

    /// Decodes the object.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.json).expect("stored objects are encoded by this store, so they decode")
    }

    /// The value that a field selector asks for; `None` if this kind does not have such a field.
    pub(crate) fn field(&self, path: &str) -> Option<&str> {
        match path {
            "metadata.name" => Some(&self.key.name),
            "metadata.namespace" => Some(&self.key.namespace),
            _ => self.fields.iter().find(|(k, _)| k == path).map(|(_, v)| v.as_str()),
        }
    }

    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    /// The owner that manages this object, if any.
    pub(crate) fn controller(&self) -> Option<&Owner> {
        self.owners.iter().find(|o| o.controller)
    }
}

impl Owner {
    fn from_value(value: &Value) -> Self {
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        Self {
            api_version: text("apiVersion"),
            kind: text("kind"),
            name: text("name"),
            uid: text("uid"),
            controller: value["controller"].as_bool().unwrap_or_default(),
            blocks_deletion: value["blockOwnerDeletion"].as_bool().unwrap_or_default(),
        }
    }
}
