//! Who looks. There are few places, and whoever has asked for nothing for longest makes room: nobody who only stays keeps
//! probes out.

use std::{
    future::pending,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::oneshot;

use crate::base::gate::Gate;

/// Those who are there.
pub struct Visitors {
    most: usize,
    /// In the order in which they came.
    there: Mutex<Vec<There>>,
    ids: AtomicU64,
}

struct There {
    id: u64,
    /// What it has asked for and was not answered yet.
    questions: Gate,
    put_out: oneshot::Sender<()>,
}

/// One who is there, until it is dropped.
pub struct Visitor {
    /// What it asks for passes here.
    pub questions: Gate,
    visitors: Arc<Visitors>,
    id: u64,
    put_out: oneshot::Receiver<()>,
}

impl Visitors {
    /// Places for so many.
    pub fn new(most: usize) -> Self {
        Self { most, there: Mutex::default(), ids: AtomicU64::new(0) }
    }

    /// Lets one more in. If need be, another one is put out.
    pub fn enter(self: &Arc<Self>) -> Visitor {
        let questions = Gate::new(usize::MAX);
        let (put_out, receiver) = oneshot::channel();
        let mut there = self.there();
        if there.len() >= self.most
            && let Some(at) = longest_silent(&there)
        {
            // Nobody hears it who is just leaving.
            let _ = there.remove(at).put_out.send(());
        }
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        there.push(There { id, questions: questions.clone(), put_out });
        Visitor { questions, visitors: self.clone(), id, put_out: receiver }
    }

    fn there(&self) -> MutexGuard<'_, Vec<There>> {
        self.there.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who has been silent for longest; of several, who came first. Whoever does not take its answer counts like one who has
/// just asked, and goes last.
fn longest_silent(there: &[There]) -> Option<usize> {
    let silence = |at: &usize| there[*at].questions.quiet_for();
    (0..there.len()).rev().max_by_key(silence)
}

impl Visitor {
    /// Returns when it has to make room.
    pub async fn put_out(&mut self) {
        if (&mut self.put_out).await.is_err() {
            pending::<()>().await;
        }
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        // Who was put out is not there any more.
        self.visitors.there().retain(|there| there.id != self.id);
    }
}

/// How long a head may take to come.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_was_silent_for_longest_makes_room() {
        let visitors = Arc::new(Visitors::new(3));
        let second = Duration::from_secs(1);
        let mut first = visitors.enter();
        tokio::time::advance(second).await;
        let mut asks = visitors.enter();
        let question = asks.questions.enter();
        tokio::time::advance(second).await;
        let mut third = visitors.enter();
        tokio::time::advance(second).await;
        drop(first.questions.enter());
        tokio::time::advance(second).await;
        let _fourth = visitors.enter();
        third.put_out().await;
        let _fifth = visitors.enter();
        first.put_out().await;
        drop((first, third, question));
        assert_eq!(visitors.there().len(), 3);
        tokio::time::advance(second).await;
        let _sixth = visitors.enter();
        let _seventh = visitors.enter();
        drop(visitors.enter());
        asks.put_out().await;
    }
}
