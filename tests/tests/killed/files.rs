//! A controller is killed at the sight of a file: what it was writing is never used, and does not stay.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sluice_tests::{Trap, flux};

use crate::source::{self, files};
use crate::steps::sprung;
use crate::world::{APP, World};

/// Bytes of the file that makes a fetch long enough to be caught in the middle.
const LARGE: usize = 4 << 20;
/// How often a moment is hunted for.
const TRIES: usize = 8;

/// Where a fetch of source-controller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// A pack is on its way into the mirror.
    Fetching,
    /// Files of the commit are written to the working directory.
    CheckingOut,
    /// A temporary file is in the store.
    Packing,
    /// The artifact is in the store, and no status names it.
    Stored,
}

/// Kills source-controller at each moment of a fetch.
pub(crate) async fn of_a_fetch(world: &mut World<'_>) -> Result<()> {
    world.apply_source().await?;
    world.apply_kustomization().await?;
    flux::applied(world.cluster, APP, &world.head()).await?;
    for moment in [Moment::Fetching, Moment::CheckingOut, Moment::Packing, Moment::Stored] {
        let mut caught = false;
        for _ in 0..TRIES {
            caught = fetch(world, moment).await.with_context(|| format!("killed while {moment:?}"))?;
            if caught {
                break;
            }
        }
        ensure!(caught, "no fetch could be killed while {moment:?}");
    }
    Ok(())
}

/// Has a large commit fetched with a kill at a moment; returns whether the moment was met.
async fn fetch(world: &mut World<'_>, moment: Moment) -> Result<bool> {
    let before = world.seen().await?;
    world.cluster.forget_requests()?;
    let packs_before = packs(world.source.scratch()).len();
    let head = world.commit_large(LARGE);
    let (scratch, store, stored) = (world.source.scratch().to_owned(), world.storage(), head.clone());
    let look = move || seen(moment, &scratch, &store, &stored, packs_before);
    let trap = world.source.trap(look.clone())?;
    flux::request(world.cluster, "GitRepository", APP).await?;
    let caught = tokio::select! {
        at = sprung(&trap) => Some(at),
        delivered = flux::applied(world.cluster, APP, &head) => { delivered?; None }
    };
    drop(trap);
    let mut met = false;
    if caught.is_some() {
        world.source.kill().await?;
        // What was seen may have been over when the signal came.
        met = look().is_some() && !is_announced(world).await?;
        world.source.resume().await?;
        flux::applied(world.cluster, APP, &world.head()).await?;
    }
    world.quiesce().await?;
    let lost = format!("/more-{}", world.version() - 1);
    world.deleted_only(|path| path.ends_with(&lost))?;
    world.is_as_git_says(&before).await?;
    source::clean(world).await?;
    let litter: Vec<PathBuf> =
        packs(world.source.scratch()).into_iter().filter(|path| !is_pack(path)).collect();
    ensure!(litter.is_empty(), "left behind in the mirror: {litter:?}");
    Ok(met)
}

/// What tells that a fetch is at a moment.
fn seen(moment: Moment, scratch: &Path, store: &Path, head: &str, packs_before: usize) -> Option<String> {
    let stored = format!("{head}.tar.gz");
    let in_store = files(store).unwrap_or_default();
    match moment {
        Moment::Fetching => {
            let packs = packs(scratch);
            packs
                .iter()
                .find(|path| !is_pack(path) || packs.len() > packs_before)
                .map(|path| path.display().to_string())
        }
        Moment::CheckingOut => below(scratch, "source-controller-work-")
            .into_iter()
            .map(|pass| pass.join("worktree"))
            .find(|tree| files(tree).is_ok_and(|files| !files.is_empty()))
            .map(|tree| tree.display().to_string()),
        Moment::Packing => in_store
            .iter()
            .find(|name| name.starts_with(&stored) && **name != stored && !name.ends_with(".lock"))
            .filter(|_| !in_store.contains(&stored))
            .cloned(),
        Moment::Stored => in_store.contains(&stored).then_some(stored),
    }
}

/// Whether the status names the newest commit.
async fn is_announced(world: &World<'_>) -> Result<bool> {
    let object = flux::objects(world.cluster, "GitRepository")?.get(APP).await?;
    let revision = object.data["status"]["artifact"]["revision"].as_str().unwrap_or_default();
    Ok(revision.ends_with(&world.head()))
}

/// The files in the pack folders of all mirrors.
fn packs(scratch: &Path) -> Vec<PathBuf> {
    let mirrors = below(scratch, "source-controller-git-");
    let folders = mirrors.iter().map(|mirror| mirror.join("objects/pack"));
    folders
        .flat_map(|folder| {
            let names = files(&folder).unwrap_or_default();
            names.into_iter().map(move |name| folder.join(name))
        })
        .collect()
}

fn is_pack(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "pack" || extension == "idx")
}

/// What is in the folders in `scratch` whose names begin with `prefix`.
fn below(scratch: &Path, prefix: &str) -> Vec<PathBuf> {
    let folders = files(scratch).unwrap_or_default().into_iter().filter(|name| name.starts_with(prefix));
    folders
        .map(|name| scratch.join(name))
        .flat_map(|folder| {
            let names = files(&folder).unwrap_or_default();
            names.into_iter().map(move |name| folder.join(name))
        })
        .collect()
}

/// Kills kustomize-controller while it unpacks an artifact.
pub(crate) async fn of_a_build(world: &mut World<'_>) -> Result<()> {
    world.apply_source().await?;
    world.apply_kustomization().await?;
    flux::applied(world.cluster, APP, &world.head()).await?;
    for _ in 0..TRIES {
        if build(world).await? {
            return Ok(());
        }
    }
    anyhow::bail!("kustomize-controller could not be killed while it unpacked an artifact")
}

/// Has a large commit applied with a kill in the middle of unpacking; returns whether there was something unpacked.
async fn build(world: &mut World<'_>) -> Result<bool> {
    let before = world.seen().await?;
    world.cluster.forget_requests()?;
    let head = world.commit_large(LARGE);
    let scratch = world.kustomize.scratch().to_owned();
    let known = trees(&scratch);
    let look = move || {
        trees(&scratch).into_iter().find(|tree| !known.contains(tree)).map(|tree| tree.display().to_string())
    };
    let trap: Trap = world.kustomize.trap(look.clone())?;
    flux::request(world.cluster, "GitRepository", APP).await?;
    let caught = tokio::select! {
        at = sprung(&trap) => Some(at),
        applied = flux::applied(world.cluster, APP, &head) => { applied?; None }
    };
    drop(trap);
    let mut met = false;
    if caught.is_some() {
        world.kustomize.kill().await?;
        met = look().is_some();
        let left: Vec<PathBuf> = trees(world.kustomize.scratch());
        world.kustomize.resume().await?;
        flux::applied(world.cluster, APP, &world.head()).await?;
        let kept: Vec<&PathBuf> = left.iter().filter(|tree| tree.exists()).collect();
        ensure!(kept.is_empty(), "left behind: {kept:?}");
    }
    let lost = format!("/more-{}", world.version() - 1);
    world.deleted_only(|path| path.ends_with(&lost))?;
    world.is_as_git_says(&before).await?;
    Ok(met)
}

/// The unpacked artifacts of kustomize-controller.
fn trees(scratch: &Path) -> Vec<PathBuf> {
    below(scratch, "kustomize-controller-").into_iter().filter(|path| path.is_dir()).collect()
}
