//! The Secret of a revision: its name, type and labels.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Release;

/// The type of the Secrets.
pub const SECRET_TYPE: &str = "helm.sh/release.v1";
/// The label that says who keeps the Secret: always `helm`.
pub const OWNER: &str = "owner";
/// The label with the release's name.
pub const NAME: &str = "name";
/// The label with the status.
pub const STATUS: &str = "status";
/// The label with the revision.
pub const VERSION: &str = "version";
/// The label that says when the Secret was created, in Unix seconds.
const CREATED_AT: &str = "createdAt";
/// The label that says when it was changed last.
const MODIFIED_AT: &str = "modifiedAt";

/// Labels that Helm sets itself, whatever a user asks for.
const SYSTEM: [&str; 6] = [NAME, OWNER, STATUS, VERSION, CREATED_AT, MODIFIED_AT];

/// The name of a revision's Secret.
#[must_use]
pub fn secret_name(release: &str, version: u32) -> String {
    format!("sh.helm.release.v1.{release}.v{version}")
}

/// The selector of all Secrets of a release.
#[must_use]
pub fn selector(release: &str) -> String {
    format!("{NAME}={release},{OWNER}=helm")
}

/// The labels of a revision's Secret; `created` tells a new one from one that is changed.
#[must_use]
pub fn labels(release: &Release, created: bool, now: Timestamp) -> BTreeMap<String, String> {
    let mut labels = release.labels.clone();
    let stamp = if created { CREATED_AT } else { MODIFIED_AT };
    for (key, value) in [
        (stamp, now.as_second().to_string()),
        (NAME, release.name.clone()),
        (OWNER, "helm".to_owned()),
        (STATUS, release.info.status.to_string()),
        (VERSION, release.version.to_string()),
    ] {
        labels.insert(key.to_owned(), value);
    }
    labels
}

/// The labels of a Secret that are the user's.
#[must_use]
pub fn own_labels(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let own = labels.iter().filter(|(key, _)| !SYSTEM.contains(&key.as_str()));
    own.map(|(key, value)| (key.clone(), value.clone())).collect()
}
