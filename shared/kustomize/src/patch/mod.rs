//! The `patches` field and its deprecated forms: which kind of patch an entry is, and what it applies to.

mod json_patch;
pub(crate) mod label_selector;
mod merge;
pub(crate) mod selector;

use std::path::Path;

use serde::Serialize;
use sluice_yaml::{Node, Value};

use self::json_patch::JsonPatch;
use self::selector::Selector;
use crate::error::{BuildError, ErrorKind, Result, Within as _};
use crate::file;
use crate::loader::Files;
use crate::objects::Objects;
use crate::read;
use crate::resource::{Resource, check_identity};
use crate::tables::root_type;

/// A patch, read and checked, ready to apply.
#[derive(Debug)]
pub(crate) struct Patch {
    content: Content,
    target: Option<file::Selector>,
    /// Bytes of its text.
    size: usize,
    allow_name_change: bool,
    allow_kind_change: bool,
    /// Whether names from before stay known. Not for the deprecated JSON form.
    remembers: bool,
    /// The bare messages of the deprecated strategic form.
    bare: bool,
}

#[derive(Debug)]
enum Content {
    Strategic(Vec<Resource>),
    Json(JsonPatch),
}

/// An entry as YAML, for messages.
pub(crate) fn entry_yaml(entry: &impl Serialize) -> String {
    serde_json::to_value(entry).map_or_else(|_| String::new(), |value| sluice_yaml::to_string(&value))
}

/// `trouble configuring builtin K with config: …`.
pub(crate) fn trouble(kind: &str, entry: &impl Serialize) -> String {
    format!("trouble configuring builtin {kind} with config: `\n{}`", entry_yaml(entry))
}

impl Patch {
    /// Reads an entry of `patches`.
    pub(crate) fn new(files: &Files<'_>, dir: &Path, entry: &file::Patch) -> Result<Self> {
        let (content, shown, size) =
            Self::read(files, dir, entry).within(|| trouble("PatchTransformer", entry))?;
        match (&content, &entry.target) {
            (Content::Json(_), None) => {
                return Err(BuildError::invalid(format!("must specify a target for JSON patch {shown}")));
            }
            (Content::Strategic(objects), Some(_)) if objects.len() > 1 => {
                return Err(BuildError::invalid(format!(
                    "Multiple Strategic-Merge Patches in one `patches` entry is not allowed to set `patches.target` field: {shown}"
                )));
            }
            _ => {}
        }
        let option = |name: &str| entry.options.get(name).copied().unwrap_or(false);
        Ok(Self {
            content,
            target: entry.target.clone(),
            size,
            allow_name_change: option("allowNameChange"),
            allow_kind_change: option("allowKindChange"),
            remembers: true,
            bare: false,
        })
    }

    /// The content of an entry, and how messages show where it is from.
    fn read(files: &Files<'_>, dir: &Path, entry: &file::Patch) -> Result<(Content, String, usize)> {
        let inline = entry.patch.trim();
        let (text, shown) = match (entry.path.is_empty(), inline.is_empty()) {
            (true, true) => {
                return Err(BuildError::invalid(format!(
                    "must specify one of patch and path in\n{}",
                    entry_yaml(entry)
                )));
            }
            (false, false) => {
                return Err(BuildError::invalid(format!(
                    "patch and path can't be set at the same time\n{}",
                    entry_yaml(entry)
                )));
            }
            (false, true) => {
                let content = files
                    .read(dir, &entry.path)
                    .within(|| format!("failed to get the patch file from path({})", entry.path))?;
                (content, format!("[path: {:?}]", entry.path))
            }
            (true, false) => (entry.patch.clone().into_bytes(), format!("[patch: {:?}]", entry.patch)),
        };
        let json =
            read::text_of(&text).map_err(|error| error.to_string()).and_then(|text| JsonPatch::parse(&text));
        let content = match (read::objects(&text, ""), json) {
            (Ok(objects), Ok(_)) if !objects.is_empty() => {
                return Err(BuildError::invalid(format!(
                    "illegally qualifies as both an SM and JSON patch: {shown}"
                )));
            }
            (Ok(objects), Err(_)) => Content::Strategic(objects),
            (_, Ok(json)) => Content::Json(json),
            (Err(strategic), Err(json)) => {
                let text = format!(
                    "unable to parse SM or JSON patch from {shown} (as strategic merge patch: {strategic}; as JSON patch: {json})"
                );
                return Err(BuildError::new(ErrorKind::Malformed, text));
            }
        };
        Ok((content, shown, text.len()))
    }

