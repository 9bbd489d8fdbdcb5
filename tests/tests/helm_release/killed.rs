//! helm-controller dies in the middle of each action: no release stays locked, and where a rollback can go to is not lost.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use sluice_tests::{Cluster, Trap, eventually, flux, on_both_servers};

use crate::world::{APP, World, condition, told};

on_both_servers!(
    killed_at_each_change_of_an_install,
    killed_at_each_change_of_an_upgrade,
    killed_at_each_change_of_a_rollback,
    killed_at_each_change_of_a_removal,
    told_to_end_in_the_middle_of_a_wait,
);

/// Changes at which it is killed on a real server, where each costs more time.
const SAMPLE: [usize; 3] = [2, 5, 8];
/// No action has more changes than this: something goes round in circles.
const MOST: usize = 60;

async fn killed_at_each_change_of_an_install(cluster: &Cluster) -> Result<()> {
    let mut world = World::new(cluster).await?;
    at_each_change(&mut world, 5, async |world, trap| {
        if flux::objects(cluster, "HelmRelease")?.get_opt(APP).await?.is_some() {
            world.delete().await?;
        }
        let trap = trap.set(world)?;
        world.apply(json!({})).await?;
        let at = trap.sprung_or(world.until("to be Ready", is_ready)).await?;
        revive(world, at.is_some()).await?;
        let status = world.until("to be Ready", is_ready).await?;
        ensure!(world.says("greeting").await?.as_deref() == Some("hello"), "{status:#}");
        ensure!(status.get("installFailures").is_none(), "a kill is no failure: {status:#}");
        Ok(at)
    })
    .await
}

async fn killed_at_each_change_of_an_upgrade(cluster: &Cluster) -> Result<()> {
    let mut world = World::new(cluster).await?;
    world.apply(json!({"upgrade": {"remediation": {"retries": 1}}})).await?;
    world.ready(1).await?;
    let mut round = 0;
    at_each_change(&mut world, 5, async |world, trap| {
        round += 1;
        let greeting = format!("round {round}");
        let trap = trap.set(world)?;
        world.patch(json!({"spec": {"values": {"greeting": greeting, "port": 80}}})).await?;
        let done = async { flux::until(cluster, "HelmRelease", APP, "to be Ready", flux::is_ready).await };
        let at = trap.sprung_or(done).await?;
        revive(world, at.is_some()).await?;
        flux::until(cluster, "HelmRelease", APP, "to be Ready", flux::is_ready).await?;
        ensure!(world.says("greeting").await? == Some(greeting), "the upgrade is lost");
        // The next one fails, and must find its way back.
        world.patch(json!({"spec": {"values": {"port": 70000}}})).await?;
        let status = world.stalled().await?;
        ensure!(told(&status, "Ready").starts_with("False RollbackSucceeded"), "no way back: {status:#}");
        Ok(at)
    })
    .await
}

async fn killed_at_each_change_of_a_rollback(cluster: &Cluster) -> Result<()> {
    let mut world = World::new(cluster).await?;
    world.apply(json!({"upgrade": {"remediation": {"retries": 0, "remediateLastFailure": true}}})).await?;
    world.ready(1).await?;
    let mut round = 0;
    at_each_change(&mut world, 8, async |world, trap| {
        round += 1;
        let greeting = format!("good {round}");
        world.patch(json!({"spec": {"values": {"greeting": greeting, "port": 80}}})).await?;
        flux::until(cluster, "HelmRelease", APP, "to be Ready", flux::is_ready).await?;
        let trap = trap.set(world)?;
        world.patch(json!({"spec": {"values": {"greeting": "bad", "port": 70000}}})).await?;
        let at = trap.sprung_or(world.stalled()).await?;
        revive(world, at.is_some()).await?;
        let status = world.stalled().await?;
        ensure!(told(&status, "Ready").starts_with("False RollbackSucceeded"), "no way back: {status:#}");
        ensure!(world.says("greeting").await? == Some(greeting), "it went back to something else");
        Ok(at)
    })
    .await
}

