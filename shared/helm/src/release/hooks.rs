//! Hooks of a release with what became of them.

use std::fmt;

use super::Time;
use crate::manifest::Hook;

/// A hook and its last run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredHook {
    /// The hook.
    pub hook: Hook,
    /// Its last run.
    pub last_run: HookRun,
}

/// One run of a hook.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HookRun {
    /// When it was started.
    pub started_at: Option<Time>,
    /// When it was over.
    pub completed_at: Option<Time>,
    /// How far it got.
    pub phase: HookPhase,
}

/// How far a hook got.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum HookPhase {
    /// It never ran.
    #[default]
    None,
    /// Nobody knows.
    Unknown,
    /// It runs, or its run was cut off.
    Running,
    /// It did what it should.
    Succeeded,
    /// It did not.
    Failed,
    /// What another program wrote.
    Other(String),
}

impl HookPhase {
    /// The word in storage; empty if it never ran.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::None => "",
            Self::Unknown => "Unknown",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Other(text) => text,
        }
    }

    /// The phase of a word.
    #[must_use]
    pub fn of(word: &str) -> Self {
        let known = [Self::None, Self::Unknown, Self::Running, Self::Succeeded, Self::Failed];
        known.into_iter().find(|phase| phase.as_str() == word).unwrap_or_else(|| Self::Other(word.to_owned()))
    }
}

impl fmt::Display for HookPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Hook> for StoredHook {
    fn from(hook: Hook) -> Self {
        Self { hook, last_run: HookRun::default() }
    }
}
