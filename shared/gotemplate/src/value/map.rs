//! A Go map with string keys: a reference, changed in place by `set`, `unset` and `merge`.

use std::{
    cell::{Ref, RefCell},
    collections::BTreeMap,
    rc::{Rc, Weak},
};

use super::{ANY_MAP, MapType, STRING_MAP, Str, Type, Value, bury};

/// A map. A clone is the same map: what one holder changes, all see. Iteration is in the byte order of the keys, which
/// is the order of `range`, of printing and of JSON.
#[derive(Clone)]
pub struct Map {
    go_type: &'static MapType,
    inner: Rc<Inner>,
}

struct Inner {
    nil: bool,
    entries: RefCell<BTreeMap<Str, Value>>,
}

impl Default for Map {
    fn default() -> Self {
        Self::new()
    }
}

impl Map {
    /// An empty `map[string]interface {}`.
    pub fn new() -> Self {
        Self::typed(&ANY_MAP, BTreeMap::new())
    }

    /// A map of the type `go_type`, for whose elements the caller answers.
    pub fn typed(go_type: &'static MapType, entries: BTreeMap<Str, Value>) -> Self {
        Map { go_type, inner: Rc::new(Inner { nil: false, entries: RefCell::new(entries) }) }
    }

    /// A nil map: empty, and `null` in JSON.
    pub fn nil(go_type: &'static MapType) -> Self {
        Map { go_type, inner: Rc::new(Inner { nil: true, entries: RefCell::default() }) }
    }

    /// A `map[string]string`.
    pub fn strings<K: Into<Str>, V: Into<Str>>(entries: impl IntoIterator<Item = (K, V)>) -> Self {
        let entries = entries.into_iter().map(|(k, v)| (k.into(), Value::String(v.into()))).collect();
        Self::typed(&STRING_MAP, entries)
    }

    /// The type.
    pub fn map_type(&self) -> &'static MapType {
        self.go_type
    }

    /// Whether it is a nil map, which cannot be written to.
    pub fn is_nil(&self) -> bool {
        self.inner.nil
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.inner.entries.borrow().len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry of `key`.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<Value> {
        self.inner.entries.borrow().get(key.as_ref()).cloned()
    }

    /// Whether there is an entry of `key`.
    pub fn contains(&self, key: impl AsRef<[u8]>) -> bool {
        self.inner.entries.borrow().contains_key(key.as_ref())
    }

    /// Sets an entry of a map that is being made. A map that a template already holds is changed with
    /// [`crate::Context::set`], which remembers it in case it ends up inside itself.
    pub fn insert(&self, key: impl Into<Str>, value: Value) {
        let old = self.inner.entries.borrow_mut().insert(key.into(), value);
        drop(old); // after the borrow has ended: to drop a value can drop maps
    }

    /// Removes an entry and returns it.
    pub fn remove(&self, key: impl AsRef<[u8]>) -> Option<Value> {
        self.inner.entries.borrow_mut().remove(key.as_ref())
    }

    /// The entries in the byte order of their keys. The map must not be changed while they are borrowed: take
    /// [`Map::snapshot`] where a callee could.
    pub fn entries(&self) -> Ref<'_, BTreeMap<Str, Value>> {
        self.inner.entries.borrow()
    }

    /// A copy of the entries, in the byte order of their keys.
    pub fn snapshot(&self) -> Vec<(Str, Value)> {
        self.inner.entries.borrow().iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// A shallow copy, as a plain `map[string]interface {}` if the type is a named one over it.
    pub fn copy(&self) -> Map {
        let go_type = if self.go_type.elem == Type::Any { &ANY_MAP } else { self.go_type };
        Map::typed(go_type, self.inner.entries.borrow().clone())
    }

    /// The same map seen as another type, as a conversion in Go: what one view changes, the other sees.
    pub fn viewed_as(&self, go_type: &'static MapType) -> Map {
        Map { go_type, inner: Rc::clone(&self.inner) }
    }

    /// Whether both are the same map.
    pub fn same(&self, other: &Map) -> bool {
        Rc::ptr_eq(&self.inner, &other.inner)
    }

    /// The address, for `%p`.
    pub(crate) fn address(&self) -> usize {
        Rc::as_ptr(&self.inner).addr()
    }

    pub(crate) fn downgrade(&self) -> WeakMap {
        WeakMap(Rc::downgrade(&self.inner))
    }

    /// Takes the entries out if nobody else holds the map.
    pub(super) fn into_entries(self) -> Option<BTreeMap<Str, Value>> {
        Rc::into_inner(self.inner).map(|inner| inner.entries.take())
    }
}

impl<K: Into<Str>> FromIterator<(K, Value)> for Map {
    fn from_iter<T: IntoIterator<Item = (K, Value)>>(entries: T) -> Self {
        Self::typed(&ANY_MAP, entries.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }
}

impl Drop for Inner {
    /// Without recursion, see [`super::list::List`].
    fn drop(&mut self) {
        bury(self.entries.take().into_values());
    }
}

/// A map that is not kept alive.
pub(crate) struct WeakMap(Weak<Inner>);

impl WeakMap {
    /// Whether it is this map.
    pub(crate) fn is(&self, map: &Map) -> bool {
        std::ptr::eq(self.0.as_ptr(), Rc::as_ptr(&map.inner))
    }

    /// Whether somebody still holds the map.
    pub(crate) fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// Empties the map if somebody (it may be the map itself) still holds it.
    pub(crate) fn clear(&self) {
        if let Some(inner) = self.0.upgrade() {
            let entries = inner.entries.take();
            drop(entries);
        }
    }
}
