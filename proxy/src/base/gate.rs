//! How many may be in at once. Whoever passes counts until the pass is dropped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// A bound on how many are in, and a memory of when somebody last came or went.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    inside: AtomicUsize,
    opened: Instant,
    /// Milliseconds since it opened.
    last: AtomicU64,
}

/// Counts as one who is in.
#[derive(Debug)]
pub struct Pass(Gate);

impl Gate {
    /// At most `most` at once.
    pub fn new(most: usize) -> Self {
        let inner = Inner { most, inside: AtomicUsize::new(0), opened: Instant::now(), last: AtomicU64::new(0) };
        Self(Arc::new(inner))
    }

    /// Lets one more in. `None`: there are too many.
    pub fn enter(&self) -> Option<Pass> {
        let most = self.0.most;
        let one_more = |inside| (inside < most).then_some(inside + 1);
        self.0.inside.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        self.note();
        Some(Pass(self.clone()))
    }

    /// How many may be in.
    pub fn most(&self) -> usize {
        self.0.most
    }

    /// How many are in.
    pub fn inside(&self) -> usize {
        self.0.inside.load(Ordering::Relaxed)
    }

    /// For how long nobody has been in; zero while somebody is.
    pub fn quiet_for(&self) -> Duration {
        if self.inside() > 0 {
            return Duration::ZERO;
        }
        self.0.opened.elapsed().saturating_sub(Duration::from_millis(self.0.last.load(Ordering::Relaxed)))
    }

    fn note(&self) {
        let now = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last.store(now, Ordering::Relaxed);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.note();
        self.0.0.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lets_no_more_in_than_fit_and_knows_when_it_was_quiet() {
        let gate = Gate::new(2);
        let (one, two) = (gate.enter().unwrap(), gate.enter().unwrap());
        assert!(gate.enter().is_none());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(gate.quiet_for(), Duration::ZERO);
        drop(one);
        assert_eq!(gate.inside(), 1);
        drop(two);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(gate.quiet_for(), Duration::from_secs(3));
    }
}