    /// Reads an entry of the deprecated `patchesStrategicMerge`: objects, else a path.
    pub(crate) fn strategic(files: &Files<'_>, dir: &Path, entry: &str) -> Result<Self> {
        let inline = read::objects(entry.as_bytes(), "").ok();
        let (objects, size) = match inline {
            Some(objects) if !objects.is_empty() => (objects, entry.len()),
            _ => {
                let content = files.read(dir, entry)?;
                (read::objects(&content, entry)?, content.len())
            }
        };
        if objects.is_empty() {
            return Err(BuildError::invalid(format!("patch appears to be empty; files=[{entry}], Patch=")));
        }
        Ok(Self {
            content: Content::Strategic(objects),
            target: None,
            size,
            allow_name_change: false,
            allow_kind_change: false,
            remembers: true,
            bare: true,
        })
    }

    /// Reads an entry of the deprecated `patchesJson6902`.
    pub(crate) fn json6902(files: &Files<'_>, dir: &Path, entry: &file::Patch) -> Result<Self> {
        Self::read_json6902(files, dir, entry).within(|| trouble("PatchJson6902Transformer", entry))
    }

    fn read_json6902(files: &Files<'_>, dir: &Path, entry: &file::Patch) -> Result<Self> {
        let Some(target) = &entry.target else { return Err(BuildError::invalid("must specify a target")) };
        if target.name.is_empty() {
            return Err(BuildError::invalid("must specify the target name"));
        }
        let text = match (entry.path.is_empty(), entry.patch.is_empty()) {
            (true, true) => return Err(BuildError::invalid("empty file path and empty jsonOp")),
            (false, false) => {
                return Err(BuildError::invalid("must specify a file path or jsonOp, not both"));
            }
            (false, true) => {
                let content = files.read(dir, &entry.path)?;
                let text = read::text_of(&content)?.into_owned();
                if text.is_empty() {
                    return Err(BuildError::invalid(format!(
                        "patch file '{}' empty seems to be empty",
                        entry.path
                    )));
                }
                text
            }
            (true, false) => entry.patch.clone(),
        };
        let size = text.len();
        let json = JsonPatch::parse(&text)
            .map_err(|why| BuildError::new(ErrorKind::Malformed, format!("decoding {text:?}: {why}")))?;
        Ok(Self {
            content: Content::Json(json),
            target: entry.target.clone(),
            size,
            allow_name_change: false,
            allow_kind_change: false,
            remembers: false,
            bare: false,
        })
    }

    /// Applies the patch.
    ///
    /// # Errors
    /// Where it does not fit; [`ErrorKind::TooLarge`] if large patches add more than `limit` bytes in all.
    pub(crate) fn apply(&self, objects: &mut Objects, limit: usize) -> Result<()> {
        match (&self.content, &self.target) {
            (Content::Strategic(patches), None) => {
                patches.iter().try_for_each(|patch| self.apply_to_its_object(objects, patch))
            }
            (Content::Strategic(patches), Some(target)) => {
                let selector = Selector::new(target).map_err(|why| {
                    let shown = selector::shown(target);
                    BuildError::invalid(format!(
                        "unable to find patch target \"{shown}\" in `resources`: {why}"
                    ))
                })?;
                let Some(patch) = patches.first() else { return Ok(()) };
                self.charge(objects, &selector, limit)?;
                for resource in objects.items_mut().iter_mut().filter(|resource| selector.selects(resource)) {
                    self.merge_into(resource, patch)?;
                }
                objects.drop_empty();
                objects.check_unique()
            }
            (Content::Json(patch), Some(target)) => {
                let selector = Selector::new(target).map_err(BuildError::invalid)?;
                self.charge(objects, &selector, limit)?;
                for resource in objects.items_mut().iter_mut().filter(|resource| selector.selects(resource)) {
                    if self.remembers {
                        resource.remember();
                    }
                    let described = resource.described();
                    apply_json(resource, patch)
                        .within(|| format!("cannot apply JSON patch to {described}"))?;
                }
                Ok(())
            }
            (Content::Json(_), None) => Ok(()),
        }
    }

