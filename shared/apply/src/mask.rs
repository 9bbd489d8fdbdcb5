//! Keeps the values of Secrets out of messages: API errors quote the value that they refuse.

use std::{borrow::Cow, collections::BTreeSet, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use regex::Regex;
use serde_json::Value;

const MASK: &str = "***";
/// Shorter values are only masked where they stand in quotes: they are parts of ordinary words.
const SHORT: usize = 4;

/// Replaces in `message` what the object holds as secret. Objects that are no Secrets leave it as it is.
pub fn mask<'a>(object: &Value, message: &'a str) -> Cow<'a, str> {
    if object["kind"] != "Secret" {
        return Cow::Borrowed(message);
    }
    let mut values = BTreeSet::new();
    for field in ["data", "stringData"] {
        collect(object.get(field).unwrap_or(&Value::Null), &mut values);
    }
    let mut values: Vec<String> = values.into_iter().collect();
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    let mut text = message.to_owned();
    for value in values {
        if value.len() >= SHORT {
            text = text.replace(&value, MASK);
        } else {
            text = text.replace(&format!("{value:?}"), &format!("{MASK:?}"));
        }
    }
    // Whatever form the server chose to print a refused value of these fields in.
    #[expect(clippy::unwrap_used, reason = "the pattern is a constant")]
    static REFUSED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r#"((?:data|stringData)(?:[.\[][^ :]*)?: Invalid value: )("(?:[^"\\]|\\.)*"|[^"\n][^\n]*)"#,
        )
        .unwrap()
    });
    Cow::Owned(REFUSED.replace_all(&text, format!("${{1}}{MASK:?}")).into_owned())
}

/// All texts below a value, as they are and decoded.
fn collect(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if !text.is_empty() => {
            if let Ok(decoded) = STANDARD.decode(text.trim())
                && let Ok(decoded) = String::from_utf8(decoded)
                && !decoded.is_empty()
            {
                into.insert(decoded.trim().to_owned());
                into.insert(decoded);
            }
            into.insert(STANDARD.encode(text));
            into.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(map) => map.values().for_each(|item| collect(item, into)),
        Value::Number(number) => drop(into.insert(number.to_string())),
        _ => {}
    }
    into.remove("");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secret_values_vanish_in_every_form() {
        let secret = json!({"kind": "Secret", "data": {"a": "aHVudGVyMg==", "b": "x", "n": 31337}, "stringData": {"c": "s3cr3t-value"}});
        for message in [
            r#"Secret "x" is invalid: data[a]: Invalid value: "hunter2": must be nice"#,
            r#"data.b: Invalid value: "x": bad"#,
            "cannot decode aHVudGVyMg== at byte 3",
            "unexpected s3cr3t-value",
            "unexpected czNjcjN0LXZhbHVl",
            "json: cannot unmarshal number 31337 into Go value",
            r#"data: Invalid value: map[string]string{"a": "other"}: bad"#,
        ] {
            let masked = mask(&secret, message);
            for leak in ["hunter2", "aHVudGVyMg", "s3cr3t", "czNj", r#""x": bad"#, "31337", "other"] {
                assert!(!masked.contains(leak), "{masked}");
            }
            assert!(masked.contains(MASK), "{masked}");
        }
        assert_eq!(mask(&secret, r#"secrets "x" is forbidden"#), r#"secrets "***" is forbidden"#);
        assert_eq!(mask(&json!({"kind": "ConfigMap", "data": {"a": "hunter2"}}), "hunter2"), "hunter2");
    }
}
