//! Nodes to fields as Go's JSON decoder does it: names in any case, numbers as text, the first misfit reported.

use std::collections::BTreeMap;

use sluice_yaml::{Mapping, Node, Tag};

/// Fills fields from nodes and remembers the first that does not fit.
///
/// Like Go's decoder it goes on after a misfit, so that what it says does not depend on what stops first.
#[derive(Default)]
pub(super) struct Decoder {
    error: Option<String>,
    /// Names of the structs and fields on the way to the node in hand.
    fields: Vec<&'static str>,
    structs: Vec<&'static str>,
}

impl Decoder {
    /// The first misfit.
    pub(super) fn finish(self) -> Result<(), String> {
        self.error.map_or(Ok(()), Err)
    }

    /// Reads the fields of a struct: `field` is called with the decoder, the name as `names` spells it, and the node.
    pub(super) fn fields(
        &mut self,
        go_type: &'static str,
        names: &[&'static str],
        node: &Node,
        mut field: impl FnMut(&mut Self, &'static str, &Node),
    ) {
        if node.is_null() {
            return;
        }
        let Some(map) = node.as_map() else { return self.misfit(node, go_type) };
        self.structs.push(go_type);
        for (key, value) in in_order(map) {
            let exact = names.iter().find(|name| **name == key);
            let Some(name) = exact.or_else(|| names.iter().find(|name| name.eq_ignore_ascii_case(key)))
            else {
                continue;
            };
            self.fields.push(name);
            field(self, name, value);
            self.fields.pop();
        }
        self.structs.pop();
    }

    /// A text; numbers and booleans become text, `null` keeps what is there.
    pub(super) fn text(&mut self, node: &Node, into: &mut String) {
        match node {
            Node::Scalar(scalar) => match scalar.tag {
                Tag::Null => {}
                Tag::Str | Tag::Timestamp => into.clone_from(&scalar.text),
                _ => match scalar.to_value() {
                    Ok(serde_json::Value::Number(number)) if scalar.tag == Tag::Float => {
                        *into = number.as_f64().map_or_else(|| number.to_string(), crate::text::go_float);
                    }
                    Ok(serde_json::Value::String(text)) => *into = text,
                    Ok(value) => *into = value.to_string(),
                    Err(_) => into.clone_from(&scalar.text),
                },
            },
            _ => self.misfit(node, "string"),
        }
    }

    /// A boolean; nothing else is taken for one.
    pub(super) fn boolean(&mut self, node: &Node, into: &mut bool) {
        match node {
            Node::Scalar(scalar) if scalar.tag == Tag::Null => {}
            Node::Scalar(scalar) if scalar.tag == Tag::Bool => {
                *into = scalar.to_value().is_ok_and(|value| value == serde_json::Value::Bool(true));
            }
            _ => self.misfit(node, "bool"),
        }
    }

    /// A list, item by item.
    pub(super) fn list<T>(
        &mut self,
        go_type: &'static str,
        node: &Node,
        into: &mut Vec<T>,
        mut item: impl FnMut(&mut Self, &Node) -> T,
    ) {
        if node.is_null() {
            into.clear();
        } else if let Some(items) = node.as_seq() {
            *into = items.iter().map(|node| item(self, node)).collect();
        } else {
            self.misfit(node, go_type);
        }
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, node: &Node, into: &mut Vec<String>) {
        self.list("[]string", node, into, |decoder, node| {
            let mut text = String::new();
            decoder.text(node, &mut text);
            text
        });
    }

    /// A map of texts.
    pub(super) fn text_map(&mut self, node: &Node, into: &mut BTreeMap<String, String>) {
        if node.is_null() {
            into.clear();
        } else if let Some(map) = node.as_map() {
            for (key, value) in in_order(map) {
                let mut text = String::new();
                self.text(value, &mut text);
                into.insert(key.to_owned(), text);
            }
        } else {
            self.misfit(node, "map[string]string");
        }
    }

    fn misfit(&mut self, node: &Node, go_type: &str) {
        if self.error.is_some() {
            return;
        }
        let kind = match node {
            Node::Map(_) => "object",
            Node::Seq(_) => "array",
            Node::Scalar(scalar) => match scalar.tag {
                Tag::Bool => "bool",
                Tag::Int | Tag::Float => "number",
                _ => "string",
            },
        };
        let target = match self.structs.last() {
            Some(name) => {
                let name = name.rsplit('.').next().unwrap_or(name);
                format!("struct field {name}.{}", self.fields.join("."))
            }
            None => "value".to_owned(),
        };
        self.error = Some(format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into Go {target} of type \
             {go_type}"
        ));
    }
}

/// Pairs in the order in which Go's encoder writes them: by bytes of the key.
fn in_order(map: &Mapping) -> Vec<(&str, &Node)> {
    let mut pairs: Vec<_> = map.iter().collect();
    pairs.sort_by_key(|(key, _)| key.as_bytes());
    pairs
}
