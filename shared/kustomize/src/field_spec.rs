//! Field specifications: which fields of which objects a transformer changes, and the walk to them.

use sluice_yaml::{Node, Scalar};

use crate::error::{BuildError, Result, Within as _};
use crate::file;
use crate::id::Gvk;
use crate::resource::Resource;
use crate::tables::Spec;

/// Fields of objects of some kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldSpec {
    pub(crate) gvk: Gvk,
    pub(crate) path: String,
    pub(crate) create: bool,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    name: String,
    /// Written with `[]`: the field is a list.
    list: bool,
}

/// What a transformer puts at the end of a path that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Create {
    /// Nothing: the path must exist.
    Nothing,
    /// An empty map.
    Map,
    /// An empty scalar.
    Scalar,
}

impl FieldSpec {
    pub(crate) fn new(gvk: Gvk, path: &str, create: bool) -> Self {
        Self { gvk, path: path.to_owned(), create, segments: segments(path) }
    }

    pub(crate) fn from_file(spec: &file::FieldSpec) -> Self {
        let gvk = Gvk { group: spec.group.clone(), version: spec.version.clone(), kind: spec.kind.clone() };
        Self::new(gvk, &spec.path, spec.create)
    }

    pub(crate) fn from_table(spec: &Spec) -> Self {
        let (group, version, kind, path, create) = *spec;
        Self::new(Gvk { group: group.into(), version: version.into(), kind: kind.into() }, path, create)
    }

    /// Whether the object is of a kind that the specification names, by its current identity.
    pub(crate) fn matches(&self, resource: &Resource) -> bool {
        let (group, version) = resource.group_version();
        self.gvk.selects(group, version, resource.kind())
    }

    /// As [`FieldSpec::matches`], by the kind that the object had first.
    pub(crate) fn matches_original(&self, resource: &Resource) -> bool {
        let (group, version) = resource.group_version();
        self.gvk.selects(group, version, resource.original_kind())
    }

    /// Whether the path leads to the images of a list of containers.
    pub(crate) fn ends_in_containers(&self) -> bool {
        let [.., list, last] = self.segments.as_slice() else { return false };
        matches!(list.name.as_str(), "containers" | "initContainers") && last.name == "image"
    }

    /// Whether the path is exactly this one.
    pub(crate) fn is_path(&self, path: &str) -> bool {
        self.path.strip_prefix('/').unwrap_or(&self.path) == path
    }

    /// Calls `change` for each field of `resource` that the path leads to.
    pub(crate) fn apply(
        &self,
        resource: &mut Resource,
        create: Create,
        change: &mut dyn FnMut(&mut Node) -> Result<()>,
    ) -> Result<()> {
        let mut root = Node::Map(std::mem::take(&mut resource.map));
        let create = if self.create { create } else { Create::Nothing };
        let result = walk(&mut root, &self.segments, create, change);
        if let Node::Map(map) = root {
            resource.map = map;
        }
        result.within(|| format!("considering field '{}' of object {}", self.path, resource.id()))
    }
}

fn segments(path: &str) -> Vec<Segment> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let mut parts = vec![String::new()];
    let mut chars = path.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'/') => {
                chars.next();
                if let Some(last) = parts.last_mut() {
                    last.push('/');
                }
            }
            '/' => parts.push(String::new()),
            c => {
                if let Some(last) = parts.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    let segment = |part: String| match part.strip_suffix("[]") {
        Some(name) => Segment { name: name.to_owned(), list: true },
        None => Segment { name: part, list: false },
    };
    parts.into_iter().map(segment).collect()
}

fn walk(
    node: &mut Node,
    path: &[Segment],
    create: Create,
    change: &mut dyn FnMut(&mut Node) -> Result<()>,
) -> Result<()> {
    let Some((segment, rest)) = path.split_first() else { return change(node) };
    match node {
        node if node.is_null() => Ok(()),
        Node::Scalar(_) => Err(BuildError::invalid("expected sequence or mapping node")),
        Node::Seq(items) => {
            for item in items {
                // A null element at the end of a path is left alone like any other null.
                walk(item, path, create, change).within(|| {
                    let names: Vec<_> = path.iter().map(|s| s.name.as_str()).collect();
                    format!("visit traversal on path: [{}]", names.join(" "))
                })?;
            }
            Ok(())
        }
        Node::Map(map) => {
            if segment.name.is_empty() {
                return Err(BuildError::invalid("cannot set or create an empty field name"));
            }
            let makes = create != Create::Nothing && !segment.list;
            let made = || match create {
                Create::Scalar if rest.is_empty() => Node::Scalar(Scalar::plain("")),
                _ => Node::map(),
            };
            let field = if makes {
                map.get_or_insert_with(&segment.name, made)
            } else {
                let Some(field) = map.get_mut(&segment.name) else { return Ok(()) };
                field
            };
            if field.is_null() {
                if makes {
                    *field = made();
                } else if segment.list {
                    *field = Node::Seq(Vec::new());
                } else {
                    return Ok(());
                }
            }
            walk(field, rest, create, change)
        }
    }
}

/// The error for a node that is not of the kind that is needed.
pub(crate) fn wrong_kind(wanted: &str, node: &Node) -> BuildError {
    let found = kind_name(node);
    let text = node.to_value().map_or_else(|_| String::new(), |value| sluice_yaml::to_string(&value));
    BuildError::invalid(format!("wrong node kind: expected {wanted} but got {found}: node contents:\n{text}"))
}

/// The kind of a node in kustomize's messages.
pub(crate) fn kind_name(node: &Node) -> &'static str {
    match node {
        Node::Scalar(_) => "ScalarNode",
        Node::Seq(_) => "SequenceNode",
        Node::Map(_) => "MappingNode",
    }
}

/// Replaces a scalar by a text.
pub(crate) fn set_text(node: &mut Node, text: &str) -> Result<()> {
    if !matches!(node, Node::Scalar(_)) {
        return Err(wrong_kind("ScalarNode", node));
    }
    *node = Node::text(text);
    Ok(())
}

/// Sets a pair of a map to a text.
pub(crate) fn set_entry(node: &mut Node, key: &str, value: &str) -> Result<()> {
    let Some(map) = node.as_map_mut() else { return Err(wrong_kind("MappingNode", node)) };
    map.insert(key, Node::text(value));
    Ok(())
}
