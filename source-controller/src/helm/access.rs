//! How to get into a Helm repository: address, Secrets, client.

use k8s_openapi::api::core::v1::Secret;
use sluice_api::source::HelmRepository;
use url::Url;

use super::download::{Download, Login};
use crate::kind::{Failure, Stop};
use crate::secrets::{self, Tls, text, value};
use crate::transport::{TransportOptions, Transports};
use crate::work::Work;

/// A repository that can be asked.
pub(super) struct Access {
    /// The address of the folder of `index.yaml`, with a slash at its end.
    pub(super) base: Url,
    pub(super) download: Download,
}

fn failed(message: String) -> Stop {
    Failure::fetch("AuthenticationFailed", message).retry()
}

/// Reads what the spec says and refers to.
pub(super) async fn of(work: &Work<HelmRepository>, transports: &Transports) -> Result<Access, Stop> {
    let spec = &work.object.spec;
    let base = base(&spec.url)?;
    let namespace = work.namespace();
    let tls = match &spec.cert_secret_ref {
        Some(reference) => {
            let at = format!("'{namespace}/{}'", reference.name);
            let secret = secrets::read(&work.api(), &reference.name)
                .await
                .map_err(|error| failed(format!("failed to get TLS authentication secret {at}: {error}")))?;
            let tls = Tls::from_secret(&secret, &reference.name)
                .map_err(|error| failed(format!("failed to construct Helm client's TLS config: {error}")))?;
            Some(tls)
        }
        None => None,
    };
    let (login, old_tls) = match &spec.secret_ref {
        Some(reference) => {
            let at = format!("'{namespace}/{}'", reference.name);
            let secret = secrets::read(&work.api(), &reference.name)
                .await
                .map_err(|error| failed(format!("failed to get authentication secret {at}: {error}")))?;
            let methods = |error| failed(format!("failed to detect authentication methods: {error}"));
            (login(&secret).map_err(methods)?, old_tls(&secret, &reference.name).map_err(methods)?)
        }
        None => (None, None),
    };
    let options = TransportOptions { tls: tls.or(old_tls), ..TransportOptions::default() };
    let (_, http) = transports
        .client(&options)
        .map_err(|error| failed(format!("failed to construct Helm client's TLS config: {error}")))?;
    let login = login.map(|(user, password)| Login {
        user,
        password,
        only_for: (!spec.pass_credentials).then(|| base.origin()),
    });
    Ok(Access { base, download: Download { http, login } })
}

/// The address as a folder: `url` joins a relative address to it, rather than to what is above it.
fn base(text: &str) -> Result<Url, Stop> {
    let invalid =
        |error: String| Failure::fetch("URLInvalid", format!("invalid Helm repository URL: {error}")).stall();
    let mut url = Url::parse(text).map_err(|error| invalid(error.to_string()))?;
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
