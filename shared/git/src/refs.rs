//! Which commit a reference names: branch, tag, version range, full ref name or commit.

use gix::{ObjectId, protocol::handshake::Ref};
use semver::Version;

use crate::{
    error::{Error, Result},
    limit::Limit,
    remote::Remote,
    version::{Range, parse_version},
};

/// A ref of a remote repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteRef {
    /// The full name, as `refs/heads/main`.
    pub name: String,
    /// What the ref points to; for an annotated tag what the tag points to in the end.
    pub commit: ObjectId,
    /// The tag object, if the ref is an annotated tag.
    pub tag: Option<ObjectId>,
}

impl RemoteRef {
    /// `None` for unborn refs and names that are not UTF-8.
    pub(crate) fn from_gix(found: Ref) -> Option<Self> {
        let (name, commit, tag) = match found {
            Ref::Peeled { full_ref_name, tag, object } => (full_ref_name, object, Some(tag)),
            Ref::Direct { full_ref_name, object } => (full_ref_name, object, None),
            Ref::Symbolic { full_ref_name, tag, object, .. } => (full_ref_name, object, tag),
            Ref::Unborn { .. } => return None,
        };
        Some(Self { name: String::from_utf8(name.into()).ok()?, commit, tag })
    }
}

/// What to check out. The names are Flux's `spec.ref`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The head of a branch.
    Branch(String),
    /// A tag.
    Tag(String),
    /// The highest tag in a version range, see [`crate::version::Range`].
    Semver(String),
    /// A full ref name, as `refs/pull/1/head`.
    Name(String),
    /// A commit, and the branch that it is on, which then is part of the revision. Whether it really is on that branch is checked
    /// only where the server does not hand out commits by their id.
    Commit {
        /// 40 hexadecimal digits.
        id: String,
        /// The branch, if one is named.
        branch: Option<String>,
    },
}

/// A reference and the commit that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The part of the revision before `@`: branch, tag or full ref name; none for a bare commit.
    pub name: Option<String>,
    /// The commit.
    pub commit: ObjectId,
    /// The tag object, if the reference is an annotated tag.
    pub tag: Option<ObjectId>,
    /// Other tags whose versions have the same precedence (they differ in build metadata only). The newest commit of all wins.
    pub ties: Vec<RemoteRef>,
    /// Whether the commit itself was named, so that a server which hands out only branch heads is asked for the history.
    pub(crate) pinned: bool,
}

impl Resolved {
    /// The revision in Flux's form: `main@sha1:…`, or `sha1:…` for a bare commit.
    pub fn revision(&self) -> String {
        match &self.name {
            Some(name) => format!("{name}@sha1:{}", self.commit),
            None => format!("sha1:{}", self.commit),
        }
    }
}

const HEADS: &str = "refs/heads/";
const TAGS: &str = "refs/tags/";

pub(crate) fn resolve(remote: &Remote, reference: &Reference, limit: &Limit) -> Result<Resolved> {
    match reference {
        Reference::Branch(branch) => {
            named(remote, &format!("{HEADS}{branch}"), limit).map(|found| found.called(branch))
        }
        Reference::Tag(tag) => named(remote, &format!("{TAGS}{tag}"), limit).map(|found| found.called(tag)),
        Reference::Name(name) => {
            if name.starts_with('/') || name.ends_with('/') {
                return Err(Error::InvalidReference {
                    detail: format!("ref {name} is invalid; Git refs cannot begin or end with a slash '/'"),
                });
            }
            let name = match name.strip_suffix("^{}") {
                Some(tag) if tag.starts_with(TAGS) => tag,
                _ => name,
            };
            named(remote, name, limit).map(|found| found.called(name))
        }
        Reference::Semver(range) => {
            let parsed: Range = range.parse()?;
            let tags = remote.ls_remote(&[TAGS], limit)?;
            highest(&parsed, tags).ok_or_else(|| Error::NoSemverMatch { range: range.clone() })
        }
        Reference::Commit { id, branch } => {
            let commit = ObjectId::from_hex(id.as_bytes()).map_err(|_| Error::InvalidReference {
                detail: format!("unable to resolve commit object for '{id}': it is not a full SHA-1 of 40 hexadecimal digits"),
            })?;
            Ok(Resolved { name: branch.clone(), commit, tag: None, ties: Vec::new(), pinned: true })
        }
    }
}

