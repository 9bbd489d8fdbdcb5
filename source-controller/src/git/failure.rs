//! What a Git error means for the object: reason and text, as Flux words them (sources.md 7.3).

use sluice_git::{Error, Reference, Remote};

use crate::kind::{Failure, Stop};

/// What was being asked of the remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// Which commit a reference names, while there is an artifact already.
    List,
    /// The commit itself.
    Clone,
}

/// Why Git work gave nothing.
#[derive(Debug)]
pub(super) enum GitFailure {
    /// Git said why.
    Git(Error),
    /// The thread that worked ended.
    Lost(String),
}

impl GitFailure {
    /// Whether the host did not answer at all.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::Git(Error::Timeout { .. } | Error::Network { .. }))
    }

    /// The end of the pass.
    pub(super) fn stop(self, remote: &Remote, reference: &Reference, asking: Asking) -> Stop {
        let error = match self {
            Self::Git(Error::EmptyRepository { .. }) => {
                return Failure::fetch("EmptyGitRepository", "git repository is empty").retry();
            }
            Self::Git(error) => text(&error, remote, reference, asking),
            Self::Lost(error) => format!("the worker ended: {error}"),
        };
        let message = format!("failed to checkout and determine revision: {error}");
        Failure::fetch("GitOperationFailed", message).retry()
    }
}

fn text(error: &Error, remote: &Remote, reference: &Reference, asking: Asking) -> String {
    let url = remote.url();
    match error {
        Error::RefNotFound { .. } if matches!(reference, Reference::Name(_)) => {
            let Reference::Name(name) = reference else { return error.to_string() };
            format!("unable to resolve ref '{name}' to a specific commit")
        }
        Error::RefNotFound { .. } | Error::RepositoryNotFound { .. } => {
            format!("unable to clone: {}: git repository: '{url}'", error.without_url())
        }
        Error::CommitNotFound { commit, .. } => {
            format!("unable to resolve commit object for '{commit}': {}", error.without_url())
        }
        Error::Semver(_) | Error::NoSemverMatch { .. } | Error::InvalidReference { .. } => error.to_string(),
        error => match asking {
            Asking::List => format!("unable to list remote for '{url}': {}", error.without_url()),
            Asking::Clone => format!("unable to clone '{url}': {}", error.without_url()),
        },
    }
}
