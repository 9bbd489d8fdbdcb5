//! The HTTP client: trust, client certificate, proxy. Connections are pooled across calls.

use std::{sync::Arc, time::Duration};

use reqwest::{Certificate, Identity, redirect::Policy};
use tokio::runtime::Handle;

use crate::{
    auth::Secret,
    error::{Error, Result, chain},
    url::SafeUrl,
};

/// Time to connect, before the deadline of the call itself.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How to reach servers. The default trusts the system's roots and takes proxies from the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HttpOptions {
    /// PEM bundle of authorities to trust in addition to the system's.
    pub ca: Option<Vec<u8>>,
    /// Client certificate chain and private key, both PEM.
    pub client_certificate: Option<(Vec<u8>, ClientKey)>,
    /// The proxy to use, instead of those of the environment.
    pub proxy: Option<Proxy>,
}

/// A private key in PEM form. `Debug` is redacted.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientKey(pub Vec<u8>);

impl std::fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<redacted>")
    }
}

/// A proxy for HTTP and HTTPS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proxy {
    /// `http://`, `https://` or `socks5://` address.
    pub address: String,
    /// User name and password, if the proxy wants them.
    pub credentials: Option<(String, Secret)>,
}

/// A connection pool with its trust, client certificate and proxy. Cheap to clone.
#[derive(Clone)]
pub struct HttpClient {
    shared: Arc<Shared>,
}

struct Shared {
    client: reqwest::Client,
    runtime: Handle,
}

impl HttpClient {
    /// Builds a client whose connections live on `runtime`.
    ///
    /// Redirects are followed by this crate itself and never by the client, see [`crate::Error::Redirect`].
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] when certificates, key or proxy address cannot be parsed.
    pub fn new(options: &HttpOptions, runtime: Handle) -> Result<Self> {
        // Fails when the process has chosen a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(2)
            .tls_version_min(reqwest::tls::Version::TLS_1_2);
        if let Some(pem) = &options.ca {
            let certificates = Certificate::from_pem_bundle(pem)
                .map_err(|cause| invalid("cannot parse the CA certificates", &cause))?;
            if certificates.is_empty() {
                return Err(Error::InvalidCredentials { detail: "the CA holds no PEM certificate".into() });
            }
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some((certificate, key)) = &options.client_certificate {
            let mut pem = certificate.clone();
            pem.push(b'\n');
            pem.extend_from_slice(&key.0);
            let identity = Identity::from_pem(&pem)
                .map_err(|cause| invalid("cannot parse the client certificate and key", &cause))?;
            builder = builder.identity(identity);
        }
        if let Some(proxy) = &options.proxy {
            builder = builder.proxy(proxy.build()?);
        }
        // Building sets up DNS and timers, which look for the runtime.
        let _entered = runtime.enter();
        let client = builder.build().map_err(|cause| invalid("cannot set up TLS", &cause))?;
        drop(_entered);
        Ok(Self { shared: Arc::new(Shared { client, runtime }) })
    }

    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.shared.client
    }

    /// The runtime that drives this client's connections.
    pub fn runtime(&self) -> &Handle {
        &self.shared.runtime
    }
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HttpClient")
    }
}

impl Proxy {
    fn build(&self) -> Result<reqwest::Proxy> {
        let address = url::Url::parse(&self.address).map_err(|cause| Error::InvalidCredentials {
            detail: format!("invalid proxy address: {cause}"),
        })?;
        if !matches!(address.scheme(), "http" | "https" | "socks5") {
            return Err(Error::InvalidCredentials {
                detail: format!("proxy scheme '{}' is not one of http, https, socks5", address.scheme()),
            });
        }
        let mut proxy =
            reqwest::Proxy::all(address).map_err(|cause| invalid("invalid proxy address", &cause))?;
        if let Some((username, password)) = &self.credentials {
            proxy = proxy.basic_auth(username, password.expose());
        }
        Ok(proxy)
    }
}

fn invalid(what: &str, cause: &(dyn std::error::Error + 'static)) -> Error {
    Error::InvalidCredentials { detail: format!("{what}: {}", chain(cause)) }
}

/// One line that says why a request got no answer.
pub(crate) fn network(url: &SafeUrl, error: reqwest::Error) -> Error {
    Error::Network { url: url.clone(), detail: chain(&error.without_url()) }
}
