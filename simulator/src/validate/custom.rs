//! Validation of custom objects against the schema of their definition, with CEL rules.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use kube_cel::{ErrorKind, Validator};
use serde_json::Value;

use super::FieldError;
use crate::schema::{Bounds, Combinator, Format, Kind, ListType, MAX_DEPTH, Rules, Schema, View};

/// Validates a custom object; `old` is the object before an update, for transition rules.
pub(crate) fn custom(schema: &Schema, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut out = Vec::new();
    check(schema.view(), object, "", 0, &mut out);
    // As on the real server, rules run only on objects whose types are right: they could not be evaluated otherwise.
    if out.is_empty() {
        let walk = Cel { validator: OnceCell::new() };
        walk.run(schema.view(), object, old, "", 0, &mut out);
    }
    out
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check(view: View<'_>, value: &Value, path: &str, depth: usize, out: &mut Vec<FieldError>) {
    let node = view.node();
    if depth > MAX_DEPTH {
        out.push(FieldError::invalid_omitted(path, format!("nested more than {MAX_DEPTH} levels deep")));
        return;
    }
    if value.is_null() && node.nullable {
        return;
    }
    let fits = match node.kind {
        Kind::Any | Kind::Quantity => true,
        Kind::Object => value.is_object(),
        Kind::Array => value.is_array(),
        Kind::String => value.is_string(),
        Kind::Integer => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        Kind::Number => value.is_number(),
        Kind::Boolean => value.is_boolean(),
        Kind::IntOrString => value.is_string() || value.is_i64() || value.is_u64(),
    };
    if !fits {
        let wanted = match node.kind {
            Kind::IntOrString => "integer,string",
            kind => kind.name(),
        };
        let got = Value::from(type_name(value));
        out.push(FieldError::type_invalid(
            path,
            &got,
            format!("{path} in body must be of type {wanted}: {got}"),
        ));
        return;
    }
    if let (Value::String(text), Some(format)) = (value, node.format)
        && !format_fits(format, text)
    {
        let detail = format!("{path} in body must be of type {}: {text:?}", format.name());
        out.push(FieldError::invalid(path, value, detail));
    }
    if let Some(rules) = &node.rules {
        check_rules(view, rules, value, path, depth, out);
    }
    match value {
        Value::Object(map) => {
            for name in &node.required {
                if !map.contains_key(&**name) {
                    out.push(FieldError::required(join(path, name), ""));
                }
            }
            for (name, value) in map {
                // Metadata has a validation of its own.
                if let Some(inner) =
                    view.property(name).or_else(|| view.additional()).filter(|v| v.node().name.is_none())
                {
                    check(inner, value, &join(path, name), depth + 1, out);
                }
            }
        }
        Value::Array(items) => {
            duplicates(&node.list_type, items, path, out);
            if let Some(inner) = view.items() {
                for (at, item) in items.iter().enumerate() {
                    check(inner, item, &format!("{path}[{at}]"), depth + 1, out);
                }
            }
        }
        _ => {}
    }
}

fn duplicates(list_type: &ListType, items: &[Value], path: &str, out: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for (at, item) in items.iter().enumerate() {
        let id = match list_type {
            ListType::Atomic => return,
            ListType::Set => item.clone(),
            ListType::Map(keys) => {
                keys.iter().filter_map(|key| Some((key.to_string(), item.get(&**key)?.clone()))).collect()
            }
        };
        if !seen.insert(id.to_string()) {
            out.push(FieldError::duplicate(format!("{path}[{at}]"), &id));
        }
    }
}

fn check_rules(
    view: View<'_>,
    rules: &Rules,
    value: &Value,
    path: &str,
    depth: usize,
    out: &mut Vec<FieldError>,
) {
    if !rules.allowed.is_empty() && !rules.allowed.contains(value) {
        let texts: Vec<String> = rules
            .allowed
            .iter()
            .map(|one| one.as_str().map_or_else(|| one.to_string(), Into::into))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        out.push(FieldError::not_supported(path, value, &texts));
    }
    check_bounds(&rules.bounds, value, path, out);
    if let (Value::String(text), Some(pattern)) = (value, &rules.pattern)
        && !pattern.is_match(text)
    {
        out.push(FieldError::invalid(
            path,
            value,
            format!("{path} in body should match '{}'", pattern.as_str()),
        ));
    }
    if let (Value::Array(items), true) = (value, rules.unique_items) {
        let unique: BTreeSet<String> = items.iter().map(Value::to_string).collect();
        if unique.len() != items.len() {
            out.push(FieldError::invalid(
                path,
                value,
                format!("{path} in body shouldn't contain duplicates"),
            ));
        }
    }
    for combinator in &rules.combinators {
        let count = |branches: &[u32]| {
            let fits = |id: &&u32| {
                let mut inner = Vec::new();
                check(view.part(**id), value, path, depth + 1, &mut inner);
                inner.is_empty()
            };
            branches.iter().filter(fits).count()
        };
        let name = if path.is_empty() { "<nil>" } else { path };
        let problem = match combinator {
            Combinator::AllOf(branches) => {
                for id in branches {
                    check(view.part(*id), value, path, depth + 1, out);
                }
                continue;
            }
            Combinator::AnyOf(branches) if count(branches) == 0 => {
                format!("{name:?} must validate at least one schema (anyOf)")
            }
            Combinator::OneOf(branches) => match count(branches) {
                1 => continue,
                0 => format!("{name:?} must validate one and only one schema (oneOf). Found none valid"),
                many => format!(
                    "{name:?} must validate one and only one schema (oneOf). Found {many} valid alternatives"
                ),
            },
            Combinator::Not(id) if count(&[*id]) == 1 => {
                format!("{name:?} must not validate the schema (not)")
            }
            _ => continue,
        };
        out.push(FieldError::invalid_text(path, "", problem));
    }
}

fn check_bounds(bounds: &Bounds, value: &Value, path: &str, out: &mut Vec<FieldError>) {
    let mut invalid = |value: &Value, detail: String| {
        out.push(FieldError::invalid(path, value, format!("{path} in body {detail}")));
    };
    match value {
        Value::Number(number) => {
            let Some(number) = number.as_f64() else { return };
            if let Some(min) = bounds.minimum {
                if bounds.exclusive_minimum && number <= min {
                    invalid(value, format!("should be greater than {min}"));
                } else if number < min {
                    invalid(value, format!("should be greater than or equal to {min}"));
                }
            }
            if let Some(max) = bounds.maximum {
                if bounds.exclusive_maximum && number >= max {
                    invalid(value, format!("should be less than {max}"));
                } else if number > max {
                    invalid(value, format!("should be less than or equal to {max}"));
                }
            }
            if let Some(of) = bounds.multiple_of
                && (number / of).fract() != 0.0
            {
                invalid(value, format!("should be a multiple of {of}"));
            }
        }
        Value::String(text) => {
            let length = text.chars().count() as u64;
            if let Some(min) = bounds.min_length.filter(|min| length < *min) {
                invalid(value, format!("should be at least {min} chars long"));
            }
            if let Some(max) = bounds.max_length.filter(|max| length > *max) {
                out.push(FieldError::too_long(path, max));
            }
        }
        Value::Array(items) => {
            let count = items.len();
            if let Some(min) = bounds.min_items.filter(|min| (count as u64) < *min) {
                invalid(&count.into(), format!("should have at least {min} items"));
            }
            if let Some(max) = bounds.max_items.filter(|max| count as u64 > *max) {
                out.push(FieldError::too_many(path, count, max));
            }
        }
        Value::Object(map) => {
            let count = map.len();
            if let Some(min) = bounds.min_properties.filter(|min| (count as u64) < *min) {
                invalid(&count.into(), format!("should have at least {min} properties"));
            }
            if let Some(max) = bounds.max_properties.filter(|max| count as u64 > *max) {
                out.push(FieldError::too_many(path, count, max));
            }
        }
        _ => {}
    }
}

fn format_fits(format: Format, text: &str) -> bool {
    use base64::Engine;
    match format {
        Format::Int32 | Format::Int64 => true,
        Format::Byte => base64::engine::general_purpose::STANDARD.decode(text).is_ok(),
        Format::DateTime => text.parse::<jiff::Timestamp>().is_ok(),
        Format::Date => text.parse::<jiff::civil::Date>().is_ok(),
        Format::Duration => go_duration(text),
        Format::Uri => {
            text.split_once(':').is_some_and(|(scheme, rest)| {
                scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                    && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c))
                    && !rest.is_empty()
                    && !text.contains(char::is_whitespace)
            }) || text.starts_with('/')
        }
        Format::Email => {
            text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
        }
        Format::Ipv4 => text.parse::<std::net::Ipv4Addr>().is_ok(),
        Format::Ipv6 => text.parse::<std::net::Ipv6Addr>().is_ok(),
        Format::Cidr => text.split_once('/').is_some_and(|(address, length)| {
            match (address.parse::<std::net::IpAddr>(), length.parse::<u8>()) {
                (Ok(address), Ok(length)) => length <= if address.is_ipv4() { 32 } else { 128 },
                _ => false,
            }
        }),
        Format::Mac => {
            let parts: Vec<&str> = text.split([':', '-']).collect();
            matches!(parts.len(), 6 | 8 | 20)
                && parts.iter().all(|part| part.len() == 2 && part.bytes().all(|c| c.is_ascii_hexdigit()))
        }
        Format::Uuid => {
            let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
            digits == 32 && text.bytes().all(|c| c.is_ascii_hexdigit() || c == b'-')
        }
        Format::Hostname => super::is_dns_subdomain(&text.to_ascii_lowercase()),
    }
}

