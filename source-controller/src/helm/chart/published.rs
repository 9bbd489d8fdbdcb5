//! Charts of Helm repositories: stored as they were published, unless values files are to be merged into them.

use std::path::{Path, PathBuf};

use sluice_api::source::{Artifact, HelmChart, HelmRepository};

use super::build::{Build, State, check_name, metadata, with_metadata};
use super::fault::{Fault, Step};
use super::packaging::{Loader, blocking, pack, set_values};
use super::{Charts, announce, values};
use crate::helm::access;
use crate::helm::remote::{Folder, Found, RemoteError, Website, exact};
use crate::kind::Failure;
use crate::object::SourceObject;
use crate::oci::address::Repository;
use crate::work::Work;

/// Builds a chart of a repository with an index.
pub(super) async fn on_website(
    charts: &Charts,
    work: &mut Work<HelmChart>,
    repository: &HelmRepository,
    index: &Artifact,
) -> Result<Build, Fault> {
    check_name(&work.object.spec.chart)?;
    if work.object.spec.verify.is_some() {
        return Err(Step::Verification.fault("not implemented"));
    }
    let access = access::http(&work.api(), repository, &charts.transports).await?;
    let website = Website { suspects: &charts.suspects, access, bounds: charts.bounds(repository.timeout()) };
    let index = work.cx.store.resolve(&index.path).map_err(Fault::unexpected)?;
    let found = website.find(index, &work.object.spec.chart, wanted_version(work)).await;
    let found = found.map_err(not_found)?;
    let build = begin(work, &found)?;
    if let Some(stored) = build.if_stored(work, is_changed(work)) {
        return Ok(stored);
    }
    announce(work, &build).await?;
    let path = work.dir().join("chart.tgz");
    if let Some((url, digest)) = found.url() {
        website.download(work, url, digest, path.clone()).await.map_err(not_downloaded)?;
    }
    finish(charts, work, build, path).await
}

/// Builds a chart of a registry.
pub(super) async fn in_registry(
    charts: &Charts,
    work: &mut Work<HelmChart>,
    repository: &HelmRepository,
) -> Result<Build, Fault> {
    let chart = work.object.spec.chart.clone();
    check_name(&chart)?;
    let url = format!("{}/{chart}", repository.spec.url.trim_end_matches('/'));
    let address = Repository::parse(&url).map_err(|error| {
        let message = format!("invalid Helm repository URL: '{url}': {error}");
        Fault::from(Failure::fetch("URLInvalid", message).stall())
    })?;
    if work.object.spec.verify.is_some() {
        return Err(Step::Verification.fault(format!(
            "signatures are not supported by this version of Sluice yet, so '{url}' is not pulled"
        )));
    }
    // Which chart a whole version means is plain without asking anybody.
    if let Some(found) = exact(&chart, wanted_version(work))
        && let Some(stored) = begin(work, &found)?.if_stored(work, is_changed(work))
    {
        return Ok(stored);
    }
    let (options, credential) = access::registry(&work.api(), repository, &address).await?;
    let folder = Folder {
        registries: &charts.registries,
        options,
        credential,
        insecure: repository.spec.insecure,
        bounds: charts.bounds(repository.timeout()),
    };
    let found = folder.find(work, &address, &chart, wanted_version(work)).await.map_err(not_found)?;
    let build = begin(work, &found)?;
    if let Some(stored) = build.if_stored(work, is_changed(work)) {
        return Ok(stored);
    }
    announce(work, &build).await?;
    let path = work.dir().join("chart.tgz");
    if let Some(tag) = found.tag() {
        folder.download(work, &address, tag, &path).await.map_err(not_downloaded)?;
    }
    finish(charts, work, build, path).await
}

fn wanted_version(work: &Work<HelmChart>) -> &str {
    work.object.spec.version.as_deref().unwrap_or_default()
}

/// Whether the chart is packed again, rather than stored as it was published.
fn is_changed(work: &Work<HelmChart>) -> bool {
    !values::wanted(&work.object.spec.values_files).is_empty()
}

fn begin(work: &Work<HelmChart>, found: &Found) -> Result<Build, Fault> {
    let version = with_metadata(&found.version, &metadata(None, work))?;
    Ok(Build::found(found.name.clone(), version))
}

/// Checks a downloaded chart, and merges values into it where they are asked for.
async fn finish(
    charts: &Charts,
    work: &Work<HelmChart>,
    mut build: Build,
    path: PathBuf,
) -> Result<Build, Fault> {
    let loader = Loader::new(work.dir(), charts.sizes.file);
    let spec = &work.object.spec;
    if !is_changed(work) {
        return blocking(move || {
            loader.downloaded_metadata(&path).map_err(|error| {
                Step::Pull.fault(format!("failed to load chart metadata from written chart: {error}"))
            })?;
            build.state = State::Pulled(path);
            Ok(build)
        })
        .await;
    }
    let wanted = values::Wanted {
        files: spec.values_files.clone(),
        ignore_missing: spec.ignore_missing_values_files,
        max: charts.sizes.file,
    };
    let to = work.dir().join("packaged.tgz");
    blocking(move || merge(&loader, build, &wanted, &path, to)).await
}

fn merge(
    loader: &Loader,
    mut build: Build,
    wanted: &values::Wanted,
    from: &Path,
    to: PathBuf,
) -> Result<Build, Fault> {
    let mut chart = loader
        .downloaded_chart(from)
        .map_err(|error| Step::Package.fault(format!("failed to load downloaded chart: {error}")))?;
    let merged = wanted
        .of_chart(&chart)
        .map_err(|error| Step::Values.fault(format!("failed to merge chart values: {error}")))?;
    build.values_files = set_values(&mut chart, merged);
    pack(&chart, &build.version, &to)?;
    build.state = State::Packaged(to);
    Ok(build)
}

fn not_found(error: RemoteError) -> Fault {
    let text =
        |error: &dyn std::fmt::Display| format!("failed to get chart version for remote reference: {error}");
    match error {
        RemoteError::Missing(error) => Step::Reference.fault(text(&error)),
        RemoteError::Failed(error) => Step::Pull.fault(text(&error)),
        RemoteError::Refused(error) => Fault::refused(error),
        RemoteError::Stop(stop) => stop.into(),
    }
}

fn not_downloaded(error: RemoteError) -> Fault {
    match error {
        RemoteError::Missing(error) | RemoteError::Failed(error) => {
            Step::Pull.fault(format!("failed to download chart for remote reference: {error}"))
        }
        RemoteError::Refused(error) => Fault::refused(error),
        RemoteError::Stop(stop) => stop.into(),
    }
}
