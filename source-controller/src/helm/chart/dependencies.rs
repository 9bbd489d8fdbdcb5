//! The subcharts that a chart in a folder asks for and does not bring along (sources.md 10.6).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use kube::ResourceExt;
use sluice_api::ArtifactSource;
use sluice_api::source::{HelmChart, HelmRepository};
use sluice_helm::Chart;
use sluice_helm::chart::Dependency;
use sluice_helm::semver::{Constraint, Version};
use sluice_runtime::events::Event;

use super::fault::{Fault, Step};
use super::packaging::{Loader, blocking};
use super::{ANONYMOUS_TIMEOUT, Charts, shown};
use crate::helm::access::{self, Access};
use crate::helm::download::Download;
use crate::helm::remote::{Folder, RemoteError, Website};
use crate::object::SourceObject;
use crate::oci::address::Repository;
use crate::transport::TransportOptions;
use crate::work::Work;

/// Downloads at a time.
const AT_ONCE: usize = 4;

/// A repository that subcharts come from, opened once for all of them.
enum Opened<'c> {
    /// A website and the file of its index.
    Website(Website<'c>, PathBuf),
    /// The address of a registry and what is in its way.
    Registry(String, Folder<'c>),
}

/// Loads what is missing, each with its alias. `folder` is where the chart is in the source.
pub(super) async fn resolve(
    charts: &Charts,
    work: &Work<HelmChart>,
    chart: &Chart,
    loader: &Loader,
    folder: &Path,
) -> Result<Vec<(Chart, String)>, Fault> {
    let missing = missing(chart);
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let mut opened = BTreeMap::new();
    for dependency in missing.iter().filter(|dependency| !is_local(dependency)) {
        let url = normalized(&dependency.repository).map_err(|error| failed(dependency, error))?;
        if !opened.contains_key(&url) {
            let path = work.dir().join(format!("index-{}.json", opened.len()));
            let repository =
                open(charts, work, &url, path).await.map_err(|fault| framed(dependency, fault))?;
            opened.insert(url, repository);
        }
    }
    let opened = &opened;
    let loading = missing.into_iter().enumerate().map(|(number, dependency)| async move {
        let loaded = match is_local(&dependency) {
            true => local(&dependency, loader, folder).await,
            false => remote(work, &dependency, opened, loader, number).await,
        };
        let subchart = loaded.map_err(|fault| framed(&dependency, fault))?;
        Ok::<_, Fault>((subchart, dependency.alias))
    });
    let resolved: Vec<_> = futures::stream::iter(loading).buffered(AT_ONCE).try_collect().await?;
    work.event(Event::trace(
        "ResolvedDependencies",
        format!("resolved {} chart dependencies", resolved.len()),
    ));
    Ok(resolved)
}

/// What `Chart.yaml` asks for and `charts/` does not hold, in the versions that `Chart.lock` has chosen.
fn missing(chart: &Chart) -> Vec<Dependency> {
    let wanted = &chart.metadata.dependencies;
    if wanted.len() == chart.dependencies.len() {
        return Vec::new();
    }
    let is_there = |dependency: &Dependency| {
        chart.dependencies.iter().any(|subchart| {
            subchart.name() == dependency.name
                || (!dependency.alias.is_empty() && subchart.name() == dependency.alias)
        })
    };
    let mut locked: Vec<&Dependency> = chart.lock.iter().flat_map(|lock| &lock.dependencies).collect();
    let lock = |mut dependency: Dependency| {
        // Several of one name stand in the lock in the same order.
        if let Some(at) = locked.iter().position(|locked| locked.name == dependency.name) {
            let chosen = locked.remove(at);
            dependency.version.clone_from(&chosen.version);
            dependency.repository.clone_from(&chosen.repository);
        }
        dependency
    };
    let all: Vec<Dependency> = wanted.iter().cloned().map(lock).collect();
    all.into_iter().filter(|dependency| !is_there(dependency)).collect()
}

fn is_local(dependency: &Dependency) -> bool {
    dependency.repository.is_empty() || dependency.repository.starts_with("file://")
}

/// The address of a repository in the one spelling by which two are the same.
fn normalized(url: &str) -> Result<String, String> {
    let bare = url.trim_end_matches('/');
    if url.starts_with('@') || url.starts_with("alias:") {
        Err(format!("aliased repository dependency is not supported: {url}"))
    } else if url.starts_with("oci://") {
        Ok(bare.to_owned())
    } else if url.starts_with("http://") || url.starts_with("https://") {
        Ok(format!("{bare}/"))
    } else {
        Err(format!("invalid dependency repository URL: {url}"))
    }
}

async fn local(dependency: &Dependency, loader: &Loader, folder: &Path) -> Result<Chart, Fault> {
    let (loader, folder, dependency) = (loader.clone(), folder.to_owned(), dependency.clone());
    blocking(move || {
        let below = match dependency.repository.strip_prefix("file://") {
            Some(path) => folder.join(path.trim_start_matches('/')),
            None => folder.join("charts").join(&dependency.name),
        };
        let failed = |error: String| Step::Dependencies.fault(error);
        let path = loader.path(&below).map_err(failed)?;
        let (shown, reference) = (loader.shown(&path.to_string_lossy()), &dependency.repository);
        if !path.exists() {
            return Err(failed(format!("no chart found at '{shown}' (reference '{reference}')")));
        }
        let range = Constraint::parse(&dependency.version).map_err(|error| {
            failed(format!("invalid version/constraint format '{}': {error}", dependency.version))
        })?;
        let chart = loader.chart(&path).map_err(|error| {
            failed(format!("failed to load chart from '{shown}' (reference '{reference}'): {error}"))
        })?;
        let version = Version::parse(&chart.metadata.version).map_err(|error| failed(error.to_string()))?;
        if !range.matches(&version) {
            let range = &dependency.version;
            return Err(failed(format!("can't get a valid version for constraint '{range}'")));
        }
        Ok(chart)
    })
    .await
}

async fn remote(
    work: &Work<HelmChart>,
    dependency: &Dependency,
    opened: &BTreeMap<String, Opened<'_>>,
    loader: &Loader,
    number: usize,
) -> Result<Chart, Fault> {
    let url = normalized(&dependency.repository).map_err(|error| Step::Dependencies.fault(error))?;
    let path = work.dir().join(format!("subchart-{number}.tgz"));
    let (name, range) = (&dependency.name, &dependency.version);
    let version = match opened.get(&url) {
        Some(Opened::Website(website, index)) => {
            let found = website.find(index.clone(), name, range).await?;
            if let Some((url, digest)) = found.url() {
                website.download(work, url, digest, path.clone()).await?;
            }
            found.version
        }
        Some(Opened::Registry(base, folder)) => {
            let address = format!("{base}/{name}");
            let address = Repository::parse(&address).map_err(|error| Step::Dependencies.fault(error))?;
            let found = folder.find(work, &address, name, range).await?;
            if let Some(tag) = found.tag() {
                folder.download(work, &address, tag, &path).await?;
            }
            found.version
        }
        None => return Err(Step::Dependencies.fault(format!("repository '{url}' was not opened"))),
    };
    let loader = loader.clone();
    blocking(move || {
        loader.downloaded_chart(&path).map_err(|error| {
            Step::Dependencies
                .fault(format!("failed to load downloaded archive of version '{version}': {error}"))
        })
    })
    .await
}

/// Opens a repository: as the HelmRepository of the namespace that has its address says, or as anybody may.
async fn open<'c>(
    charts: &'c Charts,
    work: &Work<HelmChart>,
    url: &str,
    index: PathBuf,
) -> Result<Opened<'c>, Fault> {
    let known = known(charts, work, url);
    let time = known.as_ref().map_or(ANONYMOUS_TIMEOUT, |repository| repository.timeout());
    let bounds = charts.bounds(time);
    if url.starts_with("oci://") {
        let address = Repository::parse(url).map_err(|error| Step::Dependencies.fault(error))?;
        let (options, credential) = match &known {
            Some(repository) => access::registry(&work.api(), repository, &address).await?,
            None => (TransportOptions::default(), None),
        };
        let insecure = known.is_some_and(|repository| repository.spec.insecure);
        let registries = &charts.registries;
        return Ok(Opened::Registry(
            url.to_owned(),
            Folder { registries, options, credential, insecure, bounds },
        ));
    }
    let access = match &known {
        Some(repository) => access::http(&work.api(), repository, &charts.transports).await?,
        None => {
            let client = charts.transports.client(&TransportOptions::default());
            let (_, http) = client.map_err(|error| Step::Dependencies.fault(error))?;
            Access { base: access::base(url)?, download: Download { http, login: None } }
        }
    };
    let website = Website { suspects: &charts.suspects, access, bounds };
    let stored = known.as_ref().and_then(|repository| {
        let path = work.cx.store.resolve(&repository.artifact()?.path).ok()?;
        path.exists().then_some(path)
    });
    let index = match stored {
        Some(index) => index,
        None => {
            if let Some(repository) = &known {
                tracing::debug!(
                    repository = shown(repository),
                    "the index of a dependency is not stored yet"
                );
            }
            website.index(work, index).await?
        }
    };
    Ok(Opened::Website(website, index))
}

