//! Why a build failed: kustomize's text, and a kind for those who must act on it.

/// What kind of problem it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The files say something wrong; only a change of the files helps.
    Invalid,
    /// A file or directory that is named does not exist.
    Missing,
    /// A text is not YAML or not JSON.
    Malformed,
    /// A path leaves the root, or a file that may be read.
    Outside,
    /// A field or feature that is not built yet.
    Unsupported,
    /// A size, count or depth limit is passed.
    TooLarge,
    /// The disk failed: trying again may help.
    Io,
}

/// Why a build failed. `Display` is kustomize's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct BuildError {
    kind: ErrorKind,
    text: String,
}

pub(crate) type Result<T, E = BuildError> = std::result::Result<T, E>;

impl BuildError {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, text)
    }

    pub(crate) fn unsupported(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, text)
    }

    /// Puts `prefix: ` before the text.
    #[must_use]
    pub(crate) fn within(mut self, prefix: impl std::fmt::Display) -> Self {
        self.text = format!("{prefix}: {}", self.text);
        self
    }

    /// The kind of problem.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// `.within(prefix)` for results.
pub(crate) trait Within<T> {
    fn within(self, prefix: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Within<T> for Result<T> {
    fn within(self, prefix: impl FnOnce() -> String) -> Self {
        self.map_err(|error| error.within(prefix()))
    }
}
