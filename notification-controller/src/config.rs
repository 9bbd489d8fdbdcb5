//! The command line of notification-controller: Flux's flags, with Flux's defaults.

use clap::Parser;
use sluice_runtime::flags::{Common, FeatureGates, FlagError, duration};
use std::time::Duration;

/// Secrets are not watched.
pub(crate) const DISABLE_CONFIG_WATCHERS: &str = "DisableConfigWatchers";
/// Objects can name a ServiceAccount whose cloud identity is used.
pub(crate) const WORKLOAD_IDENTITY: &str = "ObjectLevelWorkloadIdentity";

/// All gates that Flux's controller knows, and their defaults. Nothing is cached in the way that the first would change.
const GATES: &[(&str, bool)] =
    &[("CacheSecretsAndConfigMaps", false), (DISABLE_CONFIG_WATCHERS, false), (WORKLOAD_IDENTITY, false)];

/// Flags of notification-controller. `--events-addr` is what it listens on; elsewhere it is where events are posted.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "notification-controller",
    version,
    args_override_self = true,
    about = "Sends events to people and services, and turns webhooks into reconciliations",
    mut_arg("events_addr", |arg| arg
        .default_value(":9090")
        .help("The address the event endpoint binds to"))
)]
pub struct Config {
    /// Flags that all controllers share.
    #[command(flatten)]
    pub common: Common,

    /// The address the webhook receiver endpoint binds to
    #[arg(long = "receiverAddr", default_value = ":9292")]
    pub receiver_addr: String,
    /// The number of concurrent notification reconciles
    #[arg(long, default_value_t = 4)]
    pub concurrent: usize,
    /// Interval in which an event is delivered once; its repetitions are refused
    #[arg(long, default_value = "5m", value_parser = duration)]
    pub rate_limit_interval: Duration,
    /// Accepted for compatibility: paths of webhooks are secrets and never become labels of metrics
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub export_http_path_metrics: bool,
    /// Allow references only to objects of the Alert's or Receiver's own namespace
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub no_cross_namespace_refs: bool,
    /// Default service account used for workload identity
    #[arg(long, default_value = "")]
    pub default_service_account: String,
}

impl Default for Config {
    /// The defaults of the flags.
    fn default() -> Self {
        Self::parse_from(["notification-controller"])
    }
}

impl Config {
    /// Checks what clap cannot, and returns the feature gates.
    ///
    /// # Errors
    /// A gate that is unknown, or a value that is no boolean.
    pub fn gates(&self) -> Result<FeatureGates, FlagError> {
        self.common.gates(GATES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_flux() {
        let config = Config::parse_from(["x"]);
        assert_eq!(config.receiver_addr, ":9292");
        assert_eq!((config.concurrent, config.rate_limit_interval), (4, Duration::from_secs(300)));
        // The variable of other controllers' address must not be set where this runs.
        if std::env::var_os("EVENTS_ADDR").is_none() {
            assert_eq!(config.common.events_addr, ":9090");
        }
        assert!(!config.gates().unwrap().enabled(WORKLOAD_IDENTITY));
    }

    #[test]
    fn flags_of_flux_deployments_are_accepted() {
        let config = Config::parse_from([
            "x",
            "--events-addr=:9",
            "--receiverAddr=:8",
            "--rate-limit-interval=1m",
            "--no-cross-namespace-refs",
            "--watch-all-namespaces",
            "--feature-gates=ObjectLevelWorkloadIdentity=true",
        ]);
        assert_eq!((config.common.events_addr.as_str(), config.receiver_addr.as_str()), (":9", ":8"));
        assert!(config.no_cross_namespace_refs && config.gates().unwrap().enabled(WORKLOAD_IDENTITY));
    }
}
