//! source-controller is killed.

use anyhow::{Result, ensure};
use sluice_tests::{Kind, eventually, flux};

use crate::steps::Scenario;
use crate::world::{APP, Seen, World};

/// Waits until the source has the newest commit and the app is as it says.
async fn delivered(world: &World<'_>) -> Result<()> {
    let head = world.head();
    flux::until(world.cluster, "GitRepository", APP, "to be Ready at the newest commit", |object| {
        let revision = object.data["status"]["artifact"]["revision"].as_str().unwrap_or_default();
        flux::is_ready(object) && revision.ends_with(&head)
    })
    .await?;
    flux::applied(world.cluster, APP, &head).await.map(drop)
}

/// Brings source and app to the newest commit.
async fn installed(world: &World<'_>) -> Result<()> {
    world.apply_source().await?;
    world.apply_kustomization().await?;
    delivered(world).await
}

/// Fails unless the app is as Git says and the store holds nothing but the newest artifact.
async fn is_whole(world: &World<'_>, before: &Seen) -> Result<()> {
    world.is_as_git_says(before).await?;
    clean(world).await
}

/// Waits until passes have collected everything but the current artifact and its lock.
pub(crate) async fn clean(world: &World<'_>) -> Result<()> {
    let head = world.head();
    let wanted = [format!("{head}.tar.gz"), format!("{head}.tar.gz.lock")];
    let found = eventually("the store to be clean", async || {
        flux::reconcile(world.cluster, "GitRepository", APP).await?;
        let files = files(&world.storage())?;
        Ok((files == wanted).then_some(()))
    });
    found.await.map_err(|error| error.context(format!("it holds {:?}", files(&world.storage()))))?;
    // Directories of passes go with the pass, a moment after its status is written, or with the next start.
    let work = scratch(world, "source-controller-work-")?;
    eventually(&format!("{work:?} to be empty"), async || {
        Ok(work.iter().all(|dir| files(dir).is_ok_and(|left| left.is_empty())).then_some(()))
    })
    .await?;
    Ok(())
}

/// What a folder holds, sorted; nothing if it is not there.
pub(crate) fn files(folder: &std::path::Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    match std::fs::read_dir(folder) {
        Ok(entries) => {
            for entry in entries {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    names.sort_unstable();
    Ok(names)
}

/// The folders in source-controller's folder for temporary files whose names begin so.
fn scratch(world: &World<'_>, prefix: &str) -> Result<Vec<std::path::PathBuf>> {
    let names = files(world.source.scratch())?;
    Ok(names
        .iter()
        .filter(|name| name.starts_with(prefix))
        .map(|name| world.source.scratch().join(name))
        .collect())
}

/// A source is new; its app is there from before.
pub(crate) struct First;

impl Scenario for First {
    const VICTIM: Kind = Kind::Source;
    /// The finalizer, the status, an event.
    const AT_LEAST: usize = 3;

    async fn prepare(&self, world: &mut World<'_>) -> Result<()> {
        installed(world).await?;
        world.delete("GitRepository").await?;
        world.gone("GitRepository").await
    }

    async fn act(&self, world: &mut World<'_>) -> Result<()> {
        world.commit();
        world.apply_source().await
    }

    async fn settled(&self, world: &World<'_>) -> Result<()> {
        delivered(world).await
    }

    async fn check(&self, world: &World<'_>, before: &Seen) -> Result<()> {
        let lost = format!("/more-{}", world.version() - 1);
        world.deleted_only(|path| path.ends_with(&lost))?;
        is_whole(world, before).await
    }
}

/// There is a new commit.
pub(crate) struct Commit;

impl Scenario for Commit {
    const VICTIM: Kind = Kind::Source;
    /// The status, an event.
    const AT_LEAST: usize = 2;

    async fn prepare(&self, world: &mut World<'_>) -> Result<()> {
        installed(world).await
    }

    async fn act(&self, world: &mut World<'_>) -> Result<()> {
        world.commit();
        flux::request(world.cluster, "GitRepository", APP).await.map(drop)
    }

    async fn settled(&self, world: &World<'_>) -> Result<()> {
        delivered(world).await
    }

    async fn check(&self, world: &World<'_>, before: &Seen) -> Result<()> {
        let lost = format!("/more-{}", world.version() - 1);
        world.deleted_only(|path| path.ends_with(&lost))?;
        is_whole(world, before).await
    }
}

/// A source is deleted: its app stays.
pub(crate) struct Deletion;

impl Scenario for Deletion {
    const VICTIM: Kind = Kind::Source;
    /// The finalizer.
    const AT_LEAST: usize = 1;

    async fn prepare(&self, world: &mut World<'_>) -> Result<()> {
        installed(world).await
    }

    async fn act(&self, world: &mut World<'_>) -> Result<()> {
        world.delete("GitRepository").await
    }

    async fn settled(&self, world: &World<'_>) -> Result<()> {
        world.gone("GitRepository").await
    }

    async fn check(&self, world: &World<'_>, before: &Seen) -> Result<()> {
        world.deleted_only(|_| false)?;
        world.is_as_git_says(before).await?;
        let left = files(&world.storage())?;
        ensure!(left.is_empty(), "left behind in the store: {left:?}");
        Ok(())
    }
}
