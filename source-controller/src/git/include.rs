//! Artifacts of other GitRepositories that are copied into this one (sources.md 7.6).

use std::fs;
use std::path::{Path, PathBuf};

use sluice_api::ArtifactSource as _;
use sluice_api::source::{Artifact, GitRepository, GitRepositoryInclude};
use sluice_artifact::unpack::{Limits, Links, unpack};
use sluice_artifact::{Store, secure_join};

use crate::kind::{Failure, INCLUDE_UNAVAILABLE, Stop};
use crate::secrets::api_text;
use crate::work::Work;

/// An include and the artifact that it names now.
#[derive(Clone, Debug)]
pub(super) struct Included {
    pub(super) spec: GitRepositoryInclude,
    pub(super) artifact: Artifact,
}

impl Included {
    fn name(&self) -> &str {
        &self.spec.repository.name
    }

    fn from(&self) -> &str {
        self.spec.from_path.as_deref().unwrap_or_default()
    }

    fn to(&self) -> &str {
        self.spec.to_path.as_deref().filter(|path| !path.is_empty()).unwrap_or(self.name())
    }
}

/// Finds the artifact of each include, in the order of the spec.
pub(super) async fn look_up(work: &Work<GitRepository>) -> Result<Vec<Included>, Stop> {
    let api = work.api::<GitRepository>();
    let waiting = |reason: &'static str, message: String| {
        Stop::Waiting(Failure::new(INCLUDE_UNAVAILABLE, reason, message), work.cx.requeue_dependency)
    };
    let mut found = Vec::new();
    for include in &work.object.spec.include {
        let name = &include.repository.name;
        let other = api.get(name).await.map_err(|error| {
            let error = api_text(&error);
            waiting("NotFound", format!("could not get resource for include '{name}': {error}"))
        })?;
        let Some(artifact) = other.artifact().cloned() else {
            return Err(waiting("NoArtifact", format!("no artifact available for include '{name}'")));
        };
        found.push(Included { spec: include.clone(), artifact });
    }
    Ok(found)
}

/// Copies each include into the worktree at `tree`.
pub(super) async fn copy(work: &Work<GitRepository>, includes: &[Included], tree: &Path) -> Result<(), Stop> {
    for (number, include) in includes.iter().enumerate() {
        let (store, dir) = (work.cx.store.clone(), work.dir().join(format!("include-{number}")));
        let (include, tree) = (include.clone(), tree.to_owned());
        let done = tokio::task::spawn_blocking(move || copy_one(&store, &include, &dir, &tree)).await;
        done.map_err(|error| Failure::storage("CopyFailure", error.to_string()).retry())??;
    }
    Ok(())
}

fn copy_one(store: &Store, include: &Included, dir: &Path, tree: &Path) -> Result<(), Stop> {
    let (name, from, to) = (include.name(), include.from(), include.to());
    let target = secure_join(tree, to).map_err(|error| {
        let message = format!("path calculation for include '{name}' failed: {error}");
        Failure::new(crate::kind::STORAGE_OPERATION_FAILED, "IllegalPath", message).retry()
    })?;
    replace(store, include, dir, &target, tree).map_err(|error| {
        let message = format!("failed to copy '{name}' include from {from} to {to}: {error}");
        Failure::storage("CopyFailure", message).retry()
    })
}

/// Unpacks the artifact to `dir` and moves the part that is included to `target`.
fn replace(store: &Store, include: &Included, dir: &Path, target: &Path, tree: &Path) -> Result<(), String> {
    if target == tree {
        return Err("toPath is the root of the repository, which would be replaced".into());
    }
    let archive = store.resolve(&include.artifact.path).map_err(|error| error.to_string())?;
    store.verify(&include.artifact.path, &include.artifact.digest).map_err(|error| error.to_string())?;
    let file = fs::File::open(&archive).map_err(|error| error.to_string())?;
    unpack(file, dir, Links::Refuse, &Limits::default()).map_err(|error| error.to_string())?;
    let part = secure_join(dir, include.from()).map_err(|error| error.to_string())?;
    if !part.is_dir() {
        return Err(format!("'{}' is no directory of the included artifact", include.from()));
    }
    let io = |action: &str, path: &Path, error: std::io::Error| {
        format!("cannot {action} '{}': {error}", path.display())
    };
    remove(target).map_err(|error| io("remove", target, error))?;
    let parent: PathBuf = target.parent().unwrap_or(tree).to_owned();
    fs::create_dir_all(&parent).map_err(|error| io("create directory", &parent, error))?;
    fs::rename(&part, target).map_err(|error| io("move to", target, error))
}

fn remove(path: &Path) -> std::io::Result<()> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
