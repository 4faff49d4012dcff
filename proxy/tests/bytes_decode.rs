//! What is refused of listeners and clusters that carry bytes: everything that would not be done exactly so.

use envoy_types::pb::envoy::{
    config::{
        listener::v3::{Listener, ListenerFilter, listener_filter::ConfigType},
        rbac::v3::rbac::Action,
    },
    extensions::filters::listener::tls_inspector::v3::TlsInspector,
    extensions::filters::network::{
        rbac::v3::Rbac,
        tcp_proxy::v3::tcp_proxy::{ClusterSpecifier, WeightedCluster, weighted_cluster::ClusterWeight},
    },
};
use prost::Message;
use sluice_proxy::{
    config::{cluster::Protocol, inbound::Entrance, route::Leads},
    control::xds::{
        decode::{Decoded, Limits, decode},
        kind::Kind,
    },
};

use crate::support::{
    bytes::{
        bytes_cluster, bytes_service, bytes_service_listener, bytes_service_that_closes, network_filter, tcp_proxy,
    },
    resources::{Door, Made, Speaks, any, anyone, path_prefix, policy, service},
};

const DOOR: &str = "inbound/shop/db:5432";
const WAY: &str = "db.shop:5432";

fn of(Made { kind, resource }: &Made) -> Decoded {
    decode(*kind, &resource.name, resource.resource.as_ref().unwrap(), &Limits::default()).unwrap()
}

fn fault(name: &str, listener: &Listener, limits: &Limits) -> String {
    decode(Kind::Listener, name, &any(listener), limits).unwrap_err().to_string()
}

#[test]
fn doors_and_ways_of_bytes_are_read() {
    let Decoded::Inbound(Entrance::Bytes(door)) = of(&Door::to_members().bytes_made("shop/db:5432")) else { panic!() };
    assert!(door.mutual_tls.is_some() && door.plaintext.is_none());
    let Decoded::Service(service) = of(&bytes_service(WAY, &[("a", 9), ("b", 1)])) else { panic!() };
    let Leads::Bytes { backends, .. } = &service.leads else { panic!() };
    assert_eq!(backends.iter().map(|name| &**name).collect::<Vec<_>>(), ["a", "b"]);
    let Decoded::Service(service) = of(&bytes_service_that_closes(WAY)) else { panic!() };
    assert!(service.backends().is_empty());
    let Decoded::Cluster(cluster) = of(&bytes_cluster("a", Speaks::Plaintext)) else { panic!() };
    assert_eq!(cluster.protocol, Protocol::Bytes);
}

#[test]
fn whom_tls_is_for_is_noted_where_that_is_asked_for_and_where_bytes_are_carried() {
    let looks = |typed_config| ListenerFilter {
        name: "envoy.filters.listener.tls_inspector".into(),
        config_type: Some(ConfigType::TypedConfig(typed_config)),
        ..ListenerFilter::default()
    };
    let tls = looks(any(&TlsInspector::default()));
    for (filters, expected) in [(vec![], false), (vec![tls.clone()], true)] {
        let filter = network_filter("p", &tcp_proxy(ClusterSpecifier::Cluster("a".into()), 1));
        let listener = Listener { listener_filters: filters, ..bytes_service_listener(WAY, filter) };
        let Ok(Decoded::Service(service)) = decode(Kind::Listener, WAY, &any(&listener), &Limits::default()) else {
            panic!()
        };
        assert!(matches!(service.leads, Leads::Bytes { names, .. } if names == expected));
    }
    let filter = network_filter("p", &tcp_proxy(ClusterSpecifier::Cluster("a".into()), 1));
    let strange = vec![looks(any(&Rbac::default()))];
    let listener = Listener { listener_filters: strange, ..bytes_service_listener(WAY, filter) };
    assert!(fault(WAY, &listener, &Limits::default()).starts_with("listener_filters[0].typed_config: "));
    let Made { resource, .. } = service(WAY);
    let of_requests: Listener = Message::decode(&*resource.resource.unwrap().value).unwrap();
    let listener = Listener { listener_filters: vec![tls], ..of_requests };
    assert_eq!(fault(WAY, &listener, &Limits::default()), "listener_filters: have no place where requests are carried");
}

