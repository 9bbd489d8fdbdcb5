//! The flags that all controllers share, with Flux's names, defaults and environment variables.
//!
//! A controller flattens [`Common`] into its own clap struct and adds what is its own (`--concurrent` too: its default
//! differs). Flags that have no effect here are accepted, because Flux users' manifests and patches name them.

use crate::controller::Backoff;
use crate::process::Bound;
use clap::{ArgAction, Args};
use std::collections::BTreeMap;
use std::time::Duration;

/// Flags common to all controllers.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// The address the metric endpoint binds to; `0` switches it off
    #[arg(long, env = "METRICS_ADDR", default_value = ":8080")]
    pub metrics_addr: String,
    /// The address the health endpoint binds to; `0` switches it off
    #[arg(long, default_value = ":9440")]
    pub health_addr: String,
    /// The address of the events receiver; empty sends no events to it
    #[arg(long, env = "EVENTS_ADDR", default_value = "")]
    pub events_addr: String,

    /// Percentage of jitter to apply to interval durations
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=99))]
    pub interval_jitter_percentage: u8,
    /// The minimum amount of time for which an object being reconciled will have to wait before a retry
    #[arg(long, default_value = "750ms", value_parser = duration)]
    pub min_retry_delay: Duration,
    /// The maximum amount of time for which an object being reconciled will have to wait before a retry
    #[arg(long, default_value = "15m", value_parser = duration)]
    pub max_retry_delay: Duration,

    /// Accepted for compatibility: the API server's priority and fairness limits requests
    #[arg(long, default_value_t = 50.0)]
    pub kube_api_qps: f32,
    /// Accepted for compatibility: the API server's priority and fairness limits requests
    #[arg(long, default_value_t = 300)]
    pub kube_api_burst: u32,

    /// Watch for custom resources in all namespaces; if false, only in the namespace of the controller
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub watch_all_namespaces: bool,
    /// Watch for resources with matching labels, e.g. `sharding.fluxcd.io/key=shard1`
    #[arg(long, default_value = "", value_parser = selector)]
    pub watch_label_selector: String,
    /// Watch for ConfigMaps and Secrets with matching labels
    #[arg(long, default_value = "reconcile.fluxcd.io/watch=Enabled", value_parser = selector)]
    pub watch_configs_label_selector: String,
    /// Namespace in which the controller runs
    #[arg(long, env = "RUNTIME_NAMESPACE", default_value = "flux-system", hide = true)]
    pub runtime_namespace: String,

    /// Enable leader election, so that only one instance is active
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub enable_leader_election: bool,
    /// Step down from leadership voluntarily on shutdown
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub leader_election_release_on_cancel: bool,
    /// How long non-leaders wait before they force acquiring leadership
    #[arg(long, default_value = "35s", value_parser = duration)]
    pub leader_election_lease_duration: Duration,
    /// How long the leader retries to refresh its leadership before giving up
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub leader_election_renew_deadline: Duration,
    /// How long to wait between tries of leader election actions
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub leader_election_retry_period: Duration,

    /// Log verbosity level: trace, debug, info or error
    #[arg(long, default_value = "info", value_parser = ["trace", "debug", "info", "error"])]
    pub log_level: String,
    /// Log encoding format: json or console
    #[arg(long, default_value = "json", value_parser = ["json", "console"])]
    pub log_encoding: String,

    /// Comma-separated list of feature gates, e.g. `A=true,B=false`
    #[arg(long, default_value = "")]
    pub feature_gates: String,

    /// The maximum size of the cache in number of tokens
    #[arg(long, default_value_t = 100)]
    pub token_cache_max_size: u32,
    /// The maximum duration a token is cached
    #[arg(long, default_value = "1h", value_parser = duration)]
    pub token_cache_max_duration: Duration,

    /// Where the addresses that were really bound are reported; for those who pass port 0.
    #[arg(skip)]
    pub bound: Bound,
}

impl Common {
    /// The namespace to which own objects are restricted, if any.
    pub fn watched_namespace(&self) -> Option<&str> {
        (!self.watch_all_namespaces).then_some(self.runtime_namespace.as_str())
    }

    /// Own objects: in all namespaces, or in the controller's own with `--watch-all-namespaces=false`.
    pub fn api<K>(&self, client: &kube::Client) -> kube::Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        match self.watched_namespace() {
            Some(namespace) => kube::Api::namespaced(client.clone(), namespace),
            None => kube::Api::all(client.clone()),
        }
    }

    /// The delays between tries of an object that fails.
    pub fn backoff(&self) -> Backoff {
        Backoff { min: self.min_retry_delay, max: self.max_retry_delay.max(self.min_retry_delay) }
    }

    /// The state of every feature gate of a controller; `defaults` are all that it knows.
    ///
    /// # Errors
    /// A gate that is unknown, or a value that is no boolean.
    pub fn gates(&self, defaults: &[(&'static str, bool)]) -> Result<FeatureGates, FlagError> {
        FeatureGates::parse(&self.feature_gates, defaults)
    }
}

impl Default for Common {
    /// The defaults of the flags and their environment variables, as an empty command line gives them.
    fn default() -> Self {
        #[derive(clap::Parser)]
        struct Empty {
            #[command(flatten)]
            common: Common,
        }
        <Empty as clap::Parser>::parse_from(["controller"]).common
    }
}

/// Why a flag's value was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// The controller has no such gate.
    #[error("unrecognized feature gate: {0}")]
    UnknownGate(String),
    /// The gate's value is neither true nor false.
    #[error("feature gate '{0}' needs the form Name=true or Name=false")]
    GateValue(String),
}

