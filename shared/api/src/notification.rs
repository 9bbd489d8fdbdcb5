//! `notification.toolkit.fluxcd.io`: where events are sent (Provider, Alert), and webhooks that ask for reconciliation
//! (Receiver).

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::meta::{Condition, Duration, LocalObjectReference};
use crate::schema::TIMEOUT;
use crate::text_enum::text_enum;
use crate::{is_false, is_zero};

/// The API group of notifications.
pub const GROUP: &str = "notification.toolkit.fluxcd.io";

text_enum! {
    /// The services that events can be sent to.
    #[derive(Default)]
    pub enum ProviderType {
        /// Slack, and Mattermost.
        Slack = "slack",
        /// Discord.
        Discord = "discord",
        /// Microsoft Teams.
        MsTeams = "msteams",
        /// Rocket.Chat.
        Rocket = "rocket",
        /// Any HTTP endpoint.
        #[default]
        Generic = "generic",
        /// Any HTTP endpoint, with a signature.
        GenericHmac = "generic-hmac",
        /// GitHub commit status.
        Github = "github",
        /// GitLab commit status.
        Gitlab = "gitlab",
        /// Gitea commit status.
        Gitea = "gitea",
        /// Gitea pull request comment.
        GiteaPullRequestComment = "giteapullrequestcomment",
        /// Bitbucket Server commit status.
        BitbucketServer = "bitbucketserver",
        /// Bitbucket commit status.
        Bitbucket = "bitbucket",
        /// Azure DevOps commit status.
        AzureDevOps = "azuredevops",
        /// Google Chat.
        GoogleChat = "googlechat",
        /// Google Pub/Sub.
        GooglePubSub = "googlepubsub",
        /// Webex.
        Webex = "webex",
        /// Sentry.
        Sentry = "sentry",
        /// Azure Event Hubs.
        AzureEventHub = "azureeventhub",
        /// Telegram.
        Telegram = "telegram",
        /// Lark.
        Lark = "lark",
        /// Matrix.
        Matrix = "matrix",
        /// Opsgenie.
        Opsgenie = "opsgenie",
        /// Prometheus Alertmanager.
        Alertmanager = "alertmanager",
        /// Grafana annotations.
        Grafana = "grafana",
        /// GitHub repository dispatch.
        GithubDispatch = "githubdispatch",
        /// GitHub pull request comment.
        GithubPullRequestComment = "githubpullrequestcomment",
        /// GitLab merge request comment.
        GitlabMergeRequestComment = "gitlabmergerequestcomment",
        /// PagerDuty.
        PagerDuty = "pagerduty",
        /// Datadog.
        Datadog = "datadog",
        /// NATS.
        Nats = "nats",
        /// Zulip.
        Zulip = "zulip",
        /// OpenTelemetry traces.
        Otel = "otel",
        /// Zoom.
        Zoom = "zoom",
        /// incident.io.
        IncidentIo = "incident.io",
    }
}

text_enum! {
    /// How grave an event is.
    #[derive(Default)]
    pub enum EventSeverity {
        /// Something happened.
        #[default]
        Info = "info",
        /// Something failed.
        Error = "error",
    }
}

text_enum! {
    /// The kinds whose objects emit events and can be reconciled by a webhook.
    #[derive(Default)]
    pub enum EventObjectKind {
        /// A bucket.
        Bucket = "Bucket",
        /// A Git repository.
        #[default]
        GitRepository = "GitRepository",
        /// A Kustomization.
        Kustomization = "Kustomization",
        /// A Helm release.
        HelmRelease = "HelmRelease",
        /// A Helm chart.
        HelmChart = "HelmChart",
        /// A Helm repository.
        HelmRepository = "HelmRepository",
        /// An image repository.
        ImageRepository = "ImageRepository",
        /// An image policy.
        ImagePolicy = "ImagePolicy",
        /// An image update automation.
        ImageUpdateAutomation = "ImageUpdateAutomation",
        /// An OCI repository.
        OCIRepository = "OCIRepository",
        /// An artifact generator.
        ArtifactGenerator = "ArtifactGenerator",
        /// An external artifact.
        ExternalArtifact = "ExternalArtifact",
    }
}

