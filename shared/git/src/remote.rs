//! A repository on a server.

use crate::{
    auth::{Auth, Secret},
    error::Result,
    http::HttpClient,
    limit::Limit,
    refs::{self, Reference, RemoteRef, Resolved},
    session::Session,
    url::SafeUrl,
};

/// Bound on a list of refs, in bytes: about a million refs.
const MAX_LIST_BYTES: u64 = 128 << 20;

/// A repository on a server: where it is, who asks, and over which client.
#[derive(Clone, Debug)]
pub struct Remote {
    http: HttpClient,
    url: SafeUrl,
    auth: Auth,
}

impl Remote {
    /// Names a repository. Nothing is sent. Without `auth`, user name and password in the URL are used.
    pub fn new(http: HttpClient, url: SafeUrl, auth: Auth) -> Self {
        let auth = match auth {
            Auth::None => from_user_info(&url),
            given => given,
        };
        Self { http, url, auth }
    }

    /// The repository's address.
    pub fn url(&self) -> &SafeUrl {
        &self.url
    }

    pub(crate) fn auth(&self) -> &Auth {
        &self.auth
    }

    pub(crate) fn http(&self) -> &HttpClient {
        &self.http
    }

    /// The same client for another repository; the credentials go along only if scheme, host and port are the same.
    pub(crate) fn sibling(&self, url: SafeUrl) -> Self {
        let shares = self.url.shares_credentials_with(url.url());
        let auth =
            if shares && matches!(from_user_info(&url), Auth::None) { self.auth.clone() } else { Auth::None };
        Self::new(self.http.clone(), url, auth)
    }

    /// Lists the refs whose full names begin with one of `prefixes` (all when empty), sorted by name.
    ///
    /// # Errors
    /// See [`crate::Error`]; an empty repository is an empty list.
    pub fn ls_remote(&self, prefixes: &[&str], limit: &Limit) -> Result<Vec<RemoteRef>> {
        Session::open(self, limit, MAX_LIST_BYTES)?.list(prefixes)
    }

    /// Asks the server which commit `reference` names now. No objects are transferred.
    ///
    /// A [`Reference::Commit`] needs no request. For [`Reference::Semver`] the result may be a tie, see
    /// [`Resolved::ties`], which [`crate::Mirror::checkout`] breaks.
    ///
    /// # Errors
    /// [`crate::Error::EmptyRepository`], [`crate::Error::RefNotFound`], [`crate::Error::NoSemverMatch`] and those of the network.
    pub fn resolve(&self, reference: &Reference, limit: &Limit) -> Result<Resolved> {
        refs::resolve(self, reference, limit)
    }
}

fn from_user_info(url: &SafeUrl) -> Auth {
    let decode = |text: &str| percent_decode(text);
    match (url.url().username(), url.url().password()) {
        ("", None) => Auth::None,
        (username, password) => Auth::Basic {
            username: decode(username),
            password: Secret::new(decode(password.unwrap_or_default())),
        },
    }
}

/// Decodes `%41`; a `%` that begins no such pair stays as it is.
fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match (bytes[at], pair.and_then(|pair| hex::decode(pair).ok())) {
            (b'%', Some(byte)) => {
                out.extend(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
