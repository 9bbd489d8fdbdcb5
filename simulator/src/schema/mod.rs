//! What objects of a kind look like: types, list and map semantics, defaults, rules.
//!
//! Built-in kinds come from tables that `examples/generate-schemas.rs` writes from a real API server's OpenAPI; custom
//! kinds from the `openAPIV3Schema` of their definition. Both become the same [`Schema`], which merging, defaulting,
//! pruning and validation walk through [`View`]s. Schemas are immutable and shared: cloning one is cheap.

mod crd;
mod discovery;
mod node;
mod openapi;
mod openapi_v2;
mod table;

pub(crate) use crd::SchemaError;
pub(crate) use node::{Bounds, Combinator, Extra, Format, Kind, ListType, Node, NodeId, Rules};
pub(crate) use openapi::{CustomKind, openapi_v3_builtin, openapi_v3_custom, openapi_v3_plain};
pub(crate) use openapi_v2::openapi_v2;

use std::sync::Arc;

use serde_json::Value;

use node::Table;

/// The deepest nesting that any walk over a value or a schema follows; deeper values are refused as bad requests.
pub(crate) const MAX_DEPTH: usize = 128;

/// The schema of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    table: Arc<Table>,
    root: NodeId,
    builtin: bool,
}

impl Schema {
    /// The schema of a built-in kind; `group` is empty for the core group.
    pub(crate) fn builtin(group: &str, version: &str, kind: &str) -> Option<Self> {
        let (table, root) = table::builtin(group, version, kind)?;
        Some(Self { table, root, builtin: true })
    }

    /// Compiles the `openAPIV3Schema` of one version of a custom resource definition.
    ///
    /// `apiVersion`, `kind` and `metadata` get the schemas that every object has.
    ///
    /// # Errors
    /// A pattern that is no regular expression, or nesting deeper than [`MAX_DEPTH`]. Rules of structural schemas are
    /// checked by [`crate::validate::crd`], before.
    pub(crate) fn from_crd(open_api_v3_schema: &Value) -> Result<Self, SchemaError> {
        let (table, root) = crd::compile(open_api_v3_schema)?;
        Ok(Self { table: Arc::new(table), root, builtin: false })
    }

    /// Whether the kind is compiled into the real server, so that it passes through a Go struct.
    pub(crate) fn is_builtin(&self) -> bool {
        self.builtin
    }

    /// The root of the schema, where a walk begins.
    pub(crate) fn view(&self) -> View<'_> {
        View::new(&self.table, self.root)
    }
}

/// A place in a schema: the node, and the node on the edge that led to it (which may carry its own default).
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    table: &'a Table,
    edge: &'a Node,
    node: &'a Node,
}

impl<'a> View<'a> {
    fn new(table: &'a Table, id: NodeId) -> Self {
        let edge = table.node(id);
        let mut node = edge;
        // References never lead in a circle without a property between: the table is built that way. Bounded anyway.
        for _ in 0..8 {
            match node.reference {
                Some(target) => node = table.node(target),
                None => break,
            }
        }
        View { table, edge, node }
    }

    /// The facts about the value here.
    pub(crate) fn node(&self) -> &'a Node {
        self.node
    }

    /// The declared property `name`.
    pub(crate) fn property(&self, name: &str) -> Option<View<'a>> {
        self.node.properties.get(name).map(|id| View::new(self.table, *id))
    }

    /// Every declared property, by name.
    pub(crate) fn properties(&self) -> impl Iterator<Item = (&'a str, View<'a>)> + use<'a> {
        let table = self.table;
        self.node.properties.iter().map(move |(name, id)| (&**name, View::new(table, *id)))
    }

    /// The schema of values under keys that are not declared.
    pub(crate) fn additional(&self) -> Option<View<'a>> {
        match self.node.additional {
            Extra::Typed(id) => Some(View::new(self.table, id)),
            Extra::No | Extra::Any => None,
        }
    }

    /// The schema of list items.
    pub(crate) fn items(&self) -> Option<View<'a>> {
        self.node.items.map(|id| View::new(self.table, id))
    }

    /// A sub-schema that [`Rules`] or [`Combinator`] name.
    pub(crate) fn part(&self, id: NodeId) -> View<'a> {
        View::new(self.table, id)
    }

    /// The default of the value here; the edge's wins.
    pub(crate) fn default(&self) -> Option<&'a Value> {
        self.edge.default.as_ref().or(self.node.default.as_ref())
    }

    /// The strategies of a strategic merge patch, such as `merge` or `retainKeys`.
    pub(crate) fn patch_strategy(&self) -> &'a [Box<str>] {
        if self.edge.patch_strategy.is_empty() {
            &self.node.patch_strategy
        } else {
            &self.edge.patch_strategy
        }
    }

    /// The key by which a strategic merge patch finds list items.
    pub(crate) fn patch_merge_key(&self) -> Option<&'a str> {
        self.edge.patch_merge_key.as_deref().or(self.node.patch_merge_key.as_deref())
    }

    /// Whether the map here is owned as a whole.
    pub(crate) fn atomic_map(&self) -> bool {
        self.edge.atomic_map.or(self.node.atomic_map).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builtin_kinds_are_found_by_group_version_kind() {
        for (group, version, kind) in [
            ("", "v1", "ConfigMap"),
            ("", "v1", "Pod"),
            ("apps", "v1", "Deployment"),
            ("networking.k8s.io", "v1", "Ingress"),
            ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
            ("autoscaling", "v2", "HorizontalPodAutoscaler"),
        ] {
            let schema =
                Schema::builtin(group, version, kind).unwrap_or_else(|| panic!("{group}/{version} {kind}"));
            assert!(schema.view().property("metadata").is_some(), "{kind}");
        }
        assert!(Schema::builtin("apps", "v2", "Deployment").is_none());
    }

    #[test]
    fn list_and_patch_facts_survive() {
        let schema = Schema::builtin("apps", "v1", "Deployment").unwrap();
        let spec = schema.view().property("spec").unwrap();
        assert_eq!(spec.default(), Some(&serde_json::json!({})));
        assert_eq!(&*spec.property("strategy").unwrap().patch_strategy()[0], "retainKeys");
        assert!(spec.property("selector").unwrap().atomic_map());
        let pod = spec.property("template").unwrap().property("spec").unwrap();
        let ports = pod.property("containers").unwrap().items().unwrap().property("ports").unwrap();
        assert_eq!(ports.patch_merge_key(), Some("containerPort"));
        let ListType::Map(keys) = &ports.node().list_type else { panic!("not a map list") };
        assert_eq!(keys.iter().map(|key| &**key).collect::<Vec<_>>(), ["containerPort", "protocol"]);
    }
}
