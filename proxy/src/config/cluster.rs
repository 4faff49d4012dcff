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

/// What an endpoint is spoken to: a version of HTTP, or nothing that this proxy knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The version in which the call came.
    AsCalled,
    /// Always HTTP/2.
    Http2,
    /// Bytes, whatever they mean.
    Bytes,
}

/// Whether calls are sent to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// They are.
    Fit,
    /// It does not accept calls.
    Unhealthy,
    /// It finishes those that it has.
    Draining,
}

/// One place at which a backend is reached, as it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it is.
    pub address: SocketAddr,
    /// Whether it is marked as one that speaks mutual TLS. It counts where the backend leaves that to each place.
    pub mutual: bool,
    /// How it fares.
    pub health: Health,
}

/// The places at which a backend is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// All of them, those that take no calls as well.
    pub places: Vec<Place>,
}

impl Cluster {
    /// What whoever is at `place` has to prove.
    pub fn security(&self, place: &Place) -> Security {
        match &self.proof {
            Proof::OfAll(security) => security.clone(),
            Proof::OfMarked(identities) if place.mutual => Security::MutualTls(identities.clone()),
            Proof::OfMarked(_) => Security::Plaintext,
        }
    }
}
