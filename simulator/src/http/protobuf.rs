//! Request bodies in Kubernetes' protobuf encoding, which kubectl's `create` commands and client-go send for built-in
//! kinds whatever the server prefers. Answers are always JSON or YAML: those clients accept them.
//!
//! The field numbers are in a table made by the example `generate-protobuf`. Only what the JSON form would hold comes
//! out: Go writes the zero of a field that is not a pointer, and JSON leaves it out.

use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine;
use serde_json::{Map, Value};

/// How deep messages may lie in each other.
const MAX_DEPTH: usize = 64;
const META: &str = "apimachinery/pkg/apis/meta/v1";

/// Why a body could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProtobufError {
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    Prefix,
    #[error("proto: the message ends unexpectedly")]
    Truncated,
    #[error("proto: wrong wire type {0}")]
    WireType(u64),
    #[error("proto: messages are nested too deeply")]
    Depth,
    #[error("proto: invalid {0}")]
    Invalid(&'static str),
    #[error("no kind \"{kind}\" is registered for version \"{version}\"")]
    Kind { version: String, kind: String },
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Bool,
    Integer,
    Double,
    Bytes,
    Message(&'static str),
}

#[derive(Debug)]
struct Field {
    name: &'static str,
    repeated: bool,
    map: bool,
    inline: bool,
    zero_is_nothing: bool,
    kind: Kind,
}

type Table = HashMap<&'static str, HashMap<u64, Field>>;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let lines = include_str!("../../schemas/protobuf.txt").lines();
    lines
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.filter_map(field).collect()))
        })
        .collect()
});

fn field(word: &'static str) -> Option<(u64, Field)> {
    let mut parts = word.splitn(4, ':');
    let (number, name, flags, kind) =
        (parts.next()?.parse().ok()?, parts.next()?, parts.next()?, parts.next()?);
    let kind = match kind {
        "s" => Kind::Text,
        "b" => Kind::Bool,
        "n" => Kind::Integer,
        "f" => Kind::Double,
        "y" => Kind::Bytes,
        other => Kind::Message(other.strip_prefix('@')?),
    };
    let has = |flag| flags.contains(flag);
    let field =
        Field { name, repeated: has('r'), map: has('m'), inline: has('i'), zero_is_nothing: has('z'), kind };
    Some((number, field))
}

