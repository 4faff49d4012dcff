//! What this proxy obeys, as one immutable value, and the questions that are asked of it.
//!
//! Everything here is pure: no I/O, no clock, no locks, no wire types. `xds` makes a [`Config`], `inbound` and
//! `outbound` read one per request. What a policy or a route does to a request is decided here and nowhere else.
//!
//! - [`inbound`]: the listener before the program, and who may call it ([`rules`], [`path`], [`fold`])
//! - [`authority`]: what a caller may call a service
//! - [`route`], [`split`]: where a call goes
//! - [`cluster`]: what stands there, and how it is reached

pub mod authority;
pub mod cluster;
pub mod fold;
pub mod inbound;
pub mod network;
pub mod path;
pub mod route;
pub mod rules;
pub mod split;

use std::{collections::HashMap, sync::Arc};

use cluster::{Cluster, Endpoints};
use route::{Route, RouteTable, ServiceListener};

/// What the control plane said of a name. A name of which nothing has been said yet is in no map.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// It is this.
    Held(Arc<T>),
    /// There is no such thing.
    Absent,
    /// Something that this proxy cannot obey, and nothing good before it.
    Refused,
}

impl<T> Clone for Answer<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Held(value) => Self::Held(value.clone()),
            Self::Absent => Self::Absent,
            Self::Refused => Self::Refused,
        }
    }
}

/// What is known of the things of one kind, by name.
pub type Answers<T> = HashMap<Arc<str>, Answer<T>>;

/// All that is in force. Swapped whole; a request reads one from first byte to last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The doors to the program, in the order of its ports; none: nobody may come in there.
    pub inbound: Vec<Option<Arc<inbound::Listener>>>,
    /// By the authority that is called.
    pub services: Answers<ServiceListener>,
    /// By the name that a service's listener gives.
    pub routes: Answers<RouteTable>,
    /// By the name that a route gives.
    pub clusters: Answers<Cluster>,
    /// By the name that a cluster gives.
    pub endpoints: Answers<Endpoints>,
}

/// Where a call to a service leads.
#[derive(Debug)]
pub enum Destination<'a> {
    /// The control plane has not told yet.
    Unknown,
    /// What the control plane told cannot be obeyed.
    Refused,
    /// There is no such service.
    NoService,
    /// The service is there, and none of its routes wants the call.
    NoRoute,
    /// This way.
    Route(&'a ServiceListener, &'a Arc<Route>),
}

/// What is behind a cluster's name.
#[derive(Debug)]
pub enum Backend<'a> {
    /// The control plane has not told yet.
    Unknown,
    /// There is no such cluster.
    Missing,
    /// It is reached like this, at one of these.
    Found(&'a Arc<Cluster>, &'a Endpoints),
}

impl Config {
    /// The door to the port of the program that is in this place among its ports.
    pub fn door(&self, place: usize) -> Option<&Arc<inbound::Listener>> {
        self.inbound.get(place)?.as_ref()
    }

    /// Where a call to `authority` (in its canonical form, see [`authority`]) leads.
    pub fn destination(&self, authority: &str, path: &str) -> Destination<'_> {
        let listener = match self.services.get(authority) {
            None => return Destination::Unknown,
            Some(Answer::Refused) => return Destination::Refused,
            Some(Answer::Absent) => return Destination::NoService,
            Some(Answer::Held(listener)) => listener,
        };
        match self.routes.get(&listener.route_table) {
            None => Destination::Unknown,
            Some(Answer::Refused) => Destination::Refused,
            Some(Answer::Absent) => Destination::NoRoute,
            Some(Answer::Held(table)) => match table.route(authority, path) {
                Some(route) => Destination::Route(listener, route),
                None => Destination::NoRoute,
            },
        }
    }

    /// What stands behind the name of a cluster.
    pub fn backend(&self, cluster: &str) -> Backend<'_> {
        let cluster = match self.clusters.get(cluster) {
            None => return Backend::Unknown,
            Some(Answer::Absent | Answer::Refused) => return Backend::Missing,
            Some(Answer::Held(cluster)) => cluster,
        };
        match self.endpoints.get(&cluster.endpoints) {
            None => Backend::Unknown,
            Some(Answer::Absent | Answer::Refused) => Backend::Found(cluster, Endpoints::none()),
            Some(Answer::Held(endpoints)) => Backend::Found(cluster, endpoints),
        }
    }
}

#[cfg(test)]
mod tests;
