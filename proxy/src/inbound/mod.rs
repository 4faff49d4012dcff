//! The door to a port of the program: accept, mutual TLS or plaintext, who is it, may it, program.
//!
//! - [`callers`]: the places of those who are in
//! - [`waiting`]: callers that have not proved yet who they are
//! - [`connection`]: from a TCP connection to a caller who has proved something, or nothing
//! - [`request`]: what this door has to say of a request of such a caller, under one configuration
//! - [`bytes`]: one connection of such a caller, where bytes come in
//! - [`upgrade`]: how long a connection may go on in another protocol

mod bytes;
pub mod callers;
mod connection;
mod request;
mod upgrade;
mod waiting;

use std::sync::{Arc, atomic::AtomicUsize};

use callers::Callers;
use tokio::{net::TcpListener, sync::watch};
use waiting::Waiting;

use crate::{
    base::{gate::Gate, published::Published},
    config::Snapshot,
    exchange::Exchange,
    host::{calls::Calls, program::Program},
    http::ServerSettings,
    identity::credentials::Credentials,
    net::accept::next,
    telemetry::metrics::Metrics,
};

/// What inbound connections and requests are served with.
pub struct Inbound {
    /// What is in force.
    pub config: Arc<Published<Snapshot>>,
    /// Who we are.
    pub identity: Arc<Published<Credentials>>,
    /// What carries requests.
    pub exchange: Arc<Exchange>,
    /// Which of the program's ports this is the door to.
    pub place: usize,
    /// The same as people know it.
    pub port: u16,
    /// Where the program listens.
    pub program: Arc<Published<Program>>,
    /// `namespace/name`.
    pub workload: Arc<str>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What a connection may take.
    pub settings: ServerSettings,
    /// How many requests may be in flight.
    pub in_flight: Gate,
    /// Those that wait for the program.
    pub calls: Calls,
    /// The places of callers who have proved who they are, or need not.
    pub callers: Callers,
    /// Turns true when no new callers are wanted.
    pub draining: watch::Receiver<bool>,
    /// Whose rules are counted: where the listener is in memory.
    pub rules_of: AtomicUsize,
}

impl Inbound {
    /// Serves whoever connects to `listener`, for ever.
    pub async fn run(self: Arc<Self>, listener: TcpListener) {
        let waiting = Arc::new(Waiting::new(self.callers.most(), self.metrics.inbound_handshakes.clone()));
        loop {
            let (stream, remote) = next(&listener).await;
            let place = waiting.enter().await;
            tokio::spawn(self.clone().connection(stream, remote, place));
        }
    }
}
