//! The cluster that a release goes to, and who acts there.

use crate::context::Context;
use parking_lot::Mutex;
use sluice_api::helm::HelmRelease;
use sluice_release::Cluster;
use sluice_runtime::client::{Identities, ImpersonateError};
use sluice_runtime::controller::Key;
use sluice_runtime::kubeconfig::{Allowed, RemoteError, Remotes};
use std::collections::HashMap;
use std::sync::Arc;

/// Identities of clusters that are remembered at a time.
const MAX_CLUSTERS: usize = 1024;

/// A cluster, as one identity.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) cluster: Cluster,
    /// Whether it is the controller's own cluster.
    pub(crate) local: bool,
}

/// Why a release's cluster cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("{0}")]
    Remote(#[from] RemoteError),
    #[error("{0}")]
    Identity(#[from] ImpersonateError),
    #[error(
        "spec.kubeConfig.configMapRef is not built yet in this version; keep a kubeconfig in a Secret and use spec.kubeConfig.secretRef"
    )]
    ConfigMap,
    #[error("spec.kubeConfig names no Secret")]
    Nothing,
}

impl TargetError {
    /// Whether there is no way left to the cluster.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, TargetError::Remote(err) if err.is_not_found())
    }
}

/// All clusters that releases go to, by kubeconfig and account.
pub(crate) struct Targets {
    own: Identities,
    remotes: Remotes,
    clusters: Mutex<HashMap<(Arc<str>, String), Cluster>>,
}

impl Targets {
    pub(crate) fn new(client: kube::Client, allowed: Allowed) -> Self {
        Self { own: Identities::new(client), remotes: Remotes::new(allowed), clusters: Mutex::default() }
    }
}

/// The account that a release is made as.
pub(crate) fn account<'a>(cx: &'a Context, release: &'a HelmRelease) -> Option<&'a str> {
    let own = release.spec.service_account_name.as_deref().filter(|name| !name.is_empty());
    own.or(Some(cx.config.default_service_account.as_str())).filter(|name| !name.is_empty())
}

/// The cluster of a release, as the identity that its spec names.
pub(crate) async fn of(cx: &Context, release: &HelmRelease) -> Result<Target, TargetError> {
    let targets = &cx.targets;
    let namespace = Key::of(release).namespace;
    let (identities, id) = match &release.spec.kube_config {
        None => (targets.own.clone(), Arc::from("")),
        Some(reference) => {
            if reference.config_map_ref.is_some() {
                return Err(TargetError::ConfigMap);
            }
            let secret = reference.secret_ref.as_ref().ok_or(TargetError::Nothing)?;
            let (name, key) = (&secret.name, secret.key.as_deref());
            let remote = targets.remotes.get(&cx.client, &namespace, name, key).await?;
            (Identities::new(remote.client), remote.id)
        }
    };
    let local = id.is_empty();
    let account = account(cx, release);
    let client = identities.service_account(&namespace, account)?;
    let user = account.map(|name| format!("{namespace}/{name}")).unwrap_or_default();
    let mut clusters = targets.clusters.lock();
    if clusters.len() >= MAX_CLUSTERS {
        // Those in use live on in their users' hands.
        clusters.clear();
    }
    let cluster = clusters.entry((id, user)).or_insert_with(|| Cluster::new(client)).clone();
    Ok(Target { cluster, local })
}
