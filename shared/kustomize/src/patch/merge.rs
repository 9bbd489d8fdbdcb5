//! Strategic merge: maps merge deeply, lists that have a merge key merge by it, everything else is replaced.

use sluice_yaml::{Mapping, Node, Style, Tag};

use crate::error::{BuildError, Result};
use crate::field_spec::{kind_name, wrong_kind};
use crate::tables::{ListMerge, Type};

const DIRECTIVE: &str = "$patch";

/// What `$patch` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

/// Merges `patch` into `dest`; nothing is left if the patch deletes the object.
///
/// # Errors
/// Where a map meets a list, for an unknown `$patch` value, for elements without their merge key, and for directives
/// that are not built (kustomize itself writes those into the output as ordinary fields).
pub(crate) fn merge(dest: Mapping, mut patch: Mapping, of: Option<&'static Type>) -> Result<Option<Mapping>> {
    match take_directive(&mut patch)? {
        Directive::Delete => Ok(None),
        Directive::Replace => Ok(Some(cleaned(patch, of)?)),
        Directive::Merge => {
            let mut merged = merge_maps(dest, patch, of)?;
            drop_blank(&mut merged, of);
            Ok(Some(merged))
        }
    }
}

/// Drops fields that are written without a value (`a:`), as kustomize does on its walk through the object. An explicit
/// null stays.
fn drop_blank(map: &mut Mapping, of: Option<&'static Type>) {
    map.retain(
        |_, node| !matches!(node, Node::Scalar(scalar) if scalar.tag == Tag::Null && scalar.text.is_empty()),
    );
    for (key, node) in map.iter_mut() {
        let (field, list) = of.map_or((None, None), |of| of.field(key));
        match node {
            Node::Map(map) => drop_blank(map, field),
            Node::Seq(items) if list.is_some() => {
                items.iter_mut().filter_map(Node::as_map_mut).for_each(|map| drop_blank(map, field));
            }
            _ => {}
        }
    }
}

fn merge_maps(mut dest: Mapping, patch: Mapping, of: Option<&'static Type>) -> Result<Mapping> {
    for (key, patch) in patch {
        refuse_directives(&key)?;
        let (field, list) = of.map_or((None, None), |of| of.field(&key));
        match merge_nodes(dest.get_mut(&key), patch, field, list)? {
            Some(node) => dest.insert(key, node),
            None => {
                dest.remove(&key);
            }
        }
    }
    Ok(dest)
}

/// The merged node; nothing if the patch removes it. `dest` is consumed where it is used.
fn merge_nodes(
    dest: Option<&mut Node>,
    patch: Node,
    of: Option<&'static Type>,
    list: Option<ListMerge>,
) -> Result<Option<Node>> {
    if patch.is_null() {
        return Ok(None);
    }
    let Some(dest) = dest.filter(|dest| !dest.is_null()) else { return fresh(patch, of, list) };
    if std::mem::discriminant(dest) != std::mem::discriminant(&patch) {
        return Err(wrong_kind(kind_name(dest), &patch));
    }
    match (std::mem::replace(dest, Node::null()), patch) {
        (Node::Map(dest), Node::Map(mut patch)) => match take_directive(&mut patch)? {
            Directive::Delete => Ok(None),
            Directive::Replace => Ok(Some(Node::Map(cleaned(patch, of)?))),
            Directive::Merge => Ok(Some(Node::Map(merge_maps(dest, patch, of)?))),
        },
        (Node::Seq(dest), Node::Seq(patch)) => match list {
            None => Ok(Some(Node::Seq(patch))),
            Some(how) => merge_lists(dest, patch, of, how),
        },
        (Node::Scalar(dest), Node::Scalar(mut patch)) => {
            // The old quotes stay: an unquoted 5 over a quoted text is a text.
            if dest.style == Style::Quoted && patch.style != Style::Quoted {
                patch.tag = Tag::Str;
                patch.style = Style::Quoted;
            }
            Ok(Some(Node::Scalar(patch)))
        }
        (_, patch) => Ok(Some(patch)),
    }
}

/// A patch where there is nothing yet: directives and nulls are honoured and vanish.
fn fresh(patch: Node, of: Option<&'static Type>, list: Option<ListMerge>) -> Result<Option<Node>> {
    match patch {
        Node::Map(mut map) => match take_directive(&mut map)? {
            Directive::Delete => Ok(None),
            Directive::Merge | Directive::Replace => Ok(Some(Node::Map(cleaned(map, of)?))),
        },
        Node::Seq(items) => match list {
            Some(how) => merge_lists(Vec::new(), items, of, how),
            None => Ok(Some(Node::Seq(items))),
        },
        scalar => Ok(Some(scalar)),
    }
}

fn cleaned(map: Mapping, of: Option<&'static Type>) -> Result<Mapping> {
    merge_maps(Mapping::new(), map, of)
}

