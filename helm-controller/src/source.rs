//! The object that a chart comes from: a HelmChart, an OCIRepository or an ExternalArtifact, as the watches know it.

use crate::attempt::Stop;
use crate::config::{DIRECT_SOURCE_FETCH, EXTERNAL_ARTIFACT};
use crate::context::Context;
use crate::names;
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use sluice_api::ArtifactSource;
use sluice_api::helm::{ChartRefKind, HelmRelease};
use sluice_api::meta::{ACCESS_DENIED_REASON, ARTIFACT_FAILED_REASON, READY, STALLED};
use sluice_api::source::{ExternalArtifact, HelmChart, OCIRepository};
use sluice_runtime::controller::Key;
use sluice_runtime::watch::Watched;
use sluice_runtime::{conditions, requests};
use std::fmt::Debug;
use std::sync::Arc;

/// Reason of Ready while a source has nothing to offer.
pub(crate) const SOURCE_NOT_READY: &str = "SourceNotReady";

/// Where the chart of a HelmRelease comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) kind: ChartRefKind,
    pub(crate) key: Key,
}

impl Origin {
    /// The origin of a HelmRelease's chart; none if the spec names none or two.
    pub(crate) fn of(release: &HelmRelease) -> Option<Self> {
        let own = Key::of(release);
        match (&release.spec.chart, &release.spec.chart_ref) {
            (Some(_), None) => {
                Some(Self { kind: ChartRefKind::HelmChart, key: names::chart_of(&own, &release.spec)? })
            }
            (None, Some(reference)) => {
                let namespace =
                    reference.namespace.as_deref().filter(|n| !n.is_empty()).unwrap_or(&own.namespace);
                Some(Self { kind: reference.kind, key: Key::new(namespace, &reference.name) })
            }
            _ => None,
        }
    }
}

/// What a pass needs to know of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Artifact {
    pub(crate) url: Arc<str>,
    pub(crate) digest: Arc<str>,
    pub(crate) revision: Arc<str>,
}

/// What is remembered of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// `resourceVersion`, for comparing what a write returned with what the watch has told.
    pub(crate) version: u64,
    pub(crate) generation: i64,
    pub(crate) artifact: Option<Artifact>,
    pub(crate) ready: bool,
    /// Why it cannot be used, if so.
    pub(crate) unusable: Option<Arc<str>>,
}

impl Source {
    pub(crate) fn of<K: ArtifactSource>(object: &K) -> Self {
        let conditions = object.conditions();
        let artifact = object.artifact().map(|artifact| Artifact {
            url: artifact.url.as_str().into(),
            digest: artifact.digest.as_str().into(),
            revision: artifact.revision.as_str().into(),
        });
        let generation = requests::generation(object);
        // An ExternalArtifact observes no generations: its artifact is all that counts.
        let observes = object.observed_generation();
        let unusable = if observes.is_some_and(|observed| observed != generation)
            || (observes.is_none() && K::kind(&()) != "ExternalArtifact")
        {
            Some(match conditions::get(conditions, READY).filter(|ready| ready.status == "False") {
                Some(ready) => ready.message.clone(),
                None => "latest generation of object has not been reconciled".to_owned(),
            })
        } else if observes.is_some() && conditions::is_true(conditions, STALLED) {
            Some(conditions::message(conditions, STALLED).to_owned())
        } else if artifact.is_none() {
            Some("does not have an artifact".to_owned())
        } else {
            None
        };
        Self {
            version: object.meta().resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or(0),
            generation,
            artifact,
            ready: conditions::is_true(conditions, READY),
            unusable: unusable.map(Into::into),
        }
    }
}

/// The sources that charts come from, as the watches know them.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) charts: Watched<Source>,
    pub(crate) oci: Watched<Source>,
    pub(crate) external: Watched<Source>,
}

/// Refuses references that may not be followed.
pub(crate) fn allowed(cx: &Context, release: &HelmRelease, origin: &Origin) -> Result<(), Stop> {
    let own = Key::of(release);
    let denied = |message: String| Stop::Terminal { reason: ACCESS_DENIED_REASON, message };
    let (kind, key) = (origin.kind, &origin.key);
    if cx.config.no_cross_namespace_refs && key.namespace != own.namespace {
        return Err(denied(cross_namespace(kind.as_str(), key)));
    }
    if kind == ChartRefKind::ExternalArtifact && !cx.gates.enabled(EXTERNAL_ARTIFACT) {
        return Err(denied(format!(
            "can't access '{kind}/{key}', ExternalArtifact feature gate is disabled"
        )));
    }
    Ok(())
}

/// What is said of a reference to another namespace where these are switched off.
pub(crate) fn cross_namespace(kind: &str, key: &Key) -> String {
    format!("cross-namespace references are not allowed: cannot access {kind} {key}")
}

/// The artifact of a HelmRelease's source. `written` is what a write of this pass returned of it.
pub(crate) async fn artifact(
    cx: &Context,
    origin: &Origin,
    written: Option<Source>,
) -> Result<Artifact, Stop> {
    let key = &origin.key;
    let found = match origin.kind {
        ChartRefKind::HelmChart => find::<HelmChart>(cx, key, &cx.sources.charts, written).await,
        ChartRefKind::OCIRepository => find::<OCIRepository>(cx, key, &cx.sources.oci, None).await,
        ChartRefKind::ExternalArtifact => find::<ExternalArtifact>(cx, key, &cx.sources.external, None).await,
    };
    let source = found.map_err(|err| {
        let message = format!("could not get Source object: {}", crate::api_error(&err));
        match err {
            kube::Error::Api(status) if status.code == 404 => {
                Stop::Missing { reason: ARTIFACT_FAILED_REASON, message }
            }
            _ => Stop::quiet(ARTIFACT_FAILED_REASON, message),
        }
    })?;
    match source {
        Source { artifact: Some(artifact), unusable: None, .. } => Ok(artifact),
        Source { unusable, .. } => Err(Stop::Waiting {
            reason: SOURCE_NOT_READY,
            message: format!(
                "{} '{key}' is not ready: {}",
                origin.kind,
                unusable.as_deref().unwrap_or("does not have an artifact")
            ),
            event: None,
        }),
    }
}

/// From the watch's memory; from the API server if the watch has not listed yet, knows no such object, or the gate says so.
async fn find<K>(
    cx: &Context,
    key: &Key,
    known: &Watched<Source>,
    written: Option<Source>,
) -> kube::Result<Source>
where
    K: ArtifactSource + Clone + DeserializeOwned + Debug,
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let remembered = known.is_synced() && !cx.gates.enabled(DIRECT_SOURCE_FETCH);
    if let Some(source) = known.get(key).filter(|_| remembered) {
        return Ok(match written {
            Some(written) if written.version > source.version => written,
            _ => source,
        });
    }
    if let Some(written) = written {
        return Ok(written);
    }
    let object = Api::<K>::namespaced(cx.client.clone(), &key.namespace).get(&key.name).await?;
    Ok(Source::of(&object))
}
