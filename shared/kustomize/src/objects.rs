//! The ordered list of objects of a build, with a lookup by name.

use std::collections::HashMap;

use crate::error::{BuildError, ErrorKind, Result};
use crate::id::ResId;
use crate::resource::Resource;

/// Objects in order. Identities are unique while objects are added.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    items: Vec<Resource>,
    /// Positions by every name that an object has or had; rebuilt when needed.
    by_name: Option<HashMap<String, Vec<usize>>>,
    /// Bytes that large entries have added so far.
    added: usize,
}

impl Objects {
    pub(crate) fn as_slice(&self) -> &[Resource] {
        &self.items
    }

    /// The objects, to change anything about them.
    pub(crate) fn items_mut(&mut self) -> &mut Vec<Resource> {
        self.by_name = None;
        &mut self.items
    }

    pub(crate) fn into_vec(self) -> Vec<Resource> {
        self.items
    }

    /// Counts an entry of `bytes` that is put into `times` objects; small ones are free.
    ///
    /// # Errors
    /// If large entries add more than `limit` bytes in all.
    pub(crate) fn charge(&mut self, bytes: usize, times: usize, limit: usize) -> Result<()> {
        const FREE: usize = 1024;
        self.added = self.added.saturating_add(bytes.saturating_sub(FREE).saturating_mul(times));
        if self.added > limit {
            let text = format!("patches, replacements and labels add more than {limit} bytes");
            return Err(BuildError::new(ErrorKind::TooLarge, text));
        }
        Ok(())
    }

    /// How much was charged.
    pub(crate) fn charged(&self) -> usize {
        self.added
    }

    /// Positions of the objects that have or had this name, in order.
    pub(crate) fn named(&mut self, name: &str) -> &[usize] {
        let items = &self.items;
        let index = self.by_name.get_or_insert_with(|| {
            let mut index: HashMap<String, Vec<usize>> = HashMap::new();
            for (at, item) in items.iter().enumerate() {
                add(&mut index, at, item);
            }
            index
        });
        index.get(name).map_or(&[], Vec::as_slice)
    }

    /// Positions of the objects that have or had this identity.
    pub(crate) fn find_any(&mut self, id: &ResId) -> Vec<usize> {
        let candidates = self.named(&id.name).to_vec();
        candidates.into_iter().filter(|at| self.items[*at].is_or_was(id)).collect()
    }

    /// Whether an object has this identity now.
    pub(crate) fn contains(&mut self, id: &ResId) -> bool {
        let candidates = self.named(&id.name).to_vec();
        candidates.into_iter().any(|at| self.items[at].is(id))
    }

    /// Adds an object at the end.
    ///
    /// # Errors
    /// If its identity is taken, or there are too many objects.
    pub(crate) fn append(&mut self, resource: Resource, limit: usize) -> Result<()> {
        let id = resource.id();
        if self.contains(&id) {
            return Err(already_registered(&id));
        }
        if self.items.len() >= limit {
            return Err(BuildError::new(
                ErrorKind::TooLarge,
                format!("the build has more than {limit} objects"),
            ));
        }
        if let Some(index) = &mut self.by_name {
            add(index, self.items.len(), &resource);
        }
        self.items.push(resource);
        Ok(())
    }

    /// Checks that no two objects have the same identity now.
    pub(crate) fn check_unique(&self) -> Result<()> {
        let mut seen = std::collections::HashSet::with_capacity(self.items.len());
        for item in &self.items {
            let (group, version) = item.group_version();
            if !seen.insert((group, version, item.kind(), item.name(), item.effective_namespace())) {
                return Err(already_registered(&item.id()));
            }
        }
        Ok(())
    }

    /// Drops objects that became empty.
    pub(crate) fn drop_empty(&mut self) {
        if self.items.iter().any(Resource::is_empty) {
            self.items_mut().retain(|item| !item.is_empty());
        }
    }
}

fn add(index: &mut HashMap<String, Vec<usize>>, at: usize, item: &Resource) {
    for (_, name, _) in item.identities() {
        let places = index.entry(name.to_owned()).or_default();
        if places.last() != Some(&at) {
            places.push(at);
        }
    }
}

fn already_registered(id: &ResId) -> BuildError {
    BuildError::invalid(format!("may not add resource with an already registered id: {id}"))
}
