//! Registry credentials: docker config files in Secrets, and which entry is for which repository.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

use super::address::Repository;
use crate::secrets;

/// What proves who we are to a registry.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// User and password.
    Basic(String, String),
    /// A refresh token that is exchanged at the token endpoint.
    Identity(String),
    /// A token that is sent as it is.
    Bearer(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic(..) => "Basic(…)",
            Self::Identity(_) => "Identity(…)",
            Self::Bearer(_) => "Bearer(…)",
        })
    }
}

/// Credentials of all configured Secrets.
#[derive(Debug, Default)]
pub(crate) struct Keyring(Vec<(String, Credential)>);

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    #[serde(rename = "identitytoken")]
    identity_token: Option<String>,
    #[serde(rename = "registrytoken")]
    registry_token: Option<String>,
}

impl Keyring {
    /// Adds the entries of a pull secret.
    ///
    /// # Errors
    /// When it has another type or its content cannot be read; never with the content in the text.
    pub(crate) fn add(&mut self, secret: &Secret, name: &str) -> Result<(), String> {
        let auths = match (secrets::value(secret, ".dockerconfigjson"), secrets::value(secret, ".dockercfg"))
        {
            (Some(bytes), _) => serde_json::from_slice::<DockerConfig>(bytes).map(|config| config.auths),
            (None, Some(bytes)) => serde_json::from_slice(bytes),
            (None, None) => {
                return Err(format!(
                    "secret '{name}' of type '{}' has no key '.dockerconfigjson': type 'kubernetes.io/dockerconfigjson' is needed",
                    secret.type_.as_deref().unwrap_or_default()
                ));
            }
        };
        // serde's text may quote the content: only the place is told.
        let auths = auths.map_err(|error| {
            format!(
                "secret '{name}' is not a docker config: invalid JSON at line {} column {}",
                error.line(),
                error.column()
            )
        })?;
        for (key, entry) in auths {
            if let Some(credential) =
                entry.credential().map_err(|text| format!("secret '{name}', entry '{key}': {text}"))?
            {
                self.0.push((pattern(&key), credential));
            }
        }
        Ok(())
    }

    /// Whether there are no credentials at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The credential for a repository: that of the most specific matching entry, the first of several equal ones.
    pub(crate) fn find(&self, repository: &Repository) -> Option<&Credential> {
        self.0
            .iter()
            .rev()
            .filter(|(pattern, _)| matches(pattern, repository))
            .max_by_key(|(pattern, _)| (pattern.contains('/'), pattern.len(), !pattern.contains('*')))
            .map(|(_, credential)| credential)
    }
}

impl Entry {
    fn credential(self) -> Result<Option<Credential>, &'static str> {
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(token) = filled(self.registry_token) {
            return Ok(Some(Credential::Bearer(token)));
        }
        if let Some(token) = filled(self.identity_token) {
            return Ok(Some(Credential::Identity(token)));
        }
        if let Some(user) = filled(self.username) {
            return Ok(Some(Credential::Basic(user, self.password.unwrap_or_default())));
        }
        let Some(auth) = filled(self.auth) else { return Ok(None) };
        let decoded = BASE64_STANDARD.decode(auth.trim()).map_err(|_| "'auth' is not base64")?;
        let decoded = String::from_utf8(decoded).map_err(|_| "'auth' is not text")?;
        let (user, password) = decoded.split_once(':').ok_or("'auth' is not 'user:password'")?;
        Ok(Some(Credential::Basic(user.to_owned(), password.trim_end_matches('\0').to_owned())))
    }
}

/// A key of a docker config as `host[/path]`.
fn pattern(key: &str) -> String {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let key = key.trim_end_matches('/');
    let key = key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key);
    match key {
        "docker.io" | "registry-1.docker.io" => "index.docker.io".to_owned(),
        key => key.to_owned(),
    }
}

