//! Which built-in resources there are: names, verbs, scope, subresources.

use std::sync::LazyLock;

use serde_json::Value;

static GROUPS: LazyLock<Vec<Group>> = LazyLock::new(|| {
    let groups: Vec<Value> = serde_json::from_str(include_str!("../../schemas/discovery.json"))
        .expect("the generated table is checked by a test");
    groups.iter().map(group).collect()
});

/// An API group with its versions, the preferred one first.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// The name; empty for the core group.
    pub(crate) name: String,
    /// Versions and their resources, in the order that the real server lists them.
    pub(crate) versions: Vec<(String, Vec<Resource>)>,
}

/// One resource in one version.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) namespaced: bool,
}

/// Every built-in group, in the order that the real server lists them.
pub(crate) fn builtin_groups() -> &'static [Group] {
    &GROUPS
}

fn group(value: &Value) -> Group {
    let name = text(&value["metadata"]["name"]);
    let versions = value["versions"].as_array().into_iter().flatten().map(|version| {
        let label = text(&version["version"]);
        let resources = version["resources"].as_array().into_iter().flatten();
        let resources = resources.map(resource).collect();
        (label, resources)
    });
    Group { versions: versions.collect(), name: name.clone() }
}

fn resource(value: &Value) -> Resource {
    Resource {
        kind: text(&value["responseKind"]["kind"]),
        plural: text(&value["resource"]),
        namespaced: value["scope"] == "Namespaced",
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_know_their_kind_and_scope() {
        for (group, plural, kind, namespaced) in
            [("apps", "deployments", "Deployment", true), ("", "namespaces", "Namespace", false)]
        {
            let group = builtin_groups().iter().find(|known| known.name == group).unwrap();
            let found = group.versions[0].1.iter().find(|known| known.plural == plural).unwrap();
            assert_eq!((found.kind.as_str(), found.namespaced), (kind, namespaced));
        }
    }
}
