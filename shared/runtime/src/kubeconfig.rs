//! Clients of other clusters, from kubeconfigs that users keep in Secrets.
//!
//! A kubeconfig is code as far as its author is concerned: it can name programs to run and files to read where the
//! controller runs. Only what it carries itself is used; programs and unverified connections need a flag.

use k8s_openapi::api::core::v1::Secret;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The keys that are read where none is named, in this order.
const DEFAULT_KEYS: [&str; 2] = ["value", "value.yaml"];
/// Time for a connection.
const CONNECT: Duration = Duration::from_secs(30);
/// Clusters that are remembered at a time.
const MAX_CLUSTERS: usize = 256;

/// What of a kubeconfig needs a flag.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowed {
    /// Programs that bring credentials (`--insecure-kubeconfig-exec`).
    pub exec: bool,
    /// Servers whose certificate is not verified (`--insecure-kubeconfig-tls`).
    pub insecure_tls: bool,
}

/// Why a remote cluster cannot be reached. No text holds anything of the kubeconfig but names.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The Secret does not exist.
    #[error("kubeconfig Secret '{secret}' not found")]
    NotFound {
        /// `namespace/name`.
        secret: String,
    },
    /// The Secret cannot be read.
    #[error("unable to read kubeconfig Secret '{secret}': {cause}")]
    Read {
        /// `namespace/name`.
        secret: String,
        /// What the API server says.
        cause: String,
    },
    /// The Secret lacks the key.
    #[error("KubeConfig secret '{secret}' does not contain a '{key}' key with a kubeconfig")]
    Key {
        /// `namespace/name`.
        secret: String,
        /// The key that was looked for.
        key: String,
    },
    /// The key holds no usable kubeconfig.
    #[error("kubeconfig in Secret '{secret}' key '{key}' cannot be used: {cause}")]
    Invalid {
        /// `namespace/name`.
        secret: String,
        /// The key.
        key: String,
        /// What is wrong.
        cause: String,
    },
}

impl RemoteError {
    /// Whether the Secret is gone, and with it all hope to reach the cluster.
    pub fn is_not_found(&self) -> bool {
        matches!(self, RemoteError::NotFound { .. })
    }
}

/// A remote cluster: its client, and what tells it from others.
#[derive(Clone)]
pub struct Remote {
    /// Acts as the kubeconfig's user.
    pub client: Client,
    /// The hash of the kubeconfig: what is remembered of a cluster is kept under it.
    pub id: Arc<str>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Makes clients of kubeconfigs, and keeps them while the kubeconfig stays the same. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Remotes {
    allowed: Allowed,
    by_hash: Arc<Mutex<HashMap<Arc<str>, Remote>>>,
}

impl Remotes {
    /// No clients yet.
    pub fn new(allowed: Allowed) -> Self {
        Self { allowed, by_hash: Arc::default() }
    }

