//! One object on its way through the build, and where it came from.

use std::sync::Arc;

use sluice_yaml::{Mapping, Node, Tag, Value};

use crate::error::{BuildError, Result};
use crate::id::{Gvk, ResId, effective_namespace, split_api_version};
use crate::metadata::Origin;

/// An earlier identity; group and version never change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Previous {
    pub(crate) kind: String,
    pub(crate) name: String,
    /// Effective.
    pub(crate) namespace: String,
}

/// An object with what the build remembers about it.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) map: Mapping,
    pub(crate) history: Vec<Previous>,
    pub(crate) prefixes: Vec<String>,
    pub(crate) suffixes: Vec<String>,
    /// Whether the name gets a hash at the end.
    pub(crate) needs_hash: bool,
    /// Whether a chart rendered it: its namespace is the chart's business.
    pub(crate) helm_generated: bool,
    /// The names of the variables that refer to it.
    pub(crate) vars: Vec<String>,
    /// The file it was read from, and the line; empty for generated objects.
    pub(crate) place: Place,
    pub(crate) origin: Option<Arc<Origin>>,
    pub(crate) transformations: Vec<Arc<Origin>>,
}

/// Where an object stands in the files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    pub(crate) file: Arc<str>,
    pub(crate) line: usize,
}

impl Resource {
    pub(crate) fn new(map: Mapping) -> Self {
        Self {
            map,
            history: Vec::new(),
            prefixes: Vec::new(),
            suffixes: Vec::new(),
            needs_hash: false,
            helm_generated: false,
            vars: Vec::new(),
            place: Place::default(),
            origin: None,
            transformations: Vec::new(),
        }
    }

    fn text_at(&self, path: &[&str]) -> &str {
        let (first, rest) = path.split_first().map_or(("", path), |(first, rest)| (*first, rest));
        self.map.get(first).and_then(|node| node.at(rest)).and_then(Node::as_text).unwrap_or("")
    }

    pub(crate) fn api_version(&self) -> &str {
        self.text_at(&["apiVersion"])
    }

    /// Group and version.
    pub(crate) fn group_version(&self) -> (&str, &str) {
        split_api_version(self.api_version())
    }

    pub(crate) fn kind(&self) -> &str {
        self.text_at(&["kind"])
    }

    pub(crate) fn name(&self) -> &str {
        self.text_at(&["metadata", "name"])
    }

    /// The namespace as written; empty if there is none.
    pub(crate) fn namespace(&self) -> &str {
        self.text_at(&["metadata", "namespace"])
    }

    pub(crate) fn effective_namespace(&self) -> &str {
        let (group, version) = self.group_version();
        effective_namespace(group, version, self.kind(), self.namespace())
    }

    pub(crate) fn gvk(&self) -> Gvk {
        let (group, version) = self.group_version();
        Gvk { group: group.into(), version: version.into(), kind: self.kind().into() }
    }

    pub(crate) fn id(&self) -> ResId {
        ResId { gvk: self.gvk(), name: self.name().into(), namespace: self.namespace().into() }
    }

    /// Whether the object has this identity now.
    pub(crate) fn is(&self, id: &ResId) -> bool {
        let (group, version) = self.group_version();
        self.name() == id.name
            && self.kind() == id.gvk.kind
            && group == id.gvk.group
            && version == id.gvk.version
            && self.effective_namespace() == id.effective_namespace()
    }

    /// Whether the object has or had this identity.
    pub(crate) fn is_or_was(&self, id: &ResId) -> bool {
        let (group, version) = self.group_version();
        if group != id.gvk.group || version != id.gvk.version {
            return false;
        }
        self.is(id)
            || self.history.iter().any(|old| {
                old.name == id.name && old.kind == id.gvk.kind && old.namespace == id.effective_namespace()
            })
    }

    /// Kind, name and effective namespace of every identity, the oldest first.
    pub(crate) fn identities(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let old =
            self.history.iter().map(|old| (old.kind.as_str(), old.name.as_str(), old.namespace.as_str()));
        old.chain(std::iter::once((self.kind(), self.name(), self.effective_namespace())))
    }

    pub(crate) fn original_kind(&self) -> &str {
        self.history.first().map_or_else(|| self.kind(), |old| &old.kind)
    }

    pub(crate) fn original_name(&self) -> &str {
        self.history.first().map_or_else(|| self.name(), |old| &old.name)
    }

    pub(crate) fn original_namespace(&self) -> &str {
        self.history.first().map_or_else(|| self.effective_namespace(), |old| &old.namespace)
    }

    /// Remembers the identity that the object has now, before it changes.
    pub(crate) fn remember(&mut self) {
        let now = Previous {
            kind: self.kind().to_owned(),
            name: self.name().to_owned(),
            namespace: self.effective_namespace().to_owned(),
        };
        self.history.push(now);
    }

    fn metadata_mut(&mut self) -> Option<&mut Mapping> {
        self.map.get_or_insert_with("metadata", Node::map).as_map_mut()
    }

    pub(crate) fn set_name(&mut self, name: &str) {
        if let Some(metadata) = self.metadata_mut() {
            metadata.insert("name", Node::text(name));
        }
    }

