//! Turns resources as they come over the wire into what the evaluator reads.
//!
//! Strict on purpose: a resource that says anything which this proxy would not do exactly so is refused as a whole, and
//! the control plane hears why. Wire types end here.

mod bytes;
mod cluster;
mod fault;
mod listener;
mod opened;
mod proof;
mod rbac;
mod route;
mod shape;
mod tls;

use std::sync::Arc;

use envoy_types::pb::google::protobuf::Any;
pub use fault::Fault;

use super::kind::Kind;
use crate::config::{
    cluster::{Cluster, Endpoints},
    inbound::Entrance,
    route::{RouteTable, ServiceListener},
};

/// What one resource may hold at most. More is refused: the proxy beside a program must stay small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Authorization rules of a listener.
    pub rules: usize,
    /// Virtual hosts of a route table, and routes of each.
    pub routes: usize,
    /// Backends of a split.
    pub clusters_per_route: usize,
    /// Endpoints of a cluster.
    pub endpoints: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rules: 10_000, routes: 1_000, clusters_per_route: 100, endpoints: 10_000 }
    }
}

/// A resource that this proxy can obey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A door to a program.
    Inbound(Entrance),
    /// The way in to a service.
    Service(Arc<ServiceListener>),
    /// Where calls go.
    Routes(Arc<RouteTable>),
    /// How a backend is spoken to.
    Cluster(Arc<Cluster>),
    /// Where a backend is.
    Endpoints(Arc<Endpoints>),
}

/// What the names of listeners before programs begin with.
pub const INBOUND_PREFIX: &str = "inbound/";

/// Reads the resource of kind `kind` that is called `name`.
pub fn decode(kind: Kind, name: &str, resource: &Any, limits: &Limits) -> Result<Decoded, Fault> {
    Ok(match kind {
        Kind::Cluster => Decoded::Cluster(Arc::new(cluster::cluster(resource, name)?)),
        Kind::Endpoints => Decoded::Endpoints(Arc::new(cluster::endpoints(resource, name, limits)?)),
        Kind::Listener if name.starts_with(INBOUND_PREFIX) => {
            Decoded::Inbound(listener::inbound(resource, name, limits)?)
        }
        Kind::Listener => Decoded::Service(Arc::new(listener::service(resource, name, limits)?)),
        Kind::Route => Decoded::Routes(Arc::new(route::table(resource, name, limits)?)),
    })
}

fn same_name(inside: &str, outside: &str) -> Result<(), Fault> {
    if inside == outside { Ok(()) } else { Err(Fault::new(format!("{inside:?} is not {outside:?}")).within("name")) }
}

fn bounded(what: &str, count: usize, bound: usize) -> Result<(), Fault> {
    if count <= bound {
        Ok(())
    } else {
        Err(Fault::new(format!("{count} {what} are more than the {bound} that this proxy takes")))
    }
}
