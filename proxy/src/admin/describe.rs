//! What is in force, in words that people can read. No secrets: there are none in a configuration, and of the identity
//! only the name and the end are told.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use crate::{
    config::{
        Answer, Answers, Config,
        bytes::BytesDoor,
        cluster::{Cluster, Endpoints, Health, Proof, Protocol, Security},
        inbound::{Door, Entrance, Guard},
        route::{Action, Leads, PathMatch, Route, RouteTable, ServiceListener},
        rules::{IdentityMatch, Permission, Principal, Rules},
    },
    control::xds::report::Report,
    identity::credentials::Credentials,
};

/// All of it.
pub fn everything(identity: Option<&Credentials>, program: &Value, config: &Config, report: &Report) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "identity": identity.map(who),
        "program": program,
        "controlPlane": report,
        "inbound": config.inbound.iter().flatten().map(inbound).collect::<Vec<_>>(),
        "services": answers(&config.services, service),
        "routes": answers(&config.routes, routes),
        "clusters": answers(&config.clusters, cluster),
        "endpoints": answers(&config.endpoints, endpoints),
    })
}

fn who(identity: &Credentials) -> Value {
    let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    json!({
        "workload": identity.workload(),
        "id": identity.leaf.id.as_str(),
        "notBeforeSeconds": seconds(identity.leaf.not_before),
        "notAfterSeconds": seconds(identity.leaf.not_after),
    })
}

fn answers<T>(answers: &Answers<T>, describe: impl Fn(&T) -> Value) -> Value {
    let describe = |answer: &Answer<T>| match answer {
        Answer::Held(value) => describe(value),
        Answer::Absent => json!("does not exist"),
        Answer::Refused => json!("was refused"),
    };
    // A map of serde_json is sorted by its keys.
    answers.iter().map(|(name, answer)| (name.to_string(), describe(answer))).collect::<Map<_, _>>().into()
}

fn inbound(entrance: &Entrance) -> Value {
    let (carries, mutual_tls, plaintext) = match entrance {
        Entrance::Requests(listener) => {
            ("requests", listener.mutual_tls.as_deref().map(door), listener.plaintext.as_deref().map(door))
        }
        Entrance::Bytes(listener) => {
            ("bytes", listener.mutual_tls.as_deref().map(bytes_door), listener.plaintext.as_deref().map(bytes_door))
        }
    };
    json!({ "name": entrance.name(), "carries": carries, "mutualTls": mutual_tls, "plaintext": plaintext })
}

fn door(door: &Door) -> Value {
    let mut shown = guard(&door.guard, door.idle_timeout);
    shown["normalisesPaths"] = door.normalise_paths.into();
    shown
}

fn bytes_door(door: &BytesDoor) -> Value {
    guard(&door.guard, door.idle_timeout)
}

fn guard(guard: &Guard, idle_timeout: Option<Duration>) -> Value {
    json!({
        "deny": rules(&guard.deny),
        "allow": rules(&guard.allow),
        "auditedDeny": guard.audited_deny.as_ref().map(rules),
        "auditedAllow": guard.audited_allow.as_ref().map(rules),
        "idleTimeoutSeconds": idle_timeout.map(|timeout| timeout.as_secs()),
    })
}

fn rules(rules: &Rules) -> Value {
    let describe = rules.all().iter().map(|rule| {
        json!({
            "rule": rule.name.as_str(),
            "from": rule.principals.iter().map(principal).collect::<Vec<_>>(),
            "to": rule.permissions.iter().map(permission).collect::<Vec<_>>(),
        })
    });
    describe.collect::<Vec<_>>().into()
}

fn principal(who: &Principal) -> String {
    match who {
        Principal::Anyone => "anyone".into(),
        Principal::Identity(IdentityMatch::Any) => "any identity".into(),
        Principal::Identity(IdentityMatch::Exact(id)) => id.to_string(),
        Principal::Identity(IdentityMatch::Prefix(prefix)) => format!("{prefix}*"),
        Principal::From(network) => format!("from {network}"),
        Principal::All(all) => joined(all, principal, " and "),
        Principal::OneOf(some) => joined(some, principal, " or "),
        Principal::Not(other) => format!("not {}", principal(other)),
    }
}

fn permission(what: &Permission) -> String {
    match what {
        Permission::Anything => "anything".into(),
        Permission::Method(method) => method.to_string(),
        Permission::Path(rule) => path(&rule.written),
        Permission::All(all) => joined(all, permission, " and "),
        Permission::OneOf(some) => joined(some, permission, " or "),
        Permission::Not(other) => format!("not {}", permission(other)),
    }
}

fn joined<T>(parts: &[T], describe: fn(&T) -> String, word: &str) -> String {
    format!("({})", parts.iter().map(describe).collect::<Vec<_>>().join(word))
}

fn path(matcher: &PathMatch) -> String {
    match matcher {
        PathMatch::Exact(exact) => exact.to_string(),
        PathMatch::Prefix(prefix) => format!("{prefix}*"),
    }
}

fn service(service: &ServiceListener) -> Value {
    match &service.leads {
        Leads::Requests(table) => json!({ "routes": table }),
        Leads::Bytes { route: way, .. } => json!({ "bytes": route(way) }),
    }
}

fn routes(table: &RouteTable) -> Value {
    let hosts = table.hosts.iter().map(|(host, routes)| (host.to_string(), routes.iter().map(|r| route(r)).collect()));
    hosts.collect::<Map<_, _>>().into()
}

fn route(route: &Route) -> Value {
    let shares = match &route.action {
        Action::Respond(status) => json!({ "answers": status }),
        Action::Forward { split, .. } => {
            split.shares().map(|(backend, weight)| (backend.to_string(), weight.into())).collect::<Map<_, _>>().into()
        }
    };
    json!({ "name": route.name, "path": path(&route.path), "to": shares })
}

fn cluster(cluster: &Cluster) -> Value {
    let (mutual, identities) = match &cluster.proof {
        Proof::OfAll(Security::Plaintext) => ("no endpoint", None),
        Proof::OfAll(Security::MutualTls(ids)) => ("every endpoint", Some(ids)),
        Proof::OfMarked(ids) => ("marked endpoints", Some(ids)),
    };
    let identities = identities.into_iter().flat_map(|ids| ids.iter()).map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "endpoints": cluster.endpoints,
        "mutualTls": mutual,
        "identities": identities,
        "protocol": match cluster.protocol { Protocol::AsCalled => "as called", Protocol::Http2 => "HTTP/2", Protocol::Bytes => "bytes" },
        "connectTimeoutMs": u64::try_from(cluster.connect_timeout.as_millis()).unwrap_or(u64::MAX),
    })
}

fn endpoints(endpoints: &Endpoints) -> Value {
    let describe = endpoints.places.iter().map(|place| {
        let health = match place.health {
            Health::Fit => "healthy",
            Health::Unhealthy => "unhealthy",
            Health::Draining => "draining",
        };
        json!({ "address": place.address, "marked": place.mutual, "health": health })
    });
    describe.collect::<Vec<_>>().into()
}
