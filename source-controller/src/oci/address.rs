//! Names of repositories and references in them.

use std::net::IpAddr;

/// Docker Hub's name in URLs, and the host that serves it.
const HUB: &str = "docker.io";
const HUB_HOST: &str = "index.docker.io";

/// A repository in a registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Repository {
    /// Host, with the port where one is given.
    pub(crate) host: String,
    /// Path in the registry.
    pub(crate) path: String,
}

impl Repository {
    /// Reads `oci://host/path`.
    ///
    /// # Errors
    /// What is wrong, for after `URL validation failed for '<url>': `.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let name = url.strip_prefix("oci://").ok_or("URL must be in format 'oci://<domain>/<org>/<repo>'")?;
        if let Some((_, digest)) = name.split_once('@') {
            return Err(format!("URL must not contain a digest; remove '@{digest}'"));
        }
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
            _ => (HUB, name),
        };
        let (path, tag) = match path.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (path, None),
        };
        if let Some(tag) = tag {
            return Err(format!("URL must not contain a tag; remove ':{tag}'"));
        }
        let valid_host = !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-_[]".contains(&byte))
            && url::Url::parse(&format!("https://{host}/")).is_ok();
        if !valid_host {
            return Err(format!("registry host '{host}' is not valid"));
        }
        let host = if host == HUB { HUB_HOST } else { host };
        let path =
            if host == HUB_HOST && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        if !valid_path(&path) {
            return Err(format!(
                "repository '{path}' is not valid: lower-case letters, digits and single separators '.', '_', '-' between '/' are allowed"
            ));
        }
        Ok(Self { host: host.to_ascii_lowercase(), path })
    }

    /// Whether plain HTTP may be tried without being asked for: machines that are near.
    pub(crate) fn is_local(&self) -> bool {
        let host = match self.host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => &self.host,
        };
        if host == "localhost" || host.ends_with(".local") || host.ends_with(".localhost") {
            return true;
        }
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private(),
            Ok(IpAddr::V6(ip)) => ip.is_loopback(),
            Err(_) => false,
        }
    }

    /// `host/path:tag`, or `host/path@digest` for a digest.
    pub(crate) fn with(&self, reference: &str) -> String {
        let separator = if reference.contains(':') { '@' } else { ':' };
        format!("{self}{separator}{reference}")
    }
}

impl std::fmt::Display for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

fn valid_path(path: &str) -> bool {
    path.len() <= 255
        && path.split('/').all(|part| {
            let ends = [part.bytes().next(), part.bytes().last()];
            ends.iter().all(|end| end.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte))
        })
}

/// Whether a text can be a tag; everything else would change the meaning of a request path.
pub(crate) fn valid_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_repositories() {
        for (url, want) in [
            ("oci://ghcr.io/stefanprodan/manifests/podinfo", Ok("ghcr.io/stefanprodan/manifests/podinfo")),
            ("oci://localhost:5000/a", Ok("localhost:5000/a")),
            ("oci://docker.io/nginx", Ok("index.docker.io/library/nginx")),
            ("oci://stefanprodan/podinfo", Ok("index.docker.io/stefanprodan/podinfo")),
            ("oci://[::1]:5000/a", Ok("[::1]:5000/a")),
            ("oci://ghcr.io/a:1.0", Err("URL must not contain a tag; remove ':1.0'")),
            ("oci://ghcr.io/a@sha256:ab", Err("URL must not contain a digest; remove '@sha256:ab'")),
            ("https://ghcr.io/a", Err("URL must be in format")),
            ("oci://ghcr.io/Upper", Err("repository 'Upper' is not valid")),
            ("oci://ghcr.io/../x", Err("is not valid")),
            ("oci://ghcr.io/a/../x", Err("is not valid")),
            ("oci://ghcr.io/a?b", Err("is not valid")),
            ("oci://ghcr.io/", Err("is not valid")),
            ("oci://us er:5000/a", Err("is not valid")),
        ] {
            match (Repository::parse(url), want) {
                (Ok(got), Ok(want)) => assert_eq!(got.to_string(), want),
                (Err(got), Err(want)) => assert!(got.contains(want), "{url}: {got}"),
                (got, want) => panic!("{url}: {got:?} is not {want:?}"),
            }
        }
    }

    #[test]
    fn only_near_hosts_are_local() {
        for (host, want) in [
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("10.1.2.3", true),
            ("192.168.0.1:80", true),
            ("registry.local", true),
            ("[::1]:5000", true),
            ("ghcr.io", false),
            ("8.8.8.8", false),
            ("localhost.example.com", false),
        ] {
            let repository = Repository { host: host.to_owned(), path: "a".to_owned() };
            assert_eq!(repository.is_local(), want, "{host}");
        }
    }

    #[test]
    fn tags_cannot_change_the_request() {
        for (tag, want) in
            [("1.0.0", true), ("v1_x-y", true), ("", false), ("../x", false), ("a/b", false), ("a?b", false)]
        {
            assert_eq!(valid_tag(tag), want, "{tag}");
        }
    }
}
