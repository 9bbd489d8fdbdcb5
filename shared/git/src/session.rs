//! One conversation with a server: handshake, then list refs or fetch. Over any `gix` transport.

use gix::{
    bstr::BString,
    progress::Discard,
    protocol::{
        Handshake, LsRefsCommand,
        handshake::Ref,
        ls_refs::RefPrefixes,
        transport::{Protocol, Service},
    },
};
use gix_transport::client::blocking_io::{Transport, http};

use crate::{
    error::{Error, Result, chain},
    http::{Failure, GitHttp},
    limit::Limit,
    refs::RemoteRef,
    remote::Remote,
    url::SafeUrl,
};

/// How this crate names itself to servers.
pub(crate) const AGENT: (&str, Option<&str>) =
    ("agent", Some(concat!("git/sluice-", env!("CARGO_PKG_VERSION"))));

/// An open conversation.
pub(crate) struct Session {
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) handshake: Handshake,
    failure: Failure,
    repository: SafeUrl,
    runtime: tokio::runtime::Handle,
}

impl Session {
    /// Says hello to `remote` as a fetching client; the server may answer with up to `max_bytes` in all.
    pub(crate) fn open(remote: &Remote, limit: &Limit, max_bytes: u64) -> Result<Self> {
        let repository = remote.url().without_user_info();
        let (http, failure) = GitHttp::new(
            remote.http().clone(),
            repository.clone(),
            remote.auth().header()?,
            limit.clone(),
            max_bytes,
        );
        let address = gix::url::parse(repository.url().as_str().trim_end_matches('/'))
            .map_err(|cause| Error::InvalidUrl { url: repository.to_string(), detail: chain(&cause) })?;
        let mut transport: Box<dyn Transport> =
            Box::new(http::Transport::new_http(http, address, Protocol::V2, false));
        // Credentials are added by `GitHttp`, which knows where they may go.
        let handshake = gix::protocol::handshake(
            &mut transport,
            Service::UploadPack,
            |_| Ok(None),
            Vec::new(),
            &mut Discard,
        );
        let handshake = match handshake {
            Ok(handshake) => handshake,
            Err(error) => return Err(explain(&failure, &repository, &error)),
        };
        Ok(Self { transport, handshake, failure, repository, runtime: remote.http().runtime().clone() })
    }

    /// The refs that begin with one of `prefixes`, or all.
    pub(crate) fn list(&mut self, prefixes: &[&str]) -> Result<Vec<RemoteRef>> {
        let refs: Vec<Ref> = match self.handshake.refs.take() {
            Some(refs) => refs,
            None => {
                let mut wanted = RefPrefixes::new();
                wanted.extend(prefixes.iter().map(|prefix| BString::from(*prefix)));
                let command = LsRefsCommand::new(
                    (!prefixes.is_empty()).then_some(wanted),
                    &self.handshake.capabilities,
                    (AGENT.0, AGENT.1.map(Into::into)),
                );
                command
                    .invoke_blocking(&mut self.transport, &mut Discard, false)
                    .map_err(|error| explain(&self.failure, &self.repository, &error))?
            }
        };
        // Servers may send more than was asked for; older ones always do.
        let mut refs: Vec<RemoteRef> = refs
            .into_iter()
            .filter_map(RemoteRef::from_gix)
            .filter(|found| {
                prefixes.is_empty() || prefixes.iter().any(|prefix| found.name.starts_with(prefix))
            })
            .collect();
        refs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(refs)
    }

    /// The repository's address, without user information.
    pub(crate) fn repository(&self) -> &SafeUrl {
        &self.repository
    }

    /// The runtime that drives the connection.
    pub(crate) fn runtime(&self) -> &tokio::runtime::Handle {
        &self.runtime
    }

    /// Explains an error of `gix` in this session.
    pub(crate) fn explain(&self, error: &gix::Error) -> Error {
        explain(&self.failure, &self.repository, error)
    }
}

fn explain(failure: &Failure, repository: &SafeUrl, error: &gix::Error) -> Error {
    failure.take().unwrap_or_else(|| Error::Protocol { url: repository.clone(), detail: chain(error) })
}
