//! When something of a request last moved, in whichever direction: how a request that stands still is told from a long one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// Shared by both directions of a request.
#[derive(Clone, Debug)]
pub struct Activity {
    began: Instant,
    /// Milliseconds since it began.
    last: Arc<AtomicU64>,
}

impl Default for Activity {
    fn default() -> Self {
        Self { began: Instant::now(), last: Arc::default() }
    }
}

impl Activity {
    /// Something moves.
    pub fn touch(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// Returns when nothing has moved for so long; with no timeout, never.
    pub async fn ceased(self, timeout: Option<Duration>) {
        let Some(timeout) = timeout else { return std::future::pending().await };
        loop {
            let end = self.began + Duration::from_millis(self.last.load(Ordering::Relaxed)) + timeout;
            if Instant::now() >= end {
                return;
            }
            sleep_until(end).await;
        }
    }
}
