//! HTTP clients for deliveries: one per combination of trust, identity and proxy.

use k8s_openapi::api::core::v1::Secret;
use reqwest::redirect::{Attempt, Policy};
use sluice_runtime::telemetry::chain;
use std::net::IpAddr;
use std::time::Duration;

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 10;
/// Longest address of a proxy.
const MAX_PROXY: usize = 2048;

/// Trust and identity for TLS, PEM.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    /// Certificates that are trusted besides the system's.
    ca: Option<Vec<u8>>,
    /// Certificate chain and key of the client.
    identity: Option<Vec<u8>>,
}

/// A proxy; its URL may hold credentials.
#[derive(Clone)]
pub(crate) struct Proxy {
    url: url::Url,
    credentials: Option<(String, String)>,
}

/// The bytes under a key of a Secret.
pub(crate) fn value<'a>(secret: &'a Secret, key: &str) -> Option<&'a [u8]> {
    secret.data.as_ref()?.get(key).map(|bytes| bytes.0.as_slice())
}

/// The text under a key of a Secret; an empty one counts as absent.
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

impl Tls {
    /// From the keys `ca.crt`, `tls.crt`, `tls.key` or their older names; `None` if there are none of them.
    ///
    /// # Errors
    /// Half a pair.
    pub(crate) fn from_secret(secret: &Secret) -> Result<Option<Self>, String> {
        let pick = |new: &str, old: &str| {
            value(secret, new).or_else(|| value(secret, old)).filter(|bytes| !bytes.is_empty())
        };
        let ca = pick("ca.crt", "caFile").map(<[u8]>::to_vec);
        let identity = match (pick("tls.crt", "certFile"), pick("tls.key", "keyFile")) {
            (Some(cert), Some(key)) => Some([cert, b"\n", key].concat()),
            (None, None) => None,
            _ => return Err("both 'tls.crt' and 'tls.key' are needed".to_owned()),
        };
        Ok((ca.is_some() || identity.is_some()).then_some(Self { ca, identity }))
    }
}

impl Proxy {
    /// From an address, and credentials beside it.
    ///
    /// # Errors
    /// No URL of a known scheme; the address is not repeated, it may hold a password.
    pub(crate) fn new(address: &str, credentials: Option<(String, String)>) -> Result<Self, String> {
        if address.len() > MAX_PROXY {
            return Err(format!("the address of the proxy is longer than {MAX_PROXY} bytes"));
        }
        let url =
            url::Url::parse(address).map_err(|err| format!("the address of the proxy is no URL: {err}"))?;
        if !matches!(url.scheme(), "http" | "https" | "socks5") {
            return Err("the scheme of the proxy is not one of http, https, socks5".to_owned());
        }
        Ok(Self { url, credentials })
    }

    /// The password, to be masked.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.url.password().into_iter().chain(self.credentials.iter().map(|(_, password)| password.as_str()))
    }
}

/// Makes a client.
///
/// # Errors
/// What of certificates or proxy cannot be used.
pub(crate) fn client(tls: Option<&Tls>, proxy: Option<&Proxy>) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .tls_version_min(reqwest::tls::Version::TLS_1_2)
        .connect_timeout(Duration::from_secs(10))
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(4)
        .redirect(Policy::custom(redirect));
    if let Some(ca) = tls.and_then(|tls| tls.ca.as_ref()) {
        let certificates = reqwest::Certificate::from_pem_bundle(ca).unwrap_or_default();
        if certificates.is_empty() {
            return Err("failed to get TLS config: failed to parse CA certificate".to_owned());
        }
        builder = builder.tls_certs_merge(certificates);
    }
    if let Some(pem) = tls.and_then(|tls| tls.identity.as_ref()) {
        let identity = reqwest::Identity::from_pem(pem).map_err(|_| {
            "failed to get TLS config: 'tls.crt' and 'tls.key' are no PEM certificate and key".to_owned()
        })?;
        builder = builder.identity(identity);
    }
    if let Some(proxy) = proxy {
        let mut http = reqwest::Proxy::all(proxy.url.clone())
            .map_err(|_| "failed to get proxy URL: the address cannot be used".to_owned())?;
        if let Some((user, password)) = &proxy.credentials {
            http = http.basic_auth(user, password);
        }
        builder = builder.proxy(http);
    }
    builder.build().map_err(|err| format!("cannot make an HTTP client: {}", chain(&err)))
}

/// Follows redirects, but not into the machine or its link: a service on the outside has no business there.
fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error(format!("stopped after {MAX_REDIRECTS} redirects"));
    }
    let same = attempt.previous().last().is_some_and(|from| from.host_str() == attempt.url().host_str());
    if !same && is_local(attempt.url()) {
        return attempt.error("refused a redirect to a loopback or link-local address");
    }
    attempt.follow()
}

fn is_local(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => local_ip(IpAddr::V4(ip)),
        Some(url::Host::Ipv6(ip)) => local_ip(IpAddr::V6(ip)),
        None => true,
    }
}

fn local_ip(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified() || (ip.segments()[0] & 0xffc0) == 0xfe80,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    #[test]
    fn local_targets_of_redirects_are_recognised() {
        for (url, want) in [
            ("http://169.254.169.254/latest", true),
            ("http://[::ffff:127.0.0.1]/", true),
            ("http://[fe80::1]/", true),
            ("http://localhost:80/", true),
            ("http://0.0.0.0/", true),
            ("https://10.0.0.1/", false),
            ("https://example.com/", false),
        ] {
            assert_eq!(is_local(&url.parse().unwrap()), want, "{url}");
        }
    }

    #[test]
    fn bad_certificates_and_proxies_are_named_without_their_content() {
        sluice_runtime::process::install_crypto();
        let secret = |pairs: &[(&str, &str)]| Secret {
            data: Some(
                pairs
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
                    .collect(),
            ),
            ..Secret::default()
        };
        assert!(Tls::from_secret(&secret(&[("tls.crt", "x")])).is_err());
        assert!(Tls::from_secret(&secret(&[])).unwrap().is_none());
        for pairs in [&[("ca.crt", "hunter2")][..], &[("certFile", "hunter2"), ("keyFile", "hunter2")]] {
            let tls = Tls::from_secret(&secret(pairs)).unwrap();
            let error = client(tls.as_ref(), None).unwrap_err();
            assert!(error.starts_with("failed to get TLS config") && !error.contains("hunter2"), "{error}");
        }
        for bad in ["ftp://u:hunter2@x", "hunter2", &"x".repeat(3000)] {
            let error = Proxy::new(bad, None).err().unwrap();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
