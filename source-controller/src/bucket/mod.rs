//! Bucket: an artifact from the objects of an object store (sources.md 11).
//!
//! The keys and etags of all objects are the revision, so that a pass over a bucket that has not moved costs a list.

mod client;
mod cloud;
mod s3;
mod settings;
mod sts;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt};
use sluice_api::source::{Bucket, BucketProvider};
use sluice_artifact::{Algorithm, Digest, Ignore, Limits, secure_join};

use crate::kind::{FETCH_FAILED, Failure, Produced, SourceKind, Stop};
use crate::suspects::{Suspects, Visit};
use crate::transport::{TransportOptions, Transports};
use crate::work::{Archive, Leave, Work};
use client::{Budget, Client, ClientError};

/// Link at the current artifact.
const LINK: &str = "latest.tar.gz";
/// Object with patterns of keys to leave out.
const IGNORE: &str = ".sourceignore";
/// Largest such object, in bytes.
const MAX_IGNORE: u64 = 1 << 20;
/// Downloads at a time.
const AT_ONCE: usize = 16;

/// Etag of each object.
type Index = BTreeMap<String, String>;

/// The kind Bucket.
#[derive(Debug, Default)]
pub struct Buckets {
    transports: Transports,
    suspects: Suspects,
}

impl Buckets {
    /// The kind, without anything remembered.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new() -> anyhow::Result<Self> {
        let buckets = Self::default();
        buckets
            .transports
            .client(&TransportOptions::default())
            .map_err(|error| anyhow::anyhow!("cannot make an HTTP client: {error}"))?;
        Ok(buckets)
    }
}

fn failed(message: impl Into<String>) -> Stop {
    Failure::fetch("BucketOperationFailed", message).retry()
}

impl SourceKind for Buckets {
    type Object = Bucket;

    async fn produce(&self, work: &mut Work<Bucket>) -> Result<Produced, Stop> {
        let client = settings::client(work, &self.transports).await?;
        let visit = self.suspects.visit(work, &host(&work.object), work.timeout()).await?;
        let dir = work.dir().join("objects");
        std::fs::create_dir(&dir).map_err(|error| failed(format!("cannot make a directory: {error}")))?;
        let bucket = work.object.spec.bucket_name.clone();
        check_exists(work, &client, &visit).await?;
        let ignore = ignore(work, &client, &visit, &dir).await?;
        let listed = visit.within(work, list(&client, work.object.spec.prefix.as_deref(), &ignore)).await;
        let index = listed.map_err(|error| {
            failed(format!("indexation of objects from bucket '{bucket}' failed: {error}"))
        })?;
        if is_stored(work, &index) {
            work.remove_condition(FETCH_FAILED);
            return Ok(stored(work, index.len()));
        }
        let revision = revision(&index, work.cx.store.algorithm());
        work.outdated("NewRevision", &format!("new upstream revision '{revision}'")).await?;
        let index = visit.within(work, fetch(&client, index, &dir)).await;
        let index = index.map_err(|error| failed(format!("fetch from bucket '{bucket}' failed: {error}")))?;
        work.remove_condition(FETCH_FAILED);
        // Objects may have changed or gone since the list.
        if !is_stored(work, &index) {
            store(work, dir, self::revision(&index, work.cx.store.algorithm())).await?;
        }
        Ok(stored(work, index.len()))
    }
}

/// The host that is asked, as far as it can be told.
fn host(bucket: &Bucket) -> String {
    let endpoint = &bucket.spec.endpoint;
    match bucket.spec.provider {
        Some(BucketProvider::Azure) => url::Url::parse(endpoint)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_else(|| endpoint.clone()),
        _ => endpoint.clone(),
    }
}

async fn check_exists(work: &Work<Bucket>, client: &Client, visit: &Visit<'_>) -> Result<(), Stop> {
    let bucket = &work.object.spec.bucket_name;
    match visit.within(work, client.exists()).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(failed(format!("bucket '{bucket}' not found"))),
        Err(error) => Err(failed(format!("failed to confirm existence of '{bucket}' bucket: {error}"))),
    }
}

