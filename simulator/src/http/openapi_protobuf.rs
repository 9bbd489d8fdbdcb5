//! The OpenAPI v2 document in protobuf: the only encoding in which client-go asks for it.
//!
//! The numbers are those of `openapiv2/OpenAPIv2.proto` of google/gnostic; what the documents of this server do not have
//! is left out.

use serde_json::{Map, Value};

/// Encodes an OpenAPI v2 document.
pub(super) fn encode(document: &Value) -> Vec<u8> {
    let mut out = Message::default();
    out.text(1, &document["swagger"]);
    out.message(2, |info| {
        info.text(1, &document["info"]["title"]);
        info.text(2, &document["info"]["version"]);
    });
    out.message(8, |paths| {
        for (path, item) in fields(&document["paths"]) {
            paths.named(2, path, |out| path_item(out, item));
        }
    });
    out.message(9, |definitions| {
        for (name, definition) in fields(&document["definitions"]) {
            definitions.named(1, name, |out| schema(out, definition));
        }
    });
    out.0
}

fn path_item(out: &mut Message, item: &Value) {
    for (number, method) in [(2, "get"), (3, "put"), (4, "post"), (5, "delete"), (8, "patch")] {
        if item[method].is_object() {
            out.message(number, |out| operation(out, &item[method]));
        }
    }
}

fn operation(out: &mut Message, operation: &Value) {
    for parameter in items(&operation["parameters"]) {
        // ParametersItem, Parameter, NonBodyParameter, QueryParameterSubSchema.
        out.message(8, |out| {
            out.message(1, |out| {
                out.message(2, |out| {
                    out.message(3, |out| {
                        out.text(2, &parameter["in"]);
                        out.text(4, &parameter["name"]);
                        out.text(6, &parameter["type"]);
                    });
                });
            });
        });
    }
    out.message(9, |out| {
        for (code, response) in fields(&operation["responses"]) {
            out.named(1, code, |out| out.message(1, |out| out.text(1, &response["description"])));
        }
    });
    extensions(out, 13, operation);
}

/// Fields of a schema that are texts.
const TEXTS: [(u32, &str); 5] =
    [(1, "$ref"), (2, "format"), (3, "title"), (4, "description"), (13, "pattern")];
/// Fields of a schema that are floating-point numbers.
const NUMBERS: [(u32, &str); 3] = [(6, "multipleOf"), (7, "maximum"), (9, "minimum")];
/// Fields of a schema that are integers.
const INTEGERS: [(u32, &str); 6] = [
    (11, "maxLength"),
    (12, "minLength"),
    (14, "maxItems"),
    (15, "minItems"),
    (17, "maxProperties"),
    (18, "minProperties"),
];
/// Fields of a schema that are yes or no.
const FLAGS: [(u32, &str); 3] = [(8, "exclusiveMaximum"), (10, "exclusiveMinimum"), (16, "uniqueItems")];

fn schema(out: &mut Message, value: &Value) {
    TEXTS.iter().for_each(|(number, field)| out.text(*number, &value[field]));
    for (number, field) in NUMBERS {
        if let Some(content) = value[field].as_f64() {
            out.tag(number, 1);
            out.0.extend(content.to_le_bytes());
        }
    }
    for (number, field) in INTEGERS {
        value[field].as_u64().into_iter().for_each(|content| out.integer(number, content));
    }
    for (number, field) in FLAGS {
        if value[field] == true {
            out.integer(number, 1);
        }
    }
    items(&value["required"]).iter().for_each(|name| out.text(19, name));
    for one in items(&value["enum"]) {
        out.message(20, |out| any(out, one));
    }
    match &value["additionalProperties"] {
        Value::Bool(allowed) => out.message(21, |out| out.integer(2, u64::from(*allowed))),
        nested @ Value::Object(_) => out.message(21, |out| out.message(1, |out| schema(out, nested))),
        _ => {}
    }
    if value["type"].is_string() {
        out.message(22, |out| out.text(1, &value["type"]));
    }
    if value["items"].is_object() {
        out.message(23, |out| out.message(1, |out| schema(out, &value["items"])));
    }
    if value["properties"].is_object() {
        out.message(25, |out| {
            for (name, field) in fields(&value["properties"]) {
                out.named(1, name, |out| schema(out, field));
            }
        });
    }
    extensions(out, 31, value);
}

/// What begins with `x-`, as text that is YAML.
fn extensions(out: &mut Message, number: u32, value: &Value) {
    for (name, content) in fields(value).filter(|(name, _)| name.starts_with("x-")) {
        out.named(number, name, |out| any(out, content));
    }
}

fn any(out: &mut Message, value: &Value) {
    out.bytes(2, value.to_string().as_bytes()); // JSON is YAML
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A message as it grows.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                return self.0.push(low);
            }
            self.0.push(low | 0x80);
        }
    }

    fn tag(&mut self, number: u32, wire: u32) {
        self.varint(u64::from(number << 3 | wire));
    }

    fn integer(&mut self, number: u32, value: u64) {
        self.tag(number, 0);
        self.varint(value);
    }

    fn bytes(&mut self, number: u32, content: &[u8]) {
        self.tag(number, 2);
        self.varint(content.len() as u64);
        self.0.extend_from_slice(content);
    }

    /// A text, unless it is missing or empty.
    fn text(&mut self, number: u32, value: &Value) {
        if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
            self.bytes(number, text.as_bytes());
        }
    }

    fn message(&mut self, number: u32, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(number, &inner.0);
    }

    /// An entry of a map: its name and its value.
    fn named(&mut self, number: u32, name: &str, fill: impl FnOnce(&mut Self)) {
        self.message(number, |out| {
            out.bytes(1, name.as_bytes());
            out.message(2, fill);
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_are_written_by_the_numbers_of_gnostic() {
        let longer = "x".repeat(200);
        for (value, want) in [
            (json!({"$ref": "a"}), b"\x0a\x01a".to_vec()),
            (json!({"type": "object"}), b"\xb2\x01\x08\x0a\x06object".to_vec()),
            (json!({"minimum": 1}), b"\x49\x00\x00\x00\x00\x00\x00\xf0\x3f".to_vec()),
            (json!({"maxLength": 300}), b"\x58\xac\x02".to_vec()),
            (json!({"required": ["a", "b"]}), b"\x9a\x01\x01a\x9a\x01\x01b".to_vec()),
            (json!({"additionalProperties": {"format": "f"}}), b"\xaa\x01\x05\x0a\x03\x12\x01f".to_vec()),
            (json!({"items": {"format": "f"}}), b"\xba\x01\x05\x0a\x03\x12\x01f".to_vec()),
            (
                json!({"properties": {"n": {"format": "f"}}}),
                b"\xca\x01\x0a\x0a\x08\x0a\x01n\x12\x03\x12\x01f".to_vec(),
            ),
            (json!({"x-a": [1]}), b"\xfa\x01\x0c\x0a\x03x-a\x12\x05\x12\x03[1]".to_vec()),
            (json!({"title": longer}), [b"\x1a\xc8\x01", longer.as_bytes()].concat()),
        ] {
            let mut out = Message::default();
            schema(&mut out, &value);
            assert_eq!(out.0, want, "{value}");
        }
    }
}
