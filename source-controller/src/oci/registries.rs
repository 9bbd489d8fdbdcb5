//! What is learnt of registries, shared by all that pull from them: connections, tokens, schemes, who does not answer.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::address::Repository;
use super::credentials::Credential;
use super::registry::Registry;
use super::session::{Scheme, Session};
use crate::suspects::Suspects;
use crate::transport::{ClientId, TransportOptions, Transports};

/// Sessions that are kept.
const MAX_SESSIONS: usize = 1024;

/// All registries.
#[derive(Debug, Default)]
pub struct Registries {
    pub(crate) suspects: Suspects,
    transports: Transports,
    sessions: Mutex<HashMap<SessionId, Arc<Session>>>,
    schemes: Mutex<HashMap<(ClientId, String), Arc<Scheme>>>,
}

/// Whose token it is: never shared between different credentials.
type SessionId = (ClientId, Repository, [u8; 32]);

/// A client and what identifies it.
pub(crate) type Client = (ClientId, reqwest::Client);

impl Registries {
    /// Without anything remembered.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new() -> anyhow::Result<Self> {
        let registries = Self::default();
        registries
            .client(&TransportOptions::default())
            .map_err(|error| anyhow::anyhow!("cannot make an HTTP client: {error}"))?;
        Ok(registries)
    }

    /// The client for these options.
    ///
    /// # Errors
    /// What in a certificate, key or proxy cannot be used.
    pub(crate) fn client(&self, options: &TransportOptions) -> Result<Client, String> {
        self.transports.client(options)
    }

    /// A way to a repository. `insecure` allows plain HTTP, which is tried in the neighbourhood in any case.
    pub(crate) fn registry<'a>(
        &self,
        (id, http): Client,
        repository: &'a Repository,
        credential: Option<&Credential>,
        insecure: bool,
    ) -> Registry<'a> {
        let session = self.session(id, repository, credential);
        Registry { http, repository, session, plain_http: insecure || repository.is_local() }
    }

    fn session(
        &self,
        client: ClientId,
        repository: &Repository,
        credential: Option<&Credential>,
    ) -> Arc<Session> {
        let id = (client, repository.clone(), fingerprint(credential));
        let mut sessions = self.sessions.lock();
        if let Some(session) = sessions.get(&id) {
            return session.clone();
        }
        let mut schemes = self.schemes.lock();
        if sessions.len() >= MAX_SESSIONS {
            sessions.clear();
            schemes.clear();
        }
        let scheme = schemes.entry((client, repository.host.clone())).or_default().clone();
        let session = Arc::new(Session::new(credential.cloned(), scheme));
        sessions.insert(id, session.clone());
        session
    }
}

fn fingerprint(credential: Option<&Credential>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    match credential {
        None => part("anonymous"),
        Some(Credential::Basic(user, password)) => {
            part("basic");
            part(user);
            part(password);
        }
        Some(Credential::Identity(token)) => {
            part("identity");
            part(token);
        }
        Some(Credential::Bearer(token)) => {
            part("bearer");
            part(token);
        }
    }
    hash.finalize().into()
}
