//! The drafts of JSON Schema: how they are named, where they hold subschemas, and the schemas of schemas.

use std::sync::Arc;

use serde_json::{Map, Value};

/// A version of the specification, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Draft {
    Draft4,
    Draft6,
    Draft7,
    Draft2019,
    Draft2020,
}

/// Keywords whose value is a schema, and from which draft on.
const SINGLE: &[(&str, Draft)] = &[
    ("not", Draft::Draft4),
    ("additionalProperties", Draft::Draft4),
    ("items", Draft::Draft4),
    ("additionalItems", Draft::Draft4),
    ("propertyNames", Draft::Draft6),
    ("contains", Draft::Draft6),
    ("if", Draft::Draft7),
    ("then", Draft::Draft7),
    ("else", Draft::Draft7),
    ("unevaluatedProperties", Draft::Draft2019),
    ("unevaluatedItems", Draft::Draft2019),
    ("contentSchema", Draft::Draft2019),
];

/// Keywords whose value is a map of schemas.
const MAPS: &[(&str, Draft)] = &[
    ("definitions", Draft::Draft4),
    ("properties", Draft::Draft4),
    ("patternProperties", Draft::Draft4),
    ("dependencies", Draft::Draft4),
    ("$defs", Draft::Draft2019),
    ("dependentSchemas", Draft::Draft2019),
];

/// Keywords whose value is a list of schemas.
const LISTS: &[(&str, Draft)] = &[
    ("allOf", Draft::Draft4),
    ("anyOf", Draft::Draft4),
    ("oneOf", Draft::Draft4),
    ("items", Draft::Draft4),
    ("prefixItems", Draft::Draft2020),
];

impl Draft {
    /// What a schema without `$schema` is.
    pub(super) const DEFAULT: Self = Self::Draft2020;

    /// The draft that a value of `$schema` names, whatever its scheme.
    pub(super) fn named(url: &str) -> Option<Self> {
        let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
        if !fragment.is_empty() {
            return None;
        }
        let url = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")).unwrap_or(url);
        Some(match url {
            "json-schema.org/schema" | "json-schema.org/draft/2020-12/schema" => Self::Draft2020,
            "json-schema.org/draft/2019-09/schema" => Self::Draft2019,
            "json-schema.org/draft-07/schema" => Self::Draft7,
            "json-schema.org/draft-06/schema" => Self::Draft6,
            "json-schema.org/draft-04/schema" => Self::Draft4,
            _ => return None,
        })
    }

    /// The address of the schema of its schemas.
    pub(super) fn url(self) -> &'static str {
        match self {
            Self::Draft4 => "http://json-schema.org/draft-04/schema",
            Self::Draft6 => "http://json-schema.org/draft-06/schema",
            Self::Draft7 => "http://json-schema.org/draft-07/schema",
            Self::Draft2019 => "https://json-schema.org/draft/2019-09/schema",
            Self::Draft2020 => "https://json-schema.org/draft/2020-12/schema",
        }
    }

    /// The keyword that names a schema.
    pub(super) fn id_keyword(self) -> &'static str {
        if self == Self::Draft4 { "id" } else { "$id" }
    }

    /// What a schema calls itself, without a fragment; before 2019, whatever stands beside `$ref` is ignored.
    pub(super) fn id(self, schema: &Map<String, Value>) -> Option<&str> {
        if self < Self::Draft2019 && schema.contains_key("$ref") {
            return None;
        }
        let id = schema.get(self.id_keyword())?.as_str()?;
        let id = id.split('#').next().unwrap_or(id);
        (!id.is_empty()).then_some(id)
    }

    /// Calls `found` for each subschema directly inside of a schema, with its JSON pointer relative to it.
    pub(super) fn subschemas<'a>(
        self,
        schema: &'a Map<String, Value>,
        mut found: impl FnMut(String, &'a Value),
    ) {
        for (keyword, _) in SINGLE.iter().filter(|(_, since)| *since <= self) {
            if let Some(value) = schema.get(*keyword) {
                found(format!("/{keyword}"), value);
            }
        }
        for (keyword, _) in MAPS.iter().filter(|(_, since)| *since <= self) {
            for (name, value) in schema.get(*keyword).and_then(Value::as_object).into_iter().flatten() {
                found(format!("/{keyword}/{}", super::pointer::escape(name)), value);
            }
        }
        for (keyword, _) in LISTS.iter().filter(|(_, since)| *since <= self) {
            for (index, value) in
                schema.get(*keyword).and_then(Value::as_array).into_iter().flatten().enumerate()
            {
                found(format!("/{keyword}/{index}"), value);
            }
        }
    }
}

/// The document at an address below `json-schema.org`.
pub(super) fn specification(url: &str) -> Option<Arc<Value>> {
    use referencing::meta;
    let path = url
        .strip_prefix("http://json-schema.org/")
        .or_else(|| url.strip_prefix("https://json-schema.org/"))?;
    let document: &Arc<Value> = match path {
        "schema" | "draft/2020-12/schema" => &meta::DRAFT202012,
        "draft/2020-12/meta/core" => &meta::DRAFT202012_CORE,
        "draft/2020-12/meta/applicator" => &meta::DRAFT202012_APPLICATOR,
        "draft/2020-12/meta/unevaluated" => &meta::DRAFT202012_UNEVALUATED,
        "draft/2020-12/meta/validation" => &meta::DRAFT202012_VALIDATION,
        "draft/2020-12/meta/meta-data" => &meta::DRAFT202012_META_DATA,
        "draft/2020-12/meta/format-annotation" => &meta::DRAFT202012_FORMAT_ANNOTATION,
        "draft/2020-12/meta/format-assertion" => &meta::DRAFT202012_FORMAT_ASSERTION,
        "draft/2020-12/meta/content" => &meta::DRAFT202012_CONTENT,
        "draft/2019-09/schema" => &meta::DRAFT201909,
        "draft/2019-09/meta/core" => &meta::DRAFT201909_CORE,
        "draft/2019-09/meta/applicator" => &meta::DRAFT201909_APPLICATOR,
        "draft/2019-09/meta/validation" => &meta::DRAFT201909_VALIDATION,
        "draft/2019-09/meta/meta-data" => &meta::DRAFT201909_META_DATA,
        "draft/2019-09/meta/format" => &meta::DRAFT201909_FORMAT,
        "draft/2019-09/meta/content" => &meta::DRAFT201909_CONTENT,
        "draft-07/schema" => &meta::DRAFT7,
        "draft-06/schema" => &meta::DRAFT6,
        "draft-04/schema" => &meta::DRAFT4,
        _ => return None,
    };
    Some(Arc::clone(document))
}
