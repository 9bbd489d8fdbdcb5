//! Checks values against the charts' JSON schemas.
//!
//! Helm prints the violations as a tree, in the words of its validator. Crates for JSON Schema decide the same about a
//! value, but report other violations in another structure (references, `allOf` and the order of checks leave no
//! trace, the first type error does not hide what follows), so the validation itself is ours. The schemas of schemas
//! come from the `referencing` crate.
//!
//! Drafts 4, 6, 7, 2019-09 and 2020-12 are known. A schema is untrusted: it may refer to itself and to the
//! specification, but not to files or the network; depth and work are bounded.

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::Instance;

mod compile;
mod document;
mod draft;
mod format;
mod message;
mod node;
mod number;
mod pointer;
mod uri;
mod validate;
mod violation;

use compile::Compiler;
use draft::Draft;
use node::{Node, NodeId};
use validate::{Spent, Validator};
use violation::Violation;

/// The address under which a chart's schema is compiled: messages name it.
const ADDRESS: &str = "file:///values.schema.json";

/// Why a schema cannot be used: no JSON, no schema, or a reference that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

/// A compiled `values.schema.json`.
pub struct Schema {
    nodes: Vec<Node>,
    root: NodeId,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").field("subschemas", &self.nodes.len()).finish_non_exhaustive()
    }
}

impl Schema {
    /// Compiles the text of a schema.
    ///
    /// # Errors
    /// If it is no JSON, if it is not valid against the schema of its draft, or if a reference leads nowhere.
    pub fn compile(text: &[u8]) -> Result<Self, Fault> {
        let document: Value = serde_json::from_slice(text).map_err(|error| {
            let text = match error.classify() {
                serde_json::error::Category::Eof if text.trim_ascii().is_empty() => "EOF".into(),
                serde_json::error::Category::Eof => "unexpected EOF".into(),
                _ => error.to_string(),
            };
            Fault(text)
        })?;
        Compiler::new(false).compile(ADDRESS, Arc::new(document))
    }

    /// Checks values, and returns what is wrong with them: lines that begin with `- at`.
    ///
    /// # Errors
    /// If the values are not what the schema asks for, or if it would take too long to say.
    pub fn validate(&self, values: &Value) -> Result<(), Fault> {
        self.violation(values).map_or(Ok(()), |text| Err(Fault(text)))
    }

    fn violation(&self, value: &Value) -> Option<String> {
        let mut spent = Spent::default();
        let violation = Validator::new(self, &mut spent, 0).validate(self.root, value);
        match (spent.gave_up, violation) {
            (Some(reason), _) => Some(format!("unable to validate schema: {reason}")),
            (None, violation) => violation.as_ref().map(Violation::to_string).map(|text| {
                // The lines of a tree end with a newline, an error does not.
                text.trim_end_matches('\n').to_owned()
            }),
        }
    }

    fn location(&self) -> String {
        self.nodes[self.root].place.location()
    }
}

/// Whether a text is a version to the letter of semver 2: three numbers, nothing in front.
pub(crate) fn is_strict_version(text: &str) -> bool {
    format::Format::named("semver").is_some_and(|format| format.fault(text).is_none())
}

/// The schema that schemas of a draft must be valid against.
fn metaschema(draft: Draft) -> Result<&'static Schema, Fault> {
    type Compiled = LazyLock<Result<Schema, Fault>>;
    fn compile(draft: Draft) -> Result<Schema, Fault> {
        let document = document::load(draft.url())?;
        Compiler::new(true).compile(draft.url(), document)
    }
    static DRAFT4: Compiled = LazyLock::new(|| compile(Draft::Draft4));
    static DRAFT6: Compiled = LazyLock::new(|| compile(Draft::Draft6));
    static DRAFT7: Compiled = LazyLock::new(|| compile(Draft::Draft7));
    static DRAFT2019: Compiled = LazyLock::new(|| compile(Draft::Draft2019));
    static DRAFT2020: Compiled = LazyLock::new(|| compile(Draft::Draft2020));
    let compiled = match draft {
        Draft::Draft4 => &DRAFT4,
        Draft::Draft6 => &DRAFT6,
        Draft::Draft7 => &DRAFT7,
        Draft::Draft2019 => &DRAFT2019,
        Draft::Draft2020 => &DRAFT2020,
    };
    compiled.as_ref().map_err(Clone::clone)
}

