//! Releases in Secrets, one per revision.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use sluice_apply::rest::{self, RequestError, encode};
use sluice_helm::release::{self, Release, SECRET_TYPE, STATUS, Status, VERSION, secret_name};

use crate::error::StorageError;

/// A revision as the labels of its Secret tell of it: what is known without reading the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The revision.
    pub version: u32,
    /// Where it stands.
    pub status: Status,
    /// Identity of the Secret; empty if this process wrote it.
    pub uid: String,
    /// Version of the Secret, the same as long as nobody wrote to it; empty if this process wrote it.
    pub resource_version: String,
}

/// The Secrets of one release.
#[derive(Clone)]
pub(crate) struct Storage {
    client: kube::Client,
    namespace: String,
    release: String,
    manager: String,
}

impl Storage {
    pub(crate) fn new(client: kube::Client, namespace: &str, release: &str, manager: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            release: release.to_owned(),
            manager: manager.to_owned(),
        }
    }

    /// All revisions, oldest first, by the labels of their Secrets.
    pub(crate) async fn revisions(&self) -> Result<Vec<Revision>, StorageError> {
        let selector = release::selector(&self.release);
        let uri = format!("{}?labelSelector={}", self.collection(), encode(&selector));
        let fail = |cause| self.failed("list", &selector, cause);
        let request = rest::request(Method::GET, &uri, rest::JSON, rest::METADATA_LIST, Vec::new());
        let list: Value = rest::send(&self.client, request.map_err(fail)?).await.map_err(fail)?;
        let mut revisions: Vec<_> =
            list["items"].as_array().into_iter().flatten().filter_map(Revision::read).collect();
        revisions.sort_by_key(|revision| revision.version);
        Ok(revisions)
    }

    /// One revision, if it is there.
    pub(crate) async fn get(&self, version: u32) -> Result<Option<Release>, StorageError> {
        let name = secret_name(&self.release, version);
        match rest::get(&self.client, &self.path(version)).await {
            Ok(secret) => self.read(&name, &secret).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(cause) => Err(self.failed("get", &name, cause)),
        }
    }

    /// Stores a new revision.
    pub(crate) async fn create(&self, release: &Release) -> Result<(), StorageError> {
        self.write(Method::POST, &self.collection(), "create", release).await
    }

    /// Stores a revision again; the last writer wins.
    pub(crate) async fn update(&self, release: &Release) -> Result<(), StorageError> {
        self.write(Method::PUT, &self.path(release.version), "update", release).await
    }

    /// Deletes a revision; one that is gone is no failure.
    pub(crate) async fn delete(&self, version: u32) -> Result<(), StorageError> {
        match rest::delete(&self.client, &self.path(version)).await {
            Err(cause) if !cause.is_not_found() => {
                Err(self.failed("delete", &secret_name(&self.release, version), cause))
            }
            _ => Ok(()),
        }
    }

    async fn write(
        &self,
        method: Method,
        path: &str,
        verb: &'static str,
        release: &Release,
    ) -> Result<(), StorageError> {
        let name = secret_name(&release.name, release.version);
        let labels = release::labels(release, method == Method::POST, Timestamp::now());
        let content = STANDARD.encode(release::encode(release));
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": SECRET_TYPE,
            "metadata": {"name": name, "namespace": self.namespace, "labels": labels},
            "data": {"release": content},
        });
        let fail = |cause| self.failed(verb, &name, cause);
        let uri = format!("{path}?fieldManager={}", encode(&self.manager));
        // Nobody needs the content back.
        let request =
            rest::request(method, &uri, rest::JSON, rest::METADATA, secret.to_string().into_bytes());
        rest::send::<Value>(&self.client, request.map_err(fail)?).await.map(drop).map_err(fail)
    }

    fn read(&self, name: &str, secret: &Value) -> Result<Release, StorageError> {
        let corrupt =
            |cause| StorageError::Corrupt { namespace: self.namespace.clone(), name: name.to_owned(), cause };
        let content = secret.pointer("/data/release").and_then(Value::as_str).unwrap_or_default();
        let content = STANDARD.decode(content).map_err(|_| corrupt(release::DecodeError::Base64))?;
        let mut release = release::decode(&content).map_err(corrupt)?;
        release.labels = release::own_labels(&labels_of(secret));
        Ok(release)
    }

    fn collection(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets", encode(&self.namespace))
    }

    fn path(&self, version: u32) -> String {
        format!("{}/{}", self.collection(), encode(&secret_name(&self.release, version)))
    }

    fn failed(&self, verb: &'static str, name: &str, cause: RequestError) -> StorageError {
        StorageError::Request { verb, namespace: self.namespace.clone(), name: name.to_owned(), cause }
    }
}

impl Revision {
    /// One that was just written; where its Secret stands is not known.
    pub(crate) fn written(version: u32, status: Status) -> Self {
        Self { version, status, uid: String::new(), resource_version: String::new() }
    }

    fn read(secret: &Value) -> Option<Self> {
        let labels = labels_of(secret);
        let text = |field: &str| sluice_apply::object::metadata_text(secret, field).to_owned();
        Some(Self {
            version: labels.get(VERSION)?.parse().ok()?,
            status: Status::of(labels.get(STATUS).map_or("", String::as_str)),
            uid: text("uid"),
            resource_version: text("resourceVersion"),
        })
    }
}

fn labels_of(secret: &Value) -> BTreeMap<String, String> {
    sluice_apply::object::metadata_map(secret, "labels")
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}
