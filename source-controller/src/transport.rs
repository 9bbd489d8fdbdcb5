//! HTTP clients for registries: one per combination of trust, identity and proxy, shared by all objects that use it.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::secrets::{Proxy, Tls};

/// Clients that are kept; each holds its own connections and trust store.
const MAX_CLIENTS: usize = 64;

/// What a client is made of.
#[derive(Debug, Default)]
pub(crate) struct TransportOptions {
    pub(crate) tls: Option<Tls>,
    pub(crate) proxy: Option<Proxy>,
    /// Certificates are not checked. Without effect where `tls` is given.
    pub(crate) insecure: bool,
}

/// Identifies a client without holding what it was made of.
pub(crate) type ClientId = [u8; 32];

#[derive(Debug, Default)]
pub(crate) struct Transports {
    clients: Mutex<HashMap<ClientId, reqwest::Client>>,
}

impl Transports {
    /// The client for these options.
    ///
    /// # Errors
    /// What in a certificate, key or proxy cannot be used.
    pub(crate) fn client(&self, options: &TransportOptions) -> Result<(ClientId, reqwest::Client), String> {
        let id = options.id();
        if let Some(client) = self.clients.lock().get(&id) {
            return Ok((id, client.clone()));
        }
        let client = options.build()?;
        let mut clients = self.clients.lock();
        if clients.len() >= MAX_CLIENTS {
            // Those in use live on in their users' hands.
            clients.clear();
        }
        clients.insert(id, client.clone());
        Ok((id, client))
    }
}

impl TransportOptions {
    fn id(&self) -> ClientId {
        let mut hash = Sha256::new();
        let mut part = |bytes: Option<&[u8]>| {
            let bytes = bytes.unwrap_or_default();
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        let tls = self.tls.as_ref();
        part(tls.and_then(|tls| tls.ca.as_deref()));
        part(tls.and_then(|tls| Some(tls.identity.as_ref()?.0.as_slice())));
        part(tls.and_then(|tls| Some(tls.identity.as_ref()?.1.as_slice())));
        part(self.proxy.as_ref().map(|proxy| proxy.address.as_bytes()));
        let credentials = self.proxy.as_ref().and_then(|proxy| proxy.credentials.as_ref());
        part(credentials.map(|(user, _)| user.as_bytes()));
        part(credentials.map(|(_, password)| password.as_bytes()));
        part(Some(&[u8::from(self.insecure)]));
        hash.finalize().into()
    }

    fn build(&self) -> Result<reqwest::Client, String> {
        let mut builder = reqwest::Client::builder()
            .user_agent("flux/v2")
            .tls_version_min(reqwest::tls::Version::TLS_1_2)
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(30))
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(2);
        match &self.tls {
            Some(tls) => {
                if let Some(ca) = &tls.ca {
                    let certificates = reqwest::Certificate::from_pem_bundle(ca)
                        .map_err(|_| "failed to parse CA certificate: not PEM".to_owned())?;
                    if certificates.is_empty() {
                        return Err("failed to parse CA certificate: no PEM certificate in it".to_owned());
                    }
                    builder = builder.tls_certs_merge(certificates);
                }
                if let Some((cert, key)) = &tls.identity {
                    let pem = [cert.as_slice(), b"\n", key].concat();
                    let identity = reqwest::Identity::from_pem(&pem).map_err(|_| {
                        "failed to parse 'tls.crt' and 'tls.key': not a PEM certificate and key".to_owned()
                    })?;
                    builder = builder.identity(identity);
                }
            }
            None if self.insecure => builder = builder.tls_danger_accept_invalid_certs(true),
            None => {}
        }
        if let Some(proxy) = &self.proxy {
            let mut http = reqwest::Proxy::all(&proxy.address)
                .map_err(|error| format!("invalid proxy address '{}': {error}", proxy.address))?;
            if let Some((user, password)) = &proxy.credentials {
                http = http.basic_auth(user, password);
            }
            builder = builder.proxy(http);
        }
        builder.build().map_err(|error| {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_shared_and_bad_certificates_are_named() {
        sluice_runtime::process::install_crypto();
        let transports = Transports::default();
        let (one, _) = transports.client(&TransportOptions::default()).unwrap();
        let (same, _) = transports.client(&TransportOptions::default()).unwrap();
        let (other, _) =
            transports.client(&TransportOptions { insecure: true, ..TransportOptions::default() }).unwrap();
        assert_eq!(one, same);
        assert_ne!(one, other);
        assert_eq!(transports.clients.lock().len(), 2);
        let tls = |ca: Option<&str>, pair: Option<(&str, &str)>| TransportOptions {
            tls: Some(Tls {
                ca: ca.map(|text| text.as_bytes().to_vec()),
                identity: pair.map(|(cert, key)| (cert.into(), key.into())),
            }),
            ..TransportOptions::default()
        };
        for (options, want) in [
            (tls(Some("garbage"), None), "failed to parse CA certificate"),
            (tls(Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), None), ""),
            (tls(None, Some(("cert", "key"))), "failed to parse 'tls.crt' and 'tls.key'"),
        ] {
            let error = transports.client(&options).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
    }
}
