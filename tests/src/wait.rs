//! Waiting for something to become true.

use std::time::Duration;

use anyhow::{Result, bail};

/// How long a test waits for what should happen soon: long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Looks again and again until `probe` returns something; `what` completes "waited for …".
///
/// # Errors
/// When `probe` fails, or after [`PATIENCE`].
pub async fn eventually<T>(what: &str, probe: impl AsyncFn() -> Result<Option<T>>) -> Result<T> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe().await? {
            return Ok(found);
        }
        if tokio::time::Instant::now() >= deadline {
            bail!("waited {} s for {what}", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
