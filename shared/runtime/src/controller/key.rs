//! Which object, and what woke it.

use kube::{Resource, ResourceExt};
use std::fmt;
use std::sync::Arc;

/// Namespace and name of an object of the controller's own kind. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Namespace, empty for cluster-scoped kinds.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl Key {
    /// A key from its parts.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of an object.
    pub fn of<K: Resource>(object: &K) -> Self {
        Self::new(&object.namespace().unwrap_or_default(), &object.name_any())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why an object is reconciled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The first list after the start.
    Start,
    /// The object itself was created, changed or asked for.
    Own,
    /// Another object changed; its `Kind/namespace/name` is what messages show.
    Related(Arc<str>),
    /// The time that the last pass asked for has come.
    Timer,
}

impl Cause {
    /// A change of another object.
    pub fn related(kind: &str, namespace: &str, name: &str) -> Self {
        Cause::Related(format!("{kind}/{namespace}/{name}").into())
    }

    /// Whether something outside of the controller asked for the pass: such work goes first and interrupts waits.
    pub fn is_external(&self) -> bool {
        matches!(self, Cause::Own | Cause::Related(_))
    }
}
