//! `Chart.yaml` and its locks.

use std::collections::BTreeMap;

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
