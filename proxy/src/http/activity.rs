//! When something of a request last moved, in whichever direction: how a request that stands still is told from a long one.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// Shared by both directions of a request.
#[derive(Clone, Debug)]
pub struct Activity {
    began: Instant,
    /// Milliseconds since it began; [`OVER`] when nothing is to move any more.
    last: Arc<AtomicU64>,
    /// Whether a body of it broke off.
    broken: Arc<AtomicBool>,
}

/// Long after everything.
const OVER: u64 = u64::MAX;

impl Default for Activity {
    fn default() -> Self {
        Self { began: Instant::now(), last: Arc::default(), broken: Arc::default() }
    }
}

impl Activity {
    /// Something moves.
    pub fn touch(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(OVER - 1);
        // What is finished stays so.
        self.last.fetch_max(now, Ordering::Relaxed);
    }

    /// Nothing will move any more, and need not.
    pub fn finish(&self) {
        self.last.store(OVER, Ordering::Relaxed);
    }

    /// A body broke off before its end, or cannot be read.
    pub fn break_off(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// Whether a body broke off: before there is an answer, that is the caller's.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Returns when nothing has moved for so long; with no timeout, or if it finishes before, never.
    pub async fn ceased(self, timeout: Option<Duration>) {
        let Some(timeout) = timeout else { return pending().await };
        loop {
            let last = self.last.load(Ordering::Relaxed);
            if last == OVER {
                return pending().await;
            }
            let end = self.began + Duration::from_millis(last) + timeout;
            if Instant::now() >= end {
                return;
            }
            sleep_until(end).await;
        }
    }
}
