//! A table of calls, and what becomes of them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::{
    Decision, Program, To, Way,
    inbound::{self, Caller, Decided},
    outbound::{self, Refusal, called},
};
use crate::{
    config::{
        Answer, Config, Snapshot,
        cluster::{Cluster, Endpoints, Health, Place, Proof, Protocol, Security},
        inbound::{Door, Guard, Listener},
        route::{Action, Leads, PathMatch, Route, RouteTable, ServiceListener},
        rules::{Permission, Principal, Rule, RuleName, Rules},
        split::{Split, Turn},
    },
    message::{
        Body, Request,
        head::{BadHead, Head},
        reason::Reason,
    },
};

const CART: &str = "cart.shop:80";

type Lines = &'static [(&'static str, &'static str)];

fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = http::Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::default()).unwrap()
}

#[test]
fn a_call_means_the_service_that_its_host_names() {
    let cases = [
        ("GET", "/", &[("host", "Cart")][..], Ok(Ok(CART.to_owned()))),
        ("GET", "http://cart.shop/", &[("host", "cart.shop")], Ok(Ok(CART.to_owned()))),
        ("GET", "/", &[("host", "10.0.0.1")], Ok(Err("10.0.0.1".to_owned()))),
        ("GET", "/", &[], Err(Refusal::Head(BadHead::NoHost))),
        ("GET", "https://cart/", &[("host", "cart")], Err(Refusal::Https)),
        ("CONNECT", "cart:80", &[], Err(Refusal::Tunnel)),
    ];
    for (method, uri, headers, means) in cases {
        assert_eq!(called(&Head::of(&request(method, uri, headers)), "shop"), means, "{method} {uri}");
    }
}

/// `/hers` goes to a backend with an endpoint, `/gone` to a missing one, `/none` to one without endpoints, `/later` to one that
/// is untold, `/zero` is answered.
fn snapshot() -> Snapshot {
    let mut config = Config::default();
    let listener = ServiceListener { leads: Leads::Requests("t".into()), idle_timeout: Some(Duration::from_secs(7)) };
    config.services.insert(CART.into(), Answer::Held(Arc::new(listener)));
    let forward = |backend: &str| Action::Forward { split: Split::whole(backend.into()), missing_backend_status: 504 };
    let ways = ["hers", "gone", "none", "later"].map(|name| (name, forward(name)));
    let ways = ways.into_iter().chain([("zero", Action::Respond(418))]);
    let route = |(name, action): (&str, Action)| {
        Arc::new(Route { name: name.into(), path: PathMatch::Exact(format!("/{name}").into()), action })
    };
    let table = RouteTable { hosts: [("*".into(), ways.map(route).collect())].into(), backends: Vec::new() };
    config.routes.insert("t".into(), Answer::Held(Arc::new(table)));
    config.clusters.insert("gone".into(), Answer::Absent);
    for name in ["hers", "none"] {
        let cluster = Cluster {
            endpoints: name.into(),
            connect_timeout: Duration::from_secs(1),
            proof: Proof::OfAll(Security::Plaintext),
            protocol: Protocol::AsCalled,
        };
        config.clusters.insert(name.into(), Answer::Held(Arc::new(cluster)));
    }
    let place = Place { address: address(), mutual: false, health: Health::Fit };
    config.endpoints.insert("hers".into(), Answer::Held(Arc::new(Endpoints { places: vec![place] })));
    config.endpoints.insert("none".into(), Answer::Absent);
    Snapshot::of(Arc::new(config), &Snapshot::default(), || 0)
}

fn address() -> SocketAddr {
    "127.0.0.1:1".parse().unwrap()
}

#[test]
fn a_call_goes_where_its_route_says_or_is_answered_with_the_reason() {
    let snapshot = snapshot();
    let last_hop: Lines = &[("max-forwards", "0")];
    let cases: [(&str, &str, Lines, Option<Reason>); 8] = [
        ("GET", "/hers", &[], None),
        ("GET", "/hers", last_hop, None),
        ("TRACE", "/hers", last_hop, Some(Reason::NoTrace)),
        ("GET", "/gone", &[], Some(Reason::MissingBackend(504))),
        ("GET", "/none", &[], Some(Reason::NoEndpoint)),
        ("GET", "/zero", &[], Some(Reason::RouteAnswers(418))),
        ("GET", "/else", &[], Some(Reason::NoRoute)),
        ("OPTIONS", "*", &[], Some(Reason::NoRoute)),
    ];
    for (method, uri, headers, refused) in cases {
        let request = request(method, uri, headers);
        let decided = outbound::decide(snapshot.service(CART), &Head::of(&request), |turns| turns.take());
        match decided {
            Decision::Answer(refusal) => assert_eq!(Some(refusal.reason()), refused, "{method} {uri}"),
            Decision::Go(Way { to: To::Backend(backend), idle_timeout, .. }) => {
                assert_eq!((None, &*backend.name), (refused, "hers"), "{method} {uri}");
                assert_eq!(idle_timeout, Some(Duration::from_secs(7)));
            }
            other => panic!("{method} {uri}: {other:?}"),
        }
    }
}

