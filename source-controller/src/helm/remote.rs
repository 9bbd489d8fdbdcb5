//! Repositories of charts as a chart sees them: find a version, download it. Over HTTP the index tells what there is, in
//! a registry the tags do.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use sluice_api::source::HelmChart;
use sluice_helm::index::{self, IndexError, Reference};
use sluice_helm::semver::{Constraint, Version};
use url::Url;

use super::access::Access;
use super::download::{DownloadError, Fetched};
use crate::kind::Stop;
use crate::oci::Registries;
use crate::oci::address::{Repository, valid_tag};
use crate::oci::credentials::Credential;
use crate::oci::registry::RegistryError;
use crate::oci::select::HELM_LAYER;
use crate::suspects::Suspects;
use crate::transport::TransportOptions;
use crate::work::Work;

/// Why a repository was of no use.
#[derive(Debug)]
pub(super) enum RemoteError {
    /// It has nothing that was asked for.
    Missing(String),
    /// It did not let us in.
    Refused(String),
    /// It could not be asked, or what it answered cannot be used.
    Failed(String),
    /// The pass ends.
    Stop(Stop),
}

impl std::fmt::Display for RemoteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(text) | Self::Refused(text) | Self::Failed(text) => f.write_str(text),
            Self::Stop(_) => f.write_str("the host did not answer lately"),
        }
    }
}

impl From<Stop> for RemoteError {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<DownloadError> for RemoteError {
    fn from(error: DownloadError) -> Self {
        match error.is_refusal() {
            true => Self::Refused(error.to_string()),
            false => Self::Failed(error.to_string()),
        }
    }
}

impl From<RegistryError> for RemoteError {
    fn from(error: RegistryError) -> Self {
        match error.is_refusal() {
            true => Self::Refused(error.to_string()),
            false => Self::Failed(error.to_string()),
        }
    }
}

/// A version of a chart in a repository.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) version: String,
    at: At,
}

#[derive(Debug, Clone)]
enum At {
    Url { url: String, digest: Option<String> },
    Tag(String),
}

/// Bounds of what is downloaded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Bytes of an index.
    pub(super) index: u64,
    /// Bytes of a chart.
    pub(super) chart: u64,
    /// Time of one request and its answer.
    pub(super) time: Duration,
}

/// A repository over HTTP.
pub(super) struct Website<'c> {
    pub(super) suspects: &'c Suspects,
    pub(super) access: Access,
    pub(super) bounds: Bounds,
}

impl Website<'_> {
    /// Finds a version in an index that has been converted.
    pub(super) async fn find(&self, index: PathBuf, name: &str, version: &str) -> Result<Found, RemoteError> {
        let (name, version) = (name.to_owned(), version.to_owned());
        let found = tokio::task::spawn_blocking(move || {
            let file = File::open(&index).map_err(|error| IndexError::Malformed(error.to_string()))?;
            index::find(BufReader::new(file), &name, &version)
        });
        let found = found.await.map_err(|error| RemoteError::Failed(error.to_string()))?;
        let Reference { name, version, urls, digest } = found.map_err(|error| match error {
            IndexError::NotFound(..) | IndexError::Range(..) => RemoteError::Missing(error.to_string()),
            error => RemoteError::Failed(format!("failed to read the index: {error}")),
        })?;
        let Some(url) = urls.into_iter().next() else {
            return Err(RemoteError::Failed(format!("chart '{name}' has no downloadable URLs")));
        };
        Ok(Found { name, version, at: At::Url { url, digest } })
    }

    /// Downloads the index and converts it into a file.
    pub(super) async fn index(&self, work: &Work<HelmChart>, path: PathBuf) -> Result<PathBuf, RemoteError> {
        let url = self.access.url("index.yaml").map_err(RemoteError::Failed)?;
        let bytes = self.get(work, &url, "index", self.bounds.index).await?;
        let converted = tokio::task::spawn_blocking(move || {
            super::repository::convert(bytes, &path).map(|_| path).map_err(|error| error.to_string())
        });
        let converted = converted.await.unwrap_or_else(|error| Err(error.to_string()));
        converted.map_err(|error| RemoteError::Failed(format!("failed to load index: {error}")))
    }

    /// Downloads a chart into a file and checks the digest that the index names.
    pub(super) async fn download(
        &self,
        work: &Work<HelmChart>,
        url: &str,
        digest: Option<&str>,
        path: PathBuf,
    ) -> Result<(), RemoteError> {
        let address = self.access.url(url).map_err(RemoteError::Failed)?;
        let bytes = self.get(work, &address, "chart", self.bounds.chart).await?;
        if let Some(wanted) = digest.and_then(sha256_of) {
            let actual = hex::encode(Sha256::digest(&bytes));
            if actual != wanted {
                return Err(RemoteError::Failed(format!(
                    "the chart at '{url}' has digest sha256:{actual}, but the index says sha256:{wanted}"
                )));
            }
        }
        let written = tokio::task::spawn_blocking(move || std::fs::write(path, bytes)).await;
        let written = written.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        written.map_err(|error| RemoteError::Failed(format!("cannot keep the download: {error}")))
    }

    async fn get(
        &self,
        work: &Work<HelmChart>,
        url: &Url,
        what: &'static str,
        max: u64,
    ) -> Result<Vec<u8>, RemoteError> {
        let host = url.host_str().unwrap_or_default();
        let visit = self.suspects.visit(work, host, self.bounds.time).await?;
        match visit.within(work, self.access.download.get(url, None, what, max)).await? {
            Fetched::New(bytes, _) => Ok(bytes),
            Fetched::Unchanged => Err(RemoteError::Failed(format!("{what} was not sent"))),
        }
    }
}

