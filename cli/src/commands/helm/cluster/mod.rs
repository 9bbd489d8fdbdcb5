//! The cluster that `--dry-run=server` asks: what it is, what it has, and whether it would take what was rendered.
//!
//! Helm leaves the values of fields to the admission of a real install, and so does this: asked is whether every kind
//! is served, and whether an object is there already that belongs to somebody else. Rendering is not async code, so
//! every question blocks until it is answered.

use std::time::Duration;

use kube::Client;
use tokio::runtime::{Builder, Runtime};

use sluice_helm::Capabilities;
use sluice_helm::capabilities::KubeVersion;
use sluice_helm::manifest::Manifests;
use sluice_helm::{Release, RenderedFile};

use super::{Failure, log};
use crate::arguments::Global;
use apis::Apis;

mod apis;
mod connect;
mod lookup;
mod metadata;
mod objects;
mod ownership;
mod request;

pub(super) use connect::namespace;

/// A cluster that answers.
pub(super) struct Cluster {
    runtime: Runtime,
    client: Client,
    version: KubeVersion,
    apis: Apis,
    /// How long one answer may take.
    patience: Duration,
}

impl Cluster {
    /// Connects to the cluster that flags and environment name, and asks what it is and what it has.
    ///
    /// # Errors
    /// Helm's text, where it is not configured, not reached or does not answer.
    pub(super) fn connect(global: &Global) -> Result<Self, Failure> {
        let unreachable = |problem: String| {
            let text =
                format!("cluster reachability check failed: kubernetes cluster unreachable: {problem}");
            log("ERROR", &text);
            Failure::new(text).hint(
                "render without --dry-run=server; --kube-version and --api-versions say what the cluster has",
            )
        };
        // Fails only if a provider is installed already, which is then as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
        let (client, server) = runtime.block_on(connect::client(global)).map_err(unreachable)?;
        // A deadline that the clock cannot hold is as good as none.
        let patience = global.timeout.to_std().min(Duration::from_secs(u32::MAX.into()));
        let asked = request::within(&runtime, patience, client.apiserver_version());
        let info = asked.map_err(|error| unreachable(error.at(&connect::version_url(&server))))?;
        let version =
            KubeVersion { version: info.git_version, normalized: None, major: info.major, minor: info.minor };
        let apis = request::within(&runtime, patience, Apis::discover(&client)).map_err(|error| {
            Failure::new(format!(
                "could not get apiVersions from Kubernetes: could not get apiVersions from Kubernetes: {error}"
            ))
        })?;
        Ok(Self { runtime, client, version, apis, patience })
    }

    /// What templates learn of the cluster.
    pub(super) fn capabilities(&self) -> Capabilities {
        Capabilities {
            kube_version: self.version.clone(),
            api_versions: self.apis.names(),
            ..Capabilities::default()
        }
    }

    /// Fails where an install of what was rendered would fail before it changes anything.
    ///
    /// # Errors
    /// Helm's text: a kind that the cluster does not have, or an object that belongs to somebody else. What is there
    /// already is asked for with `release` only, and not for an upgrade, which may own it.
    pub(super) fn check(
        &self,
        manifests: &Manifests,
        crds: &[RenderedFile],
        release: &Release,
        take_ownership: bool,
    ) -> Result<(), Failure> {
        let texts = crds.iter().map(|crd| crd.text.as_str());
        let texts = texts.chain(manifests.objects.iter().map(|object| object.content.as_str()));
        let found = objects::recognize(texts, &self.apis, &release.namespace).map_err(|problem| {
            Failure::new(format!("unable to build kubernetes objects from release manifest: {problem}"))
        })?;
        if release.is_upgrade {
            return Ok(());
        }
        for object in &found {
            self.claim(object, release, take_ownership)
                .map_err(|problem| Failure::new(format!("unable to continue with install: {problem}")))?;
        }
        Ok(())
    }
}
