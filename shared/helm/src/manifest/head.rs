//! The head of a manifest: what Helm itself reads of it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sluice_yaml::Schema;

use crate::yaml;

/// `apiVersion`, `kind`, name and annotations of a document; empty where it has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// `apps/v1`
    pub api_version: String,
    /// `Deployment`
    pub kind: String,
    /// `metadata.name`
    pub name: String,
    /// `metadata.annotations`
    pub annotations: BTreeMap<String, String>,
}

impl Head {
    /// Reads the head of a document.
    ///
    /// The rules are those of Go's JSON decoder behind a YAML reader: key names count whatever their case, simple
    /// values become texts, the first wrong type is told.
    ///
    /// # Errors
    /// The text that Helm shows behind `YAML parse error on FILE: `.
    pub fn read(document: &str) -> Result<Self, String> {
        let value = to_value(document)?;
        let map = match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(map) => map,
            other => return Err(mismatch(&other, "value of type util.SimpleHead")),
        };
        let mut head = Self::default();
        for (key, value) in sorted(&map) {
            match key.to_ascii_lowercase().as_str() {
                "apiversion" => head.api_version = text(value, "SimpleHead.apiVersion")?,
                "kind" => head.kind = text(value, "SimpleHead.kind")?,
                "metadata" => head.read_metadata(value)?,
                _ => {}
            }
        }
        Ok(head)
    }

    fn read_metadata(&mut self, value: &Value) -> Result<(), String> {
        let map = match value {
            Value::Null => return Ok(()),
            Value::Object(map) => map,
            other => {
                let kind = r#"struct { Name string "json:\"name\""; Annotations map[string]string "json:\"annotations\"" }"#;
                return Err(mismatch(other, &format!("struct field SimpleHead.metadata of type {kind}")));
            }
        };
        for (key, value) in sorted(map) {
            match key.to_ascii_lowercase().as_str() {
                "name" => self.name = text(value, ".metadata.name")?,
                "annotations" => match value {
                    Value::Null => {}
                    Value::Object(annotations) => {
                        for (key, value) in sorted(annotations) {
                            self.annotations.insert(key.clone(), text(value, ".metadata.annotations")?);
                        }
                    }
                    other => {
                        let field = "struct field .metadata.annotations of type map[string]string";
                        return Err(mismatch(other, field));
                    }
                },
                _ => {}
            }
        }
        Ok(())
    }
}

/// Reads a document as Helm does, numbers as they are written; the error is Helm's text.
pub(crate) fn to_value(document: &str) -> Result<Value, String> {
    let Some(node) = yaml::node(document.as_bytes())? else { return Ok(Value::Null) };
    node.into_value_by(Schema::Yaml11).map_err(|message| format!("error converting YAML to JSON: {message}"))
}

/// Pairs in the order in which Go decodes them.
fn sorted(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut pairs: Vec<_> = map.iter().collect();
    pairs.sort_unstable_by_key(|(key, _)| key.as_bytes());
    pairs
}

fn text(value: &Value, field: &str) -> Result<String, String> {
    Ok(match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(yes) => yes.to_string(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => sluice_yaml::format_float(float),
            _ => number.to_string(),
        },
        Value::Array(_) | Value::Object(_) => {
            return Err(mismatch(value, &format!("struct field {field} of type string")));
        }
    })
}

fn mismatch(value: &Value, wanted: &str) -> String {
    let got = yaml::go_json_kind(value);
    format!("error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {got} into Go {wanted}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_helm_reads_them() {
        let read = |text: &str| Head::read(text).expect(text);
        let head =
            read("APIVERSION: v1\nkind: 1\nmetadata: {name: 1.50, annotations: {a: 1, b: true, c: null}}");
        assert_eq!((head.api_version.as_str(), head.kind.as_str(), head.name.as_str()), ("v1", "1", "1.5"));
        let annotations: Vec<_> =
            head.annotations.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(annotations, ["a=1", "b=true", "c="]);
        for empty in ["", "null", "{}", "# only a comment\n"] {
            assert_eq!(read(empty), Head::default(), "{empty:?}");
        }
        assert_eq!(read("kind: a\nkind: b").kind, "b");
        assert_eq!(read("Kind: a\nkind: b").kind, "b");
    }

    #[test]
    fn wrong_types_are_told_in_gos_words() {
        let decoding = "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ";
        for (text, want) in [
            ("[1]", "array into Go value of type util.SimpleHead"),
            ("3", "number into Go value of type util.SimpleHead"),
            ("kind: {}", "object into Go struct field SimpleHead.kind of type string"),
            ("metadata: {name: []}", "array into Go struct field .metadata.name of type string"),
            (
                "metadata: {annotations: x}",
                "string into Go struct field .metadata.annotations of type map[string]string",
            ),
            (
                "metadata: {annotations: {a: {}}}",
                "object into Go struct field .metadata.annotations of type string",
            ),
        ] {
            assert_eq!(Head::read(text).expect_err(text), format!("{decoding}{want}"), "{text}");
        }
        assert_eq!(
            Head::read("a: 1\n b: 2\n").expect_err("bad"),
            "error converting YAML to JSON: yaml: line 2: mapping values are not allowed in this context"
        );
    }
}
