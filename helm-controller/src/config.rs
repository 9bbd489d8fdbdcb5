//! The command line of helm-controller: Flux's flags, with Flux's defaults.

use clap::{ArgAction, Parser};
use sluice_artifact::Algorithm;
use sluice_runtime::flags::{Common, FeatureGates, FlagError, duration};
use std::time::Duration;

/// `readyExpr` does not replace the built-in check of a dependency but adds to it.
pub(crate) const ADDITIVE_DEPENDENCY_CHECK: &str = "AdditiveCELDependencyCheck";
/// Templates may ask the resolver.
pub(crate) const ALLOW_DNS: &str = "AllowDNSLookups";
/// A newer trigger ends the wait for readiness.
pub(crate) const CANCEL_HEALTH_CHECK: &str = "CancelHealthCheckOnNewRevision";
/// RetryOnFailure is the strategy where none is given.
pub(crate) const DEFAULT_TO_RETRY: &str = "DefaultToRetryOnFailure";
/// Sources are read from the API server in each pass, not from the watch's memory.
pub(crate) const DIRECT_SOURCE_FETCH: &str = "DirectSourceFetch";
/// The digest of an OCI artifact is not part of the chart's version.
pub(crate) const DISABLE_DIGEST_TRACKING: &str = "DisableChartDigestTracking";
/// ConfigMaps and Secrets are not watched.
pub(crate) const DISABLE_CONFIG_WATCHERS: &str = "DisableConfigWatchers";
/// ExternalArtifacts can be charts.
pub(crate) const EXTERNAL_ARTIFACT: &str = "ExternalArtifact";
/// Client-side apply, the legacy wait and hooks without post-rendering are the defaults.
pub(crate) const HELM3_DEFAULTS: &str = "UseHelm3Defaults";
/// Objects can name a ServiceAccount whose cloud identity is used.
pub(crate) const WORKLOAD_IDENTITY: &str = "ObjectLevelWorkloadIdentity";

/// All gates that Flux's controller knows, and their defaults. Those without a constant above change nothing here: memory
/// is bounded by caches of a fixed size, and nothing is cached in the way that they switch on.
const GATES: &[(&str, bool)] = &[
    (ADDITIVE_DEPENDENCY_CHECK, false),
    (ALLOW_DNS, false),
    (CANCEL_HEALTH_CHECK, false),
    (DEFAULT_TO_RETRY, false),
    (DIRECT_SOURCE_FETCH, false),
    (DISABLE_DIGEST_TRACKING, false),
    (DISABLE_CONFIG_WATCHERS, false),
    (EXTERNAL_ARTIFACT, false),
    (HELM3_DEFAULTS, false),
    (WORKLOAD_IDENTITY, false),
    ("AdoptLegacyReleases", false),
    ("CacheSecretsAndConfigMaps", false),
    ("CorrectDrift", false),
    ("DetectDrift", false),
    ("OOMWatch", false),
];

/// Flags of helm-controller.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "helm-controller",
    version,
    args_override_self = true,
    about = "Installs charts as Helm releases and keeps them as HelmReleases say"
)]
pub struct Config {
    /// Flags that all controllers share.
    #[command(flatten)]
    pub common: Common,

    /// The number of concurrent HelmRelease reconciles
    #[arg(long, default_value_t = 4)]
    pub concurrent: usize,
    /// The interval at which failing dependencies are evaluated again
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub requeue_dependency: Duration,
    /// How long actions in hand may take to end after the process was told to
    #[arg(long, default_value = "600s", value_parser = duration)]
    pub graceful_shutdown_timeout: Duration,
    /// The maximum number of retries when failing to fetch artifacts over HTTP
    #[arg(long, default_value_t = 9)]
    pub http_retry: u32,
    /// The time that one request for an artifact may take
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub http_timeout: Duration,
    /// Allow references only to sources of the HelmRelease's own namespace
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub no_cross_namespace_refs: bool,
    /// Default service account used for impersonation
    #[arg(long, default_value = "")]
    pub default_service_account: String,
    /// Default service account used for kubeconfigs
    #[arg(long, default_value = "")]
    pub default_kubeconfig_service_account: String,
    /// Algorithm of the digests of releases in the history: sha256, sha384, sha512 or blake3
    #[arg(long, default_value = "sha256", value_parser = algorithm)]
    pub snapshot_digest_algo: Algorithm,
    /// Field manager whose changes are overridden; can be given several times
    #[arg(long)]
    pub override_manager: Vec<String>,
    /// Allow exec plugins in kubeconfigs
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub insecure_kubeconfig_exec: bool,
    /// Allow kubeconfigs that do not verify the server
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub insecure_kubeconfig_tls: bool,