async fn killed_at_each_change_of_a_removal(cluster: &Cluster) -> Result<()> {
    let mut world = World::new(cluster).await?;
    at_each_change(&mut world, 4, async |world, trap| {
        world.apply(json!({})).await?;
        world.until("to be Ready", is_ready).await?;
        let trap = trap.set(world)?;
        let at = trap.sprung_or(world.delete()).await?;
        revive(world, at.is_some()).await?;
        let objects = flux::objects(cluster, "HelmRelease")?;
        eventually("the end of the HelmRelease", async || {
            Ok(objects.get_opt(APP).await?.is_none().then_some(()))
        })
        .await?;
        ensure!(
            world.stored().await?.is_empty() && world.says("greeting").await?.is_none(),
            "something is left"
        );
        Ok(at)
    })
    .await
}

async fn told_to_end_in_the_middle_of_a_wait(cluster: &Cluster) -> Result<()> {
    let mut world = World::new(cluster).await?;
    world.apply(json!({"upgrade": {"remediation": {"retries": 1}}})).await?;
    world.ready(1).await?;
    // What is waited for never comes.
    let never = json!([{"apiVersion": "v1", "kind": "ConfigMap", "current": "data.greeting == 'never'"}]);
    world.patch(json!({"spec": {"values": {"greeting": "at last"}, "healthCheckExprs": never}})).await?;
    eventually("the upgrade to be under way", async || {
        let stored = world.stored().await?;
        Ok(stored.last().is_some_and(|it| it.version == 2 && it.info.status.is_pending()).then_some(()))
    })
    .await?;
    world.helm.stop().await?;
    let stored = world.stored().await?;
    ensure!(stored.iter().all(|it| !it.info.status.is_pending()), "the release is left locked");
    let status = world.object().await?.data["status"].clone();
    ensure!(status.get("upgradeFailures").is_none(), "the end of the process is no failure: {status:#}");
    ensure!(condition(&status, "Stalled").is_none(), "{status:#}");
    world.patch(json!({"spec": {"healthCheckExprs": null, "values": {"port": 70000}}})).await?;
    world.helm.resume().await?;
    let status = world.stalled().await?;
    ensure!(told(&status, "Ready").starts_with("False RollbackSucceeded"), "no way back: {status:#}");
    world.stop().await
}

fn is_ready(status: &serde_json::Value) -> bool {
    told(status, "Ready").starts_with("True")
}

/// Starts the dead controller again.
async fn revive(world: &mut World<'_>, dead: bool) -> Result<()> {
    if dead {
        world.helm.kill().await?;
        world.helm.resume().await?;
    }
    Ok(())
}

/// Runs an action with a kill at its first change, at its second, and so on, until it ends without.
async fn at_each_change<'a>(
    world: &mut World<'a>,
    at_least: usize,
    mut round: impl AsyncFnMut(&mut World<'a>, Nth) -> Result<Option<String>>,
) -> Result<()> {
    let real = world.cluster.is_real();
    let changes: Vec<usize> = if real { SAMPLE.to_vec() } else { (1..MOST).collect() };
    let mut kills = 0;
    for nth in changes {
        let at = round(world, Nth(nth)).await.with_context(|| format!("killed at change {nth}"))?;
        kills += usize::from(at.is_some());
        if at.is_none() && !real {
            ensure!(kills >= at_least, "there were only {kills} changes");
            return Ok(());
        }
    }
    ensure!(real && kills > 0, "nothing was killed, or there is no end to it: {kills}");
    Ok(())
}

/// The change at which the controller is killed.
struct Nth(usize);

impl Nth {
    fn set(&self, world: &World<'_>) -> Result<Set> {
        world.cluster.forget_requests()?;
        Ok(Set(world.cluster.trap(&world.helm, self.0)?))
    }
}

struct Set(Trap);

impl Set {
    /// What it was killed at; nothing if `end` came first.
    async fn sprung_or<T>(self, end: impl Future<Output = Result<T>>) -> Result<Option<String>> {
        tokio::select! {
            at = self.sprung() => Ok(Some(at)),
            ended = end => ended.context("without a kill").map(|_| self.0.sprung()),
        }
    }

    async fn sprung(&self) -> String {
        loop {
            if let Some(at) = self.0.sprung() {
                return at;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}
