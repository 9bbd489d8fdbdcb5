//! How to get into a Helm repository: address, Secrets, client.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use sluice_api::source::{HelmRepository, OciProvider};
use url::Url;

use super::download::{Download, Login};
use crate::kind::{Failure, Stop};
use crate::oci::address::Repository;
use crate::oci::credentials::{Credential, Keyring};
use crate::secrets::{self, Tls, text, value};
use crate::transport::{TransportOptions, Transports};

/// A repository that can be asked.
pub(super) struct Access {
    /// The address of the folder of `index.yaml`, with a slash at its end.
    pub(super) base: Url,
    pub(super) download: Download,
}

impl Access {
    /// An address that the repository speaks of, relative to its own or absolute.
    ///
    /// # Errors
    /// When it is no address of a website.
    pub(super) fn url(&self, reference: &str) -> Result<Url, String> {
        let invalid = |error: String| format!("invalid chart URL format '{reference}': {error}");
        let mut url = self.base.join(reference).map_err(|error| invalid(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid(format!("scheme '{}' is not http or https", url.scheme())));
        }
        // A token in the repository's address is for what belongs to it.
        if url.query().is_none() && Url::parse(reference).is_err() && url.origin() == self.base.origin() {
            url.set_query(self.base.query());
        }
        Ok(url)
    }
}

fn failed(message: String) -> Stop {
    Failure::fetch("AuthenticationFailed", message).retry()
}

/// Reads what the spec of a repository over HTTP says, and the Secrets of its namespace that it refers to.
pub(super) async fn http(
    secrets: &Api<Secret>,
    repository: &HelmRepository,
    transports: &Transports,
) -> Result<Access, Stop> {
    let spec = &repository.spec;
    let base = base(&spec.url)?;
    let (login, tls) = match read_login(secrets, repository).await? {
        Some((secret, name)) => {
            let methods = |error| failed(format!("failed to detect authentication methods: {error}"));
            (login(&secret).map_err(methods)?, old_tls(&secret, name).map_err(methods)?)
        }
        None => (None, None),
    };
    let tls = read_tls(secrets, repository).await?.or(tls);
    let options = TransportOptions { tls, ..TransportOptions::default() };
    let (_, http) = transports.client(&options).map_err(bad_tls)?;
    let login = login.map(|(user, password)| Login {
        user,
        password,
        only_for: (!spec.pass_credentials).then(|| base.origin()),
    });
    Ok(Access { base, download: Download { http, login } })
}

/// Reads what the spec of a repository in a registry says, and the Secrets of its namespace that it refers to.
///
/// A cloud identity is not built yet: a repository that needs one must not fall back to anonymous access.
pub(super) async fn registry(
    secrets: &Api<Secret>,
    repository: &HelmRepository,
    address: &Repository,
) -> Result<(TransportOptions, Option<Credential>), Stop> {
    let spec = &repository.spec;
    let tls = read_tls(secrets, repository).await?;
    let credential = match read_login(secrets, repository).await? {
        Some((secret, name)) => Some(registry_login(&secret, name, address).map_err(failed)?),
        None => None,
    };
    let provider = spec.provider.unwrap_or_default();
    if provider != OciProvider::Generic && credential.is_none() {
        return Err(failed(format!(
            "failed to get credential from '{provider}': cloud identities are not supported by this version of \
             Sluice yet; use provider 'generic' with spec.secretRef"
        )));
    }
    let insecure = spec.insecure && tls.is_none();
    Ok((TransportOptions { tls, proxy: None, insecure }, credential))
}

async fn read_tls(secrets: &Api<Secret>, repository: &HelmRepository) -> Result<Option<Tls>, Stop> {
    let Some(reference) = &repository.spec.cert_secret_ref else { return Ok(None) };
    let secret = secrets::read(secrets, &reference.name).await.map_err(|error| {
        let at = format!("'{}/{}'", repository.namespace().unwrap_or_default(), reference.name);
        failed(format!("failed to get TLS authentication secret {at}: {error}"))
    })?;
    Tls::from_secret(&secret, &reference.name).map(Some).map_err(bad_tls)
}

