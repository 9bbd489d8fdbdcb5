//! Buckets of Google's and containers of Microsoft's, through object_store.

use std::path::Path;
use std::sync::LazyLock;

use futures::TryStreamExt;
use object_store::client::{HttpClient, HttpConnector};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::{ClientOptions, GetOptions, ObjectStore};
use regex::Regex;

use super::client::{Budget, ClientError, Listed, Page, bare, write};

/// A store, as object_store knows it.
pub(super) struct Cloud {
    objects: Box<dyn ObjectStore>,
    lists: Box<dyn PaginatedListStore>,
}

impl Cloud {
    /// Of one store, which gives objects and lists.
    pub(super) fn new<S: ObjectStore + PaginatedListStore + Clone>(store: S) -> Self {
        Self { objects: Box::new(store.clone()), lists: Box::new(store) }
    }

    /// One page of the list.
    pub(super) async fn page(
        &self,
        prefix: &str,
        token: Option<String>,
        max_keys: Option<usize>,
    ) -> Result<Page, ClientError> {
        let options = PaginatedListOptions { page_token: token, max_keys, ..PaginatedListOptions::default() };
        let prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
        let page = self.lists.list_paginated(prefix, options).await.map_err(client_error)?;
        let objects = page.result.objects.into_iter().map(|object| Listed {
            key: object.location.to_string(),
            etag: object.e_tag.as_deref().map(bare).unwrap_or_default(),
        });
        Ok(Page { objects: objects.collect(), next: page.page_token })
    }

    /// Writes an object into a file and returns its etag.
    pub(super) async fn download(
        &self,
        key: &str,
        path: &Path,
        left: &Budget,
    ) -> Result<String, ClientError> {
        let location =
            object_store::path::Path::parse(key).map_err(|error| ClientError::Answer(error.to_string()))?;
        let found = self.objects.get_opts(&location, GetOptions::default()).await.map_err(client_error)?;
        let etag = found.meta.e_tag.as_deref().map(bare);
        write(found.into_stream().map_err(client_error), path, left).await?;
        etag.ok_or_else(|| ClientError::Answer("the answer names no etag".into()))
    }
}

fn client_error(error: object_store::Error) -> ClientError {
    static QUERY: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(https?://[^\s?]*)\?[^\s]*").ok());
    if matches!(error, object_store::Error::NotFound { .. }) {
        return ClientError::NotFound;
    }
    let text = crate::oci::registry::causes(&error);
    let text = QUERY.as_ref().map_or(text.clone(), |query| query.replace_all(&text, "$1").into_owned());
    ClientError::Answer(text)
}

/// Hands out one client, which has the object's certificates and proxy.
#[derive(Debug, Clone)]
pub(super) struct Connector(pub(super) reqwest::Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}
