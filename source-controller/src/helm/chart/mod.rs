//! HelmChart: a chart of a Helm repository as it was published, or one packed from the files of another source
//! (sources.md 10).
//!
//! What costs nothing comes first: a source that has not moved cannot hold another chart, so that the usual pass reads
//! nothing at all. Then the version is found out, and only where it is not the stored one a chart is fetched or made.

mod build;
mod dependencies;
mod fault;
mod files;
mod packaging;
mod published;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use sluice_api::source::{
    Artifact, Bucket, GitRepository, HelmChart, HelmChartSourceKind, HelmRepository, HelmRepositoryType,
};
use sluice_api::{ArtifactSource, Reconcilable};
use sluice_runtime::Key;
use sluice_runtime::conditions;
use sluice_runtime::controller::Store;

use super::remote::Bounds;
use crate::kind::{
    ARTIFACT_IN_STORAGE, BUILD_FAILED, FETCH_FAILED, Failure, Produced, SOURCE_VERIFIED, SourceKind, Stop,
};
use crate::object::SourceObject;
use crate::oci::Registries;
use crate::secrets::api_text;
use crate::suspects::Suspects;
use crate::transport::{TransportOptions, Transports};
use crate::work::Work;
use build::{Build, State};
use fault::Fault;

/// Link at the current chart.
const LINK: &str = "latest.tar.gz";
/// Time that a server has which no HelmRepository speaks of.
const ANONYMOUS_TIMEOUT: Duration = Duration::from_secs(60);

/// The sources of charts, as the controllers of this process know them.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Helm repositories.
    pub repositories: Store<HelmRepository>,
    /// Git repositories.
    pub git: Store<GitRepository>,
    /// Buckets.
    pub buckets: Store<Bucket>,
}

/// How large what comes from elsewhere may be, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// An index.
    pub index: u64,
    /// A packed chart.
    pub chart: u64,
    /// A file of a chart.
    pub file: u64,
}

/// The kind HelmChart.
#[derive(Debug)]
pub struct Charts {
    sources: Sources,
    sizes: Sizes,
    registries: Arc<Registries>,
    transports: Transports,
    suspects: Suspects,
}

/// Where a chart comes from.
enum Source {
    /// A repository with the artifact of its index.
    Website(Arc<HelmRepository>, Artifact),
    Registry(Arc<HelmRepository>),
    /// Files in an artifact.
    Files(Artifact),
}

impl Charts {
    /// The kind; what is learnt of registries is shared with others.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(sources: Sources, sizes: Sizes, registries: Arc<Registries>) -> anyhow::Result<Self> {
        let charts = Self {
            sources,
            sizes,
            registries,
            transports: Transports::default(),
            suspects: Suspects::default(),
        };
        charts
            .transports
            .client(&TransportOptions::default())
            .map_err(|error| anyhow::anyhow!("cannot make an HTTP client: {error}"))?;
        Ok(charts)
    }

    fn bounds(&self, time: Duration) -> Bounds {
        Bounds { index: self.sizes.index, chart: self.sizes.chart, time }
    }

    async fn source(&self, work: &Work<HelmChart>) -> Result<Source, Stop> {
        let reference = &work.object.spec.source_ref;
        let artifact = |artifact: Option<&Artifact>| {
            artifact.cloned().ok_or_else(|| {
                let message =
                    format!("no artifact available for {} source '{}'", reference.kind, reference.name);
                Stop::Waiting(Failure::fetch("NoSourceArtifact", message), work.cx.requeue_dependency)
            })
        };
        match reference.kind {
            HelmChartSourceKind::HelmRepository => {
                let repository = look_up(work, &self.sources.repositories).await?;
                if repository.spec.type_ == Some(HelmRepositoryType::Oci) {
                    return Ok(Source::Registry(repository));
                }
                let artifact = artifact(repository.artifact())?;
                Ok(Source::Website(repository, artifact))
            }
            HelmChartSourceKind::GitRepository => {
                let git = look_up(work, &self.sources.git).await?;
                artifact(git.artifact()).map(Source::Files)
            }
            HelmChartSourceKind::Bucket => {
                let bucket = look_up(work, &self.sources.buckets).await?;
                artifact(bucket.artifact()).map(Source::Files)
            }
        }
    }
}

