//! The controllers as one binary, so that a test can start them as processes: `controller NAME FLAGS…`.

use anyhow::bail;
use clap::Parser;
use sluice_runtime::{process, telemetry};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let Some(name) = arguments.next().and_then(|name| name.into_string().ok()) else {
        bail!(
            "usage: controller source-controller|kustomize-controller|helm-controller|notification-controller FLAGS…"
        )
    };
    let flags = std::iter::once(std::ffi::OsString::from(&name)).chain(arguments);
    let runtime = process::runtime(8)?;
    match name.as_str() {
        "source-controller" => {
            let config = source_controller::Config::parse_from(flags);
            telemetry::init(&config.common.log_level, &config.common.log_encoding);
            runtime.block_on(async {
                let shutdown = process::shutdown_on_signal()?;
                source_controller::run(config, process::client(&name).await?, shutdown).await
            })
        }
        "kustomize-controller" => {
            let config = kustomize_controller::Config::parse_from(flags);
            telemetry::init(&config.common.log_level, &config.common.log_encoding);
            runtime.block_on(async {
                let shutdown = process::shutdown_on_signal()?;
                kustomize_controller::run(config, process::client(&name).await?, shutdown).await
            })
        }
        "helm-controller" => {
            let config = helm_controller::Config::parse_from(flags);
            telemetry::init(&config.common.log_level, &config.common.log_encoding);
            runtime.block_on(async {
                let shutdown = process::shutdown_on_signal()?;
                helm_controller::run(config, process::client(&name).await?, shutdown).await
            })
        }
        "notification-controller" => {
            let config = notification_controller::Config::parse_from(flags);
            telemetry::init(&config.common.log_level, &config.common.log_encoding);
            runtime.block_on(async {
                let shutdown = process::shutdown_on_signal()?;
                notification_controller::run(config, process::client(&name).await?, shutdown).await
            })
        }
        other => bail!("there is no controller {other}"),
    }
}
