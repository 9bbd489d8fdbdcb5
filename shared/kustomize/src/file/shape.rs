//! The strict decoder: which fields exist, of which type, and Go's text when something else stands there.
//!
//! It runs before serde: it brings keys to their canonical case, drops nulls, and reports the first problem in the
//! order of Go's decoder (keys sorted by bytes).

use sluice_yaml::{Map, Value};

use super::UnknownFields;
use super::types::Declared;

/// The type of a field.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Text,
    Bool,
    Int,
    Texts,
    TextMap,
    Any,
    AnyList,
    One(&'static Struct),
    Many(&'static Struct),
}
use Shape::{Any, AnyList, Bool, Int, Many, One, Text, TextMap, Texts};

/// A type of Go: its name and its fields.
pub(super) struct Struct {
    pub(super) name: &'static str,
    pub(super) fields: &'static [(&'static str, Shape)],
}

const KUSTOMIZATION: Struct = Struct {
    name: "Kustomization",
    fields: &[
        ("apiVersion", Text),
        ("kind", Text),
        ("metadata", One(&OBJECT_META)),
        ("openapi", TextMap),
        ("namePrefix", Text),
        ("nameSuffix", Text),
        ("namespace", Text),
        ("commonLabels", TextMap),
        ("labels", Many(&LABEL)),
        ("commonAnnotations", TextMap),
        ("patchesStrategicMerge", Texts),
        ("patchesJson6902", Many(&PATCH)),
        ("patches", Many(&PATCH)),
        ("images", Many(&IMAGE)),
        ("imageTags", Many(&IMAGE)),
        ("replacements", Many(&REPLACEMENT_FIELD)),
        ("replicas", Many(&REPLICA)),
        ("vars", Many(&VAR)),
        ("sortOptions", One(&SORT_OPTIONS)),
        ("resources", Texts),
        ("components", Texts),
        ("crds", Texts),
        ("bases", Texts),
        ("configMapGenerator", Many(&CONFIG_MAP_ARGS)),
        ("secretGenerator", Many(&SECRET_ARGS)),
        ("helmGlobals", Any),
        ("helmCharts", AnyList),
        ("helmChartInflationGenerator", AnyList),
        ("generatorOptions", One(&GENERATOR_OPTIONS)),
        ("configurations", Texts),
        ("generators", Texts),
        ("transformers", Texts),
        ("validators", Texts),
        ("buildMetadata", Texts),
    ],
};
const OBJECT_META: Struct = Struct {
    name: "ObjectMeta",
    fields: &[("name", Text), ("namespace", Text), ("labels", TextMap), ("annotations", TextMap)],
};
const LABEL: Struct = Struct {
    name: "Label",
    fields: &[
        ("pairs", TextMap),
        ("includeSelectors", Bool),
        ("includeTemplates", Bool),
        ("includeVolumeClaimTemplates", Bool),
        ("fields", Many(&FIELD_SPEC)),
    ],
};
pub(super) const FIELD_SPEC: Struct = Struct {
    name: "FieldSpec",
    fields: &[("group", Text), ("version", Text), ("kind", Text), ("path", Text), ("create", Bool)],
};
pub(super) const PATCH: Struct = Struct {
    name: "Patch",
    fields: &[("path", Text), ("patch", Text), ("target", One(&SELECTOR)), ("options", One(&PATCH_OPTIONS))],
};
pub(super) const SELECTOR: Struct = Struct {
    name: "Selector",
    fields: &[
        ("group", Text),
        ("version", Text),
        ("kind", Text),
        ("name", Text),
        ("namespace", Text),
        ("annotationSelector", Text),
        ("labelSelector", Text),
    ],
};
const PATCH_OPTIONS: Struct =
    Struct { name: "PatchArgs", fields: &[("allowNameChange", Bool), ("allowKindChange", Bool)] };
