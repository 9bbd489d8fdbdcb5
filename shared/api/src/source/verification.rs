//! Signature checks of artifacts from OCI registries.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::LocalObjectReference;
use crate::text_enum::text_enum;

text_enum! {
    /// Which tool made the signature.
    #[derive(Default)]
    pub enum SignatureProvider {
        /// Sigstore's cosign.
        #[default]
        Cosign = "cosign",
        /// The Notary project's notation.
        Notation = "notation",
    }
}

/// How the signature of an OCI artifact is checked. An artifact that fails the check is not used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OciVerification {
    /// Tool that made the signature: cosign or notation.
    #[schemars(extend("default" = "cosign"))]
    pub provider: SignatureProvider,

    /// Secret with the trusted public keys or certificates. When absent, cosign signatures are checked without keys,
    /// against the identities in matchOIDCIdentity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,

    /// Identities of which at least one must have signed; for cosign signatures without keys.
    #[serde(rename = "matchOIDCIdentity", default, skip_serializing_if = "Vec::is_empty")]
    pub match_oidc_identity: Vec<OIDCIdentityMatch>,

    /// Secret whose key trusted_root.json replaces the public Sigstore's trusted root, for a private Sigstore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_root_secret_ref: Option<LocalObjectReference>,
}

/// How the signature of a chart from an OCI registry is checked. A chart that fails the check is not used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChartVerification {
    /// Tool that made the signature: cosign or notation.
    #[schemars(extend("default" = "cosign"))]
    pub provider: SignatureProvider,

    /// Secret with the trusted public keys or certificates. When absent, cosign signatures are checked without keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,

    /// Identities of which at least one must have signed; for cosign signatures without keys.
    #[serde(rename = "matchOIDCIdentity", default, skip_serializing_if = "Vec::is_empty")]
    pub match_oidc_identity: Vec<OIDCIdentityMatch>,
}

/// Describes who may have signed, in the certificate of a signature without keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OIDCIdentityMatch {
    /// Regular expression for the issuer of the signer's token.
    pub issuer: String,

    /// Regular expression for the subject of the signer's token.
    pub subject: String,
}
