//! Kills a controller at a step that a test chooses: `kill -9` from the inside of the API server, or at the sight of a file.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};

use crate::Request;
use crate::cluster::audited;

/// How long a watching thread pauses between two looks.
const LOOK: Duration = Duration::from_micros(200);

/// Kills one process once, at a moment that its maker chose. Dropping it disarms it.
pub struct Trap {
    shared: Arc<Shared>,
    watching: Option<JoinHandle<()>>,
}

struct Shared {
    victim: u32,
    armed: AtomicBool,
    /// What was seen when it sprang.
    sprung: Mutex<Option<String>>,
}

impl Shared {
    fn new(victim: u32) -> Arc<Self> {
        Arc::new(Self { victim, armed: AtomicBool::new(true), sprung: Mutex::default() })
    }

    fn is_armed(&self) -> bool {
        self.armed.load(Ordering::SeqCst)
    }

    /// Kills the process. It runs no instruction after this.
    fn spring(&self, seen: String) {
        if let Some(pid) = i32::try_from(self.victim).ok().and_then(Pid::from_raw) {
            // It may have been killed by the test itself a moment ago.
            let _ = kill_process(pid, Signal::KILL);
        }
        *self.sprung.lock() = Some(seen);
    }
}

/// Decides about each request of a controller that changes something: false loses it.
pub(crate) type Gate = Box<dyn FnMut(&Request) -> bool + Send>;

impl Trap {
    /// A trap that springs before the `nth` change is served, and loses it and all that follow; with the gate that has
    /// to see the requests.
    pub(crate) fn at_request(victim: u32, agent: String, nth: usize) -> (Self, Gate) {
        let shared = Shared::new(victim);
        let trap = Self { shared: shared.clone(), watching: None };
        let mut seen = 0;
        let gate = move |request: &Request| {
            if !shared.is_armed() || !is_change_of(request, &agent) {
                return true;
            }
            seen += 1;
            if seen == nth {
                shared.spring(format!("{} {}", request.verb, request.uri));
            }
            seen < nth
        };
        (trap, Box::new(gate))
    }

    /// A trap that springs when the `nth` change is in an audit log, which may be while it is served.
    pub(crate) fn in_audit_log(victim: u32, agent: String, nth: usize, log: PathBuf) -> Result<Self> {
        let mut file = fs::File::open(log)?;
        file.seek(SeekFrom::End(0))?;
        let (mut rest, mut seen) = (Vec::new(), 0);
        Ok(Self::watch(victim, move || {
            // What cannot be read now is read the next time.
            let _ = file.read_to_end(&mut rest);
            let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let lines: Vec<u8> = rest.drain(..whole).collect();
            for request in audited(&String::from_utf8_lossy(&lines)).into_iter().flatten() {
                seen += usize::from(is_change_of(&request, &agent));
                if seen == nth {
                    return Some(format!("{} {}", request.verb, request.uri));
                }
            }
            None
        }))
    }

    /// A trap that springs when `look` sees something; it looks thousands of times a second.
    pub(crate) fn watch(victim: u32, mut look: impl FnMut() -> Option<String> + Send + 'static) -> Self {
        let shared = Shared::new(victim);
        let watched = shared.clone();
        let watching = std::thread::spawn(move || {
            while watched.is_armed() {
                if let Some(seen) = look() {
                    return watched.spring(seen);
                }
                std::thread::sleep(LOOK);
            }
        });
        Self { shared, watching: Some(watching) }
    }

    /// What the process was killed at, if it was.
    pub fn sprung(&self) -> Option<String> {
        self.shared.sprung.lock().clone()
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.shared.armed.store(false, Ordering::SeqCst);
        if let Some(watching) = self.watching.take() {
            // Only a panic of `look` can be lost here, and then it did not spring, which the test sees.
            let _ = watching.join();
        }
    }
}

/// Whether a request changes something and comes from a client with this `User-Agent`.
fn is_change_of(request: &Request, agent: &str) -> bool {
    request.user_agent.starts_with(agent)
        && matches!(&*request.verb, "create" | "update" | "patch" | "delete" | "deletecollection")
}
