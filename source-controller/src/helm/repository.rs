//! HelmRepository: an artifact of the index of a repository that is served over HTTP. One of type `oci` is nothing but an
//! address and is left alone.
//!
//! The fast path costs one conditional request: where the server says that nothing has changed, or sends what is stored
//! already, nothing is parsed.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufWriter, Write};

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use sluice_api::source::{HelmRepository, HelmRepositoryType};
use sluice_helm::index::{self, IndexError};
use sluice_runtime::Key;
use url::Url;

use super::access::{self, Access};
use super::download::{Fetched, Validators};
use crate::kind::{FETCH_FAILED, Failure, Produced, SourceKind, Stop};
use crate::suspects::Suspects;
use crate::transport::{TransportOptions, Transports};
use crate::work::Work;

/// Link at the current index.
const LINK: &str = "index.yaml";

/// The kind HelmRepository.
#[derive(Debug, Default)]
pub struct Repositories {
    transports: Transports,
    suspects: Suspects,
    known: Mutex<HashMap<Key, Known>>,
    max_size: u64,
}

/// What a server said of the index that is stored.
#[derive(Debug, Clone)]
struct Known {
    url: Url,
    revision: String,
    validators: Validators,
}

impl Repositories {
    /// The kind, for indexes of at most so many bytes.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(max_size: u64) -> anyhow::Result<Self> {
        let kind = Self { max_size, ..Self::default() };
        kind.transports
            .client(&TransportOptions::default())
            .map_err(|error| anyhow::anyhow!("cannot make an HTTP client: {error}"))?;
        Ok(kind)
    }

    /// Fetches the index, unless the server says that it is the one which is stored.
    async fn fetch(&self, work: &Work<HelmRepository>, access: &Access) -> Result<Fetched, Stop> {
        let failed = |error: String| {
            Failure::fetch("Failed", format!("failed to fetch Helm repository index: {error}")).retry()
        };
        let url = access.url(LINK).map_err(failed)?;
        let known = self.known.lock().get(&work.key()).cloned().filter(|known| {
            known.url == url && work.artifact().is_some_and(|artifact| artifact.revision == known.revision)
        });
        let visit = self.suspects.visit(work, url.host_str().unwrap_or_default(), work.timeout()).await?;
        let validators = known.as_ref().map(|known| &known.validators);
        let get = access.download.get(&url, validators, "index", self.max_size);
        visit.within(work, get).await.map_err(|error| failed(error.to_string()))
    }

    fn remember(&self, work: &Work<HelmRepository>, access: &Access, revision: &str, validators: Validators) {
        let Ok(url) = access.url(LINK) else { return };
        let known = Known { url, revision: revision.to_owned(), validators };
        self.known.lock().insert(work.key(), known);
    }
}

impl SourceKind for Repositories {
    type Object = HelmRepository;

    fn is_static(&self, object: &HelmRepository) -> bool {
        object.spec.type_ == Some(HelmRepositoryType::Oci)
    }

    async fn produce(&self, work: &mut Work<HelmRepository>) -> Result<Produced, Stop> {
        let access = access::http(&work.api(), &work.object, &self.transports).await?;
        let (bytes, validators) = match self.fetch(work, &access).await? {
            Fetched::Unchanged => {
                work.remove_condition(FETCH_FAILED);
                return Ok(stored(work));
            }
            Fetched::New(bytes, validators) => (bytes, validators),
        };
        let digest = hex::encode(Sha256::digest(&bytes));
        let revision = format!("sha256:{digest}");
        if work.artifact().is_some_and(|artifact| artifact.revision == revision) {
            work.remove_condition(FETCH_FAILED);
            self.remember(work, &access, &revision, validators);
            return Ok(stored(work));
        }
        let path = work.dir().join("index.json");
        let converting = tokio::task::spawn_blocking({
            let path = path.clone();
            move || convert(bytes, &path)
        });
        let summary = converting.await.map_err(|error| IndexError::Malformed(error.to_string()));
        let summary = summary.and_then(|summary| summary).map_err(|error| {
            let message = format!("failed to load Helm repository from index YAML: {error}");
            Failure::fetch("IndexationFailed", message).retry()
        })?;
        tracing::debug!(?summary, "index read");
        work.remove_condition(FETCH_FAILED);
        work.outdated("NewRevision", &format!("new index revision '{revision}'")).await?;
        work.store_file(format!("index-{digest}.yaml"), path, revision.clone(), BTreeMap::new(), Some(LINK))
            .await?;
        self.remember(work, &access, &revision, validators);
        Ok(stored(work))
    }

    fn forget(&self, namespace: &str, name: &str) {
        self.known.lock().remove(&Key::new(namespace, name));
    }
}

pub(super) fn convert(bytes: Vec<u8>, path: &std::path::Path) -> Result<index::Summary, IndexError> {
    let text = String::from_utf8(bytes).map_err(|_| IndexError::Malformed("not UTF-8 text".to_owned()))?;
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    let summary = index::convert(&text, &mut file)?;
    file.flush()?;
    Ok(summary)
}

fn stored(work: &mut Work<HelmRepository>) -> Produced {
    let revision = work.artifact().map(|artifact| artifact.revision.clone()).unwrap_or_default();
    work.mark_stored(format!("stored artifact: revision '{revision}'"));
    let size = work.artifact().and_then(|artifact| artifact.size).and_then(|size| u64::try_from(size).ok());
    let size = size.map_or_else(|| "unknown size".to_owned(), |size| format!("size {}", human(size)));
    let url = work.object.spec.url.trim_end_matches('/');
    Produced::new(format!("stored fetched index of {size} from '{url}/'"))
}

/// A size in decimal units with at most four significant digits: `30.88kB`.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut divisor, mut unit) = (1_u128, 0);
    while u128::from(bytes) >= divisor * 1000 && unit + 1 < UNITS.len() {
        (divisor, unit) = (divisor * 1000, unit + 1);
    }
    // In thousandths, cut to four digits.
    let thousandths = u128::from(bytes) * 1000 / divisor;
    let step = 10_u128.pow(thousandths.max(1).ilog10().saturating_sub(3));
    let rounded = (u128::from(bytes) * 1000 + divisor * step / 2) / (divisor * step) * step;
    let text = format!("{}.{:03}", rounded / 1000, rounded % 1000);
    format!("{}{}", text.trim_end_matches('0').trim_end_matches('.'), UNITS[unit])
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_have_four_digits() {
        for (bytes, want) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (30_880, "30.88kB"),
            (30_884, "30.88kB"),
            (30_885, "30.89kB"),
            (1_234_000, "1.234MB"),
            (20_000_000, "20MB"),
            (123_456_789, "123.5MB"),
        ] {
            assert_eq!(super::human(bytes), want, "{bytes}");
        }
    }
}
