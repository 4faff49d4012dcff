//! When a service of bytes is in force: it names its backends itself, and waits for them as a route table does.

use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use sluice_proxy::{
    config::{Answer, Config, Snapshot, snapshot::service::Way},
    control::xds::{decode::Limits, kind::Kind, mirror::Mirror},
};
use std::sync::Arc;

use crate::support::{
    bytes::{bytes_cluster, bytes_service, bytes_service_that_closes},
    resources::{Made, Speaks, cluster, endpoints, routes, service},
};

const DB: &str = "db.shop:5432";

fn response(kind: Kind, nonce: &str, made: &[&Made], removed: &[&str]) -> DeltaDiscoveryResponse {
    DeltaDiscoveryResponse {
        type_url: kind.type_url().into(),
        nonce: nonce.into(),
        resources: made.iter().map(|made| made.resource.clone()).collect(),
        removed_resources: removed.iter().map(ToString::to_string).collect(),
        ..DeltaDiscoveryResponse::default()
    }
}

fn broken(mut made: Made) -> Made {
    made.resource.resource.as_mut().unwrap().value.extend([0x98, 0x06, 1]);
    made
}

/// A mirror on an open stream of one whose program calls db.
fn mirror() -> Mirror {
    let mut mirror = Mirror::new(&[], Limits::default());
    mirror.open();
    mirror.call([DB.into()].into());
    mirror
}

fn backend(name: &str) -> [Made; 2] {
    [bytes_cluster(name, Speaks::Plaintext), endpoints(name, &["10.0.0.1:1".parse().unwrap()])]
}

/// By nonce, whether it was acknowledged.
fn answers(requests: &[DeltaDiscoveryRequest]) -> Vec<(&str, bool)> {
    let answers = requests.iter().filter(|request| !request.response_nonce.is_empty());
    answers.map(|request| (request.response_nonce.as_str(), request.error_detail.is_none())).collect()
}

/// What is asked for, or no longer, of a kind.
fn wishes(requests: &[DeltaDiscoveryRequest], kind: Kind) -> (Vec<&str>, Vec<&str>) {
    let wishes = requests.iter().filter(|request| request.type_url == kind.type_url());
    let wishes: Vec<_> = wishes.filter(|request| request.response_nonce.is_empty()).collect();
    let names = |pick: fn(&DeltaDiscoveryRequest) -> &Vec<String>| {
        wishes.iter().flat_map(|request| pick(request)).map(String::as_str).collect()
    };
    (names(|request| &request.resource_names_subscribe), names(|request| &request.resource_names_unsubscribe))
}

/// What is known of db.
fn way(config: Arc<Config>) -> &'static str {
    match Snapshot::of(config, &Snapshot::default(), || 0).service(DB) {
        None => "untold",
        Some(Answer::Absent) => "absent",
        Some(Answer::Refused) => "refused",
        Some(Answer::Held(service)) => match service.way {
            Way::Bytes(_) => "it carries bytes",
            Way::Http(_) => "it carries requests",
            Way::Untold | Way::Refused => "its routes are not known",
        },
    }
}

fn held(mirror: &mut Mirror) {
    let [cluster, endpoints] = backend("a");
    mirror.receive(response(Kind::Listener, "1", &[&bytes_service(DB, &[("a", 1)])], &[]));
    mirror.receive(response(Kind::Cluster, "2", &[&cluster], &[]));
    mirror.receive(response(Kind::Endpoints, "3", &[&endpoints], &[]));
}

#[test]
fn it_is_in_force_and_acknowledged_once_its_backends_are_known() {
    let mut mirror = mirror();
    let step = mirror.receive(response(Kind::Listener, "1", &[&bytes_service(DB, &[("a", 1), ("b", 1)])], &[]));
    assert_eq!((answers(&step.requests), step.config.is_none()), (vec![], true));
    assert_eq!(wishes(&step.requests, Kind::Cluster), (vec!["a", "b"], vec![]));
    let [cluster, endpoints] = backend("a");
    let step = mirror.receive(response(Kind::Cluster, "2", &[&cluster], &["b"]));
    assert_eq!(answers(&step.requests), [("2", true)]);
    let step = mirror.receive(response(Kind::Endpoints, "3", &[&endpoints], &[]));
    assert_eq!(answers(&step.requests), [("1", true), ("3", true)]);
    assert_eq!(way(step.config.unwrap()), "it carries bytes");
}

#[test]
fn the_old_one_stays_until_the_new_one_can_go_into_force_and_lets_go_then() {
    let mut mirror = mirror();
    held(&mut mirror);
    let step = mirror.receive(response(Kind::Listener, "4", &[&bytes_service(DB, &[("b", 1)])], &[]));
    assert_eq!((answers(&step.requests), step.config.is_none()), (vec![], true));
    assert_eq!(wishes(&step.requests, Kind::Cluster), (vec!["b"], vec![]));
    let [cluster, endpoints] = backend("b");
    mirror.receive(response(Kind::Cluster, "5", &[&cluster], &[]));
    let step = mirror.receive(response(Kind::Endpoints, "6", &[&endpoints], &[]));
    assert_eq!(answers(&step.requests), [("4", true), ("6", true)]);
    assert_eq!(wishes(&step.requests, Kind::Cluster), (vec![], vec!["a"]));
}

