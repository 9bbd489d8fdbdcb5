//! Build metadata: where objects come from and what transformed them, as annotations.

use sluice_yaml::{Map, Value};

use crate::resource::Resource;

/// What the root file's `buildMetadata` asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BuildMetadata {
    pub(crate) origins: bool,
    pub(crate) transformations: bool,
    pub(crate) managed_by: bool,
}

impl BuildMetadata {
    pub(crate) fn new(words: &[String]) -> Self {
        let has = |word: &str| words.iter().any(|w| w == word);
        Self {
            origins: has("originAnnotations"),
            transformations: has("transformerAnnotations"),
            managed_by: has("managedByLabel"),
        }
    }
}

/// Where an object, or a change of it, comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The file, relative to the directory that is built.
    pub(crate) path: String,
    /// The file that configures the generator or transformer, likewise.
    pub(crate) configured_in: String,
    pub(crate) configured_by: Option<ConfiguredBy>,
}

/// A generator or transformer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ConfiguredBy {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
}

impl Origin {
    /// A built-in generator or transformer that a kustomization file configures.
    pub(crate) fn built_in(configured_in: &str, kind: &str) -> Self {
        Self {
            configured_in: configured_in.to_owned(),
            configured_by: Some(ConfiguredBy {
                api_version: "builtin".into(),
                kind: kind.into(),
                ..ConfiguredBy::default()
            }),
            ..Self::default()
        }
    }

    /// Lines of YAML, keys in kustomize's order.
    fn lines(&self) -> Vec<String> {
        let pair = |key: &str, value: &str| {
            let one = Map::from_iter([(key.to_owned(), Value::String(value.to_owned()))]);
            sluice_yaml::to_string(&Value::Object(one)).trim_end().to_owned()
        };
        let mut lines = Vec::new();
        if !self.path.is_empty() {
            lines.push(pair("path", &self.path));
        }
        if !self.configured_in.is_empty() {
            lines.push(pair("configuredIn", &self.configured_in));
        }
        if let Some(by) = &self.configured_by {
            lines.push("configuredBy:".into());
            let fields = [
                ("apiVersion", &by.api_version),
                ("kind", &by.kind),
                ("name", &by.name),
                ("namespace", &by.namespace),
            ];
            for (key, value) in fields {
                if !value.is_empty() {
                    lines.push(format!("  {}", pair(key, value)));
                }
            }
        }
        lines
    }
}

/// Writes the annotations that were asked for.
pub(crate) fn annotate(resource: &mut Resource, metadata: BuildMetadata) {
    if metadata.origins
        && let Some(origin) = resource.origin.clone()
    {
        let text = origin.lines().join("\n") + "\n";
        resource.set_metadata("annotations", "config.kubernetes.io/origin", &text);
    }
    if metadata.transformations && !resource.transformations.is_empty() {
        let mut text = String::new();
        for record in &resource.transformations {
            for (index, line) in record.lines().iter().enumerate() {
                text.push_str(if index == 0 { "- " } else { "  " });
                text.push_str(line);
                text.push('\n');
            }
        }
        resource.set_metadata("annotations", "alpha.config.kubernetes.io/transformations", &text);
    }
}
