//! Bucket: an artifact from the objects of an object store.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Artifact;
use crate::meta::{Condition, Duration, LocalObjectReference};
use crate::schema::TIMEOUT;
use crate::text_enum::text_enum;
use crate::{is_false, is_zero};

text_enum! {
    /// The API of an object store.
    #[derive(Default)]
    pub enum BucketProvider {
        /// Any store that speaks S3.
        #[default]
        Generic = "generic",
        /// Amazon S3.
        Aws = "aws",
        /// Google Cloud Storage.
        Gcp = "gcp",
        /// Azure Blob Storage.
        Azure = "azure",
    }
}

text_enum! {
    /// The kind of a security token service.
    #[derive(Default)]
    pub enum StsProvider {
        /// AWS STS.
        #[default]
        Aws = "aws",
        /// An LDAP login, as MinIO has it.
        Ldap = "ldap",
    }
}

/// Which objects to fetch from an object store, and how often.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "source.toolkit.fluxcd.io",
    version = "v1",
    kind = "Bucket",
    plural = "buckets",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-sources",
    namespaced,
    status = "BucketStatus",
    doc = "Bucket makes an artifact of the objects in a bucket of an object store, and a new one whenever they change.",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Endpoint","type":"string","jsonPath":".spec.endpoint"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#
)]
#[schemars(extend("x-kubernetes-validations" = json!([
    {
        "rule": "self.provider == 'aws' || self.provider == 'generic' || !has(self.sts)",
        "message": "STS configuration is only supported for the 'aws' and 'generic' Bucket providers"
    },
    {
        "rule": "self.provider != 'aws' || !has(self.sts) || self.sts.provider == 'aws'",
        "message": "'aws' is the only supported STS provider for the 'aws' Bucket provider"
    },
    {
        "rule": "self.provider != 'generic' || !has(self.sts) || self.sts.provider == 'ldap'",
        "message": "'ldap' is the only supported STS provider for the 'generic' Bucket provider"
    },
    {
        "rule": "!has(self.sts) || self.sts.provider != 'aws' || !has(self.sts.secretRef)",
        "message": "spec.sts.secretRef is not required for the 'aws' STS provider"
    },
    {
        "rule": "!has(self.sts) || self.sts.provider != 'aws' || !has(self.sts.certSecretRef)",
        "message": "spec.sts.certSecretRef is not required for the 'aws' STS provider"
    },
    {
        "rule": "self.provider != 'generic' || !has(self.serviceAccountName)",
        "message": "ServiceAccountName is not supported for the 'generic' Bucket provider"
    },
    {
        "rule": "!has(self.secretRef) || !has(self.serviceAccountName)",
        "message": "cannot set both .spec.secretRef and .spec.serviceAccountName"
    }
])))]
pub struct BucketSpec {
    /// API of the object store: generic (S3), aws, gcp or azure.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "generic"))]
    pub provider: Option<BucketProvider>,

    /// Name of the bucket; for azure that of the container.
    pub bucket_name: String,

    /// Address of the object store: host and optional port, or for azure the full URL of the account.
    pub endpoint: String,

    /// Security token service that gives short-lived credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sts: Option<BucketSts>,

    /// Allows an endpoint without TLS.
    #[serde(default, skip_serializing_if = "is_false")]
    pub insecure: bool,

    /// Region of the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,

    /// Fetches only objects whose key begins so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,

    /// Secret with the credentials: accesskey and secretkey, or what the provider asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,

    /// ServiceAccount whose cloud identity is used; not for the provider generic. By default the controller's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,

    /// Secret with certificates for the endpoint: ca.crt to trust, tls.crt and tls.key to present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,

    /// Secret with the proxy to use: address, and username and password if it asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalObjectReference>,

    /// How often to look for changed objects.
    pub interval: Duration,

    /// How long one look, with the downloads, may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = TIMEOUT, "default" = "60s"))]
    pub timeout: Option<Duration>,

    /// Keys to leave out of the artifact, in the syntax of .gitignore; replaces the built-in exclusions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,

    /// Stops fetching until it is unset; the last artifact stays available.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
}

/// A security token service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BucketSts {
    /// Kind of the service: aws for the provider aws, ldap for the provider generic.
    pub provider: StsProvider,

    /// Address of the service, as http:// or https://.
    #[schemars(regex(pattern = r"^(http|https)://.*$"))]
    pub endpoint: String,

    /// Secret with username and password; only for ldap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,

    /// Secret with certificates for the service: ca.crt, tls.crt and tls.key; only for ldap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,
}

/// What the controller observed and stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BucketStatus {
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

    /// The artifact of the objects that were last fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,

    /// Value of spec.ignore that the artifact was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,

    /// Value of the annotation reconcile.fluxcd.io/requestedAt that was last acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}
