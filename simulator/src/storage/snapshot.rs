//! Lists: a page of a collection, now or as it was at an earlier revision.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::store::{Collection, Store};
use super::{Change, CollectionId, FieldSelector, Key, LabelSelector, Stored};

/// What to list.
#[derive(Debug, Default)]
pub(crate) struct Query {
    /// Only this namespace; `None` for all.
    pub(crate) namespace: Option<String>,
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
    /// Start behind this key.
    pub(crate) after: Option<Key>,
    /// At most so many objects; zero for all.
    pub(crate) limit: usize,
    /// The state at this revision instead of the newest.
    pub(crate) at: Option<u64>,
}

impl Query {
    pub(crate) fn matches(&self, object: &Stored) -> bool {
        self.namespace.as_ref().is_none_or(|ns| *ns == object.key.namespace)
            && self.labels.matches(object)
            && self.fields.matches(object)
    }

    pub(crate) fn is_selective(&self) -> bool {
        !self.labels.is_empty() || !self.fields.is_empty()
    }
}

/// A page of objects.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) objects: Vec<Arc<Stored>>,
    /// The revision that the page shows.
    pub(crate) revision: u64,
    /// How many more keys lie behind the page (before selection).
    pub(crate) remaining: usize,
}

impl Store {
    /// Lists a collection; `None` if the state at the asked revision is gone.
    pub(crate) fn list(&self, collection: &CollectionId, query: &Query) -> Option<Listing> {
        self.read(|state| {
            let revision = state.revision;
            let Some(c) = state.collections.get(collection) else {
                return Some(Listing {
                    objects: Vec::new(),
                    revision: query.at.unwrap_or(revision),
                    remaining: 0,
                });
            };
            match query.at {
                Some(at) if at < revision => Some(page(&at_revision(c, at)?, query, at)),
                _ => Some(page(&c.objects, query, revision)),
            }
        })
    }
}

fn page(objects: &BTreeMap<Key, Arc<Stored>>, query: &Query, revision: u64) -> Listing {
    let start = match (&query.after, &query.namespace) {
        (Some(key), _) => Bound::Excluded(key.clone()),
        (None, Some(namespace)) => Bound::Included(Key::new(namespace, "")),
        (None, None) => Bound::Unbounded,
    };
    let mut range = objects
        .range((start, Bound::Unbounded))
        .map(|(_, o)| o)
        .take_while(|o| query.namespace.as_ref().is_none_or(|ns| *ns == o.key.namespace));
    let mut found = Vec::new();
    let mut remaining = 0;
    while let Some(object) = range.next() {
        if !query.matches(object) {
            continue;
        }
        found.push(object.clone());
        if query.limit > 0 && found.len() == query.limit {
            remaining = range.count();
            break;
        }
    }
    Listing { objects: found, revision, remaining }
}

/// Takes back, newest first, every change after `revision`.
fn at_revision(collection: &Collection, revision: u64) -> Option<BTreeMap<Key, Arc<Stored>>> {
    let mut objects = collection.objects.clone();
    for event in collection.log.after(revision)?.rev() {
        match (event.change, &event.previous) {
            (Change::Added, _) | (_, None) => objects.remove(&event.object.key),
            (_, Some(previous)) => objects.insert(previous.key.clone(), previous.clone()),
        };
    }
    Some(objects)
}
