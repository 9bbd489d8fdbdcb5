//! Ports for programs that cannot take one from the kernel themselves.

use std::net::TcpListener;

use anyhow::{Context, Result};

/// A port that was free a moment ago. The kernel hands ephemeral ports out in turn, so another process rarely takes it
/// in between.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port can be bound on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}
