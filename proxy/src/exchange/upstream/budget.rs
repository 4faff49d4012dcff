//! How many requests may be sent once more of which nobody knows whether anything was done: a share of all, so that trouble
//! is never made worse by more than that share.

use std::sync::atomic::{AtomicU32, Ordering};

/// So many requests earn one more try.
const SHARE: u32 = 5;

/// So many tries can be saved up, and are there at the beginning.
const MOST: u32 = 256;

/// What has been earned, in parts of a try.
#[derive(Debug)]
pub struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(MOST * SHARE))
    }
}

impl Budget {
    /// A request is sent for the first time.
    pub fn earn(&self) {
        let more = |parts| (parts < MOST * SHARE).then_some(parts + 1);
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Whether one may be sent once more.
    pub fn spend(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |parts| parts.checked_sub(SHARE)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_made_worse_by_a_fifth_at_most() {
        let budget = Budget::default();
        let spent = (0..10_000).filter(|_| {
            budget.earn();
            budget.spend()
        });
        let most = 10_000 / usize::try_from(SHARE).unwrap() + usize::try_from(MOST).unwrap();
        assert!(spent.count().abs_diff(most) <= 1);
        assert!(!budget.spend(), "nothing is left");
    }
}