    /// The cluster of the kubeconfig in a Secret, which is read with `client`.
    ///
    /// # Errors
    /// See [`RemoteError`]. Whether the cluster answers shows at the first request.
    pub async fn get(
        &self,
        client: &Client,
        namespace: &str,
        name: &str,
        key: Option<&str>,
    ) -> Result<Remote, RemoteError> {
        let secret = format!("{namespace}/{name}");
        let found = Api::<Secret>::namespaced(client.clone(), namespace).get_opt(name).await;
        let data = match found {
            Ok(Some(found)) => found.data.unwrap_or_default(),
            Ok(None) => return Err(RemoteError::NotFound { secret }),
            Err(err) => {
                let cause = crate::telemetry::chain(&err).to_string();
                return Err(RemoteError::Read { secret, cause });
            }
        };
        let key = key.filter(|key| !key.is_empty());
        let keys = key.map_or_else(|| DEFAULT_KEYS.to_vec(), |key| vec![key]);
        let Some((key, text)) = keys.iter().find_map(|key| Some((*key, data.get(*key)?))) else {
            return Err(RemoteError::Key {
                secret,
                key: keys.first().copied().unwrap_or_default().to_owned(),
            });
        };
        let id: Arc<str> = hex::encode(Sha256::digest(&text.0)).into();
        if let Some(known) = self.by_hash.lock().get(&id) {
            return Ok(known.clone());
        }
        let fail =
            |cause: String| RemoteError::Invalid { secret: secret.clone(), key: key.to_owned(), cause };
        let kubeconfig = harmless(&text.0, self.allowed).map_err(fail)?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .map_err(|err| fail(err.to_string()))?;
        config.connect_timeout = Some(CONNECT);
        let client = Client::try_from(config).map_err(|err| fail(err.to_string()))?;
        let remote = Remote { client, id: id.clone() };
        let mut clients = self.by_hash.lock();
        if clients.len() >= MAX_CLUSTERS {
            // Those in use live on in their users' hands.
            clients.clear();
        }
        clients.insert(id, remote.clone());
        Ok(remote)
    }
}

/// Reads a kubeconfig and takes out what could do harm, or refuses it.
fn harmless(text: &[u8], allowed: Allowed) -> Result<Kubeconfig, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
    // The parser's own words can quote the text, which holds credentials.
    let mut config = Kubeconfig::from_yaml(text).map_err(|_| "it is not a kubeconfig in YAML".to_owned())?;
    for cluster in config.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        if given(&cluster.certificate_authority) {
            return Err(file("certificate-authority"));
        }
        if !allowed.insecure_tls {
            cluster.insecure_skip_tls_verify = None;
        }
    }
    for user in config.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        for (field, value) in [
            ("client-certificate", &user.client_certificate),
            ("client-key", &user.client_key),
            ("tokenFile", &user.token_file),
        ] {
            if given(value) {
                return Err(file(field));
            }
        }
        user.auth_provider = None;
        user.impersonate = None;
        user.impersonate_groups = None;
        if !allowed.exec {
            user.exec = None;
        }
    }
    Ok(config)
}

fn given(text: &Option<String>) -> bool {
    text.as_deref().is_some_and(|text| !text.is_empty())
}

fn file(field: &str) -> String {
    format!("{field} refers to a local file; put its content into {field}-data or a token into it instead")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubeconfig(cluster: &str, user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts:\n- name: c\n  context: {{cluster: c, user: u}}\n\
             clusters:\n- name: c\n  cluster: {{server: 'https://example.com'{cluster}}}\nusers:\n- name: u\n  user: {{{user}}}\n"
        )
    }

    #[test]
    fn what_could_do_harm_is_refused_or_taken_out() {
        let none = Allowed::default();
        for (cluster, user, refused) in [
            ("", "token: t", None),
            (
                ", certificate-authority: /etc/passwd",
                "token: t",
                Some("certificate-authority refers to a local file"),
            ),
            ("", "client-certificate: /x, client-key: /y", Some("client-certificate refers to a local file")),
            ("", "tokenFile: /var/run/secrets/token", Some("tokenFile refers to a local file")),
        ] {
            let got = harmless(kubeconfig(cluster, user).as_bytes(), none).map(drop);
            match refused {
                None => assert_eq!(got, Ok(()), "{cluster} {user}"),
                Some(text) => assert!(got.is_err_and(|err| err.starts_with(text)), "{cluster} {user}"),
            }
        }
        let text = kubeconfig(
            ", insecure-skip-tls-verify: true",
            "as: admin, exec: {apiVersion: client.authentication.k8s.io/v1, command: evil}",
        );
        let part = |allowed| {
            let config = harmless(text.as_bytes(), allowed).expect("usable");
            let user = config.auth_infos[0].auth_info.clone().expect("a user");
            let cluster = config.clusters[0].cluster.clone().expect("a cluster");
            (
                user.impersonate.is_some(),
                user.exec.is_some(),
                cluster.insecure_skip_tls_verify.unwrap_or(false),
            )
        };
        assert_eq!(part(none), (false, false, false));
        assert_eq!(part(Allowed { exec: true, insecure_tls: true }), (false, true, true));
        let err = harmless(b"users: [{name: u, user: {token: [hunter2]}}]", none).expect_err("no text");
        assert!(!err.contains("hunter2"), "{err}");
    }
}
