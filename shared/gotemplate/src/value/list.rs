//! A Go slice: items that never change, shared by reference.

use std::{ops::Deref, rc::Rc};

use super::{Type, Value, bury};

/// A slice. Cheap to clone. Templates cannot change an item in place, so there is no way to.
#[derive(Clone)]
pub struct List(Rc<Items>);

struct Items {
    elem: Type,
    nil: bool,
    items: Vec<Value>,
}

impl List {
    /// A `[]interface {}`.
    pub fn new(items: Vec<Value>) -> Self {
        Self::typed(Type::Any, items)
    }

    /// A slice with elements of the type `elem`, which the caller answers for.
    pub fn typed(elem: Type, items: Vec<Value>) -> Self {
        List(Rc::new(Items { elem, nil: false, items }))
    }

    /// A nil slice: empty, and `null` in JSON.
    pub fn nil(elem: Type) -> Self {
        List(Rc::new(Items { elem, nil: true, items: Vec::new() }))
    }

    /// A `[]string`.
    pub fn strings<T: Into<super::Str>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::typed(Type::String, items.into_iter().map(|item| Value::String(item.into())).collect())
    }

    /// The type of the elements.
    pub fn elem(&self) -> Type {
        self.0.elem
    }

    /// Whether it is a nil slice.
    pub fn is_nil(&self) -> bool {
        self.0.nil
    }

    /// The type of the slice.
    pub fn go_type(&self) -> Type {
        match self.0.elem {
            Type::Any => Type::LIST,
            Type::String => Type::STRINGS,
            Type::Int => Type::Slice(&Type::Int),
            Type::Int64 => Type::Slice(&Type::Int64),
            Type::Float64 => Type::Slice(&Type::Float64),
            Type::Bool => Type::Slice(&Type::Bool),
            Type::Uint8 => Type::BYTES,
            Type::Map(_) => Type::Slice(&Type::MAP),
            Type::Slice(&Type::String) => Type::Slice(&Type::STRINGS),
            Type::Slice(_) => Type::Slice(&Type::LIST),
            _ => Type::LIST,
        }
    }
}

impl Deref for List {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.0.items
    }
}

impl Drop for Items {
    /// Without recursion: a list may hold a list that holds a list, a million times.
    fn drop(&mut self) {
        bury(self.items.drain(..));
    }
}

impl List {
    /// Takes the items out if nobody else holds the list.
    pub(super) fn into_items(self) -> Option<Vec<Value>> {
        Rc::into_inner(self.0).map(|mut inner| std::mem::take(&mut inner.items))
    }
}
