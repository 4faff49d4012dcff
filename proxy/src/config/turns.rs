//! Whose turn it is at a route. The one thing in a snapshot that moves, and it moves for all who read it: a split is exact over
//! all requests that it decides, whichever snapshot they read and however often something else changes meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};

use super::split::Turn;

/// Numbers the requests of a route.
#[derive(Debug)]
pub struct Turns {
    next: AtomicU64,
    seed: u64,
}

impl Turns {
    /// Begins at 0. `seed` is chosen at random, so that no two routes go through their backends in step.
    pub const fn new(seed: u64) -> Self {
        Self { next: AtomicU64::new(0), seed }
    }

    /// For a route that says something new: it begins at 0 as well, and keeps its seed.
    #[must_use]
    pub const fn anew(&self) -> Self {
        Self::new(self.seed)
    }

    /// The turn of one request, which nobody else gets.
    pub fn take(&self) -> Turn {
        Turn { number: self.next.fetch_add(1, Ordering::Relaxed), seed: self.seed }
    }
}