#[test]
fn one_that_leads_nowhere_is_in_force_at_once() {
    let mut mirror = mirror();
    held(&mut mirror);
    let step = mirror.receive(response(Kind::Listener, "4", &[&bytes_service_that_closes(DB)], &[]));
    assert_eq!(answers(&step.requests), [("4", true)]);
    assert_eq!(wishes(&step.requests, Kind::Cluster), (vec![], vec!["a"]));
}

#[test]
fn one_that_names_a_refused_backend_is_refused_until_it_is_asked_again() {
    let mut mirror = mirror();
    held(&mut mirror);
    let next = bytes_service(DB, &[("b", 1)]);
    mirror.receive(response(Kind::Listener, "4", &[&next], &[]));
    let [cluster, endpoints] = backend("b");
    let step = mirror.receive(response(Kind::Cluster, "5", &[&broken(cluster.clone())], &[]));
    assert_eq!(answers(&step.requests), [("4", false), ("5", false)]);
    assert!(mirror.table(Kind::Listener).refused.contains_key(DB));
    mirror.receive(response(Kind::Cluster, "6", &[&cluster], &[]));
    let step = mirror.receive(response(Kind::Endpoints, "7", &[&endpoints], &[]));
    assert!(step.config.is_none_or(|config| way(config) == "it carries bytes"));
    assert_ne!(mirror.table(Kind::Listener).held[DB].version, next.version(), "what was refused is over");
    let step = mirror.receive(response(Kind::Listener, "8", &[&next], &[]));
    assert_eq!(answers(&step.requests), [("8", true)]);
    assert_eq!(mirror.table(Kind::Listener).held[DB].version, next.version());
}

#[test]
fn a_service_becomes_one_of_bytes_and_one_of_requests_again_without_a_gap() {
    let mut mirror = mirror();
    mirror.receive(response(Kind::Listener, "1", &[&service(DB)], &[]));
    mirror.receive(response(Kind::Route, "2", &[&routes(DB, &[("h", 1)])], &[]));
    let [_, endpoints_h] = backend("h");
    mirror.receive(response(Kind::Cluster, "3", &[&cluster("h", Speaks::Plaintext)], &[]));
    let step = mirror.receive(response(Kind::Endpoints, "4", &[&endpoints_h], &[]));
    assert_eq!(way(step.config.unwrap()), "it carries requests");
    let step = mirror.receive(response(Kind::Listener, "5", &[&bytes_service(DB, &[("a", 1)])], &[]));
    assert!(step.config.is_none() && wishes(&step.requests, Kind::Route) == (vec![], vec![]), "it waits");
    let [cluster_a, endpoints_a] = backend("a");
    mirror.receive(response(Kind::Cluster, "6", &[&cluster_a], &[]));
    let step = mirror.receive(response(Kind::Endpoints, "7", &[&endpoints_a], &[]));
    assert_eq!(answers(&step.requests), [("5", true), ("7", true)]);
    assert_eq!(way(step.config.unwrap()), "it carries bytes");
    let step = mirror.receive(response(Kind::Listener, "8", &[&service(DB)], &[]));
    assert_eq!(wishes(&step.requests, Kind::Route), (vec![DB], vec![]), "its routes are asked for anew");
}

#[test]
fn a_newer_one_takes_the_place_of_one_that_waits() {
    let mut mirror = mirror();
    mirror.receive(response(Kind::Listener, "1", &[&bytes_service(DB, &[("a", 1)])], &[]));
    let step = mirror.receive(response(Kind::Listener, "2", &[&service(DB)], &[]));
    assert_eq!(answers(&step.requests), [("1", true), ("2", true)]);
    assert_eq!(wishes(&step.requests, Kind::Cluster), (vec![], vec!["a"]));
    let step = mirror.receive(response(Kind::Listener, "3", &[], &[DB]));
    assert_eq!(way(step.config.unwrap()), "absent");
}

#[test]
fn what_is_no_longer_called_is_forgotten_even_while_it_waits() {
    let mut mirror = mirror();
    mirror.receive(response(Kind::Listener, "1", &[&bytes_service(DB, &[("a", 1)])], &[]));
    let step = mirror.call(std::collections::BTreeSet::default());
    assert_eq!(answers(&step.requests), [("1", true)]);
    assert_eq!(wishes(&step.requests, Kind::Cluster), (vec![], vec!["a"]));
    assert_eq!(mirror.warming().count(), 0);
}

#[test]
fn a_copy_on_disk_that_lacks_a_backend_serves_no_way_to_it() {
    let mut mirror = mirror();
    held(&mut mirror);
    let mut saved = mirror.save(&[]);
    let restore = |saved| {
        let mut other = Mirror::new(&[], Limits::default());
        other.call([DB.into()].into());
        other.restore(saved).config.map_or("untold", way)
    };
    assert_eq!(restore(saved.clone()), "it carries bytes");
    saved[1].resources.clear();
    assert_eq!(restore(saved), "untold", "it will be asked for again");
}
