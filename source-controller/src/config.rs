//! The flags of source-controller, with Flux's names and defaults.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use sluice_artifact::Algorithm;
use sluice_runtime::flags::{Common, duration};

/// Turns Git repositories and OCI artifacts into verified artifacts.
#[derive(Parser, Clone, Debug)]
#[command(name = "source-controller", version, args_override_self = true, about)]
pub struct Config {
    /// Flags that all controllers share.
    #[command(flatten)]
    pub common: Common,

    /// The number of concurrent reconciles per controller
    #[arg(long, default_value_t = 2)]
    pub concurrent: usize,
    /// The interval at which failing dependencies are reevaluated
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub requeue_dependency: Duration,

    /// The local storage path
    #[arg(long, env = "STORAGE_PATH", default_value = "/data")]
    pub storage_path: PathBuf,
    /// The address the static file server binds to
    #[arg(long, env = "STORAGE_ADDRESS", default_value = ":9090")]
    pub storage_addr: String,
    /// The advertised address of the static file server; derived from --storage-addr when empty
    #[arg(long, env = "STORAGE_ADV_ADDR", default_value = "")]
    pub storage_adv_addr: String,
    /// The duration of time that artifacts from previous reconciliations will be kept in storage
    #[arg(long, default_value = "1m", value_parser = duration)]
    pub artifact_retention_ttl: Duration,
    /// The maximum number of artifacts to be kept in storage
    #[arg(long, default_value_t = 2)]
    pub artifact_retention_records: usize,
    /// The algorithm to use to calculate the digest of artifacts
    #[arg(long, default_value = "sha256")]
    pub artifact_digest_algo: Algorithm,

    /// The max allowed size in bytes of a Helm repository index file
    #[arg(long, default_value_t = 52_428_800)]
    pub helm_index_max_size: u64,
    /// The max allowed size in bytes of a Helm chart file
    #[arg(long, default_value_t = 10_485_760)]
    pub helm_chart_max_size: u64,
    /// The max allowed size in bytes of a file in a Helm chart
    #[arg(long, default_value_t = 5_242_880)]
    pub helm_chart_file_max_size: u64,
    /// The maximum number of indexes in the Helm cache; 0 switches it off
    #[arg(long, default_value_t = 0)]
    pub helm_cache_max_size: u64,
    /// The lifetime of an index in the Helm cache
    #[arg(long, default_value = "15m", value_parser = duration)]
    pub helm_cache_ttl: Duration,
    /// The interval at which the Helm cache is purged
    #[arg(long, default_value = "1m", value_parser = duration)]
    pub helm_cache_purge_interval: Duration,

    /// The list of SSH key exchange algorithms, in the order of preference
    #[arg(long, value_delimiter = ',')]
    pub ssh_kex_algos: Vec<String>,
    /// The list of SSH host key algorithms, in the order of preference
    #[arg(long, value_delimiter = ',')]
    pub ssh_hostkey_algos: Vec<String>,
    /// Default service account used for workload identity; needs the gate ObjectLevelWorkloadIdentity
    #[arg(long, default_value = "")]
    pub default_service_account: String,
}

/// The feature gates and whether each is on by default.
pub(crate) const GATES: [(&str, bool); 2] =
    [("CacheSecretsAndConfigMaps", false), ("ObjectLevelWorkloadIdentity", false)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_of_flux_deployments_are_accepted() {
        let config = Config::try_parse_from([
            "source-controller",
            "--events-addr=http://notification-controller.flux-system.svc.cluster.local./",
            "--watch-all-namespaces=true",
            "--log-level=info",
            "--log-encoding=json",
            "--enable-leader-election",
            "--storage-path=/data",
            "--storage-adv-addr=source-controller.flux-system.svc.cluster.local.",
            "--concurrent=10",
            "--helm-cache-max-size=10",
            "--helm-cache-ttl=60m",
            "--helm-cache-purge-interval=5m",
            "--ssh-hostkey-algos=ssh-ed25519,rsa-sha2-512",
            "--artifact-digest-algo=blake3",
            "--requeue-dependency=5s",
        ])
        .unwrap();
        assert_eq!(config.concurrent, 10);
        assert_eq!(config.artifact_digest_algo, Algorithm::Blake3);
        assert_eq!(config.artifact_retention_ttl, Duration::from_secs(60));
        assert!(Config::try_parse_from(["source-controller", "--artifact-digest-algo=md5"]).is_err());
        // As in Go, the last of several equal flags counts.
        let config =
            Config::try_parse_from(["source-controller", "--concurrent=1", "--concurrent=3"]).unwrap();
        assert_eq!(config.concurrent, 3);
    }
}
