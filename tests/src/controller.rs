//! A controller as a process, which a test can kill and start again.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::ports::free_port;
use crate::{Cluster, Process, Trap, eventually};

/// Which controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// source-controller.
    Source,
    /// kustomize-controller.
    Kustomize,
    /// helm-controller.
    Helm,
    /// notification-controller.
    Notification,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Source => "source-controller",
            Self::Kustomize => "kustomize-controller",
            Self::Helm => "helm-controller",
            Self::Notification => "notification-controller",
        }
    }
}

/// A controller with its flags: running, or between two runs. Its ports and its storage stay the same from run to run.
pub struct Controller {
    kind: Kind,
    program: PathBuf,
    flags: Vec<String>,
    health: u16,
    kubeconfig: PathBuf,
    folder: PathBuf,
    scratch: PathBuf,
    process: Option<Process>,
}

impl Controller {
    /// Starts a controller against a cluster and waits until it says that it is ready. `program` is the test binary
    /// `controller` (`env!("CARGO_BIN_EXE_controller")`), or any other that takes the controller's name first.
    ///
    /// # Errors
    /// When it does not start, or ends before it is ready.
    pub async fn start(cluster: &Cluster, program: &str, kind: Kind, flags: &[&str]) -> Result<Self> {
        let health = free_port()?;
        let scratch = cluster.folder().join(format!("{}-scratch", kind.name()));
        std::fs::create_dir_all(&scratch)?;
        let mut all = vec![
            "--metrics-addr=127.0.0.1:0".to_owned(),
            format!("--health-addr=127.0.0.1:{health}"),
            "--log-level=debug".to_owned(),
        ];
        if kind == Kind::Source {
            let storage = cluster.folder().join("artifacts");
            std::fs::create_dir_all(&storage)?;
            let port = free_port()?;
            all.push(format!("--storage-path={}", storage.display()));
            all.push(format!("--storage-addr=127.0.0.1:{port}"));
            all.push(format!("--storage-adv-addr=127.0.0.1:{port}"));
        }
        if kind == Kind::Notification {
            all.push(format!("--events-addr=127.0.0.1:{}", free_port()?));
            all.push(format!("--receiverAddr=127.0.0.1:{}", free_port()?));
        }
        all.extend(flags.iter().map(|&flag| flag.to_owned()));
        let mut controller = Self {
            kind,
            program: program.into(),
            flags: all,
            health,
            kubeconfig: cluster.kubeconfig().to_owned(),
            folder: cluster.folder().to_owned(),
            scratch,
            process: None,
        };
        controller.resume().await?;
        Ok(controller)
    }

    /// Starts it again after [`Controller::kill`] or [`Controller::stop`], with the same flags, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not start, or ends before it is ready.
    pub async fn resume(&mut self) -> Result<()> {
        self.spawn()?;
        let url = format!("http://127.0.0.1:{}/readyz", self.health);
        eventually(&format!("{} to be ready", self.kind.name()), async || {
            self.check()?;
            let answer = reqwest::get(&url).await;
            Ok(answer.is_ok_and(|answer| answer.status().is_success()).then_some(()))
        })
        .await
    }

    /// Starts it again without waiting.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.arg(self.kind.name()).args(&self.flags);
        command.env("KUBECONFIG", &self.kubeconfig).env("TMPDIR", &self.scratch);
        self.process = Some(Process::start(self.kind.name(), command, &self.folder)?);
        Ok(())
    }

    /// Fails when it has ended by itself.
    ///
    /// # Errors
    /// As said; the message quotes its log.
    pub fn check(&self) -> Result<()> {
        self.process.as_ref().map_or(Ok(()), Process::check)
    }

    /// The end of its log.
    pub fn tail(&self) -> String {
        self.process.as_ref().map(Process::tail).unwrap_or_default()
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// SIGTERM, and waits for its end.
    ///
    /// # Errors
    /// When it does not end in time, or not with success.
    pub async fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.stop().await,
            None => Ok(()),
        }
    }

    /// The value of one of its flags, such as `--events-addr`.
    ///
    /// # Errors
    /// When it has no such flag.
    pub fn flag(&self, name: &str) -> Result<&str> {
        let value = self.flags.iter().rev().find_map(|flag| flag.strip_prefix(name)?.strip_prefix('='));
        value.with_context(|| format!("{} has no {name}", self.kind.name()))
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its folder for temporary files (`TMPDIR`), which is the same from run to run.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// How its `User-Agent` begins.
    pub(crate) fn user_agent(&self) -> String {
        format!("{}/", self.kind.name())
    }

    /// The process id.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pid(&self) -> Result<u32> {
        let process = self.process.as_ref();
        process.map(Process::pid).with_context(|| format!("{} does not run", self.kind.name()))
    }

    /// The most memory that this run has had, in bytes.
    ///
    /// # Errors
    /// When it does not run.
    pub fn peak_memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid()?);
        let status = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        let kilobytes: u64 = peak.with_context(|| format!("{path} names no peak"))?.trim().parse()?;
        Ok(kilobytes * 1024)
    }

    /// Kills it as soon as `look` sees something, which it is asked thousands of times a second.
    ///
    /// # Errors
    /// When it does not run.
    pub fn trap(&self, look: impl FnMut() -> Option<String> + Send + 'static) -> Result<Trap> {
        Ok(Trap::watch(self.pid()?, look))
    }
}