/// Decodes a whole body: the prefix, the envelope, and the object in it.
pub(super) fn decode(body: &[u8]) -> Result<Value, ProtobufError> {
    let envelope = body.strip_prefix(b"k8s\0").ok_or(ProtobufError::Prefix)?;
    let (mut version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for item in (Reader { rest: envelope }) {
        match item? {
            (1, Wire::Bytes(meta)) => {
                version = first_text(meta, 1)?;
                kind = first_text(meta, 2)?;
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let (group, number) = version.split_once('/').unwrap_or(("", &version));
    let package = match group.split('.').next() {
        Some(label) if !label.is_empty() => label,
        _ => "core",
    };
    let name = [format!("api/{package}/{number}.{kind}"), format!("{META}.{kind}")]
        .into_iter()
        .find_map(|name| TABLE.get_key_value(name.as_str()).map(|(name, _)| *name))
        .ok_or_else(|| ProtobufError::Kind { version: version.clone(), kind: kind.clone() })?;
    let mut object = message(name, raw, 0)?;
    object["apiVersion"] = version.into();
    object["kind"] = kind.into();
    Ok(object)
}

fn message(name: &'static str, bytes: &[u8], depth: usize) -> Result<Value, ProtobufError> {
    if depth > MAX_DEPTH {
        return Err(ProtobufError::Depth);
    }
    if let Some(special) = special(name, bytes)? {
        return Ok(special);
    }
    let none = HashMap::new();
    let fields = TABLE.get(name).unwrap_or(&none);
    let mut out = Map::new();
    for item in (Reader { rest: bytes }) {
        let (number, wire) = item?;
        let Some(field) = fields.get(&number) else { continue };
        if field.map {
            let (key, value) = entry(field, wire, depth)?;
            if let Value::Object(map) = out.entry(field.name).or_insert_with(|| Map::new().into()) {
                map.insert(key, value);
            }
            continue;
        }
        if field.repeated {
            let values = match (field.kind, wire) {
                (Kind::Integer, Wire::Bytes(packed)) => packed_integers(packed)?,
                (_, wire) => vec![single(field.kind, wire, depth)?],
            };
            if let Value::Array(list) = out.entry(field.name).or_insert_with(|| Value::Array(Vec::new())) {
                list.extend(values);
            }
            continue;
        }
        let value = single(field.kind, wire, depth)?;
        if field.inline {
            if let Value::Object(inner) = value {
                out.extend(inner);
            }
        } else if !value.is_null() && (!field.zero_is_nothing || !is_zero(&value)) {
            out.insert(field.name.to_owned(), value);
        }
    }
    Ok(Value::Object(out))
}

fn single(kind: Kind, wire: Wire<'_>, depth: usize) -> Result<Value, ProtobufError> {
    Ok(match (kind, wire) {
        (Kind::Text, Wire::Bytes(bytes)) => text(bytes)?.into(),
        (Kind::Bytes, Wire::Bytes(bytes)) => base64::engine::general_purpose::STANDARD.encode(bytes).into(),
        (Kind::Message(name), Wire::Bytes(bytes)) => message(name, bytes, depth + 1)?,
        (Kind::Bool, Wire::Varint(number)) => (number != 0).into(),
        (Kind::Integer, Wire::Varint(number)) => number.cast_signed().into(),
        (Kind::Double, Wire::Fixed(bits)) => f64::from_bits(bits).into(),
        _ => return Err(ProtobufError::Invalid("type of a field")),
    })
}

fn entry(field: &Field, wire: Wire<'_>, depth: usize) -> Result<(String, Value), ProtobufError> {
    let Wire::Bytes(bytes) = wire else { return Err(ProtobufError::Invalid("map")) };
    let mut key = String::new();
    let mut value = match field.kind {
        Kind::Text | Kind::Bytes => Value::String(String::new()),
        Kind::Message(name) => message(name, &[], depth + 1)?,
        Kind::Bool => false.into(),
        Kind::Integer | Kind::Double => 0.into(),
    };
    for item in (Reader { rest: bytes }) {
        match item? {
            (1, Wire::Bytes(bytes)) => key = text(bytes)?,
            (2, wire) => value = single(field.kind, wire, depth)?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// Messages whose JSON form is not an object with their fields.
fn special(name: &str, bytes: &[u8]) -> Result<Option<Value>, ProtobufError> {
    let short = name.rsplit('/').next().unwrap_or(name);
    Ok(Some(match short {
        "v1.Time" | "v1.MicroTime" if name.starts_with(META) => {
            if bytes.is_empty() {
                return Ok(Some(Value::Null));
            }
            let seconds = first_number(bytes, 1)?;
            let nanoseconds =
                i32::try_from(first_number(bytes, 2)?).map_err(|_| ProtobufError::Invalid("time"))?;
            let time =
                jiff::Timestamp::new(seconds, nanoseconds).map_err(|_| ProtobufError::Invalid("time"))?;
            let format = if short == "v1.Time" { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S.%6fZ" };
            time.strftime(format).to_string().into()
        }
        "v1.Duration" if name.starts_with(META) => {
            let nanoseconds = first_number(bytes, 1)?;
            format!("{}s", nanoseconds as f64 / 1e9).into()
        }
        "v1.FieldsV1" if name.starts_with(META) => json(bytes)?,
        "runtime.RawExtension" => json(bytes)?,
        "resource.Quantity" => first_text(bytes, 1)?.into(),
        "intstr.IntOrString" if first_number(bytes, 1)? == 0 => first_number(bytes, 2)?.into(),
        "intstr.IntOrString" => first_text(bytes, 3)?.into(),
        "s" if name == "list/s" => {
            let texts = (Reader { rest: bytes }).filter_map(|item| match item {
                Ok((1, Wire::Bytes(bytes))) => Some(text(bytes)),
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            });
            texts.collect::<Result<Vec<_>, _>>()?.into()
        }
        _ => return Ok(None),
    }))
}

fn json(bytes: &[u8]) -> Result<Value, ProtobufError> {
    let mut raw = &[][..];
    for item in (Reader { rest: bytes }) {
        if let (1, Wire::Bytes(bytes)) = item? {
            raw = bytes;
        }
    }
    if raw.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(raw).map_err(|_| ProtobufError::Invalid("raw JSON"))
}

fn text(bytes: &[u8]) -> Result<String, ProtobufError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| ProtobufError::Invalid("UTF-8"))
}

fn first_text(bytes: &[u8], wanted: u64) -> Result<String, ProtobufError> {
    for item in (Reader { rest: bytes }) {
        match item? {
            (number, Wire::Bytes(bytes)) if number == wanted => return text(bytes),
            _ => {}
        }
    }
    Ok(String::new())
}

fn first_number(bytes: &[u8], wanted: u64) -> Result<i64, ProtobufError> {
    for item in (Reader { rest: bytes }) {
        match item? {
            (number, Wire::Varint(value)) if number == wanted => return Ok(value.cast_signed()),
            _ => {}
        }
    }
    Ok(0)
}

fn packed_integers(bytes: &[u8]) -> Result<Vec<Value>, ProtobufError> {
    let mut reader = Reader { rest: bytes };
    let mut values = Vec::new();
    while !reader.rest.is_empty() {
        values.push(reader.varint()?.cast_signed().into());
    }
    Ok(values)
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// A value on the wire.
#[derive(Debug, Clone, Copy)]
enum Wire<'a> {
    Varint(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

/// Reads fields one after the other.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(ProtobufError::Truncated)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ProtobufError::Invalid("number"))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], ProtobufError> {
        let length = usize::try_from(length).map_err(|_| ProtobufError::Truncated)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(ProtobufError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn field(&mut self) -> Result<(u64, Wire<'a>), ProtobufError> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed(self.little_endian(8)?),
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed(self.little_endian(4)?),
            other => return Err(ProtobufError::WireType(other)),
        };
        Ok((tag >> 3, wire))
    }

    fn little_endian(&mut self, bytes: u64) -> Result<u64, ProtobufError> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<(u64, Wire<'a>), ProtobufError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A field of wire type 2.
    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        let tag = u16::from(number) << 3 | 2;
        let mut out = if tag < 0x80 { vec![tag as u8] } else { vec![tag as u8 | 0x80, (tag >> 7) as u8] };
        out.push(u8::try_from(content.len()).unwrap());
        out.extend_from_slice(content);
        out
    }

    fn varint(number: u8, value: u8) -> Vec<u8> {
        vec![number << 3, value]
    }

    fn body(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [bytes(1, version.as_bytes()), bytes(2, kind.as_bytes())].concat();
        [b"k8s\0".to_vec(), bytes(1, &meta), bytes(2, raw)].concat()
    }

    #[test]
    fn objects_come_out_as_their_json() {
        // As Go writes it: zeroes of fields that are no pointers are there.
        let metadata = [
            bytes(1, b"a"),
            bytes(2, b""),
            bytes(8, b""),
            bytes(11, &[bytes(1, b"k"), bytes(2, b"v")].concat()),
        ]
        .concat();
        let entry = [bytes(1, b"key"), bytes(2, b"value")].concat();
        let map = [bytes(1, &metadata), bytes(2, &entry)].concat();
        assert_eq!(
            decode(&body("v1", "ConfigMap", &map)).unwrap(),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"k": "v"}}, "data": {"key": "value"}})
        );
        let port = [
            bytes(1, b""),
            bytes(2, b"TCP"),
            varint(3, 80),
            bytes(4, &[varint(1, 0), varint(2, 81), bytes(3, b"")].concat()),
            varint(5, 0),
        ]
        .concat();
        let spec = [bytes(1, &port), bytes(3, b""), bytes(4, b"ClusterIP")].concat();
        assert_eq!(
            decode(&body("v1", "Service", &[bytes(1, b""), bytes(2, &spec), bytes(3, b"")].concat()))
                .unwrap(),
            json!({"apiVersion": "v1", "kind": "Service",
                   "spec": {"ports": [{"protocol": "TCP", "port": 80, "targetPort": 81}], "type": "ClusterIP"}})
        );
    }

    #[test]
    fn zeroes_of_pointers_are_kept() {
        let spec = varint(1, 0); // replicas
        assert_eq!(
            decode(&body("apps/v1", "Deployment", &bytes(2, &spec))).unwrap(),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 0}})
        );
    }

    #[test]
    fn inlined_messages_lie_in_their_parent() {
        let map = bytes(1, &bytes(1, b"settings"));
        let volume = [bytes(1, b"v"), bytes(2, &bytes(19, &map))].concat();
        let template = bytes(2, &bytes(1, &volume)); // spec.volumes
        let object = decode(&body("v1", "Pod", &template)).unwrap();
        assert_eq!(object["spec"]["volumes"], json!([{"name": "v", "configMap": {"name": "settings"}}]));
    }

    #[test]
    fn broken_bodies_are_refused() {
        for (raw, why) in [
            (b"{}".to_vec(), "no prefix"),
            (b"k8s\0\x0a\xff".to_vec(), "truncated"),
            (b"k8s\0\x0b".to_vec(), "group"),
            (body("v1", "Nothing", b""), "unknown kind"),
            (body("v1", "ConfigMap", b"\x0a\x05a"), "truncated object"),
            (body("v1", "ConfigMap", &[0xff; 11]), "endless number"),
            (body("v1", "ConfigMap", b"\x08\x01"), "wrong type"),
        ] {
            assert!(decode(&raw).is_err(), "{why}");
        }
    }
}
