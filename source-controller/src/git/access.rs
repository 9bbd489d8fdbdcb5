//! Where a repository is and how to get in: address, Secret, proxy (sources.md 7.1 steps 2 to 5, 7.2, 13).

use k8s_openapi::api::core::v1::Secret as KubeSecret;
use sluice_api::source::{GitProvider, GitRepository};
use sluice_git::{Auth, ClientKey, HttpOptions, Proxy, SafeUrl, Secret};

use crate::kind::{Failure, Stop};
use crate::secrets::{self, Tls, text};
use crate::work::Work;

const AUTHENTICATION_FAILED: &str = "AuthenticationFailed";
const INVALID_PROVIDER: &str = "InvalidProviderConfiguration";

/// How to reach a repository.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) url: SafeUrl,
    pub(super) auth: Auth,
    pub(super) http: HttpOptions,
    /// Names the mirror: one for all who may see the same.
    pub(super) mirror_key: String,
}

/// Reads what the spec says and refers to.
pub(super) async fn of(work: &Work<GitRepository>) -> Result<Access, Stop> {
    let spec = &work.object.spec;
    let proxy = match &spec.proxy_secret_ref {
        Some(reference) => {
            let failed = |error: String| {
                Failure::fetch(AUTHENTICATION_FAILED, format!("failed to configure proxy options: {error}"))
                    .retry()
            };
            let secret = secrets::read(&work.api(), &reference.name).await.map_err(failed)?;
            Some(proxy(&secret, &reference.name).map_err(failed)?)
        }
        None => None,
    };
    let url = SafeUrl::parse(&spec.url).map_err(|error| {
        let shown = match &error {
            sluice_git::Error::InvalidUrl { url, .. } | sluice_git::Error::UnsupportedScheme { url, .. } => {
                url.clone()
            }
            _ => String::new(),
        };
        let detail = match &error {
            sluice_git::Error::InvalidUrl { detail, .. } => detail.clone(),
            sluice_git::Error::UnsupportedScheme { scheme, .. } if scheme == "ssh" => {
                "Git over SSH is not built yet, use https://".to_owned()
            }
            sluice_git::Error::UnsupportedScheme { scheme, .. } => format!("unknown transport '{scheme}'"),
            other => other.to_string(),
        };
        Failure::fetch("URLInvalid", format!("failed to parse url '{shown}': {detail}")).stall()
    })?;
    let secret = match &spec.secret_ref {
        Some(reference) => {
            let at = format!("{}/{}", work.namespace(), reference.name);
            secrets::read(&work.api(), &reference.name).await.map_err(|error| {
                Failure::fetch(AUTHENTICATION_FAILED, format!("failed to get secret '{at}': {error}")).retry()
            })?
        }
        None => KubeSecret::default(),
    };
    check_provider(work, &secret)?;
    let auth = auth(&url, &secret).map_err(|error| misconfigured(&error))?;
    let http = HttpOptions { proxy, ..tls(&url, &secret).map_err(|error| misconfigured(&error))? };
    let secret_name = spec.secret_ref.as_ref().map_or("", |reference| &reference.name);
    let mirror_key = [&work.namespace(), secret_name, spec.url.as_str()].join("\n");
    Ok(Access { url, auth, http, mirror_key })
}

/// The failure of a Secret that does not say how to get in.
pub(super) fn misconfigured(error: &str) -> Stop {
    let message = format!("failed to configure authentication options: {error}");
    Failure::fetch(AUTHENTICATION_FAILED, message).retry()
}

fn check_provider(work: &Work<GitRepository>, secret: &KubeSecret) -> Result<(), Stop> {
    let provider = match &work.object.spec.provider {
        None | Some(GitProvider::Generic) => {
            if secrets::value(secret, "githubAppID").is_some() {
                let name = work.object.spec.secret_ref.as_ref().map_or("", |reference| &reference.name);
                let message = format!(
                    "secretRef '{}/{name}' has github app data but provider is not set to github",
                    work.namespace()
                );
                return Err(Failure::fetch(INVALID_PROVIDER, message).retry());
            }
            return Ok(());
        }
        Some(GitProvider::Aws) => "aws",
        Some(GitProvider::Azure) => "azure",
        Some(GitProvider::Github) => "github",
    };
    let message = format!(
        "provider '{provider}' is not built yet; use provider 'generic' with a Secret that has \
         username and password, or bearerToken"
    );
    Err(Failure::fetch(INVALID_PROVIDER, message).stall())
}