/// The patterns in the bucket, which becomes a file of the artifact, and those of the spec, which are stronger.
async fn ignore(work: &Work<Bucket>, client: &Client, visit: &Visit<'_>, dir: &Path) -> Result<Ignore, Stop> {
    let path = dir.join(IGNORE);
    let budget = Budget::new(MAX_IGNORE);
    let unusable = |error: String| failed(format!("failed to get Etag for '{IGNORE}' object: {error}"));
    let mut patterns = match visit.within(work, client.download(IGNORE, &path, &budget)).await {
        Ok(_) => std::fs::read_to_string(&path).map_err(|error| unusable(error.to_string()))?,
        Err(ClientError::NotFound) => String::new(),
        Err(error) => return Err(unusable(error.to_string())),
    };
    patterns.push('\n');
    patterns.push_str(work.object.spec.ignore.as_deref().unwrap_or_default());
    Ok(Ignore::bare(&patterns))
}

/// Keys and etags of all objects that are wanted.
async fn list(client: &Client, prefix: Option<&str>, ignore: &Ignore) -> Result<Index, ClientError> {
    let max = usize::try_from(Limits::default().entries).unwrap_or(usize::MAX);
    let (mut index, mut token) = (Index::new(), None);
    loop {
        let page = client.page(prefix.unwrap_or_default(), token.clone()).await?;
        for object in page.objects {
            let is_wanted = !object.key.ends_with('/')
                && object.key != IGNORE
                && !ignore.excludes(Path::new(&object.key), false);
            if is_wanted {
                index.insert(object.key, object.etag);
            }
        }
        if index.len() > max {
            return Err(ClientError::Answer(format!(
                "the bucket has more than {max} objects; leave some out with spec.prefix or spec.ignore"
            )));
        }
        if page.next.is_none() {
            return Ok(index);
        }
        if page.next == token {
            return Err(ClientError::Answer("the list of objects goes on without end".to_owned()));
        }
        token = page.next;
    }
}

/// Downloads all objects; those that are gone are left out, those that have changed get their new etag.
async fn fetch(client: &Client, index: Index, dir: &Path) -> Result<Index, ClientError> {
    let budget = &Budget::new(Limits::default().bytes);
    let fetching = index.into_keys().map(|key| async move {
        let found = match place(dir, &key) {
            Ok(path) => client.download(&key, &path, budget).await,
            Err(error) => Err(error.into()),
        };
        match found {
            Ok(etag) => Ok(Some((key, etag))),
            Err(ClientError::NotFound) => Ok(None),
            Err(ClientError::Transport(error)) => Err(ClientError::Transport(about(&key, error))),
            Err(ClientError::Timeout(limit)) => Err(ClientError::Timeout(limit)),
            Err(error) => Err(ClientError::Answer(about(&key, error))),
        }
    });
    let fetched = futures::stream::iter(fetching).buffer_unordered(AT_ONCE);
    fetched.try_filter_map(|found| std::future::ready(Ok(found))).try_collect().await
}

fn about(key: &str, error: impl std::fmt::Display) -> String {
    format!("failed to get '{key}' object: {error}")
}

/// The file of a key, which is never outside of `dir`, in a directory that is there.
fn place(dir: &Path, key: &str) -> std::io::Result<PathBuf> {
    let path = secure_join(dir, key)?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    Ok(path)
}

/// Digest over the sorted keys and etags.
fn revision(index: &Index, algorithm: Algorithm) -> String {
    let mut hasher = algorithm.hasher();
    for (key, etag) in index {
        hasher.update(format!("{key} {etag}\n").as_bytes());
    }
    hasher.finish().to_string()
}

/// Whether these are the objects of the current artifact, whose revision may have been made with another algorithm.
fn is_stored(work: &Work<Bucket>, index: &Index) -> bool {
    let known = work.artifact().and_then(|artifact| artifact.revision.parse::<Digest>().ok());
    known.is_some_and(|known| revision(index, known.algorithm()) == known.to_string())
}

async fn store(work: &mut Work<Bucket>, dir: PathBuf, revision: String) -> Result<(), Stop> {
    let digits = revision.rsplit(':').next().unwrap_or(&revision);
    work.store_directory(Archive {
        file: format!("{digits}.tar.gz"),
        dir,
        revision: revision.clone(),
        metadata: BTreeMap::new(),
        // The keys have been filtered; a bucket has no built-in exclusions.
        leave: Leave::Nothing,
        link: Some(LINK),
    })
    .await
}

fn stored(work: &mut Work<Bucket>, count: usize) -> Produced {
    let revision = work.artifact().map(|artifact| artifact.revision.clone()).unwrap_or_default();
    work.mark_stored(format!("stored artifact: revision '{revision}'"));
    let ignore = work.object.spec.ignore.clone();
    work.object.status.get_or_insert_default().observed_ignore = ignore;
    Produced::new(format!(
        "stored artifact with {count} fetched files from '{}' bucket",
        work.object.spec.bucket_name
    ))
}
