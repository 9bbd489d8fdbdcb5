//! What a bucket is asked for, whoever keeps it.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt};

use super::cloud::Cloud;
use super::s3::S3;
use crate::suspects::Trouble;

/// Why a bucket was of no use. Addresses are shown without their query, which may hold a signature.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// There is no such object, or bucket.
    #[error("not found")]
    NotFound,
    /// The store refused, or answered something that is not what the protocol says.
    #[error("{0}")]
    Answer(String),
    /// It could not be reached, or broke off.
    #[error("{0}")]
    Transport(String),
    /// It took longer than `spec.timeout`.
    #[error("no answer within the timeout of {}", sluice_api::meta::Duration::format(*.0))]
    Timeout(Duration),
    /// The process ends.
    #[error("the controller is shutting down")]
    Shutdown,
    /// More than an artifact may hold.
    #[error("the objects have more than {0} bytes")]
    TooLarge(u64),
    /// The work directory could not be written.
    #[error("cannot write: {0}")]
    Disk(#[from] std::io::Error),
}

impl Trouble for ClientError {
    fn is_silence(&self) -> bool {
        matches!(self, Self::Transport(_) | Self::Timeout(_))
    }

    fn timeout(limit: Duration) -> Self {
        Self::Timeout(limit)
    }

    fn shutdown() -> Self {
        Self::Shutdown
    }
}

/// An object in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) key: String,
    /// Without quotation marks.
    pub(super) etag: String,
}

/// A part of a list, and how to ask for the next.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) objects: Vec<Listed>,
    pub(super) next: Option<String>,
}

/// A bucket that can be asked.
pub(super) enum Client {
    /// The protocol of Amazon's, which many speak.
    S3(Box<S3>),
    /// The protocols of Google's and Microsoft's.
    Cloud(Cloud),
}

impl Client {
    /// Whether the bucket is there.
    pub(super) async fn exists(&self) -> Result<bool, ClientError> {
        let answer = match self {
            Self::S3(s3) => s3.head().await,
            Self::Cloud(cloud) => cloud.page("", None, Some(1)).await.map(drop),
        };
        match answer {
            Ok(()) => Ok(true),
            Err(ClientError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// One page of the objects whose key begins with `prefix`.
    pub(super) async fn page(&self, prefix: &str, token: Option<String>) -> Result<Page, ClientError> {
        match self {
            Self::S3(s3) => s3.page(prefix, token).await,
            Self::Cloud(cloud) => cloud.page(prefix, token, None).await,
        }
    }

    /// Writes an object into a file and returns its etag. `left` is what all objects together may still have.
    pub(super) async fn download(
        &self,
        key: &str,
        path: &Path,
        left: &Budget,
    ) -> Result<String, ClientError> {
        match self {
            Self::S3(s3) => s3.download(key, path, left).await,
            Self::Cloud(cloud) => cloud.download(key, path, left).await,
        }
    }
}

/// Bytes that may still be written.
#[derive(Debug)]
pub(super) struct Budget {
    max: u64,
    left: AtomicU64,
}

impl Budget {
    /// So many bytes.
    pub(super) fn new(max: u64) -> Self {
        Self { max, left: AtomicU64::new(max) }
    }

    fn take(&self, bytes: u64) -> Result<(), ClientError> {
        let taken =
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        taken.map(drop).map_err(|_| ClientError::TooLarge(self.max))
    }
}

/// Writes what a stream yields into a new file.
pub(super) async fn write<B: AsRef<[u8]>>(
    stream: impl Stream<Item = Result<B, ClientError>>,
    path: &Path,
    left: &Budget,
) -> Result<(), ClientError> {
    let mut file = File::create(path)?;
    let mut stream = std::pin::pin!(stream);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        left.take(chunk.as_ref().len() as u64)?;
        // One network chunk at a time into the page cache: too short to be worth a trip to the blocking pool.
        file.write_all(chunk.as_ref())?;
    }
    Ok(())
}

/// An etag without quotation marks.
pub(super) fn bare(etag: &str) -> String {
    etag.trim().trim_start_matches("W/").trim_matches('"').to_owned()
}