pub(super) const IMAGE: Struct = Struct {
    name: "Image",
    fields: &[("name", Text), ("newName", Text), ("tagSuffix", Text), ("newTag", Text), ("digest", Text)],
};
pub(super) const REPLACEMENT_FIELD: Struct = Struct {
    name: "ReplacementField",
    fields: &[
        ("path", Text),
        ("source", One(&SOURCE_SELECTOR)),
        ("sourceValue", Text),
        ("targets", Many(&TARGET_SELECTOR)),
    ],
};
const SOURCE_SELECTOR: Struct = Struct {
    name: "SourceSelector",
    fields: &[
        ("group", Text),
        ("version", Text),
        ("kind", Text),
        ("name", Text),
        ("namespace", Text),
        ("fieldPath", Text),
        ("options", One(&FIELD_OPTIONS)),
    ],
};
const TARGET_SELECTOR: Struct = Struct {
    name: "TargetSelector",
    fields: &[
        ("select", One(&SELECTOR)),
        ("reject", Many(&SELECTOR)),
        ("fieldPaths", Texts),
        ("options", One(&FIELD_OPTIONS)),
    ],
};
const FIELD_OPTIONS: Struct = Struct {
    name: "FieldOptions",
    fields: &[("delimiter", Text), ("index", Int), ("encoding", Text), ("create", Bool)],
};
pub(super) const REPLICA: Struct = Struct { name: "Replica", fields: &[("name", Text), ("count", Int)] };
const VAR: Struct = Struct {
    name: "Var",
    fields: &[("name", Text), ("objref", One(&TARGET)), ("fieldref", One(&FIELD_SELECTOR))],
};
const TARGET: Struct = Struct {
    name: "Target",
    fields: &[
        ("apiVersion", Text),
        ("group", Text),
        ("version", Text),
        ("kind", Text),
        ("name", Text),
        ("namespace", Text),
    ],
};
const FIELD_SELECTOR: Struct = Struct { name: "FieldSelector", fields: &[("fieldPath", Text)] };
const SORT_OPTIONS: Struct = Struct {
    name: "SortOptions",
    fields: &[("order", Text), ("legacySortOptions", One(&LEGACY_SORT_OPTIONS))],
};
const LEGACY_SORT_OPTIONS: Struct =
    Struct { name: "LegacySortOptions", fields: &[("orderFirst", Texts), ("orderLast", Texts)] };
pub(super) const CONFIG_MAP_ARGS: Struct = Struct {
    name: "ConfigMapArgs",
    fields: &[
        ("namespace", Text),
        ("name", Text),
        ("behavior", Text),
        ("literals", Texts),
        ("files", Texts),
        ("envs", Texts),
        ("env", Text),
        ("options", One(&GENERATOR_OPTIONS)),
    ],
};
pub(super) const SECRET_ARGS: Struct = Struct {
    name: "SecretArgs",
    fields: &[
        ("namespace", Text),
        ("name", Text),
        ("behavior", Text),
        ("literals", Texts),
        ("files", Texts),
        ("envs", Texts),
        ("env", Text),
        ("type", Text),
        ("options", One(&GENERATOR_OPTIONS)),
    ],
};
const GENERATOR_OPTIONS: Struct = Struct {
    name: "GeneratorOptions",
    fields: &[
        ("labels", TextMap),
        ("annotations", TextMap),
        ("disableNameSuffixHash", Bool),
        ("immutable", Bool),
    ],
};

/// Which fields of a file count as present.
pub(super) fn declares_something(map: &Map<String, Value>) -> Declared {
    let has = |name: &str| map.iter().any(|(k, v)| k.eq_ignore_ascii_case(name) && !v.is_null());
    let nothing = ["kind", "apiVersion"];
    Declared {
        anything: map.iter().any(|(key, value)| {
            let empty = value.is_null() || value.as_str().is_some_and(str::is_empty);
            !empty && !nothing.iter().any(|name| key.eq_ignore_ascii_case(name))
        }),
        bases: has("bases"),
        common_labels: has("commonLabels"),
        image_tags: has("imageTags"),
        patches_json6902: has("patchesJson6902"),
        patches_strategic_merge: has("patchesStrategicMerge"),
        vars: has("vars"),
    }
}

/// Checks a kustomization and brings its keys to canonical case.
pub(super) fn normalise(value: Value, unknown: UnknownFields) -> Result<Value, String> {
    match value {
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Object(map) => Walk { unknown, coerce: false, first: None }.run(map, &KUSTOMIZATION),
        other => Err(format!(
            "json: cannot unmarshal {} into Go value of type types.Kustomization",
            json_kind(&other)
        )),
    }
}