/// Whether Go's `time.ParseDuration` takes the text.
fn go_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number = &rest[..end];
        if !number.bytes().any(|c| c.is_ascii_digit()) || number.matches('.').count() > 1 {
            return false;
        }
        rest = &rest[end..];
        let Some(unit) =
            ["ns", "us", "µs", "μs", "ms", "s", "m", "h"].iter().find(|unit| rest.starts_with(**unit))
        else {
            return false;
        };
        rest = &rest[unit.len()..];
    }
    true
}

struct Cel {
    /// Made when the first rule is met: most objects have none.
    validator: OnceCell<Validator>,
}

impl Cel {
    fn run(
        &self,
        view: View<'_>,
        value: &Value,
        old: Option<&Value>,
        path: &str,
        depth: usize,
        out: &mut Vec<FieldError>,
    ) {
        let node = view.node();
        if depth > MAX_DEPTH || (value.is_null() && node.nullable) {
            return;
        }
        if let Some(compiled) = node.rules.as_ref().and_then(|rules| rules.cel.as_ref()) {
            let validator = self.validator.get_or_init(Validator::new);
            let failures = validator.validate_compiled(compiled, value, old).err();
            for failure in failures.into_iter().flatten() {
                let field = match (path, failure.field_path.as_str()) {
                    (path, "") => path.to_owned(),
                    (path, below) if below.starts_with('[') => format!("{path}{below}"),
                    (path, below) => join(path, below.trim_start_matches('.')),
                };
                let detail = match failure.kind {
                    ErrorKind::ValidationFailure => failure.message.clone(),
                    _ => format!("rule compile error or evaluation error: {}", failure.message),
                };
                out.push(FieldError::with_cel_reason(field, failure.reason.as_deref(), value, &detail));
            }
        }
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    if let Some(inner) =
                        view.property(name).or_else(|| view.additional()).filter(|v| v.node().name.is_none())
                    {
                        self.run(
                            inner,
                            value,
                            old.and_then(|old| old.get(name)),
                            &join(path, name),
                            depth + 1,
                            out,
                        );
                    }
                }
            }
            Value::Array(items) => {
                let Some(inner) = view.items() else { return };
                for (at, item) in items.iter().enumerate() {
                    let before = old.and_then(|old| counterpart(&node.list_type, old, item));
                    self.run(inner, item, before, &format!("{path}[{at}]"), depth + 1, out);
                }
            }
            _ => {}
        }
    }
}

