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
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) namespaced: bool,
    pub(crate) verbs: Vec<String>,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) subresources: Vec<Subresource>,
}

/// A subresource, such as `scale`.
#[derive(Clone, Debug)]
pub(crate) struct Subresource {
    pub(crate) name: String,
    /// Group, version and kind of its objects; empty group and version mean those of the resource.
    pub(crate) kind: (String, String, String),
    pub(crate) verbs: Vec<String>,
}

/// Every built-in group, in the order that the real server lists them.
pub(crate) fn builtin_groups() -> &'static [Group] {
    &GROUPS
}

/// Every built-in resource.
pub(crate) fn builtin_resources() -> impl Iterator<Item = &'static Resource> {
    GROUPS.iter().flat_map(|group| group.versions.iter().flat_map(|(_, resources)| resources))
}

fn group(value: &Value) -> Group {
    let name = text(&value["metadata"]["name"]);
    let versions = value["versions"].as_array().into_iter().flatten().map(|version| {
        let label = text(&version["version"]);
        let resources = version["resources"].as_array().into_iter().flatten();
        let resources = resources.map(|value| resource(&name, &label, value)).collect();
        (label, resources)
    });
    Group { versions: versions.collect(), name: name.clone() }
}

fn resource(group: &str, version: &str, value: &Value) -> Resource {
    Resource {
        group: group.into(),
        version: version.into(),
        kind: text(&value["responseKind"]["kind"]),
        plural: text(&value["resource"]),
        singular: text(&value["singularResource"]),
        namespaced: value["scope"] == "Namespaced",
        verbs: texts(&value["verbs"]),
        short_names: texts(&value["shortNames"]),
        categories: texts(&value["categories"]),
        subresources: value["subresources"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|value| Subresource {
                name: text(&value["subresource"]),
                kind: (
                    text(&value["responseKind"]["group"]),
                    text(&value["responseKind"]["version"]),
                    text(&value["responseKind"]["kind"]),
                ),
                verbs: texts(&value["verbs"]),
            })
            .collect(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_have_what_kubectl_shows() {
        let find = |group: &str, plural: &str| {
            builtin_resources().find(|r| r.group == group && r.plural == plural).unwrap()
        };
        let deployments = find("apps", "deployments");
        assert_eq!((deployments.kind.as_str(), deployments.namespaced), ("Deployment", true));
        assert_eq!(deployments.short_names, ["deploy"]);
        assert_eq!(deployments.categories, ["all"]);
        let scale = deployments.subresources.iter().find(|s| s.name == "scale").unwrap();
        assert_eq!(scale.kind, ("autoscaling".into(), "v1".into(), "Scale".into()));
        assert!(!find("", "namespaces").namespaced);
    }
}
