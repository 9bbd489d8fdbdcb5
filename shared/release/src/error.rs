//! Why an action, the storage or a look for drift failed, in Helm's and Flux's words.

use sluice_apply::rest::RequestError;
use sluice_helm::release::DecodeError;

/// Why the storage of releases could not be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The API server refused, or did not answer.
    #[error("{verb} secret {namespace}/{name}: {cause}")]
    Request {
        /// `get`, `list`, `create`, `update` or `delete`.
        verb: &'static str,
        /// The storage namespace.
        namespace: String,
        /// The Secret, or what selects it.
        name: String,
        /// What came back.
        cause: RequestError,
    },
    /// A Secret holds no release.
    #[error("secret {namespace}/{name} holds no readable release: {cause}")]
    Corrupt {
        /// The storage namespace.
        namespace: String,
        /// The Secret.
        name: String,
        /// What is wrong with it.
        cause: DecodeError,
    },
}

/// Why an action did not get through. The text is the one that conditions show.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ActionError {
    /// There is no such release or revision.
    #[error("{0}")]
    NotFound(String),
    /// The caller cancelled; what was under way is stored as failed.
    #[error("context canceled")]
    Canceled,
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A step failed.
    #[error("{0}")]
    Failed(String),
}

impl ActionError {
    /// A failed step with its cause; a cancelled one stays cancelled.
    pub(crate) fn during(self, step: &str) -> Self {
        match self {
            Self::Canceled => Self::Canceled,
            other => Self::Failed(format!("{step}: {other}")),
        }
    }

    pub(crate) fn failed(cause: impl std::fmt::Display) -> Self {
        Self::Failed(cause.to_string())
    }
}