/// Kubernetes' rules for pull secrets: `*` matches within one part of the host name, a path matches as a prefix.
fn matches(pattern: &str, repository: &Repository) -> bool {
    let (host, path) = pattern.split_once('/').unwrap_or((pattern, ""));
    let (host, port) = split_port(host);
    let (actual, actual_port) = split_port(&repository.host);
    let (wanted, given): (Vec<_>, Vec<_>) = (host.split('.').collect(), actual.split('.').collect());
    let same_host =
        wanted.len() == given.len() && wanted.iter().zip(&given).all(|(wanted, given)| glob(wanted, given));
    let same_path = path.is_empty()
        || repository.path == path
        || repository.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    same_host && port == actual_port && same_path
}

fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (name, Some(port))
        }
        _ => (host, None),
    }
}

/// `*` stands for any text; everything else for itself.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(part) = last.replace(part) {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
    }
    match last {
        Some(last) => rest.ends_with(last),
        None => rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    fn secret(key: &str, content: &str) -> Secret {
        Secret {
            data: Some([(key.to_owned(), ByteString(content.as_bytes().to_vec()))].into()),
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        }
    }

    fn keyring(content: &str) -> Result<Keyring, String> {
        let mut keyring = Keyring::default();
        keyring.add(&secret(".dockerconfigjson", content), "pull")?;
        Ok(keyring)
    }

    #[test]
    fn the_most_specific_entry_is_found() {
        let keyring = keyring(
            r#"{"auths": {
                "https://index.docker.io/v1/": {"auth": "aHViOnA="},
                "ghcr.io": {"username": "host", "password": "p"},
                "ghcr.io/org": {"username": "org", "password": "p"},
                "*.example.com": {"username": "glob", "password": "p"},
                "r.example.com": {"username": "exact", "password": "p"},
                "reg:5000": {"username": "port", "password": "p"}
            }}"#,
        )
        .unwrap();
        for (url, want) in [
            ("oci://docker.io/nginx", Some("hub")),
            ("oci://ghcr.io/other/x", Some("host")),
            ("oci://ghcr.io/org/x", Some("org")),
            ("oci://ghcr.io/organisation/x", Some("host")),
            ("oci://a.example.com/x", Some("glob")),
            ("oci://r.example.com/x", Some("exact")),
            ("oci://a.b.example.com/x", None),
            ("oci://reg:5000/x", Some("port")),
            ("oci://reg:5001/x", None),
            ("oci://quay.io/x", None),
        ] {
            let found = keyring.find(&Repository::parse(url).unwrap()).map(|credential| match credential {
                Credential::Basic(user, _) => user.as_str(),
                other => panic!("{other:?}"),
            });
            assert_eq!(found, want, "{url}");
        }
    }

    #[test]
    fn unreadable_secrets_are_named_without_their_content() {
        for (content, want) in [
            (r#"{"auths": {"ghcr.io": {"password": hunter2}}}"#, "secret 'pull' is not a docker config"),
            (r#"{"auths": {"ghcr.io": {"auth": "hunter2!"}}}"#, "entry 'ghcr.io': 'auth' is not base64"),
            (r#"{"auths": {"ghcr.io": {"auth": "aHVudGVyMg=="}}}"#, "'auth' is not 'user:password'"),
        ] {
            let error = keyring(content).unwrap_err();
            assert!(error.contains(want) && !error.contains("hunter2"), "{error}");
        }
        let error = Keyring::default().add(&secret("password", "x"), "pull").unwrap_err();
        assert!(error.contains("type 'kubernetes.io/dockerconfigjson' is needed"), "{error}");
        let mut legacy = Keyring::default();
        legacy.add(&secret(".dockercfg", r#"{"ghcr.io": {"auth": "dTpw"}}"#), "pull").unwrap();
        assert!(!legacy.is_empty());
        assert!(!format!("{legacy:?}").contains("\"p\""));
    }
}
