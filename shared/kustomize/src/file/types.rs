//! The fields of a kustomization file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sluice_yaml::Value;

/// Labels or annotations.
pub type StringMap = BTreeMap<String, String>;

/// Which fields a file mentions, whatever they hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Declared {
    pub(super) anything: bool,
    pub(super) bases: bool,
    pub(super) common_labels: bool,
    pub(super) image_tags: bool,
    pub(super) patches_json6902: bool,
    pub(super) patches_strategic_merge: bool,
    pub(super) vars: bool,
}

/// A kustomization or component file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Kustomization {
    /// API version; empty means the one that fits the kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// `Kustomization` (also when empty) or `Component`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// The order of the output; only the root file counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort_options: Option<SortOptions>,
    /// Files and directories, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Deprecated: appended to `resources`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bases: Vec<String>,
    /// Put before every name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name_prefix: String,
    /// Put after every name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name_suffix: String,
    /// Set on every namespaced object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// OpenAPI definitions of custom kinds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub crds: Vec<String>,
    /// Deprecated: labels, also in selectors and templates.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub common_labels: StringMap,
    /// Labels to add.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// Annotations, also in templates.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub common_annotations: StringMap,
    /// Deprecated: patch files or texts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patches_strategic_merge: Vec<String>,
    /// Deprecated: JSON patches with a target.
    #[serde(rename = "patchesJson6902", skip_serializing_if = "Vec::is_empty")]
    pub patches_json6902: Vec<Patch>,
    /// Patches of both kinds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
    /// ConfigMaps to generate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub config_map_generator: Vec<ConfigMapArgs>,
    /// Secrets to generate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secret_generator: Vec<SecretArgs>,
    /// Charts to render; not supported in a build.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub helm_charts: Vec<Value>,
    /// Deprecated form of `helm_charts`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub helm_chart_inflation_generator: Vec<Value>,
    /// Settings for all charts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub helm_globals: Option<Value>,
    /// Defaults for all generators of this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator_options: Option<GeneratorOptions>,
    /// Deprecated: values to substitute.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vars: Vec<Var>,
    /// Image names, tags and digests to replace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// Deprecated: appended to `images`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_tags: Vec<Image>,
    /// Values to copy between objects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replacements: Vec<Replacement>,
    /// Replica counts by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<Replica>,
    /// Files that add field specifications.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configurations: Vec<String>,
    /// Generator configurations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub generators: Vec<String>,
    /// Transformer configurations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transformers: Vec<String>,
    /// Validator configurations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub validators: Vec<String>,
    /// Directories of components.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// A schema for merging: `path` or `version`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub openapi: BTreeMap<String, String>,
    /// Annotations and labels about the build; only the root file counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub build_metadata: Vec<String>,
    /// What the file mentions.
    #[serde(skip)]
    pub(crate) declared: Declared,
}

/// The order of the output.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SortOptions {
    /// `legacy` or `fifo`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub order: String,
    /// Kinds that come first and last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legacy_sort_options: Option<LegacySortOptions>,
}

/// Kinds that come first and last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LegacySortOptions {
    /// Kinds that come first, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub order_first: Vec<String>,
    /// Kinds that come last, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub order_last: Vec<String>,
}

/// Labels and the fields they are set in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Label {
    /// The labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pairs: StringMap,
    /// Whether selectors (and templates) get them, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub include_selectors: bool,
    /// Whether pod templates get them, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub include_templates: bool,
    /// Whether volume claim templates get them, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub include_volume_claim_templates: bool,
    /// More fields.
    #[serde(rename = "fields", skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldSpec>,
}

/// Fields of objects of some kinds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FieldSpec {
    /// API group; empty matches all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// API version; empty matches all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Kind; empty matches all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Field names with `/` between them.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Whether a missing field is created.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub create: bool,
}

/// A patch and the objects it applies to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Patch {
    /// The file that holds the patch.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The patch itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub patch: String,
    /// Which objects; without it the patch names its object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Selector>,
    /// `allowNameChange`, `allowKindChange`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, bool>,
}

/// Selects objects; every part that is given must match.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    /// API group, a regular expression.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// API version, a regular expression.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Kind, a regular expression.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name, a regular expression.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Namespace, a regular expression.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Annotations, in the syntax of label selectors.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub annotation_selector: String,
    /// Labels.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label_selector: String,
}

/// A ConfigMap to generate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigMapArgs {
    /// Its name, without hash.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// `create`, `merge` or `replace`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub behavior: String,
    /// Where its data comes from.
    #[serde(flatten)]
    pub sources: KvSources,
    /// Labels, annotations, hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<GeneratorOptions>,
}

/// A Secret to generate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretArgs {
    /// Its name, without hash.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// `create`, `merge` or `replace`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub behavior: String,
    /// Where its data comes from.
    #[serde(flatten)]
    pub sources: KvSources,
    /// The type of the Secret; empty means `Opaque`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Labels, annotations, hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<GeneratorOptions>,
}

/// Where keys and values come from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KvSources {
    /// `key=value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub literals: Vec<String>,
    /// `path` or `key=path`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Files of `key=value` lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub envs: Vec<String>,
    /// Deprecated: one such file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub env: String,
}

/// What generated objects look like.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GeneratorOptions {
    /// Their labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: StringMap,
    /// Their annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: StringMap,
    /// Whether their name gets no hash.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disable_name_suffix_hash: bool,
    /// Whether they are immutable.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub immutable: bool,
}

/// A value of one object, for use in others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Var {
    /// Its name, as in `$(NAME)`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The object.
    pub objref: VarTarget,
    /// The field.
    pub fieldref: FieldRef,
}

/// The object of a variable.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VarTarget {
    /// Group and version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// API group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// API version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// A field.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FieldRef {
    /// Path with dots; empty means `metadata.name`.
    #[serde(rename = "fieldPath", skip_serializing_if = "String::is_empty")]
    pub field_path: String,
}

/// What becomes of images of a name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Image {
    /// The name, a regular expression.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The new name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub new_name: String,
    /// Appended to the tag.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tag_suffix: String,
    /// The new tag.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub new_tag: String,
    /// The new digest.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
}

/// The replica count of objects of a name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Replica {
    /// The name, old or new.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The count.
    pub count: i64,
}

/// A value to copy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Replacement {
    /// The file that holds the replacement.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The field to copy from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceSelector>,
    /// The value itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_value: Option<String>,
    /// The fields to copy to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<TargetSelector>>,
}

/// The one field to copy from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SourceSelector {
    /// API group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// API version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Path with dots; empty means `metadata.name`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field_path: String,
    /// Which part of the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<FieldOptions>,
}

/// The fields to copy to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TargetSelector {
    /// The objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<Selector>,
    /// The objects that are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reject: Vec<Selector>,
    /// Paths with dots; empty means `metadata.name`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub field_paths: Vec<String>,
    /// Which part of the value, and whether to create it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<FieldOptions>,
}

/// Which part of a value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FieldOptions {
    /// Cuts the value.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub delimiter: String,
    /// The part, from 0.
    pub index: i64,
    /// Ignored, as in kustomize.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub encoding: String,
    /// Whether a missing field is created.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub create: bool,
}
