//! The filters of listeners that carry bytes: network RBAC and `tcp_proxy` before a program, `tcp_proxy` (or `direct_response`, which
//! closes) on the way to a service.

use std::{sync::Arc, time::Duration};

use envoy_types::pb::{
    envoy::{
        config::listener::v3::{Filter, FilterChain, filter},
        extensions::filters::network::{
            direct_response::v3::Config as DirectResponse,
            rbac::v3::Rbac,
            tcp_proxy::v3::{TcpProxy, tcp_proxy::ClusterSpecifier},
        },
    },
    google::protobuf::Any,
};
use prost::Name;

use super::{
    Limits, bounded,
    fault::{Fault, Within, each},
    listener::guard,
    opened::{duration, open},
    rbac,
    shape::{DURATION, EMPTY, Shape, message, value},
};
use crate::config::{
    bytes::BytesDoor,
    route::{Action, Leads, PathMatch, Route, ServiceListener},
    split::Split,
};

static PROXY: Shape = Shape(&[
    value(1, "stat_prefix"),
    value(2, "cluster"),
    message(8, "idle_timeout", &DURATION),
    message(10, "weighted_clusters", &WEIGHTED),
]);
static WEIGHTED: Shape = Shape(&[message(1, "clusters", &SHARE)]);
static SHARE: Shape = Shape(&[value(1, "name"), value(2, "weight")]);

/// What comes of a share whose backend does not exist, as the vocabulary of requests has it.
const MISSING: u16 = 500;

/// Whether a filter carries bytes, rather than requests.
pub fn carries(filter: &Filter) -> bool {
    matches!(&filter.config_type, Some(filter::ConfigType::TypedConfig(any)) if any.type_url == TcpProxy::type_url())
}

/// The door to a program: who may connect, then everything to the program.
pub fn door(chain: FilterChain, listener: &str, limits: &Limits) -> Result<BytesDoor, Fault> {
    let mut filters = each("filters", chain.filters, typed_config)?;
    let last = filters.len().saturating_sub(1);
    let any = filters.pop().ok_or_else(|| Fault::missing("filters"))?;
    let place = format!("filters[{last}].typed_config");
    let proxy: TcpProxy = open(&any, &PROXY).within(&place)?;
    let idle_timeout = idle_timeout(&proxy).within(&place)?;
    match proxy.cluster_specifier {
        // As the listener is called, so is what is behind it.
        Some(ClusterSpecifier::Cluster(name)) if name == listener => {}
        _ => return Err(Fault::new("is not the listener's own name").within("cluster").within(&place)),
    }
    let filters = each("filters", filters, |any| {
        if any.type_url != Rbac::type_url() {
            let what = format!("is a filter ({}) that this proxy does not know", any.type_url);
            return Err(Fault::new(what).within("typed_config"));
        }
        open(&any, &rbac::NETWORK_FILTER).and_then(rbac::network_filter).within("typed_config")
    })?;
    let count = filters.iter().map(|filter| filter.count).sum();
    bounded("rules", count, limits.rules).within("filters")?;
    Ok(BytesDoor { guard: guard(filters).within("filters")?, idle_timeout })
}

/// The way in to a service: everything to its backends, by their shares. `names`: a look at whom TLS is for is wanted.
pub fn service(mut chains: Vec<FilterChain>, names: bool, limits: &Limits) -> Result<ServiceListener, Fault> {
    let (Some(FilterChain { name, filters, filter_chain_match: None, transport_socket: None, .. }), true) =
        (chains.pop(), chains.is_empty())
    else {
        return Err(Fault::new("are not one, for everybody and without a transport socket").within("filter_chains"));
    };
    let [any] = <[Any; 1]>::try_from(each("filters", filters, typed_config).within("filter_chains[0]")?)
        .map_err(|_| Fault::new("are not one").within("filter_chains[0].filters"))?;
    leads(&name, &any, names, limits).within("filter_chains[0].filters[0].typed_config")
}

fn leads(name: &str, any: &Any, names: bool, limits: &Limits) -> Result<ServiceListener, Fault> {
    let route = |action| Arc::new(Route { name: name.into(), path: PathMatch::Prefix("/".into()), action });
    if any.type_url == DirectResponse::type_url() {
        open::<DirectResponse>(any, &EMPTY)?;
        let leads = Leads::Bytes { route: route(Action::Respond(MISSING)), backends: Vec::new(), names };
        return Ok(ServiceListener { leads, idle_timeout: None });
    }
    let proxy: TcpProxy = open(any, &PROXY)?;
    let idle_timeout = idle_timeout(&proxy)?;
    let (split, mut backends) = shares(proxy, limits)?;
    backends.sort_unstable();
    backends.dedup();
    let action = Action::Forward { split, missing_backend_status: MISSING };
    Ok(ServiceListener { leads: Leads::Bytes { route: route(action), backends, names }, idle_timeout })
}

fn shares(proxy: TcpProxy, limits: &Limits) -> Result<(Split, Vec<Arc<str>>), Fault> {
    match proxy.cluster_specifier {
        Some(ClusterSpecifier::Cluster(name)) if !name.is_empty() => {
            let name: Arc<str> = name.into();
            Ok((Split::whole(name.clone()), vec![name]))
        }
        Some(ClusterSpecifier::WeightedClusters(weighted)) => {
            let place = "weighted_clusters.clusters";
            bounded("clusters", weighted.clusters.len(), limits.clusters_per_route).within(place)?;
            let shares = each(place, weighted.clusters, |share| {
                if share.name.is_empty() {
                    return Err(Fault::missing("name"));
                }
                if share.weight == 0 {
                    return Err(Fault::new("is 0, which no share here may be").within("weight"));
                }
                Ok((Arc::<str>::from(share.name), share.weight))
            })?;
            let backends = shares.iter().map(|(name, _)| name.clone()).collect();
            let split = Split::new(shares).map_err(|error| Fault::new(error.to_string()).within(place))?;
            Ok((split, backends))
        }
        _ => Err(Fault::missing("cluster")),
    }
}

fn typed_config(filter: Filter) -> Result<Any, Fault> {
    match filter.config_type {
        Some(filter::ConfigType::TypedConfig(any)) => Ok(any),
        _ => Err(Fault::missing("typed_config")),
    }
}

fn idle_timeout(proxy: &TcpProxy) -> Result<Option<Duration>, Fault> {
    let Some(timeout) = &proxy.idle_timeout else { return Err(Fault::missing("idle_timeout")) };
    let timeout = duration(timeout).within("idle_timeout")?;
    Ok((!timeout.is_zero()).then_some(timeout))
}
