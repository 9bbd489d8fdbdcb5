//! What a pass has found out before it looks at the release.

use crate::attempt::{Attempt, Stop};
use crate::chart::{self, ChartError, Used, VersionError};
use crate::config::{DISABLE_DIGEST_TRACKING, EXTERNAL_ARTIFACT};
use crate::context::Context;
use crate::digests;
use crate::names::ReleaseName;
use crate::policy::Policy;
use crate::source::{Artifact, Origin};
use crate::state::Wanted;
use crate::target::Target;
use serde_json::{Map, Value};
use sluice_api::helm::{ChartRefKind, HelmRelease};
use sluice_api::meta::{ARTIFACT_FAILED_REASON, Duration};
use sluice_apply::Evaluate;
use sluice_release::LoadedChart;
use sluice_runtime::requests;
use std::sync::Arc;

/// Reason of Ready when the revision of an artifact and the version of its chart do not go together.
pub(crate) const CHART_MUTATE_ERROR: &str = "ChartMutateError";

/// A chart by name and version, as it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chart {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Digest of the OCI artifact; empty if it came otherwise.
    pub(crate) oci_digest: String,
}

/// What a pass has found out before it looks at the release.
pub(crate) struct Job {
    pub(crate) name: ReleaseName,
    pub(crate) target: Target,
    pub(crate) origin: Origin,
    pub(crate) artifact: Artifact,
    pub(crate) chart: Chart,
    pub(crate) values: Map<String, Value>,
    pub(crate) config_digest: String,
    pub(crate) rules: Vec<Arc<dyn Evaluate>>,
}

impl Job {
    /// What the spec wants of the release.
    pub(crate) fn wanted(&self, release: &HelmRelease, policy: &Policy<'_>) -> Wanted {
        let active = release.status.as_ref().and_then(|status| status.last_attempted_release_action);
        Wanted {
            name: self.name.name.clone(),
            namespace: self.name.namespace.clone(),
            chart_name: self.chart.name.clone(),
            chart_version: self.chart.version.clone(),
            config_digest: self.config_digest.clone(),
            post_renderers: digests::post_renderers(&release.spec.post_renderers),
            common_metadata: digests::common_metadata(release.spec.common_metadata.as_ref()),
            generation: requests::generation(release),
            tests: policy.test().is_some(),
            ignore_test_failures: match active {
                Some(action) => policy.remediation(action).ignore_test_failures,
                None => policy.ignore_test_failures(),
            },
        }
    }

    /// The chart itself.
    pub(crate) async fn load(&self, attempt: &mut Attempt<'_>) -> Result<LoadedChart, Stop> {
        load(attempt, &self.origin, &self.artifact).await
    }
}

/// Name and version of the chart that an artifact holds: from memory or from the status, if either knows this very
/// artifact, else from the chart.
pub(crate) async fn chart(
    attempt: &mut Attempt<'_>,
    origin: &Origin,
    artifact: &Artifact,
) -> Result<Chart, Stop> {
    let cx = attempt.cx;
    if let Some(known) = cx.charts.name(artifact) {
        let used = used(cx, origin, artifact, &known.version).map_err(mutate_error)?;
        let name = known.name.to_string();
        return Ok(Chart { name, version: used.version, oci_digest: used.digest });
    }
    if let Some(known) = recorded(cx, &attempt.hr, origin, artifact) {
        return Ok(known);
    }
    let loaded = load(attempt, origin, artifact).await?;
    let own = cx.charts.name(artifact).map(|name| name.version);
    let metadata = loaded.metadata();
    let digest = match own {
        Some(own) => used(cx, origin, artifact, &own).map_err(mutate_error)?.digest,
        None => String::new(),
    };
    Ok(Chart { name: metadata.name.clone(), version: metadata.version.clone(), oci_digest: digest })
}

/// What the status says of the chart, if it speaks of this very artifact.
fn recorded(cx: &Context, release: &HelmRelease, origin: &Origin, artifact: &Artifact) -> Option<Chart> {
    let snapshot = release.status.as_ref()?.history.first()?;
    let oci = snapshot.oci_digest.clone().unwrap_or_default();
    let same = match origin.kind {
        ChartRefKind::HelmChart => {
            let file = format!("/{}-{}.tgz", snapshot.chart_name, snapshot.chart_version);
            *artifact.revision == *snapshot.chart_version && artifact.url.ends_with(&file)
        }
        ChartRefKind::OCIRepository => {
            let (_, hex) = oci.split_once(':')?;
            let tracked = snapshot.chart_version.ends_with(&format!("+{}", hex.get(..12)?));
            artifact.revision.ends_with(&format!("@{oci}")) && tracked == tracks(cx)
        }
        ChartRefKind::ExternalArtifact => false,
    };
    same.then(|| Chart {
        name: snapshot.chart_name.clone(),
        version: snapshot.chart_version.clone(),
        oci_digest: oci,
    })
}

fn tracks(cx: &Context) -> bool {
    !cx.gates.enabled(DISABLE_DIGEST_TRACKING)
}

/// The version under which the chart of an artifact is used.
fn used(cx: &Context, origin: &Origin, artifact: &Artifact, own: &str) -> Result<Used, VersionError> {
    let names_digest = match origin.kind {
        ChartRefKind::OCIRepository => true,
        ChartRefKind::ExternalArtifact => {
            cx.gates.enabled(EXTERNAL_ARTIFACT) && artifact.revision.contains(':')
        }
        ChartRefKind::HelmChart => false,
    };
    if !names_digest {
        return Ok(Used { version: own.to_owned(), digest: String::new() });
    }
    chart::used(own, &artifact.revision, tracks(cx))
}

fn mutate_error(err: VersionError) -> Stop {
    Stop::quiet(CHART_MUTATE_ERROR, err.to_string())
}

/// Why a chart cannot be used.
#[derive(Debug, thiserror::Error)]
enum LoadFailure {
    #[error(transparent)]
    Chart(#[from] ChartError),
    #[error(transparent)]
    Version(#[from] VersionError),
}

async fn load(attempt: &mut Attempt<'_>, origin: &Origin, artifact: &Artifact) -> Result<LoadedChart, Stop> {
    let cx = attempt.cx;
    let shutdown = attempt.pass.shutdown.clone();
    let used = |own: &str| Ok::<_, LoadFailure>(used(cx, origin, artifact, own)?.version);
    let loaded = attempt.during(cx.charts.get(artifact, used, &shutdown)).await?;
    loaded.map_err(|err| match err {
        LoadFailure::Chart(ChartError::Shutdown) => Stop::Shutdown,
        LoadFailure::Chart(ChartError::NotFound(_)) => Stop::Waiting {
            reason: ARTIFACT_FAILED_REASON,
            message: format!(
                "Source not ready: artifact not found. Retrying in {}",
                Duration::format(cx.config.requeue_dependency)
            ),
            event: None,
        },
        LoadFailure::Chart(err) => {
            Stop::failed(ARTIFACT_FAILED_REASON, format!("Could not load chart: {err}"))
        }
        LoadFailure::Version(err) => mutate_error(err),
    })
}
