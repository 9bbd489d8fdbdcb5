//! The fields of plugin configurations, decoded leniently.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sluice_yaml::Value;

use super::shape::{self, Shape, Struct};
use super::types::{FieldSpec, Image, Replacement, Replica, Selector, StringMap};

macro_rules! config {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub(crate) struct $name { $(pub(crate) $field: $type),* }
    };
}

config!(
    /// LabelTransformer.
    Labels { labels: StringMap, field_specs: Vec<FieldSpec> }
);
config!(
    /// AnnotationsTransformer.
    Annotations { annotations: StringMap, field_specs: Vec<FieldSpec> }
);
config!(
    /// PrefixTransformer, SuffixTransformer, PrefixSuffixTransformer.
    Affixes { prefix: String, suffix: String, field_specs: Vec<FieldSpec> }
);
config!(
    /// The part of the metadata that configurations use.
    Metadata { name: String, namespace: String }
);
config!(
    /// NamespaceTransformer.
    Namespace {
        metadata: Metadata,
        field_specs: Vec<FieldSpec>,
        unset_only: bool,
        set_role_binding_subjects: String,
    }
);
config!(
    /// ImageTagTransformer.
    ImageTag { image_tag: Image, field_specs: Vec<FieldSpec> }
);
config!(
    /// ReplicaCountTransformer.
    ReplicaCount { replica: Replica, field_specs: Vec<FieldSpec> }
);
config!(
    /// PatchJson6902Transformer.
    Json6902 { target: Option<Selector>, path: String, json_op: String }
);
config!(
    /// PatchStrategicMergeTransformer.
    StrategicMerge { paths: Vec<String>, patches: String }
);
config!(
    /// ReplacementTransformer.
    Replacements { replacements: Vec<Replacement> }
);
config!(
    /// ValueAddTransformer.
    ValueAdd { value: String, targets: Vec<ValueTarget>, target_file_path: String }
);
config!(
    /// One target of a ValueAddTransformer.
    ValueTarget { selector: Option<Selector>, field_path: String, file_path_position: i64 }
);

const METADATA: Struct =
    Struct { name: "ObjectMeta", fields: &[("name", Shape::Text), ("namespace", Shape::Text)] };
const VALUE_TARGET: Struct = Struct {
    name: "Target",
    fields: &[
        ("selector", Shape::One(&shape::SELECTOR)),
        ("fieldPath", Shape::Text),
        ("filePathPosition", Shape::Int),
    ],
};
const TRANSFORMER: Struct = Struct {
    name: "plugin",
    fields: &[
        ("metadata", Shape::One(&METADATA)),
        ("fieldSpecs", Shape::Many(&shape::FIELD_SPEC)),
        ("labels", Shape::TextMap),
        ("annotations", Shape::TextMap),
        ("prefix", Shape::Text),
        ("suffix", Shape::Text),
        ("unsetOnly", Shape::Bool),
        ("setRoleBindingSubjects", Shape::Text),
        ("imageTag", Shape::One(&shape::IMAGE)),
        ("replica", Shape::One(&shape::REPLICA)),
        ("path", Shape::Text),
        ("target", Shape::One(&shape::SELECTOR)),
        ("jsonOp", Shape::Text),
        ("paths", Shape::Texts),
        ("patches", Shape::Text),
        ("replacements", Shape::Many(&shape::REPLACEMENT_FIELD)),
        ("value", Shape::Text),
        ("targets", Shape::Many(&VALUE_TARGET)),
        ("targetFilePath", Shape::Text),
    ],
};

/// Decodes a configuration of a kind.
pub(crate) fn decode<T: DeserializeOwned>(value: Value, kind: &str) -> Result<T, String> {
    let shape = match kind {
        "PatchTransformer" => &shape::PATCH,
        "ConfigMapGenerator" => &shape::CONFIG_MAP_ARGS,
        "SecretGenerator" => &shape::SECRET_ARGS,
        _ => &TRANSFORMER,
    };
    let value = shape::lenient(value, shape)?;
    serde_json::from_value(value).map_err(|error| format!("json: {error}"))
}

/// Decodes one replacement of a replacement file; unknown fields are ignored.
pub(crate) fn decode_replacement(value: Value) -> Result<Replacement, String> {
    let value = shape::lenient(value, &shape::REPLACEMENT_FIELD)?;
    serde_json::from_value(value).map_err(|error| format!("json: {error}"))
}
