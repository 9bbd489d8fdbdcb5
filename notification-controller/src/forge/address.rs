//! Addresses of Git repositories, and revisions, as forges' APIs want them.

use crate::event::Event;
use url::Url;

/// A repository at a forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Repository {
    /// `<scheme>://<host[:port]>`; HTTPS for an address of SSH.
    pub(super) host: Url,
    /// The path without slashes around it and without `.git`.
    pub(super) id: String,
}

impl Repository {
    /// From `https://h/p`, `http://h/p`, `ssh://git@h/p` or `git@h:p`.
    pub(super) fn new(address: &str) -> Result<Self, String> {
        let fail = |cause: &str| format!("failed parsing URL of the repository: {cause}");
        let scp = match address.split_once(':') {
            Some((host, path)) if !address.contains("://") && host.contains('@') => {
                Some(format!("ssh://{host}/{}", path.trim_start_matches('/')))
            }
            _ => None,
        };
        let url = Url::parse(scp.as_deref().unwrap_or(address)).map_err(|err| fail(&err.to_string()))?;
        let scheme = match url.scheme() {
            "http" => "http",
            "https" | "ssh" => "https",
            _ => return Err(fail("the scheme is not one of http, https, ssh")),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| fail("it has no host"))?;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let id = url.path().trim_matches('/');
        let id = id.strip_suffix(".git").unwrap_or(id).to_owned();
        let host = Url::parse(&format!("{scheme}://{host}{port}/")).map_err(|err| fail(&err.to_string()))?;
        Ok(Self { host, id })
    }

    /// Owner and name, for forges that know no deeper paths.
    pub(super) fn pair(&self) -> Result<(&str, &str), String> {
        match self.id.split('/').collect::<Vec<_>>()[..] {
            [owner, name] if !owner.is_empty() && !name.is_empty() => Ok((owner, name)),
            _ => Err(format!("invalid repository id: '{}'", self.id)),
        }
    }

    /// An address of the API: `base` replaces the path of the host, segments are encoded.
    pub(super) fn api<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Result<Url, String> {
        join(&self.host, segments)
    }
}

/// A base with more segments, each encoded.
pub(super) fn join<'a>(base: &Url, segments: impl IntoIterator<Item = &'a str>) -> Result<Url, String> {
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| "the address of the API cannot have a path".to_owned())?
        .pop_if_empty()
        .extend(segments);
    Ok(url)
}

/// The commit that an event is about.
pub(super) fn commit(event: &Event) -> Result<&str, String> {
    let given = ["commit", "originRevision", "revision"].into_iter().find_map(|key| event.metadata.get(key));
    let revision = given.ok_or_else(|| "missing revision metadata".to_owned())?;
    let end = revision.rsplit_once(':').or_else(|| revision.rsplit_once('/'));
    let hash = end.map_or(revision.as_str(), |(_, hash)| hash);
    if hash.len() == 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(hash)
    } else {
        Err(format!("failed to extract commit hash from '{revision}' revision"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::example;

    #[test]
    fn addresses_of_repositories_have_four_forms() {
        for (address, host, id) in [
            ("https://github.com/foo/bar", "https://github.com/", "foo/bar"),
            ("https://github.com/foo/bar.git/", "https://github.com/", "foo/bar"),
            ("http://g.io:8080/a/b/c.git", "http://g.io:8080/", "a/b/c"),
            ("ssh://git@h:2222/foo/bar.git", "https://h:2222/", "foo/bar"),
            ("git@github.com:foo/bar.git", "https://github.com/", "foo/bar"),
        ] {
            let repository = Repository::new(address).unwrap();
            assert_eq!((repository.host.as_str(), repository.id.as_str()), (host, id), "{address}");
        }
        for bad in ["", "foo/bar", "ftp://h/p", "https://"] {
            assert!(Repository::new(bad).is_err(), "{bad}");
        }
        assert!(Repository::new("https://h/a/b/c").unwrap().pair().is_err());
        let url = Repository::new("https://h/a/b").unwrap().api(["x y", "a/b"]).unwrap();
        assert_eq!(url.as_str(), "https://h/x%20y/a%2Fb");
    }

    #[test]
    fn commits_are_found_in_revisions_of_git_alone() {
        let hash = "69b59063470310ebbd88a9156325322a124e55a3";
        for (revision, want) in [
            (format!("main@sha1:{hash}"), Some(hash)),
            (format!("sha1:{hash}"), Some(hash)),
            (format!("main/{hash}"), Some(hash)),
            (format!("feature/x@sha1:{hash}"), Some(hash)),
            (hash.to_owned(), Some(hash)),
            ("master".to_owned(), None),
            ("6.1.0".to_owned(), None),
            (format!("latest@sha256:{hash}{}", "0".repeat(24)), None),
            ("../../../../../../../../../../../../../x".to_owned(), None),
        ] {
            let mut event = example();
            event.metadata = [("revision".to_owned(), revision.clone())].into();
            assert_eq!(commit(&event).ok(), want, "{revision}");
        }
        let mut event = example();
        event.metadata.insert("originRevision".into(), "0".repeat(40));
        assert_eq!(commit(&event).unwrap(), "0".repeat(40));
        event.metadata.clear();
        assert_eq!(commit(&event).unwrap_err(), "missing revision metadata");
    }
}
