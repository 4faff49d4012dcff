//! envoy.config.listener.v3.Listener: the door to a program, or the way in to a service.

use std::{sync::Arc, time::Duration};

use envoy_types::pb::envoy::{
    config::{
        core::v3::{TrafficDirection, TransportSocket, transport_socket},
        listener::v3::{
            FilterChain, Listener as WireListener, ListenerFilter, filter, listener::ListenerSpecifier, listener_filter,
        },
        route::v3::{RouteConfiguration, route, route_match::PathSpecifier},
    },
    extensions::filters::{
        http::{rbac::v3::Rbac, router::v3::Router},
        listener::tls_inspector::v3::TlsInspector,
        network::http_connection_manager::v3::{
            HttpConnectionManager, HttpFilter, http_connection_manager::RouteSpecifier, http_filter,
        },
    },
};
use envoy_types::pb::google::protobuf::Any;
use prost::Name;

use super::{
    Limits, bounded, bytes,
    fault::{Fault, Within, each},
    opened::{ADDRESS, CONFIG_SOURCE, duration, from_ads, open, socket_address},
    rbac::{self, RbacFilter},
    shape::{DURATION, EMPTY, Shape, WRAPPER, message, value},
    tls,
};
use crate::config::{
    inbound::{Door, Entrance, Guard, Listener},
    route::{Leads, ServiceListener},
    rules::Rules,
};

static LISTENER: Shape = Shape(&[
    value(1, "name"),
    message(2, "address", &ADDRESS),
    message(3, "filter_chains", &FILTER_CHAIN),
    message(9, "listener_filters", &LISTENER_FILTER),
    value(16, "traffic_direction"),
    message(19, "api_listener", &API_LISTENER),
    message(27, "internal_listener", &EMPTY),
]);
static FILTER_CHAIN: Shape = Shape(&[
    message(1, "filter_chain_match", &FILTER_CHAIN_MATCH),
    message(3, "filters", &FILTER),
    message(6, "transport_socket", &tls::TRANSPORT_SOCKET),
    value(7, "name"),
]);
static FILTER_CHAIN_MATCH: Shape = Shape(&[value(9, "transport_protocol")]);
static FILTER: Shape = Shape(&[value(1, "name"), value(4, "typed_config")]);
static LISTENER_FILTER: Shape = Shape(&[value(1, "name"), value(3, "typed_config")]);
static API_LISTENER: Shape = Shape(&[value(1, "api_listener")]);
static MANAGER: Shape = Shape(&[
    value(2, "stat_prefix"),
    message(3, "rds", &RDS),
    message(4, "route_config", &ROUTE_CONFIG),
    message(5, "http_filters", &FILTER),
    message(24, "stream_idle_timeout", &DURATION),
    message(30, "normalize_path", &WRAPPER),
    value(33, "merge_slashes"),
    value(45, "path_with_escaped_slashes_action"),
]);
static RDS: Shape = Shape(&[message(1, "config_source", &CONFIG_SOURCE), value(2, "route_config_name")]);
static ROUTE_CONFIG: Shape = Shape(&[value(1, "name"), message(2, "virtual_hosts", &VIRTUAL_HOST)]);
static VIRTUAL_HOST: Shape = Shape(&[value(1, "name"), value(2, "domains"), message(3, "routes", &ROUTE)]);
static ROUTE: Shape =
    Shape(&[message(1, "match", &MATCH), value(14, "name"), message(18, "non_forwarding_action", &EMPTY)]);
static MATCH: Shape = Shape(&[value(1, "prefix")]);

/// The way in to a service. That of requests names the table of its routes and does nothing else; that of bytes is found by its
/// name as well, and not at an address.
pub fn service(resource: &Any, name: &str, limits: &Limits) -> Result<ServiceListener, Fault> {
    let listener: WireListener = open(resource, &LISTENER)?;
    super::same_name(&listener.name, name)?;
    if listener.address.is_some() {
        return Err(Fault::new("a listener for callers stands nowhere").within("address"));
    }
    let names = inspects_tls(listener.listener_filters)?;
    let chains = listener.filter_chains;
    match (listener.api_listener, listener.listener_specifier) {
        (Some(_), _) if names => Err(Fault::new("have no place where requests are carried").within("listener_filters")),
        (Some(api), None) if chains.is_empty() => {
            let any = api.api_listener.ok_or_else(|| Fault::missing("api_listener.api_listener"))?;
            service_manager(&any).within("api_listener.api_listener")
        }
        (None, Some(ListenerSpecifier::InternalListener(_))) => {
            if listener.traffic_direction != TrafficDirection::Outbound as i32 {
                return Err(Fault::new("is not OUTBOUND").within("traffic_direction"));
            }
            bytes::service(chains, names, limits)
        }
        _ => Err(Fault::new("a listener for callers is an api_listener or an internal_listener, and nothing else")),
    }
}

