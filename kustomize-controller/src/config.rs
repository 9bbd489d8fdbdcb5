//! The command line of kustomize-controller: Flux's flags, with Flux's defaults.

use clap::Parser;
use sluice_runtime::flags::{Common, FeatureGates, FlagError, duration};
use std::time::Duration;

/// Substitution fails on variables that are not defined.
pub(crate) const STRICT_SUBSTITUTION: &str = "StrictPostBuildSubstitutions";
/// `readyExpr` does not replace the built-in checks of a dependency but adds to them.
pub(crate) const ADDITIVE_DEPENDENCY_CHECK: &str = "AdditiveCELDependencyCheck";
/// Sources are read from the API server in each pass, not from the watch's memory.
pub(crate) const DIRECT_SOURCE_FETCH: &str = "DirectSourceFetch";
/// ConfigMaps and Secrets are not watched.
pub(crate) const DISABLE_CONFIG_WATCHERS: &str = "DisableConfigWatchers";
/// Health checks wait for the timeout even if an object failed for good.
pub(crate) const DISABLE_FAIL_FAST: &str = "DisableFailFastBehavior";
/// ExternalArtifacts can be sources.
pub(crate) const EXTERNAL_ARTIFACT: &str = "ExternalArtifact";
/// The log names what was applied by what happened to it.
pub(crate) const GROUP_CHANGE_LOG: &str = "GroupChangeLog";
/// Managed fields of an API version that the manifests have left behind are rewritten.
pub(crate) const MIGRATE_API_VERSION: &str = "MigrateAPIVersion";
/// Objects can name a ServiceAccount whose cloud identity is used.
pub(crate) const WORKLOAD_IDENTITY: &str = "ObjectLevelWorkloadIdentity";

/// All gates that Flux's controller knows, and their defaults. Those without a constant above change nothing here: health
/// checks are always interrupted by a new trigger, and nothing is polled or cached in the way that they switch off.
const GATES: &[(&str, bool)] = &[
    (STRICT_SUBSTITUTION, true),
    ("DisableStatusPollerCache", true),
    (ADDITIVE_DEPENDENCY_CHECK, false),
    ("CancelHealthCheckOnNewRevision", false),
    ("CacheSecretsAndConfigMaps", false),
    (DIRECT_SOURCE_FETCH, false),
    (DISABLE_CONFIG_WATCHERS, false),
    (DISABLE_FAIL_FAST, false),
    (EXTERNAL_ARTIFACT, false),
    (GROUP_CHANGE_LOG, false),
    (MIGRATE_API_VERSION, false),
    (WORKLOAD_IDENTITY, false),
];

/// Flags of kustomize-controller.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "kustomize-controller",
    version,
    args_override_self = true,
    about = "Builds, applies, prunes and health-checks what sources deliver"
)]
pub struct Config {
    /// Flags that all controllers share.
    #[command(flatten)]
    pub common: Common,

    /// The number of concurrent Kustomization reconciles
    #[arg(long, default_value_t = 4)]
    pub concurrent: usize,
    /// The number of concurrent server-side apply operations per Kustomization
    #[arg(long, default_value_t = 4)]
    pub concurrent_ssa: usize,
    /// The interval at which failing dependencies are evaluated again
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub requeue_dependency: Duration,
    /// The maximum number of retries when failing to fetch artifacts over HTTP
    #[arg(long, default_value_t = 9)]
    pub http_retry: u32,
    /// Disallow remote bases in kustomizations (they are never fetched here)
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub no_remote_bases: bool,
    /// Allow references only to sources of the Kustomization's own namespace
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub no_cross_namespace_refs: bool,
    /// Default service account used for impersonation
    #[arg(long, default_value = "")]
    pub default_service_account: String,
    /// Default service account used for decryption
    #[arg(long, default_value = "")]
    pub default_decryption_service_account: String,
    /// Default service account used for kubeconfigs
    #[arg(long, default_value = "")]
    pub default_kubeconfig_service_account: String,
    /// Secret with age keys for decryption, in the controller's namespace
    #[arg(long, default_value = "")]
    pub sops_age_secret: String,
    /// ConfigMap with Vault addresses for decryption, in the controller's namespace
    #[arg(long, default_value = "")]
    pub sops_vault_configmap: String,
    /// Field manager whose changes are overridden; can be given several times
    #[arg(long)]
    pub override_manager: Vec<String>,
    /// Kinds to apply in a stage of their own, such as `rbac.authorization.k8s.io/Role`; comma-separated
    #[arg(long, default_value = "", value_delimiter = ',')]
    pub custom_apply_stage_kinds: Vec<String>,
    /// Allow exec plugins in kubeconfigs
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub insecure_kubeconfig_exec: bool,
    /// Allow kubeconfigs that do not verify the server
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub insecure_kubeconfig_tls: bool,
}

impl Default for Config {
    /// The defaults of the flags.
    fn default() -> Self {
        Self::parse_from(["kustomize-controller"])
    }
}

/// Flags that do not go together.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A feature gate.
    #[error("unable to load feature gates: {0}")]
    Gates(#[from] FlagError),
    /// A default account without the gate that allows it.
    #[error(
        "cannot set default service accounts when the feature gate ObjectLevelWorkloadIdentity is not enabled"
    )]
    DefaultAccounts,
}

impl Config {
    /// Checks what clap cannot, and returns the feature gates.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn gates(&self) -> Result<FeatureGates, ConfigError> {
        let gates = self.common.gates(GATES)?;
        let accounts = [&self.default_decryption_service_account, &self.default_kubeconfig_service_account];
        if accounts.iter().any(|name| !name.is_empty()) && !gates.enabled(WORKLOAD_IDENTITY) {
            return Err(ConfigError::DefaultAccounts);
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
        assert_eq!((config.concurrent, config.concurrent_ssa, config.http_retry), (4, 4, 9));
        assert_eq!(config.requeue_dependency, Duration::from_secs(30));
        let gates = config.gates().unwrap();
        assert!(gates.enabled(STRICT_SUBSTITUTION) && !gates.enabled(EXTERNAL_ARTIFACT));
    }

    #[test]
    fn flags_that_do_not_go_together_are_refused() {
        for (args, refused) in [
            (&["--default-kubeconfig-service-account=x"][..], true),
            (
                &[
                    "--default-kubeconfig-service-account=x",
                    "--feature-gates=ObjectLevelWorkloadIdentity=true",
                ],
                false,
            ),
            (&["--feature-gates=NoSuchGate=true"], true),
            (&["--default-service-account=x"], false),
            // As in Go, the last of several equal flags counts.
            (&["--feature-gates=NoSuchGate=true", "--feature-gates="], false),
        ] {
            let config = Config::parse_from(["x"].iter().chain(args));
            assert_eq!(config.gates().is_err(), refused, "{args:?}");
        }
    }
}
