//! Manifest files to objects: documents, Lists, and the checks that every object must pass.

use std::borrow::Cow;

use sluice_yaml::{Mapping, Node, Reader, split_documents};

use crate::error::{BuildError, ErrorKind, Result};
use crate::resource::{Place, Resource, check_identity};

/// How deep Lists may contain Lists.
const LIST_DEPTH: usize = 16;

/// Decodes a file: byte order marks, UTF-16, CRLF.
pub(crate) fn text_of(bytes: &[u8]) -> Result<Cow<'_, str>> {
    let malformed = |text: &str| BuildError::new(ErrorKind::Malformed, format!("yaml: {text}"));
    let wide = |bytes: &[u8], from: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| from([pair[0], pair[1]])).collect();
        String::from_utf16(&units).map_err(|_| malformed("invalid Unicode character"))
    };
    let text: Cow<'_, str> = match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes)?.into(),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes)?.into(),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => {
            std::str::from_utf8(rest).map_err(|_| malformed("invalid leading UTF-8 octet"))?.into()
        }
    };
    if text.contains("\r\n") { Ok(text.replace("\r\n", "\n").into()) } else { Ok(text) }
}

/// Reads the objects of a file, Lists expanded. `file` is for messages and may be empty.
pub(crate) fn objects(bytes: &[u8], file: &str) -> Result<Vec<Resource>> {
    let in_file = |line: usize| {
        let at = if line > 1 { format!(" (document at line {line})") } else { String::new() };
        if file.is_empty() { at } else { format!(" in File: {file}{at}") }
    };
    let malformed = |error: &dyn std::fmt::Display, line: usize| {
        BuildError::new(ErrorKind::Malformed, format!("MalformedYAMLError: {error}{}", in_file(line)))
    };
    let text = text_of(bytes).map_err(|error| malformed(&error, 1))?;
    let parts =
        split_documents(&text).map_err(|error| BuildError::new(ErrorKind::Malformed, error.message))?;
    let mut documents = Vec::new();
    for part in parts {
        let node = Reader::manifest().first(part.text).map_err(|error| malformed(&error, part.line))?;
        match node {
            None => {}
            Some(Node::Map(map)) if map.is_empty() => {}
            Some(Node::Map(map)) => documents.push((map, part.line)),
            Some(node) if node.is_null() || node.as_seq().is_some_and(<[_]>::is_empty) => {}
            Some(_) => return Err(BuildError::invalid("missing Resource metadata")),
        }
    }
    if let [(only, _)] = documents.as_slice()
        && matches!(only.get("kind").and_then(Node::as_text), Some("List" | "ResourceList"))
        && (only.contains_key("items") || only.contains_key("functionConfig"))
    {
        let line = documents[0].1;
        let items = documents.remove(0).0.remove("items");
        documents = list_items(items, "List")?.into_iter().map(|map| (map, line)).collect();
    }
    let place: std::sync::Arc<str> = file.into();
    let mut objects = Vec::with_capacity(documents.len());
    let mut late = Vec::new();
    for (map, line) in documents {
        check_identity(&map)?;
        expand(map, line, 0, &mut objects, &mut late)?;
    }
    objects.append(&mut late);
    Ok(objects
        .into_iter()
        .map(|(map, line)| Resource { place: Place { file: place.clone(), line }, ..Resource::new(map) })
        .collect())
}

type Placed = (Mapping, usize);

/// Keeps an object, or puts the items of a List after all other objects.
fn expand(
    mut map: Mapping,
    line: usize,
    depth: usize,
    objects: &mut Vec<Placed>,
    late: &mut Vec<Placed>,
) -> Result<()> {
    let kind = map.get("kind").and_then(Node::as_text).unwrap_or("").to_owned();
    if !kind.ends_with("List") || !map.contains_key("items") {
        objects.push((map, line));
        return Ok(());
    }
    if depth > LIST_DEPTH {
        let text = format!("Lists are nested deeper than {LIST_DEPTH} levels");
        return Err(BuildError::new(ErrorKind::TooLarge, text));
    }
    for item in list_items(map.remove("items"), &kind)? {
        check_identity(&item)?;
        // Items pass through JSON once, so their numbers lose the written form.
        let value = Node::Map(item).into_value().map_err(BuildError::invalid)?;
        let Node::Map(item) = Node::from(value) else { continue };
        let mut below = Vec::new();
        expand(item, line, depth + 1, &mut below, late)?;
        late.append(&mut below);
    }
    Ok(())
}

fn list_items(items: Option<Node>, kind: &str) -> Result<Vec<Mapping>> {
    let found = match items {
        None => return Ok(Vec::new()),
        Some(node) if node.is_null() => return Ok(Vec::new()),
        Some(Node::Seq(items)) => {
            let mut maps = Vec::with_capacity(items.len());
            for item in items {
                match item {
                    Node::Map(map) if map.is_empty() => {}
                    Node::Map(map) => maps.push(map),
                    node if node.is_null() => {}
                    _ => return Err(BuildError::invalid("missing Resource metadata")),
                }
            }
            return Ok(maps);
        }
        Some(Node::Map(_)) => "map[string]interface {}",
        Some(Node::Scalar(_)) => "string",
    };
    Err(BuildError::invalid(format!("expected array in {kind}/items, but found {found}")))
}
