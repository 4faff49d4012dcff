//! One request, counted once, when it is over: however it ends, and whoever ends it. A record goes with the request, then
//! with the body of its answer, and counts when it is dropped.

use std::sync::Arc;

use crate::telemetry::metrics::{Metrics, Outcome};

/// What is known of a request so far.
pub struct Record {
    metrics: Arc<Metrics>,
    side: Side,
    outcome: Outcome,
}

/// On which side of its program a sidecar has seen a request.
enum Side {
    /// A caller's.
    Inbound,
    /// The program's: which service it called, and which backend was chosen.
    Outbound { service: Option<Arc<str>>, backend: Option<Arc<str>> },
}

impl Record {
    /// A caller's request.
    pub fn inbound(metrics: Arc<Metrics>) -> Self {
        Self { metrics, side: Side::Inbound, outcome: Outcome::Gone }
    }

    /// A request of the program.
    pub fn outbound(metrics: Arc<Metrics>) -> Self {
        let side = Side::Outbound { service: None, backend: None };
        Self { metrics, side, outcome: Outcome::Gone }
    }

    /// It calls this service, which exists: names that are no resource's are no labels, for the program could make up any
    /// number of them.
    pub fn calls(&mut self, authority: Arc<str>) {
        if let Side::Outbound { service, .. } = &mut self.side {
            *service = Some(authority);
        }
    }

    /// It goes to this backend, which a route names.
    pub fn goes_to(&mut self, name: Arc<str>) {
        if let Side::Outbound { backend, .. } = &mut self.side {
            *backend = Some(name);
        }
    }

    /// It is answered with this. For what is answered here, that is what the answer means: gRPC's errors look like 200.
    pub fn answered(&mut self, status: u16) {
        self.outcome = Outcome::Status(status);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        match &self.side {
            Side::Inbound => self.metrics.inbound_request(self.outcome),
            Side::Outbound { service, backend } => {
                let service = service.as_deref().unwrap_or("unknown");
                let backend = backend.as_deref().unwrap_or("none");
                self.metrics.outbound_request(service, backend, self.outcome);
            }
        }
    }
}