/// A schema that can be used, or why it cannot.
type Compiled = Arc<Result<Schema, Fault>>;

/// The schemas of a chart and its subcharts, compiled when they are first needed.
#[derive(Debug, Default)]
pub struct Schemas {
    /// By the memory of the text, which the entry keeps alive.
    compiled: Mutex<Vec<(Bytes, Compiled)>>,
}

impl Schemas {
    /// Checks the coalesced values of a chart and of its subcharts.
    ///
    /// # Errors
    /// The violations of all charts, in Helm's words.
    pub fn check(&self, chart: &Instance, values: &Map<String, Value>) -> Result<(), String> {
        let mut report = String::new();
        // Only a schema needs the map as a value.
        if chart.chart.schema.is_some() {
            self.check_own(chart, &Value::Object(values.clone()), &mut report);
        }
        self.check_children(chart, values, &mut report);
        if report.is_empty() {
            return Ok(());
        }
        Err(format!(
            "values don't meet the specifications of the schema(s) in the following chart(s):\n{report}"
        ))
    }

    fn check_own(&self, chart: &Instance, values: &Value, report: &mut String) {
        let Some(schema) = &chart.chart.schema else { return };
        let schema = self.schema(schema);
        let fault = match schema.as_ref() {
            // Faults of a schema have no newline, and the next chart's name follows them.
            Err(fault) => fault.to_string(),
            Ok(schema) => match schema.validate(values) {
                Ok(()) => return,
                Err(fault) => format!("{fault}\n"),
            },
        };
        report.push_str(&format!("{}:\n{fault}", chart.name()));
    }

    /// Subcharts are nested no deeper than a chart's loader allows.
    fn check_children(&self, chart: &Instance, values: &Map<String, Value>, report: &mut String) {
        for child in &chart.children {
            match values.get(child.name()) {
                None | Some(Value::Null) => {}
                Some(value @ Value::Object(map)) => {
                    self.check_own(child, value, report);
                    self.check_children(child, map, report);
                }
                Some(other) => {
                    let kind = go_type(other);
                    report.push_str(&format!(
                        "{}:\ninvalid type for values: expected object (map), got {kind}\n",
                        child.name()
                    ));
                }
            }
        }
    }

    fn schema(&self, text: &Bytes) -> Compiled {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &Bytes| known.as_ptr() == text.as_ptr() && known.len() == text.len();
        if let Some((_, schema)) = compiled.iter().find(|(known, _)| same(known)) {
            return Arc::clone(schema);
        }
        let schema = Arc::new(Schema::compile(text));
        compiled.push((text.clone(), Arc::clone(&schema)));
        schema
    }
}

/// The name of a value's type in Go.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_that_would_go_on_for_ever_are_given_up() {
        let chain: Map<String, Value> = (0..5000)
            .map(|index| {
                (format!("d{index}"), serde_json::json!({ "$ref": format!("#/$defs/d{}", index + 1) }))
            })
            .chain([("d5000".to_owned(), Value::Bool(true))])
            .collect();
        let chain = serde_json::json!({ "$defs": chain, "$ref": "#/$defs/d0" }).to_string();
        let nested = format!("{}{{}}{}", "{\"not\":".repeat(3000), "}".repeat(3000));
        for (schema, want) in [
            (chain.as_str(), "nested too deeply"),
            (nested.as_str(), "recursion limit"),
            (r##"{"$ref": "#"}"##, "causing reference cycle"),
            (r#"{"$ref": "file:///etc/passwd"}"#, "references to local files are not followed"),
            (r#"{"$ref": "https://example.com/x"}"#, "references to the network are not followed"),
        ] {
            let fault = Schema::compile(schema.as_bytes())
                .and_then(|schema| schema.validate(&serde_json::json!({})))
                .expect_err("it is given up");
            assert!(fault.to_string().contains(want), "{want}: {fault}");
        }
    }
}