    /// Accepted for compatibility: memory is bounded by caches of a fixed size
    #[arg(long, default_value_t = 95)]
    pub oom_watch_memory_threshold: u8,
    /// Accepted for compatibility: memory is bounded by caches of a fixed size
    #[arg(long, default_value = "500ms", value_parser = duration)]
    pub oom_watch_interval: Duration,
    /// Accepted for compatibility: memory is bounded by caches of a fixed size
    #[arg(long, default_value = "")]
    pub oom_watch_max_memory_path: String,
    /// Accepted for compatibility: memory is bounded by caches of a fixed size
    #[arg(long, default_value = "")]
    pub oom_watch_current_memory_path: String,
}

impl Default for Config {
    /// The defaults of the flags.
    fn default() -> Self {
        Self::parse_from(["helm-controller"])
    }
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    text.parse().map_err(|_| "must be sha256, sha384, sha512 or blake3".to_owned())
}

/// Flags that do not go together.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A feature gate that does not exist.
    #[error("feature-gate '{0}' not supported")]
    UnknownGate(String),
    /// A feature gate with a bad value.
    #[error("unable to load feature gates: {0}")]
    Gates(FlagError),
    /// A default account without the gate that allows it.
    #[error(
        "cannot set --default-kubeconfig-service-account when the feature gate ObjectLevelWorkloadIdentity is not enabled"
    )]
    DefaultAccount,
}

impl Config {
    /// Checks what clap cannot, and returns the feature gates.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn gates(&self) -> Result<FeatureGates, ConfigError> {
        let gates = self.common.gates(GATES).map_err(|err| match err {
            FlagError::UnknownGate(name) => ConfigError::UnknownGate(name),
            other => ConfigError::Gates(other),
        })?;
        if !self.default_kubeconfig_service_account.is_empty() && !gates.enabled(WORKLOAD_IDENTITY) {
            return Err(ConfigError::DefaultAccount);
        }
        Ok(gates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_flux() {
        let config = Config::default();
        assert_eq!((config.concurrent, config.http_retry), (4, 9));
        assert_eq!(config.graceful_shutdown_timeout, Duration::from_secs(600));
        assert_eq!(config.snapshot_digest_algo, Algorithm::Sha256);
        let gates = config.gates().expect("the defaults go together");
        assert!(GATES.iter().all(|(name, _)| !gates.enabled(name)));
    }

    #[test]
    fn flags_that_do_not_go_together_are_refused() {
        for (args, refused) in [
            (&["--default-kubeconfig-service-account=x"][..], Some("cannot set")),
            (
                &[
                    "--default-kubeconfig-service-account=x",
                    "--feature-gates=ObjectLevelWorkloadIdentity=true",
                ],
                None,
            ),
            (&["--feature-gates=NoSuchGate=true"], Some("feature-gate 'NoSuchGate' not supported")),
            (&["--feature-gates=DetectDrift=true,AdoptLegacyReleases=false,OOMWatch=true"], None),
            (&["--default-service-account=x"], None),
        ] {
            let config = Config::parse_from(["x"].iter().chain(args));
            let got = config.gates().err().map(|err| err.to_string());
            match refused {
                Some(text) => assert!(got.is_some_and(|got| got.contains(text)), "{args:?}"),
                None => assert_eq!(got, None, "{args:?}"),
            }
        }
        assert!(Config::try_parse_from(["x", "--snapshot-digest-algo=md5"]).is_err());
    }
}
