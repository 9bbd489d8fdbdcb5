//! The `replacements` field: copies a value from one object into fields of others.

pub(crate) mod path;
mod structured;

use std::path::Path;

use sluice_yaml::{Node, Reader, Scalar, Schema, Style, Tag, Value};

use self::path::{Part, Want};
use crate::error::{BuildError, ErrorKind, Result, Within as _};
use crate::file::{self, FieldOptions, SourceSelector, TargetSelector};
use crate::id::{Gvk, ResId, effective_namespace};
use crate::loader::Files;
use crate::objects::Objects;
use crate::patch::selector::Selector;
use crate::patch::trouble;
use crate::read;
use crate::resource::Resource;

/// Levels of nesting that a replacement may leave.
const DEPTH_LIMIT: usize = 400;

/// Reads the entries of a file: those with a path are replaced by what that file holds.
pub(crate) fn load(
    files: &Files<'_>,
    dir: &Path,
    entries: &[file::Replacement],
) -> Result<Vec<file::Replacement>> {
    let mut out = Vec::new();
    for entry in entries {
        if entry.path.is_empty() {
            out.push(entry.clone());
            continue;
        }
        let read = || {
            if entry.source.is_some() || entry.source_value.is_some() || entry.targets.is_some() {
                return Err(BuildError::invalid("cannot specify both path and inline replacement"));
            }
            let content = files.read(dir, &entry.path)?;
            let text = read::text_of(&content)?;
            let node = Reader::yaml11()
                .last_wins()
                .first(&text)
                .map_err(|error| BuildError::invalid(error.to_string()))?;
            let value = node
                .map_or(Ok(Value::Null), |node| node.into_value_by(Schema::Yaml11))
                .map_err(BuildError::invalid)?;
            let items = match value {
                Value::Array(items) => items,
                value @ Value::Object(_) => vec![value],
                _ => {
                    return Err(BuildError::invalid(
                        "unsupported replacement type encountered within replacement path: string",
                    ));
                }
            };
            let decode = |item| file::decode_replacement(item).map_err(BuildError::invalid);
            items.into_iter().map(decode).collect::<Result<Vec<_>>>()
        };
        let listed = serde_json::json!({"replacements": entries});
        out.extend(read().within(|| trouble("ReplacementTransformer", &listed))?);
    }
    Ok(out)
}

/// Applies the replacements in order.
///
/// # Errors
/// Where a source or target is not there; `TooLarge` if large values add more than `limit` bytes in all.
pub(crate) fn replacements(objects: &mut Objects, entries: &[file::Replacement], limit: usize) -> Result<()> {
    for entry in entries {
        let targets = entry.targets.as_deref().unwrap_or_default();
        let value = match (&entry.source, &entry.source_value) {
            (Some(_), Some(_)) => {
                return Err(BuildError::invalid("value and resource selectors are mutually exclusive"));
            }
            _ if targets.is_empty() => return Err(incomplete()),
            (None, None) => return Err(incomplete()),
            (None, Some(text)) => Node::Scalar(Scalar::plain(text.clone())),
            (Some(source), None) => source_value(objects, source)?,
        };
        for target in targets {
            apply(objects, &value, target, limit)?;
        }
    }
    Ok(())
}

fn incomplete() -> BuildError {
    BuildError::invalid("replacements must specify a source and at least one target")
}