fn service_manager(any: &Any) -> Result<ServiceListener, Fault> {
    let mut manager: HttpConnectionManager = open(any, &MANAGER)?;
    let rbac_filters = http_filters(std::mem::take(&mut manager.http_filters))?;
    if !rbac_filters.is_empty() {
        return Err(Fault::new("callers are not judged by their own sidecar").within("http_filters"));
    }
    if normalises(&manager)? {
        return Err(Fault::new("callers' paths go out as they came").within("normalize_path"));
    }
    let idle_timeout = idle_timeout(&manager)?;
    let Some(RouteSpecifier::Rds(rds)) = manager.route_specifier else { return Err(Fault::missing("rds")) };
    from_ads(rds.config_source.as_ref()).within("rds.config_source")?;
    if rds.route_config_name.is_empty() {
        return Err(Fault::missing("rds.route_config_name"));
    }
    Ok(ServiceListener { leads: Leads::Requests(rds.route_config_name.into()), idle_timeout })
}

/// The door to a program.
pub fn inbound(resource: &Any, name: &str, limits: &Limits) -> Result<Entrance, Fault> {
    let listener: WireListener = open(resource, &LISTENER)?;
    super::same_name(&listener.name, name)?;
    if listener.traffic_direction != TrafficDirection::Inbound as i32 {
        return Err(Fault::new("is not INBOUND").within("traffic_direction"));
    }
    if listener.api_listener.is_some() || listener.listener_specifier.is_some() {
        return Err(Fault::new("a door to a program is none for callers").within("api_listener"));
    }
    // Where the door is, is ours to say and the control plane's to repeat.
    socket_address(listener.address).within("address")?;
    inspects_tls(listener.listener_filters)?;
    // What one chain carries, the other does: the doors of both are of one kind, or there is a fault.
    if listener.filter_chains.iter().flat_map(|chain| &chain.filters).any(bytes::carries) {
        let listener = doors(listener.filter_chains, name, |chain| bytes::door(chain, name, limits))?;
        return Ok(Entrance::Bytes(Arc::new(listener)));
    }
    Ok(Entrance::Requests(Arc::new(doors(listener.filter_chains, name, |chain| door(chain, limits))?)))
}

/// Whether there is a look at TLS before it goes on, which is all that may be there.
fn inspects_tls(filters: Vec<ListenerFilter>) -> Result<bool, Fault> {
    let found = each("listener_filters", filters, |filter| match filter.config_type {
        Some(listener_filter::ConfigType::TypedConfig(any)) => {
            open::<TlsInspector>(&any, &EMPTY).map(drop).within("typed_config")
        }
        _ => Err(Fault::missing("typed_config")),
    })?;
    Ok(!found.is_empty())
}

/// The door for each transport.
fn doors<D>(
    chains: Vec<FilterChain>,
    name: &str,
    door: impl Fn(FilterChain) -> Result<D, Fault>,
) -> Result<Listener<D>, Fault> {
    let (mut mutual_tls, mut plaintext) = (None, None);
    each("filter_chains", chains, |chain| {
        let protocol = chain.filter_chain_match.as_ref().map_or("", |rule| rule.transport_protocol.as_str());
        let place = match protocol {
            "tls" => {
                downstream_tls(chain.transport_socket.as_ref()).within("transport_socket")?;
                &mut mutual_tls
            }
            "raw_buffer" if chain.transport_socket.is_none() => &mut plaintext,
            "raw_buffer" => return Err(Fault::new("has no place in a plaintext chain").within("transport_socket")),
            other => {
                let what = format!("{other:?} is neither \"tls\" nor \"raw_buffer\"");
                return Err(Fault::new(what).within("filter_chain_match.transport_protocol"));
            }
        };
        match place.replace(Arc::new(door(chain)?)) {
            None => Ok(()),
            Some(_) => Err(Fault::new("is the second chain for its transport")),
        }
    })?;
    if mutual_tls.is_none() && plaintext.is_none() {
        return Err(Fault::missing("filter_chains"));
    }
    Ok(Listener { name: name.into(), mutual_tls, plaintext })
}

fn downstream_tls(socket: Option<&TransportSocket>) -> Result<(), Fault> {
    match socket.and_then(|socket| socket.config_type.as_ref()) {
        Some(transport_socket::ConfigType::TypedConfig(any)) => tls::downstream(any).within("typed_config"),
        None => Err(Fault::missing("typed_config")),
    }
}

fn door(mut chain: FilterChain, limits: &Limits) -> Result<Door, Fault> {
    if chain.filters.len() > 1 {
        return Err(Fault::new("there is more than one filter").within("filters"));
    }
    let filter = chain.filters.pop().ok_or_else(|| Fault::missing("filters"))?;
    match filter.config_type {
        Some(filter::ConfigType::TypedConfig(any)) => inbound_manager(&any, limits).within("filters[0].typed_config"),
        _ => Err(Fault::missing("filters[0].typed_config")),
    }
}

