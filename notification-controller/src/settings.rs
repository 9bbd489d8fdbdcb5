//! A Provider with what its Secrets add: all that a delivery needs besides the event.

use crate::context::{Context, api_error};
use crate::transport::{self, Proxy, Tls, text, value};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use sluice_api::notification::{Provider, ProviderType};
use std::collections::BTreeMap;
use std::fmt;
use url::Url;

/// Longest address in a Secret, in bytes.
const MAX_ADDRESS: usize = 2048;
/// What stands in messages for a secret.
const MASK: &str = "*****";

/// A Provider, ready to be used.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) type_: ProviderType,
    pub(crate) uid: String,
    pub(crate) address: String,
    pub(crate) channel: String,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) token: String,
    /// The token as it is stored: keys of signatures are not trimmed.
    pub(crate) raw_token: Vec<u8>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) client: reqwest::Client,
    secrets: Vec<String>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("type", &self.type_).finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads the Secrets of a Provider.
    ///
    /// # Errors
    /// Which Secret and key is missing or wrong; never a value.
    pub(crate) async fn read(cx: &Context, provider: &Provider) -> Result<Self, String> {
        let namespace = provider.metadata.namespace.as_deref().unwrap_or_default();
        let api: Api<Secret> = Api::namespaced(cx.client.clone(), namespace);
        let fetch = async |name: &str| {
            let read = api.get(name).await;
            read.map_err(|err| format!("failed to get secret '{namespace}/{name}': {}", api_error(&err)))
        };
        let spec = &provider.spec;
        let secret = match &spec.secret_ref {
            Some(reference) => Some(fetch(&reference.name).await?),
            None => None,
        };
        let certificates = match &spec.cert_secret_ref {
            Some(reference) => Some(fetch(&reference.name).await?),
            None => None,
        };
        let proxy = match &spec.proxy_secret_ref {
            Some(reference) => Some(fetch(&reference.name).await?),
            None => None,
        };
        Self::new(provider, secret.as_ref(), certificates.as_ref(), proxy.as_ref())
    }

    /// The same from Secrets in hand.
    pub(crate) fn new(
        provider: &Provider,
        secret: Option<&Secret>,
        certificates: Option<&Secret>,
        proxy: Option<&Secret>,
    ) -> Result<Self, String> {
        let spec = &provider.spec;
        let given = |value: &Option<String>| value.clone().unwrap_or_default();
        let from_secret = |key: &str| match secret {
            Some(secret) => text(secret, key),
            None => Ok(None),
        };
        let mut secrets = Vec::new();
        let mut address = given(&spec.address);
        if let Some(secret) = from_secret("address")? {
            let secret = secret.trim();
            if secret.len() > MAX_ADDRESS {
                return Err(format!(
                    "invalid address in secret: address exceeds maximum length of {MAX_ADDRESS} bytes"
                ));
            }
            address = secret.to_owned();
        }
        // Addresses of chats are passwords, wherever they are written.
        if let Ok(url) = Url::parse(&address) {
            secrets.extend(url.password().map(str::to_owned));
            secrets.extend(url.query().map(str::to_owned));
            secrets.push(url.path().to_owned());
        }
        let raw_token = secret.and_then(|secret| value(secret, "token")).unwrap_or_default().to_vec();
        let token = trim_line(from_secret("token")?.unwrap_or_default());
        let (user, password) = match (from_secret("username")?, from_secret("password")?) {
            (Some(user), Some(password)) => (Some(user), trim_line(password)),
            (None, None) => (None, String::new()),
            // GitHub's and its kind take a password alone for a token; nobody takes half a pair silently.
            (None, Some(_)) => return Err("the secret has 'password' but no 'username'".to_owned()),
            (Some(_), None) => return Err("the secret has 'username' but no 'password'".to_owned()),
        };
        let headers = match from_secret("headers")? {
            Some(text) => headers(&text)?,
            None => BTreeMap::new(),
        };
        let proxy = Self::proxy(provider, secret, proxy)?;
        let tls = match certificates {
            Some(secret) => Some(
                Tls::from_secret(secret)
                    .and_then(|tls| {
                        tls.ok_or_else(|| "neither 'ca.crt' nor 'tls.crt' and 'tls.key'".to_owned())
                    })
                    .map_err(|err| format!("failed to get TLS config: {err}"))?,
            ),
            None => None,
        };
        secrets.extend([token.clone(), password.clone()]);
        secrets.extend(headers.values().cloned());
        secrets.extend(proxy.iter().flat_map(Proxy::secrets).map(str::to_owned));
        secrets.retain(|secret| secret.trim_matches('/').len() > 3);
        // Longer ones first: one may be part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Ok(Self {
            type_: spec.type_,
            uid: provider.metadata.uid.clone().unwrap_or_default(),
            address,
            channel: given(&spec.channel),
            username: user.unwrap_or_else(|| given(&spec.username)),
            password,
            token,
            raw_token,
            headers,
            client: transport::client(tls.as_ref(), proxy.as_ref())?,
            secrets,
        })
    }

    /// The proxy: of `proxySecretRef`, else of the Secret, else of the spec; `None` leaves it to the environment.
    fn proxy(
        provider: &Provider,
        secret: Option<&Secret>,
        proxy: Option<&Secret>,
    ) -> Result<Option<Proxy>, String> {
        let fail = |err: String| format!("failed to get proxy URL: {err}");
        if let Some(proxy) = proxy {
            let address = text(proxy, "address").map_err(fail)?;
            let address = address.ok_or_else(|| fail("the secret has no 'address'".to_owned()))?;
            let pair = match (text(proxy, "username").map_err(fail)?, text(proxy, "password").map_err(fail)?)
            {
                (Some(user), password) => Some((user, password.unwrap_or_default())),
                (None, _) => None,
            };
            return Proxy::new(address.trim(), pair).map(Some).map_err(fail);
        }
        let namespace = provider.metadata.namespace.as_deref().unwrap_or_default();
        let name = provider.spec.secret_ref.as_ref().map_or("", |reference| reference.name.as_str());
        if let Some(address) = secret.map(|secret| text(secret, "proxy")).transpose()?.flatten() {
            let proxy = Proxy::new(address.trim(), None);
            return proxy.map(Some).map_err(|_| format!("invalid 'proxy' in secret '{namespace}/{name}'"));
        }
        match provider.spec.proxy.as_deref().filter(|address| !address.is_empty()) {
            Some(address) => Proxy::new(address, None).map(Some).map_err(fail),
            None => Ok(None),
        }
    }

    /// A text without the secrets of the Provider.
    pub(crate) fn masked(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
    }

    /// The address as a URL.
    ///
    /// # Errors
    /// In words that do not repeat it.
    pub(crate) fn url(&self, name: &str) -> Result<Url, String> {
        let url = Url::parse(&self.address).map_err(|err| format!("invalid {name} URL: {err}"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(format!("invalid {name} URL: it needs http or https and a host"));
        }
        Ok(url)
    }
}

/// Without one line end, which an editor or `echo` has left.
fn trim_line(text: String) -> String {
    let end = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
    end.map(str::to_owned).unwrap_or(text)
}

fn headers(text: &str) -> Result<BTreeMap<String, String>, String> {
    let fail = |err: String| format!("failed to read headers from secret: {err}");
    let value = sluice_yaml::from_str(text).map_err(|_| fail("not YAML".to_owned()))?;
    serde_json::from_value(value).map_err(|_| fail("not a map of texts".to_owned()))
}
