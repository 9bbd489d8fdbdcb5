//! `Chart.yaml` and its locks.

use std::collections::BTreeMap;

use sluice_yaml::Node;

use super::decode::Decoder;
use crate::yaml;

/// The content of `Chart.yaml`. Absent texts are empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// `v1` or `v2`.
    pub api_version: String,
    /// The chart's name, or in an [`Instance`](crate::Instance) its alias.
    pub name: String,
    /// Its version: lenient semver.
    pub version: String,
    /// Home page.
    pub home: String,
    /// Where its source is.
    pub sources: Vec<String>,
    /// One sentence.
    pub description: String,
    /// Words to find it by.
    pub keywords: Vec<String>,
    /// Who keeps it.
    pub maintainers: Vec<Maintainer>,
    /// Address of a picture.
    pub icon: String,
    /// Conditions of the chart itself: no effect.
    pub condition: String,
    /// Tags of the chart itself: no effect.
    pub tags: String,
    /// The version of what it installs.
    pub app_version: String,
    /// Whether it should not be used any more.
    pub deprecated: bool,
    /// Free pairs.
    pub annotations: BTreeMap<String, String>,
    /// A constraint on the version of Kubernetes.
    pub kube_version: String,
    /// The subcharts that it asks for.
    pub dependencies: Vec<Dependency>,
    /// `application`, `library` or empty.
    pub kind: String,
    pub(super) nulls: Nulls,
    /// Whether there is a list of dependencies, were it an empty one: only then are those of subcharts worked out.
    pub(crate) declares: bool,
}

/// Which lists held an entry that is `null`: refused, but only after other faults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Nulls {
    pub(super) maintainers: bool,
    pub(super) dependencies: bool,
}

/// Somebody who keeps a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintainer {
    /// A name.
    pub name: String,
    /// An address.
    pub email: String,
    /// A page.
    pub url: String,
}

/// A subchart that a chart asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dependency {
    /// The subchart's name; in an [`Instance`](crate::Instance) the alias where there is one.
    pub name: String,
    /// The range of versions.
    pub version: String,
    /// Where it is published: no effect on a render.
    pub repository: String,
    /// A comma list of paths to booleans in the values.
    pub condition: String,
    /// Names that turn it on or off together with others.
    pub tags: Vec<String>,
    /// Whether it takes part; without effect in a file.
    pub enabled: bool,
    /// Values that the parent takes over.
    pub import_values: Vec<ImportValue>,
    /// Another name for this use of the subchart.
    pub alias: String,
}

/// One entry of `import-values`.
#[derive(Debug, Clone, PartialEq)]
pub enum ImportValue {
    /// `name`: the table `exports.name` of the child goes to the parent's root.
    Export(String),
    /// `child` and `parent`: a table of the child goes under a path of the parent.
    Paths {
        /// The path in the child's values.
        child: String,
        /// The path in the parent's values, `.` for the root.
        parent: String,
    },
    /// Anything else: kept for writing the file again, no effect.
    Other(serde_json::Value),
}

/// `Chart.lock`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lock {
    /// When it was written, RFC 3339 as in the file.
    pub generated: String,
    /// The digest of the dependencies.
    pub digest: String,
    /// The versions that were chosen.
    pub dependencies: Vec<Dependency>,
}

impl Metadata {
    /// The keys of `Chart.yaml`.
    pub(crate) const KEYS: [&'static str; 17] = [
        "name",
        "home",
        "sources",
        "version",
        "description",
        "keywords",
        "maintainers",
        "icon",
        "apiVersion",
        "condition",
        "tags",
        "appVersion",
        "deprecated",
        "annotations",
        "kubeVersion",
        "dependencies",
        "type",
    ];

    /// Lays the fields of a YAML text over what is there, as `Chart.yaml` and then `requirements.yaml` are read.
    ///
    /// # Errors
    /// Go's text for what is not YAML or does not fit.
    pub(crate) fn read(&mut self, text: &[u8]) -> Result<(), String> {
        let Some(node) = yaml::node(text)? else { return Ok(()) };
        // The version is looked for first, by a reader of its own whose name shows in the message.
        let mut base = Decoder::default();
        base.fields("loader.chartBase", &["apiVersion"], &node, |d, _, node| {
            d.text(node, &mut String::new())
        });
        base.finish()?;
        let mut decoder = Decoder::default();
        self.decode(&mut decoder, &node);
        decoder.finish()
    }

    /// The metadata in the entry of an index, if it is that of a valid chart.
    pub(crate) fn checked(entry: &serde_json::Value) -> Option<Self> {
        let mut metadata = Self::stored(entry.clone()).ok()?;
        metadata.clean().ok()?;
        Some(metadata)
    }

