//! What stands behind a backend's name, and how it is reached.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::base::spiffe::SpiffeId;

/// How the endpoints of a backend are spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Under which name its endpoints are told.
    pub endpoints: Arc<str>,
    /// How long connecting to one endpoint may take before another is tried.
    pub connect_timeout: Duration,
    /// What its endpoints have to prove.
    pub proof: Proof,
    /// What it speaks.
    pub protocol: Protocol,
}

/// Which endpoints of a backend have to prove something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// All of them the same.
    OfAll(Security),
    /// Those that are marked as mutual, that they are one of these. The others have no sidecar, and prove nothing.
    OfMarked(Arc<[SpiffeId]>),
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

/// One place at which a backend is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it is.
    pub address: SocketAddr,
    /// Whether it is marked as one that speaks mutual TLS. It counts where the backend leaves that to each endpoint.
    pub mutual: bool,
}

/// The places at which a backend is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Those that take calls.
    pub fit: Vec<Endpoint>,
    /// Those that get nothing new.
    pub unfit: Vec<(Endpoint, Unfit)>,
}

impl Cluster {
    /// What `endpoint` has to prove.
    pub fn security(&self, endpoint: &Endpoint) -> Security {
        match &self.proof {
            Proof::OfAll(security) => security.clone(),
            Proof::OfMarked(identities) if endpoint.mutual => Security::MutualTls(identities.clone()),
            Proof::OfMarked(_) => Security::Plaintext,
        }
    }
}

static NONE: Endpoints = Endpoints { fit: Vec::new(), unfit: Vec::new() };

impl Endpoints {
    /// Nowhere.
    pub fn none() -> &'static Self {
        &NONE
    }

    /// Whose turn it is, round robin. `None`: nobody takes calls.
    pub fn pick(&self, turn: u64) -> Option<&Endpoint> {
        let count = u64::try_from(self.fit.len()).ok().filter(|&count| count > 0)?;
        self.fit.get(usize::try_from(turn % count).ok()?)
    }
}
