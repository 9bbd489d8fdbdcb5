//! Serves the demo's repository on a port of its own.

use std::path::Path;

use anyhow::{Context, Result};
use sluice_git::serve::Repositories;
use tokio_util::sync::CancellationToken;

/// A running Git server; ends when dropped.
pub(super) struct GitServer {
    url: String,
    shutdown: CancellationToken,
}

impl GitServer {
    /// Serves the repositories below `root` over smart HTTP.
    ///
    /// # Errors
    /// Where git or its `http-backend` is missing.
    pub(super) async fn start(root: &Path) -> Result<Self> {
        let repositories = Repositories::new(root)?;
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.context("cannot listen")?;
        let url = format!("http://{}", listener.local_addr()?);
        let shutdown = CancellationToken::new();
        let ended = shutdown.clone().cancelled_owned();
        tokio::spawn(async move {
            let served = axum::serve(listener, repositories.router()).with_graceful_shutdown(ended);
            if let Err(error) = served.await {
                eprintln!("✗ the Git server ended: {error}");
            }
        });
        Ok(Self { url, shutdown })
    }

    /// The base URL; repositories are paths below it.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
