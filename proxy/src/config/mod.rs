//! What this proxy obeys, as one immutable value, and the questions that are asked of it.
//!
//! Everything here is pure: no I/O, no clock, no locks, no wire types. `xds` makes a [`Config`]; with its names resolved it is a
//! [`Snapshot`], of which `inbound` and `outbound` read one per request. What a policy or a route does to a request is decided
//! here and nowhere else.
//!
//! - [`decide`]: what becomes of a request
//! - [`snapshot`]: names resolved once per swap; [`turns`]: the counters that hang there
//! - [`inbound`]: the listener before the program, and who may call it ([`rules`], [`path`], [`fold`])
//! - [`bytes`]: the same for what is not HTTP
//! - [`authority`]: what a caller may call a service
//! - [`route`], [`split`]: where a call goes
//! - [`cluster`]: what stands there, and how it is reached

pub mod authority;
pub mod bytes;
pub mod cluster;
pub mod decide;
pub mod fold;
pub mod inbound;
pub mod network;
pub mod path;
pub mod route;
pub mod rules;
pub mod snapshot;
pub mod split;
pub mod turns;

use std::{collections::HashMap, sync::Arc};

use cluster::{Cluster, Endpoints};
use inbound::Entrance;
use route::{RouteTable, ServiceListener};
pub use snapshot::Snapshot;

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

/// All that was told and can be obeyed, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The doors to the program, in the order of its ports; none: nobody may come in there.
    pub inbound: Vec<Option<Entrance>>,
    /// By the authority that is called.
    pub services: Answers<ServiceListener>,
    /// By the name that a service's listener gives.
    pub routes: Answers<RouteTable>,
    /// By the name that a route gives.
    pub clusters: Answers<Cluster>,
    /// By the name that a cluster gives.
    pub endpoints: Answers<Endpoints>,
}

#[cfg(test)]
mod tests;
