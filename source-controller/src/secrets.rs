//! Secrets that sources refer to: read on each pass, turned into types, never shown.

use std::fmt;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;

/// Longest proxy address, in characters.
const MAX_PROXY_ADDRESS: usize = 2048;

/// Reads a Secret of a namespace.
///
/// # Errors
/// What the API server answered, as text, e.g. `secrets "x" not found`.
pub(crate) async fn read(api: &Api<Secret>, name: &str) -> Result<Secret, String> {
    api.get(name).await.map_err(|error| api_text(&error))
}

/// What the API server answered, without the wrapping of the client.
pub(crate) fn api_text(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

/// The bytes under a key.
pub(crate) fn value<'a>(secret: &'a Secret, key: &str) -> Option<&'a [u8]> {
    secret.data.as_ref()?.get(key).map(|bytes| bytes.0.as_slice())
}

/// The text under a key; an empty one counts as absent.
///
/// # Errors
/// When it is not UTF-8.
pub(crate) fn text(secret: &Secret, key: &str) -> Result<Option<String>, String> {
    match value(secret, key) {
        None | Some([]) => Ok(None),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(format!("key '{key}' is not UTF-8 text")),
        },
    }
}

/// Trust and identity for TLS.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    /// PEM certificates that are trusted besides the system's.
    pub(crate) ca: Option<Vec<u8>>,
    /// PEM certificate chain and key of the client.
    pub(crate) identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("ca", &self.ca.is_some())
            .field("identity", &self.identity.is_some())
            .finish()
    }
}

impl Tls {
    /// From the keys `ca.crt`, `tls.crt`, `tls.key`, or their older names.
    ///
    /// # Errors
    /// When there is neither a CA nor a pair, or half a pair.
    pub(crate) fn from_secret(secret: &Secret, name: &str) -> Result<Self, String> {
        let pick = |new: &str, old: &str| {
            value(secret, new)
                .or_else(|| value(secret, old))
                .filter(|bytes| !bytes.is_empty())
                .map(<[u8]>::to_vec)
        };
        let (ca, cert, key) =
            (pick("ca.crt", "caFile"), pick("tls.crt", "certFile"), pick("tls.key", "keyFile"));
        let identity = match (cert, key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => {
                return Err(format!("invalid '{name}' secret data: both 'tls.crt' and 'tls.key' are needed"));
            }
        };
        if ca.is_none() && identity.is_none() {
            return Err(format!(
                "invalid '{name}' secret data: 'ca.crt' or the pair 'tls.crt' and 'tls.key' is needed"
            ));
        }
        Ok(Self { ca, identity })
    }
}

/// A proxy with its credentials.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// `http`, `https` or `socks5` URL without credentials.
    pub(crate) address: String,
    /// User and password.
    pub(crate) credentials: Option<(String, String)>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("address", &self.address)
            .field("credentials", &self.credentials.is_some())
            .finish()
    }
}

impl Proxy {
    /// From the keys `address`, `username`, `password`.
    ///
    /// # Errors
    /// When the address is missing or not a URL of a known scheme.
    pub(crate) fn from_secret(secret: &Secret, name: &str) -> Result<Self, String> {
        let address = text(secret, "address")?
            .ok_or_else(|| format!("invalid proxy secret '{name}': key 'address' is missing"))?;
        if address.len() > MAX_PROXY_ADDRESS {
            return Err(format!(
                "invalid proxy secret '{name}': 'address' is longer than {MAX_PROXY_ADDRESS} characters"
            ));
        }
        // The text is not repeated: it may hold a password.
        let mut url = url::Url::parse(&address)
            .map_err(|error| format!("invalid proxy secret '{name}': 'address' is not a URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https" | "socks5") {
            return Err(format!(
                "invalid proxy secret '{name}': scheme '{}' is not one of http, https, socks5",
                url.scheme()
            ));
        }
        let from_url = (!url.username().is_empty())
            .then(|| (url.username().to_owned(), url.password().unwrap_or_default().to_owned()));
        let credentials = match text(secret, "username")? {
            Some(user) => Some((user, text(secret, "password")?.unwrap_or_default())),
            None => from_url,
        };
        // Both fail only for URLs without a host, which then have no credentials either.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Ok(Self { address: url.to_string(), credentials })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    fn secret(keys: &[(&str, &str)]) -> Secret {
        Secret {
            data: Some(
                keys.iter()
                    .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
                    .collect(),
            ),
            ..Secret::default()
        }
    }

    #[test]
    fn tls_needs_a_ca_or_a_whole_pair() {
        for (keys, want) in [
            (&[("ca.crt", "c")][..], Ok((true, false))),
            (&[("caFile", "c")], Ok((true, false))),
            (&[("tls.crt", "c"), ("tls.key", "k")], Ok((false, true))),
            (&[("ca.crt", "c"), ("certFile", "c"), ("keyFile", "k")], Ok((true, true))),
            (&[("tls.crt", "c")], Err("both 'tls.crt' and 'tls.key' are needed")),
            (&[("ca.crt", "")], Err("'ca.crt' or the pair")),
            (&[], Err("'ca.crt' or the pair")),
        ] {
            match (Tls::from_secret(&secret(keys), "s"), want) {
                (Ok(tls), Ok((ca, pair))) => {
                    assert_eq!((tls.ca.is_some(), tls.identity.is_some()), (ca, pair))
                }
                (Err(error), Err(text)) => assert!(error.contains(text), "{error}"),
                (got, want) => panic!("{keys:?}: {got:?} is not {want:?}"),
            }
        }
    }

    #[test]
    fn a_proxy_shows_no_password() {
        let proxy = Proxy::from_secret(&secret(&[("address", "http://u:hunter2@proxy:3128")]), "p").unwrap();
        assert_eq!(proxy.address, "http://proxy:3128/");
        assert!(!format!("{proxy:?}").contains("hunter2"));
        assert_eq!(proxy.credentials, Some(("u".to_owned(), "hunter2".to_owned())));
        for bad in [&[("username", "u")][..], &[("address", "ftp://x")], &[("address", "proxy")]] {
            assert!(
                Proxy::from_secret(&secret(bad), "p").unwrap_err().starts_with("invalid proxy secret 'p'")
            );
        }
    }
}