text_enum! {
    /// The services whose webhooks a Receiver understands.
    #[derive(Default)]
    pub enum ReceiverType {
        /// Any POST request.
        #[default]
        Generic = "generic",
        /// Any POST request with a signature.
        GenericHmac = "generic-hmac",
        /// Any POST request with an OpenID Connect token.
        GenericOidc = "generic-oidc",
        /// GitHub.
        Github = "github",
        /// GitLab.
        Gitlab = "gitlab",
        /// Bitbucket Server.
        Bitbucket = "bitbucket",
        /// Harbor.
        Harbor = "harbor",
        /// Docker Hub.
        DockerHub = "dockerhub",
        /// Quay.
        Quay = "quay",
        /// Google Container Registry, by Pub/Sub.
        Gcr = "gcr",
        /// Nexus.
        Nexus = "nexus",
        /// Azure Container Registry.
        Acr = "acr",
        /// CDEvents.
        CdEvents = "cdevents",
    }
}

/// Where to send events, and how to authenticate there.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "notification.toolkit.fluxcd.io",
    version = "v1beta3",
    kind = "Provider",
    plural = "providers",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-notifications",
    namespaced,
    doc = "Provider describes a service that events are sent to.",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[schemars(extend("x-kubernetes-validations" = json!([{
    "rule": "self.type == 'github' || self.type == 'gitlab' || self.type == 'gitea' || self.type == 'bitbucketserver' || self.type == 'bitbucket' || self.type == 'azuredevops' || !has(self.commitStatusExpr)",
    "message": "spec.commitStatusExpr is only supported for the 'github', 'gitlab', 'gitea', 'bitbucketserver', 'bitbucket', 'azuredevops' provider types"
}])))]
pub struct ProviderSpec {
    /// The service.
    #[serde(rename = "type")]
    pub type_: ProviderType,

    /// Has no effect; kept so that older manifests stay valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,

    /// Channel, room, topic or project at the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub channel: Option<String>,

    /// Name to post under.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub username: Option<String>,

    /// Address of the service. When it holds a secret, put it into the Secret under the key address instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub address: Option<String>,

    /// How long one delivery may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = TIMEOUT))]
    pub timeout: Option<Duration>,

    /// Address of a proxy. Prefer proxySecretRef, which can hold credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = r"^(http|https)://.*$"))]
    pub proxy: Option<String>,

    /// Secret with the proxy to use: address, and username and password if it asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalObjectReference>,

    /// Secret with the credentials for the service, such as token, address, headers or username and password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,

    /// ServiceAccount whose cloud identity is used for the service; by default the controller's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,

    /// Secret with certificates for the service: ca.crt to trust, tls.crt and tls.key to present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,

    /// Stops sending events through this Provider until it is unset.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,

    /// CEL expression that gives the name of the commit status, over the variables event, alert and provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_status_expr: Option<String>,
}

/// Which events to send, and through which Provider.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "notification.toolkit.fluxcd.io",
    version = "v1beta3",
    kind = "Alert",
    plural = "alerts",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-notifications",
    namespaced,
    doc = "Alert sends the events of selected objects through a Provider.",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
pub struct AlertSpec {
    /// Provider to send through, in the same namespace.
    pub provider_ref: LocalObjectReference,

    /// Least severity to send: info (everything) or error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "info"))]
    pub event_severity: Option<EventSeverity>,

    /// Objects whose events to send.
    pub event_sources: Vec<CrossNamespaceObjectReference>,

    /// Regular expressions of which at least one must match an event's message; by default all messages are sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inclusion_list: Vec<String>,

    /// Key-value pairs to add to every event.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub event_metadata: BTreeMap<String, String>,

    /// Regular expressions: an event is not sent if one of them matches its message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclusion_list: Vec<String>,

    /// A line about impact and place to add to every event. Prefer eventMetadata with the key summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub summary: Option<String>,

    /// Stops sending events for this Alert until it is unset.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
}

