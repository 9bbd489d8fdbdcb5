//! The notification-controller binary.

use clap::Parser;
use notification_controller::Config;
use sluice_runtime::{process, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Threads for name lookups.
const BLOCKING_THREADS: usize = 4;

fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    telemetry::init(&config.common.log_level, &config.common.log_encoding);
    process::runtime(BLOCKING_THREADS)?.block_on(async {
        let shutdown = process::shutdown_on_signal()?;
        let client = process::client("notification-controller").await?;
        notification_controller::run(config, client, shutdown).await
    })
}
