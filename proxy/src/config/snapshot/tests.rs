//! What is resolved, what is shared with the snapshot before, and what counts on.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    Snapshot,
    backend::{Backend, Known},
    service::{Action, Route, Service, Way},
};
use crate::config::{
    Answer, Config,
    cluster::{Cluster, Endpoints, Health, Place, Proof, Protocol, Security},
    route::{self, Leads, PathMatch, RouteTable, ServiceListener},
    split::Split,
};

const CART: &str = "cart.shop:80";

/// One service `name`, whose calls go to these backends, with an endpoint each.
fn mesh(services: &[&str]) -> Config {
    let mut config = Config::default();
    for &name in services {
        config.services.insert(name.into(), Answer::Held(listener(name)));
        config.routes.insert(name.into(), Answer::Held(table(&[(name, 1)])));
        hold(&mut config, name);
    }
    config
}

fn hold(config: &mut Config, backend: &str) {
    config.clusters.insert(backend.into(), Answer::Held(cluster(backend)));
    config.endpoints.insert(backend.into(), Answer::Held(Arc::new(Endpoints { places: vec![place(1, Health::Fit)] })));
}

fn listener(table: &str) -> Arc<ServiceListener> {
    Arc::new(ServiceListener { leads: Leads::Requests(table.into()), idle_timeout: None })
}

fn cluster(endpoints: &str) -> Arc<Cluster> {
    Arc::new(Cluster {
        endpoints: endpoints.into(),
        connect_timeout: Duration::from_secs(1),
        proof: Proof::OfAll(Security::Plaintext),
        protocol: Protocol::AsCalled,
    })
}

fn place(port: u16, health: Health) -> Place {
    Place { address: ([127, 0, 0, 1], port).into(), mutual: false, health }
}

fn told(name: &str, path: PathMatch, action: route::Action) -> Arc<route::Route> {
    Arc::new(route::Route { name: name.into(), path, action })
}

fn forward(shares: &[(&str, u32)]) -> route::Action {
    let split = Split::new(shares.iter().map(|&(name, weight)| (name.into(), weight))).unwrap();
    route::Action::Forward { split, missing_backend_status: 500 }
}

/// All calls by these shares.
fn table(shares: &[(&str, u32)]) -> Arc<RouteTable> {
    hosts([("*", vec![told("TrafficSplit shop/cart", PathMatch::Prefix("/".into()), forward(shares))])])
}

fn hosts<const N: usize>(hosts: [(&str, Vec<Arc<route::Route>>); N]) -> Arc<RouteTable> {
    let hosts = hosts.into_iter().map(|(host, routes)| (host.into(), routes.into()));
    Arc::new(RouteTable { hosts: hosts.collect(), backends: Vec::new() })
}

fn first(config: &Config) -> Snapshot {
    next(config, &Snapshot::default())
}

fn next(config: &Config, before: &Snapshot) -> Snapshot {
    let mut seed = 0;
    let seeds = || {
        seed += 1;
        seed
    };
    Snapshot::of(Arc::new(config.clone()), before, seeds)
}

fn service<'a>(snapshot: &'a Snapshot, name: &str) -> &'a Arc<Service> {
    match snapshot.service(name) {
        Some(Answer::Held(service)) => service,
        other => panic!("{other:?}"),
    }
}

fn route(snapshot: &Snapshot) -> &Route {
    service(snapshot, CART).route("/").unwrap()
}

fn backend(route: &Route) -> &Arc<Backend> {
    match &route.action {
        Action::Forward { split, .. } => split.shares().next().unwrap().0,
        Action::Respond(status) => panic!("answers {status}"),
    }
}

#[test]
fn a_name_leads_to_what_was_told_of_it() {
    let mut config = Config::default();
    assert!(first(&config).service(CART).is_none(), "nobody has told");
    config.services.insert(CART.into(), Answer::Absent);
    assert!(matches!(first(&config).service(CART), Some(Answer::Absent)));
    config.services.insert(CART.into(), Answer::Refused);
    assert!(matches!(first(&config).service(CART), Some(Answer::Refused)));
    config.services.insert(CART.into(), Answer::Held(listener("t")));
    assert!(matches!(service(&first(&config), CART).way, Way::Untold));
    config.routes.insert("t".into(), Answer::Refused);
    assert!(matches!(service(&first(&config), CART).way, Way::Refused));
    config.routes.insert("t".into(), Answer::Absent);
    assert!(service(&first(&config), CART).route("/").is_none());
    config.routes.insert("t".into(), Answer::Held(hosts([("other.shop:80", vec![])])));
    assert!(service(&first(&config), CART).route("/").is_none(), "another name of the same table");
}

#[test]
fn a_call_takes_the_first_route_of_its_authority() {
    let exact = told("exact", PathMatch::Exact("/a".into()), route::Action::Respond(418));
    let rest = told("rest", PathMatch::Prefix("/".into()), forward(&[(CART, 1)]));
    let others = told("others", PathMatch::Prefix("/".into()), route::Action::Respond(500));
    let mut config = mesh(&[CART]);
    config.routes.insert(CART.into(), Answer::Held(hosts([(CART, vec![exact, rest]), ("*", vec![others])])));
    let snapshot = first(&config);
    let name = |path| service(&snapshot, CART).route(path).unwrap().name().to_string();
    assert_eq!([name("/a"), name("/a/b")], ["exact", "rest"]);
}

