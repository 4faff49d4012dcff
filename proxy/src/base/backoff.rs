//! How long to wait before the next try: twice as long each time, within bounds, and never all at the same moment.

use std::time::Duration;

/// Waits that grow.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// From `first` up to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// How long to wait after one more failure. `chance`, from 0 to 1, takes up to half of it off.
    pub fn after_failure(&mut self, chance: f64) -> Duration {
        let factor = 2_u32.saturating_pow(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.first.saturating_mul(factor).min(self.longest).mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
    }

    /// Something went well: the next wait is the first one again.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::chance;

    #[test]
    fn doubles_up_to_the_longest_and_begins_again() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(50));
        let waits: Vec<u128> = (0..5).map(|_| backoff.after_failure(0.0).as_millis()).collect();
        assert_eq!(waits, [10, 20, 40, 50, 50]);
        assert_eq!(backoff.after_failure(1.0).as_millis(), 25);
        for _ in 0..100 {
            assert!(backoff.after_failure(chance::fraction()).as_millis() <= 50);
        }
        backoff.reset();
        assert_eq!(backoff.after_failure(0.0).as_millis(), 10);
    }
}
