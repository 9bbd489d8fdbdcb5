//! Running one test on one cluster.

use anyhow::Result;

use crate::Cluster;

/// Starts a cluster, runs a test on it and stops it. A part of the cluster that ends by itself ends the test, with the
/// last lines of its log.
///
/// # Errors
/// What the test or the cluster failed with.
pub fn run(
    start: impl Future<Output = Result<Cluster>>,
    test: impl AsyncFnOnce(&Cluster) -> Result<()>,
) -> Result<()> {
    // Fails where another thread of the same test binary was first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let cluster = start.await?;
        let outcome = tokio::select! {
            outcome = test(&cluster) => outcome,
            died = cluster.dies() => Err(died),
        };
        if outcome.is_err() {
            cluster.print_logs().await;
        }
        cluster.stop().await?;
        outcome
    })
}
