//! What is counted, in one place: names, labels and what they mean. OpenMetrics text comes out on the admin port.

use std::{
    collections::HashSet,
    fmt,
    sync::{Mutex, PoisonError, atomic::AtomicU64},
};

use super::connections::Connections;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered so.
    Status(u16),
    /// Whoever asked was gone before there was an answer.
    Gone,
}

/// How many rules get a time series of their own; decisions by others are counted under `other`.
const MOST_RULES: usize = 256;

/// Everything that this sidecar counts.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    refused_connections: Family<Reason, Counter>,
    refused_heads: Family<Head, Counter>,
    refused_calls: Family<Reason, Counter>,
    decisions: Family<Decision, Counter>,
    audits: Family<Decision, Counter>,
    inbound_requests: Family<Class, Counter>,
    outbound_requests: Family<Outbound, Counter>,
    updates: Family<Update, Counter>,
    renewals: Family<Renewal, Counter>,
    /// Connections of bytes.
    pub connections: Connections,
    /// Connections from callers that have not proved yet who they are.
    pub inbound_handshakes: Gauge,
    /// Connections from callers that are open, once it is known who they are.
    pub inbound_connections: Gauge,
    /// Connections from the program that are open.
    pub outbound_connections: Gauge,
    /// Connections from callers that go on in another protocol.
    pub inbound_upgrades: Gauge,
    /// Connections from the program that go on in another protocol.
    pub outbound_upgrades: Gauge,
    /// Connections to endpoints and to the program that are open.
    pub upstream_connections: Gauge,
    /// 1 while there is a stream on which the control plane has answered.
    pub xds_connected: Gauge,
    /// When the certificate ends, in seconds since 1970.
    pub identity_expiry: Gauge,
    rules: Mutex<HashSet<Box<str>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Head {
    listener: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decision {
    decision: &'static str,
    rule: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Class {
    status_class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outbound {
    service: String,
    backend: String,
    status_class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Update {
    #[allow(clippy::struct_field_names)]
    r#type: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Renewal {
    result: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("sluice");
        macro_rules! register {
            ($name:literal, $help:literal) => {{
                let metric = Default::default();
                registry.register($name, $help, Clone::clone(&metric));
                metric
            }};
        }
        let refused_connections = register!("inbound_refused_connections", "Connections that were turned away");
        let refused_heads = register!("refused_heads", "Heads of requests that are too large, or cannot be read");
        let refused_calls = register!("outbound_refused_connections", "Connections on loopback that were turned away");
        let decisions = register!("inbound_decisions", "Requests by verdict and by the rule that decided");
        let audits = register!("inbound_audit", "Requests by what audited policies would have decided");
        let inbound_requests = register!("inbound_requests", "Requests from callers, by class of status");
        let outbound_requests = register!("outbound_requests", "Requests of the program, by class of status");
        let updates = register!("xds_updates", "Resources that came from the control plane, by what became of them");
        let renewals = register!("identity_renewals", "Tries to renew the certificate");
        let inbound_handshakes =
            register!("inbound_handshakes", "Connections from callers that have not proved yet who they are");
        let inbound_connections = register!("inbound_connections", "Open connections from callers");
        let outbound_connections = register!("outbound_connections", "Open connections from the program");
        let inbound_upgrades =
            register!("inbound_upgrades", "Open connections from callers that go on in another protocol");
        let outbound_upgrades =
            register!("outbound_upgrades", "Open connections from the program that go on in another protocol");
        let upstream_connections =
            register!("upstream_connections", "Open connections to endpoints and to the program");
        let xds_connected = register!("xds_connected", "1 while the control plane is heard");
        let identity_expiry: Gauge<i64> = register!("identity_expiry_seconds", "When the certificate ends, since 1970");
        let connections = Connections::counted_in(&mut registry);
        let build: Family<Vec<(&str, &str)>, Gauge<u64, AtomicU64>> = register!("build_info", "What runs here");
        build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION"))]).set(1);
        Self {
            registry,
            connections,
            refused_connections,
            refused_heads,
            refused_calls,
            decisions,
            audits,
            inbound_requests,
            outbound_requests,
            updates,
            renewals,
            inbound_handshakes,
            inbound_connections,
            outbound_connections,
            inbound_upgrades,
            outbound_upgrades,
            upstream_connections,
            xds_connected,
            identity_expiry,
            rules: Mutex::default(),
        }
    }
}

impl Metrics {
    /// A connection was turned away.
    pub fn refused_connection(&self, reason: &'static str) {
        self.refused_connections.get_or_create(&Reason { reason }).inc();
    }

    /// The head of a request was refused before anybody could act on it: `too_large`, `unreadable`.
    pub fn refused_head(&self, listener: &'static str, reason: &'static str) {
        self.refused_heads.get_or_create(&Head { listener, reason }).inc();
    }

    /// Lets go of rules that are not in force any more, if those that are would not find room beside them.
    pub fn keep_rules<'a>(&self, in_force: impl Iterator<Item = &'a str>) {
        let in_force: HashSet<&str> = in_force.collect();
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        if rules.union(&in_force.iter().map(|&rule| rule.into()).collect()).count() <= MOST_RULES {
            return;
        }
        rules.retain(|rule| {
            let stays = in_force.contains(&**rule);
            if !stays {
                for decision in ["allow", "deny"] {
                    let label = Decision { decision, rule: rule.to_string() };
                    self.decisions.remove(&label);
                    self.audits.remove(&label);
                }
            }
            stays
        });
    }

    /// A connection on loopback was turned away.
    pub fn refused_call(&self, reason: &'static str) {
        self.refused_calls.get_or_create(&Reason { reason }).inc();
    }

    /// A request was judged. No rule: the default of the mesh, or the lack of a rule, decided.
    pub fn decision(&self, passes: bool, rule: Option<&str>) {
        self.decisions.get_or_create(&self.label(passes, rule)).inc();
    }

    /// A request was judged as audited policies would have it.
    pub fn audit(&self, passes: bool, rule: Option<&str>) {
        self.audits.get_or_create(&self.label(passes, rule)).inc();
    }

    /// A caller's request is over.
    pub fn inbound_request(&self, outcome: Outcome) {
        self.inbound_requests.get_or_create(&Class { status_class: class(outcome) }).inc();
    }

    /// A request of the program is over. The names are those of resources that are held, so they are bounded.
    pub fn outbound_request(&self, service: &str, backend: &str, outcome: Outcome) {
        let label = Outbound { service: service.into(), backend: backend.into(), status_class: class(outcome) };
        self.outbound_requests.get_or_create(&label).inc();
    }

    /// Resources came, and this became of them: `accepted`, `refused`, `removed`.
    pub fn updates(&self, kind: &'static str, result: &'static str, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.updates.get_or_create(&Update { r#type: kind, result }).inc_by(count);
    }

    /// A try to renew the certificate went so: `ok`, `failed`.
    pub fn renewal(&self, result: &'static str) {
        self.renewals.get_or_create(&Renewal { result }).inc();
    }

    /// Everything, as OpenMetrics text.
    pub fn print(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn label(&self, passes: bool, rule: Option<&str>) -> Decision {
        let rule = rule.map_or("none", |rule| {
            let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
            if rules.contains(rule) {
                rule
            } else if rules.len() < MOST_RULES {
                rules.insert(rule.into());
                rule
            } else {
                "other"
            }
        });
        Decision { decision: if passes { "allow" } else { "deny" }, rule: rule.to_owned() }
    }
}

/// A gauge that nobody sees.
pub fn uncounted() -> Gauge {
    Gauge::default()
}

const fn class(outcome: Outcome) -> &'static str {
    let Outcome::Status(status) = outcome else { return "gone" };
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_it_counts() {
        let metrics = Metrics::default();
        metrics.refused_connection("plaintext");
        metrics.decision(true, Some("shop/cart/0"));
        metrics.outbound_request("cart.shop:80", "cart-v2.shop:80", Outcome::Status(200));
        metrics.outbound_request("cart.shop:80", "none", Outcome::Gone);
        let text = metrics.print().unwrap();
        for line in [
            "sluice_inbound_refused_connections_total{reason=\"plaintext\"} 1",
            "sluice_inbound_decisions_total{decision=\"allow\",rule=\"shop/cart/0\"} 1",
            "sluice_outbound_requests_total{service=\"cart.shop:80\",backend=\"cart-v2.shop:80\",status_class=\"2xx\"} 1",
            "sluice_outbound_requests_total{service=\"cart.shop:80\",backend=\"none\",status_class=\"gone\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn counts_no_more_rules_than_it_can_bear() {
        let metrics = Metrics::default();
        for index in 0..2 * MOST_RULES {
            metrics.decision(false, Some(&format!("shop/cart/{index}")));
        }
        let text = metrics.print().unwrap();
        assert!(text.contains(&format!("rule=\"other\"}} {MOST_RULES}")), "{text}");
    }

    #[test]
    fn makes_room_for_the_rules_that_are_in_force() {
        let metrics = Metrics::default();
        for index in 0..MOST_RULES {
            metrics.decision(false, Some(&format!("shop/old/{index}")));
        }
        let counted = |rule: &str| metrics.print().unwrap().contains(&format!("{{decision=\"deny\",rule=\"{rule}\"}}"));
        metrics.keep_rules(["shop/old/0"].into_iter());
        assert!(counted("shop/old/1"), "there is room: what was counted stays");
        metrics.keep_rules(["shop/old/0", "shop/new/0"].into_iter());
        metrics.decision(false, Some("shop/new/0"));
        assert!(counted("shop/old/0") && counted("shop/new/0"));
        assert!(!counted("shop/old/1"), "nobody can be denied by it any more");
    }
}
