//! A backend, with all that it takes to call it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::config::{
    Answer, Config,
    cluster::{Cluster, Endpoints, Health, Protocol, Security},
};

/// What calls are sent to.
#[derive(Debug)]
pub struct Backend {
    /// What routes call it.
    pub name: Arc<str>,
    /// What is known of it.
    pub known: Known,
    /// How many calls it had; of one name there is one count, whatever else is told of it.
    calls: Arc<AtomicU64>,
}

/// What is known of a backend.
#[derive(Debug)]
pub enum Known {
    /// The control plane has not told yet.
    Untold,
    /// There is no such backend.
    Missing,
    /// It stands somewhere.
    Standing(Standing),
}

/// Where a backend stands.
#[derive(Debug)]
pub struct Standing {
    /// How long connecting to one endpoint may take before another is tried.
    pub connect_timeout: Duration,
    /// What it is spoken to in.
    pub protocol: Protocol,
    /// Those that take calls.
    pub endpoints: Box<[Endpoint]>,
}

/// One place at which a backend takes calls, and all that it takes to call it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it is.
    pub address: SocketAddr,
    /// Who it has to prove to be.
    pub identity: Security,
    /// What it is spoken to in.
    pub speaks: Protocol,
}

impl Backend {
    /// The backend that is called `name`, after what it was `before`.
    pub(super) fn of(name: Arc<str>, told: &Config, before: Option<&Self>) -> Self {
        let calls = before.map_or_else(Arc::default, |before| before.calls.clone());
        let known = match told.clusters.get(&name) {
            None => Known::Untold,
            Some(Answer::Absent | Answer::Refused) => Known::Missing,
            Some(Answer::Held(cluster)) => match told.endpoints.get(&cluster.endpoints) {
                None => Known::Untold,
                Some(Answer::Absent | Answer::Refused) => Known::Standing(Standing::of(cluster, &Endpoints::default())),
                Some(Answer::Held(endpoints)) => Known::Standing(Standing::of(cluster, endpoints)),
            },
        };
        Self { name, known, calls }
    }

    /// How many calls it had before this one.
    pub fn turn(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }
}

impl Standing {
    fn of(cluster: &Cluster, endpoints: &Endpoints) -> Self {
        let fit = endpoints.places.iter().filter(|place| place.health == Health::Fit);
        let endpoints = fit.map(|place| Endpoint {
            address: place.address,
            identity: cluster.security(place),
            speaks: cluster.protocol,
        });
        let (connect_timeout, protocol) = (cluster.connect_timeout, cluster.protocol);
        Self { connect_timeout, protocol, endpoints: endpoints.collect() }
    }
}

/// Whether nothing else is told of the backend `name` than was told before.
pub(super) fn same(name: &str, before: &Config, now: &Config) -> bool {
    let (one, other) = (before.clusters.get(name), now.clusters.get(name));
    if !same_answer(one, other) {
        return false;
    }
    let Some(Answer::Held(cluster)) = other else { return true };
    same_answer(before.endpoints.get(&cluster.endpoints), now.endpoints.get(&cluster.endpoints))
}

/// Whether both are one value, or none, for the same reason.
pub(super) fn same_answer<T>(one: Option<&Answer<T>>, other: Option<&Answer<T>>) -> bool {
    match (one, other) {
        (Some(Answer::Held(one)), Some(Answer::Held(other))) => Arc::ptr_eq(one, other),
        (None, None)
        | (Some(Answer::Absent), Some(Answer::Absent))
        | (Some(Answer::Refused), Some(Answer::Refused)) => true,
        _ => false,
    }
}
