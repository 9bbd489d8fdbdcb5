//! Why Git work failed, told apart by what the caller can do about it.

use std::{path::PathBuf, time::Duration};

use crate::url::SafeUrl;

/// Result of a call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why Git work failed. No variant holds a credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be used.
    #[error("invalid address '{url}': {detail}")]
    InvalidUrl {
        /// The address, masked.
        url: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The address has a scheme that this crate does not speak.
    #[error("cannot reach '{url}': scheme '{scheme}' is not supported, only http and https are")]
    UnsupportedScheme {
        /// The scheme.
        scheme: String,
        /// The address, masked.
        url: String,
    },
    /// Credentials or TLS material that cannot be used as given.
    #[error("{detail}")]
    InvalidCredentials {
        /// What is wrong, without the secret.
        detail: String,
    },
    /// The server wants credentials, or refused the ones given (HTTP 401, 403; 407 of a proxy).
    #[error("authentication required: '{url}' answered {status}{}", said(.detail))]
    Unauthenticated {
        /// The repository.
        url: SafeUrl,
        /// The HTTP status code.
        status: u16,
        /// What the server said, if it was plain text.
        detail: String,
    },
    /// The server knows no such repository, or hides it from these credentials (HTTP 404).
    #[error("repository not found: '{url}'{}", said(.detail))]
    RepositoryNotFound {
        /// The repository.
        url: SafeUrl,
        /// What the server said, if it was plain text.
        detail: String,
    },
    /// The repository exists, but has no refs.
    #[error("git repository is empty: '{url}'")]
    EmptyRepository {
        /// The repository.
        url: SafeUrl,
    },
    /// The repository has no such branch, tag or ref.
    #[error("couldn't find remote ref \"{reference}\" in '{url}'")]
    RefNotFound {
        /// The full ref name that was looked for.
        reference: String,
        /// The repository.
        url: SafeUrl,
    },
    /// A ref name or commit id that cannot exist.
    #[error("{detail}")]
    InvalidReference {
        /// What is wrong with it.
        detail: String,
    },
    /// The repository has no such commit, or does not hand it out.
    #[error("object not found: '{url}' has no commit {commit}{}", said(.detail))]
    CommitNotFound {
        /// The commit id.
        commit: String,
        /// The repository.
        url: SafeUrl,
        /// What the server said.
        detail: String,
    },
    /// A version range that cannot be parsed.
    #[error("semver parse error: {0}")]
    Semver(#[from] crate::version::ParseError),
    /// No tag is in the version range.
    #[error("no match found for semver: {range}")]
    NoSemverMatch {
        /// The range.
        range: String,
    },
    /// The time given to the call is over.
    #[error("timed out after {} while {doing}", seconds(.after))]
    Timeout {
        /// The time given.
        after: Duration,
        /// What was going on.
        doing: String,
    },
    /// The caller cancelled.
    #[error("cancelled while {doing}")]
    Cancelled {
        /// What was going on.
        doing: String,
    },
    /// No connection, or it broke: DNS, TCP, TLS, proxy.
    #[error("cannot reach '{url}': {detail}")]
    Network {
        /// The repository.
        url: SafeUrl,
        /// The chain of causes in one line.
        detail: String,
    },
    /// The server answered with an error (HTTP 5xx and others).
    #[error("'{url}' answered {status}{}", said(.detail))]
    Server {
        /// The repository.
        url: SafeUrl,
        /// The HTTP status code.
        status: u16,
        /// What the server said, if it was plain text.
        detail: String,
    },
    /// The server's answer is not Git, is cut short, or breaks the protocol.
    #[error("'{url}' sent an answer that is not usable: {detail}")]
    Protocol {
        /// The repository.
        url: SafeUrl,
        /// The chain of causes in one line.
        detail: String,
    },
    /// The server redirects to where we do not follow.
    #[error("'{url}' redirects to '{target}', which is refused: {why}")]
    Redirect {
        /// The repository.
        url: SafeUrl,
        /// Where the server pointed to.
        target: String,
        /// Why that is refused.
        why: &'static str,
    },
    /// What the server sends is larger than allowed.
    #[error("'{url}' sent more than {limit} bytes")]
    TooLarge {
        /// The repository.
        url: SafeUrl,
        /// The limit in bytes.
        limit: u64,
    },
    /// The mirror lacks an object that it should have. [`crate::Mirror::checkout`] repairs this by itself.
    #[error("mirror '{}' cannot be read: {detail}", .mirror.display())]
    Corrupt {
        /// The mirror's directory.
        mirror: PathBuf,
        /// What is missing or broken.
        detail: String,
    },
    /// The commit's tree holds what cannot be written safely.
    #[error("refusing to check out '{path}': {why}")]
    UnsafeTree {
        /// The path inside the repository.
        path: String,
        /// Why it is refused.
        why: String,
    },
    /// A submodule could not be fetched or written.
    #[error("submodule '{path}': {cause}")]
    Submodule {
        /// Where the submodule is mounted.
        path: String,
        /// Why it failed.
        cause: Box<Error>,
    },
    /// The local disk failed.
    #[error("cannot {action} '{}': {cause}", .path.display())]
    Local {
        /// What was tried, as `create directory`.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's answer.
        cause: std::io::Error,
    },
}

impl Error {
    /// The message without the repository's address, for a sentence that names it already.
    pub fn without_url(&self) -> String {
        match self {
            Self::Unauthenticated { status, detail, .. } => {
                format!("authentication required: the server answered {status}{}", said(detail))
            }
            Self::RepositoryNotFound { detail, .. } => format!("repository not found{}", said(detail)),
            Self::RefNotFound { reference, .. } => format!("couldn't find remote ref \"{reference}\""),
            Self::CommitNotFound { detail, .. } => format!("object not found{}", said(detail)),
            Self::Network { detail, .. } => detail.clone(),
            Self::Server { status, detail, .. } => format!("the server answered {status}{}", said(detail)),
            Self::Protocol { detail, .. } => format!("the answer is not usable: {detail}"),
            Self::TooLarge { limit, .. } => format!("the server sent more than {limit} bytes"),
            Self::Redirect { target, why, .. } => format!("the redirect to '{target}' is refused: {why}"),
            other => other.to_string(),
        }
    }

    pub(crate) fn local(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |cause| Self::Local { action, path, cause }
    }
}

fn said(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}

fn seconds(duration: &Duration) -> String {
    format!("{duration:?}")
}

/// The messages of an error and its causes in one line, each printed once.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = one_line(&error.to_string());
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = one_line(&error.to_string());
        if !next.is_empty() && !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
