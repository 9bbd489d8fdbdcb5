//! The Git repository of the demo: a bare repository to serve and a work tree to commit in, both driven by the `git`
//! program, as a user would.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

/// A bare repository and a clone of it, below one folder.
pub(super) struct Repository {
    root: PathBuf,
}

impl Repository {
    /// Folder below the served root that holds the bare repository.
    pub(super) const NAME: &str = "myapp-manifests.git";

    /// Creates an empty repository below `root`, which the caller removes.
    ///
    /// # Errors
    /// Where the `git` program is missing or refuses, with its own words.
    pub(super) async fn create(root: &Path) -> Result<Self> {
        let repository = Self { root: root.to_owned() };
        let bare = repository.served_root().join(Self::NAME);
        tokio::fs::create_dir_all(repository.work_tree()).await?;
        tokio::fs::create_dir_all(repository.served_root()).await?;
        repository
            .git(&["init", "--quiet", "--bare", "--initial-branch=main", &bare.to_string_lossy()])
            .await?;
        repository.git(&["init", "--quiet", "--initial-branch=main"]).await?;
        for (key, value) in [
            ("user.name", "Sluice demo"),
            ("user.email", "demo@sluice.invalid"),
            ("commit.gpgsign", "false"),
            ("core.hooksPath", "/dev/null"),
            ("core.autocrlf", "false"),
        ] {
            repository.git(&["config", key, value]).await?;
        }
        repository.git(&["remote", "add", "origin", &bare.to_string_lossy()]).await?;
        Ok(repository)
    }

    /// The folder to serve over HTTP; the repository is [`Self::NAME`] in it.
    pub(super) fn served_root(&self) -> PathBuf {
        self.root.join("served")
    }

    fn work_tree(&self) -> PathBuf {
        self.root.join("work")
    }

    /// Writes `text` to `path` in the work tree.
    pub(super) async fn write(&self, path: &str, text: &str) -> Result<()> {
        let file = self.work_tree().join(path);
        if let Some(parent) = file.parent() {
            tokio::fs::create_dir_all(parent).await?;
        }
        tokio::fs::write(&file, text).await.with_context(|| format!("cannot write {}", file.display()))
    }

    /// Removes `path` from the work tree.
    pub(super) async fn remove(&self, path: &str) -> Result<()> {
        let file = self.work_tree().join(path);
        tokio::fs::remove_file(&file).await.with_context(|| format!("cannot remove {}", file.display()))
    }

    /// Commits everything in the work tree, pushes it to `main` and returns the id of the commit.
    pub(super) async fn commit(&self, subject: &str) -> Result<String> {
        self.git(&["add", "--all"]).await?;
        self.git(&["commit", "--quiet", "--message", subject]).await?;
        self.push().await
    }

    /// Reverts the newest commit, pushes the result and returns its id.
    pub(super) async fn revert(&self) -> Result<String> {
        self.git(&["revert", "--no-edit", "HEAD"]).await?;
        self.push().await
    }

    async fn push(&self) -> Result<String> {
        self.git(&["push", "--quiet", "origin", "main"]).await?;
        Ok(self.git(&["rev-parse", "HEAD"]).await?.trim().to_owned())
    }

    async fn git(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(self.work_tree())
            // The user's own configuration must not change what the demo does.
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .output()
            .await
            .context("cannot run `git`, which the demo needs to create and serve a repository; install git and try again")?;
        if !output.status.success() {
            bail!("`git {}` failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