#[test]
fn a_backend_is_untold_or_missing_or_stands_somewhere() {
    let mut config = mesh(&[CART]);
    let endpoints = |config: &Config| match &backend(route(&first(config))).known {
        Known::Untold => None,
        Known::Missing => panic!("there is such a backend"),
        Known::Standing(standing) => Some(standing.endpoints.iter().map(|at| at.address.port()).collect::<Vec<_>>()),
    };
    let places =
        [place(1, Health::Draining), place(2, Health::Fit), place(3, Health::Unhealthy), place(4, Health::Fit)];
    config.endpoints.insert(CART.into(), Answer::Held(Arc::new(Endpoints { places: places.into() })));
    assert_eq!(endpoints(&config), Some(vec![2, 4]));
    for nowhere in [Answer::Absent, Answer::Refused] {
        config.endpoints.insert(CART.into(), nowhere);
        assert_eq!(endpoints(&config), Some(vec![]));
    }
    config.endpoints.clear();
    assert_eq!(endpoints(&config), None, "where it is has not been told");
    for gone in [Answer::Absent, Answer::Refused] {
        config.clusters.insert(CART.into(), gone);
        assert!(matches!(backend(route(&first(&config))).known, Known::Missing));
    }
    config.clusters.clear();
    assert_eq!(endpoints(&config), None);
}

#[test]
fn what_did_not_change_is_not_resolved_again() {
    let names: Vec<String> = (0..1_000).map(|index| format!("s{index}.shop:80")).collect();
    let mut config = mesh(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let before = first(&config);
    hold(&mut config, "new.shop:80");
    config.routes.insert("s7.shop:80".into(), Answer::Held(table(&[("s7.shop:80", 9), ("new.shop:80", 1)])));
    config.endpoints.insert("s8.shop:80".into(), Answer::Held(Arc::default()));
    let after = next(&config, &before);
    let same = |name: &&String| Arc::ptr_eq(service(&before, name), service(&after, name));
    let changed: Vec<_> = names.iter().filter(|name| !same(name)).collect();
    assert_eq!(changed, ["s7.shop:80", "s8.shop:80"]);
    let of = |snapshot: &Snapshot| snapshot.backends.clone();
    let (before, after): (HashMap<_, _>, HashMap<_, _>) = (of(&before), of(&after));
    let again = after.iter().filter(|(name, backend)| !before.get(*name).is_some_and(|old| Arc::ptr_eq(old, backend)));
    let mut again: Vec<_> = again.map(|(name, _)| &**name).collect();
    again.sort_unstable();
    assert_eq!(again, ["new.shop:80", "s8.shop:80"]);
}

#[test]
fn whoever_waits_for_a_backend_hears_of_it() {
    let mut config = mesh(&[CART]);
    let held = config.clusters.remove(CART).unwrap();
    let before = first(&config);
    config.clusters.insert(CART.into(), held);
    let after = next(&config, &before);
    assert!(matches!(backend(route(&before)).known, Known::Untold));
    assert!(matches!(backend(route(&after)).known, Known::Standing(_)), "though its service says the same");
}

#[test]
fn a_route_counts_on_while_it_says_the_same_and_keeps_its_seed() {
    let mut config = mesh(&[CART, "web.shop:80"]);
    let before = first(&config);
    let old = [(); 3].map(|()| route(&before).turns.take());
    assert_eq!(old.map(|turn| turn.number), [0, 1, 2]);
    config.endpoints.insert(CART.into(), Answer::Held(Arc::default()));
    config.routes.insert(CART.into(), Answer::Held(table(&[(CART, 1)])));
    let again = next(&config, &before);
    assert_eq!(route(&again).turns.take().number, 3, "sent again, and its backend is elsewhere");
    assert_eq!(route(&before).turns.take().number, 4, "whichever snapshot is read");
    config.routes.insert(CART.into(), Answer::Held(table(&[(CART, 1), ("web.shop:80", 1)])));
    let changed = route(&next(&config, &again)).turns.take();
    assert_eq!((changed.number, changed.seed), (0, old[0].seed), "it says something new");
    let other = service(&before, "web.shop:80").route("/").unwrap().turns.take();
    assert_eq!(other.number, 0, "somebody else's");
    assert_ne!(other.seed, old[0].seed);
}

#[test]
fn a_backend_counts_on_whoever_leads_to_it_and_wherever_it_is() {
    let mut config = mesh(&[CART, "web.shop:80"]);
    config.routes.insert("web.shop:80".into(), Answer::Held(table(&[(CART, 1)])));
    let before = first(&config);
    let to_cart = |snapshot: &Snapshot, name| backend(service(snapshot, name).route("/").unwrap()).turn();
    assert_eq!([to_cart(&before, CART), to_cart(&before, "web.shop:80")], [0, 1]);
    hold(&mut config, CART);
    assert_eq!(to_cart(&next(&config, &before), CART), 2);
}

#[test]
fn who_was_called_last_is_known_after_a_swap() {
    let mut config = mesh(&[CART]);
    let before = first(&config);
    service(&before, CART).note_call(7);
    config.routes.insert(CART.into(), Answer::Absent);
    let last = next(&config, &before);
    assert_eq!(service(&last, CART).last_called().load(std::sync::atomic::Ordering::Relaxed), 7);
}
