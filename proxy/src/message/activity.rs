//! When something of a request last moved, in whichever direction: how a request that stands still is told from a long one.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::base::ledger::{Account, Holder};

/// Shared by both directions of a request.
#[derive(Clone, Debug)]
pub struct Activity(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    began: Instant,
    /// Milliseconds since it began; [`OVER`] when nothing is to move any more.
    last: AtomicU64,
    /// What holds what has come of its bodies and has not gone on.
    holder: Option<Arc<Holder>>,
    /// Whether a body of it broke off.
    broken: AtomicBool,
    given_up: AtomicBool,
    to_give_up: Notify,
}

/// How long a message may stand still, unless it is given up before.
#[derive(Clone, Debug)]
pub struct Deadline {
    /// When it last moved.
    pub activity: Activity,
    /// How long it may stand still; none: for any time.
    pub timeout: Option<Duration>,
}

/// Long after everything.
const OVER: u64 = u64::MAX;

impl Default for Activity {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Activity {
    /// Of a request of whoever has this account.
    pub fn of(account: Arc<Account>) -> Self {
        Self::new(Some(Holder::of(account)))
    }

    fn new(holder: Option<Arc<Holder>>) -> Self {
        Self(Arc::new(Inner {
            began: Instant::now(),
            last: AtomicU64::new(0),
            holder,
            broken: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
            to_give_up: Notify::new(),
        }))
    }

    /// Something moves.
    pub fn touch(&self) {
        let now = u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(OVER - 1);
        // What is finished stays so.
        self.0.last.fetch_max(now, Ordering::Relaxed);
    }

    /// Nothing will move any more, and need not.
    pub fn finish(&self) {
        self.0.last.store(OVER, Ordering::Relaxed);
    }

    /// A body broke off before its end, or cannot be read.
    pub fn break_off(&self) {
        self.0.broken.store(true, Ordering::Relaxed);
    }

    /// Whether a body broke off: before there is an answer, that is the caller's.
    pub fn is_broken(&self) -> bool {
        self.0.broken.load(Ordering::Relaxed)
    }

    /// When it last moved. None: it is finished.
    pub fn moved_at(&self) -> Option<Instant> {
        match self.0.last.load(Ordering::Relaxed) {
            OVER => None,
            last => Some(self.0.began + Duration::from_millis(last)),
        }
    }

    /// What holds the bytes of its bodies, if anybody counts them.
    pub fn holder(&self) -> Option<&Arc<Holder>> {
        self.0.holder.as_ref()
    }

    /// It is not to go on, whether it moves or not.
    pub fn give_up(&self) {
        self.0.given_up.store(true, Ordering::Relaxed);
        self.0.to_give_up.notify_waiters();
    }

    /// Whether it was given up.
    pub fn is_given_up(&self) -> bool {
        self.0.given_up.load(Ordering::Relaxed)
    }

    /// Returns when nothing has moved for so long, or when it is given up; if it finishes before, never.
    pub async fn ceased(self, timeout: Option<Duration>) {
        loop {
            let to_give_up = self.0.to_give_up.notified();
            if self.is_given_up() {
                return;
            }
            let last = self.0.last.load(Ordering::Relaxed);
            if last == OVER {
                return pending().await;
            }
            let end =
                timeout.and_then(|timeout| self.0.began.checked_add(Duration::from_millis(last))?.checked_add(timeout));
            let stood_still = async {
                match end {
                    Some(end) => sleep_until(end).await,
                    None => pending().await,
                }
            };
            if end.is_some_and(|end| Instant::now() >= end) {
                return;
            }
            tokio::select! {
                () = to_give_up => {}
                () = stood_still => {}
            }
        }
    }
}