#[test]
fn a_door_of_bytes_says_nothing_that_cannot_be_held_there() {
    let door = || Door::to_members().bytes_listener("shop/db:5432");
    let filters = |edit: fn(&mut Vec<envoy_types::pb::envoy::config::listener::v3::Filter>)| {
        let mut filters = Door::to_members().bytes_filters(DOOR);
        edit(&mut filters);
        Door::to_members().listener_of("shop/db:5432", &filters)
    };
    let with_paths = Door { allow: vec![("shop/p/0".into(), policy(anyone(), path_prefix("/")))], ..Door::default() };
    let cases = vec![
        (filters(|filters| drop(filters.remove(0))), "filters: no RBAC filter allows anything"),
        (filters(|filters| drop(filters.pop())), "and this proxy understands only"),
        (filters(|filters| filters.reverse()), "filters[1].typed_config: is a type"),
        (
            filters(|filters| {
                *filters.last_mut().unwrap() =
                    network_filter("p", &tcp_proxy(ClusterSpecifier::Cluster("other".into()), 1));
            }),
            "filters[1].typed_config.cluster: is not the listener's own name",
        ),
        (
            filters(|filters| filters[0] = network_filter("r", &Rbac { stat_prefix: "s".into(), ..Rbac::default() })),
            "filters[0].typed_config.rules: is missing",
        ),
        (
            filters(|filters| {
                let rules = Door::rules(Action::Allow, &[]);
                filters[0] = network_filter("r", &Rbac { rules, enforcement_type: 1, ..Rbac::default() });
            }),
            "sets field 4",
        ),
        (with_paths.bytes_listener("shop/db:5432"), "rule shop/p/0 asks for a method or a path, and bytes have none"),
        (
            {
                let mut mixed = Door { plaintext: true, ..Door::to_members() }.bytes_listener("shop/db:5432");
                mixed.filter_chains[1].filters =
                    Door::to_members().listener("shop/db:5432").filter_chains[0].filters.clone();
                mixed
            },
            "filter_chains[1]",
        ),
    ];
    for (listener, expected) in cases {
        let fault = fault(DOOR, &listener, &Limits::default());
        assert!(fault.contains(expected), "{expected}: {fault}");
    }
    let few = Limits { rules: 0, ..Limits::default() };
    assert!(fault(DOOR, &door(), &few).contains("1 rules are more than the 0"));
}

#[test]
fn a_way_of_bytes_says_nothing_that_would_not_be_done() {
    let way = |destination| bytes_service_listener(WAY, network_filter("p", &tcp_proxy(destination, 1)));
    let weighted = |shares: &[(&str, u32)]| {
        let clusters = shares.iter().map(|&(name, weight)| ClusterWeight {
            name: name.into(),
            weight,
            ..ClusterWeight::default()
        });
        way(ClusterSpecifier::WeightedClusters(WeightedCluster { clusters: clusters.collect() }))
    };
    let one = || way(ClusterSpecifier::Cluster("a".into()));
    let edited = |edit: fn(&mut Listener)| {
        let mut listener = one();
        edit(&mut listener);
        listener
    };
    let place = "filter_chains[0].filters[0].typed_config";
    let cases = vec![
        (way(ClusterSpecifier::Cluster(String::new())), format!("{place}.cluster: is missing")),
        (weighted(&[]), format!("{place}.weighted_clusters.clusters: no backend weighs anything")),
        (weighted(&[("a", 1), ("b", 0)]), format!("{place}.weighted_clusters.clusters[1].weight: is 0")),
        (weighted(&[("", 1)]), format!("{place}.weighted_clusters.clusters[0].name: is missing")),
        (edited(|listener| listener.traffic_direction = 1), "traffic_direction: is not OUTBOUND".into()),
        (edited(|listener| listener.listener_specifier = None), "an api_listener or an internal_listener".into()),
        (edited(|listener| listener.filter_chains.clear()), "filter_chains: are not one".into()),
        (
            edited(|listener| listener.filter_chains[0].filters = Door::to_members().bytes_filters(DOOR)),
            "filter_chains[0].filters: are not one".into(),
        ),
    ];
    for (listener, expected) in cases {
        let fault = fault(WAY, &listener, &Limits::default());
        assert!(fault.contains(&expected), "{expected}: {fault}");
    }
    let few = Limits { clusters_per_route: 1, ..Limits::default() };
    assert!(fault(WAY, &weighted(&[("a", 1), ("b", 1)]), &few).contains("2 clusters are more than the 1"));
}
