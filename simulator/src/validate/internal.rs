//! Structs as the API server's messages print them.
//!
//! A refusal that repeats a struct shows Go's JSON of the type that the server works with: every field in the order of
//! the type, under Go's names, `null` where nothing is. `schemas/internal.txt` has these types (see
//! `examples/generate-internal.rs`). What comes from the API machinery prints under the names of the API, without what
//! is empty.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::LazyLock;

use serde_json::Value;

/// No type nests deeper; a value that does is cut.
const MAX_DEPTH: usize = 24;

struct Field {
    go: &'static str,
    json: &'static str,
    kind: &'static str,
}

static TYPES: LazyLock<HashMap<&'static str, Vec<Field>>> = LazyLock::new(|| {
    let lines = include_str!("../../schemas/internal.txt").lines();
    lines.filter_map(|line| line.split_once(' ')).map(|(name, fields)| (name, parse(fields))).collect()
});

fn parse(fields: &'static str) -> Vec<Field> {
    let field = |text: &'static str| {
        let mut parts = text.splitn(3, ':');
        Some(Field { go: parts.next()?, json: parts.next()?, kind: parts.next()? })
    };
    fields.split(' ').filter_map(field).collect()
}

/// Types of the API machinery: their fields in order. `*` marks maps of the user's own keys, `@` another of these types.
const TAGGED: &[(&str, &[&str])] = &[
    (
        "ObjectMeta",
        &[
            "name",
            "generateName",
            "namespace",
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "labels",
            "annotations",
            "ownerReferences@OwnerReference",
            "finalizers",
        ],
    ),
    ("OwnerReference", &["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"]),
    ("LabelSelector", &["matchLabels", "matchExpressions@LabelSelectorRequirement"]),
    ("LabelSelectorRequirement", &["key", "operator", "values"]),
];

/// How Go prints a value of the named type, or a list of such values.
pub(super) fn shown(kind: &str, value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Null => out.push_str("null"),
        _ if TAGGED.iter().any(|(name, _)| *name == kind) => tagged(kind, value, &mut out),
        _ => any(&format!("@{kind}"), value, &Value::Null, 0, &mut out),
    }
    out
}

fn any(kind: &str, value: &Value, around: &Value, depth: usize, out: &mut String) {
    if let Some(inner) = kind.strip_prefix('*') {
        return if value.is_null() { out.push_str("null") } else { any(inner, value, around, depth, out) };
    }
    if let Some(inner) = kind.strip_prefix("[]") {
        let Some(items) = value.as_array() else { return out.push_str("null") };
        return list(items, out, |item, out| any(inner, item, around, depth, out));
    }
    if let Some(name) = kind.strip_prefix('@') {
        let mut comma = false;
        out.push('{');
        fields(name, value, around, depth + 1, &mut comma, out);
        return out.push('}');
    }
    match (kind, value) {
        ("s", Value::Null) => out.push_str("\"\""),
        ("n" | "o", Value::Null) => out.push('0'),
        ("b", Value::Null) => out.push_str("false"),
        ("q", Value::Null) => out.push_str("\"0\""),
        ("j", value) => tagged("LabelSelector", value, out),
        (_, value) => plain(value, out),
    }
}

fn fields(name: &str, value: &Value, around: &Value, depth: usize, comma: &mut bool, out: &mut String) {
    if depth > MAX_DEPTH {
        return;
    }
    for field in TYPES.get(name).into_iter().flatten() {
        if let Some(embedded) = field.kind.strip_prefix("~@") {
            match embedded {
                "ObjectMeta" => tagged_fields(embedded, &value["metadata"], comma, out),
                _ => fields(embedded, value, around, depth + 1, comma, out),
            }
            continue;
        }
        let inner = match field.json.strip_prefix('^') {
            Some(outer) => &around[outer],
            None => &value[field.json],
        };
        separate(comma, out);
        let _ = write!(out, "\"{}\":", field.go);
        any(field.kind, inner, value, depth, out);
    }
}

fn tagged(kind: &str, value: &Value, out: &mut String) {
    match value {
        Value::Object(_) => {
            out.push('{');
            tagged_fields(kind, value, &mut false, out);
            out.push('}');
        }
        Value::Array(items) => list(items, out, |item, out| tagged(kind, item, out)),
        other => plain(other, out),
    }
}

fn tagged_fields(kind: &str, value: &Value, comma: &mut bool, out: &mut String) {
    let order = TAGGED.iter().find(|(name, _)| *name == kind).map(|(_, order)| *order).unwrap_or_default();
    for entry in order {
        let (name, inner) = entry.split_once('@').unwrap_or((entry, ""));
        let Some(field) = value.get(name).filter(|field| !super::rules::is_empty(field)) else { continue };
        separate(comma, out);
        let _ = write!(out, "\"{name}\":");
        if inner.is_empty() { plain(field, out) } else { tagged(inner, field, out) }
    }
}

fn list(items: &[Value], out: &mut String, mut one: impl FnMut(&Value, &mut String)) {
    let mut comma = false;
    out.push('[');
    for item in items {
        separate(&mut comma, out);
        one(item, out);
    }
    out.push(']');
}

fn separate(comma: &mut bool, out: &mut String) {
    if *comma {
        out.push(',');
    }
    *comma = true;
}

/// JSON as Go writes it: sorted keys, and what HTML would read is escaped.
fn plain(value: &Value, out: &mut String) {
    for c in value.to_string().chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => drop(write!(out, "\\u{:04x}", c as u32)),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn structs_print_as_go_prints_them() {
        for (kind, value, want) in [
            ("DeploymentStrategy", json!({"type": "X"}), r#"{"Type":"X","RollingUpdate":null}"#),
            (
                "ServicePort",
                json!({"protocol": "TCP", "port": 80}),
                r#"{"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}"#,
            ),
            (
                "PodDisruptionBudgetSpec",
                json!({"minAvailable": "1%", "selector": {"matchLabels": {"b": "<", "a": "b"}}}),
                r#"{"MinAvailable":"1%","Selector":{"matchLabels":{"a":"b","b":"\u003c"}},"MaxUnavailable":null,"UnhealthyPodEvictionPolicy":null}"#,
            ),
            (
                "LabelSelector",
                json!({"matchExpressions": [{"operator": "In", "key": "a", "values": ["b"]}], "matchLabels": {"c": "d"}}),
                r#"{"matchLabels":{"c":"d"},"matchExpressions":[{"key":"a","operator":"In","values":["b"]}]}"#,
            ),
        ] {
            assert_eq!(shown(kind, &value), want, "{kind}");
        }
    }

    #[test]
    fn what_the_api_has_one_level_up_is_found_there() {
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"hostNetwork": true, "securityContext": {},
            "volumes": [{"name": "v", "emptyDir": {}}]}});
        let text = shown("PodTemplateSpec", &template);
        assert!(
            text.starts_with(r#"{"labels":{"a":"b"},"Spec":{"Volumes":[{"Name":"v","HostPath":null,"#),
            "{text}"
        );
        assert!(text.contains(r#""SecurityContext":{"HostNetwork":true,"HostPID":false"#), "{text}");
    }
}
