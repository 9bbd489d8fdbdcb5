//! kustomize-controller is killed.

use anyhow::{Result, ensure};
use sluice_tests::{Kind, flux};

use crate::steps::Scenario;
use crate::world::{APP, Seen, World};

/// Brings the app into the cluster.
async fn installed(world: &World<'_>) -> Result<()> {
    world.apply_source().await?;
    world.apply_kustomization().await?;
    flux::fetch(world.cluster, "GitRepository", APP, &world.head()).await?;
    flux::applied(world.cluster, APP, &world.head()).await.map(drop)
}

/// Takes the app out of the cluster, but not out of the store of artifacts.
async fn removed(world: &World<'_>) -> Result<()> {
    world.apply_source().await?;
    flux::fetch(world.cluster, "GitRepository", APP, &world.head()).await?;
    if flux::objects(world.cluster, "Kustomization")?.get_opt(APP).await?.is_some() {
        world.delete("Kustomization").await?;
        world.gone("Kustomization").await?;
    }
    ensure!(world.seen().await?.is_empty(), "the app is still there");
    Ok(())
}

/// A new Kustomization is applied.
pub(crate) struct Install;

impl Scenario for Install {
    const VICTIM: Kind = Kind::Kustomize;
    /// The finalizer, the inventory, and a dry run and an apply of each of seven objects.
    const AT_LEAST: usize = 14;

    async fn prepare(&self, world: &mut World<'_>) -> Result<()> {
        removed(world).await
    }

    async fn act(&self, world: &mut World<'_>) -> Result<()> {
        world.apply_kustomization().await
    }

    async fn settled(&self, world: &World<'_>) -> Result<()> {
        flux::applied(world.cluster, APP, &world.head()).await.map(drop)
    }

    async fn check(&self, world: &World<'_>, before: &Seen) -> Result<()> {
        world.deleted_only(|_| false)?;
        world.is_as_git_says(before).await
    }
}

/// A new Kustomization is applied, and while the controller is down Git loses an object that may be in the cluster
/// already.
pub(crate) struct OutdatedInstall;

impl Scenario for OutdatedInstall {
    const VICTIM: Kind = Kind::Kustomize;
    const AT_LEAST: usize = Install::AT_LEAST;

    async fn prepare(&self, world: &mut World<'_>) -> Result<()> {
        removed(world).await
    }

    async fn act(&self, world: &mut World<'_>) -> Result<()> {
        world.apply_kustomization().await
    }

    async fn meanwhile(&self, world: &mut World<'_>) -> Result<()> {
        let head = world.commit();
        flux::fetch(world.cluster, "GitRepository", APP, &head).await.map(drop)
    }

    async fn settled(&self, world: &World<'_>) -> Result<()> {
        flux::applied(world.cluster, APP, &world.head()).await.map(drop)
    }

    async fn check(&self, world: &World<'_>, before: &Seen) -> Result<()> {
        let lost = format!("/more-{}", world.version() - 1);
        world.deleted_only(|path| path.ends_with(&lost))?;
        world.is_as_git_says(before).await
    }
}

/// A new Kustomization is applied, and deleted while the controller is down: nothing of it may stay behind.
pub(crate) struct AbandonedInstall;

impl Scenario for AbandonedInstall {
    const VICTIM: Kind = Kind::Kustomize;
    const AT_LEAST: usize = Install::AT_LEAST;

    async fn prepare(&self, world: &mut World<'_>) -> Result<()> {
        removed(world).await
    }

    async fn act(&self, world: &mut World<'_>) -> Result<()> {
        world.apply_kustomization().await
    }

    async fn meanwhile(&self, world: &mut World<'_>) -> Result<()> {
        world.delete("Kustomization").await
    }

    async fn settled(&self, world: &World<'_>) -> Result<()> {
        match flux::objects(world.cluster, "Kustomization")?.get_opt(APP).await? {
            Some(object) if object.metadata.deletion_timestamp.is_none() => {
                flux::applied(world.cluster, APP, &world.head()).await.map(drop)
            }
            _ => world.gone("Kustomization").await,
        }
    }

    async fn check(&self, world: &World<'_>, before: &Seen) -> Result<()> {
        match flux::objects(world.cluster, "Kustomization")?.get_opt(APP).await? {
            // It was not killed.
            Some(_) => world.is_as_git_says(before).await,
            None => {
                let left = world.seen().await?;
                ensure!(left.is_empty(), "left behind: {left:?}");
                Ok(())
            }
        }
    }
}

/// A commit changes objects, adds one and takes one away.
pub(crate) struct Change;

impl Scenario for Change {
    const VICTIM: Kind = Kind::Kustomize;
    /// The inventory, a dry run and an apply of each of three objects, a deletion, the status.
    const AT_LEAST: usize = 9;

    async fn prepare(&self, world: &mut World<'_>) -> Result<()> {
        installed(world).await
    }

    async fn act(&self, world: &mut World<'_>) -> Result<()> {
        world.commit();
        flux::request(world.cluster, "GitRepository", APP).await.map(drop)
    }

    async fn settled(&self, world: &World<'_>) -> Result<()> {
        flux::applied(world.cluster, APP, &world.head()).await.map(drop)
    }

    async fn check(&self, world: &World<'_>, before: &Seen) -> Result<()> {
        let lost = format!("/more-{}", world.version() - 1);
        world.deleted_only(|path| path.ends_with(&lost))?;
        world.is_as_git_says(before).await
    }
}

/// A Kustomization is deleted, with all that it has applied.
pub(crate) struct Deletion;

impl Scenario for Deletion {
    const VICTIM: Kind = Kind::Kustomize;
    /// A deletion of each of seven objects, the finalizer.
    const AT_LEAST: usize = 8;

    async fn prepare(&self, world: &mut World<'_>) -> Result<()> {
        installed(world).await
    }

    async fn act(&self, world: &mut World<'_>) -> Result<()> {
        world.delete("Kustomization").await
    }

    async fn settled(&self, world: &World<'_>) -> Result<()> {
        world.gone("Kustomization").await
    }

    async fn check(&self, world: &World<'_>, _before: &Seen) -> Result<()> {
        let left = world.seen().await?;
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(())
    }
}