/// The HelmRepository of the namespace with that address; of several the one whose name comes first.
fn known(charts: &Charts, work: &Work<HelmChart>, url: &str) -> Option<Arc<HelmRepository>> {
    let namespace = work.namespace();
    charts
        .sources
        .repositories
        .list()
        .into_iter()
        .filter(|repository| repository.namespace().as_deref() == Some(&*namespace))
        .filter(|repository| normalized(&repository.spec.url).is_ok_and(|known| known == url))
        .min_by_key(|repository| repository.name_any())
}

impl From<RemoteError> for Fault {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Stop(stop) => stop.into(),
            error => Step::Dependencies.fault(error),
        }
    }
}

fn failed(dependency: &Dependency, error: String) -> Fault {
    framed(dependency, Step::Dependencies.fault(error))
}

/// Says which dependency it was.
fn framed(dependency: &Dependency, fault: Fault) -> Fault {
    let kind = if is_local(dependency) { "local" } else { "remote" };
    let frame = |error: &str| {
        Step::Dependencies.fault(format!("failed to add {kind} dependency '{}': {error}", dependency.name))
    };
    match fault {
        Fault::Build(_, error) => frame(&error),
        Fault::Around(failure, _) => frame(&failure.message),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_helm::ChartFile;
    use sluice_helm::chart::LoadOptions;

    fn chart(files: &[(&str, &str)]) -> Chart {
        let files = files
            .iter()
            .map(|(name, text)| ChartFile {
                name: (*name).to_owned(),
                data: text.as_bytes().to_vec().into(),
                modified: None,
            })
            .collect();
        Chart::from_files(files, &LoadOptions::default()).unwrap()
    }

    const CHART: &str = "apiVersion: v2
name: app
version: 1.0.0
dependencies:
- {name: one, version: 1.x, repository: https://example.com}
- {name: two, version: 2.x, repository: https://example.com, alias: a}
- {name: two, version: 3.x, repository: https://example.com, alias: b}
";

    fn names(chart: &Chart) -> Vec<String> {
        missing(chart)
            .iter()
            .map(|dependency| format!("{} {}", dependency.name, dependency.version))
            .collect()
    }

    #[test]
    fn only_what_is_not_there_is_missing() {
        assert_eq!(names(&chart(&[("Chart.yaml", CHART)])), ["one 1.x", "two 2.x", "two 3.x"]);
        let one = ("charts/one/Chart.yaml", "apiVersion: v2\nname: one\nversion: 1.0.0\n");
        assert_eq!(names(&chart(&[("Chart.yaml", CHART), one])), ["two 2.x", "two 3.x"]);
        let alias = ("charts/a/Chart.yaml", "apiVersion: v2\nname: a\nversion: 2.0.0\n");
        assert_eq!(names(&chart(&[("Chart.yaml", CHART), one, alias])), ["two 3.x"]);
        let other = ("charts/x/Chart.yaml", "apiVersion: v2\nname: x\nversion: 2.0.0\n");
        assert_eq!(names(&chart(&[("Chart.yaml", CHART), one, alias, other])), Vec::<String>::new());
    }

    #[test]
    fn the_lock_has_the_last_word() {
        let lock = "dependencies:
- {name: one, version: 1.2.3, repository: https://example.com}
- {name: two, version: 2.1.0, repository: https://example.com}
- {name: two, version: 3.1.0, repository: https://example.org}
";
        let chart = chart(&[("Chart.yaml", CHART), ("Chart.lock", lock)]);
        assert_eq!(names(&chart), ["one 1.2.3", "two 2.1.0", "two 3.1.0"]);
        assert_eq!(missing(&chart)[2].repository, "https://example.org");
        assert_eq!(missing(&chart)[2].alias, "b");
    }

    #[test]
    fn addresses_have_one_spelling() {
        for (url, want) in [
            ("https://example.com/charts", Ok("https://example.com/charts/")),
            ("https://example.com/charts//", Ok("https://example.com/charts/")),
            ("oci://example.com/charts/", Ok("oci://example.com/charts")),
            ("@stable", Err("aliased repository dependency is not supported: @stable")),
            ("alias:stable", Err("aliased repository dependency is not supported: alias:stable")),
            ("s3://bucket", Err("invalid dependency repository URL: s3://bucket")),
        ] {
            assert_eq!(normalized(url).as_deref().map_err(String::as_str), want);
        }
    }
}
