//! Lets an event through once per interval: Flux's fixed window, counted from the first event of a key.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Keys that are remembered at most (48 bytes each). When that many events differ within an interval, the oldest go, which
/// costs a duplicate and never an event.
const MAX_KEYS: usize = 65_536;

/// What was let through lately.
#[derive(Debug)]
pub(crate) struct Limiter {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    until: HashMap<[u8; 32], Instant>,
    swept: Instant,
}

/// The limiter's verdict, and in both cases when the window ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether this is the first event of its key in the window.
    pub(crate) first: bool,
    /// Time until the same event is let through again.
    pub(crate) resets_in: Duration,
}

impl Limiter {
    pub(crate) fn new(interval: Duration) -> Self {
        let state = State { until: HashMap::new(), swept: Instant::now() };
        Self { interval, state: Mutex::new(state) }
    }

    /// Takes the one turn that a key has per interval.
    pub(crate) fn take(&self, key: [u8; 32]) -> Verdict {
        let now = Instant::now();
        let mut state = self.state.lock();
        if let Some(until) = state.until.get(&key).filter(|until| **until > now) {
            return Verdict { first: false, resets_in: *until - now };
        }
        if now - state.swept >= self.interval || state.until.len() >= MAX_KEYS {
            state.until.retain(|_, until| *until > now);
            state.swept = now;
        }
        if state.until.len() >= MAX_KEYS {
            // Half of them at once, so that this is rare.
            let mut ends: Vec<Instant> = state.until.values().copied().collect();
            let (_, middle, _) = ends.select_nth_unstable(MAX_KEYS / 2);
            let middle = *middle;
            state.until.retain(|_, until| *until > middle);
        }
        state.until.insert(key, now + self.interval);
        Verdict { first: true, resets_in: self.interval }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32) -> [u8; 32] {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&n.to_le_bytes());
        key
    }

    #[tokio::test(start_paused = true)]
    async fn the_window_is_counted_from_the_first_event() {
        let limiter = Limiter::new(Duration::from_secs(300));
        assert!(limiter.take(key(1)).first);
        tokio::time::advance(Duration::from_secs(200)).await;
        let again = limiter.take(key(1));
        assert_eq!((again.first, again.resets_in), (false, Duration::from_secs(100)));
        assert!(limiter.take(key(2)).first);
        tokio::time::advance(Duration::from_secs(100)).await;
        assert!(limiter.take(key(1)).first, "it does not slide");
        assert!(!limiter.take(key(2)).first);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded() {
        let limiter = Limiter::new(Duration::from_secs(300));
        for n in 0..(MAX_KEYS as u32 * 2) {
            if n % 1000 == 0 {
                tokio::time::advance(Duration::from_millis(1)).await;
            }
            assert!(limiter.take(key(n)).first);
            assert!(limiter.state.lock().until.len() <= MAX_KEYS);
        }
    }
}