/// Brings a plugin configuration into shape: unknown fields go, numbers and booleans become texts where one is wanted.
pub(super) fn lenient(value: Value, shape: &Struct) -> Result<Value, String> {
    let map = match value {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    Walk { unknown: UnknownFields::Drop, coerce: true, first: None }.run(map, shape)
}

struct Walk {
    unknown: UnknownFields,
    /// Whether numbers and booleans become texts.
    coerce: bool,
    /// The first problem, in the order of Go's decoder.
    first: Option<String>,
}

impl Walk {
    fn run(mut self, map: Map<String, Value>, shape: &Struct) -> Result<Value, String> {
        let value = self.fields(map, shape, "");
        self.first.map_or(Ok(value), Err)
    }

    fn problem(&mut self, text: impl FnOnce() -> String) {
        if self.first.is_none() {
            self.first = Some(text());
        }
    }

    fn fields(&mut self, map: Map<String, Value>, shape: &Struct, path: &str) -> Value {
        let mut pairs: Vec<_> = map.into_iter().collect();
        pairs.sort_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
        let mut out = Map::new();
        for (key, value) in pairs {
            let exact = shape.fields.iter().find(|(name, _)| *name == key);
            let Some((name, kind)) =
                exact.or_else(|| shape.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(&key)))
            else {
                if self.unknown == UnknownFields::Refuse {
                    self.problem(|| format!("json: unknown field \"{key}\""));
                }
                continue;
            };
            if value.is_null() {
                continue;
            }
            let inner = embedded(shape.name, name);
            let path =
                if path.is_empty() { format!("{inner}{name}") } else { format!("{path}.{inner}{name}") };
            if let Some(value) = self.field(value, *kind, shape, &path) {
                out.insert((*name).to_owned(), value);
            }
        }
        Value::Object(out)
    }

    fn field(&mut self, value: Value, kind: Shape, parent: &Struct, path: &str) -> Option<Value> {
        match (kind, value) {
            (Any, value) | (Text, value @ Value::String(_)) | (Bool, value @ Value::Bool(_)) => Some(value),
            (AnyList, value @ Value::Array(_)) => Some(value),
            (Text, Value::Number(number)) if self.coerce => Some(Value::String(number.to_string())),
            (Text, Value::Bool(yes)) if self.coerce => Some(Value::String(yes.to_string())),
            (Int, Value::Number(number)) if number.is_i64() => Some(Value::Number(number)),
            (Int, Value::Number(number)) => {
                self.mismatch(&format!("number {number}"), "int64", parent, path);
                None
            }
            (Texts, Value::Array(items)) => Some(Value::Array(
                items
                    .into_iter()
                    .filter_map(|item| self.element(item, Text, "string", parent, path))
                    .collect(),
            )),
            (TextMap, Value::Object(map)) => Some(self.map(map, Text, "string", parent, path)),
            (One(shape), Value::Object(map)) => Some(self.fields(map, shape, path)),
            (Many(shape), Value::Array(items)) => {
                let mut out = Vec::with_capacity(items.len());
                for item in items {
                    match item {
                        Value::Object(map) => out.push(self.fields(map, shape, path)),
                        Value::Null => out.push(Value::Object(Map::new())),
                        other => {
                            self.mismatch(json_kind(&other), &format!("types.{}", shape.name), parent, path)
                        }
                    }
                }
                Some(Value::Array(out))
            }
            (kind, value) => {
                let wanted = go_type(kind);
                self.mismatch(json_kind(&value), &wanted, parent, path);
                None
            }
        }
    }

    fn map(
        &mut self,
        map: Map<String, Value>,
        kind: Shape,
        wanted: &str,
        parent: &Struct,
        path: &str,
    ) -> Value {
        let mut pairs: Vec<_> = map.into_iter().collect();
        pairs.sort_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
        let checked =
            pairs.into_iter().filter_map(|(k, v)| Some((k, self.element(v, kind, wanted, parent, path)?)));
        Value::Object(checked.collect())
    }

    fn element(
        &mut self,
        value: Value,
        kind: Shape,
        wanted: &str,
        parent: &Struct,
        path: &str,
    ) -> Option<Value> {
        match (kind, value) {
            (Text, Value::Null) => Some(Value::String(String::new())),
            (Bool, Value::Null) => Some(Value::Bool(false)),
            (Text, Value::Number(number)) if self.coerce => Some(Value::String(number.to_string())),
            (Text, Value::Bool(yes)) if self.coerce => Some(Value::String(yes.to_string())),
            (Text, value @ Value::String(_)) | (Bool, value @ Value::Bool(_)) => Some(value),
            (_, value) => {
                self.mismatch(json_kind(&value), wanted, parent, path);
                None
            }
        }
    }

    fn mismatch(&mut self, found: &str, wanted: &str, parent: &Struct, path: &str) {
        let name = parent.name;
        self.problem(|| {
            format!("json: cannot unmarshal {found} into Go struct field {name}.{path} of type {wanted}")
        });
    }
}

/// The embedded structs of Go that a field stands in; they show in its messages.
fn embedded(parent: &str, field: &str) -> &'static str {
    match (parent, field) {
        ("Kustomization", "apiVersion" | "kind") => "TypeMeta.",
        ("ConfigMapArgs" | "SecretArgs", "literals" | "files" | "envs" | "env") => {
            "GeneratorArgs.KvPairSources."
        }
        ("ConfigMapArgs" | "SecretArgs", "name" | "namespace" | "behavior" | "options") => "GeneratorArgs.",
        ("Selector" | "SourceSelector", "group" | "version" | "kind") => "ResId.Gvk.",
        ("Selector" | "SourceSelector", "name" | "namespace") => "ResId.",
        ("ReplacementField", "source" | "sourceValue" | "targets") => "Replacement.",
        ("Target" | "FieldSpec", "group" | "version" | "kind") => "Gvk.",
        _ => "",
    }
}

fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn go_type(shape: Shape) -> String {
    match shape {
        Text => "string".into(),
        Bool => "bool".into(),
        Int => "int64".into(),
        Texts => "[]string".into(),
        TextMap => "map[string]string".into(),
        Any => "interface {}".into(),
        AnyList => "[]types.HelmChart".into(),
        One(shape) => format!("types.{}", shape.name),
        Many(shape) => format!("[]types.{}", shape.name),
    }
}
