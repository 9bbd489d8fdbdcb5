//! The `source-controller` binary.

use clap::Parser;
use sluice_runtime::{process, telemetry};
use source_controller::Config;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Threads for blocking work: hashing, packing, unpacking, Git.
const BLOCKING_THREADS: usize = 8;

fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    telemetry::init(&config.common.log_level, &config.common.log_encoding);
    process::runtime(BLOCKING_THREADS)?.block_on(async {
        let shutdown = process::shutdown_on_signal()?;
        let client = process::client("source-controller").await?;
        source_controller::run(config, client, shutdown).await
    })
}
