//! Putting a generated object among the others: create, replace or merge.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sluice_yaml::{Mapping, Node};

use super::{Behavior, Generated, quoted};
use crate::error::{BuildError, Result};
use crate::id::ResId;
use crate::objects::Objects;
use crate::resource::Resource;

/// Adds a generated object, or merges it into the one that has (or had) its identity.
pub(crate) fn absorb(objects: &mut Objects, generated: Generated, limit: usize) -> Result<()> {
    let Generated { mut resource, behavior } = generated;
    let id = resource.id();
    let matches = objects.find_any(&id);
    match (matches.as_slice(), behavior) {
        ([], Behavior::Merge | Behavior::Replace) => {
            Err(BuildError::invalid(format!("id {} does not exist; cannot merge or replace", go_syntax(&id))))
        }
        ([], _) => objects.append(resource, limit),
        ([at], Behavior::Merge | Behavior::Replace) => {
            let old = &mut objects.items_mut()[*at];
            inherit(&mut resource, old);
            if behavior == Behavior::Merge {
                merge_data(&mut resource, old);
            }
            *old = resource;
            Ok(())
        }
        ([_], _) => Err(BuildError::invalid(format!(
            "id {} exists; can not use behavior: '{}', behavior must be merge or replace",
            go_syntax(&id),
            behavior.name()
        ))),
        (several, _) => {
            let ids: Vec<_> = several.iter().map(|at| objects.as_slice()[*at].id().to_string()).collect();
            Err(BuildError::invalid(format!(
                "found multiple objects [{}] that could accept merge of {id}",
                ids.join(" ")
            )))
        }
    }
}

/// Takes over what the old object is: name, namespace, history, labels and annotations below the new ones.
fn inherit(new: &mut Resource, old: &mut Resource) {
    let (name, namespace) = (old.name().to_owned(), old.namespace().to_owned());
    new.set_name(&name);
    if !namespace.is_empty() {
        new.set_namespace(&namespace);
    }
    for field in ["labels", "annotations"] {
        let pairs = |resource: &Resource| {
            let map = resource.map.get("metadata").and_then(|m| m.get(field)).and_then(Node::as_map);
            map.cloned().unwrap_or_default()
        };
        let mut merged = pairs(old);
        for (key, value) in pairs(new) {
            merged.insert(key, value);
        }
        if !merged.is_empty()
            && let Some(metadata) = new.map.get_mut("metadata").and_then(Node::as_map_mut)
        {
            metadata.insert(field, merged);
        }
    }
    new.history = std::mem::take(&mut old.history);
    new.prefixes = std::mem::take(&mut old.prefixes);
    new.suffixes = std::mem::take(&mut old.suffixes);
    new.vars = std::mem::take(&mut old.vars);
    new.needs_hash &= old.needs_hash;
    new.place = old.place.clone();
    new.origin = old.origin.take().or(new.origin.take());
    new.transformations = std::mem::take(&mut old.transformations);
}

/// Puts the old data below the new.
fn merge_data(new: &mut Resource, old: &Resource) {
    let texts = |map: Option<&Node>| -> Mapping {
        let map = map.and_then(Node::as_map);
        let pairs = map.into_iter().flat_map(Mapping::iter);
        pairs.map(|(k, v)| (k.to_owned(), quoted(v.as_text().unwrap_or("").to_owned()))).collect()
    };
    for field in ["data", "binaryData"] {
        let mut merged = texts(old.map.get(field));
        if field == "data" && old.kind() == "Secret" && old.api_version() == "v1" {
            for (key, value) in texts(old.map.get("stringData")) {
                let text = value.as_text().unwrap_or("");
                merged.insert(key, quoted(STANDARD.encode(text)));
            }
        }
        for (key, value) in texts(new.map.get(field)) {
            merged.insert(key, value);
        }
        if !merged.is_empty() {
            new.map.insert(field, merged);
        }
    }
}

fn go_syntax(id: &ResId) -> String {
    format!(
        "resid.ResId{{Gvk:resid.Gvk{{Group:{:?}, Version:{:?}, Kind:{:?}, isClusterScoped:false}}, Name:{:?}, Namespace:{:?}}}",
        id.gvk.group, id.gvk.version, id.gvk.kind, id.name, id.namespace
    )
}
