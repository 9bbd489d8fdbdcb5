//! Schema documents, the resources in them (parts with an address of their own) and their anchors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::Fault;
use super::draft::{self, Draft};
use super::pointer::{self, Lost};

/// A place in a document: its address and a JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) url: Arc<str>,
    pub(super) pointer: String,
}

impl Place {
    /// `url#pointer`.
    pub(super) fn location(&self) -> String {
        format!("{}#{}", self.url, pointer::encode_fragment(&self.pointer))
    }
}

/// A document and what was found in it.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) url: Arc<str>,
    pub(super) value: Arc<Value>,
    /// By pointer.
    resources: BTreeMap<String, Resource>,
    /// The pointers of the resources by their addresses.
    ids: BTreeMap<String, String>,
    visited: BTreeSet<String>,
}

/// A part of a document that references can name by an address of its own.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    pub(super) pointer: String,
    /// Its address; relative references inside are relative to it.
    pub(super) id: String,
    pub(super) draft: Draft,
    anchors: BTreeMap<String, String>,
    pub(super) dynamic_anchors: BTreeSet<String>,
}

impl Document {
    /// Finds the resources of a document.
    pub(super) fn new(url: Arc<str>, value: Arc<Value>) -> Result<Self, Fault> {
        let mut document = Self {
            url: Arc::clone(&url),
            value: Arc::clone(&value),
            resources: BTreeMap::new(),
            ids: BTreeMap::new(),
            visited: BTreeSet::new(),
        };
        document.collect(&value, &url, String::new(), Draft::DEFAULT)?;
        Ok(document)
    }

    /// The innermost resource around a place.
    pub(super) fn resource(&self, pointer: &str) -> &Resource {
        let mut at = pointer;
        loop {
            if let Some(resource) = self.resources.get(at) {
                return resource;
            }
            match at.rfind('/') {
                Some(slash) => at = at.get(..slash).unwrap_or_default(),
                // `new` put a resource at the root, whatever the document is.
                None => return &self.resources[""],
            }
        }
    }

    /// Looks for resources below a place that no keyword leads to, and says whether it was new.
    pub(super) fn visit(&mut self, pointer: &str) -> Result<bool, Fault> {
        if self.visited.contains(pointer) {
            return Ok(false);
        }
        let value = Arc::clone(&self.value);
        let found = self.lookup(&value, pointer)?;
        let (base, draft) = {
            let resource = self.resource(pointer);
            (resource.id.clone(), resource.draft)
        };
        self.collect(found, &base, pointer.to_owned(), draft)?;
        Ok(true)
    }

