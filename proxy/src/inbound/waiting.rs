//! Callers that have not proved yet who they are. They are few, so that strangers take nothing from members: neither the
//! places of those who are in, nor, by staying, the way in.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until},
};

/// One caller may wait for so many connections that there may be.
const SHARE: usize = 10;

/// So many may wait in any case.
const LEAST: usize = 16;

/// How long a caller has its place for certain. A proof takes milliseconds; when many come at once, those who are about to
/// prove themselves must not make room for those who have only just begun. These wait in the queue of the system.
const TURN: Duration = Duration::from_secs(1);

/// Where they wait, in the order in which they came.
pub struct Waiting {
    most: usize,
    places: Mutex<VecDeque<Taken>>,
    ids: AtomicU64,
    /// Somebody has left.
    left: Notify,
    gauge: Gauge,
}

struct Taken {
    id: u64,
    since: Instant,
    put_out: oneshot::Sender<()>,
}

/// The place of one caller, for as long as it is held.
pub struct Place {
    waiting: Arc<Waiting>,
    id: u64,
    put_out: oneshot::Receiver<()>,
}

impl Waiting {
    /// Nobody waits yet, for one of so many connections. Those who do are counted by `gauge`.
    pub fn new(connections: usize, gauge: Gauge) -> Self {
        let most = (connections / SHARE).max(LEAST);
        Self { most, places: Mutex::default(), ids: AtomicU64::new(0), left: Notify::new(), gauge }
    }

    /// Gives a place to a caller, if need be that of whoever has been there for longest.
    pub async fn enter(self: &Arc<Self>) -> Place {
        while let Some(turn_ends) = self.make_room() {
            tokio::select! {
                () = sleep_until(turn_ends) => {}
                () = self.left.notified() => {}
            }
        }
        let (sender, receiver) = oneshot::channel();
        let mut places = self.places();
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        places.push_back(Taken { id, since: Instant::now(), put_out: sender });
        self.gauge.inc();
        Place { waiting: self.clone(), id, put_out: receiver }
    }

    /// When to try again, if there is no room and none can be made.
    fn make_room(&self) -> Option<Instant> {
        let mut places = self.places();
        let turn_ends = places.front()?.since + TURN;
        if places.len() < self.most {
            return None;
        }
        if Instant::now() < turn_ends {
            return Some(turn_ends);
        }
        if let Some(Taken { put_out, .. }) = places.pop_front() {
            // Nobody hears it who is just leaving.
            let _ = put_out.send(());
        }
        None
    }

    fn places(&self) -> MutexGuard<'_, VecDeque<Taken>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Returns when it has to make room.
    pub async fn put_out(&mut self) {
        if (&mut self.put_out).await.is_err() {
            pending::<()>().await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.waiting.places();
        // Who was put out has no place any more.
        if let Ok(at) = places.binary_search_by_key(&self.id, |taken| taken.id) {
            places.remove(at);
        }
        drop(places);
        self.waiting.gauge.dec();
        self.waiting.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::uncounted;

    #[tokio::test(start_paused = true)]
    async fn whoever_has_had_its_turn_makes_room_and_nobody_before() {
        let waiting = Arc::new(Waiting::new(200, uncounted()));
        let mut places = VecDeque::new();
        for _ in 0..20 {
            places.push_back(waiting.enter().await);
        }
        let began = Instant::now();
        places.push_back(waiting.enter().await);
        assert_eq!(began.elapsed(), TURN);
        places.pop_front().unwrap().put_out().await;
        assert_eq!(waiting.places().len(), 20);
        let waits = tokio::spawn({
            let waiting = waiting.clone();
            async move { waiting.enter().await.id }
        });
        drop(places.pop_back());
        waits.await.unwrap();
        assert_eq!(waiting.places().len(), 19);
        places.clear();
        assert_eq!((waiting.places().len(), waiting.gauge.get()), (0, 0));
    }
}
