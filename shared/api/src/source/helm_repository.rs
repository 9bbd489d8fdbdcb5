//! HelmRepository: an index of charts, or a registry that holds charts.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Artifact, OciProvider};
use crate::meta::{Condition, Duration, LocalObjectReference};
use crate::schema::TIMEOUT;
use crate::text_enum::text_enum;
use crate::{is_false, is_zero};

text_enum! {
    /// How a Helm repository is served.
    #[derive(Default)]
    pub enum HelmRepositoryType {
        /// Over HTTP, with an index file.
        #[default]
        Default = "default",
        /// By a container registry.
        Oci = "oci",
    }
}

/// Where charts are, and how often to fetch their index.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "source.toolkit.fluxcd.io",
    version = "v1",
    kind = "HelmRepository",
    plural = "helmrepositories",
    shortname = "helmrepo",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-sources",
    namespaced,
    status = "HelmRepositoryStatus",
    doc = "HelmRepository makes an artifact of the index of a Helm repository, or tells where a registry with charts is.",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"URL","type":"string","jsonPath":".spec.url"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#
)]
pub struct HelmRepositorySpec {
    /// Address of the repository: http:// or https:// of the directory with index.yaml, or oci:// of the registry path.
    #[schemars(regex(pattern = r"^(http|https|oci)://.*$"))]
    pub url: String,

    /// Secret with username and password; for type oci also one of type kubernetes.io/dockerconfigjson.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,

    /// Secret with certificates for the server: ca.crt to trust, tls.crt and tls.key to present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,

    /// Sends the credentials also to other hosts that the index names as the place of a chart.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pass_credentials: bool,

    /// How often to fetch the index; by default every minute. Not looked at for type oci.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,

    /// Allows a registry without TLS; only for type oci.
    #[serde(default, skip_serializing_if = "is_false")]
    pub insecure: bool,

    /// How long one fetch may take; by default 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = TIMEOUT))]
    pub timeout: Option<Duration>,

    /// Stops fetching until it is unset; the last artifact stays available.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,

    /// Namespaces whose objects may use this repository. Accepted and not enforced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_from: Option<AccessFrom>,

    /// How the repository is served: default (over HTTP, with an index) or oci (by a container registry).
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<HelmRepositoryType>,

    /// How to authenticate to the registry: generic (with the Secret), aws, azure or gcp. Only for type oci.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "generic"))]
    pub provider: Option<OciProvider>,
}

/// Namespaces that are granted access.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessFrom {
    /// Selectors of which at least one must match the namespace; an empty one matches all.
    pub namespace_selectors: Vec<NamespaceSelector>,
}

/// Selects namespaces by their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NamespaceSelector {
    /// Labels that the namespace must have, with these values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}

/// What the controller observed and stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HelmRepositoryStatus {
    /// Generation of the object that was last reconciled; -1 before the first time.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,

    /// State of the object, as the standard conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,

    /// Stable address of the latest index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,

    /// The index that was last fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,

    /// Value of the annotation reconcile.fluxcd.io/requestedAt that was last acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}
