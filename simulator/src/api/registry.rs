//! Which resources are served: the built-in ones from the discovery table, and those of CustomResourceDefinitions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;
use serde_json::Value;

use super::columns::Column;
use crate::schema::Schema;
use crate::storage::CollectionId;

/// A subresource of a resource, as discovery lists it.
#[derive(Debug, Clone)]
pub(crate) struct Subresource {
    pub(crate) name: String,
    /// `group`, `version`, `kind` of what is sent and answered; empty group and version mean the resource's own.
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) verbs: Vec<String>,
}

/// What a CustomResourceDefinition adds to a resource.
#[derive(Debug, Clone)]
pub(crate) struct Custom {
    /// Extra printer columns of this version.
    pub(crate) columns: Vec<Column>,
    /// The scale subresource's paths: replicas in spec and status, and the selector in status.
    pub(crate) scale: Option<ScalePaths>,
    /// Paths that field selectors may ask for, without the leading dot.
    pub(crate) selectable: Vec<String>,
    /// `deprecationWarning` of this version, if it is deprecated.
    pub(crate) deprecation: Option<String>,
    /// The version that is stored.
    pub(crate) storage_version: String,
}

/// Dotted paths (`.spec.replicas`) of a custom resource's scale subresource.
#[derive(Debug, Clone)]
pub(crate) struct ScalePaths {
    pub(crate) spec: String,
    pub(crate) status: String,
    pub(crate) selector: Option<String>,
}

/// One resource in one served version.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) group: Arc<str>,
    pub(crate) version: Arc<str>,
    /// The plural name, as in paths.
    pub(crate) plural: Arc<str>,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    pub(crate) verbs: Vec<String>,
    pub(crate) subresources: Vec<Subresource>,
    pub(crate) collection: CollectionId,
    /// `None` where nothing is known of the kind.
    pub(crate) schema: Option<Schema>,
    pub(crate) custom: Option<Custom>,
}

impl Resource {
    /// `group/version`, or only the version in the core group.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `deployments.apps`; in the core group only the plural.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_string()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    pub(crate) fn is(&self, group: &str, plural: &str) -> bool {
        &*self.group == group && &*self.plural == plural
    }

    pub(crate) fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }

    pub(crate) fn has_status(&self) -> bool {
        self.subresource("status").is_some()
    }

    pub(crate) fn allows(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb)
    }
}

/// A served version of a group, with its resources in discovery's order.
#[derive(Debug, Clone)]
pub(crate) struct GroupVersion {
    pub(crate) group: Arc<str>,
    pub(crate) version: Arc<str>,
    pub(crate) resources: Vec<Arc<Resource>>,
}

/// Group, version and plural name.
type Path = (Arc<str>, Arc<str>, Arc<str>);

/// A consistent view of everything that is served.
#[derive(Debug, Default)]
pub(crate) struct Served {
    /// In the order of discovery; versions of a group lie together, the preferred one first.
    pub(crate) versions: Vec<GroupVersion>,
    by_path: HashMap<Path, Arc<Resource>>,
}

impl Served {
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.by_path.get(&(group.into(), version.into(), plural.into()))
    }

    pub(crate) fn group_version(&self, group: &str, version: &str) -> Option<&GroupVersion> {
        self.versions.iter().find(|g| &*g.group == group && &*g.version == version)
    }

    /// Whether anything is served of a group.
    pub(crate) fn knows(&self, group: &str) -> bool {
        self.versions.iter().any(|version| &*version.group == group)
    }

    /// Any served version of a stored collection.
    pub(crate) fn of_collection(&self, collection: &CollectionId) -> Option<&Arc<Resource>> {
        self.all().find(|r| r.collection == *collection)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.versions.iter().flat_map(|v| &v.resources)
    }
}

/// The registry: cheap snapshots for readers, replaced as a whole when a CustomResourceDefinition changes.
pub(crate) struct Registry {
    builtin: Vec<GroupVersion>,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    served: Arc<Served>,
    /// Resources of each CustomResourceDefinition by its name.
    custom: BTreeMap<String, Vec<Arc<Resource>>>,
}

impl Registry {
    /// Serves the built-in resources.
    ///
    /// # Errors
    /// A text, if the table that is part of this program does not parse.
    pub(crate) fn new() -> Result<Self, String> {
        let table: Value =
            serde_json::from_str(include_str!("../../schemas/discovery.json")).map_err(|e| e.to_string())?;
        let mut builtin = Vec::new();
        for group in table.as_array().into_iter().flatten() {
            let name = group["metadata"]["name"].as_str().unwrap_or_default();
            for version in group["versions"].as_array().into_iter().flatten() {
                builtin.push(builtin_version(name, version));
            }
        }
        let registry = Self { builtin, state: RwLock::default() };
        registry.rebuild(&mut registry.state.write());
        Ok(registry)
    }

