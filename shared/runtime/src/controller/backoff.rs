//! How long to wait: after failures (exponentially, per object) and between intervals (with jitter).

use std::time::Duration;

/// Exponential delays per object, from `min`, doubling up to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Delay after the first failure.
    pub min: Duration,
    /// Upper bound of the delay.
    pub max: Duration,
}

impl Default for Backoff {
    /// Flux's `--min-retry-delay` and `--max-retry-delay`.
    fn default() -> Self {
        Self { min: Duration::from_millis(750), max: Duration::from_secs(15 * 60) }
    }
}

impl Backoff {
    /// The delay after `failures` failures in a row before this one.
    pub fn delay(&self, failures: u32) -> Duration {
        let factor = 1u32.checked_shl(failures).unwrap_or(u32::MAX);
        self.min.checked_mul(factor).map_or(self.max, |delay| delay.min(self.max))
    }
}

/// An interval moved at random by at most `percent` to either side, evenly distributed.
pub fn jittered(interval: Duration, percent: u8) -> Duration {
    let share = f64::from(percent.min(99)) / 100.0;
    if share == 0.0 {
        return interval;
    }
    interval.mul_f64(1.0 - share + 2.0 * share * rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum() {
        let backoff = Backoff { min: Duration::from_millis(750), max: Duration::from_secs(900) };
        for (failures, want) in
            [(0, 750), (1, 1_500), (2, 3_000), (10, 768_000), (11, 900_000), (31, 900_000), (500, 900_000)]
        {
            assert_eq!(backoff.delay(failures), Duration::from_millis(want), "{failures} failures");
        }
    }

    #[test]
    fn jitter_stays_within_its_percentage() {
        let interval = Duration::from_secs(100);
        assert_eq!(jittered(interval, 0), interval);
        let drawn: Vec<Duration> = (0..200).map(|_| jittered(interval, 5)).collect();
        assert!(drawn.iter().all(|d| (95.0..=105.0).contains(&d.as_secs_f64())), "{drawn:?}");
        assert!(drawn.iter().any(|d| *d < interval) && drawn.iter().any(|d| *d > interval));
    }
}
