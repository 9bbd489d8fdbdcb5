//! The work queue: which object is due, and which is in hand.
//!
//! Per object there is at most one entry, one pass at a time and one timer. What others ask for goes before timers, but
//! timers never starve: after [`URGENT_RUN`] urgent passes one of them is served.

use super::backoff::Backoff;
use super::key::{Cause, Key};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// So many urgent objects are served in a row while others wait.
const URGENT_RUN: u32 = 8;

/// Keys that are due, in hand or waiting for their time.
#[derive(Debug)]
pub(crate) struct Queue {
    backoff: Backoff,
    inner: Mutex<Inner>,
    changed: Notify,
}

/// One pass to run.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) key: Key,
    pub(crate) cause: Cause,
    /// Tells when something external asks for the object again during the pass.
    pub(crate) interrupt: watch::Receiver<Option<Cause>>,
    /// How long the object was due.
    pub(crate) waited: Duration,
}

/// When an object runs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// When something asks for it.
    WhenAsked,
    /// After a delay; its failures are forgotten.
    After(Duration),
    /// After the delay that its failures so far make.
    Backoff,
}

/// Figures for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Gauges {
    pub(crate) depth: usize,
    pub(crate) running: usize,
    pub(crate) unfinished: Duration,
    pub(crate) longest: Duration,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<Key, Entry>,
    urgent: VecDeque<Key>,
    relaxed: VecDeque<Key>,
    urgent_in_a_row: u32,
    timers: BTreeSet<(Instant, Key)>,
}

#[derive(Debug, Default)]
struct Entry {
    due: Option<Due>,
    running: Option<Running>,
    timer: Option<Instant>,
    failures: u32,
}

#[derive(Debug)]
struct Due {
    cause: Cause,
    since: Instant,
}

#[derive(Debug)]
struct Running {
    since: Instant,
    interrupt: watch::Sender<Option<Cause>>,
}

impl Queue {
    pub(crate) fn new(backoff: Backoff) -> Self {
        Self { backoff, inner: Mutex::default(), changed: Notify::new() }
    }

    /// Asks for a pass now. A pass in hand is interrupted and followed by another one.
    pub(crate) fn add(&self, key: Key, cause: Cause) {
        self.inner.lock().add(key, cause, Instant::now());
        self.changed.notify_one();
    }

