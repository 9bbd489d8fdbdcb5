//! Serves until interrupted; writes the kubeconfig to the path given as first argument.
use std::path::PathBuf;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path: PathBuf = std::env::args_os().nth(1).ok_or("usage: serve KUBECONFIG")?.into();
    let server = sluice_simulator::Server::start(Default::default()).await?;
    server.write_kubeconfig(&path)?;
    let _ = tokio::signal::ctrl_c().await;
    server.stop().await;
    Ok(())
}
