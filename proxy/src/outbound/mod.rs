//! The program's calls: whom does it mean, which way, whose turn is it, and on over mutual TLS.
//!
//! - [`target`]: whom a request means
//! - [`request`]: one request, under one configuration
//! - [`turns`]: the counters behind splits and round robin

mod request;
mod target;
pub mod turns;

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::watch};
use turns::Turns;

use crate::{
    accept::accept,
    config::Config,
    gate::Gate,
    http::{ServerSettings, serve},
    metrics::Metrics,
    published::Published,
    upstream::Upstream,
    xds::demand::Demand,
};

/// What the program's calls are served with.
pub struct Outbound {
    /// What is in force.
    pub config: Arc<Published<Config>>,
    /// Tells the control plane whom the program calls.
    pub demand: Arc<Demand>,
    /// The way to endpoints.
    pub upstream: Arc<Upstream>,
    /// The namespace in which bare names are looked up.
    pub namespace: Arc<str>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What a connection may take.
    pub settings: ServerSettings,
    /// How long a call may wait for the control plane to say where it goes.
    pub patience: Duration,
    /// How many requests may be in flight.
    pub in_flight: Gate,
    /// How many connections there may be.
    pub connections: Gate,
    /// Turns true when this sidecar ends.
    pub draining: watch::Receiver<bool>,
    /// Whose turn it is.
    pub turns: Turns,
}

impl Outbound {
    /// Serves whoever connects to `listener`, for ever. It must be on loopback: who reaches it speaks with our identity.
    pub async fn run(self: Arc<Self>, listener: TcpListener) {
        let (connections, gauge) = (self.connections.clone(), self.metrics.outbound_connections.clone());
        accept(listener, connections, gauge, |stream, _, open| {
            let outbound = self.clone();
            tokio::spawn(async move {
                let (settings, draining) = (outbound.settings, outbound.draining.clone());
                let handler = move |request| {
                    let outbound = outbound.clone();
                    async move { outbound.serve(request).await }
                };
                serve(stream, settings, draining, handler).await;
                drop(open);
            });
        })
        .await;
    }
}
