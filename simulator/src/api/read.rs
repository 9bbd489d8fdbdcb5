//! Reads: one object, a page of them, in the version that the client asked for.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::{Api, ApiError, Resource, Target, convert};
use crate::storage::{FieldSelector, Key, LabelSelector, Query, Stored};

/// The parameters of a list or watch.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListOptions {
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
    pub(crate) limit: usize,
    pub(crate) continue_token: String,
    pub(crate) resource_version: String,
    pub(crate) exact: bool,
}

/// A page of a list.
pub(crate) struct Page {
    pub(crate) objects: Vec<Arc<Stored>>,
    pub(crate) revision: u64,
    pub(crate) continue_token: Option<String>,
    pub(crate) remaining: usize,
}

impl Api {
    /// One object.
    ///
    /// # Errors
    /// 404 if it is not there.
    pub(crate) fn get(&self, target: &Target) -> Result<Arc<Stored>, ApiError> {
        self.store
            .get(&target.resource.collection, &target.key())
            .ok_or_else(|| ApiError::not_found(&target.resource, &target.name))
    }

    /// What a watch or list looks at.
    pub(crate) fn query(target: &Target, options: &ListOptions) -> Query {
        Query {
            namespace: (!target.namespace.is_empty()).then(|| target.namespace.clone()),
            labels: options.labels.clone(),
            fields: options.fields.clone(),
            ..Query::default()
        }
    }

    /// A page of objects.
    ///
    /// # Errors
    /// 400 for a malformed token, 410 where the asked state is gone.
    pub(crate) fn list(&self, target: &Target, options: &ListOptions) -> Result<Page, ApiError> {
        let mut query = Self::query(target, options);
        query.limit = options.limit;
        if !options.continue_token.is_empty() {
            let (at, after) = decode_token(&options.continue_token)
                .ok_or_else(|| ApiError::bad_request("continue key is not valid: the token is malformed"))?;
            query.at = Some(at);
            query.after = Some(after);
        } else if let Ok(wanted) = options.resource_version.parse::<u64>() {
            let current = self.store.revision();
            if wanted > current {
                return Err(ApiError::from_the_future(wanted, current));
            }
            query.at = options.exact.then_some(wanted);
        }
        let listing =
            self.store.list(&target.resource.collection, &query).ok_or_else(|| match &query.after {
                Some(after) => ApiError::expired_continue(encode_token(self.store.revision(), after)),
                None => ApiError::expired("The resourceVersion for the provided list is too old."),
            })?;
        let last = listing.objects.last().map(|object| object.key.clone());
        let continue_token = match last {
            Some(last) if listing.remaining > 0 => Some(encode_token(listing.revision, &last)),
            _ => None,
        };
        Ok(Page {
            objects: listing.objects,
            revision: listing.revision,
            continue_token,
            remaining: if query.is_selective() { 0 } else { listing.remaining },
        })
    }

    /// The JSON text of an object in the version of `resource`.
    pub(crate) fn render(resource: &Resource, stored: &Stored) -> Bytes {
        let wanted = resource.api_version();
        let stored_version = resource.custom.as_ref().map(|custom| custom.storage_version.as_str());
        let same_version = stored_version.is_none_or(|version| version == &*resource.version);
        if same_version && (stored_version.is_some() || stored.json.starts_with(prefix(&wanted).as_bytes())) {
            return stored.json.clone();
        }
        Bytes::from(convert::from_storage(resource, stored.value()).to_string())
    }
}

/// How the JSON text of an object begins: keys are sorted where maps are, and `apiVersion` is the first of all.
fn prefix(api_version: &str) -> String {
    format!("{{\"apiVersion\":\"{api_version}\"")
}

fn encode_token(revision: u64, key: &Key) -> String {
    URL_SAFE_NO_PAD.encode(format!("{revision}\n{}\n{}", key.namespace, key.name))
}

fn decode_token(token: &str) -> Option<(u64, Key)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let mut parts = text.splitn(3, '\n');
    let revision = parts.next()?.parse().ok()?;
    Some((revision, Key::new(parts.next()?, parts.next()?)))
}
