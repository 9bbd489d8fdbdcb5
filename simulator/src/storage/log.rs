//! The window of recent changes of one collection, from which watches read.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::Stored;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Modified,
    Deleted,
}

impl Change {
    /// The name in a watch event.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// One change, with the state before it, so that a selector can tell whether an object came into or left its view.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) change: Change,
    /// The state after the change; for a deletion the last state, at the deletion's revision.
    pub(crate) object: Arc<Stored>,
    pub(crate) previous: Option<Arc<Stored>>,
    frame: OnceLock<Bytes>,
}

impl Event {
    pub(crate) fn new(change: Change, object: Arc<Stored>, previous: Option<Arc<Stored>>) -> Self {
        Self { change, object, previous, frame: OnceLock::new() }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.object.revision
    }

    /// The event as a line of a watch response in the storage version; encoded once for all watchers.
    pub(crate) fn frame(&self) -> Bytes {
        self.frame.get_or_init(|| frame(self.change, &self.object.json)).clone()
    }
}

/// A line of a watch response.
pub(crate) fn frame(change: Change, json: &[u8]) -> Bytes {
    let kind = change.as_str();
    let mut line = Vec::with_capacity(json.len() + 40);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(kind.as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    line.extend_from_slice(json);
    line.extend_from_slice(b"}\n");
    Bytes::from(line)
}

/// Recent changes, oldest first, at most `capacity` of them.
#[derive(Debug)]
pub(super) struct Log {
    events: VecDeque<Arc<Event>>,
    capacity: usize,
    /// The revision of the newest change that is gone; changes up to here are not known any more.
    compacted: u64,
}

impl Log {
    pub(super) fn new(capacity: usize) -> Self {
        Self { events: VecDeque::new(), capacity: capacity.max(1), compacted: 0 }
    }

    pub(super) fn push(&mut self, event: Arc<Event>) {
        if self.events.len() == self.capacity
            && let Some(gone) = self.events.pop_front()
        {
            self.compacted = gone.revision();
        }
        self.events.push_back(event);
    }

    /// The changes after `revision`; `None` if some of them are gone.
    pub(super) fn after(&self, revision: u64) -> Option<impl DoubleEndedIterator<Item = &Arc<Event>>> {
        (revision >= self.compacted).then(|| {
            let start = self.events.partition_point(|e| e.revision() <= revision);
            self.events.range(start..)
        })
    }
}
