//! Connections that can be used again. Bounded in number, in idleness and in age: certificates must turn over, and no
//! connection is used for longer than the certificates are good on which it rests.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    sync::Mutex as AsyncMutex,
    time::{Instant, timeout},
};

use super::{ConnectFault, Target, connect::Opened};
use crate::{
    config::cluster::Security,
    http::{Connection, Version},
    metrics::Metrics,
};

/// How many idle HTTP/1.1 connections are kept for one target.
const MOST_IDLE: usize = 128;

/// How long an HTTP/1.1 connection to a program may be idle. Less than programs wait (Node: 5 s), so that they do not hang
/// up just when a request is on its way.
const LONGEST_IDLE_PROGRAM: Duration = Duration::from_secs(3);

/// How long an HTTP/1.1 connection to a sidecar may be idle. Less than our own listeners wait for a head.
const LONGEST_IDLE_SIDECAR: Duration = Duration::from_secs(20);

/// How long an HTTP/2 connection may be without a new request; those that it has go on, and its end is announced.
const LONGEST_IDLE_HTTP2: Duration = Duration::from_mins(5);

/// How old a connection may grow.
const OLDEST: Duration = Duration::from_hours(1);

/// How long before the end of a proof nothing new is sent on the connections that rest on it: it has to arrive before.
const MARGIN: Duration = Duration::from_secs(5);

/// How often the pool is tidied.
const TIDY: Duration = Duration::from_secs(5);

/// A connection that is in use.
pub struct Lease {
    /// The connection.
    pub connection: Connection,
    /// Whether it was in use before: then it may have been closed meanwhile.
    pub reused: bool,
    /// A place on it for one request, taken for as long as this or a clone of it is held.
    pub place: Arc<()>,
    life: Life,
    id: u64,
}

/// How long a connection is used.
#[derive(Clone, Copy)]
struct Life {
    born: Instant,
    /// When the first of the proofs ends on which it rests.
    ends: Option<SystemTime>,
}

/// Connections by target.
pub struct Pool {
    targets: Mutex<HashMap<Target, Arc<Slot>>>,
    metrics: Arc<Metrics>,
    ids: AtomicU64,
}

/// The connections to one target.
#[derive(Default)]
struct Slot {
    idle: Mutex<Vec<Idle>>,
    /// Held while an HTTP/2 connection is made: a burst of requests makes no more than it needs.
    making: AsyncMutex<()>,
}

struct Idle {
    connection: Connection,
    /// One clone for every request that it carries.
    places: Arc<()>,
    life: Life,
    since: Instant,
    /// How long it may be idle.
    longest: Duration,
    id: u64,
}

/// Counts a connection while it lives.
pub struct Counted(Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Pool {
    /// An empty pool.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { targets: Mutex::default(), metrics, ids: AtomicU64::new(0) }
    }

    /// A connection to `target`: one that is there, or one that `open` makes. Waiting for somebody else who makes one
    /// ends after `limit`.
    pub async fn get<F>(
        &self,
        target: &Target,
        limit: Duration,
        open: impl FnOnce(Counted) -> F,
    ) -> Result<Lease, ConnectFault>
    where
        F: Future<Output = Result<Opened, ConnectFault>>,
    {
        let slot = self.slot(target);
        if let Some(lease) = slot.take() {
            return Ok(lease);
        }
        let _making = if target.version == Version::HTTP_2 {
            let making = timeout(limit, slot.making.lock()).await.map_err(|_| ConnectFault::Timeout)?;
            if let Some(lease) = slot.take() {
                return Ok(lease);
            }
            Some(making)
        } else {
            None
        };
        let Opened { connection, ends } = open(self.counted()).await?;
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let (born, place) = (Instant::now(), Arc::default());
        let life = Life { born, ends };
        let lease = Lease { connection, reused: false, place, life, id };
        if let Some(connection) = lease.connection.share() {
            let places = lease.place.clone();
            slot.keep(Idle { connection, places, life, since: born, longest: LONGEST_IDLE_HTTP2, id });
        }
        Ok(lease)
    }

    /// A connection that has done its work. One that takes a request at a time is kept once the response is read.
    pub fn give_back(&self, target: &Target, mut lease: Lease) {
        if target.version == Version::HTTP_2 || !lease.life.goes_on() {
            return;
        }
        let slot = self.slot(target);
        let longest = match target.security {
            Security::Plaintext => LONGEST_IDLE_PROGRAM,
            Security::MutualTls(_) => LONGEST_IDLE_SIDECAR,
        };
        tokio::spawn(async move {
            if lease.connection.ready().await {
                let Lease { connection, life, id, .. } = lease;
                slot.keep(Idle { connection, places: Arc::default(), life, since: Instant::now(), longest, id });
            }
        });
    }

    /// A connection that was closed.
    pub fn forget(&self, target: &Target, lease: &Lease) {
        self.slot(target).idle().retain(|idle| idle.id != lease.id);
    }

    fn slot(&self, target: &Target) -> Arc<Slot> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        match targets.entry(target.clone()) {
            Entry::Occupied(slot) => slot.get().clone(),
            Entry::Vacant(vacant) => vacant.insert(Arc::default()).clone(),
        }
    }

    fn counted(&self) -> Counted {
        self.metrics.upstream_connections.inc();
        Counted(self.metrics.upstream_connections.clone())
    }

    fn tidy(&self) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.retain(|_, slot| {
            slot.idle().retain(Idle::is_fresh);
            // Somebody else who holds the slot is about to use it.
            Arc::strong_count(slot) > 1 || !slot.idle().is_empty()
        });
        targets.shrink_to_fit();
    }
}

impl Slot {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last connection that has room: the others may grow old.
    fn take(&self) -> Option<Lease> {
        let mut idle = self.idle();
        idle.retain(|idle| idle.connection.is_ready() && idle.is_fresh());
        let at = idle.iter().rposition(Idle::has_room)?;
        if let Some(connection) = idle[at].connection.share() {
            let shared = &mut idle[at];
            shared.since = Instant::now();
            return Some(Lease {
                connection,
                reused: true,
                place: shared.places.clone(),
                life: shared.life,
                id: shared.id,
            });
        }
        let Idle { connection, places: place, life, id, .. } = idle.remove(at);
        Some(Lease { connection, reused: true, place, life, id })
    }

    fn keep(&self, connection: Idle) {
        let mut idle = self.idle();
        if idle.len() < MOST_IDLE {
            idle.push(connection);
        }
    }
}

impl Life {
    fn goes_on(self) -> bool {
        self.born.elapsed() < OLDEST && self.ends.is_none_or(|end| SystemTime::now() + MARGIN < end)
    }
}

impl Idle {
    fn is_fresh(&self) -> bool {
        self.since.elapsed() < self.longest && self.life.goes_on()
    }

    fn has_room(&self) -> bool {
        let carried = Arc::strong_count(&self.places) - 1;
        carried < self.connection.most()
    }
}

/// Closes what has been idle for too long, for as long as there is a pool.
pub async fn tidy(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(TIDY).await;
        let Some(pool) = pool.upgrade() else { return };
        pool.tidy();
    }
}
