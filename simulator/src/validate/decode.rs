//! Decoding: types, unknown fields, defaults, and the shape that a round trip through Go's structs gives.

use base64::Engine;
use serde_json::{Map, Value};

use super::quantity;
use crate::merge::{empty_struct, is_count};
use crate::schema::{Extra, Format, Kind, MAX_DEPTH, Schema, View};

/// Why an object cannot be decoded: status 400 BadRequest.
///
/// The server's message is `KIND in version "VERSION" cannot be handled as a KIND: ` and this.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub(crate) struct DecodeError(String);

/// Brings `object` into the shape in which the server keeps it, and returns the errors of strict decoding, such as
/// `unknown field "spec.foo"`.
///
/// Built-in kinds: types are checked, what Go would leave out is left out, what it would write is written, quantities and
/// times are canonical. Custom kinds: pruned and defaulted; their types are the business of [`super::custom`].
///
/// # Errors
/// [`DecodeError`] in the words of Go's JSON decoder.
pub(crate) fn decode(schema: &Schema, object: &mut Value) -> Result<Vec<String>, DecodeError> {
    let mut walk = Walk { unknown: Vec::new() };
    if schema.is_builtin() {
        walk.value(schema.view(), object, &Place::root(), 0)?;
    } else {
        walk.prune(schema.view(), object, "", 0)?;
        default(schema.view(), object, 0);
    }
    Ok(walk.unknown)
}

/// Where a value is, in the two ways in which messages say so.
struct Place<'a> {
    /// The struct that has the field.
    owner: &'a str,
    /// Fields only, as Go's decoder counts: `spec.containers.image`.
    fields: String,
    /// With indexes, as strict decoding counts: `spec.containers[0].image`.
    path: String,
}

