//! Keys that are no text: JSON has only those, and Go makes them of numbers and booleans.

use serde_json::Value;

use crate::{Node, Scalar, Style, Tag, resolve};

/// A key as JSON has it (`0x10` is `16`, `yes` is `true`), and what Go prints of one that it cannot make a text of.
pub(crate) fn of(text: String, tag: Tag) -> (String, Option<String>) {
    match tag {
        Tag::Null => (text, Some("%!s(<nil>), key: <nil>".to_owned())),
        Tag::Bool => (resolve::bool_of(&text).map_or(text, |yes| yes.to_string()), None),
        Tag::Int => match resolve::number_of(&text) {
            Some(Ok(number)) => {
                let unsigned = number.as_u64().filter(|_| !number.is_i64());
                (number.to_string(), unsigned.map(|number| format!("uint64, key: {number:#x}")))
            }
            _ => (text, None),
        },
        Tag::Float => match resolve::float_of(&text) {
            Some(float) => (float_key(float), None),
            None => (text, None),
        },
        Tag::Str | Tag::Timestamp => (text, None),
    }
}

/// A float as Go writes it in a key: with the digits that a float of 32 bits has, `%g`.
fn float_key(float: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "the digits of the smaller type are what is wanted")]
    let float = float as f32;
    if float.is_infinite() {
        return if float > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{float:e}");
    resolve::go_exponent(&text).unwrap_or_else(|| float.to_string())
}

/// A node as Go prints values in its own syntax.
pub(crate) fn go_syntax(node: &Node, outermost: bool) -> String {
    match node {
        Node::Seq(items) => {
            let items: Vec<_> = items.iter().map(|item| go_syntax(item, false)).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Node::Map(map) => {
            let mut pairs: Vec<_> =
                map.iter().map(|(key, value)| format!("{key:?}:{}", go_syntax(value, false))).collect();
            pairs.sort();
            format!("map[interface {{}}]interface {{}}{{{}}}", pairs.join(", "))
        }
        Node::Scalar(Scalar { text, tag: Tag::Str | Tag::Timestamp, .. }) => format!("{text:?}"),
        Node::Scalar(Scalar { text, style: Style::Quoted, .. }) => format!("{text:?}"),
        Node::Scalar(scalar) => match scalar.to_value() {
            Ok(Value::Null) if outermost => "<nil>".to_owned(),
            Ok(Value::Null) => "interface {}(nil)".to_owned(),
            Ok(value) => value.to_string(),
            Err(_) => scalar.text.clone(),
        },
    }
}
