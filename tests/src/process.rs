//! A child process with a log file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// How long a process may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(20);
/// How much of a log an error quotes, in bytes.
const TAIL: usize = 3000;

/// A running program. Dropping it kills it.
pub struct Process {
    name: String,
    pid: u32,
    child: Mutex<Option<Child>>,
    log: PathBuf,
}

impl Process {
    /// Starts a program; what it prints goes to `name.log` in `folder`, after what is there.
    ///
    /// # Errors
    /// When the program or the log cannot be opened.
    pub fn start(name: &str, mut command: Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(std::process::Stdio::null()).stdout(file.try_clone()?).stderr(file).kill_on_drop(true);
        let child =
            command.spawn().with_context(|| format!("cannot start {:?}", command.as_std().get_program()))?;
        let pid = child.id().ok_or_else(|| anyhow!("{name} ended at once"))?;
        Ok(Self { name: name.to_owned(), pid, child: Mutex::new(Some(child)), log })
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Fails when the process has ended by itself; the message quotes the end of its log.
    ///
    /// # Errors
    /// As said.
    pub fn check(&self) -> Result<()> {
        if let Some(child) = self.child.lock().as_mut()
            && let Some(status) = child.try_wait()?
        {
            bail!("{} ended with {status}; the end of its log:\n{}", self.name, self.tail());
        }
        Ok(())
    }

    /// The end of the log.
    pub fn tail(&self) -> String {
        tail(&self.log)
    }

    /// Kills the process, which has no chance to do anything, and waits until it is gone.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn kill(&self) -> Result<()> {
        let child = self.child.lock().take();
        if let Some(mut child) = child {
            child.kill().await.with_context(|| format!("cannot kill {}", self.name))?;
        }
        Ok(())
    }

    /// Asks the process to end, and waits for it.
    ///
    /// # Errors
    /// When it does not end in time (it is killed then), or not with success.
    pub async fn stop(&self) -> Result<()> {
        let child = self.child.lock().take();
        let Some(mut child) = child else { return Ok(()) };
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // It may have ended a moment ago, which `wait` tells.
            let _ = kill_process(pid, Signal::TERM);
        }
        match tokio::time::timeout(GRACE, child.wait()).await {
            Ok(status) => {
                let status = status?;
                if !status.success() {
                    bail!("{} ended with {status}; the end of its log:\n{}", self.name, self.tail());
                }
                Ok(())
            }
            Err(_) => {
                child.kill().await?;
                bail!("{} did not end in {} s after SIGTERM", self.name, GRACE.as_secs())
            }
        }
    }
}

/// The end of a log file; nothing when it cannot be read.
pub(crate) fn tail(log: &Path) -> String {
    let log = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let from = log.char_indices().rev().nth(TAIL).map_or(0, |(at, _)| at);
    log[from..].to_owned()
}