fn merge_lists(
    dest: Vec<Node>,
    mut patch: Vec<Node>,
    of: Option<&'static Type>,
    how: ListMerge,
) -> Result<Option<Node>> {
    let dest = match take_list_directive(&mut patch)? {
        Directive::Delete => return Ok(None),
        Directive::Replace => Vec::new(),
        Directive::Merge => dest,
    };
    let items = match how {
        ListMerge::Primitive => merge_values(dest, patch),
        ListMerge::ByKeys(keys) => merge_elements(dest, patch, of, keys)?,
    };
    Ok(Some(Node::Seq(items)))
}

/// Values of the patch first, then the old ones that are not among them.
fn merge_values(dest: Vec<Node>, patch: Vec<Node>) -> Vec<Node> {
    let mut out: Vec<Node> = Vec::with_capacity(dest.len() + patch.len());
    for node in patch.into_iter().chain(dest) {
        if !out.iter().any(|old| old.as_text() == node.as_text()) {
            out.push(node);
        }
    }
    out
}

/// Elements of the patch first, merged with the old ones of the same key; then the other old ones.
fn merge_elements(
    mut dest: Vec<Node>,
    patch: Vec<Node>,
    of: Option<&'static Type>,
    keys: &'static [&'static str],
) -> Result<Vec<Node>> {
    let used = used_keys(keys, &dest, &patch);
    let mut out: Vec<Node> = Vec::with_capacity(dest.len() + patch.len());
    let mut seen: Vec<Vec<String>> = Vec::new();
    for element in patch {
        let Node::Map(mut element) = element else { return Err(wrong_kind("MappingNode", &element)) };
        let Some(values) = key_values(&element, &used) else {
            let shown = sluice_yaml::to_string(&Node::Map(element).to_value().unwrap_or_default());
            return Err(BuildError::invalid(format!(
                "list element without merge key {}: node contents:\n{shown}",
                keys.join(", ")
            )));
        };
        if seen.contains(&values) {
            continue;
        }
        let old = dest.iter().position(|old| {
            old.as_map().and_then(|old| key_values(old, &used)).is_some_and(|other| other == values)
        });
        let old = old.map(|at| dest.remove(at));
        seen.push(values);
        match (take_directive(&mut element)?, old) {
            (Directive::Delete, _) => {}
            (Directive::Merge, Some(Node::Map(old))) => out.push(Node::Map(merge_maps(old, element, of)?)),
            (Directive::Merge | Directive::Replace, _) => out.push(Node::Map(cleaned(element, of)?)),
        }
    }
    out.append(&mut dest);
    Ok(out)
}

/// The keys that any element has.
fn used_keys(keys: &'static [&'static str], dest: &[Node], patch: &[Node]) -> Vec<&'static str> {
    if keys.len() == 1 {
        return keys.to_vec();
    }
    let any = |key: &str| dest.iter().chain(patch).any(|node| node.get(key).is_some());
    keys.iter().copied().filter(|key| any(key)).collect()
}

/// What identifies an element. A port without protocol is a TCP port, as in Kubernetes.
fn key_values(element: &Mapping, keys: &[&str]) -> Option<Vec<String>> {
    let value = |key: &str| element.get(key).and_then(Node::as_text).map(str::to_owned);
    if let [key] = keys {
        return value(key).map(|value| vec![value]);
    }
    let values: Vec<_> = keys
        .iter()
        .map(|key| {
            value(key).unwrap_or_else(|| if *key == "protocol" { "TCP".into() } else { String::new() })
        })
        .collect();
    keys.iter().any(|key| value(key).is_some()).then_some(values)
}

fn take_directive(map: &mut Mapping) -> Result<Directive> {
    let Some(node) = map.remove(DIRECTIVE) else { return Ok(Directive::Merge) };
    match node.as_text() {
        Some("merge") => Ok(Directive::Merge),
        Some("replace") => Ok(Directive::Replace),
        Some("delete") => Ok(Directive::Delete),
        other => Err(BuildError::invalid(format!("unknown patch strategy '{}'", other.unwrap_or("")))),
    }
}

/// The directive that is an element of its own.
fn take_list_directive(items: &mut Vec<Node>) -> Result<Directive> {
    let alone = |node: &Node| node.as_map().is_some_and(|map| map.len() == 1 && map.contains_key(DIRECTIVE));
    let Some(at) = items.iter().position(alone) else { return Ok(Directive::Merge) };
    match items.remove(at) {
        Node::Map(mut map) => take_directive(&mut map),
        _ => Ok(Directive::Merge),
    }
}

