//! The kustomization file: a typed model that can be read strictly, merged and written back.

mod merge;
pub(crate) mod plugin;
mod shape;
mod types;
mod write;

use sluice_yaml::{Reader, Schema, Value};

use crate::error::{BuildError, ErrorKind, Result};
pub(crate) use plugin::decode_replacement;
pub use types::*;

/// The names a kustomization file may have, in the order in which they are looked for.
pub const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// What a kustomization file of [`Kind::Kustomization`] has as `apiVersion`.
pub const API_VERSION: &str = "kustomize.config.k8s.io/v1beta1";
/// What a component has as `apiVersion`.
pub const COMPONENT_API_VERSION: &str = "kustomize.config.k8s.io/v1alpha1";

/// What happens to fields that no kustomization file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownFields {
    /// An error that names the first one, as in a build.
    Refuse,
    /// They are dropped, as kustomize-controller does when it rewrites a file.
    Drop,
}

impl Kustomization {
    /// Reads a kustomization file. Deprecated fields stay where they are; [`Kustomization::fix`] moves them.
    ///
    /// Keys match in any letter case, the last of several equal keys counts, and only the first document is read: all
    /// as in kustomize.
    ///
    /// # Errors
    /// `invalid Kustomization: …` for text that is not YAML, for unknown fields (unless dropped) and for values of the
    /// wrong type. An empty file is fine here and becomes an error in the build.
    pub fn parse(text: &str, unknown: UnknownFields) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let wrong =
            |kind, message: String| BuildError::new(kind, format!("invalid Kustomization: {message}"));
        let node = Reader::yaml11()
            .last_wins()
            .first(text)
            .map_err(|error| wrong(ErrorKind::Malformed, error.to_string()))?;
        let value = match node {
            None => Value::Null,
            Some(node) => {
                node.into_value_by(Schema::Yaml11).map_err(|message| wrong(ErrorKind::Invalid, message))?
            }
        };
        Self::from_value(value, unknown).map_err(|message| wrong(ErrorKind::Invalid, message))
    }

    /// Reads a kustomization that is part of another document.
    ///
    /// # Errors
    /// Go's text for unknown fields and wrong types: `json: unknown field "foo"`.
    pub fn from_value(value: Value, unknown: UnknownFields) -> Result<Self, String> {
        let declared = value.as_object().map(shape::declares_something).unwrap_or_default();
        let value = shape::normalise(value, unknown)?;
        let mut file: Self = serde_json::from_value(value).map_err(|error| format!("json: {error}"))?;
        file.declared = declared;
        Ok(file)
    }

    /// Moves deprecated fields to their successors, as every build does first, and returns kustomize's warnings.
    pub fn fix(&mut self) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |present: bool, old: &str, new: &str, experimental: &str| {
            if present {
                warnings.push(format!(
                    "# Warning: '{old}' is deprecated. Please use '{new}' instead. {experimental}Run 'kustomize edit fix' to update your Kustomization automatically."
                ));
            }
        };
        warn(self.declared.bases, "bases", "resources", "");
        warn(self.declared.common_labels, "commonLabels", "labels", "");
        warn(self.declared.image_tags, "imageTags", "images", "");
        warn(self.declared.patches_json6902, "patchesJson6902", "patches", "");
        warn(self.declared.patches_strategic_merge, "patchesStrategicMerge", "patches", "");
        warn(self.declared.vars, "vars", "replacements", "[EXPERIMENTAL] ");
        if self.kind.is_empty() {
            self.kind = "Kustomization".into();
        }
        if self.api_version.is_empty() {
            let component = self.kind == "Component";
            self.api_version = if component { COMPONENT_API_VERSION } else { API_VERSION }.into();
        }
        self.resources.append(&mut self.bases);
        self.images.append(&mut self.image_tags);
        let configs = self.config_map_generator.iter_mut().map(|g| &mut g.sources);
        for sources in configs.chain(self.secret_generator.iter_mut().map(|g| &mut g.sources)) {
            if !sources.env.is_empty() {
                sources.envs.push(std::mem::take(&mut sources.env));
            }
        }
        warnings
    }

    /// Whether the file says nothing but its kind.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let blank =
            Self { api_version: self.api_version.clone(), kind: self.kind.clone(), ..Self::default() };
        !self.declared.anything && Self { declared: Declared::default(), ..self.clone() } == blank
    }

    /// Whether this is a component.
    #[must_use]
    pub fn is_component(&self) -> bool {
        self.kind == "Component"
    }

    /// What is wrong with kind and apiVersion, one line each.
    pub(crate) fn kind_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.kind != "Kustomization" && self.kind != "Component" {
            problems.push("kind should be Kustomization or Component".into());
        }
        let wanted = if self.is_component() { COMPONENT_API_VERSION } else { API_VERSION };
        if self.api_version != wanted {
            problems.push(format!("apiVersion for {} should be {wanted}", self.kind));
        }
        problems
    }
}
