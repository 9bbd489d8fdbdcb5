//! Why objects could not be applied, in Flux's words.

use crate::{change::ChangeSet, object::ObjectId};

/// A failure that concerns one object. Its text never holds a value of a Secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// The dry run answered 404 for an object with a namespace, usually because the namespace does not exist.
    #[error("{id} not found: {cause}")]
    NotFound {
        /// The object.
        id: ObjectId,
        /// What the API server said.
        cause: String,
    },
    /// A namespaced kind without a namespace.
    #[error("{id} namespace not specified: the server could not find the requested resource")]
    NamespaceMissing {
        /// The object.
        id: ObjectId,
    },
    /// The API server refused the object in a dry run, or does not know its kind.
    #[error("{id} dry-run failed{}: {cause}", in_parentheses(.reason))]
    DryRun {
        /// The object.
        id: ObjectId,
        /// Reason of the API status, such as `Invalid`; may be empty.
        reason: String,
        /// What the API server said.
        cause: String,
    },
    /// The apply itself failed.
    #[error("{id} apply failed: {cause}")]
    Apply {
        /// The object.
        id: ObjectId,
        /// What the API server said.
        cause: String,
    },
    /// Fields of other managers could not be taken over.
    #[error("{id} metadata.managedFields cleanup failed: {cause}")]
    Cleanup {
        /// The object.
        id: ObjectId,
        /// What the API server said.
        cause: String,
    },
    /// The fields of the live object could not be moved to the API version of the manifest.
    #[error("{id} failed to migrate API version: {cause}")]
    Migrate {
        /// The object.
        id: ObjectId,
        /// What the API server said.
        cause: String,
    },
    /// The live object could not be read.
    #[error("{id} query failed: {cause}")]
    Query {
        /// The object.
        id: ObjectId,
        /// What the API server said.
        cause: String,
    },
    /// A forced recreation could not delete the object.
    #[error("{id} immutable field detected, failed to delete object: {cause}")]
    ForceDelete {
        /// The object.
        id: ObjectId,
        /// What the API server said.
        cause: String,
    },
    /// A forced recreation waited too long for the object to be gone.
    #[error("{id} immutable field detected, failed to wait for object to be deleted: {cause}")]
    ForceWait {
        /// The object.
        id: ObjectId,
        /// What was waited for.
        cause: String,
    },
    /// An object of a stage that is waited for did not become ready.
    #[error("{0}")]
    Stage(String),
    /// The object lacks a name or kind, or two objects are the same.
    #[error("{id} is not valid: {cause}")]
    Manifest {
        /// The object, as far as known.
        id: ObjectId,
        /// What is wrong.
        cause: String,
    },
}

fn in_parentheses(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}

/// Why a pass ended before all objects were applied.
///
/// Its text is Flux's: the failures, one per line, and then a line per object that finished stages had created or
/// configured; it always ends in a newline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub struct ApplyError {
    /// All failures of the stage, in apply order. Never empty.
    pub errors: Vec<ObjectError>,
    /// Objects of the stages that were finished.
    pub finished: ChangeSet,
    /// Objects of the failing stage that were written before it failed. A caller should add them to the inventory, so
    /// that they are pruned when they leave the source.
    pub partial: ChangeSet,
}

impl ApplyError {
    fn message(&self) -> String {
        let mut text = String::new();
        for error in &self.errors {
            text.push_str(&error.to_string());
            text.push('\n');
        }
        let lines = self.finished.lines(false);
        if !lines.is_empty() {
            text.push_str(&lines);
            text.push('\n');
        }
        text
    }

    /// Objects that reached the cluster in this pass: those of finished stages and those of the failing one.
    pub fn reached(&self) -> ChangeSet {
        ChangeSet(self.finished.0.iter().chain(&self.partial.0).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, Change};

    #[test]
    fn the_text_lists_failures_then_what_was_done() {
        let id = |kind: &str| ObjectId {
            group: String::new(),
            kind: kind.into(),
            namespace: "a".into(),
            name: "x".into(),
        };
        let error = ApplyError {
            errors: vec![
                ObjectError::DryRun { id: id("Service"), reason: "Invalid".into(), cause: "bad port".into() },
                ObjectError::DryRun { id: id("Widget"), reason: String::new(), cause: "no matches".into() },
            ],
            finished: ChangeSet(vec![Change {
                id: id("ConfigMap"),
                version: "v1".into(),
                action: Action::Created,
                vanishes: false,
            }]),
            partial: ChangeSet::default(),
        };
        assert_eq!(
            error.to_string(),
            "Service/a/x dry-run failed (Invalid): bad port\nWidget/a/x dry-run failed: no matches\nConfigMap/a/x created\n"
        );
    }
}
