//! What is counted of connections of bytes: how many are open, how they ended, how much passed. All names begin with
//! `sluice_tcp`.

use std::sync::Arc;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The counters of connections of bytes.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    open: Family<Direction, Gauge>,
    inbound: Family<Inbound, Counter>,
    inbound_bytes: Family<InboundBytes, Counter>,
    outbound: Family<Outbound, Counter>,
    outbound_bytes: Family<OutboundBytes, Counter>,
    silent: Family<Port, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Port {
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Inbound {
    port: u16,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InboundBytes {
    port: u16,
    way: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outbound {
    service: Arc<str>,
    backend: Arc<str>,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutboundBytes {
    service: Arc<str>,
    backend: Arc<str>,
    way: &'static str,
}

/// On which side of its program a sidecar sees a connection, and at which of its places. Ports are the program's and names those of
/// resources that are held, so there are only so many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// A caller's, to this port of the program.
    Inbound(u16),
    /// The program's: which service it called, and which backend was chosen.
    Outbound {
        /// Of a name that is none, `unknown`.
        service: Arc<str>,
        /// Before there is one, `none`.
        backend: Arc<str>,
    },
}

/// Counts as a connection that is open, and what passes on it.
#[derive(Debug)]
pub struct Open {
    gauge: Gauge,
    /// From whoever opened it.
    pub received: Counter,
    /// To whoever opened it.
    pub sent: Counter,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

impl Connections {
    pub(super) fn counted_in(registry: &mut Registry) -> Self {
        let all = Self::default();
        let registry = registry.sub_registry_with_prefix("tcp");
        registry.register("open", "Open connections of bytes", all.open.clone());
        let help = "Connections of bytes from callers, by how they ended";
        registry.register("inbound_connections", help, all.inbound.clone());
        let help = "Bytes received from callers, and sent to them";
        registry.register("inbound_bytes", help, all.inbound_bytes.clone());
        let help = "Connections of bytes of the program, by how they ended";
        registry.register("outbound_connections", help, all.outbound.clone());
        let help = "Bytes received from the program, and sent to it";
        registry.register("outbound_bytes", help, all.outbound_bytes.clone());
        let help = "Callers that had said nothing when it was to be known what they speak";
        registry.register("inbound_silent", help, all.silent.clone());
        all
    }

    /// A connection is open.
    pub fn open(&self, side: &Side) -> Open {
        let direction = match side {
            Side::Inbound(_) => "inbound",
            Side::Outbound { .. } => "outbound",
        };
        let gauge = self.open.get_or_create(&Direction { direction }).clone();
        gauge.inc();
        let [received, sent] = ["received", "sent"].map(|way| match side.clone() {
            Side::Inbound(port) => self.inbound_bytes.get_or_create(&InboundBytes { port, way }).clone(),
            Side::Outbound { service, backend } => {
                self.outbound_bytes.get_or_create(&OutboundBytes { service, backend, way }).clone()
            }
        });
        Open { gauge, received, sent }
    }

    /// A connection is over.
    pub fn ended(&self, side: Side, result: &'static str) {
        match side {
            Side::Inbound(port) => self.inbound.get_or_create(&Inbound { port, result }).inc(),
            Side::Outbound { service, backend } => {
                self.outbound.get_or_create(&Outbound { service, backend, result }).inc()
            }
        };
    }

    /// A caller had said nothing when it was to be known what it speaks.
    pub fn silent(&self, port: u16) {
        self.silent.get_or_create(&Port { port }).inc();
    }
}