fn auth(url: &SafeUrl, secret: &KubeSecret) -> Result<Auth, String> {
    let has_user_info = !url.url().username().is_empty() || url.url().password().is_some();
    if let Some(token) = text(secret, "bearerToken")? {
        if has_user_info {
            return Err("basic auth and bearer token cannot be set at the same time".into());
        }
        return Ok(Auth::Bearer(Secret::new(token)));
    }
    match (text(secret, "username")?, text(secret, "password")?) {
        (Some(username), password) => {
            Ok(Auth::Basic { username, password: Secret::new(password.unwrap_or_default()) })
        }
        (None, Some(_)) => {
            let scheme = url.url().scheme();
            Err(format!("invalid '{scheme}' auth option: 'password' requires 'username' to be set"))
        }
        (None, None) => Ok(Auth::None),
    }
}

/// TLS material is optional here, beside credentials in the same Secret.
fn tls(url: &SafeUrl, secret: &KubeSecret) -> Result<HttpOptions, String> {
    let keys = ["ca.crt", "tls.crt", "tls.key", "caFile", "certFile", "keyFile"];
    let has_any = keys.iter().any(|key| secrets::value(secret, key).is_some_and(|value| !value.is_empty()));
    if url.url().scheme() != "https" || !has_any {
        return Ok(HttpOptions::default());
    }
    let name = secret.metadata.name.as_deref().unwrap_or_default();
    let Tls { ca, identity } = Tls::from_secret(secret, name)?;
    let client_certificate = identity.map(|(certificate, key)| (certificate, ClientKey(key)));
    Ok(HttpOptions { ca, client_certificate, proxy: None })
}

fn proxy(secret: &KubeSecret, name: &str) -> Result<Proxy, String> {
    let secrets::Proxy { address, credentials } = secrets::Proxy::from_secret(secret, name)?;
    let credentials = credentials.map(|(username, password)| (username, Secret::new(password)));
    Ok(Proxy { address, credentials })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(entries: &[(&str, &str)]) -> KubeSecret {
        let value = |text: &str| k8s_openapi::ByteString(text.as_bytes().to_vec());
        let data = entries.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect();
        KubeSecret { data: Some(data), ..KubeSecret::default() }
    }

    #[test]
    fn credentials_are_read_as_flux_reads_them() {
        let basic = |username: &str, password: &str| Auth::Basic {
            username: username.into(),
            password: Secret::new(password),
        };
        let only_for_one = "basic auth and bearer token cannot be set at the same time";
        for (url, entries, want) in [
            ("https://h/r", &[][..], Ok(Auth::None)),
            ("https://h/r", &[("username", "u"), ("password", "p")], Ok(basic("u", "p"))),
            ("https://h/r", &[("username", "u")], Ok(basic("u", ""))),
            (
                "https://h/r",
                &[("username", ""), ("password", "p")],
                Err("invalid 'https' auth option: 'password' requires 'username' to be set"),
            ),
            (
                "http://h/r",
                &[("password", "p")],
                Err("invalid 'http' auth option: 'password' requires 'username' to be set"),
            ),
            (
                "https://h/r",
                &[("bearerToken", "t"), ("username", "u"), ("password", "p")],
                Ok(Auth::Bearer(Secret::new("t"))),
            ),
            ("https://u:p@h/r", &[("bearerToken", "t")], Err(only_for_one)),
        ] {
            let got = auth(&SafeUrl::parse(url).unwrap(), &data(entries));
            assert_eq!(got, want.map_err(str::to_owned), "{url} {entries:?}");
        }
    }

    #[test]
    fn tls_material_comes_in_pairs_and_under_old_names() {
        let https = SafeUrl::parse("https://h/r").unwrap();
        for (entries, want) in [
            (&[("ca.crt", "new"), ("caFile", "old")][..], Ok((Some("new"), false))),
            (&[("caFile", "old")], Ok((Some("old"), false))),
            (&[("tls.crt", "c"), ("tls.key", "k")], Ok((None, true))),
            (&[("certFile", "c"), ("keyFile", "k")], Ok((None, true))),
            (&[("tls.crt", "c")], Err(())),
            (&[("tls.key", "k")], Err(())),
            (&[("username", "u")], Ok((None, false))),
        ] {
            let got = tls(&https, &data(entries)).map_err(drop).map(|options| {
                (options.ca.map(|ca| String::from_utf8(ca).unwrap()), options.client_certificate.is_some())
            });
            assert_eq!(got, want.map(|(ca, pair)| (ca.map(str::to_owned), pair)), "{entries:?}");
        }
    }
}