/// The item before the update: found by keys, or not at all, for the items of other lists have no identity.
fn counterpart<'a>(list_type: &ListType, old: &'a Value, item: &Value) -> Option<&'a Value> {
    let ListType::Map(keys) = list_type else { return None };
    old.as_array()?.iter().find(|before| keys.iter().all(|key| before.get(&**key) == item.get(&**key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Schema {
        Schema::from_crd(&json!({"type": "object", "required": ["spec"], "properties": {"spec": {
            "type": "object", "required": ["must"],
            "x-kubernetes-validations": [
                {"rule": "!has(self.min) || !has(self.max) || self.min <= self.max", "message": "min must not exceed max"},
                {"rule": "!has(self.min) || self.min < 90", "messageExpression": "'min is ' + string(self.min)"}],
            "properties": {
                "must": {"type": "string"}, "min": {"type": "integer"}, "max": {"type": "integer", "maximum": 100},
                "interval": {"type": "string", "pattern": "^[0-9]+s$"},
                "mode": {"type": "string", "enum": ["a", "b"], "x-kubernetes-validations": [
                    {"rule": "self == oldSelf", "message": "mode is immutable"}]},
                "short": {"type": "string", "minLength": 1, "maxLength": 3},
                "some": {"type": "array", "maxItems": 2, "items": {"type": "object", "properties": {"k": {"type": "string"},
                         "v": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}}},
                         "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
                "either": {"x-kubernetes-int-or-string": true},
                "one": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                        "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}}}}})).unwrap()
    }

    #[test]
    fn objects_are_checked_in_the_api_servers_words() {
        let schema = schema();
        for (spec, want) in [
            (json!({"must": "x"}), vec![]),
            (json!({}), vec!["spec.must: Required value"]),
            (
                json!({"must": 1}),
                vec![
                    "spec.must: Invalid value: \"integer\": spec.must in body must be of type string: \"integer\"",
                ],
            ),
            (
                json!({"must": null}),
                vec![
                    "spec.must: Invalid value: \"null\": spec.must in body must be of type string: \"null\"",
                ],
            ),
            (
                json!({"must": "x", "interval": "x"}),
                vec!["spec.interval: Invalid value: \"x\": spec.interval in body should match '^[0-9]+s$'"],
            ),
            (
                json!({"must": "x", "mode": "z"}),
                vec!["spec.mode: Unsupported value: \"z\": supported values: \"a\", \"b\""],
            ),
            (
                json!({"must": "x", "short": "1234"}),
                vec!["spec.short: Too long: may not be more than 3 bytes"],
            ),
            (
                json!({"must": "x", "short": ""}),
                vec!["spec.short: Invalid value: \"\": spec.short in body should be at least 1 chars long"],
            ),
            (
                json!({"must": "x", "max": 101}),
                vec!["spec.max: Invalid value: 101: spec.max in body should be less than or equal to 100"],
            ),
            (
                json!({"must": "x", "some": [{"k": "a"}, {"k": "a"}]}),
                vec!["spec.some[1]: Duplicate value: {\"k\":\"a\"}"],
            ),
            (
                json!({"must": "x", "some": [{}, {"k": "b"}, {"k": "c"}]}),
                vec!["spec.some: Too many: 3: must have at most 2 items"],
            ),
            (
                json!({"must": "x", "either": 1.5}),
                vec![
                    "spec.either: Invalid value: \"number\": spec.either in body must be of type integer,string: \"number\"",
                ],
            ),
            (
                json!({"must": "x", "one": {}}),
                vec![
                    "spec.one: Invalid value: \"\": \"spec.one\" must validate one and only one schema (oneOf). Found none valid",
                ],
            ),
            (json!({"must": "x", "min": 3, "max": 2}), vec!["spec: Invalid value: min must not exceed max"]),
            (json!({"must": "x", "min": 95}), vec!["spec: Invalid value: min is 95"]),
        ] {
            let got: Vec<String> =
                custom(&schema, &json!({"spec": spec}), None).iter().map(ToString::to_string).collect();
            assert_eq!(got, want, "{spec}");
        }
        assert_eq!(custom(&schema, &json!({}), None)[0].to_string(), "spec: Required value");
    }

    #[test]
    fn transition_rules_see_the_old_value() {
        let schema = schema();
        let object = |mode: &str, list: Value| json!({"spec": {"must": "x", "mode": mode, "some": list}});
        let old = object("a", json!([{"k": "1", "v": "x"}, {"k": "2", "v": "y"}]));
        let same = object("a", json!([{"k": "2", "v": "y"}, {"k": "3", "v": "new"}]));
        assert_eq!(custom(&schema, &same, Some(&old)), []);
        let new = object("b", json!([{"k": "2", "v": "z"}]));
        let got: Vec<String> = custom(&schema, &new, Some(&old)).iter().map(ToString::to_string).collect();
        assert_eq!(
            got,
            [
                "spec.mode: Invalid value: \"b\": mode is immutable",
                "spec.some[0].v: Invalid value: \"z\": failed rule: self == oldSelf"
            ]
        );
    }
}
