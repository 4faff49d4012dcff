//! One connection of bytes, counted and said once, when it is over: however it ends, and whoever ends it. A record goes with the
//! connection, and counts when it is dropped.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use tracing::debug;

use super::{
    connections::{Open, Side},
    metrics::Metrics,
};

/// What is known of a connection so far.
pub struct Connection {
    metrics: Arc<Metrics>,
    side: Side,
    began: Instant,
    meter: Option<Arc<Meter>>,
    result: &'static str,
    peer: Option<String>,
    rule: Option<String>,
    reason: Option<String>,
}

/// Counts what passes.
#[derive(Debug)]
pub struct Meter {
    open: Open,
    received: AtomicU64,
    sent: AtomicU64,
    name: OnceLock<String>,
}

impl Meter {
    /// So many bytes came from whoever opened the connection.
    pub fn received(&self, count: u64) {
        self.received.fetch_add(count, Ordering::Relaxed);
        self.open.received.inc_by(count);
    }

    /// So many bytes came for it.
    pub fn sent(&self, count: u64) {
        self.sent.fetch_add(count, Ordering::Relaxed);
        self.open.sent.inc_by(count);
    }

    /// Whom the TLS inside of it is for (SNI). It is said, and no label: whoever connects chooses it.
    pub fn names(&self, name: String) {
        // The first that was said holds.
        _ = self.name.set(name);
    }
}

impl Connection {
    /// A caller's, to this port of the program.
    pub fn inbound(metrics: Arc<Metrics>, port: u16) -> Self {
        Self::of(metrics, Side::Inbound(port))
    }

    /// One of the program.
    pub fn outbound(metrics: Arc<Metrics>) -> Self {
        Self::of(metrics, Side::Outbound { service: "unknown".into(), backend: "none".into() })
    }

    fn of(metrics: Arc<Metrics>, side: Side) -> Self {
        let (peer, rule, reason) = (None, None, None);
        // Until something else is known: whoever waited for it is gone.
        let result = "gone";
        Self { metrics, side, began: Instant::now(), meter: None, result, peer, rule, reason }
    }

    /// It calls this service, which exists: names that are no resource's are no labels.
    pub fn calls(&mut self, authority: Arc<str>) {
        if let Side::Outbound { service, .. } = &mut self.side {
            *service = authority;
        }
    }

    /// It goes to this backend, which the way to a service names.
    pub fn goes_to(&mut self, name: Arc<str>) {
        if let Side::Outbound { backend, .. } = &mut self.side {
            *backend = name;
        }
    }

    /// Who is at the other end.
    pub fn peer(&mut self, who: &impl fmt::Display) {
        self.peer = Some(who.to_string());
    }

    /// Why it may pass, or why not.
    pub fn rule(&mut self, rule: &impl fmt::Display) {
        self.rule = Some(rule.to_string());
    }

    /// It is open, and counted as that from now on.
    pub fn opened(&mut self) -> Arc<Meter> {
        let open = self.metrics.connections.open(&self.side);
        let meter =
            Arc::new(Meter { open, received: AtomicU64::new(0), sent: AtomicU64::new(0), name: OnceLock::new() });
        self.meter = Some(meter.clone());
        meter
    }

    /// It ends so: one word for machines.
    pub fn ends(&mut self, result: &'static str) {
        self.result = result;
    }

    /// The same, with words for people.
    pub fn ends_because(&mut self, result: &'static str, reason: &impl fmt::Display) {
        (self.result, self.reason) = (result, Some(reason.to_string()));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Self { side, began, result, peer, rule, reason, .. } = self;
        let meter = self.meter.take();
        let moved =
            |count: fn(&Meter) -> &AtomicU64| meter.as_deref().map(|meter| count(meter).load(Ordering::Relaxed));
        let (received, sent) = (moved(|meter| &meter.received), moved(|meter| &meter.sent));
        let name = meter.as_deref().and_then(|meter| meter.name.get());
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        debug!(?side, result, reason, peer, rule, name, received, sent, milliseconds, "a connection is over");
        self.metrics.connections.ended(side.clone(), result);
    }
}
