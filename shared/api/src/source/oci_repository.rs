//! OCIRepository: an artifact from a layer in a container registry.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Artifact, OciVerification};
use crate::meta::{Condition, Duration, LocalObjectReference};
use crate::schema::TIMEOUT;
use crate::text_enum::text_enum;
use crate::{is_false, is_zero};

text_enum! {
    /// How to authenticate to a container registry.
    #[derive(Default)]
    pub enum OciProvider {
        /// With image pull Secrets.
        #[default]
        Generic = "generic",
        /// With the identity of an AWS role.
        Aws = "aws",
        /// With an Azure workload identity.
        Azure = "azure",
        /// With a Google Cloud workload identity.
        Gcp = "gcp",
    }
}

text_enum! {
    /// What is done with the selected layer.
    #[derive(Default)]
    pub enum LayerOperation {
        /// Its files become the artifact.
        #[default]
        Extract = "extract",
        /// The layer itself becomes the artifact, byte for byte.
        Copy = "copy",
    }
}

/// What to fetch from a container registry, and how often.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "source.toolkit.fluxcd.io",
    version = "v1",
    kind = "OCIRepository",
    plural = "ocirepositories",
    shortname = "ocirepo",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-sources",
    namespaced,
    status = "OCIRepositoryStatus",
    doc = "OCIRepository makes an artifact of one layer of an OCI artifact in a container registry, and a new one whenever its digest changes.",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"URL","type":"string","jsonPath":".spec.url"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
pub struct OCIRepositorySpec {
    /// Address of the repository in its registry, as oci://host/path without tag or digest.
    #[schemars(regex(pattern = r"^oci://.*$"))]
    pub url: String,

    /// Which artifact of the repository to fetch; by default the tag latest.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<OCIRepositoryRef>,

    /// Which layer to take, and what to do with it; by default the first one is extracted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_selector: Option<OCILayerSelector>,

    /// How to authenticate: generic (with image pull Secrets), aws, azure or gcp.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "generic"))]
    pub provider: Option<OciProvider>,

    /// Secret of type kubernetes.io/dockerconfigjson with credentials for the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,

    /// Signature to demand before an artifact is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<OciVerification>,

    /// ServiceAccount whose image pull Secrets, or whose cloud identity, are used for the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,

    /// Secret with certificates for the registry: ca.crt to trust, tls.crt and tls.key to present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,

    /// Secret with the proxy to use: address, and username and password if it asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalObjectReference>,

    /// How often to look for a new digest.
    pub interval: Duration,

    /// How long one look at the registry, with the download, may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = TIMEOUT, "default" = "60s"))]
    pub timeout: Option<Duration>,

    /// Paths to leave out of the artifact, in the syntax of .gitignore; replaces the built-in exclusions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,

    /// Allows a registry without TLS.
    #[serde(default, skip_serializing_if = "is_false")]
    pub insecure: bool,

    /// Stops fetching until it is unset; the last artifact stays available.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
}

/// Names an artifact of a repository. When several fields are set, digest wins over semver, and semver over tag.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OCIRepositoryRef {
    /// Digest of the manifest, as sha256:<hex>.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,

    /// Range of semantic versions: the highest tag in it is fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semver: Option<String>,

    /// Regular expression that a tag must match before the range is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semver_filter: Option<String>,

    /// Tag to fetch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// Picks a layer of an OCI artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OCILayerSelector {
    /// Media type of the layer: the first one of that type is taken. By default the first layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,

    /// What to do with the layer: extract its files, or copy it as it is. By default extract.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<LayerOperation>,
}

/// What the controller observed and stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OCIRepositoryStatus {
    /// Generation of the object that was last reconciled; -1 before the first time.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,

    /// State of the object, as the standard conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,

    /// Stable address of the latest artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,

    /// The artifact of the last digest that was fetched and passed all checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,

    /// Value of spec.ignore that the artifact was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,

    /// Value of spec.layerSelector that the artifact was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_layer_selector: Option<OCILayerSelector>,

    /// Value of the annotation reconcile.fluxcd.io/requestedAt that was last acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}