    /// What stands at a place of this document.
    pub(super) fn lookup<'a>(&self, value: &'a Value, pointer: &str) -> Result<&'a Value, Fault> {
        pointer::lookup(value, pointer).map_err(|lost| {
            let place = Place { url: Arc::clone(&self.url), pointer: pointer.to_owned() }.location();
            Fault(match lost {
                Lost::Malformed => format!("invalid json-pointer {place:?}"),
                Lost::Absent => format!("json-pointer in {place:?} not found"),
            })
        })
    }

    /// The place of an address inside of this document, if it is inside.
    pub(super) fn resolve(&self, url: &str, fragment: &str) -> Result<Option<String>, Fault> {
        let resource = if url == &*self.url {
            Some(self.resource(""))
        } else {
            self.ids.get(url).and_then(|pointer| self.resources.get(pointer))
        };
        resource.map(|resource| self.fragment_in(resource, fragment)).transpose()
    }

    fn fragment_in(&self, resource: &Resource, fragment: &str) -> Result<String, Fault> {
        if fragment.is_empty() || fragment.starts_with('/') {
            return Ok(format!("{}{fragment}", resource.pointer));
        }
        resource.anchors.get(fragment).cloned().ok_or_else(|| {
            let reference = format!("{}#{}", resource.id, pointer::encode_fragment(fragment));
            Fault(format!("anchor in {reference:?} not found in schema {:?}", self.url))
        })
    }

    /// The place of an anchor of a resource.
    pub(super) fn anchor<'a>(&self, resource: &'a Resource, anchor: &str) -> Option<&'a str> {
        resource.anchors.get(anchor).map(String::as_str)
    }

    /// Depth is bounded by the reader of JSON.
    fn collect(&mut self, schema: &Value, base: &str, at: String, inherited: Draft) -> Result<(), Fault> {
        if !self.visited.insert(at.clone()) {
            return Ok(());
        }
        let Some(map) = schema.as_object() else {
            if at.is_empty() {
                self.add_resource(at, base.to_owned(), inherited)?;
            }
            return Ok(());
        };
        let declared = match map.get("$schema").and_then(Value::as_str) {
            Some(url) => Some(Draft::named(url).map_or_else(|| foreign(url), Ok)?),
            None => None,
        };
        // Only a resource may choose its draft.
        let own = declared.unwrap_or(inherited);
        let (draft, id) = match own.id(map) {
            Some(id) => (own, Some(id)),
            None if at.is_empty() => (own, None),
            None => (inherited, inherited.id(map)),
        };
        let base = match id {
            Some(id) => pointer::resolve(base, id).ok_or_else(|| {
                let place = Place { url: Arc::clone(&self.url), pointer: at.clone() }.location();
                Fault(format!("error in parsing id at {place:?}"))
            })?,
            None => base.to_owned(),
        };
        if id.is_some() || at.is_empty() {
            self.add_resource(at.clone(), base.clone(), draft)?;
        }
        self.collect_anchors(map, &at, &base)?;
        let mut children = Vec::new();
        draft.subschemas(map, |pointer, value| children.push((format!("{at}{pointer}"), value)));
        for (at, value) in children {
            self.collect(value, &base, at, draft)?;
        }
        Ok(())
    }

    fn add_resource(&mut self, pointer: String, id: String, draft: Draft) -> Result<(), Fault> {
        if let Some(other) = self.ids.get(&id) {
            if *other == pointer {
                return Ok(());
            }
            return Err(Fault(format!("duplicate id {id:?} in {:?} at {pointer:?} and {other:?}", self.url)));
        }
        self.ids.insert(id.clone(), pointer.clone());
        let resource = Resource {
            pointer: pointer.clone(),
            id,
            draft,
            anchors: BTreeMap::new(),
            dynamic_anchors: BTreeSet::new(),
        };
        self.resources.insert(pointer, resource);
        Ok(())
    }

    fn collect_anchors(&mut self, schema: &Map<String, Value>, at: &str, base: &str) -> Result<(), Fault> {
        let Some(resource) = self.ids.get(base).and_then(|pointer| self.resources.get_mut(pointer)) else {
            return Ok(());
        };
        let text = |keyword| schema.get(keyword).and_then(Value::as_str);
        let mut anchors = Vec::new();
        if resource.draft < Draft::Draft2019 {
            if schema.contains_key("$ref") {
                return Ok(());
            }
            let fragment = text(resource.draft.id_keyword()).and_then(|id| id.split_once('#'));
            if let Some((_, fragment)) = fragment {
                let anchor = pointer::decode_fragment(fragment).ok_or_else(|| {
                    let place = Place { url: Arc::clone(&self.url), pointer: at.to_owned() }.location();
                    Fault(format!("error in parsing anchor at {place:?}"))
                })?;
                if !anchor.is_empty() && !anchor.starts_with('/') {
                    anchors.push(anchor);
                }
            }
        } else {
            anchors.extend(text("$anchor").map(str::to_owned));
            if resource.draft >= Draft::Draft2020
                && let Some(anchor) = text("$dynamicAnchor")
            {
                anchors.push(anchor.to_owned());
                resource.dynamic_anchors.insert(anchor.to_owned());
            }
        }
        for anchor in anchors {
            if let Some(other) = resource.anchors.get(&anchor)
                && other != at
            {
                return Err(Fault(format!(
                    "duplicate anchor {anchor:?} in {:?} at {other:?} and {at:?}",
                    self.url
                )));
            }
            resource.anchors.insert(anchor, at.to_owned());
        }
        Ok(())
    }
}

/// A `$schema` that is none of the drafts: a dialect of somebody's own, which would have to be fetched.
fn foreign(url: &str) -> Result<Draft, Fault> {
    let url = url.split('#').next().unwrap_or(url);
    load(url).map(|_| Draft::DEFAULT)
}

/// Fetches a document that a schema refers to: only those of the specification are at hand.
///
/// A chart is untrusted: what it names on the network or on this disk is not read.
pub(super) fn load(url: &str) -> Result<Arc<Value>, Fault> {
    if let Some(document) = draft::specification(url) {
        return Ok(document);
    }
    let scheme = url::Url::parse(url).map(|url| url.scheme().to_owned()).unwrap_or_default();
    match scheme.as_str() {
        // Helm takes anything for an unknown name.
        "urn" => Ok(Arc::new(Value::Bool(true))),
        "file" => Err(Fault(format!(
            "failing loading {url:?}: references to local files are not followed; put the definition into values.schema.json"
        ))),
        "http" | "https" => Err(Fault(format!(
            "failing loading {url:?}: references to the network are not followed; put the definition into values.schema.json"
        ))),
        _ => Err(Fault(format!("failing loading {url:?}: no URLLoader registered for {url:?}"))),
    }
}
