//! The semantics of the verbs, for every kind alike: what a create, an update, a patch, a delete, a list means.
//!
//! Nothing here knows HTTP. A request names a [`Target`]; a write passes decoding, ownership, the kind's strategy and
//! validation before it reaches the store.

mod admission;
mod body;
mod bootstrap;
pub(crate) mod columns;
mod convert;
mod crds;
mod defaults;
mod delete;
mod printers;
mod read;
mod registry;
mod services;
mod status;
mod strategy;
mod write;

use std::sync::Arc;

pub(crate) use delete::DeleteOptions;
pub(crate) use read::{ListOptions, Page};
pub(crate) use registry::{GroupVersion, Registry, Resource, Served};
pub(crate) use status::{ApiError, success};
pub(crate) use write::{FieldValidation, PatchType, WriteOptions, Written, invalid_options, must_be_named};

use crate::server::Options;
use crate::storage::{Key, Store, Stored};

/// The cluster: its objects and the kinds that it serves.
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) registry: Registry,
    ca_pem: String,
}

/// What a request is about.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) resource: Arc<Resource>,
    /// Empty for cluster-scoped resources, and for lists over all namespaces.
    pub(crate) namespace: String,
    /// Empty for collections.
    pub(crate) name: String,
    /// `status`, `scale` or empty.
    pub(crate) subresource: String,
}

impl Target {
    pub(crate) fn new(resource: Arc<Resource>, namespace: &str, name: &str) -> Self {
        Self { resource, namespace: namespace.to_owned(), name: name.to_owned(), subresource: String::new() }
    }

    fn key(&self) -> Key {
        Key::new(&self.namespace, &self.name)
    }
}

impl Api {
    /// A cluster with the four system namespaces and the nodes of `options`.
    ///
    /// # Errors
    /// A text, if the tables of built-in kinds do not parse.
    pub(crate) fn new(options: &Options, ca_pem: &str) -> Result<Arc<Self>, String> {
        let api = Arc::new(Self {
            store: Store::new(options.watch_history),
            registry: Registry::new()?,
            ca_pem: ca_pem.to_owned(),
        });
        api.bootstrap(options.nodes)?;
        Ok(api)
    }

    /// The target for a resource in a version.
    ///
    /// # Errors
    /// 404 if it is not served.
    pub(crate) fn target(
        &self,
        group: &str,
        version: &str,
        plural: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Target, ApiError> {
        let resource = self.registry.find(group, version, plural).ok_or_else(ApiError::no_such_resource)?;
        Ok(Target::new(resource, namespace, name))
    }

    /// The target of a stored object, in some served version.
    pub(crate) fn target_of(&self, stored: &Stored) -> Option<Target> {
        let resource = self.registry.served().of_collection(&stored.collection)?.clone();
        Some(Target::new(resource, &stored.key.namespace, &stored.key.name))
    }

    /// The certificate authority of this server, PEM.
    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }
}

/// The time as Kubernetes writes it: RFC 3339, whole seconds, UTC.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