/// Which optional behaviour is on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeatureGates(BTreeMap<&'static str, bool>);

impl FeatureGates {
    /// Reads `A=true,B=false` over the defaults.
    ///
    /// # Errors
    /// See [`Common::gates`].
    pub fn parse(text: &str, defaults: &[(&'static str, bool)]) -> Result<Self, FlagError> {
        let mut gates: BTreeMap<&'static str, bool> = defaults.iter().copied().collect();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| FlagError::GateValue(part.to_owned()))?;
            let (name, value) = (name.trim(), value.trim());
            let Some(gate) = gates.get_mut(name) else {
                return Err(FlagError::UnknownGate(name.to_owned()));
            };
            *gate = go_bool(value).ok_or_else(|| FlagError::GateValue(part.to_owned()))?;
        }
        Ok(Self(gates))
    }

    /// Whether the gate is on; a gate that the controller does not know is off.
    pub fn enabled(&self, name: &str) -> bool {
        self.0.get(name).copied().unwrap_or(false)
    }
}

/// Reads a boolean as Go's `strconv.ParseBool`.
fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Reads a duration as Go's `time.ParseDuration`, for clap: `750ms`, `1h30m`, `1.5s`, `0`.
///
/// # Errors
/// A text that is no duration, or a negative one.
pub fn duration(text: &str) -> Result<Duration, sluice_api::meta::DurationError> {
    text.parse::<sluice_api::meta::Duration>().map(|duration| duration.to_std())
}

/// Checks a label selector, for clap.
fn selector(text: &str) -> Result<String, crate::selector::SelectorError> {
    crate::selector::parse(text).map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        common: Common,
    }

    #[test]
    fn flags_of_flux_deployments_are_accepted() {
        let flags = Flags::try_parse_from([
            "source-controller",
            "--events-addr=http://notification-controller.flux-system.svc.cluster.local./",
            "--watch-all-namespaces",
            "--log-level=info",
            "--log-encoding=json",
            "--enable-leader-election",
            "--watch-label-selector=!sharding.fluxcd.io/key",
            "--kube-api-qps=500",
            "--interval-jitter-percentage=10",
        ])
        .unwrap()
        .common;
        assert!(flags.watch_all_namespaces && flags.enable_leader_election);
        assert_eq!(flags.interval_jitter_percentage, 10);
        assert_eq!(flags.leader_election_lease_duration, Duration::from_secs(35));
        assert_eq!(flags.min_retry_delay, Duration::from_millis(750));
        let own = Flags::try_parse_from(["x", "--watch-all-namespaces=false"]).unwrap().common;
        assert!(own.watched_namespace().is_some());
    }

    #[test]
    fn bad_values_are_refused() {
        for bad in [
            "--interval-jitter-percentage=100",
            "--min-retry-delay=5",
            "--max-retry-delay=-5s",
            "--watch-label-selector=a in (b",
            "--log-level=warn",
            "--log-encoding=xml",
            "--no-such-flag",
        ] {
            assert!(Flags::try_parse_from(["x", bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, want) in [
            ("750ms", Some(Duration::from_millis(750))),
            ("1h30m", Some(Duration::from_secs(5400))),
            ("1.5s", Some(Duration::from_millis(1500))),
            ("0", Some(Duration::ZERO)),
            ("1m0s", Some(Duration::from_secs(60))),
            ("", None),
            ("10", None),
            ("5d", None),
            ("-1s", None),
            ("1.2.3s", None),
        ] {
            assert_eq!(duration(text).ok(), want, "{text:?}");
        }
    }

    #[test]
    fn gates_override_defaults_and_unknown_ones_are_errors() {
        let defaults = [("On", true), ("Off", false)];
        for (text, want) in [
            ("", Ok((true, false))),
            ("On=false,Off=true", Ok((false, true))),
            (" Off=T , ", Ok((true, true))),
            ("New=true", Err(FlagError::UnknownGate("New".into()))),
            ("On=maybe", Err(FlagError::GateValue("On=maybe".into()))),
            ("On", Err(FlagError::GateValue("On".into()))),
        ] {
            let got = FeatureGates::parse(text, &defaults).map(|g| (g.enabled("On"), g.enabled("Off")));
            assert_eq!(got, want, "{text:?}");
        }
    }
}