async fn read_login<'r>(
    secrets: &Api<Secret>,
    repository: &'r HelmRepository,
) -> Result<Option<(Secret, &'r str)>, Stop> {
    let Some(reference) = &repository.spec.secret_ref else { return Ok(None) };
    let secret = secrets::read(secrets, &reference.name).await.map_err(|error| {
        let at = format!("'{}/{}'", repository.namespace().unwrap_or_default(), reference.name);
        failed(format!("failed to get authentication secret {at}: {error}"))
    })?;
    Ok(Some((secret, &reference.name)))
}

fn bad_tls(error: String) -> Stop {
    failed(format!("failed to construct Helm client's TLS config: {error}"))
}

/// A docker config, which must speak of the host, or a user and a password.
fn registry_login(secret: &Secret, name: &str, address: &Repository) -> Result<Credential, String> {
    if [".dockerconfigjson", ".dockercfg"].iter().any(|key| value(secret, key).is_some()) {
        let mut keyring = Keyring::default();
        keyring.add(secret, name)?;
        let host = &address.host;
        return keyring
            .find(address)
            .cloned()
            .ok_or_else(|| format!("no auth config for '{host}' in the docker-registry Secret '{name}'"));
    }
    match (text(secret, "username")?, text(secret, "password")?) {
        (Some(user), Some(password)) => Ok(Credential::Basic(user, password)),
        _ => Err(format!("invalid '{name}' secret data: required fields 'username' and 'password'")),
    }
}

/// The address as a folder: `url` joins a relative address to it, rather than to what is above it.
pub(super) fn base(text: &str) -> Result<Url, Stop> {
    let invalid =
        |error: String| Failure::fetch("URLInvalid", format!("invalid Helm repository URL: {error}")).stall();
    let mut url = Url::parse(text).map_err(|error| invalid(error.to_string()))?;
    url.set_fragment(None);
    match url.scheme() {
        "http" | "https" => {}
        "oci" => {
            return Err(invalid("'oci' URL scheme cannot be used with 'default' HelmRepository type".into()));
        }
        scheme => {
            let message =
                format!("failed to construct Helm client: could not find protocol handler for: {scheme}");
            return Err(Failure::fetch("Failed", message).stall());
        }
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("credentials belong into the Secret of spec.secretRef".into()));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

fn login(secret: &Secret) -> Result<Option<(String, String)>, String> {
    match (text(secret, "username")?, text(secret, "password")?) {
        (Some(user), Some(password)) => Ok(Some((user, password))),
        (None, None) => Ok(None),
        (Some(_), None) => Err("malformed basic auth - has 'username' but missing 'password'".into()),
        (None, Some(_)) => Err("malformed basic auth - has 'password' but missing 'username'".into()),
    }
}

/// Certificates beside the password: deprecated by Flux, read all the same.
fn old_tls(secret: &Secret, name: &str) -> Result<Option<Tls>, String> {
    let keys = ["ca.crt", "caFile", "tls.crt", "certFile", "tls.key", "keyFile"];
    let has_any = keys.iter().any(|key| value(secret, key).is_some_and(|bytes| !bytes.is_empty()));
    has_any.then(|| Tls::from_secret(secret, name)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_folders() {
        for (text, want) in [
            ("https://example.com", "https://example.com/"),
            ("https://example.com/charts", "https://example.com/charts/"),
            ("https://example.com/charts/?a=b", "https://example.com/charts/?a=b"),
        ] {
            assert_eq!(base(text).unwrap().as_str(), want);
        }
        for (text, want) in [
            ("oci://example.com", "'oci' URL scheme cannot be used"),
            ("https://", "invalid Helm repository URL"),
            ("ftp://example.com", "failed to construct Helm client"),
            ("https://user:secret@example.com", "credentials belong into the Secret"),
        ] {
            let Err(Stop::Stalled(failure)) = base(text) else { panic!("{text} is taken") };
            assert!(failure.message.contains(want), "{}", failure.message);
            assert!(!failure.message.contains("user:secret"), "{}", failure.message);
        }
    }
}
