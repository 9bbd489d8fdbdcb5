//! Addresses that can be shown: a URL whose password never appears in text.

use std::{fmt, sync::Arc};

use ::url::Url;

use crate::error::{Error, Result};

/// A repository address. `Display` and `Debug` mask the password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SafeUrl(Arc<Url>);

impl SafeUrl {
    /// Parses an `http://` or `https://` address.
    ///
    /// # Errors
    /// [`Error::InvalidUrl`] when it is no URL or has no host, [`Error::UnsupportedScheme`] for other schemes.
    pub fn parse(text: &str) -> Result<Self> {
        let url = Url::parse(text)
            .map_err(|cause| Error::InvalidUrl { url: mask_text(text), detail: cause.to_string() })?;
        Self::new(url)
    }

    /// Wraps an address that is parsed already.
    ///
    /// # Errors
    /// As [`SafeUrl::parse`].
    pub fn new(url: Url) -> Result<Self> {
        match url.scheme() {
            "http" | "https" if url.host_str().is_some_and(|host| !host.is_empty()) => {
                Ok(Self(Arc::new(url)))
            }
            "http" | "https" => Err(Error::InvalidUrl {
                url: Self(Arc::new(url)).to_string(),
                detail: "it has no host".into(),
            }),
            scheme => Err(Error::UnsupportedScheme {
                scheme: scheme.to_owned(),
                url: Self(Arc::new(url)).to_string(),
            }),
        }
    }

    /// The address with its user information, for use in a request only.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Host and port, as `example.com` or `example.com:8443`.
    pub fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// The same address without user information and fragment.
    pub fn without_user_info(&self) -> Self {
        let mut url = Url::clone(&self.0);
        // Both fail only for addresses without a host, which `new` refuses.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        Self(Arc::new(url))
    }

    /// Whether credentials meant for `self` may be sent to `other`: same host, and the same scheme and port or the move from
    /// plain HTTP on its standard port to HTTPS on its own.
    pub fn shares_credentials_with(&self, other: &Url) -> bool {
        let (from, to) = (&self.0, other);
        if from.host_str() != to.host_str() {
            return false;
        }
        let ports = (from.port_or_known_default(), to.port_or_known_default());
        match (from.scheme(), to.scheme()) {
            (a, b) if a == b => ports.0 == ports.1,
            ("http", "https") => ports == (Some(80), Some(443)),
            _ => false,
        }
    }

    /// Resolves a submodule's address, which may be relative (`../lib.git`), against this one.
    ///
    /// # Errors
    /// [`Error::InvalidUrl`] when the result leaves the server or is no address; [`Error::UnsupportedScheme`].
    pub fn join_submodule(&self, address: &str) -> Result<Self> {
        if !(address.starts_with("./") || address.starts_with("../")) {
            return Self::parse(address);
        }
        let mut segments: Vec<&str> =
            self.0.path().trim_end_matches('/').split('/').filter(|part| !part.is_empty()).collect();
        for part in address.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    if segments.pop().is_none() {
                        return Err(Error::InvalidUrl {
                            url: mask_text(address),
                            detail: format!("it leads above the root of {self}"),
                        });
                    }
                }
                name => segments.push(name),
            }
        }
        let mut url = Url::clone(&self.without_user_info().0);
        url.set_path(&segments.join("/"));
        url.set_query(None);
        Self::new(url)
    }
}

impl fmt::Display for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.password().is_some() {
            let mut masked = Url::clone(&self.0);
            let _ = masked.set_password(Some("xxxxx"));
            return f.write_str(masked.as_str());
        }
        f.write_str(self.0.as_str())
    }
}

impl fmt::Debug for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Masks what stands between `://` and `@` in text that is no URL, so that an error can quote it.
fn mask_text(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}://xxxxx{}", &text[..scheme], &text[at..]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked_in_display_debug_and_errors() {
        let url = SafeUrl::parse("https://me:hunter2@example.com/a.git").unwrap();
        for text in [url.to_string(), format!("{url:?}"), format!("{:?}", Some(&url))] {
            assert!(!text.contains("hunter2"), "{text}");
            assert!(text.contains("me:xxxxx@example.com"), "{text}");
        }
        let error = SafeUrl::parse("https://me:hunter2@exa mple.com/a.git").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        let error = SafeUrl::parse("ftp://me:hunter2@example.com/a.git").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }

    #[test]
    fn credentials_stay_with_scheme_host_and_port() {
        for (from, to, want) in [
            ("https://a/x", "https://a/y", true),
            ("https://a/x", "https://a:443/y", true),
            ("http://a/x", "https://a/y", true),
            ("https://a/x", "http://a/y", false),
            ("https://a/x", "https://b/x", false),
            ("https://a/x", "https://a:8443/x", false),
            ("http://a:8080/x", "https://a:8080/x", false),
        ] {
            let got = SafeUrl::parse(from).unwrap().shares_credentials_with(&Url::parse(to).unwrap());
            assert_eq!(got, want, "{from} -> {to}");
        }
    }

    #[test]
    fn submodule_addresses_resolve_against_the_parent() {
        let parent = SafeUrl::parse("https://me:secret@example.com/org/app.git").unwrap();
        for (address, want) in [
            ("../lib.git", Some("https://example.com/org/lib.git")),
            ("../../other/lib.git", Some("https://example.com/other/lib.git")),
            ("./sub", Some("https://example.com/org/app.git/sub")),
            ("https://else.where/lib", Some("https://else.where/lib")),
            ("../../../lib.git", None),
            ("file:///etc", None),
            ("/etc/passwd", None),
            ("git@example.com:org/lib.git", None),
        ] {
            let got = parent.join_submodule(address).ok().map(|url| url.to_string());
            assert_eq!(got.as_deref(), want, "{address}");
        }
    }
}
