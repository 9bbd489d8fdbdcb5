//! Which commit `spec.ref` asks for, when it sets more than one field.

use sluice_api::source::GitRepositoryRef;
use sluice_git::{Reference, Resolved};

/// The branch of a spec without a reference.
const DEFAULT_BRANCH: &str = "master";

/// What to fetch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) reference: Reference,
    /// Set where Flux's documentation and Flux itself disagree on what the spec means.
    pub(super) warning: Option<String>,
}

/// Chooses as Flux does: commit, name, tag, semver, branch. (Its documentation says semver before tag.)
pub(super) fn choose(spec: Option<&GitRepositoryRef>) -> Chosen {
    let empty = GitRepositoryRef::default();
    let spec = spec.unwrap_or(&empty);
    let set = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
    let (branch, tag, semver) = (set(&spec.branch), set(&spec.tag), set(&spec.semver));
    let reference = match (set(&spec.commit), set(&spec.name)) {
        (Some(id), _) => Reference::Commit { id, branch },
        (None, Some(name)) => Reference::Name(name),
        (None, None) => {
            let warning = ambiguity(&branch, &tag, &semver);
            let reference = match (tag, semver) {
                (Some(tag), _) => Reference::Tag(tag),
                (None, Some(range)) => Reference::Semver(range),
                (None, None) => Reference::Branch(branch.unwrap_or_else(|| DEFAULT_BRANCH.to_owned())),
            };
            return Chosen { reference, warning };
        }
    };
    Chosen { reference, warning: None }
}

fn ambiguity(branch: &Option<String>, tag: &Option<String>, semver: &Option<String>) -> Option<String> {
    let set: Vec<&str> = [("tag", tag), ("semver", semver), ("branch", branch)]
        .into_iter()
        .filter_map(|(name, value)| value.is_some().then_some(name))
        .collect();
    let (used, ignored) = set.split_first()?;
    (!ignored.is_empty()).then(|| {
        format!(
            "spec.ref.{used} is used and spec.ref.{} is ignored; set only one",
            ignored.join(", spec.ref.")
        )
    })
}

/// Whether an artifact's revision, in any form that Flux ever wrote, is what was resolved.
pub(super) fn is_same_revision(revision: &str, resolved: &Resolved) -> bool {
    normalize(revision) == resolved.revision()
}

/// Rewrites the forms of old versions: `main/<hex>`, `refs/heads/main/<hex>`, `HEAD/<hex>` and a bare `<hex>`.
fn normalize(revision: &str) -> String {
    if revision.contains(':') {
        return revision.to_owned();
    }
    let (name, hash) = match revision.rsplit_once('/') {
        Some(("HEAD", hash)) => (None, hash),
        Some((name, hash)) => (Some(name), hash),
        None => (None, revision),
    };
    if hash.len() != 40 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return revision.to_owned();
    }
    match name {
        Some(name) => format!("{name}@sha1:{hash}"),
        None => format!("sha1:{hash}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_win_in_the_order_of_flux() {
        let all = GitRepositoryRef {
            branch: Some("b".into()),
            tag: Some("t".into()),
            semver: Some("1.x".into()),
            name: Some("refs/heads/n".into()),
            commit: Some("c".into()),
        };
        let without = |change: fn(&mut GitRepositoryRef)| {
            let mut spec = all.clone();
            change(&mut spec);
            spec
        };
        for (spec, want, warns) in [
            (all.clone(), Reference::Commit { id: "c".into(), branch: Some("b".into()) }, false),
            (without(|s| s.commit = None), Reference::Name("refs/heads/n".into()), false),
            (without(|s| (s.commit, s.name) = (None, Some(String::new()))), Reference::Tag("t".into()), true),
            (
                without(|s| (s.commit, s.name, s.tag) = (None, None, None)),
                Reference::Semver("1.x".into()),
                true,
            ),
            (
                GitRepositoryRef { branch: Some("b".into()), ..Default::default() },
                Reference::Branch("b".into()),
                false,
            ),
            (GitRepositoryRef::default(), Reference::Branch("master".into()), false),
        ] {
            let chosen = choose(Some(&spec));
            assert_eq!(chosen.reference, want, "{spec:?}");
            assert_eq!(chosen.warning.is_some(), warns, "{spec:?}: {:?}", chosen.warning);
        }
        assert_eq!(choose(None).reference, Reference::Branch("master".into()));
    }

    #[test]
    fn old_forms_of_revisions_are_understood() {
        let hex = "4f1c".repeat(10);
        for (old, new) in [
            (format!("main/{hex}"), format!("main@sha1:{hex}")),
            (format!("feature/x/{hex}"), format!("feature/x@sha1:{hex}")),
            (format!("refs/heads/main/{hex}"), format!("refs/heads/main@sha1:{hex}")),
            (format!("HEAD/{hex}"), format!("sha1:{hex}")),
            (hex.clone(), format!("sha1:{hex}")),
            (format!("main@sha1:{hex}"), format!("main@sha1:{hex}")),
            ("what/ever".into(), "what/ever".into()),
        ] {
            assert_eq!(normalize(&old), new, "{old}");
        }
    }
}
