//! One writer, many readers: whole values, swapped at once. Readers never wait; whoever must, hears of the next value.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

/// A value that is replaced whole.
#[derive(Debug)]
pub struct Published<T> {
    now: ArcSwap<T>,
    swapped: watch::Sender<()>,
}

impl<T: Default> Default for Published<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Published<T> {
    /// The first value.
    pub fn new(first: T) -> Self {
        Self { now: ArcSwap::from_pointee(first), swapped: watch::Sender::new(()) }
    }

    /// The newest value. A request asks once and keeps what it got.
    pub fn now(&self) -> Arc<T> {
        self.now.load_full()
    }

    /// Puts `next` in force.
    pub fn swap(&self, next: Arc<T>) {
        self.now.store(next);
        self.swapped.send_replace(());
    }

    /// Waits until `look` finds something in the newest value. Give it a deadline.
    pub async fn find<R>(&self, mut look: impl FnMut(&Arc<T>) -> Option<R>) -> R {
        let mut swapped = self.swapped.subscribe();
        loop {
            swapped.mark_unchanged();
            if let Some(found) = look(&self.now()) {
                return found;
            }
            // The sender is part of self: it lives as long as we wait.
            let _ = swapped.changed().await;
        }
    }

    /// Tells of every swap from now on.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.swapped.subscribe()
    }
}
