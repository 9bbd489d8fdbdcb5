//! A process under measurement: what it uses, read from `/proc`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use tokio::process::{Child, Command};

/// A process under measurement. One that was started here is killed when dropped.
pub(crate) struct Process {
    name: String,
    pid: u32,
    started: Option<Started>,
    cpu_before: Duration,
}

struct Started {
    child: Child,
    log: PathBuf,
}

/// What a process used during a phase.
pub(crate) struct Usage {
    pub(crate) name: String,
    /// CPU time, user and system.
    pub(crate) cpu: Duration,
    /// Resident memory at its peak, in bytes.
    pub(crate) peak: u64,
    /// Resident memory at the end, in bytes.
    pub(crate) resident: u64,
}

impl Process {
    /// Starts a process whose output goes to a log file.
    pub(crate) fn start(name: &str, mut command: Command, logs: &Path) -> anyhow::Result<Self> {
        let log = logs.join(format!("{}.log", name.replace(' ', "-")));
        let file = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdout(file.try_clone()?).stderr(file).kill_on_drop(true);
        let child =
            command.spawn().with_context(|| format!("cannot start {:?}", command.as_std().get_program()))?;
        let pid = child.id().ok_or_else(|| anyhow!("{name} ended at once"))?;
        let started = Some(Started { child, log });
        Ok(Self { name: name.to_owned(), pid, started, cpu_before: Duration::ZERO })
    }

    /// A process that somebody else started.
    pub(crate) fn watch(name: String, pid: u32) -> Self {
        Self { name, pid, started: None, cpu_before: Duration::ZERO }
    }

    /// Fails when the process has ended.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        if let Some(Started { child, log }) = &mut self.started
            && let Some(status) = child.try_wait()?
        {
            let log = fs::read_to_string(log).unwrap_or_default();
            let from = log.char_indices().rev().nth(2000).map_or(0, |(at, _)| at);
            bail!("{} ended with {status}; the end of its output:\n{}", self.name, &log[from..]);
        }
        Ok(())
    }

    /// Begins a phase: the peak of memory starts from what is resident now.
    pub(crate) fn begin(&mut self) -> anyhow::Result<()> {
        self.check()?;
        fs::write(format!("/proc/{}/clear_refs", self.pid), "5")
            .with_context(|| format!("cannot reset the peak memory of {}", self.name))?;
        self.cpu_before = self.cpu()?;
        Ok(())
    }

    /// What was used since the phase began.
    pub(crate) fn usage(&mut self) -> anyhow::Result<Usage> {
        self.check()?;
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let bytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field))?;
            Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
        };
        let missing = || anyhow!("/proc/{}/status does not tell the memory", self.pid);
        Ok(Usage {
            name: self.name.clone(),
            cpu: self.cpu()?.saturating_sub(self.cpu_before),
            peak: bytes("VmHWM:").ok_or_else(missing)?,
            resident: bytes("VmRSS:").ok_or_else(missing)?,
        })
    }

    /// Asks the process to end, and waits for it, if it was started here.
    pub(crate) async fn stop(self) {
        let Some(Started { mut child, .. }) = self.started else { return };
        drop(child.stdin.take());
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout(Duration::from_secs(10), child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }

    fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        cpu_of(&stat).ok_or_else(|| anyhow!("/proc/{}/stat cannot be read: {stat:?}", self.pid))
    }
}

/// User and system time. The name of the program may hold spaces and parentheses; fields count from after it.
fn cpu_of(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_program_name() {
        let stat = "17 (a b) c) S 1 1 1 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 5 6 7";
        let ticks = rustix::param::clock_ticks_per_second();
        assert_eq!(cpu_of(stat), Some(Duration::from_millis(200 * 1000 / ticks)));
        assert_eq!(cpu_of("17 (x) S 1"), None);
    }
}