    /// The metadata in a stored release, whatever it is worth.
    pub(crate) fn stored(value: serde_json::Value) -> Result<Self, String> {
        let mut metadata = Self::default();
        let mut decoder = Decoder::default();
        metadata.decode(&mut decoder, &Node::from(value));
        decoder.finish()?;
        Ok(metadata)
    }

    fn decode(&mut self, decoder: &mut Decoder, node: &Node) {
        decoder.fields("v2.Metadata", &Self::KEYS, node, |d, name, node| match name {
            "name" => d.text(node, &mut self.name),
            "home" => d.text(node, &mut self.home),
            "sources" => d.texts(node, &mut self.sources),
            "version" => d.text(node, &mut self.version),
            "description" => d.text(node, &mut self.description),
            "keywords" => d.texts(node, &mut self.keywords),
            "maintainers" => {
                let mut list = Vec::new();
                d.list("[]*v2.Maintainer", node, &mut list, Maintainer::decode);
                self.nulls.maintainers = list.iter().any(Option::is_none);
                self.maintainers = list.into_iter().flatten().collect();
            }
            "icon" => d.text(node, &mut self.icon),
            "apiVersion" => d.text(node, &mut self.api_version),
            "condition" => d.text(node, &mut self.condition),
            "tags" => d.text(node, &mut self.tags),
            "appVersion" => d.text(node, &mut self.app_version),
            "deprecated" => d.boolean(node, &mut self.deprecated),
            "annotations" => d.text_map(node, &mut self.annotations),
            "kubeVersion" => d.text(node, &mut self.kube_version),
            "dependencies" => {
                let mut list = Vec::new();
                d.list("[]*v2.Dependency", node, &mut list, Dependency::decode);
                self.nulls.dependencies = list.iter().any(Option::is_none);
                self.dependencies = list.into_iter().flatten().collect();
                self.declares = node.as_seq().is_some();
            }
            _ => d.text(node, &mut self.kind),
        });
    }
}

impl Maintainer {
    fn decode(decoder: &mut Decoder, node: &Node) -> Option<Self> {
        if node.is_null() {
            return None;
        }
        let mut it = Self::default();
        decoder.fields("v2.Maintainer", &["name", "email", "url"], node, |d, name, node| match name {
            "name" => d.text(node, &mut it.name),
            "email" => d.text(node, &mut it.email),
            _ => d.text(node, &mut it.url),
        });
        Some(it)
    }
}

impl Dependency {
    fn decode(decoder: &mut Decoder, node: &Node) -> Option<Self> {
        const NAMES: [&str; 8] =
            ["name", "version", "repository", "condition", "tags", "enabled", "import-values", "alias"];
        if node.is_null() {
            return None;
        }
        let mut it = Self::default();
        decoder.fields("v2.Dependency", &NAMES, node, |d, name, node| match name {
            "name" => d.text(node, &mut it.name),
            "version" => d.text(node, &mut it.version),
            "repository" => d.text(node, &mut it.repository),
            "condition" => d.text(node, &mut it.condition),
            "tags" => d.texts(node, &mut it.tags),
            "enabled" => d.boolean(node, &mut it.enabled),
            "import-values" => {
                d.list("[]interface {}", node, &mut it.import_values, |_, node| ImportValue::of(node));
            }
            _ => d.text(node, &mut it.alias),
        });
        Some(it)
    }
}

impl ImportValue {
    fn of(node: &Node) -> Self {
        // A number that JSON cannot hold was refused before; null stands for what cannot be.
        match yaml::node_value(node.clone()).unwrap_or_default() {
            serde_json::Value::String(name) => Self::Export(name),
            serde_json::Value::Object(map) => {
                // An absent path prints as Go prints nil.
                let text = |key: &str| match map.get(key) {
                    None | Some(serde_json::Value::Null) => "<nil>".to_owned(),
                    Some(serde_json::Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                };
                Self::Paths { child: text("child"), parent: text("parent") }
            }
            other => Self::Other(other),
        }
    }
}

impl Lock {
    /// Reads `Chart.lock` or `requirements.lock`.
    ///
    /// # Errors
    /// Go's text for what is not YAML or does not fit.
    pub(crate) fn read(text: &[u8]) -> Result<Self, String> {
        let mut lock = Self::default();
        let Some(node) = yaml::node(text)? else { return Ok(lock) };
        let mut decoder = Decoder::default();
        let mut dependencies = Vec::new();
        decoder.fields(
            "v2.Lock",
            &["generated", "digest", "dependencies"],
            &node,
            |d, name, node| match name {
                "generated" => d.text(node, &mut lock.generated),
                "digest" => d.text(node, &mut lock.digest),
                _ => d.list("[]*v2.Dependency", node, &mut dependencies, Dependency::decode),
            },
        );
        decoder.finish()?;
        lock.dependencies = dependencies.into_iter().flatten().collect();
        Ok(lock)
    }
}
