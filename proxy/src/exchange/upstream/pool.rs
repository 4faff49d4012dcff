//! Connections that can be used again. Bounded in number, in idleness and in age: certificates must turn over, and no
//! connection is used for longer than the certificates are good on which it rests.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
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
    base::published::Published,
    config::cluster::Security,
    http::Connection,
    identity::{credentials::Credentials, proof::Proof},
    message::Version,
    telemetry::metrics::Metrics,
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
    /// Where others like it are.
    slot: Arc<Slot>,
}

/// How long a connection is used.
#[derive(Clone)]
struct Life {
    born: Instant,
    /// When the first of the proofs ends on which it rests.
    ends: Option<SystemTime>,
    /// What the other side proved.
    proof: Option<Arc<Proof>>,
}

/// Connections by target.
pub struct Pool {
    targets: Mutex<HashMap<Target, Arc<Slot>>>,
    identity: Arc<Published<Credentials>>,
    metrics: Arc<Metrics>,
    ids: AtomicU64,
    /// How many connections are kept, and how many may be, whatever they lead to.
    kept: Arc<AtomicUsize>,
    most: usize,
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
    _kept: Kept,
}

/// Counts a connection while it is kept.
struct Kept(Arc<AtomicUsize>);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a connection while it lives.
pub struct Counted(Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Pool {
    /// An empty pool, in which no more than `most` connections are kept.
    pub fn new(identity: Arc<Published<Credentials>>, metrics: Arc<Metrics>, most: usize) -> Self {
        Self { targets: Mutex::default(), identity, metrics, ids: AtomicU64::new(0), kept: Arc::default(), most }
    }

    /// A connection to `target`: one that is there, or one that `open` makes. Waiting for somebody else who makes one
    /// ends after `limit`. `alone`: one that takes a request at a time has to be new.
    pub async fn get<F>(
        &self,
        target: &Target,
        alone: bool,
        limit: Duration,
        open: impl FnOnce(Counted) -> F,
    ) -> Result<Lease, ConnectFault>
    where
        F: Future<Output = Result<Opened, ConnectFault>>,
    {
        let slot = self.slot(target);
        let is_shared = target.version == Version::HTTP_2;
        if let Some(lease) = (is_shared || !alone).then(|| slot.take(&self.identity.now())).flatten() {
            return Ok(lease);
        }
        let _making = if is_shared {
            let making = timeout(limit, slot.making.lock()).await.map_err(|_| ConnectFault::Timeout)?;
            if let Some(lease) = slot.take(&self.identity.now()) {
                return Ok(lease);
            }
            Some(making)
        } else {
            None
        };
        let Opened { connection, ends, proof } = open(self.counted()).await?;
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let (born, place) = (Instant::now(), Arc::default());
        let life = Life { born, ends, proof };
        let lease = Lease { connection, reused: false, place, life: life.clone(), id, slot: slot.clone() };
        if let Some(connection) = lease.connection.share() {
            self.make_room();
            let (places, longest) = (lease.place.clone(), LONGEST_IDLE_HTTP2);
            // Others share it from now on: it is kept even where there is no room.
            slot.idle().push(Idle { connection, places, life, since: born, longest, id, _kept: self.one_more() });
        }
        Ok(lease)
    }

    /// A connection that has done its work. One that takes a request at a time is kept once the response is read.
    pub fn give_back(self: &Arc<Self>, target: &Target, mut lease: Lease) {
        if target.version == Version::HTTP_2 || !lease.life.goes_on(&self.identity.now()) {
            return;
        }
        let pool = self.clone();
        let longest = match target.security {
            Security::Plaintext => LONGEST_IDLE_PROGRAM,
            Security::MutualTls(_) => LONGEST_IDLE_SIDECAR,
        };
        tokio::spawn(async move {
            if lease.connection.ready().await && pool.make_room() {
                let Lease { connection, life, id, slot, .. } = lease;
                let (places, since) = (Arc::default(), Instant::now());
                let mut idle = slot.idle();
                if idle.len() < MOST_IDLE {
                    idle.push(Idle { connection, places, life, since, longest, id, _kept: pool.one_more() });
                }
            }
        });
    }

    /// A connection that was closed.
    pub fn forget(lease: &Lease) {
        lease.slot.idle().retain(|idle| idle.id != lease.id);
    }

    /// Something was waited for in vain on a connection. Whether others to the same place lead anywhere nobody knows: nothing
    /// new is sent on them.
    pub fn suspect(lease: &Lease) {
        lease.slot.idle().clear();
    }

    /// Sees to it that one more may be kept: if there are too many, the one goes that nobody has used for longest. `false`:
    /// all of them are in use.
    fn make_room(&self) -> bool {
        if self.kept.load(Ordering::Relaxed) < self.most {
            return true;
        }
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = |slot: &Arc<Slot>| {
            let idle = slot.idle();
            let unused = idle.iter().filter(|idle| idle.carried() == 0);
            unused.map(|idle| (idle.since, idle.id)).min().map(|(since, id)| (since, id, slot.clone()))
        };
        let Some((_, id, slot)) = targets.values().filter_map(oldest).min_by_key(|&(since, id, _)| (since, id)) else {
            return false;
        };
        slot.idle().retain(|idle| idle.id != id);
        true
    }

    fn one_more(&self) -> Kept {
        self.kept.fetch_add(1, Ordering::Relaxed);
        Kept(self.kept.clone())
    }

    fn slot(&self, target: &Target) -> Arc<Slot> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = targets.get(target) {
            return slot.clone();
        }
        targets.entry(target.clone()).or_default().clone()
    }

    fn counted(&self) -> Counted {
        self.metrics.upstream_connections.inc();
        Counted(self.metrics.upstream_connections.clone())
    }

    fn tidy(&self) {
        let us = self.identity.now();
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.retain(|_, slot| {
            slot.idle().retain(|idle| idle.is_fresh(&us));
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
    fn take(self: &Arc<Self>, us: &Credentials) -> Option<Lease> {
        let mut idle = self.idle();
        idle.retain(|idle| idle.connection.is_ready() && idle.is_fresh(us));
        let at = idle.iter().rposition(Idle::has_room)?;
        if let Some(connection) = idle[at].connection.share() {
            let shared = &mut idle[at];
            shared.since = Instant::now();
            return Some(Lease {
                connection,
                reused: true,
                place: shared.places.clone(),
                life: shared.life.clone(),
                id: shared.id,
                slot: self.clone(),
            });
        }
        let Idle { connection, places: place, life, id, .. } = idle.remove(at);
        Some(Lease { connection, reused: true, place, life, id, slot: self.clone() })
    }
}

impl Life {
    /// Whether anything new is sent on it by `us`.
    fn goes_on(&self, us: &Credentials) -> bool {
        self.born.elapsed() < OLDEST
            && self.ends.is_none_or(|end| SystemTime::now() + MARGIN < end)
            && self.proof.as_ref().is_none_or(|proof| proof.holds(us))
    }
}

impl Idle {
    fn is_fresh(&self, us: &Credentials) -> bool {
        self.since.elapsed() < self.longest && self.life.goes_on(us)
    }

    fn has_room(&self) -> bool {
        self.carried() < self.connection.most()
    }

    /// How many requests are on their way on it.
    fn carried(&self) -> usize {
        Arc::strong_count(&self.places) - 1
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
