//! The contract between controllers: what the status of a source says about the file that it stored.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::Time;

/// A file that a source controller stored and serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Where the file is in the controller's storage, relative to its root.
    pub path: String,

    /// Address from which the file can be downloaded inside the cluster.
    pub url: String,

    /// What the artifact was made from, such as `main@sha1:<commit>`, `latest@sha256:<digest>` or a chart version.
    pub revision: String,

    /// Digest of the file as `<algorithm>:<checksum>`; check it after a download.
    #[schemars(regex(pattern = r"^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$"))]
    pub digest: String,

    /// When the file was stored.
    #[schemars(schema_with = "crate::schema::time")]
    pub last_update_time: Time,

    /// Size of the file in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,

    /// Further facts about the origin, such as the annotations of an OCI manifest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}