/// The hexadecimal digits of a digest that can be checked; an index may also hold something else.
fn sha256_of(digest: &str) -> Option<String> {
    let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
    let is_sha256 = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_sha256.then(|| digits.to_ascii_lowercase())
}

/// A folder of charts in a registry.
pub(super) struct Folder<'c> {
    pub(super) registries: &'c Registries,
    pub(super) options: TransportOptions,
    pub(super) credential: Option<Credential>,
    pub(super) insecure: bool,
    pub(super) bounds: Bounds,
}

impl Folder<'_> {
    /// The highest version in the range among the tags of a chart.
    pub(super) async fn find(
        &self,
        work: &Work<HelmChart>,
        repository: &Repository,
        name: &str,
        version: &str,
    ) -> Result<Found, RemoteError> {
        if let Some(found) = exact(name, version) {
            return Ok(found);
        }
        let range = if version.is_empty() { "*" } else { version };
        let range = Constraint::parse(range).map_err(|error| {
            RemoteError::Missing(IndexError::Range(version.to_owned(), error.to_string()).to_string())
        })?;
        let registry = self.registry(repository)?;
        let visit = self.registries.suspects.visit(work, &repository.host, self.bounds.time).await?;
        let tags = visit.within(work, registry.tags()).await?;
        let highest = tags
            .into_iter()
            .filter_map(|tag| Some((strict(&tag.replace('_', "+"))?, tag)))
            .filter(|(version, _)| range.matches(version))
            // Of versions that differ in build metadata only, the greatest text: any choice but the same each time.
            .max_by(|(a, one), (b, other)| a.compare(b).then_with(|| one.cmp(other)));
        let Some((found, tag)) = highest else {
            let error = IndexError::NotFound(name.to_owned(), version.to_owned());
            return Err(RemoteError::Failed(error.to_string()));
        };
        Ok(Found { name: name.to_owned(), version: found.to_string(), at: At::Tag(tag) })
    }

    /// Downloads a chart into a file.
    pub(super) async fn download(
        &self,
        work: &Work<HelmChart>,
        repository: &Repository,
        tag: &str,
        path: &Path,
    ) -> Result<(), RemoteError> {
        let registry = self.registry(repository)?;
        let visit = self.registries.suspects.visit(work, &repository.host, self.bounds.time).await?;
        let manifest = visit.within(work, registry.manifest(tag)).await?;
        let layer = manifest.layers.iter().find(|layer| layer.media_type == HELM_LAYER).ok_or_else(|| {
            RemoteError::Failed(format!("'{}' holds no layer of type '{HELM_LAYER}'", repository.with(tag)))
        })?;
        Ok(visit.within(work, registry.blob(layer, path, self.bounds.chart)).await?)
    }

    fn registry<'a>(
        &self,
        repository: &'a Repository,
    ) -> Result<crate::oci::registry::Registry<'a>, RemoteError> {
        let client = self.registries.client(&self.options).map_err(RemoteError::Failed)?;
        Ok(self.registries.registry(client, repository, self.credential.as_ref(), self.insecure))
    }
}

impl Found {
    /// The address in an index, and the digest there.
    pub(super) fn url(&self) -> Option<(&str, Option<&str>)> {
        match &self.at {
            At::Url { url, digest } => Some((url, digest.as_deref())),
            At::Tag(_) => None,
        }
    }

    /// The tag in a registry.
    pub(super) fn tag(&self) -> Option<&str> {
        match &self.at {
            At::Tag(tag) => Some(tag),
            At::Url { .. } => None,
        }
    }
}

/// The version of a chart in a registry that needs no list of tags, because it is none but itself.
pub(super) fn exact(name: &str, version: &str) -> Option<Found> {
    strict(version)?;
    let tag = version.replace('+', "_");
    let found = || Found { name: name.to_owned(), version: version.to_owned(), at: At::Tag(tag.clone()) };
    valid_tag(&tag).then(found)
}

/// A version by the letter of SemVer 2.0: three numbers, no `v`, no leading zeros.
fn strict(text: &str) -> Option<Version> {
    Version::parse(text).ok().filter(|version| version.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_versions_are_taken_without_looking() {
        for (version, want) in [
            ("1.2.3", Some("1.2.3")),
            ("0.1.0+x", Some("0.1.0_x")),
            ("1.2.3-rc.1", Some("1.2.3-rc.1")),
            ("v1.2.3", None),
            ("1.2", None),
            ("01.2.3", None),
            ("1.x", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(exact("app", version).as_ref().and_then(Found::tag), want, "{version}");
        }
    }

    #[test]
    fn a_digest_that_is_none_is_not_checked() {
        let digits = "AB".repeat(32);
        assert_eq!(sha256_of(&digits), Some(digits.to_lowercase()));
        assert_eq!(sha256_of(&format!("sha256:{digits}")), Some(digits.to_lowercase()));
        assert_eq!(sha256_of("deadbeef"), None);
    }
}
