//! Waiting for the API server to show something.

use std::time::Duration;

use anyhow::{Result, bail};

use super::environment::Environment;

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks again and again until `probe` returns something; `what` completes "waited for …".
///
/// # Errors
/// When `probe` fails, when a controller ends, or after `patience`.
pub(super) async fn eventually<T>(
    environment: &Environment,
    patience: Duration,
    what: &str,
    probe: impl AsyncFn() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        if let Some(found) = probe().await? {
            return Ok(found);
        }
        environment.check_controllers()?;
        if tokio::time::Instant::now() >= deadline {
            bail!("waited {} s for {what}", patience.as_secs());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
