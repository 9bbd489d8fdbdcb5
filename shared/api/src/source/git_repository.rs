//! GitRepository: an artifact from a commit of a Git repository.

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
    /// How to authenticate to the Git host.
    #[derive(Default)]
    pub enum GitProvider {
        /// With the data of the Secret alone.
        #[default]
        Generic = "generic",
        /// With the identity of an AWS role.
        Aws = "aws",
        /// With an Azure workload identity.
        Azure = "azure",
        /// As a GitHub App.
        Github = "github",
    }
}

text_enum! {
    /// Which Git objects must carry a trusted signature.
    #[derive(Default)]
    pub enum GitVerificationMode {
        /// The commit (old spelling of `HEAD`).
        LegacyHead = "head",
        /// The commit.
        #[default]
        Head = "HEAD",
        /// The tag.
        Tag = "Tag",
        /// The tag and the commit that it points to.
        TagAndHead = "TagAndHEAD",
    }
}

/// What to fetch from a Git repository, and how often.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "source.toolkit.fluxcd.io",
    version = "v1",
    kind = "GitRepository",
    plural = "gitrepositories",
    shortname = "gitrepo",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-sources",
    namespaced,
    status = "GitRepositoryStatus",
    doc = "GitRepository makes an artifact of the files at one commit of a Git repository, and a new one whenever the commit changes.",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"URL","type":"string","jsonPath":".spec.url"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#
)]
#[schemars(extend("x-kubernetes-validations" = json!([{
    "rule": "!has(self.serviceAccountName) || (has(self.provider) && (self.provider == 'azure' || self.provider == 'aws'))",
    "message": "serviceAccountName can only be set when provider is 'azure' or 'aws'"
}])))]
pub struct GitRepositorySpec {
    /// Address of the repository: http://, https:// or ssh://.
    #[schemars(regex(pattern = r"^(http|https|ssh)://.*$"))]
    pub url: String,

    /// Secret with what the Git host asks for: username and password, bearerToken, identity and known_hosts, the GitHub
    /// App's keys, and ca.crt, tls.crt, tls.key for TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,

    /// How to authenticate: generic (with the Secret), aws, azure or github. By default generic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<GitProvider>,

    /// ServiceAccount whose cloud identity is used with the providers aws and azure; by default the controller's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,

    /// How often to look for a new commit.
    pub interval: Duration,

    /// How long fetching, checking out and fetching submodules may take together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = TIMEOUT, "default" = "60s"))]
    pub timeout: Option<Duration>,

    /// Which commit to fetch; by default the head of the branch master.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<GitRepositoryRef>,

    /// Signatures to demand before a commit is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<GitRepositoryVerification>,

    /// Secret with the proxy to use: address, and username and password if it asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalObjectReference>,

    /// Paths to leave out of the artifact, in the syntax of .gitignore; replaces the built-in exclusions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,

    /// Stops fetching until it is unset; the last artifact stays available.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,

    /// Also fetches the repository's submodules, at any depth.
    #[serde(default, skip_serializing_if = "is_false")]
    pub recurse_submodules: bool,

    /// Artifacts of other GitRepositories to copy into this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<GitRepositoryInclude>,

    /// Directories to check out, relative to the root of the repository; by default all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sparse_checkout: Vec<String>,
}

/// Names a commit. When several fields are set, commit wins over name, semver, tag and branch, in that order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GitRepositoryRef {
    /// Branch whose head to fetch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,

    /// Tag to fetch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,

    /// Range of semantic versions: the highest tag in it is fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semver: Option<String>,

    /// Full name of a reference, such as refs/heads/main, refs/tags/v1.0.0 or refs/pull/420/head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// Hash of a commit. Together with branch only that branch's history is fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// Which signatures to demand, and whom to trust.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositoryVerification {
    /// What must be signed: HEAD (the commit), Tag, or TagAndHEAD.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "HEAD"))]
    pub mode: Option<GitVerificationMode>,

    /// Secret with the public keys of trusted authors.
    pub secret_ref: LocalObjectReference,
}

/// Copies files of another GitRepository's artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositoryInclude {
    /// The other GitRepository, in the same namespace.
    pub repository: LocalObjectReference,

    /// Directory to copy from; by default the root of the other artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_path: Option<String>,

    /// Directory to copy to; by default one named after the other repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_path: Option<String>,
}

/// What the controller observed and stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GitRepositoryStatus {
    /// Generation of the object that was last reconciled; -1 before the first time.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,

    /// State of the object, as the standard conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,

    /// The artifact of the last commit that was fetched and passed all checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,

    /// Artifacts that were copied into this one, in the order of spec.include.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub included_artifacts: Vec<Artifact>,

    /// Value of spec.ignore that the artifact was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,

    /// Value of spec.recurseSubmodules that the artifact was made with.
    #[serde(skip_serializing_if = "is_false")]
    pub observed_recurse_submodules: bool,

    /// Value of spec.include that the artifact was made with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub observed_include: Vec<GitRepositoryInclude>,

    /// Value of spec.sparseCheckout that the artifact was made with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub observed_sparse_checkout: Vec<String>,

    /// Which signatures were checked for the artifact: HEAD, Tag or TagAndHEAD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_verification_mode: Option<String>,

    /// Value of the annotation reconcile.fluxcd.io/requestedAt that was last acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}
