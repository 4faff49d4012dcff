//! What the program does with the calls that it is handed: whether some of them wait, and for how long nothing has come back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// The calls that wait for the head of an answer.
#[derive(Clone, Debug)]
pub struct Calls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    waiting: AtomicUsize,
    /// Since when this is counted.
    began: Instant,
    /// When the program last showed that it lives, or the first of those came that wait: in milliseconds since then.
    sign: AtomicU64,
}

/// Counts as a call that waits.
#[derive(Debug)]
pub struct Waiting(Calls);

impl Default for Calls {
    fn default() -> Self {
        Self(Arc::new(Inner { waiting: AtomicUsize::new(0), began: Instant::now(), sign: AtomicU64::new(0) }))
    }
}

impl Calls {
    /// One more is handed to the program.
    pub fn begin(&self) -> Waiting {
        if self.0.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            self.sign_of_life();
        }
        Waiting(self.clone())
    }

    /// The program lives.
    pub fn sign_of_life(&self) {
        self.0.sign.store(self.now(), Ordering::Relaxed);
    }

    /// For how long calls have waited and nothing has come back; zero while none waits.
    pub fn silent_for(&self) -> Duration {
        if self.0.waiting.load(Ordering::Relaxed) == 0 {
            return Duration::ZERO;
        }
        Duration::from_millis(self.now().saturating_sub(self.0.sign.load(Ordering::Relaxed)))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Waiting {
    /// It was answered.
    pub fn answered(self) {
        self.0.sign_of_life();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_program_is_silent_while_calls_wait_and_none_is_answered() {
        let calls = Calls::default();
        let second = Duration::from_secs(1);
        tokio::time::advance(second).await;
        assert_eq!(calls.silent_for(), Duration::ZERO, "nobody waits");
        let (one, two) = (calls.begin(), calls.begin());
        tokio::time::advance(second).await;
        assert_eq!(calls.silent_for(), second);
        two.answered();
        assert_eq!(calls.silent_for(), Duration::ZERO);
        tokio::time::advance(second).await;
        assert_eq!(calls.silent_for(), second, "the other still waits");
        drop(one);
        assert_eq!(calls.silent_for(), Duration::ZERO, "it went away");
    }
}
