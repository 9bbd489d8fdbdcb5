//! A scenario is run again and again; each time a controller is killed one step later.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sluice_tests::{Kind, Trap};

use crate::world::{Seen, World};

/// Steps that are tried on a real server, where each costs more time.
const SAMPLE: [usize; 4] = [1, 4, 9, 14];
/// No scenario has more steps than this: something goes round in circles.
const MOST: usize = 80;

/// Something that the controllers have to do, and that must come to the same end whenever one is killed.
pub(crate) trait Scenario {
    /// Who is killed.
    const VICTIM: Kind;
    /// The scenario has more changes of the API than this, so that many kills must have happened.
    const AT_LEAST: usize;

    /// Brings the world to where the scenario begins.
    async fn prepare(&self, world: &mut World<'_>) -> Result<()>;

    /// Gives the controllers something to do.
    async fn act(&self, world: &mut World<'_>) -> Result<()>;

    /// What happens while the controller is down.
    async fn meanwhile(&self, _world: &mut World<'_>) -> Result<()> {
        Ok(())
    }

    /// Waits for the end.
    async fn settled(&self, world: &World<'_>) -> Result<()>;

    /// Looks whether the end is the right one; `before` is what was in the cluster before the scenario.
    async fn check(&self, world: &World<'_>, before: &Seen) -> Result<()>;
}

/// Runs a scenario with a kill at its first step, at its second, and so on, until it ends without.
pub(crate) async fn at_each_step<S: Scenario>(world: &mut World<'_>, scenario: &S) -> Result<()> {
    let steps: Vec<usize> = if world.cluster.is_real() { SAMPLE.to_vec() } else { (1..MOST).collect() };
    let (mut kills, mut ended) = (0, false);
    for nth in steps {
        let at = once(world, scenario, nth).await.with_context(|| format!("killed at change {nth}"))?;
        ended = at.is_none();
        kills += usize::from(!ended);
        if ended && !world.cluster.is_real() {
            break;
        }
    }
    if world.cluster.is_real() {
        ensure!(kills > 0, "nothing was killed");
    } else {
        ensure!(ended, "the scenario has more than {MOST} steps");
        ensure!(kills >= S::AT_LEAST, "the scenario had only {kills} steps");
    }
    Ok(())
}

/// Runs a scenario with a kill at one step, and returns what the step was; nothing if the scenario has fewer steps.
async fn once<S: Scenario>(world: &mut World<'_>, scenario: &S, nth: usize) -> Result<Option<String>> {
    scenario.prepare(world).await.context("before the scenario")?;
    world.quiesce().await?;
    let before = world.seen().await?;
    world.cluster.forget_requests()?;
    let cluster = world.cluster;
    let trap = cluster.trap(world.controller(S::VICTIM), nth)?;
    scenario.act(world).await?;
    let at = tokio::select! {
        at = sprung(&trap) => Some(at),
        settled = scenario.settled(world) => {
            settled.context("without a kill")?;
            trap.sprung()
        }
    };
    drop(trap);
    if let Some(at) = &at {
        after_kill(world, scenario).await.with_context(|| format!("after a kill at {at}"))?;
    }
    let checked = scenario.check(world, &before).await;
    checked
        .with_context(|| at.as_ref().map_or("without a kill".into(), |at| format!("after a kill at {at}")))?;
    Ok(at)
}

/// Starts the dead controller again and waits until everything has come to rest.
async fn after_kill<S: Scenario>(world: &mut World<'_>, scenario: &S) -> Result<()> {
    world.controller(S::VICTIM).kill().await?;
    scenario.meanwhile(world).await?;
    world.controller(S::VICTIM).resume().await?;
    scenario.settled(world).await?;
    world.quiesce().await
}

/// Waits until a trap has sprung.
pub(crate) async fn sprung(trap: &Trap) -> String {
    loop {
        if let Some(at) = trap.sprung() {
            return at;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
