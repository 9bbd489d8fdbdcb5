//! Bad input of every kind, end to end: a condition says what was tried, on what and what came back; the running app, the
//! last good artifact and the inventory stay as they are; and everything goes on once the input is good again.
//!
//! Each case has an app of its own; the cases of a test share one cluster and run side by side.

mod archive;
mod content;
mod remote;
mod world;

use anyhow::Result;
use sluice_tests::{Cluster, on_both_servers};

use world::World;

on_both_servers!(servers_that_fail, archives_that_are_traps, content_that_cannot_be_applied);

async fn servers_that_fail(cluster: &Cluster) -> Result<()> {
    World::new(cluster).await?.run(remote::cases().await).await
}

async fn archives_that_are_traps(cluster: &Cluster) -> Result<()> {
    World::new(cluster).await?.run(archive::cases().await?).await
}

async fn content_that_cannot_be_applied(cluster: &Cluster) -> Result<()> {
    let (_server, cases) = content::cases().await;
    World::new(cluster).await?.run(cases).await
}
