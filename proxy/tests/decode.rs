//! What this proxy could enforce only in part is refused as a whole, and the reason names the place.

use std::collections::HashMap;

use envoy_types::pb::{
    envoy::{
        config::{
            cluster::v3::{Cluster, cluster::LbPolicy},
            core::v3::{CidrRange, HealthStatus, Metadata, address, socket_address::PortSpecifier},
            endpoint::v3::lb_endpoint::HostIdentifier,
            listener::v3::Listener,
            rbac::v3::{Principal, permission, principal},
            route::v3::{
                DirectResponseAction, HeaderMatcher, RedirectAction, RouteConfiguration, RouteMatch, route,
                route_match::PathSpecifier,
            },
        },
        extensions::filters::{
            http::{cors::v3::Cors, rbac::v3::Rbac},
            network::http_connection_manager::v3::HttpConnectionManager,
        },
    },
    google::protobuf::{Any, Duration, Struct, UInt32Value, Value, value},
};
use prost::{Message, Name};
use sluice_proxy::control::xds::{
    decode::{Limits, decode},
    kind::Kind,
};

use crate::support::{
    pki::id,
    resources::{
        Door, Speaks, account, any, anything, assignment, cluster_message, forward, http_filter, manager, mark,
        path_prefix, policy, route_configuration, router, service_listener,
    },
};

fn refusal<T: Message + Name>(kind: Kind, name: &str, message: &T) -> String {
    refusal_of_any(kind, name, &any(message), &Limits::default())
}

fn refusal_of_any(kind: Kind, name: &str, any: &Any, limits: &Limits) -> String {
    decode(kind, name, any, limits).expect_err("it should have been refused").to_string()
}

const CART: &str = "cart.shop:80";

fn routes(change: impl FnOnce(&mut RouteConfiguration)) -> String {
    let mut routes = route_configuration(CART, forward(&[("a", 1), ("b", 2)]));
    change(&mut routes);
    refusal(Kind::Route, CART, &routes)
}

fn cluster(change: impl FnOnce(&mut Cluster)) -> String {
    let mut cluster = cluster_message(CART, Speaks::Tls(&[id("shop/cart")]));
    change(&mut cluster);
    refusal(Kind::Cluster, CART, &cluster)
}

fn door(change: impl FnOnce(&mut Listener)) -> String {
    let mut listener = Door::to_members().listener("shop/cart");
    change(&mut listener);
    refusal(Kind::Listener, "inbound/shop/cart", &listener)
}

fn door_manager(change: impl FnOnce(&mut HttpConnectionManager)) -> String {
    let mut manager = Door::to_members().manager();
    change(&mut manager);
    door(|listener| {
        let config = envoy_types::pb::envoy::config::listener::v3::filter::ConfigType::TypedConfig(any(&manager));
        listener.filter_chains[0].filters[0].config_type = Some(config);
    })
}

fn door_rule(who: principal::Identifier, what: permission::Rule) -> String {
    let allow = vec![("shop/p/0".to_owned(), policy(who, what))];
    refusal(Kind::Listener, "inbound/shop/cart", &Door { allow, ..Door::default() }.listener("shop/cart"))
}

