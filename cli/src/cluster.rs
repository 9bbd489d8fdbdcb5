//! `sluice cluster start`: the embedded API server alone, until interrupted.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use sluice_simulator::{Options, Server};

/// Commands for the embedded cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Start an embedded Kubernetes API server and keep it until interrupted
    Start(StartArgs),
}

/// Options of `sluice cluster start`.
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Address to listen on; port 0 lets the kernel choose
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How many nodes the cluster has
    #[arg(long, default_value_t = 1)]
    nodes: usize,
}

/// Runs a command for the embedded cluster; `kubeconfig` is the file to write, by default one in the temporary folder.
///
/// # Errors
/// Where the server cannot listen or the file cannot be written.
pub(crate) async fn run(command: ClusterCommand, kubeconfig: Option<PathBuf>) -> Result<()> {
    let ClusterCommand::Start(arguments) = command;
    let options = Options { listen: arguments.listen, nodes: arguments.nodes, ..Options::default() };
    let server = Server::start(options).await.context("cannot start the embedded API server")?;
    let file = kubeconfig.unwrap_or_else(|| std::env::temp_dir().join(format!("sluice-{}.kubeconfig", std::process::id())));
    server.write_kubeconfig(&file).with_context(|| format!("cannot write {}", file.display()))?;
    eprintln!("✔ Kubernetes API server runs at {}", server.url());
    eprintln!("► kubectl --kubeconfig {} get namespaces", file.display());
    eprintln!("◎ press Ctrl-C to stop it; its objects are gone then");
    tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")?;
    server.stop().await;
    Ok(())
}
