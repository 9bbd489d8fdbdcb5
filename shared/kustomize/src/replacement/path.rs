//! Field paths with dots: `spec.containers.[name=a].image`.

use regex::Regex;
use sluice_yaml::{Mapping, Node, Scalar};

use crate::error::{BuildError, Result};
use crate::field_spec::wrong_kind;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// A key of a map.
    Name(String),
    /// A position in a list.
    Index(usize),
    /// The last element of a list (to read), a key called `-` (to write).
    Last,
    /// Elements whose field has a value; an empty field means the element itself.
    Select(String, String),
    /// Every element of a list.
    All,
}

/// Cuts a path at its dots: `\.` is a dot, brackets keep theirs.
pub(crate) fn parse(path: &str) -> Vec<Part> {
    let mut pieces = vec![String::new()];
    let mut chars = path.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, pieces.last_mut()) {
            ('\\', Some(last)) if chars.peek() == Some(&'.') => {
                chars.next();
                last.push('.');
            }
            ('.', _) => pieces.push(String::new()),
            (c, Some(last)) => last.push(c),
            (_, None) => {}
        }
    }
    let mut parts = Vec::new();
    let mut pieces = pieces.into_iter();
    while let Some(mut piece) = pieces.next() {
        if piece.starts_with('[') && !piece.ends_with(']') {
            for next in pieces.by_ref() {
                piece.push('.');
                piece.push_str(&next);
                if next.ends_with(']') {
                    break;
                }
            }
        }
        parts.push(part(piece));
    }
    parts
}

fn part(piece: String) -> Part {
    if let Some(inside) = piece.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match inside.split_once('=') {
            Some((key, value)) => Part::Select(key.to_owned(), value.to_owned()),
            None => Part::Name(inside.to_owned()),
        };
    }
    match piece.as_str() {
        "*" => Part::All,
        "-" => Part::Last,
        text if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            text.parse().map_or(Part::Name(piece.clone()), Part::Index)
        }
        _ => Part::Name(piece),
    }
}

/// The one node that a source path leads to.
pub(crate) fn lookup<'n>(root: &'n Node, path: &[Part]) -> Result<Option<&'n Node>> {
    let mut node = root;
    for part in path {
        let next = match (part, node) {
            (Part::All, _) => return Err(BuildError::invalid("wildcard is not supported in PathGetter")),
            (Part::Name(name), Node::Map(map)) => map.get(name),
            (Part::Name(_), node) => return Err(wrong_kind("MappingNode", node)),
            (Part::Index(at), Node::Seq(items)) => items.get(*at),
            (Part::Last, Node::Seq(items)) => items.last(),
            (Part::Select(key, value), Node::Seq(items)) => items.iter().find(|item| {
                let field = if key.is_empty() { Some(*item) } else { item.get(key) };
                field.and_then(Node::as_text) == Some(value)
            }),
            (_, node) => return Err(wrong_kind("SequenceNode", node)),
        };
        match next {
            Some(next) if !next.is_null() => node = next,
            _ => return Ok(None),
        }
    }
    Ok(Some(node))
}

/// What happens where a target path does not exist.
pub(crate) enum Want<'v> {
    /// Nothing is found there.
    Existing,
    /// It is made, to hold this value.
    Create(&'v Node),
}

/// Calls `change` for every node that a target path leads to; the flag tells whether it was made.
pub(crate) fn visit(
    node: &mut Node,
    path: &[Part],
    want: &Want<'_>,
    change: &mut dyn FnMut(&mut Node, bool) -> Result<()>,
) -> Result<()> {
    walk(node, path, want, false, change)
}

fn walk(
    node: &mut Node,
    path: &[Part],
    want: &Want<'_>,
    made: bool,
    change: &mut dyn FnMut(&mut Node, bool) -> Result<()>,
) -> Result<()> {
    let Some((part, rest)) = path.split_first() else { return change(node, made) };
    match part {
        Part::Name(_) | Part::Last => {
            let name = if let Part::Name(name) = part { name.as_str() } else { "-" };
            let Node::Map(map) = node else { return Err(wrong_kind("MappingNode", node)) };
            let missing = map.get(name).is_none_or(|field| field.is_null() && !rest.is_empty());
            match want {
                Want::Existing if missing => Ok(()),
                Want::Create(value) if missing => {
                    map.insert(name, container(rest, value));
                    let Some(field) = map.get_mut(name) else { return Ok(()) };
                    walk(field, rest, want, true, change)
                }
                _ => {
                    let Some(field) = map.get_mut(name) else { return Ok(()) };
                    walk(field, rest, want, false, change)
                }
            }
        }
        Part::Index(at) => {
            let Node::Seq(items) = node else { return Err(wrong_kind("SequenceNode", node)) };
            let len = items.len();
            if let Some(item) = items.get_mut(*at) {
                return walk(item, rest, want, false, change);
            }
            if let Want::Create(value) = want
                && *at == len
            {
                let mut item = container(rest, value);
                walk(&mut item, rest, want, true, change)?;
                items.push(item);
                return Ok(());
            }
            Err(BuildError::invalid(format!("index {at} specified but only {len} elements found")))
        }
        Part::All => {
            let Node::Seq(items) = node else { return Err(wrong_kind("SequenceNode", node)) };
            items.iter_mut().try_for_each(|item| walk(item, rest, want, false, change))
        }
        Part::Select(key, value) => {
            let Node::Seq(items) = node else { return Err(wrong_kind("SequenceNode", node)) };
            let pattern = Regex::new(value)
                .map_err(|error| BuildError::invalid(format!("error parsing regexp: {error}")))?;
            let mut found = false;
            for item in items.iter_mut() {
                let field = if key.is_empty() { Some(&*item) } else { item.get(key) };
                if field.and_then(Node::as_text).is_some_and(|text| pattern.is_match(text)) {
                    found = true;
                    walk(item, rest, want, false, change)?;
                }
            }
            if !found && matches!(want, Want::Create(_)) {
                let text = Node::Scalar(Scalar::plain(value.clone()));
                let mut item =
                    if key.is_empty() { text } else { Node::Map(Mapping::from_iter([(key.clone(), text)])) };
                walk(&mut item, rest, want, rest.is_empty(), change)?;
                items.push(item);
            }
            Ok(())
        }
    }
}

/// What is made for a missing node: by what comes next, at the end by the value.
fn container(rest: &[Part], value: &Node) -> Node {
    match rest.first() {
        Some(Part::Index(_) | Part::Select(..) | Part::All) => Node::Seq(Vec::new()),
        Some(Part::Name(_) | Part::Last) => Node::map(),
        None => match value {
            Node::Map(_) => Node::map(),
            Node::Seq(_) => Node::Seq(Vec::new()),
            Node::Scalar(_) => Node::Scalar(Scalar::plain("")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cut_at_dots() {
        let name = |text: &str| Part::Name(text.into());
        for (path, want) in [
            ("a.b", vec![name("a"), name("b")]),
            ("a\\.b.c", vec![name("a.b"), name("c")]),
            ("metadata.annotations.[a.b/c]", vec![name("metadata"), name("annotations"), name("a.b/c")]),
            ("l.[name=a.b].x", vec![name("l"), Part::Select("name".into(), "a.b".into()), name("x")]),
            ("l.[=v]", vec![name("l"), Part::Select(String::new(), "v".into())]),
            ("l.3.*.-", vec![name("l"), Part::Index(3), Part::All, Part::Last]),
        ] {
            assert_eq!(parse(path), want, "{path}");
        }
    }
}