fn source_value(objects: &Objects, source: &SourceSelector) -> Result<Node> {
    let gvk = Gvk { group: source.group.clone(), version: source.version.clone(), kind: source.kind.clone() };
    let shown = ResId { gvk: gvk.clone(), name: source.name.clone(), namespace: source.namespace.clone() };
    let shown = format!("{shown}");
    let selected = |resource: &&Resource| {
        let (group, version) = resource.group_version();
        resource.identities().any(|(kind, name, namespace)| {
            let wanted = effective_namespace(group, version, kind, &source.namespace);
            gvk.selects(group, version, kind)
                && (source.name.is_empty() || source.name == name)
                && (source.namespace.is_empty() || wanted == namespace)
        })
    };
    let mut found = objects.as_slice().iter().filter(selected);
    let (Some(resource), None) = (found.next(), found.next()) else {
        let any = objects.as_slice().iter().any(|resource| selected(&resource));
        let path =
            if source.field_path.is_empty() { String::new() } else { format!(":{}", source.field_path) };
        return Err(BuildError::invalid(if any {
            format!("multiple matches for selector {shown}{path}")
        } else {
            format!("nothing selected by {shown}{path}{}", shown_options(source.options.as_ref()))
        }));
    };
    let field = if source.field_path.is_empty() { "metadata.name" } else { &source.field_path };
    let root = Node::Map(resource.map.clone());
    let found = path::lookup(&root, &path::parse(field))?;
    let empty = |node: &Node| {
        node.is_null()
            || node.as_map().is_some_and(|map| map.is_empty())
            || node.as_seq().is_some_and(<[_]>::is_empty)
    };
    let Some(node) = found.filter(|node| !empty(node)) else {
        return Err(BuildError::invalid(format!(
            "fieldPath `{field}` is missing for replacement source {shown}{}",
            if source.field_path.is_empty() { ":metadata.name" } else { "" }
        )));
    };
    match &source.options {
        Some(options) if !options.delimiter.is_empty() => part_of(node, options),
        _ => Ok(node.clone()),
    }
}

fn shown_options(options: Option<&FieldOptions>) -> String {
    let Some(options) = options else { return String::new() };
    let mut out = String::new();
    if !options.delimiter.is_empty() {
        out = format!(":{}({})", options.delimiter, options.index);
    }
    if options.create {
        out.push_str(", create=true");
    }
    out
}

fn part_of(node: &Node, options: &FieldOptions) -> Result<Node> {
    let Node::Scalar(scalar) = node else { return Err(not_scalar()) };
    let parts: Vec<_> = scalar.text.split(&options.delimiter).collect();
    let part = usize::try_from(options.index).ok().and_then(|at| parts.get(at));
    let Some(part) = part else {
        return Err(BuildError::invalid(format!(
            "options.index {} is out of bounds for value {}",
            options.index, scalar.text
        )));
    };
    Ok(Node::Scalar(Scalar { text: (*part).to_owned(), ..scalar.clone() }))
}

fn not_scalar() -> BuildError {
    BuildError::invalid("delimiter option can only be used with scalar nodes")
}

/// Bytes and levels of a value.
fn measure(node: &Node) -> (usize, usize) {
    let add =
        |(bytes, depth): (usize, usize), (more, below): (usize, usize)| (bytes + more, depth.max(below + 1));
    match node {
        Node::Scalar(scalar) => (scalar.text.len(), 0),
        Node::Seq(items) => items.iter().map(measure).fold((32, 1), add),
        Node::Map(map) => {
            let pairs = map.iter().map(|(key, node)| {
                let (bytes, depth) = measure(node);
                (key.len() + bytes, depth)
            });
            pairs.fold((32, 1), add)
        }
    }
}

fn apply(objects: &mut Objects, value: &Node, target: &TargetSelector, limit: usize) -> Result<()> {
    let Some(select) = &target.select else {
        return Err(BuildError::invalid("target must specify resources to select"));
    };
    let compile = |selector| Selector::new(selector).map_err(BuildError::invalid);
    let select = compile(select)?;
    let rejects = target.reject.iter().map(compile).collect::<Result<Vec<_>>>()?;
    let (bytes, depth) = measure(value);
    let deepest = target.field_paths.iter().map(|path| path.split('.').count()).max().unwrap_or(0);
    if depth + deepest > DEPTH_LIMIT {
        let text = format!("the replacement nests deeper than {DEPTH_LIMIT} levels");
        return Err(BuildError::new(ErrorKind::TooLarge, text));
    }
    let selected =
        objects.as_slice().iter().filter(|r| selects_any_id(&select, r) && select.matches_labels(r)).count();
    objects.charge(bytes, selected.saturating_mul(target.field_paths.len().max(1)), limit)?;
    for resource in objects.items_mut() {
        if !selects_any_id(&select, resource) || !select.matches_labels(resource) {
            continue;
        }
        // The parts of a reject entry are alternatives.
        let rejected = rejects.iter().any(|reject| {
            (reject.has_id_part && selects_any_id(reject, resource))
                || (reject.has_label_part && reject.matches_labels(resource))
        });
        if !rejected {
            write(resource, value, target)?;
        }
    }
    Ok(())
}