    /// Waits until there may be a pass to run. Cancel safe. For one caller at a time.
    pub(crate) async fn ready(&self) {
        loop {
            let timer = {
                let mut inner = self.inner.lock();
                inner.wake(Instant::now());
                if !inner.urgent.is_empty() || !inner.relaxed.is_empty() {
                    return;
                }
                inner.timers.first().map(|(at, _)| *at)
            };
            match timer {
                Some(at) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = tokio::time::sleep_until(at) => {}
                },
                None => self.changed.notified().await,
            }
        }
    }

    /// The next pass to run, if there is one now.
    pub(crate) fn try_next(&self) -> Option<Work> {
        self.inner.lock().pop(Instant::now())
    }

    /// Waits for the next pass to run.
    #[cfg(test)]
    pub(crate) async fn next(&self) -> Work {
        loop {
            self.ready().await;
            if let Some(work) = self.try_next() {
                return work;
            }
        }
    }

    /// Ends the pass over a key. What asked for the key meanwhile comes before `next`.
    pub(crate) fn done(&self, key: &Key, next: Next) {
        let mut inner = self.inner.lock();
        let Some(entry) = inner.entries.get_mut(key) else { return };
        entry.running = None;
        let delay = match next {
            Next::WhenAsked => {
                entry.failures = 0;
                None
            }
            Next::After(delay) => {
                entry.failures = 0;
                Some(delay)
            }
            Next::Backoff => {
                let delay = self.backoff.delay(entry.failures);
                entry.failures = entry.failures.saturating_add(1);
                Some(delay)
            }
        };
        if let Some(due) = &entry.due {
            let urgent = due.cause.is_external();
            inner.line(urgent).push_back(key.clone());
        } else if let Some(delay) = delay {
            // A delay beyond what the clock can express is as good as none.
            if let Some(at) = Instant::now().checked_add(delay) {
                entry.timer = Some(at);
                inner.timers.insert((at, key.clone()));
            }
        } else if entry.failures == 0 {
            inner.entries.remove(key);
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// Failures in a row of a key.
    #[cfg(test)]
    pub(crate) fn failures(&self, key: &Key) -> u32 {
        self.inner.lock().entries.get(key).map_or(0, |e| e.failures)
    }

    pub(crate) fn gauges(&self) -> Gauges {
        let (inner, now) = (self.inner.lock(), Instant::now());
        let mut gauges = Gauges::default();
        for entry in inner.entries.values() {
            gauges.depth += usize::from(entry.due.is_some() && entry.running.is_none());
            if let Some(running) = &entry.running {
                let age = now.saturating_duration_since(running.since);
                gauges.running += 1;
                gauges.unfinished += age;
                gauges.longest = gauges.longest.max(age);
            }
        }
        gauges
    }
}

impl Inner {
    fn line(&mut self, urgent: bool) -> &mut VecDeque<Key> {
        if urgent { &mut self.urgent } else { &mut self.relaxed }
    }

    fn add(&mut self, key: Key, cause: Cause, now: Instant) {
        let urgent = cause.is_external();
        let entry = self.entries.entry(key.clone()).or_default();
        if let Some(at) = entry.timer.take() {
            self.timers.remove(&(at, key.clone()));
        }
        if urgent && let Some(running) = &entry.running {
            running.interrupt.send_replace(Some(cause.clone()));
        }
        let enqueue = match &mut entry.due {
            // The latest external cause is the one that messages show.
            Some(due) => {
                let promoted = urgent && !due.cause.is_external();
                if urgent {
                    due.cause = cause;
                }
                promoted
            }
            None => {
                entry.due = Some(Due { cause, since: now });
                true
            }
        };
        if enqueue && entry.running.is_none() {
            self.line(urgent).push_back(key);
        }
    }

    /// Makes due what the timers say.
    fn wake(&mut self, now: Instant) {
        while let Some((at, key)) = self.timers.first().cloned() {
            if at > now {
                return;
            }
            self.add(key, Cause::Timer, at);
        }
    }

    fn pop(&mut self, now: Instant) -> Option<Work> {
        loop {
            let relaxed_turn = self.urgent_in_a_row >= URGENT_RUN && !self.relaxed.is_empty();
            let urgent = !self.urgent.is_empty() && !relaxed_turn;
            let key = self.line(urgent).pop_front()?;
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            // A key that was promoted is still in the other line; it counts where its cause belongs.
            if entry.running.is_some()
                || entry.due.as_ref().is_none_or(|due| due.cause.is_external() != urgent)
            {
                continue;
            }
            let Some(due) = entry.due.take() else { continue };
            let (sender, interrupt) = watch::channel(None);
            entry.running = Some(Running { since: now, interrupt: sender });
            self.urgent_in_a_row = if urgent { self.urgent_in_a_row + 1 } else { 0 };
            let waited = now.saturating_duration_since(due.since);
            return Some(Work { key, cause: due.cause, interrupt, waited });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new("ns", name)
    }

    fn queue() -> Queue {
        Queue::new(Backoff { min: Duration::from_secs(1), max: Duration::from_secs(60) })
    }

    /// The next key, if one is due without waiting.
    async fn now(queue: &Queue) -> Option<String> {
        tokio::select! {
            biased;
            work = queue.next() => Some(work.key.name.to_string()),
            () = tokio::task::yield_now() => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_queued_once_and_never_in_hand_twice() {
        let queue = queue();
        queue.add(key("a"), Cause::Start);
        queue.add(key("a"), Cause::Own);
        let work = queue.next().await;
        assert_eq!(work.cause, Cause::Own);
        assert_eq!(now(&queue).await, None, "promoted, not doubled");
        queue.add(key("a"), Cause::Own);
        assert_eq!(now(&queue).await, None, "in hand");
        assert!(work.interrupt.has_changed().unwrap());
        queue.done(&key("a"), Next::After(Duration::from_secs(3600)));
        assert_eq!(now(&queue).await.as_deref(), Some("a"), "asked for during the pass");
        queue.done(&key("a"), Next::WhenAsked);
        assert_eq!(now(&queue).await, None);
        assert_eq!(queue.gauges(), Gauges::default());
        assert!(queue.inner.lock().entries.is_empty(), "nothing is kept for idle keys");
    }

    #[tokio::test(start_paused = true)]
    async fn external_work_goes_first_but_the_rest_does_not_starve() {
        let queue = queue();
        queue.add(key("slow"), Cause::Start);
        for i in 0..10 {
            queue.add(key(&format!("fast{i}")), Cause::Own);
        }
        let mut order = Vec::new();
        while let Some(name) = now(&queue).await {
            queue.done(&key(&name), Next::WhenAsked);
            order.push(name);
        }
        assert_eq!(order.iter().position(|n| n == "slow"), Some(URGENT_RUN as usize));
        assert_eq!(order.len(), 11);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_back_off_and_success_forgets_them() {
        let queue = queue();
        queue.add(key("a"), Cause::Own);
        let start = Instant::now();
        for want in [0, 1, 3, 7, 15] {
            queue.next().await;
            assert_eq!(start.elapsed().as_secs(), want, "delays of 1, 2, 4, 8 s");
            queue.done(&key("a"), Next::Backoff);
        }
        assert_eq!(queue.failures(&key("a")), 5);
        queue.next().await;
        queue.done(&key("a"), Next::After(Duration::from_secs(10)));
        assert_eq!(queue.failures(&key("a")), 0);
        let work = queue.next().await;
        assert_eq!((work.cause, work.waited), (Cause::Timer, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trigger_replaces_the_timer() {
        let queue = queue();
        queue.add(key("a"), Cause::Own);
        queue.next().await;
        queue.done(&key("a"), Next::After(Duration::from_secs(10)));
        queue.add(key("a"), Cause::related("GitRepository", "ns", "r"));
        assert_eq!(queue.next().await.cause, Cause::Related("GitRepository/ns/r".into()));
        queue.done(&key("a"), Next::WhenAsked);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(now(&queue).await, None, "the old timer is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_added_while_waiting_is_seen() {
        let queue = std::sync::Arc::new(queue());
        queue.add(key("late"), Cause::Own);
        queue.add(key("soon"), Cause::Own);
        queue.next().await;
        queue.next().await;
        queue.done(&key("late"), Next::After(Duration::from_secs(100)));
        let waiter = tokio::spawn({
            let queue = queue.clone();
            async move { queue.next().await.key }
        });
        tokio::task::yield_now().await;
        queue.done(&key("soon"), Next::After(Duration::from_secs(1)));
        assert_eq!(waiter.await.unwrap(), key("soon"));
    }
}
