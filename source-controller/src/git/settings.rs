//! Whether the settings that decide an artifact's content are those it was made with (sources.md 7.5).

use sluice_api::source::{Artifact, GitRepository};

use super::include::Included;

/// Whether the same commit would now give another artifact.
pub(super) fn changed(object: &GitRepository, includes: &[Included]) -> bool {
    let spec = &object.spec;
    let Some(status) = &object.status else { return true };
    // Absent and empty are not the same: an empty text switches nothing off, but it is another setting.
    spec.ignore != status.observed_ignore
        || spec.recurse_submodules != status.observed_recurse_submodules
        || spec.sparse_checkout != status.observed_sparse_checkout
        || spec.include != status.observed_include
        || differ(&status.included_artifacts, includes, |old, new| {
            old.revision != new.revision || old.digest != new.digest
        })
}

/// Whether an included artifact has another revision than the one that was copied.
pub(super) fn includes_moved(object: &GitRepository, includes: &[Included]) -> bool {
    let used = object.status.as_ref().map_or(&[][..], |status| &status.included_artifacts);
    differ(used, includes, |old, new| old.revision != new.revision)
}

fn differ(used: &[Artifact], now: &[Included], differs: impl Fn(&Artifact, &Artifact) -> bool) -> bool {
    used.len() != now.len() || used.iter().zip(now).any(|(old, new)| differs(old, &new.artifact))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_api::source::{GitRepositoryInclude, GitRepositoryStatus};

    #[test]
    fn settings_of_the_content_count_and_others_do_not() {
        type Change = fn(&mut GitRepository);
        let cases: [(&str, Change, bool); 8] = [
            ("nothing", |_| {}, false),
            ("interval", |o| o.spec.interval = "7m".parse().unwrap(), false),
            ("empty ignore", |o| o.spec.ignore = Some(String::new()), true),
            ("ignore", |o| o.spec.ignore = Some("/x".into()), true),
            ("submodules", |o| o.spec.recurse_submodules = true, true),
            ("sparse", |o| o.spec.sparse_checkout = vec!["a".into()], true),
            ("include", |o| o.spec.include = vec![GitRepositoryInclude::default()], true),
            ("no status", |o| o.status = None, true),
        ];
        for (what, change, want) in cases {
            let mut object = GitRepository::new("a", Default::default());
            object.status = Some(GitRepositoryStatus::default());
            change(&mut object);
            assert_eq!(changed(&object, &[]), want, "{what}");
        }
    }
}
