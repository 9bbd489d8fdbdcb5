//! Measures whole systems: controllers of any implementation that has Flux's flags, against any API server.

mod system;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "sluice-bench", version, about = "Benchmarks of whole systems")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Carry N applications from a registry to a cluster, and compare with applying them directly
    System(system::Args),
    /// Run the embedded API server until standard input ends
    Server {
        /// Where to write the kubeconfig
        #[arg(long)]
        kubeconfig: PathBuf,
        /// Where to note the requests
        #[arg(long)]
        requests: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        match cli.command {
            Command::System(args) => system::run(args).await,
            Command::Server { kubeconfig, requests } => system::serve(&kubeconfig, &requests).await,
        }
    })
}
