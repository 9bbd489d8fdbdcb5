//! What a pass did to which object.

use std::{collections::BTreeMap, fmt};

use crate::{inventory::Entry, object::ObjectId, wait::Target};

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// It was not there, or was deleted and made anew by force.
    Created,
    /// It differed from the manifest.
    Configured,
    /// Nothing was written.
    Unchanged,
    /// An annotation says to leave it alone.
    Skipped,
    /// A delete was accepted, or it was gone already.
    Deleted,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Deleted => "deleted",
        })
    }
}

/// One object of a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which object, as the server knows it (no namespace on a cluster-scoped kind).
    pub id: ObjectId,
    /// API version without group, from the manifest.
    pub version: String,
    /// What happened to it.
    pub action: Action,
    /// Whether this is a Job that deletes itself when it is done (`ttlSecondsAfterFinished`).
    pub vanishes: bool,
}

/// `<Kind>/<namespace>/<name> <action>`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.action)
    }
}

/// All objects of a pass, in the order in which they were handled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeSet(
    /// The changes.
    pub Vec<Change>,
);

impl ChangeSet {
    /// Lines of the objects that were created, configured or deleted (and skipped, when `skipped`), each with its
    /// newline but the last: the text of Flux's events.
    pub fn lines(&self, skipped: bool) -> String {
        let lines: Vec<String> = self
            .0
            .iter()
            .filter(|change| match change.action {
                Action::Created | Action::Configured | Action::Deleted => true,
                Action::Skipped => skipped,
                Action::Unchanged => false,
            })
            .map(ToString::to_string)
            .collect();
        lines.join("\n")
    }

    /// The objects that were created, configured or deleted, by action: the other form of Flux's log.
    pub fn grouped(&self) -> BTreeMap<String, Vec<String>> {
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for change in &self.0 {
            if matches!(change.action, Action::Created | Action::Configured | Action::Deleted) {
                groups.entry(change.action.to_string()).or_default().push(change.id.to_string());
            }
        }
        groups
    }

    /// Whether anything was written to the cluster.
    pub fn changed(&self) -> bool {
        self.0.iter().any(|c| matches!(c.action, Action::Created | Action::Configured | Action::Deleted))
    }

    /// How many objects had this action.
    pub fn count(&self, action: Action) -> usize {
        self.0.iter().filter(|c| c.action == action).count()
    }

    /// The inventory of the pass: every object, skipped ones too.
    pub fn inventory(&self) -> Vec<Entry> {
        self.0.iter().map(|c| Entry { id: c.id.clone(), version: c.version.clone() }).collect()
    }

    /// What `spec.wait` checks: every object that was not skipped.
    pub fn targets(&self) -> Vec<Target> {
        self.0
            .iter()
            .filter(|c| c.action != Action::Skipped)
            .map(|c| Target { id: c.id.clone(), vanishes: c.vanishes })
            .collect()
    }
}
