//! Bounds how often drift may wake an object.

use super::key::Key;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Passes that drift may ask for at once, per object.
const DRIFT_BURST: f64 = 10.0;
/// Time until drift may ask for one more.
const DRIFT_REFILL: Duration = Duration::from_secs(20);
/// Drift of several objects within this time counts as one.
const DRIFT_TOGETHER: Duration = Duration::from_millis(500);

/// Keeps an object and another controller from fighting over a field without end.
///
/// Drift may ask for a burst of passes, then for one now and then; the interval is what remains.
#[derive(Debug, Default)]
pub struct DriftBudget(Mutex<HashMap<Key, Budget>>);

#[derive(Debug)]
struct Budget {
    left: f64,
    last: Instant,
}

impl DriftBudget {
    /// Whether drift may ask for a pass now.
    pub fn spend(&self, key: &Key) -> bool {
        let now = Instant::now();
        let mut budgets = self.0.lock();
        if budgets.len() > 4096 {
            let full = DRIFT_REFILL.mul_f64(DRIFT_BURST);
            budgets.retain(|_, budget| now.duration_since(budget.last) < full);
        }
        let budget = budgets
            .entry(key.clone())
            .or_insert_with(|| Budget { left: DRIFT_BURST, last: now - DRIFT_TOGETHER });
        let elapsed = now.duration_since(budget.last);
        if elapsed < DRIFT_TOGETHER {
            return budget.left >= 0.0;
        }
        budget.left = (budget.left + elapsed.as_secs_f64() / DRIFT_REFILL.as_secs_f64()).min(DRIFT_BURST);
        budget.last = now;
        if budget.left < 1.0 {
            return false;
        }
        budget.left -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn drift_without_end_is_slowed_down() {
        let (budget, key) = (DriftBudget::default(), Key::new("ns", "a"));
        let mut passes = 0;
        for _ in 0..120 {
            passes += u32::from(budget.spend(&key));
            assert!(budget.spend(&Key::new("ns", "other")) || passes > 0);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert!((12..=18).contains(&passes), "{passes} passes in two minutes");
    }
}
