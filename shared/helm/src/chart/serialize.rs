//! Metadata as JSON: the fields in Helm's order, without those that are empty. Digests of releases depend on it.

use serde::ser::{SerializeMap, Serializer};
use serde::{Serialize, ser::SerializeSeq};

use super::{Dependency, ImportValue, Lock, Maintainer, Metadata};

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        text(&mut map, "name", &self.name)?;
        text(&mut map, "home", &self.home)?;
        list(&mut map, "sources", &self.sources)?;
        text(&mut map, "version", &self.version)?;
        text(&mut map, "description", &self.description)?;
        list(&mut map, "keywords", &self.keywords)?;
        list(&mut map, "maintainers", &self.maintainers)?;
        text(&mut map, "icon", &self.icon)?;
        text(&mut map, "apiVersion", &self.api_version)?;
        text(&mut map, "condition", &self.condition)?;
        text(&mut map, "tags", &self.tags)?;
        text(&mut map, "appVersion", &self.app_version)?;
        flag(&mut map, "deprecated", self.deprecated)?;
        if !self.annotations.is_empty() {
            map.serialize_entry("annotations", &self.annotations)?;
        }
        text(&mut map, "kubeVersion", &self.kube_version)?;
        list(&mut map, "dependencies", &self.dependencies)?;
        text(&mut map, "type", &self.kind)?;
        map.end()
    }
}

impl Serialize for Maintainer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        text(&mut map, "name", &self.name)?;
        text(&mut map, "email", &self.email)?;
        text(&mut map, "url", &self.url)?;
        map.end()
    }
}

impl Serialize for Dependency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        text(&mut map, "version", &self.version)?;
        map.serialize_entry("repository", &self.repository)?;
        text(&mut map, "condition", &self.condition)?;
        list(&mut map, "tags", &self.tags)?;
        flag(&mut map, "enabled", self.enabled)?;
        list(&mut map, "import-values", &self.import_values)?;
        text(&mut map, "alias", &self.alias)?;
        map.end()
    }
}

impl Serialize for ImportValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Export(name) => serializer.serialize_str(name),
            Self::Paths { child, parent } => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("child", child)?;
                map.serialize_entry("parent", parent)?;
                map.end()
            }
            Self::Other(value) => value.serialize(serializer),
        }
    }
}

impl Serialize for Lock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("generated", &self.generated)?;
        map.serialize_entry("digest", &self.digest)?;
        map.serialize_entry("dependencies", &OrNull(&self.dependencies))?;
        map.end()
    }
}

/// A list that is `null` where it is empty, as Go writes one that was never made.
pub(crate) struct OrNull<'a, T>(pub(crate) &'a [T]);

impl<T: Serialize> Serialize for OrNull<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            return serializer.serialize_none();
        }
        let mut items = serializer.serialize_seq(Some(self.0.len()))?;
        for item in self.0 {
            items.serialize_element(item)?;
        }
        items.end()
    }
}

fn text<M: SerializeMap>(map: &mut M, key: &str, text: &str) -> Result<(), M::Error> {
    if text.is_empty() { Ok(()) } else { map.serialize_entry(key, text) }
}

fn list<M: SerializeMap, T: Serialize>(map: &mut M, key: &str, items: &[T]) -> Result<(), M::Error> {
    if items.is_empty() { Ok(()) } else { map.serialize_entry(key, items) }
}

fn flag<M: SerializeMap>(map: &mut M, key: &str, set: bool) -> Result<(), M::Error> {
    if set { map.serialize_entry(key, &true) } else { Ok(()) }
}
