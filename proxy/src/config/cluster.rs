//! What stands behind a backend's name, and how it is reached.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::spiffe::SpiffeId;

/// How the endpoints of a backend are spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Under which name its endpoints are told.
    pub endpoints: Arc<str>,
    /// How long connecting to one endpoint may take before another is tried.
    pub connect_timeout: Duration,
    /// What the endpoint has to prove.
    pub security: Security,
    /// What it speaks.
    pub protocol: Protocol,
}

/// What an endpoint has to prove before it is told anything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Security {
    /// Nothing: it has no sidecar.
    Plaintext,
    /// That it is one of these, by mutual TLS.
    MutualTls(Arc<[SpiffeId]>),
}

/// The version of HTTP that an endpoint is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The version in which the call came.
    AsCalled,
    /// Always HTTP/2.
    Http2,
}

/// Why an endpoint is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It does not accept calls.
    Unhealthy,
    /// It finishes those that it has.
    Draining,
}

/// The places at which a backend is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Those that take calls.
    pub fit: Vec<SocketAddr>,
    /// Those that get nothing new.
    pub unfit: Vec<(SocketAddr, Unfit)>,
}

static NONE: Endpoints = Endpoints { fit: Vec::new(), unfit: Vec::new() };

impl Endpoints {
    /// Nowhere.
    pub fn none() -> &'static Self {
        &NONE
    }

    /// Whose turn it is, round robin. `None`: nobody takes calls.
    pub fn pick(&self, turn: u64) -> Option<SocketAddr> {
        let count = u64::try_from(self.fit.len()).ok().filter(|&count| count > 0)?;
        self.fit.get(usize::try_from(turn % count).ok()?).copied()
    }
}