    pub(crate) fn set_namespace(&mut self, namespace: &str) {
        if let Some(metadata) = self.metadata_mut() {
            metadata.insert("namespace", Node::text(namespace));
        }
    }

    pub(crate) fn set_kind(&mut self, kind: &str) {
        self.map.insert("kind", Node::text(kind));
    }

    /// The value of a label.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.map.get("metadata")?.at(&["labels", key])?.as_text()
    }

    /// The value of an annotation.
    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.map.get("metadata")?.at(&["annotations", key])?.as_text()
    }

    /// Makes an empty map of annotations if there is none.
    pub(crate) fn ensure_annotations(&mut self) {
        let Some(metadata) = self.metadata_mut() else { return };
        let annotations = metadata.get_or_insert_with("annotations", Node::map);
        if annotations.is_null() {
            *annotations = Node::map();
        }
    }

    /// Sets a label or an annotation.
    pub(crate) fn set_metadata(&mut self, field: &str, key: &str, value: &str) {
        let Some(metadata) = self.metadata_mut() else { return };
        let map = metadata.get_or_insert_with(field, Node::map);
        if map.is_null() {
            *map = Node::map();
        }
        if let Some(map) = map.as_map_mut() {
            map.insert(key, Node::text(value));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The identity with the place in the files, for messages.
    pub(crate) fn described(&self) -> String {
        if self.place.file.is_empty() {
            return self.id().to_string();
        }
        let line = if self.place.line > 1 { format!(" line {}", self.place.line) } else { String::new() };
        format!("{} (file {}{line})", self.id(), self.place.file)
    }

    /// The final JSON value.
    pub(crate) fn into_value(self) -> Result<Value> {
        let described = self.described();
        Node::Map(self.map).into_value().map_err(|why| BuildError::invalid(format!("{described}: {why}")))
    }
}

/// Whether a file's node is an object at all, in kustomize's words.
pub(crate) fn check_identity(map: &Mapping) -> Result<()> {
    let text = |path: &[&str]| {
        path.split_first().and_then(|(first, rest)| map.get(first)?.at(rest)?.as_text()).unwrap_or("")
    };
    let strings = |field: &str| -> Vec<(&str, &str)> {
        let fields = map.get("metadata").and_then(|m| m.get(field)).and_then(Node::as_map);
        let mut pairs: Vec<_> = fields.into_iter().flat_map(Mapping::iter).collect();
        pairs.sort_by_key(|(key, _)| *key);
        pairs.into_iter().map(|(k, v)| (k, v.as_text().unwrap_or(""))).collect()
    };
    let (api_version, kind) = (text(&["apiVersion"]), text(&["kind"]));
    let (name, namespace) = (text(&["metadata", "name"]), text(&["metadata", "namespace"]));
    let (labels, annotations) = (strings("labels"), strings("annotations"));
    if [api_version, kind, name, namespace].iter().all(|s| s.is_empty())
        && labels.is_empty()
        && annotations.is_empty()
    {
        return Err(BuildError::invalid("missing Resource metadata"));
    }
    let missing = if kind.is_empty() {
        "kind"
    } else if name.is_empty() && !kind.ends_with("List") {
        "metadata.name"
    } else {
        return Ok(());
    };
    let go_map = |pairs: Vec<(&str, &str)>| {
        let pairs: Vec<_> = pairs.into_iter().map(|(k, v)| format!("{k}:{v}")).collect();
        format!("map[{}]", pairs.join(" "))
    };
    Err(BuildError::invalid(format!(
        "missing {missing} in object {{{{{api_version} {kind}}} {{{{{name} {namespace}}} {} {}}}}}",
        go_map(labels),
        go_map(annotations)
    )))
}

/// Rewrites annotations as texts and drops those that only the build may set.
pub(crate) fn finish_annotations(resource: &mut Resource) {
    let Some(metadata) = resource.map.get_mut("metadata").and_then(Node::as_map_mut) else { return };
    let Some(annotations) = metadata.get_mut("annotations") else { return };
    if let Some(map) = annotations.as_map_mut() {
        map.retain(|key, _| !is_internal(key));
        for (_, value) in map.iter_mut() {
            if let Node::Scalar(scalar) = value {
                scalar.tag = Tag::Str;
            }
        }
    }
    if annotations.is_null() || annotations.as_map().is_some_and(Mapping::is_empty) {
        metadata.remove("annotations");
    }
}

const ORIGIN: &str = "config.kubernetes.io/origin";
const TRANSFORMATIONS: &str = "alpha.config.kubernetes.io/transformations";

fn is_internal(key: &str) -> bool {
    if let Some(rest) = key.strip_prefix("internal.config.kubernetes.io/") {
        return matches!(
            rest,
            "previousKinds"
                | "previousNames"
                | "prefixes"
                | "suffixes"
                | "previousNamespaces"
                | "allowNameChange"
                | "allowKindChange"
                | "refBy"
                | "generatorBehavior"
                | "needsHashSuffix"
                | "path"
                | "index"
                | "seqindent"
                | "id"
                | "annotations-migration-resource-id"
                | "helm-generated"
        );
    }
    matches!(
        key,
        "config.kubernetes.io/path"
            | "config.kubernetes.io/index"
            | "config.k8s.io/id"
            | ORIGIN
            | TRANSFORMATIONS
    )
}