/// Whether any identity matches; the namespace is the one that is written, so objects without have none.
fn selects_any_id(selector: &Selector, resource: &Resource) -> bool {
    let (group, version) = resource.group_version();
    let current = (resource.kind(), resource.name(), resource.namespace());
    let old =
        resource.history.iter().map(|old| (old.kind.as_str(), old.name.as_str(), old.namespace.as_str()));
    old.chain([current]).any(|(kind, name, namespace)| {
        selector.matches_gvk(group, version, kind)
            && selector.matches_name(name)
            && selector.matches_namespace(namespace)
    })
}

fn write(resource: &mut Resource, value: &Node, target: &TargetSelector) -> Result<()> {
    let default = ["metadata.name".to_owned()];
    let fields = if target.field_paths.is_empty() { &default[..] } else { &target.field_paths };
    let options = target.options.clone().unwrap_or_default();
    let described = resource.described();
    let mut root = Node::Map(std::mem::take(&mut resource.map));
    let result = fields.iter().try_for_each(|field| {
        let parts = path::parse(field);
        if structured::write(&mut root, &parts, value, &options) {
            return Ok(());
        }
        let wants = if options.create { Want::Create(value) } else { Want::Existing };
        let verb = if options.create { "find or create" } else { "find" };
        let problem = || format!("unable to {verb} field \"{field}\" in replacement target");
        let mut written = 0;
        path::visit(&mut root, &parts, &wants, &mut |node, made| {
            written += 1;
            set(node, made, value, &options)
        })
        .within(problem)?;
        if written == 0 {
            return Err(BuildError::invalid(format!("{} {described}", problem())));
        }
        Ok(())
    });
    if let Node::Map(map) = root {
        resource.map = map;
    }
    result
}

/// Puts the value into a field. An existing scalar keeps its type and gets only the text.
fn set(node: &mut Node, made: bool, value: &Node, options: &FieldOptions) -> Result<()> {
    let mut value = value.clone();
    if !options.delimiter.is_empty() {
        let (Node::Scalar(old), Node::Scalar(new)) = (&*node, &mut value) else { return Err(not_scalar()) };
        let mut parts: Vec<&str> = old.text.split(&options.delimiter).collect();
        let text = std::mem::take(&mut new.text);
        match usize::try_from(options.index) {
            Err(_) => parts.insert(0, &text),
            Ok(at) if at >= parts.len() => parts.push(&text),
            Ok(at) => parts[at] = &text,
        }
        let joined = parts.join(&options.delimiter);
        new.text = joined;
    }
    match (&mut *node, value) {
        (Node::Scalar(old), Node::Scalar(new)) if !made => {
            // kustomize keeps the tag, and the build fails later if the text does not fit it.
            old.text = new.text;
            if old.tag == Tag::Null {
                *old = Scalar { style: Style::Plain, ..Scalar::plain(std::mem::take(&mut old.text)) };
            }
            Ok(())
        }
        (Node::Scalar(_), value) if !made => Err(BuildError::invalid(format!(
            "cannot replace a scalar by {}",
            if value.as_map().is_some() { "a map" } else { "a list" }
        ))),
        (node, value) => {
            *node = value;
            Ok(())
        }
    }
}

/// Whether a path goes on behind `part` into text.
fn is_plain(part: &Part) -> bool {
    matches!(part, Part::Name(_) | Part::Index(_))
}
