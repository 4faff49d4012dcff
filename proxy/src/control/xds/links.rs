//! What hangs on what: a service on its routes, routes (and services of bytes) on clusters, a cluster on its endpoints.

use std::sync::Arc;

use super::{
    decode::Decoded,
    table::{Held, Table},
};
use crate::config::route::Leads;

/// The table that a service's listener names, if its calls are requests.
pub fn route_table(held: &Held) -> Option<&Arc<str>> {
    match &held.decoded {
        Decoded::Service(service) => match &service.leads {
            Leads::Requests(table) => Some(table),
            Leads::Bytes { .. } => None,
        },
        _ => None,
    }
}

/// The backends that a route table names, or a service of bytes by itself.
pub fn backends(held: &Held) -> impl Iterator<Item = &Arc<str>> {
    let backends = match &held.decoded {
        Decoded::Routes(table) => table.backends.as_slice(),
        Decoded::Service(service) => service.backends(),
        _ => &[],
    };
    backends.iter()
}

/// The name under which the endpoints of a cluster are told.
pub fn endpoints_name(held: &Held) -> Option<&Arc<str>> {
    match &held.decoded {
        Decoded::Cluster(cluster) => Some(&cluster.endpoints),
        _ => None,
    }
}

/// Whether all is known of a backend that a call could need.
pub fn resolved(clusters: &Table, endpoints: &Table, name: &str) -> bool {
    match clusters.held.get(name).and_then(endpoints_name) {
        Some(place) => endpoints.knows(place),
        None => clusters.absent.contains(name),
    }
}

/// Why a backend will not be known, as things are.
pub fn refusal(clusters: &Table, endpoints: &Table, name: &str) -> Option<String> {
    let cluster = || clusters.refusal(name).map(|_| format!("names cluster {name:?}, which was refused"));
    let place = || {
        let place = clusters.held.get(name).and_then(endpoints_name)?;
        endpoints.refusal(place).map(|_| format!("names cluster {name:?}, whose endpoints were refused"))
    };
    cluster().or_else(place)
}
