//! Artifact revisions: `main@sha1:<hex>`, `sha256:<hex>`, and the forms that older versions of Flux wrote.

use std::borrow::Cow;

/// A revision taken apart: `[name@]algorithm:hash`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision<'a> {
    /// What a person calls it: a branch, tag or ref. Empty when the hash stands alone.
    pub name: &'a str,
    /// Hash algorithm, such as `sha1`. Empty when the revision has no hash (a chart version).
    pub algorithm: &'a str,
    /// The hash itself. Empty when the revision has none.
    pub hash: &'a str,
}

impl<'a> Revision<'a> {
    /// Takes a revision apart. A text without a hash is all name.
    ///
    /// Legacy forms must go through [`normalize_revision`] first.
    pub fn parse(text: &'a str) -> Self {
        let (name, digest) = match text.rsplit_once('@') {
            Some(parts) => parts,
            None => ("", text),
        };
        match digest.split_once(':') {
            Some((algorithm, hash)) if is_algorithm(algorithm) => Self { name, algorithm, hash },
            _ => Self { name: text, algorithm: "", hash: "" },
        }
    }

    /// `algorithm:hash`, or nothing when there is no hash.
    pub fn digest(&self) -> Option<String> {
        (!self.hash.is_empty()).then(|| format!("{}:{}", self.algorithm, self.hash))
    }
}

fn is_algorithm(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Rewrites a revision of older Flux versions to today's form; any other text is returned as it is.
///
/// `main/<hex>` becomes `main@sha1:<hex>`, `HEAD/<hex>` and a bare `<hex>` become `sha1:<hex>`. The length of the hash
/// tells its algorithm.
pub fn normalize_revision(text: &str) -> Cow<'_, str> {
    if text.contains(':') {
        return text.into();
    }
    let (name, hash) = match text.rsplit_once('/') {
        Some(("HEAD", hash)) => ("", hash),
        Some(parts) => parts,
        None => ("", text),
    };
    match (algorithm_of(hash), name) {
        (None, _) => text.into(),
        (Some(algorithm), "") => format!("{algorithm}:{hash}").into(),
        (Some(algorithm), name) => format!("{name}@{algorithm}:{hash}").into(),
    }
}

/// Whether two revisions are the same, in whichever form each is written.
pub fn same_revision(one: &str, other: &str) -> bool {
    normalize_revision(one) == normalize_revision(other)
}

/// The algorithm of a hexadecimal hash, by its length.
fn algorithm_of(hash: &str) -> Option<&'static str> {
    if !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    match hash.len() {
        40 => Some("sha1"),
        64 => Some("sha256"),
        96 => Some("sha384"),
        128 => Some("sha512"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA1: &str = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738";
    const SHA256: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn rewrites_legacy_forms_and_leaves_the_rest() {
        for (old, new) in [
            (format!("main/{SHA1}"), format!("main@sha1:{SHA1}")),
            (format!("feature/x/{SHA1}"), format!("feature/x@sha1:{SHA1}")),
            (format!("refs/heads/main/{SHA1}"), format!("refs/heads/main@sha1:{SHA1}")),
            (format!("HEAD/{SHA1}"), format!("sha1:{SHA1}")),
            (SHA1.to_owned(), format!("sha1:{SHA1}")),
            (SHA256.to_owned(), format!("sha256:{SHA256}")),
            (format!("main@sha1:{SHA1}"), format!("main@sha1:{SHA1}")),
            ("6.1.0".to_owned(), "6.1.0".to_owned()),
            ("main/abc".to_owned(), "main/abc".to_owned()),
            (String::new(), String::new()),
        ] {
            assert_eq!(normalize_revision(&old), new);
            assert!(same_revision(&old, &new));
        }
        assert!(!same_revision("main", "master"));
    }

    #[test]
    fn takes_a_revision_apart() {
        let text = format!("feature/x@sha1:{SHA1}");
        let revision = Revision::parse(&text);
        assert_eq!((revision.name, revision.algorithm, revision.hash), ("feature/x", "sha1", SHA1));
        assert_eq!(revision.digest(), Some(format!("sha1:{SHA1}")));
        assert_eq!(Revision::parse("sha256:ab").name, "");
        assert_eq!(Revision::parse("user@host@sha1:ab").name, "user@host");
        assert_eq!(Revision::parse("0.1.0+a.2"), Revision { name: "0.1.0+a.2", algorithm: "", hash: "" });
        assert_eq!(Revision::parse("0.1.0+a.2").digest(), None);
    }
}
