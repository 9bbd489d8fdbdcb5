//! ConfigMaps and Secrets from files, literals and env files.

mod absorb;
mod hash;
mod sources;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sluice_yaml::{Mapping, Node, Scalar, Style, Tag};

pub(crate) use absorb::absorb;
pub(crate) use hash::suffix;
pub(crate) use sources::load;

use crate::error::{BuildError, Result};
use crate::file::{ConfigMapArgs, GeneratorOptions, SecretArgs};
use crate::resource::Resource;

/// What happens when the object exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behavior {
    Unspecified,
    Create,
    Replace,
    Merge,
}

impl Behavior {
    pub(crate) fn new(text: &str) -> Self {
        match text {
            "create" => Self::Create,
            "replace" => Self::Replace,
            "merge" => Self::Merge,
            _ => Self::Unspecified,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Merge => "merge",
        }
    }
}

/// A generated object and what to do with it.
pub(crate) struct Generated {
    pub(crate) resource: Resource,
    pub(crate) behavior: Behavior,
}

/// A value of a generated object: text, or bytes that are not UTF-8.
pub(crate) type Pairs = Vec<(String, Vec<u8>)>;

/// The entry's options over the file's.
fn options_of(entry: Option<&GeneratorOptions>, global: Option<&GeneratorOptions>) -> GeneratorOptions {
    let mut options = global.cloned().unwrap_or_default();
    if let Some(entry) = entry {
        options.labels.extend(entry.labels.clone());
        options.annotations.extend(entry.annotations.clone());
        options.disable_name_suffix_hash |= entry.disable_name_suffix_hash;
        options.immutable |= entry.immutable;
    }
    options
}

/// Builds a ConfigMap.
pub(crate) fn config_map(
    args: &ConfigMapArgs,
    pairs: Pairs,
    global: Option<&GeneratorOptions>,
) -> Result<Generated> {
    let options = options_of(args.options.as_ref(), global);
    let mut map = head("ConfigMap", &args.name, &args.namespace, &options)?;
    let (mut data, mut binary) = (Mapping::new(), Mapping::new());
    for (key, value) in pairs {
        if data.contains_key(&key) || binary.contains_key(&key) {
            return Err(BuildError::invalid(format!(
                "configmap {} illegally repeats the key `{key}`",
                args.name
            )));
        }
        match String::from_utf8(value) {
            Ok(text) => data.insert(key, quoted(text)),
            Err(bytes) => binary.insert(key, quoted(base64_lines(bytes.as_bytes()))),
        }
    }
    if !data.is_empty() {
        map.insert("data", data);
    }
    if !binary.is_empty() {
        map.insert("binaryData", binary);
    }
    Ok(finish(map, &options, &args.behavior))
}

/// Builds a Secret.
pub(crate) fn secret(
    args: &SecretArgs,
    pairs: Pairs,
    global: Option<&GeneratorOptions>,
) -> Result<Generated> {
    let options = options_of(args.options.as_ref(), global);
    let mut map = head("Secret", &args.name, &args.namespace, &options)?;
    map.insert("type", quoted(if args.kind.is_empty() { "Opaque".into() } else { args.kind.clone() }));
    let mut data = Mapping::new();
    for (key, value) in pairs {
        if data.contains_key(&key) {
            return Err(BuildError::invalid(format!(
                "secret {} illegally repeats the key `{key}`",
                args.name
            )));
        }
        data.insert(key, quoted(base64_lines(&value)));
    }
    map.insert("data", data);
    Ok(finish(map, &options, &args.behavior))
}

fn head(kind: &str, name: &str, namespace: &str, options: &GeneratorOptions) -> Result<Mapping> {
    if name.is_empty() {
        return Err(BuildError::invalid("a configmap must have a name"));
    }
    let mut metadata = Mapping::new();
    metadata.insert("name", Node::text(name));
    if !namespace.is_empty() {
        metadata.insert("namespace", Node::text(namespace));
    }
    for (field, pairs) in [("labels", &options.labels), ("annotations", &options.annotations)] {
        if !pairs.is_empty() {
            let pairs: Mapping = pairs.iter().map(|(k, v)| (k.clone(), quoted(v.clone()))).collect();
            metadata.insert(field, pairs);
        }
    }
    let mut map = Mapping::new();
    map.insert("apiVersion", Node::text("v1"));
    map.insert("kind", Node::text(kind));
    map.insert("metadata", metadata);
    Ok(map)
}

fn finish(mut map: Mapping, options: &GeneratorOptions, behavior: &str) -> Generated {
    if options.immutable {
        map.insert("immutable", Scalar { text: "true".into(), tag: Tag::Bool, style: Style::Plain });
    }
    let mut resource = Resource::new(map);
    resource.needs_hash = !options.disable_name_suffix_hash;
    Generated { resource, behavior: Behavior::new(behavior) }
}

/// A text that stays one whatever a patch puts in its place.
fn quoted(text: String) -> Node {
    Node::Scalar(Scalar { text, tag: Tag::Str, style: Style::Quoted })
}

/// Base64; from 70 characters on in lines of 70, each with its newline.
pub(crate) fn base64_lines(bytes: &[u8]) -> String {
    const WIDTH: usize = 70;
    let encoded = STANDARD.encode(bytes);
    if encoded.len() < WIDTH {
        return encoded;
    }
    let mut out = String::with_capacity(encoded.len() + encoded.len() / WIDTH + 1);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(WIDTH));
        out.push_str(line);
        out.push('\n');
        rest = tail;
    }
    out
}