#[test]
fn route_tables_are_understood_whole_or_not_at_all() {
    let action = |change: fn(&mut envoy_types::pb::envoy::config::route::v3::RouteAction)| {
        routes(|routes| match &mut routes.virtual_hosts[0].routes[0].action {
            Some(route::Action::Route(action)) => change(action),
            _ => unreachable!(),
        })
    };
    let cases = [
        (routes(|r| r.name = "other".into()), "name: \"other\" is not \"cart.shop:80\""),
        (
            routes(|r| r.virtual_hosts[0].routes[0].action = Some(route::Action::Redirect(RedirectAction::default()))),
            "virtual_hosts.routes: sets field 3",
        ),
        (
            routes(|r| {
                r.virtual_hosts[0].routes[0].r#match = Some(RouteMatch {
                    headers: vec![HeaderMatcher { name: "x".into(), ..HeaderMatcher::default() }],
                    path_specifier: Some(PathSpecifier::Prefix("/".into())),
                    ..RouteMatch::default()
                });
            }),
            "virtual_hosts.routes.match: sets field 6",
        ),
        (routes(|r| r.virtual_hosts[0].routes[0].r#match = None), "virtual_hosts[0].routes[0].match: is of a kind"),
        (routes(|r| r.virtual_hosts[0].domains[0] = "*.shop".into()), "virtual_hosts[0].domains[0]: \"*.shop\" stands"),
        (
            routes(|r| r.virtual_hosts.push(r.virtual_hosts[0].clone())),
            "virtual_hosts[1].domains[0]: is in another virtual host",
        ),
        (action(|a| a.timeout = None), "virtual_hosts[0].routes[0].route.timeout: is missing"),
        (
            action(|a| a.timeout = Some(Duration { seconds: 15, nanos: 0 })),
            "virtual_hosts[0].routes[0].route.timeout: is not 0",
        ),
        (action(|a| a.prefix_rewrite = "/x".into()), "virtual_hosts.routes.route: sets field 5"),
        (action(|a| a.cluster_specifier = None), "virtual_hosts[0].routes[0].route.cluster: is missing"),
        (
            refusal(Kind::Route, CART, &route_configuration(CART, forward(&[("a", 0)]))),
            "virtual_hosts[0].routes[0].route.weighted_clusters.clusters: no backend weighs anything",
        ),
    ];
    check(&cases);
}

#[test]
fn clusters_are_understood_whole_or_not_at_all() {
    let cases = [
        (cluster(|c| c.lb_policy = LbPolicy::RingHash.into()), "sets field 6"),
        (cluster(|c| c.cluster_discovery_type = None), "type: is not EDS"),
        (cluster(|c| c.eds_cluster_config = None), "eds_cluster_config: is missing"),
        (cluster(|c| c.connect_timeout = None), "connect_timeout: is missing"),
        (
            cluster(|c| drop(c.typed_extension_protocol_options.insert("other".into(), Any::default()))),
            "typed_extension_protocol_options[\"other\"]: is not understood",
        ),
        (
            refusal(Kind::Cluster, CART, &cluster_message(CART, Speaks::Tls(&[]))),
            "transport_socket.typed_config.common_tls_context.validation_context.match_typed_subject_alt_names: names nobody",
        ),
        (
            refusal(Kind::Cluster, CART, &cluster_message(CART, Speaks::Tls(&["cart.shop.svc".into()]))),
            "match_typed_subject_alt_names[0]: \"cart.shop.svc\" is no identity",
        ),
    ];
    check(&cases);
}

