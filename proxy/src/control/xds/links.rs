//! What hangs on what: a service on its routes, routes on clusters, a cluster on its endpoints.

use std::sync::Arc;

use super::{
    decode::Decoded,
    table::{Held, Table},
};

/// The table that a service's listener names.
pub fn route_table(held: &Held) -> Option<&Arc<str>> {
    match &held.decoded {
        Decoded::Service(service) => Some(&service.route_table),
        _ => None,
    }
}

/// The backends that a route table names.
pub fn backends(held: &Held) -> impl Iterator<Item = &Arc<str>> {
    let backends = match &held.decoded {
        Decoded::Routes(table) => table.backends.as_slice(),
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