fn inbound_manager(any: &Any, limits: &Limits) -> Result<Door, Fault> {
    let mut manager: HttpConnectionManager = open(any, &MANAGER)?;
    let filters = http_filters(std::mem::take(&mut manager.http_filters))?;
    let count = filters.iter().map(|filter| filter.count).sum();
    bounded("rules", count, limits.rules).within("http_filters")?;
    let guard = guard(filters).within("http_filters")?;
    let normalise_paths = normalises(&manager)?;
    if guard.reads_paths() && !normalise_paths {
        return Err(Fault::new("rules read paths, and paths are not normalised").within("normalize_path"));
    }
    let idle_timeout = idle_timeout(&manager)?;
    match manager.route_specifier {
        Some(RouteSpecifier::RouteConfig(routes)) => to_the_program(&routes).within("route_config")?,
        _ => return Err(Fault::missing("route_config")),
    }
    Ok(Door { guard, normalise_paths, idle_timeout })
}

/// At most one filter that denies, then exactly one that allows: otherwise what no rule names would stay open.
pub fn guard(filters: Vec<RbacFilter>) -> Result<Guard, Fault> {
    let mut filters = filters.into_iter().peekable();
    let deny = filters.next_if(|filter| filter.denies);
    let Some(allow) = filters.next_if(|filter| !filter.denies) else {
        return Err(Fault::new("no RBAC filter allows anything"));
    };
    if filters.next().is_some() {
        return Err(Fault::new("are not one RBAC filter that denies, if any, and then one that allows"));
    }
    let Some(enforced) = allow.enforced else { return Err(Fault::new("nothing decides who is allowed")) };
    let (deny, audited_deny) = deny.map_or((None, None), |filter| (filter.enforced, filter.audited));
    Ok(Guard { deny: deny.unwrap_or(Rules::default()), allow: enforced, audited_deny, audited_allow: allow.audited })
}

/// The RBAC filters before the router, which must be the last.
fn http_filters(mut filters: Vec<HttpFilter>) -> Result<Vec<RbacFilter>, Fault> {
    let last = filters.len().saturating_sub(1);
    let router = filters.pop().ok_or_else(|| Fault::missing("http_filters"))?;
    let place = format!("http_filters[{last}].typed_config");
    typed_config(router).and_then(|any| open::<Router>(&any, &EMPTY)).within(&place)?;
    each("http_filters", filters, |filter| {
        let name = filter.name.clone();
        let any = typed_config(filter)?;
        if any.type_url != Rbac::type_url() {
            let what = format!("{name} is a filter ({}) that this proxy does not know", any.type_url);
            return Err(Fault::new(what));
        }
        rbac::filter(open(&any, &rbac::FILTER)?).within("typed_config")
    })
}

fn typed_config(filter: HttpFilter) -> Result<Any, Fault> {
    match filter.config_type {
        Some(http_filter::ConfigType::TypedConfig(any)) => Ok(any),
        _ => Err(Fault::missing("typed_config")),
    }
}

/// Whether paths are brought into one form. There is one way to do so here: with all three settings.
fn normalises(manager: &HttpConnectionManager) -> Result<bool, Fault> {
    const REJECT: i32 = 2;
    let normalise = manager.normalize_path.is_some_and(|normalise| normalise.value);
    match (normalise, manager.merge_slashes, manager.path_with_escaped_slashes_action) {
        (false, false, 0) => Ok(false),
        (true, true, REJECT) => Ok(true),
        _ => {
            Err(Fault::new("goes with merge_slashes and REJECT_REQUEST, or none of them is set")
                .within("normalize_path"))
        }
    }
}

fn idle_timeout(manager: &HttpConnectionManager) -> Result<Option<Duration>, Fault> {
    let Some(timeout) = &manager.stream_idle_timeout else { return Err(Fault::missing("stream_idle_timeout")) };
    let timeout = duration(timeout).within("stream_idle_timeout")?;
    Ok((!timeout.is_zero()).then_some(timeout))
}

/// All requests go to the program: there is one host, and one route in it.
fn to_the_program(routes: &RouteConfiguration) -> Result<(), Fault> {
    let [host] = routes.virtual_hosts.as_slice() else {
        return Err(Fault::new("there is not exactly one").within("virtual_hosts"));
    };
    let [route] = host.routes.as_slice() else {
        return Err(Fault::new("there is not exactly one").within("virtual_hosts[0].routes"));
    };
    let everything = matches!(
        route.r#match.as_ref().and_then(|rule| rule.path_specifier.as_ref()),
        Some(PathSpecifier::Prefix(prefix)) if prefix == "/"
    );
    if host.domains != ["*"] || !everything || !matches!(route.action, Some(route::Action::NonForwardingAction(_))) {
        return Err(Fault::new("does not leave everything to the program").within("virtual_hosts[0]"));
    }
    Ok(())
}
