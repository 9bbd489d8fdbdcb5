//! The words in which Helm keeps states.

use std::fmt;

/// Where a revision stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Status {
    /// Helm's own word for what it does not know.
    #[default]
    Unknown,
    /// It is what the cluster has.
    Deployed,
    /// It was removed from the cluster, and its history kept.
    Uninstalled,
    /// A later revision took its place.
    Superseded,
    /// It did not get through.
    Failed,
    /// It is being removed.
    Uninstalling,
    /// An install is under way, or was cut off.
    PendingInstall,
    /// An upgrade is under way, or was cut off.
    PendingUpgrade,
    /// A rollback is under way, or was cut off.
    PendingRollback,
    /// What another program wrote.
    Other(String),
}

const STATUSES: [(Status, &str); 9] = [
    (Status::Unknown, "unknown"),
    (Status::Deployed, "deployed"),
    (Status::Uninstalled, "uninstalled"),
    (Status::Superseded, "superseded"),
    (Status::Failed, "failed"),
    (Status::Uninstalling, "uninstalling"),
    (Status::PendingInstall, "pending-install"),
    (Status::PendingUpgrade, "pending-upgrade"),
    (Status::PendingRollback, "pending-rollback"),
];

impl Status {
    /// The word in storage, labels and messages.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(text) => text,
            known => STATUSES.iter().find(|(status, _)| status == known).map_or("", |(_, word)| word),
        }
    }

    /// The status of a word.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match STATUSES.iter().find(|(_, known)| *known == word) {
            Some((status, _)) => status.clone(),
            None => Self::Other(word.to_owned()),
        }
    }

    /// Whether an action is under way, or was cut off.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self, Self::PendingInstall | Self::PendingUpgrade | Self::PendingRollback)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How objects are brought to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApplyMethod {
    /// By server-side apply.
    ServerSide,
    /// By create, and by patches that the client works out.
    ClientSide,
}

impl ApplyMethod {
    /// `ssa` or `csa`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServerSide => "ssa",
            Self::ClientSide => "csa",
        }
    }

    pub(super) fn of(word: &str) -> Option<Self> {
        match word {
            "" => None,
            "ssa" => Some(Self::ServerSide),
            _ => Some(Self::ClientSide),
        }
    }
}