impl Place<'_> {
    fn root() -> Self {
        Place { owner: "", fields: String::new(), path: String::new() }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

struct Walk {
    unknown: Vec<String>,
}

impl Walk {
    /// A value of a built-in kind.
    fn value(
        &mut self,
        view: View<'_>,
        value: &mut Value,
        place: &Place<'_>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        if depth > MAX_DEPTH {
            return Err(DecodeError("exceeded max depth".into()));
        }
        let node = view.node();
        let mismatch = |value: &Value| Err(mismatch(view, value, place));
        match (node.kind, &mut *value) {
            (_, Value::Null) | (Kind::Any, _) => Ok(()),
            (Kind::Object, Value::Object(_)) if node.additional == Extra::Any => Ok(()),
            (Kind::Object, Value::Object(map)) => match view.additional() {
                Some(inner) => {
                    for (name, value) in map {
                        if value.is_null() {
                            *value = zero(inner);
                        }
                        let place = Place {
                            owner: place.owner,
                            fields: place.fields.clone(),
                            path: join(&place.path, name),
                        };
                        self.value(inner, value, &place, depth + 1)?;
                    }
                    Ok(())
                }
                None => self.structure(view, map, place, depth),
            },
            (Kind::Array, Value::Array(items)) => {
                let Some(inner) = view.items() else { return Ok(()) };
                for (at, item) in items.iter_mut().enumerate() {
                    if item.is_null() {
                        *item = zero(inner);
                    }
                    let place = Place {
                        owner: place.owner,
                        fields: place.fields.clone(),
                        path: format!("{}[{at}]", place.path),
                    };
                    self.value(inner, item, &place, depth + 1)?;
                }
                Ok(())
            }
            (Kind::String, Value::String(text)) => match node.format {
                Some(Format::Byte) => base64_check(text),
                Some(Format::DateTime) => {
                    *text = time(text, node.name.as_deref() == Some("MicroTime"))?;
                    Ok(())
                }
                _ => Ok(()),
            },
            (Kind::Integer, Value::Number(number)) => {
                let fits = match (number.as_i64(), node.format) {
                    (Some(number), Some(Format::Int32)) => i32::try_from(number).is_ok(),
                    (number, _) => number.is_some(),
                };
                if fits {
                    return Ok(());
                }
                Err(DecodeError(format!(
                    "json: cannot unmarshal number {number} into Go struct field {}.{} of type {}",
                    place.owner,
                    place.fields,
                    go_type(view)
                )))
            }
            (Kind::Number, Value::Number(_)) | (Kind::Boolean, Value::Bool(_)) => Ok(()),
            (Kind::IntOrString, Value::String(_)) => Ok(()),
            (Kind::IntOrString, Value::Number(number)) if number.is_i64() => Ok(()),
            (Kind::Quantity, Value::Number(_) | Value::String(_)) => {
                let text = match &*value {
                    Value::String(text) => text.trim().to_owned(),
                    other => other.to_string(),
                };
                *value =
                    quantity::canonical(&text).ok_or_else(|| DecodeError(quantity::MESSAGE.into()))?.into();
                Ok(())
            }
            (_, value) => mismatch(value),
        }
    }

    fn structure(
        &mut self,
        view: View<'_>,
        map: &mut Map<String, Value>,
        place: &Place<'_>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let owner = view.node().name.as_deref().unwrap_or(place.owner);
        let names: Vec<String> = map.keys().filter(|name| view.property(name).is_none()).cloned().collect();
        for name in names {
            self.unknown.push(format!("unknown field \"{}\"", join(&place.path, &name)));
            map.remove(&name);
        }
        for (name, property) in view.properties() {
            let required = view.node().required.iter().any(|required| **required == *name);
            if let Some(value) = map.get_mut(name) {
                let place = Place { owner, fields: join(&place.fields, name), path: join(&place.path, name) };
                self.value(property, value, &place, depth + 1)?;
                if value.is_null() || (!required && omitted(owner, name, property, value)) {
                    map.remove(name);
                }
            }
            if !map.contains_key(name)
                && let Some(value) = absent(property, required || is_count(owner, property))
            {
                map.insert(name.into(), value);
            }
        }
        Ok(())
    }

    /// A value of a custom kind: drops what its schema does not declare.
    fn prune(
        &mut self,
        view: View<'_>,
        value: &mut Value,
        path: &str,
        depth: usize,
    ) -> Result<(), DecodeError> {
        if depth > MAX_DEPTH {
            return Err(DecodeError("exceeded max depth".into()));
        }
        let node = view.node();
        match value {
            Value::Object(map) => {
                let mut gone = Vec::new();
                for (name, value) in map.iter_mut() {
                    let at = join(path, name);
                    if let Some(property) = view.property(name) {
                        if property.node().name.as_deref() == Some("ObjectMeta") {
                            let place = Place { owner: "", fields: at.clone(), path: at };
                            self.value(property, value, &place, depth + 1)?;
                        } else {
                            self.prune(property, value, &at, depth + 1)?;
                        }
                    } else if let Some(inner) = view.additional() {
                        self.prune(inner, value, &at, depth + 1)?;
                    } else if !node.preserve_unknown && node.additional == Extra::No {
                        self.unknown.push(format!("unknown field \"{at}\""));
                        gone.push(name.clone());
                    }
                }
                for name in gone {
                    map.remove(&name);
                }
            }
            Value::Array(items) => {
                if let Some(inner) = view.items() {
                    for (at, item) in items.iter_mut().enumerate() {
                        self.prune(inner, item, &format!("{path}[{at}]"), depth + 1)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Fills in the defaults of a custom kind. A null where none may be counts as absent: it gives way to the default, or goes.
fn default(view: View<'_>, value: &mut Value, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    match value {
        Value::Object(map) => {
            map.retain(|name, value| {
                !value.is_null()
                    || view.property(name).or_else(|| view.additional()).is_none_or(|inner| {
                        let node = inner.node();
                        node.name.is_some() || node.nullable || inner.default().is_some()
                    })
            });
            for (name, property) in view.properties() {
                if property.node().name.as_deref() == Some("ObjectMeta") {
                    continue;
                }
                let Some(default) = property.default() else { continue };
                let missing = match map.get(name) {
                    None => true,
                    Some(Value::Null) => !property.node().nullable,
                    Some(_) => false,
                };
                if missing {
                    map.insert(name.into(), default.clone());
                }
            }
            for (name, value) in map {
                let inner = view.property(name).or_else(|| view.additional());
                if let Some(inner) = inner.filter(|inner| inner.node().name.is_none()) {
                    if value.is_null()
                        && !inner.node().nullable
                        && let Some(default) = inner.default()
                    {
                        *value = default.clone();
                    }
                    default_inner(inner, value, depth);
                }
            }
        }
        Value::Array(items) => {
            if let Some(inner) = view.items() {
                items.iter_mut().for_each(|item| default_inner(inner, item, depth));
            }
        }
        _ => {}
    }
}

fn default_inner(view: View<'_>, value: &mut Value, depth: usize) {
    default(view, value, depth + 1);
}

/// What Go writes for a field that was not sent.
fn absent(property: View<'_>, required: bool) -> Option<Value> {
    match property.default() {
        Some(Value::Object(_)) if property.node().kind == Kind::Object => Some(empty_struct(property, 0)),
        Some(Value::Object(_)) => None,
        Some(default) => (required || !is_zero(default)).then(|| default.clone()),
        None => required.then_some(Value::Null),
    }
}

/// What Go puts where a list or map holds null.
fn zero(view: View<'_>) -> Value {
    match view.node().kind {
        Kind::Object if view.additional().is_none() => empty_struct(view, 0),
        Kind::String => "".into(),
        Kind::Integer | Kind::Number => 0.into(),
        Kind::Boolean => false.into(),
        _ => Value::Null,
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// Whether Go leaves a zero value out. OpenAPI does not tell pointers, which are written, from plain fields; so these are
/// the names of the plain ones among numbers and booleans (in statuses nearly all are), and of the pointers among texts.
fn omitted(owner: &str, name: &str, property: View<'_>, value: &Value) -> bool {
    const PLAIN: [&str; 18] = [
        "minReadySeconds",
        "hostNetwork",
        "hostPID",
        "hostIPC",
        "stdin",
        "stdinOnce",
        "tty",
        "readOnly",
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
        "hostPort",
        "nodePort",
        "publishNotReadyAddresses",
        "paused",
        "healthCheckNodePort",
    ];
    const POINTERS: [&str; 7] = [
        "storageClassName",
        "ingressClassName",
        "volumeAttributesClassName",
        "runtimeClassName",
        "appProtocol",
        "loadBalancerClass",
        "service",
    ];
    // `ready` of a container is plain, but written all the same.
    const WRITTEN_IN_STATUSES: [&str; 4] = ["ready", "started", "terminating", "terminatingReplicas"];
    let plain =
        (owner.ends_with("Status") && !WRITTEN_IN_STATUSES.contains(&name) && !is_count(owner, property))
            || owner == "ObjectMeta"
            || (PLAIN.contains(&name) && owner != "ClientIPConfig");
    match property.node().kind {
        Kind::Array => is_zero(value),
        Kind::Object => property.additional().is_some() && is_zero(value),
        Kind::String => is_zero(value) && !POINTERS.contains(&name),
        Kind::Integer | Kind::Number | Kind::Boolean => is_zero(value) && plain,
        Kind::Any | Kind::IntOrString | Kind::Quantity => false,
    }
}

fn mismatch(view: View<'_>, value: &Value, place: &Place<'_>) -> DecodeError {
    let got = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let into = if place.fields.is_empty() {
        format!("Go value of type {}", go_type(view))
    } else {
        let owner = if place.owner.is_empty() { "ObjectMeta" } else { place.owner };
        format!("Go struct field {owner}.{} of type {}", place.fields, go_type(view))
    };
    match view.node().kind {
        Kind::Quantity => DecodeError(quantity::MESSAGE.into()),
        _ => DecodeError(format!("json: cannot unmarshal {got} into {into}")),
    }
}

/// The name of the Go type.
fn go_type(view: View<'_>) -> String {
    let node = view.node();
    let inner = |view: Option<View<'_>>| view.map_or_else(|| "interface {}".to_owned(), go_type);
    match node.kind {
        Kind::Array => format!("[]{}", inner(view.items())),
        Kind::Object if view.additional().is_some() => format!("map[string]{}", inner(view.additional())),
        Kind::Object => format!("v1.{}", node.name.as_deref().unwrap_or("Object")),
        Kind::String if node.format == Some(Format::DateTime) => "v1.Time".into(),
        Kind::String => "string".into(),
        Kind::Integer => node.format.map_or("int", Format::name).into(),
        Kind::Number => "float64".into(),
        Kind::Boolean => "bool".into(),
        Kind::IntOrString => "intstr.IntOrString".into(),
        Kind::Quantity => "resource.Quantity".into(),
        Kind::Any => "interface {}".into(),
    }
}

fn base64_check(text: &str) -> Result<(), DecodeError> {
    use base64::DecodeError as Broken;
    let at = match base64::engine::general_purpose::STANDARD.decode(text) {
        Ok(_) => return Ok(()),
        Err(Broken::InvalidByte(at, _) | Broken::InvalidLastSymbol(at, _)) => at,
        Err(Broken::InvalidLength(at)) => at.min(text.len()),
        Err(Broken::InvalidPadding) => text.len(),
    };
    Err(DecodeError(format!("illegal base64 data at input byte {at}")))
}

fn time(text: &str, micro: bool) -> Result<String, DecodeError> {
    let at: jiff::Timestamp = text.parse().map_err(|_| {
        DecodeError(format!(
            "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\""
        ))
    })?;
    let format = if micro { "%Y-%m-%dT%H:%M:%S.%6fZ" } else { "%Y-%m-%dT%H:%M:%SZ" };
    Ok(at.strftime(format).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(group: &str, kind: &str, mut object: Value) -> Result<(Value, Vec<String>), String> {
        let schema = Schema::builtin(group, "v1", kind).unwrap();
        let unknown = decode(&schema, &mut object).map_err(|error| error.to_string())?;
        Ok((object, unknown))
    }

    #[test]
    fn wrong_types_are_refused_in_gos_words() {
        for (group, kind, object, want) in [
            (
                "",
                "ConfigMap",
                json!({"data": {"a": 1}}),
                "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
            ),
            (
                "apps",
                "Deployment",
                json!({"spec": {"replicas": "2"}}),
                "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
            (
                "",
                "Pod",
                json!({"spec": {"containers": [{"image": 1}]}}),
                "json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string",
            ),
            (
                "",
                "Pod",
                json!({"spec": {"containers": {}}}),
                "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
            ),
            ("", "Secret", json!({"data": {"a": "!!"}}), "illegal base64 data at input byte 0"),
            (
                "",
                "Pod",
                json!({"spec": {"containers": [{"resources": {"limits": {"cpu": "lots"}}}]}}),
                quantity::MESSAGE,
            ),
        ] {
            assert_eq!(run(group, kind, object).unwrap_err(), want);
        }
    }

    #[test]
    fn unknown_fields_are_dropped_and_named() {
        let (object, unknown) =
            run("", "Pod", json!({"x": 1, "spec": {"containers": [{"name": "a", "imagee": "b"}]}})).unwrap();
        assert_eq!(unknown, ["unknown field \"x\"", "unknown field \"spec.containers[0].imagee\""]);
        assert_eq!(object["spec"]["containers"], json!([{"name": "a", "resources": {}}]));
    }

    #[test]
    fn objects_take_the_shape_of_their_go_struct() {
        let (object, _) = run("apps", "Deployment", json!({
            "metadata": {"name": "a", "labels": {}, "creationTimestamp": null},
            "spec": {"replicas": 0, "minReadySeconds": 0, "selector": {}, "template": {"spec": {"containers": [
                {"name": "c", "args": [], "workingDir": "", "resources": {"limits": {"cpu": 1, "memory": "1024Mi"}},
                 "ports": [{"containerPort": 80}], "env": [{"name": "E", "value": ""}]}],
                "volumes": [{"name": "v", "emptyDir": {}}]}}}})).unwrap();
        assert_eq!(
            object,
            json!({
            "metadata": {"name": "a"},
            "spec": {"replicas": 0, "selector": {}, "strategy": {}, "template": {"metadata": {}, "spec": {"containers": [
                {"name": "c", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
                 "ports": [{"containerPort": 80, "protocol": "TCP"}], "env": [{"name": "E"}]}],
                "volumes": [{"name": "v", "emptyDir": {}}]}}},
            "status": {}})
        );
    }

    #[test]
    fn custom_objects_are_pruned_and_defaulted() {
        let schema = Schema::from_crd(&json!({"type": "object", "properties": {"spec": {"type": "object",
            "default": {}, "properties": {
                "a": {"type": "string", "default": "x"},
                "n": {"type": "string", "nullable": true, "default": "y"},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                         "properties": {"in": {"type": "object", "properties": {"b": {"type": "integer", "default": 2}}}}},
                "list": {"type": "array", "items": {"type": "object", "properties": {"d": {"type": "integer", "default": 1}}}},
                "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"e": {"type": "integer", "default": 3}}}}
            }}}})).unwrap();
        for (object, want, unknown) in [
            (json!({}), json!({"spec": {"a": "x", "n": "y"}}), vec![]),
            (
                json!({"metadata": {"name": "n", "bad": 1}, "spec": {"a": null, "n": null, "u": 1,
                    "free": {"q": {"z": 1}, "in": {"gone": 1}}, "list": [{}], "map": {"k": {}}}}),
                json!({"metadata": {"name": "n"}, "spec": {"a": "x", "n": null, "free": {"q": {"z": 1}, "in": {"b": 2}},
                    "list": [{"d": 1}], "map": {"k": {"e": 3}}}}),
                vec![
                    "unknown field \"metadata.bad\"",
                    "unknown field \"spec.free.in.gone\"",
                    "unknown field \"spec.u\"",
                ],
            ),
        ] {
            let mut object = object;
            let mut got = decode(&schema, &mut object).unwrap();
            got.sort();
            assert_eq!((object, got), (want, unknown.into_iter().map(String::from).collect()));
        }
    }
}
