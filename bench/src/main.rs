//! Measures whole systems: controllers of any implementation that has Flux's flags, against any API server.

mod helm;
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
    /// Render charts with helm and with sluice, and compare time and memory
    Helm(helm::Args),
    /// Run a program once and print what it took
    #[command(hide = true)]
    MeasureOne(helm::One),
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
    let cli = Cli::parse();
    match &cli.command {
        Command::Helm(args) => return helm::run(args),
        Command::MeasureOne(args) => return helm::one(args),
        _ => {}
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        match cli.command {
            Command::System(args) => system::run(args).await,
            Command::Helm(_) | Command::MeasureOne(_) => Ok(()), // run above
            Command::Server { kubeconfig, requests } => system::serve(&kubeconfig, &requests).await,
        }
    })
}
