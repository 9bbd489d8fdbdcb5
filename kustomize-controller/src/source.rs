//! Finds the source of a Kustomization and the artifact that it offers.

use crate::attempt::Stop;
use crate::config::{DIRECT_SOURCE_FETCH, EXTERNAL_ARTIFACT};
use crate::context::Context;
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use sluice_api::ArtifactSource;
use sluice_api::kustomize::{Kustomization, SourceKind};
use sluice_api::meta::{ACCESS_DENIED_REASON, ARTIFACT_FAILED_REASON, ORIGIN_REVISION_METADATA};
use sluice_api::source::{Bucket, ExternalArtifact, GitRepository, OCIRepository};
use sluice_runtime::controller::Key;
use sluice_runtime::watch::Watched;
use std::fmt::Debug;
use std::sync::Arc;

/// What a pass needs to know of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Artifact {
    pub(crate) url: Arc<str>,
    pub(crate) digest: Arc<str>,
    pub(crate) revision: Arc<str>,
    pub(crate) origin_revision: Option<Arc<str>>,
}

impl From<sluice_api::source::Artifact> for Artifact {
    fn from(artifact: sluice_api::source::Artifact) -> Self {
        Self {
            url: artifact.url.into(),
            digest: artifact.digest.into(),
            revision: artifact.revision.into(),
            origin_revision: artifact.metadata.get(ORIGIN_REVISION_METADATA).map(|r| r.as_str().into()),
        }
    }
}

/// The artifacts of all sources, as the watches know them.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) git: Watched<Option<Artifact>>,
    pub(crate) oci: Watched<Option<Artifact>>,
    pub(crate) bucket: Watched<Option<Artifact>>,
    pub(crate) external: Watched<Option<Artifact>>,
}

/// The artifact to apply. The source's Ready condition has no say: a failing source with an old artifact is used.
pub(crate) async fn artifact(cx: &Context, ks: &Kustomization) -> Result<Artifact, Stop> {
    let reference = &ks.spec.source_ref;
    let own = Key::of(ks);
    let namespace = reference.namespace.as_deref().filter(|n| !n.is_empty()).unwrap_or(&own.namespace);
    let key = Key::new(namespace, &reference.name);
    let kind = reference.kind.to_string();
    let denied = |why: &str| Stop::Terminal {
        reason: ACCESS_DENIED_REASON,
        message: format!("can't access '{kind}/{key}', {why}"),
        observed: false,
        with_revision: false,
    };
    if cx.config.no_cross_namespace_refs && *namespace != *own.namespace {
        return Err(denied("cross-namespace references have been blocked"));
    }
    let found = match reference.kind {
        SourceKind::GitRepository => find::<GitRepository>(cx, &key, &cx.sources.git).await,
        SourceKind::OCIRepository => find::<OCIRepository>(cx, &key, &cx.sources.oci).await,
        SourceKind::Bucket => find::<Bucket>(cx, &key, &cx.sources.bucket).await,
        SourceKind::ExternalArtifact => {
            if !cx.gates.enabled(EXTERNAL_ARTIFACT) {
                return Err(denied("ExternalArtifact feature gate is disabled"));
            }
            find::<ExternalArtifact>(cx, &key, &cx.sources.external).await
        }
    };
    match found {
        Ok(Some(artifact)) => Ok(artifact),
        Ok(None) => {
            let delay = cx.config.requeue_dependency;
            let shown = sluice_api::meta::Duration::format(delay);
            Err(Stop::Waiting {
                reason: ARTIFACT_FAILED_REASON,
                message: format!("Source artifact not found, retrying in {shown}"),
                event: None,
                after: delay,
            })
        }
        Err(kube::Error::Api(status)) if status.code == 404 => {
            Err(Stop::SourceMissing { message: status.message.clone(), source: format!("{kind}/{key}") })
        }
        Err(err) => Err(Stop::SourceUnreadable {
            message: format!("unable to get source '{key}': {}", crate::api_error(&err)),
        }),
    }
}

/// From the watch's memory; from the API server if the watch has not listed yet, knows no such object, or the gate says so.
async fn find<K>(cx: &Context, key: &Key, known: &Watched<Option<Artifact>>) -> kube::Result<Option<Artifact>>
where
    K: ArtifactSource + Clone + DeserializeOwned + Debug,
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    if known.is_synced()
        && !cx.gates.enabled(DIRECT_SOURCE_FETCH)
        && let Some(artifact) = known.get(key)
    {
        return Ok(artifact);
    }
    let object = Api::<K>::namespaced(cx.client.clone(), &key.namespace).get(&key.name).await?;
    Ok(object.artifact().cloned().map(Artifact::from))
}