#[test]
fn who_has_to_prove_something_is_understood_whole_or_not_at_all() {
    let by_endpoint = |change: fn(&mut Cluster)| {
        let mut cluster = cluster_message(CART, Speaks::ByEndpoint(&[id("shop/cart")]));
        change(&mut cluster);
        refusal(Kind::Cluster, CART, &cluster)
    };
    let text = |text: &str| Value { kind: Some(value::Kind::StringValue(text.into())) };
    let cases = [
        (by_endpoint(|c| drop(c.transport_socket_matches.pop())), "transport_socket_matches: there are 1"),
        (
            by_endpoint(|c| c.transport_socket_matches.reverse()),
            "transport_socket_matches[0].match: is not {\"tls\": \"mutual\"}",
        ),
        (
            by_endpoint(|c| c.transport_socket_matches[1].r#match = Some(mark())),
            "transport_socket_matches[1].match: leaves endpoints out",
        ),
        (
            by_endpoint(|c| c.transport_socket_matches[0].transport_socket = None),
            "transport_socket_matches[0].transport_socket: is missing",
        ),
        (
            by_endpoint(|c| c.transport_socket_matches[1].transport_socket = None),
            "transport_socket_matches[1].transport_socket.typed_config: is missing",
        ),
        (
            by_endpoint(|c| {
                c.transport_socket_matches[1].transport_socket = c.transport_socket_matches[0].transport_socket.clone();
            }),
            "transport_socket_matches[1].transport_socket.typed_config: is a type.googleapis.com/envoy.ext",
        ),
        (
            by_endpoint(|c| c.transport_socket = c.transport_socket_matches[0].transport_socket.clone()),
            "transport_socket: is for nobody",
        ),
        (
            refusal(Kind::Cluster, CART, &cluster_message(CART, Speaks::ByEndpoint(&[]))),
            "transport_socket_matches[0].transport_socket.typed_config.common_tls_context.validation_context",
        ),
    ];
    check(&cases);
    let marked = |namespace: &str, name: &str, value: Value| {
        let mut assignment = assignment(CART, &[("127.0.0.1:1".parse().unwrap(), HealthStatus::Healthy)]);
        let fields = Struct { fields: [(name.to_owned(), value)].into() };
        let filter_metadata = [(namespace.to_owned(), fields)].into();
        assignment.endpoints[0].lb_endpoints[0].metadata = Some(Metadata { filter_metadata, ..Metadata::default() });
        refusal(Kind::Endpoints, CART, &assignment)
    };
    let ours = "envoy.transport_socket_match";
    let cases = [
        (marked("envoy.lb", "canary", text("true")), "metadata.filter_metadata[\"envoy.lb\"]: is not understood"),
        (marked(ours, "tls", text("simple")), "metadata.filter_metadata[\"envoy.transport_socket_match\"].tls: is not"),
        (marked(ours, "alpn", text("h2")), "match\"].alpn: is not understood"),
        (
            marked(ours, "tls", Value { kind: Some(value::Kind::BoolValue(true)) }),
            "endpoints.lb_endpoints.metadata.filter_metadata.value.fields.value: sets field 4",
        ),
    ];
    check(&cases);
}

#[test]
fn endpoints_are_understood_whole_or_not_at_all() {
    let address = "127.0.0.1:9101".parse().unwrap();
    let endpoints = |change: fn(&mut envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment)| {
        let mut assignment = assignment(CART, &[(address, HealthStatus::Healthy)]);
        change(&mut assignment);
        refusal(Kind::Endpoints, CART, &assignment)
    };
    let cases = [
        (endpoints(|e| e.endpoints.push(e.endpoints[0].clone())), "endpoints: there is more than one locality"),
        (endpoints(|e| e.endpoints[0].priority = 1), "endpoints: sets field 5"),
        (
            endpoints(|e| e.endpoints[0].lb_endpoints[0].health_status = HealthStatus::Degraded.into()),
            "endpoints[0].lb_endpoints[0].health_status: is none",
        ),
        (
            endpoints(|e| e.endpoints[0].lb_endpoints[0].host_identifier = None),
            "endpoints[0].lb_endpoints[0].endpoint: is missing",
        ),
    ];
    check(&cases);
}

#[test]
fn doors_are_understood_whole_or_not_at_all() {
    let web = || account(&id("shop/web"));
    let cases = [
        (door(|l| l.traffic_direction = 2), "traffic_direction: is not INBOUND"),
        (door(|l| l.filter_chains.clear()), "filter_chains: is missing"),
        (door(|l| l.filter_chains.push(l.filter_chains[0].clone())), "filter_chains[1]: is the second chain"),
        (door(|l| l.filter_chains[0].filter_chain_match = None), "transport_protocol: \"\" is neither"),
        (
            door(|l| l.filter_chains[0].transport_socket = None),
            "filter_chains[0].transport_socket.typed_config: is missing",
        ),
        (door_manager(|m| m.http_filters.clear()), "filters[0].typed_config.http_filters: is missing"),
        (door_manager(|m| m.http_filters = vec![router()]), "http_filters: no RBAC filter allows anything"),
        (
            door_manager(|m| m.http_filters.insert(0, http_filter("envoy.filters.http.cors", &Cors::default()))),
            "http_filters[0]: envoy.filters.http.cors is a filter",
        ),
        (
            door_manager(|m| m.http_filters.insert(0, m.http_filters[0].clone())),
            "http_filters: are not one RBAC filter that denies",
        ),
        (
            door_manager(|m| m.http_filters[0] = http_filter("rbac", &Rbac::default())),
            "http_filters[0].typed_config.rules: is missing",
        ),
        (door_manager(|m| m.merge_slashes = true), "normalize_path: goes with merge_slashes"),
        (door_manager(|m| m.stream_idle_timeout = None), "stream_idle_timeout: is missing"),
        (door_manager(|m| m.route_specifier = None), "route_config: is missing"),
        (door_manager(|m| m.via = "x".into()), "sets field 22"),
        (door_rule(web(), path_prefix("/x")), "normalize_path: rules read paths"),
        (door_rule(principal::Identifier::Any(false), anything()), "principals[0].any: is false"),
        (
            door_rule(principal::Identifier::Header(HeaderMatcher::default()), anything()),
            "policies.value.principals: sets field 6",
        ),
        (
            door_rule(principal::Identifier::AndIds(principal::Set::default()), anything()),
            "principals[0]: is a set of nothing",
        ),
        (
            door_rule(principal::Identifier::NotId(Box::new(Principal { identifier: None })), anything()),
            "principals[0].not_id: is a principal of a kind",
        ),
        (door_rule(web(), permission::Rule::DestinationPort(80)), "policies.value.permissions: sets field 6"),
        (
            door_rule(web(), permission::Rule::Header(HeaderMatcher { name: "x".into(), ..Default::default() })),
            "permissions[0].header.name: \"x\" is no header",
        ),
    ];
    check(&cases);
}

#[test]
fn ways_in_are_understood_whole_or_not_at_all() {
    let service = |manager: HttpConnectionManager| refusal(Kind::Listener, CART, &service_listener(CART, &manager));
    let cases = [
        (service(manager(0)), "api_listener.api_listener.http_filters: is missing"),
        (
            service(HttpConnectionManager { http_filters: vec![router()], ..manager(0) }),
            "api_listener.api_listener.rds: is missing",
        ),
        (
            service(HttpConnectionManager { http_filters: Door::to_members().filters(), ..manager(0) }),
            "http_filters: callers are not judged",
        ),
        (
            refusal(Kind::Listener, CART, &Door::to_members().listener("shop/cart")),
            "name: \"inbound/shop/cart\" is not",
        ),
    ];
    check(&cases);
}

#[test]
fn numbers_that_no_clock_and_no_network_has_are_refused_wherever_they_stand() {
    let absurd = [(i64::MAX, 0), (315_576_000_001, 0), (-1, 0), (1, -1), (1, 1_000_000_000), (0, i32::MIN)];
    for (seconds, nanos) in absurd {
        let length = Some(Duration { seconds, nanos });
        let idle = |manager: HttpConnectionManager| HttpConnectionManager { stream_idle_timeout: length, ..manager };
        let service = idle(HttpConnectionManager { http_filters: vec![router()], ..manager(0) });
        check(&[
            (cluster(|cluster| cluster.connect_timeout = length), "connect_timeout: is no length of time"),
            (
                refusal(Kind::Listener, CART, &service_listener(CART, &service)),
                "stream_idle_timeout: is no length of time",
            ),
            (door_manager(|manager| manager.stream_idle_timeout = length), "stream_idle_timeout: is no length of time"),
            (
                routes(|routes| match &mut routes.virtual_hosts[0].routes[0].action {
                    Some(route::Action::Route(action)) => action.timeout = length,
                    _ => unreachable!(),
                }),
                "timeout: is no length of time",
            ),
        ]);
    }
    let network = |bits| {
        let range = CidrRange { address_prefix: "10.0.0.0".into(), prefix_len: Some(UInt32Value { value: bits }) };
        door_rule(principal::Identifier::DirectRemoteIp(range), anything())
    };
    let port = |port| {
        let mut assignment = assignment(CART, &[("127.0.0.1:1".parse().unwrap(), HealthStatus::Healthy)]);
        let Some(HostIdentifier::Endpoint(endpoint)) = &mut assignment.endpoints[0].lb_endpoints[0].host_identifier
        else {
            unreachable!()
        };
        let Some(address::Address::SocketAddress(address)) = &mut endpoint.address.as_mut().unwrap().address else {
            unreachable!()
        };
        address.port_specifier = Some(PortSpecifier::PortValue(port));
        refusal(Kind::Endpoints, CART, &assignment)
    };
    let answer = |status| {
        let response = DirectResponseAction { status, ..DirectResponseAction::default() };
        refusal(Kind::Route, CART, &route_configuration(CART, route::Action::DirectResponse(response)))
    };
    let shares = forward(&[("a", u32::MAX), ("b", u32::MAX)]);
    check(&[
        (network(33), "10.0.0.0/33 is no network"),
        (network(u32::MAX), "is no network"),
        (port(65_536), "port_value: 65536 is no port"),
        (port(u32::MAX), "is no port"),
        (answer(u32::MAX), "direct_response.status"),
        (refusal(Kind::Route, CART, &route_configuration(CART, shares)), "add up to more than 2^32"),
    ]);
}

#[test]
fn what_is_of_another_kind_or_broken_is_refused() {
    let limits = Limits::default();
    let wrong = refusal_of_any(Kind::Cluster, CART, &any(&route_configuration(CART, forward(&[("a", 1)]))), &limits);
    assert!(wrong.starts_with("is a type.googleapis.com/envoy.config.route.v3.RouteConfiguration"), "{wrong}");
    let good = any(&cluster_message(CART, Speaks::Plaintext));
    // Without a word on HTTP it carries bytes, and no request is sent there.
    let of_bytes =
        Cluster { typed_extension_protocol_options: HashMap::new(), ..cluster_message(CART, Speaks::Plaintext) };
    let of_bytes = any(&of_bytes).value.len();
    for length in (1..good.value.len()).filter(|&length| length != of_bytes) {
        let cut = Any { type_url: good.type_url.clone(), value: good.value[..length].to_vec() };
        // Cut between two fields it is another message, which lacks something.
        assert!(decode(Kind::Cluster, CART, &cut, &limits).is_err(), "cut at {length}");
    }
    let mut unknown = good;
    unknown.value.extend([0xfa, 0x7f, 1, b'x']);
    let refused = refusal_of_any(Kind::Cluster, CART, &unknown, &limits);
    assert_eq!(
        refused, "sets field 2047, which this proxy does not understand",
        "fields of the future are seen as well"
    );
}

#[test]
fn more_than_this_proxy_takes_is_refused_with_both_numbers() {
    let limits = Limits { rules: 1, routes: 1, clusters_per_route: 1, endpoints: 1 };
    let rule = |index: usize| (format!("shop/p/{index}"), policy(account(&id("shop/web")), anything()));
    let two_rules = Door { allow: vec![rule(0), rule(1)], ..Door::default() }.listener("shop/cart");
    let address = "127.0.0.1:1".parse().unwrap();
    let two_endpoints = assignment(CART, &[(address, HealthStatus::Healthy), (address, HealthStatus::Healthy)]);
    let two_backends = route_configuration(CART, forward(&[("a", 1), ("b", 1)]));
    let cases = [
        (refusal_of_any(Kind::Listener, "inbound/shop/cart", &any(&two_rules), &limits), "2 rules are more than the 1"),
        (refusal_of_any(Kind::Endpoints, CART, &any(&two_endpoints), &limits), "2 endpoints are more than the 1"),
        (refusal_of_any(Kind::Route, CART, &any(&two_backends), &limits), "2 clusters are more than the 1"),
    ];
    check(&cases);
}

fn check(cases: &[(String, &str)]) {
    for (refusal, expected) in cases {
        assert!(refusal.contains(expected), "expected {expected:?} in {refusal:?}");
    }
}