    fn charge(&self, objects: &mut Objects, selector: &Selector, limit: usize) -> Result<()> {
        let times = objects.as_slice().iter().filter(|resource| selector.selects(resource)).count();
        objects.charge(self.size, times, limit)
    }

    /// Merges into the one object that has (or had) the identity of the patch.
    fn apply_to_its_object(&self, objects: &mut Objects, patch: &Resource) -> Result<()> {
        let id = patch.id();
        let found = objects.find_any(&id);
        let [at] = found.as_slice() else {
            let problem = if found.is_empty() { "no matches for Id" } else { "multiple matches for Id" };
            let detail = format!("{problem} {id}; failed to find unique target for patch {id}");
            return Err(BuildError::invalid(if self.bare {
                detail
            } else {
                format!("no resource matches strategic merge patch \"{id}\": {detail}")
            }));
        };
        self.merge_into(&mut objects.items_mut()[*at], patch)?;
        objects.drop_empty();
        Ok(())
    }

    fn merge_into(&self, resource: &mut Resource, patch: &Resource) -> Result<()> {
        let (kind, name) = (resource.kind().to_owned(), resource.name().to_owned());
        let new_kind = if self.allow_kind_change { patch.kind().to_owned() } else { kind.clone() };
        let new_name = if self.allow_name_change { patch.name().to_owned() } else { name.clone() };
        let (group, version) = resource.group_version();
        let of = root_type(group, version, &kind).or_else(|| {
            let (group, version) = patch.group_version();
            root_type(group, version, patch.kind())
        });
        if self.allow_kind_change || self.allow_name_change {
            resource.remember();
        }
        let namespace = resource.map.get("metadata").and_then(|m| m.get("namespace")).cloned();
        let api_version = resource.map.get("apiVersion").cloned();
        let mut changes = patch.map.clone();
        changes.remove("apiVersion");
        changes.remove("kind");
        if let Some(metadata) = changes.get_mut("metadata").and_then(Node::as_map_mut) {
            metadata.remove("name");
            metadata.remove("namespace");
            if metadata.is_empty() {
                changes.remove("metadata");
            }
        }
        let dest = std::mem::take(&mut resource.map);
        let merged = merge::merge(dest, changes, of).map_err(|error| {
            error.within(format_args!("cannot apply strategic merge patch to {}", patch.id()))
        })?;
        // Nothing left, or nothing but what the identity needs: the object is deleted.
        let Some(map) = merged else { return Ok(()) };
        resource.map = map;
        if let Some(api_version) = api_version {
            resource.map.insert("apiVersion", api_version);
        }
        resource.set_kind(&new_kind);
        resource.set_name(&new_name);
        if let Some(metadata) = resource.map.get_mut("metadata").and_then(Node::as_map_mut)
            && let Some(namespace) = namespace
        {
            metadata.insert("namespace", namespace);
        }
        Ok(())
    }
}

fn apply_json(resource: &mut Resource, patch: &JsonPatch) -> Result<()> {
    // kustomize keeps its notes about generated, renamed and patched objects in annotations, so that those objects have
    // annotations to add to. An empty map goes at the end.
    if !resource.history.is_empty() || resource.place.file.is_empty() {
        resource.ensure_annotations();
    }
    let map = std::mem::take(&mut resource.map);
    let value = Node::Map(map).into_value().map_err(BuildError::invalid)?;
    match patch.apply(value)? {
        value @ Value::Object(_) => {
            if let Node::Map(map) = Node::from(value) {
                resource.map = map;
            }
            check_identity(&resource.map)
        }
        _ => Err(BuildError::invalid("the patch leaves no object")),
    }
}
