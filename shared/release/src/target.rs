//! Which release, in which namespaces.

/// A release and where it lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The release's name, shortened.
    pub release: String,
    /// The namespace that it is released to.
    pub namespace: String,
    /// The namespace of its Secrets.
    pub storage_namespace: String,
}