#[test]
fn a_call_waits_for_what_it_needs_to_know_and_for_nothing_else() {
    let snapshot = snapshot();
    let decide = |found, uri| {
        let request = request("GET", uri, &[]);
        let turn = Turn { number: 0, seed: 0 };
        match outbound::decide(found, &Head::of(&request), |_| turn) {
            Decision::Untold => None,
            Decision::Answer(refusal) => Some(refusal.reason()),
            Decision::Go(way) => panic!("{way:?}"),
        }
    };
    assert_eq!(decide(None, "/"), None);
    assert_eq!(decide(snapshot.service(CART), "/later"), None);
    assert_eq!(decide(snapshot.service(CART), "/gone"), Some(Reason::MissingBackend(504)));
    assert_eq!(decide(Some(&Answer::Absent), "/"), Some(Reason::NoService));
    assert_eq!(decide(Some(&Answer::Refused), "/"), Some(Reason::NoConfiguration));
}

#[test]
fn a_request_is_judged_as_it_will_be_seen_and_what_was_judged_is_counted_whatever_becomes_of_it() {
    let rule = |name, permission| Rule {
        name: RuleName::new(name),
        principals: vec![Principal::Anyone],
        permissions: vec![permission],
    };
    let guard = Guard {
        deny: Rules::new(vec![rule("shop/no-delete/0", Permission::Method("DELETE".into()))]),
        allow: Rules::new(vec![rule("shop/all/0", Permission::Anything)]),
        ..Guard::default()
    };
    let door = Door { guard, normalise_paths: true, idle_timeout: None };
    let listener = Arc::new(Listener { name: "x".into(), mutual_tls: None, plaintext: Some(Arc::new(door)) });
    let id = crate::base::spiffe::SpiffeId::parse("spiffe://sluice.local/ns/shop/sa/web").unwrap();
    let program = || Some(Program { of: "shop/cart".into(), address: address() });
    let last_hop = [("host", "cart"), ("max-forwards", "0")];
    // Whether the caller has an identity, whether the program may be called, the request; the reason, whether it is counted.
    let cases: [(bool, bool, Request, Option<Reason>, bool); 9] = [
        (false, true, request("GET", "/a//b", &[("host", "cart")]), None, true),
        (false, true, request("DELETE", "/", &[("host", "cart")]), Some(Reason::Denied), true),
        (false, true, request("delete", "/", &[("host", "cart")]), Some(Reason::BadRequest), false),
        (false, true, request("GET", "/a%2Fb", &[("host", "cart")]), Some(Reason::BadPath), false),
        (false, true, request("GET", "/", &[]), Some(Reason::BadRequest), false),
        (false, true, request("CONNECT", "cart:80", &[]), Some(Reason::Tunnel), false),
        (false, true, request("TRACE", "/", &last_hop), Some(Reason::NoTrace), true),
        (false, false, request("GET", "/", &[("host", "cart")]), Some(Reason::NoEndpoint), true),
        (true, true, request("GET", "/", &[("host", "cart")]), Some(Reason::Denied), false),
    ];
    for (proven, callable, request, refused, counted) in cases {
        let caller = Caller { peer: proven.then_some(&id), remote: address().ip() };
        let program = callable.then(program).flatten();
        let Decided { decision, judgement } = inbound::decide(Some(&listener), &Head::of(&request), caller, program);
        let sentence = format!("{} {}", request.method(), request.uri());
        assert_eq!(judgement.is_some(), counted, "{sentence}");
        match decision {
            Decision::Answer(refusal) => assert_eq!(Some(refusal.reason()), refused, "{sentence}"),
            Decision::Go(way) => {
                assert_eq!((refused, way.edits.path.as_deref()), (None, Some("/a/b")), "{sentence}");
                assert!(way.edits.without_claims && matches!(way.to, To::Program(_)));
            }
            Decision::Untold => panic!("{sentence}"),
        }
    }
    let request = request("GET", "/", &[("host", "cart")]);
    let nobody = Caller { peer: None, remote: address().ip() };
    let decided = inbound::decide(None, &Head::of(&request), nobody, program());
    assert!(matches!(decided.decision, Decision::Answer(inbound::Refusal::NoDoor)));
}