impl RemoteRef {
    fn called(self, name: &str) -> Resolved {
        Resolved {
            name: Some(name.to_owned()),
            commit: self.commit,
            tag: self.tag,
            ties: Vec::new(),
            pinned: false,
        }
    }
}

fn named(remote: &Remote, name: &str, limit: &Limit) -> Result<RemoteRef> {
    let found = remote.ls_remote(&[name], limit)?.into_iter().find(|found| found.name == name);
    if let Some(found) = found {
        return Ok(found);
    }
    let url = remote.url().without_user_info();
    if remote.ls_remote(&[], limit)?.is_empty() {
        return Err(Error::EmptyRepository { url });
    }
    Err(Error::RefNotFound { reference: name.to_owned(), url })
}

/// The tag with the highest version in `range`, and its ties.
fn highest(range: &Range, tags: Vec<RemoteRef>) -> Option<Resolved> {
    let mut best: Option<(Version, Vec<RemoteRef>)> = None;
    for tag in tags {
        let Some(version) = tag.name.strip_prefix(TAGS).and_then(parse_version) else { continue };
        if !range.matches(&version) {
            continue;
        }
        match &mut best {
            Some((highest, equal)) => match version.cmp_precedence(highest) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => equal.push(tag),
                std::cmp::Ordering::Greater => best = Some((version, vec![tag])),
            },
            None => best = Some((version, vec![tag])),
        }
    }
    let mut equal = best?.1;
    // Names are sorted, so that the choice does not depend on the server's order.
    let chosen = equal.remove(0);
    let name = chosen.name.strip_prefix(TAGS).unwrap_or(&chosen.name).to_owned();
    let ties = if equal.iter().all(|tie| tie.commit == chosen.commit) { Vec::new() } else { equal };
    Some(Resolved { ties, ..chosen.called(&name) })
}

impl Resolved {
    /// A commit that a submodule names.
    pub(crate) fn pinned(commit: ObjectId) -> Self {
        Self { name: None, commit, tag: None, ties: Vec::new(), pinned: true }
    }

    /// Every candidate: this one and its ties.
    pub(crate) fn candidates(&self) -> Vec<Resolved> {
        let mut all = vec![Resolved { ties: Vec::new(), ..self.clone() }];
        all.extend(self.ties.iter().map(|tie| {
            let name = tie.name.strip_prefix(TAGS).unwrap_or(&tie.name).to_owned();
            tie.clone().called(&name)
        }));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(name: &str, digit: char) -> RemoteRef {
        let commit = ObjectId::from_hex(digit.to_string().repeat(40).as_bytes()).unwrap();
        RemoteRef { name: format!("refs/tags/{name}"), commit, tag: None }
    }

    #[test]
    fn semver_ranges_pick_the_highest_tag() {
        for (range, tags, want) in [
            (">=1.0.0 <2.0.0", &["0.9.0", "1.4.2", "2.0.0"][..], Some("1.4.2")),
            (">=1.0.0", &["1.0.0", "1.1.0-rc.1"], Some("1.0.0")),
            ("<v0.2.1", &["0.1.0", "0.2.0", "0.2.1"], Some("0.2.0")),
            ("*", &["v1.2", "latest", "v2025.02.03"], Some("v2025.02.03")),
            ("1.x", &["1.0.0-rc.1"], None),
        ] {
            let found = highest(&range.parse().unwrap(), tags.iter().map(|name| tag(name, '1')).collect());
            assert_eq!(found.and_then(|found| found.name).as_deref(), want, "{range} of {tags:?}");
        }
    }

    #[test]
    fn tags_that_differ_in_build_metadata_tie() {
        let tags = vec![tag("1.0.0+a", '1'), tag("1.0.0+b", '2'), tag("0.9.0", '3')];
        let found = highest(&"*".parse().unwrap(), tags).unwrap();
        assert_eq!(found.candidates().len(), 2);
        let same = vec![tag("1.0.0+a", '1'), tag("1.0.0+b", '1')];
        assert!(highest(&"*".parse().unwrap(), same).unwrap().ties.is_empty());
    }
}
