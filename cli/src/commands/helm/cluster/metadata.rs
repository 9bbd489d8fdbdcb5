//! The types of the fields in an object's `metadata`: the part of an object that is read before it is sent.

use serde_json::Value;

/// What a field holds, named as Go names it.
#[derive(Clone, Copy)]
enum Type {
    /// A string, or something that is written as one.
    Text(&'static str),
    Bool,
    Integer,
    Texts,
    TextMap,
    /// A list of structures of this name.
    Structs(&'static str, &'static [(&'static str, Type)]),
}

const STRING: Type = Type::Text("string");

const OBJECT: &[(&str, Type)] = &[
    ("annotations", Type::TextMap),
    ("creationTimestamp", STRING),
    ("deletionGracePeriodSeconds", Type::Integer),
    ("deletionTimestamp", STRING),
    ("finalizers", Type::Texts),
    ("generateName", STRING),
    ("generation", Type::Integer),
    ("labels", Type::TextMap),
    ("managedFields", Type::Structs("ManagedFieldsEntry", MANAGED_FIELDS)),
    ("name", STRING),
    ("namespace", STRING),
    ("ownerReferences", Type::Structs("OwnerReference", OWNER)),
    ("resourceVersion", STRING),
    ("selfLink", STRING),
    ("uid", Type::Text("types.UID")),
];

const MANAGED_FIELDS: &[(&str, Type)] = &[
    ("apiVersion", STRING),
    ("fieldsType", STRING),
    ("manager", STRING),
    ("operation", STRING),
    ("subresource", STRING),
    ("time", STRING),
];

const OWNER: &[(&str, Type)] = &[
    ("apiVersion", STRING),
    ("blockOwnerDeletion", Type::Bool),
    ("controller", Type::Bool),
    ("kind", STRING),
    ("name", STRING),
    ("uid", Type::Text("types.UID")),
];

/// Checks the types of the fields that every object has. Fields that no object has are left alone, nulls are absent.
///
/// # Errors
/// The first field of another type, in the order of the names and in the words of Go's JSON reader.
pub(super) fn check(metadata: &Value) -> Result<(), String> {
    fields(metadata, "ObjectMeta", "metadata", OBJECT)
}

fn fields(value: &Value, owner: &str, path: &str, known: &[(&str, Type)]) -> Result<(), String> {
    for (name, kind) in known {
        if let Some(value) = value.get(name).filter(|value| !value.is_null()) {
            field(value, owner, &format!("{path}.{name}"), *kind)?;
        }
    }
    Ok(())
}

fn field(value: &Value, owner: &str, path: &str, kind: Type) -> Result<(), String> {
    let wrong = |value: &Value, wanted: &str| {
        let got = described(value, wanted);
        Err(format!("json: cannot unmarshal {got} into Go struct field {owner}.{path} of type {wanted}"))
    };
    let each_text = |value: &Value| match value {
        Value::String(_) | Value::Null => Ok(()),
        other => wrong(other, "string"),
    };
    match (kind, value) {
        (Type::Text(_), Value::String(_)) | (Type::Bool, Value::Bool(_)) => Ok(()),
        (Type::Integer, Value::Number(number)) if number.is_i64() => Ok(()),
        (Type::Texts, Value::Array(items)) => items.iter().try_for_each(each_text),
        (Type::TextMap, Value::Object(map)) => {
            // Go reads the keys in their order; ours is that of the file.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            entries.into_iter().try_for_each(|(_, value)| each_text(value))
        }
        (Type::Structs(name, known), Value::Array(items)) => {
            items.iter().filter(|item| !item.is_null()).try_for_each(|item| match item {
                Value::Object(_) => fields(item, name, path, known),
                other => wrong(other, &format!("v1.{name}")),
            })
        }
        (Type::Text(name), other) => wrong(other, name),
        (Type::Bool, other) => wrong(other, "bool"),
        (Type::Integer, other) => wrong(other, "int64"),
        (Type::Texts, other) => wrong(other, "[]string"),
        (Type::TextMap, other) => wrong(other, "map[string]string"),
        (Type::Structs(name, _), other) => wrong(other, &format!("[]v1.{name}")),
    }
}

/// What Go calls a value; a number that does not fit its type is shown.
fn described(value: &Value, wanted: &str) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if wanted == "int64" => format!("number {number}"),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    }
}