    pub(crate) fn served(&self) -> Arc<Served> {
        self.state.read().served.clone()
    }

    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        self.state.read().served.find(group, version, plural).cloned()
    }

    /// Serves the resources of a CustomResourceDefinition, one per served version, instead of what it had before.
    pub(crate) fn set_custom(&self, crd: &str, resources: Vec<Arc<Resource>>) {
        let mut state = self.state.write();
        if resources.is_empty() {
            state.custom.remove(crd);
        } else {
            state.custom.insert(crd.to_owned(), resources);
        }
        self.rebuild(&mut state);
    }

    fn rebuild(&self, state: &mut State) {
        let mut versions = self.builtin.clone();
        let mut by_group: BTreeMap<Arc<str>, Vec<GroupVersion>> = BTreeMap::new();
        for resource in state.custom.values().flatten() {
            let group = by_group.entry(resource.group.clone()).or_default();
            match group.iter_mut().find(|g| g.version == resource.version) {
                Some(found) => found.resources.push(resource.clone()),
                None => group.push(GroupVersion {
                    group: resource.group.clone(),
                    version: resource.version.clone(),
                    resources: vec![resource.clone()],
                }),
            }
        }
        for mut group in by_group.into_values() {
            group.sort_by(|a, b| version_order(&a.version, &b.version));
            versions.extend(group);
        }
        let by_path = versions
            .iter()
            .flat_map(|v| &v.resources)
            .map(|r| ((r.group.clone(), r.version.clone(), r.plural.clone()), r.clone()))
            .collect();
        state.served = Arc::new(Served { versions, by_path });
    }
}

/// Kubernetes' order of versions: GA before beta before alpha, higher numbers first, other names last by alphabet.
pub(crate) fn version_order(a: &str, b: &str) -> std::cmp::Ordering {
    fn rank(version: &str) -> Option<(u8, u64, u64)> {
        let rest = version.strip_prefix('v')?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (major, rest) = rest.split_at(end);
        let major = major.parse().ok()?;
        if rest.is_empty() {
            return Some((2, major, 0));
        }
        let (level, minor) = rest
            .strip_prefix("beta")
            .map(|m| (1, m))
            .or_else(|| rest.strip_prefix("alpha").map(|m| (0, m)))?;
        Some((level, major, minor.parse().ok()?))
    }
    match (rank(a), rank(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

fn builtin_version(group: &str, version: &Value) -> GroupVersion {
    let group: Arc<str> = group.into();
    let name: Arc<str> = version["version"].as_str().unwrap_or_default().into();
    let resources = version["resources"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|r| Arc::new(builtin_resource(&group, &name, r)))
        .collect();
    GroupVersion { group, version: name, resources }
}

fn builtin_resource(group: &Arc<str>, version: &Arc<str>, r: &Value) -> Resource {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let kind = text(&r["responseKind"]["kind"]);
    let plural: Arc<str> = r["resource"].as_str().unwrap_or_default().into();
    let subresources = r["subresources"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|s| Subresource {
            name: text(&s["subresource"]),
            group: text(&s["responseKind"]["group"]),
            version: text(&s["responseKind"]["version"]),
            kind: text(&s["responseKind"]["kind"]),
            verbs: texts(&s["verbs"]),
        })
        .collect();
    // The two event APIs show the same objects.
    let storage_group = if &**group == "events.k8s.io" { "" } else { &**group };
    Resource {
        collection: CollectionId::new(storage_group, &plural),
        schema: Schema::builtin(group, version, &kind),
        group: group.clone(),
        version: version.clone(),
        list_kind: format!("{kind}List"),
        kind,
        singular: text(&r["singularResource"]),
        short_names: texts(&r["shortNames"]),
        categories: texts(&r["categories"]),
        namespaced: r["scope"] == "Namespaced",
        verbs: texts(&r["verbs"]),
        subresources,
        plural,
        custom: None,
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_kubernetes_orders_them() {
        let mut versions = ["foo1", "v1alpha1", "v10beta3", "v2", "v1", "v10", "v1beta2", "foo10", "v3beta1"];
        versions.sort_by(|a, b| version_order(a, b));
        assert_eq!(
            versions,
            ["v10", "v2", "v1", "v10beta3", "v3beta1", "v1beta2", "v1alpha1", "foo1", "foo10"]
        );
    }
}
