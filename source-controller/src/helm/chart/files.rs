//! Charts among the files of a Git repository or a bucket: packed here.

use std::path::PathBuf;

use sluice_api::source::{Artifact, HelmChart, ReconcileStrategy};
use sluice_artifact::{Limits, Links, unpack};
use sluice_helm::Metadata;

use super::build::{Build, State, check_name, metadata as build_metadata, with_metadata};
use super::fault::{Fault, Step};
use super::packaging::{Loader, add, blocking, pack, set_values};
use super::{Charts, announce, dependencies, values};
use crate::work::Work;

/// Digits of the source's revision in the version of a chart: labels, where it may end up, hold 63 characters.
const DIGITS: usize = 12;

/// Builds the chart at a path in the artifact of a source.
pub(super) async fn build(
    charts: &Charts,
    work: &mut Work<HelmChart>,
    source: &Artifact,
) -> Result<Build, Fault> {
    let root = work.dir().join("source");
    let loader = Loader::new(&root, charts.sizes.file);
    let (path, metadata) = open(work, source, loader.clone(), root.clone()).await?;
    let spec = work.object.spec.clone();
    let revision =
        (spec.reconcile_strategy == Some(ReconcileStrategy::Revision)).then(|| short(&source.revision));
    let suffix = build_metadata(revision.as_deref(), work);
    let mut build = Build::found(metadata.name, with_metadata(&metadata.version, &suffix)?);
    let is_folder = path.is_dir();
    let is_changed = is_folder || !suffix.is_empty();
    if let Some(stored) = build.if_stored(work, is_changed) {
        return Ok(stored);
    }
    announce(work, &build).await?;
    if !is_changed {
        build.state = State::Pulled(path);
        return Ok(build);
    }
    let wanted = values::Wanted {
        files: values::wanted(&spec.values_files).to_vec(),
        ignore_missing: spec.ignore_missing_values_files,
        max: charts.sizes.file,
    };
    let (mut chart, merged) = blocking({
        let (loader, path) = (loader.clone(), path.clone());
        move || {
            let merged = wanted.of_folder(&root).map_err(|error| {
                Step::Values.fault(format!("failed to merge values files: {}", loader.shown(&error)))
            })?;
            let chart = loader.chart(&path).map_err(|error| Step::Package.fault(error))?;
            Ok((chart, merged))
        }
    })
    .await?;
    if is_folder {
        let folder = PathBuf::from(&spec.chart);
        let subcharts = dependencies::resolve(charts, work, &chart, &loader, &folder).await?;
        add(&mut chart, subcharts)?;
    }
    let to = work.dir().join("packaged.tgz");
    blocking(move || {
        build.values_files = set_values(&mut chart, merged);
        pack(&chart, &build.version, &to)?;
        build.state = State::Packaged(to);
        Ok(build)
    })
    .await
}

/// Unpacks the artifact; returns where the chart is in it and its metadata.
async fn open(
    work: &Work<HelmChart>,
    source: &Artifact,
    loader: Loader,
    root: PathBuf,
) -> Result<(PathBuf, Metadata), Fault> {
    let (store, source, chart) = (work.cx.store.clone(), source.clone(), work.object.spec.chart.clone());
    work.wait(blocking(move || {
        let unusable =
            |error: &dyn std::fmt::Display| Fault::unexpected(format!("artifact untar error: {error}"));
        let file = store.resolve(&source.path).map_err(|error| unusable(&error))?;
        store.verify(&source.path, &source.digest).map_err(|error| unusable(&error))?;
        let file = std::fs::File::open(file).map_err(|error| unusable(&error))?;
        unpack(file, &root, Links::Refuse, &Limits::default()).map_err(|error| unusable(&error))?;
        let path = loader.path(&chart).map_err(|error| Step::Reference.fault(error))?;
        let metadata = loader.metadata(&path).map_err(|error| Step::Reference.fault(error))?;
        check_name(&metadata.name)?;
        Ok((path, metadata))
    }))
    .await
}

/// The part of a revision that goes into a version: `main@sha1:0123…` and `sha256:0123…` to their first digits.
fn short(revision: &str) -> String {
    let digest = revision.rsplit(['@', '/']).next().unwrap_or(revision);
    let digits = digest.rsplit(':').next().unwrap_or(digest);
    digits.chars().filter(char::is_ascii_alphanumeric).take(DIGITS).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn revisions_are_cut_to_their_first_digits() {
        for (revision, want) in [
            ("main@sha1:a1b2c3d4e5f60718293a4b5c6d7e8f9001122334", "a1b2c3d4e5f6"),
            ("feature/x@sha1:a1b2c3d4e5f60718293a4b5c6d7e8f9001122334", "a1b2c3d4e5f6"),
            ("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "0123456789ab"),
            ("main/a1b2c3d4e5f60718293a4b5c6d7e8f9001122334", "a1b2c3d4e5f6"),
        ] {
            assert_eq!(super::short(revision), want);
        }
    }
}