fn refuse_directives(key: &str) -> Result<()> {
    let unsupported = key == "$retainKeys"
        || key.starts_with("$setElementOrder/")
        || key.starts_with("$deleteFromPrimitiveList/");
    if unsupported {
        return Err(BuildError::unsupported(format!("patch directive '{key}' is not supported")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sluice_yaml::Reader;

    use super::*;
    use crate::tables::root_type;

    fn map(text: &str) -> Mapping {
        match Reader::manifest().first(text).unwrap() {
            Some(Node::Map(map)) => map,
            other => panic!("{other:?}"),
        }
    }

    fn merged(dest: &str, patch: &str) -> String {
        let of = root_type("", "v1", "Service");
        match merge(map(dest), map(patch), of) {
            Ok(Some(map)) => sluice_yaml::json::to_string(
                &Node::Map(map).to_value().unwrap(),
                sluice_yaml::json::Html::Raw,
            ),
            Ok(None) => "deleted".into(),
            Err(error) => error.to_string().lines().next().unwrap_or("").to_owned(),
        }
    }

    #[test]
    fn maps_scalars_and_lists_merge_as_in_kustomize() {
        for (dest, patch, want) in [
            ("a: {x: 1, y: 2}", "a: {x: null, z: 3}", r#"{"a":{"y":2,"z":3}}"#),
            ("a: 1", "b: null", r#"{"a":1}"#),
            ("a: null", "b: 1", r#"{"a":null,"b":1}"#),
            ("a: {x: 1}", "a: {}", r#"{"a":{"x":1}}"#),
            ("l: [1]", "l: []", r#"{"l":[]}"#),
            ("l: [{name: a, x: 1}]", "l: [{name: a, y: 2}]", r#"{"l":[{"name":"a","y":2}]}"#),
            ("a: 'x'", "a: 5", r#"{"a":"5"}"#),
            ("a: x", "a: 5", r#"{"a":5}"#),
            ("a: 5", "a: '6'", r#"{"a":"6"}"#),
            ("a: {x: 1}", "a: 5", "wrong node kind: expected MappingNode but got ScalarNode: node contents:"),
            ("a: {x: 1}", "a: {$patch: delete}", "{}"),
            ("a: {x: 1}", "a: {$patch: replace, y: 1}", r#"{"a":{"y":1}}"#),
            ("a: {x: 1}", "a: {$patch: merge, y: 1}", r#"{"a":{"x":1,"y":1}}"#),
            ("a: {x: 1}", "a: {$patch: foo}", "unknown patch strategy 'foo'"),
            ("a: 1", "$patch: delete", "deleted"),
            ("b: 1", "a: {x: null, y: {$patch: delete}, z: {$patch: merge}}", r#"{"a":{"z":{}},"b":1}"#),
            ("a: 1", "$retainKeys: [a]", "patch directive '$retainKeys' is not supported"),
        ] {
            assert_eq!(merged(dest, patch), want, "{dest} with {patch}");
        }
    }

    #[test]
    fn ports_merge_by_port_and_protocol() {
        for (dest, patch, want) in [
            ("[{port: 80, a: 1}]", "[{port: 80, b: 1}]", r#"[{"a":1,"b":1,"port":80}]"#),
            (
                "[{port: 80, protocol: TCP}]",
                "[{port: 80, protocol: UDP}]",
                r#"[{"port":80,"protocol":"UDP"},{"port":80,"protocol":"TCP"}]"#,
            ),
            (
                "[{port: 80}, {port: 443, protocol: TCP}]",
                "[{port: 80, a: 1}]",
                r#"[{"a":1,"port":80},{"port":443,"protocol":"TCP"}]"#,
            ),
            (
                "[{port: 80, protocol: TCP}, {port: 80, protocol: UDP}]",
                "[{port: 80, protocol: UDP, a: 1}]",
                r#"[{"a":1,"port":80,"protocol":"UDP"},{"port":80,"protocol":"TCP"}]"#,
            ),
            ("[{port: 80, protocol: TCP}]", "[{port: 80, a: 1}]", r#"[{"a":1,"port":80,"protocol":"TCP"}]"#),
            ("[{port: 1}, {port: 2}]", "[{port: 2, $patch: delete}]", r#"[{"port":1}]"#),
            ("[{port: 1}]", "[{port: 1, $patch: delete}]", "[]"),
            ("[{port: 1}]", "[{$patch: replace}, {port: 3}]", r#"[{"port":3}]"#),
            ("[{port: 1, a: 1}]", "[{port: 1, $patch: replace}]", r#"[{"port":1}]"#),
            ("[{port: 1}]", "[{name: x}]", "list element without merge key port, protocol: node contents:"),
        ] {
            let got = merged(&format!("spec: {{ports: {dest}}}"), &format!("spec: {{ports: {patch}}}"));
            let want = if want.starts_with('[') {
                format!(r#"{{"spec":{{"ports":{want}}}}}"#)
            } else {
                want.to_owned()
            };
            assert_eq!(got, want, "{dest} with {patch}");
        }
    }
}