/// The source as its controller knows it; asked for where that has not seen it yet.
async fn look_up<K: SourceObject>(work: &Work<HelmChart>, known: &Store<K>) -> Result<Arc<K>, Stop> {
    let name = &work.object.spec.source_ref.name;
    if let Some(found) = known.get(&Key::new(&work.namespace(), name)) {
        return Ok(found);
    }
    let found = work.api::<K>().get(name).await.map_err(|error| {
        let message = format!("failed to get source: {}", api_text(&error));
        Failure::fetch("SourceUnavailable", message).retry()
    })?;
    Ok(Arc::new(found))
}

impl SourceKind for Charts {
    type Object = HelmChart;

    async fn produce(&self, work: &mut Work<HelmChart>) -> Result<Produced, Stop> {
        // Signatures are not checked yet: what asks for a check fails, so that nothing is ever verified.
        work.remove_condition(SOURCE_VERIFIED);
        let source = self.source(work).await?;
        let revision = match &source {
            Source::Website(_, artifact) | Source::Files(artifact) => Some(artifact.revision.clone()),
            Source::Registry(_) => None,
        };
        let seen = std::mem::replace(
            &mut work.object.status.get_or_insert_default().observed_source_artifact_revision,
            revision.clone(),
        );
        if seen.is_some() && seen == revision && is_settled(work) {
            let revision = work.artifact().map(|artifact| artifact.revision.clone()).unwrap_or_default();
            return Err(Stop::Unchanged {
                reason: "ArtifactUpToDate",
                message: format!("artifact up-to-date with remote revision: '{revision}'"),
            });
        }
        let built = match source {
            Source::Website(repository, index) => {
                published::on_website(self, work, &repository, &index).await
            }
            Source::Registry(repository) => published::in_registry(self, work, &repository).await,
            Source::Files(artifact) => files::build(self, work, &artifact).await,
        };
        let build = match built {
            Ok(build) => build,
            Err(fault) => return Err(fault.end(work)),
        };
        store(work, build).await
    }
}

/// Whether the last pass over this generation left nothing to do.
fn is_settled(work: &Work<HelmChart>) -> bool {
    let list = work.object.conditions();
    let failed = [FETCH_FAILED, BUILD_FAILED].iter().any(|type_| conditions::get(list, type_).is_some());
    work.artifact().is_some()
        && conditions::is_true(list, ARTIFACT_IN_STORAGE)
        && !failed
        && work.object.observed_generation() == Some(work.generation())
}

/// Tells that another chart than the stored one was found.
async fn announce(work: &mut Work<HelmChart>, build: &Build) -> Result<(), Fault> {
    let status = work.object.status.get_or_insert_default();
    let is_known = status.observed_chart_name.as_deref() == Some(&build.name)
        && status.artifact.as_ref().is_some_and(|artifact| artifact.revision == build.version);
    if !is_known {
        work.outdated("NewChart", &build.summary()).await?;
    }
    Ok(())
}

async fn store(work: &mut Work<HelmChart>, build: Build) -> Result<Produced, Stop> {
    match &build.state {
        State::Pulled(path) | State::Packaged(path) => {
            let (file, path) = (build.file(), path.clone());
            work.store_file(file, path, build.version.clone(), BTreeMap::new(), Some(LINK)).await?;
            let status = work.object.status.get_or_insert_default();
            status.observed_chart_name = Some(build.name.clone());
            status.observed_values_files.clone_from(&build.values_files);
        }
        State::Found | State::Stored { .. } => {}
    }
    let (reason, message) = (build.reason(), build.summary());
    work.mark_stored_as(reason, message.clone());
    Ok(Produced { message, reason: Some(reason) })
}

/// `namespace/name` of a repository, for messages.
fn shown(repository: &HelmRepository) -> String {
    format!("{}/{}", repository.namespace().unwrap_or_default(), repository.name_any())
}