/// Selects objects of a kind, by name or by labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CrossNamespaceObjectReference {
    /// API group and version of the kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,

    /// Kind of the objects.
    pub kind: EventObjectKind,

    /// Name of the object, or * for all.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Namespace of the objects; by default that of the referring object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub namespace: Option<String>,

    /// Labels that the objects must have, with these values; needs the name *.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}

/// Which webhook to listen to, and what to reconcile when it is called.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "notification.toolkit.fluxcd.io",
    version = "v1",
    kind = "Receiver",
    plural = "receivers",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-notifications",
    namespaced,
    status = "ReceiverStatus",
    doc = "Receiver opens a webhook that reconciles objects when it is called.",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#
)]
#[schemars(extend("x-kubernetes-validations" = json!([
    {
        "rule": "self.type != 'generic-oidc' || (has(self.oidcProviders) && size(self.oidcProviders) > 0)",
        "message": "generic-oidc receivers must define at least one oidcProvider"
    },
    {
        "rule": "self.type == 'generic-oidc' || !has(self.oidcProviders) || size(self.oidcProviders) == 0",
        "message": "oidcProviders can only be set when type is generic-oidc"
    },
    {
        "rule": "self.type != 'generic-oidc' || !has(self.secretRef)",
        "message": "secretRef cannot be set when type is generic-oidc"
    },
    {
        "rule": "self.type == 'generic-oidc' || has(self.secretRef)",
        "message": "secretRef is required when type is not generic-oidc"
    }
])))]
pub struct ReceiverSpec {
    /// The service that calls the webhook; decides how a call is checked.
    #[serde(rename = "type")]
    pub type_: ReceiverType,

    /// How often to check that the webhook is in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "10m"))]
    pub interval: Option<Duration>,

    /// Events to react to, in the words of the service, such as push or ping; by default all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,

    /// Objects to reconcile.
    pub resources: Vec<ReceiverResource>,

    /// CEL expression that decides, per object, whether to reconcile it, over the variables res (the object) and req (the
    /// body of the call). A resource's own filter wins over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_filter: Option<String>,

    /// Secret whose key token is used to check calls and to make the webhook's path hard to guess.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,

    /// Issuers whose tokens are accepted; only for the type generic-oidc.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["issuerURL"]))]
    pub oidc_providers: Vec<OIDCProvider>,

    /// Stops listening until it is unset.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
}

/// Selects objects that a webhook reconciles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReceiverResource {
    /// API group and version of the kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,

    /// Kind of the objects.
    pub kind: EventObjectKind,

    /// Name of the object, or * for all.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Namespace of the objects; by default that of the Receiver.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub namespace: Option<String>,

    /// Labels that the objects must have, with these values; needs the name *.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,

    /// CEL expression that decides, per object, whether to reconcile it, over the variables res and req.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// An issuer of OpenID Connect tokens, and what its tokens must say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OIDCProvider {
    /// Address of the issuer, as in the token's claim iss.
    #[serde(rename = "issuerURL")]
    #[schemars(regex(pattern = r"^https?://"))]
    pub issuer_url: String,

    /// Audience that a token must be meant for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,

    /// CEL expressions, computed in order, that later ones can use as vars.<name>.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<OIDCVariable>,

    /// CEL expressions over the token's claims that must all be true.
    #[schemars(length(min = 1))]
    pub validations: Vec<OIDCValidation>,
}

/// A named CEL expression.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OIDCVariable {
    /// Name of the variable.
    pub name: String,

    /// The expression.
    pub expression: String,
}

/// A CEL expression that must be true.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OIDCValidation {
    /// The expression.
    pub expression: String,

    /// What to log when it is false.
    pub message: String,
}

/// What the controller observed, and where the webhook is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ReceiverStatus {
    /// Generation of the object that was last reconciled; -1 before the first time.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,

    /// State of the object, as the standard conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,

    /// Path of the webhook at the controller's receiver address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_path: Option<String>,

    /// Value of the annotation reconcile.fluxcd.io/requestedAt that was last acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}
