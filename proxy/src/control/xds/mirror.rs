//! What this proxy holds of what the control plane has: pure, with no stream in sight. Responses and wishes go in;
//! requests, and a new configuration where something changed, come out.
//!
//! Make before break: what names backends, a route table or a service of bytes, goes into force only when every one of them
//! is known, with its endpoints. Until then the old one stays, and the response that brought the new one is not acknowledged.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource as WireResource,
};

use super::{
    decode::{Decoded, Limits, decode},
    kind::Kind,
    links::{backends, endpoints_name, refusal, resolved, route_table},
    reply::Pending,
    table::{Change, Held, Refused, Table},
};
use crate::config::Config;

/// What this proxy holds, wants and waits for.
#[derive(Debug)]
pub struct Mirror {
    limits: Limits,
    /// The listeners before the program, in the order of its ports.
    inbound: Vec<Arc<str>>,
    /// The authorities that the program calls.
    called: BTreeSet<Arc<str>>,
    clusters: Table,
    endpoints: Table,
    listeners: Table,
    routes: Table,
    /// What waits for its backends.
    warming: BTreeMap<(Kind, Arc<str>), Held>,
    /// What was refused for a backend of its own. It never goes into force, but its backends are still asked for: once those
    /// are mended, the control plane asks again.
    rejected: BTreeMap<(Kind, Arc<str>), Held>,
    /// Responses that have not been answered.
    pending: Vec<Pending>,
    /// Whether there is a stream to say things on.
    open: bool,
    config: Arc<Config>,
}

/// What is to be done, in this order: the configuration first, for an ACK follows the swap.
#[derive(Debug, Default)]
pub struct Step {
    /// What is in force from now on, if anything changed.
    pub config: Option<Arc<Config>>,
    /// What the control plane is to be told.
    pub requests: Vec<DeltaDiscoveryRequest>,
    /// What was refused, for the log.
    pub refused: Vec<(Kind, Arc<str>, Refused)>,
}

impl Mirror {
    /// Holds nothing yet, and wants its own listeners.
    pub fn new(inbound: &[&str], limits: Limits) -> Self {
        let config = Config { inbound: vec![None; inbound.len()], ..Config::default() };
        Self {
            limits,
            inbound: inbound.iter().map(|&name| name.into()).collect(),
            called: BTreeSet::new(),
            clusters: Table::default(),
            endpoints: Table::default(),
            listeners: Table::default(),
            routes: Table::default(),
            warming: BTreeMap::new(),
            rejected: BTreeMap::new(),
            pending: Vec::new(),
            open: false,
            config: Arc::new(config),
        }
    }

    /// The authorities that the program calls, from now on.
    pub fn call(&mut self, authorities: BTreeSet<Arc<str>>) -> Step {
        self.called = authorities;
        self.settle(Vec::new())
    }

    /// A stream begins: what to say on it first, one request for each kind. What is held is not asked for again.
    pub fn open(&mut self) -> Step {
        let mut step = self.close();
        self.open = true;
        step.requests = Kind::ALL.into_iter().map(|kind| opening(kind, self.table(kind))).collect();
        step
    }

    /// The stream is gone, and what it left unfinished with it: it will be told again.
    pub fn close(&mut self) -> Step {
        self.open = false;
        self.pending.clear();
        self.warming.clear();
        self.rejected.clear();
        self.settle(Vec::new())
    }

    /// Takes in what the control plane says.
    pub fn receive(&mut self, response: DeltaDiscoveryResponse) -> Step {
        let Some(kind) = Kind::of_type_url(&response.type_url) else {
            let request = super::reply::unknown_type(&response);
            return Step { requests: vec![request], ..Step::default() };
        };
        let mut refused = Vec::new();
        let mut waiting_for = BTreeSet::new();
        for name in &response.removed_resources {
            self.table_mut(kind).remove(name);
            self.forget(&(kind, name.as_str().into()));
        }
        for resource in response.resources {
            let Some(name) = self.table(kind).subscribed.get(resource.name.as_str()).cloned() else { continue };
            match self.read(kind, resource) {
                Ok(held) if backends(&held).next().is_some() => {
                    self.rejected.remove(&(kind, name.clone()));
                    waiting_for.insert(name.clone());
                    self.warming.insert((kind, name), held);
                }
                Ok(held) => {
                    self.forget(&(kind, name.clone()));
                    self.table_mut(kind).hold(name, held);
                }
                Err(refusal) => refused.push((kind, name, refusal)),
            }
        }
        let mut pending = Pending::new(kind, response.nonce, waiting_for);
        for (_, name, refusal) in &refused {
            pending.refuse(name.clone(), refusal.clone());
            self.table_mut(kind).refused.insert(name.clone(), refusal.clone());
        }
        self.pending.push(pending);
        self.settle(refused)
    }

    /// Takes in what was once held, from disk: of what the control plane has said anything since, nothing, for that is
    /// newer. What no longer can be obeyed is left out.
    pub fn restore(&mut self, responses: Vec<DeltaDiscoveryResponse>) -> Step {
        for response in responses {
            let Some(kind) = Kind::of_type_url(&response.type_url) else { continue };
            for resource in response.resources {
                let name: Arc<str> = resource.name.as_str().into();
                if self.table(kind).knows(&name) {
                    continue;
                }
                if let Ok(held) = self.read(kind, resource) {
                    let table = self.table_mut(kind);
                    table.subscribed.insert(name.clone());
                    table.hold(name, held);
                }
            }
            let table = self.table_mut(kind);
            for name in response.removed_resources {
                if !table.knows(&name) {
                    table.subscribed.insert(name.as_str().into());
                    table.remove(&name);
                }
            }
        }
        let is_whole =
            |_: &Arc<str>, held: &mut Held| backends(held).all(|name| resolved(&self.clusters, &self.endpoints, name));
        self.routes.held.retain(is_whole);
        self.listeners.held.retain(is_whole);
        self.settle(Vec::new())
    }

    /// What is held, as it would come over the wire; and of what nothing has been heard yet, what `before` says of it.
    pub fn save(&self, before: &[DeltaDiscoveryResponse]) -> Vec<DeltaDiscoveryResponse> {
        let save = |kind: Kind| {
            let table = self.table(kind);
            let held = table.held.iter().map(|(name, held)| WireResource {
                name: name.to_string(),
                version: held.version.clone(),
                resource: Some(held.raw.clone()),
                ..WireResource::default()
            });
            let before = || before.iter().filter(|response| response.type_url == kind.type_url());
            let resources = before().flat_map(|response| &response.resources);
            let resources = resources.filter(|resource| !table.knows(&resource.name)).cloned();
            let removed = before().flat_map(|response| &response.removed_resources);
            let removed = removed.filter(|name| !table.knows(name)).cloned();
            DeltaDiscoveryResponse {
                type_url: kind.type_url().into(),
                resources: held.chain(resources).collect(),
                removed_resources: table.absent.iter().map(ToString::to_string).chain(removed).collect(),
                ..DeltaDiscoveryResponse::default()
            }
        };
        Kind::ALL.into_iter().map(save).collect()
    }

    /// Whether all that is asked for has been answered, and there is a listener before each port of the program.
    pub fn is_complete(&self) -> bool {
        Kind::ALL.into_iter().all(|kind| self.table(kind).is_answered())
            && self.config.inbound.iter().all(Option::is_some)
    }

    /// What is known of the resources of one kind.
    pub fn table(&self, kind: Kind) -> &Table {
        match kind {
            Kind::Cluster => &self.clusters,
            Kind::Endpoints => &self.endpoints,
            Kind::Listener => &self.listeners,
            Kind::Route => &self.routes,
        }
    }

    /// What waits for its backends, with its version.
    pub fn warming(&self) -> impl Iterator<Item = (&Arc<str>, &str)> {
        self.warming.iter().map(|((_, name), held)| (name, held.version.as_str()))
    }

    /// What waits under this name, or was refused for its backends, does so no more.
    fn forget(&mut self, key: &(Kind, Arc<str>)) {
        self.warming.remove(key);
        self.rejected.remove(key);
    }

    fn table_mut(&mut self, kind: Kind) -> &mut Table {
        match kind {
            Kind::Cluster => &mut self.clusters,
            Kind::Endpoints => &mut self.endpoints,
            Kind::Listener => &mut self.listeners,
            Kind::Route => &mut self.routes,
        }
    }

    fn read(&self, kind: Kind, resource: WireResource) -> Result<Held, Refused> {
        let WireResource { name, version, resource, .. } = resource;
        let refused = |reason: String| Refused { version: version.clone(), reason };
        let raw = resource.ok_or_else(|| refused("holds nothing".into()))?;
        let decoded = decode(kind, &name, &raw, &self.limits).map_err(|fault| refused(fault.to_string()))?;
        Ok(Held { version, raw, decoded })
    }

    /// Draws every conclusion from what has changed: what goes into force, what is wanted, what can be answered.
    fn settle(&mut self, refused: Vec<(Kind, Arc<str>, Refused)>) -> Step {
        let mut step = Step { refused, ..Step::default() };
        let listeners = self.inbound.iter().chain(&self.called).cloned().collect();
        let mut changes = vec![(Kind::Listener, self.listeners.want(listeners))];
        let wanted = |(_, name): &(Kind, Arc<str>), _: &mut Held| self.listeners.subscribed.contains(name);
        self.warming.retain(|key, held| key.0 != Kind::Listener || wanted(key, held));
        self.rejected.retain(|key, held| key.0 != Kind::Listener || wanted(key, held));
        // A service that is one of bytes from now on needs no routes any more.
        self.warm_up(&mut step);
        let routes = self.listeners.held.values().filter_map(route_table).cloned().collect();
        changes.push((Kind::Route, self.routes.want(routes)));
        self.warming.retain(|(kind, name), _| *kind != Kind::Route || self.routes.subscribed.contains(name));
        self.rejected.retain(|(kind, name), _| *kind != Kind::Route || self.routes.subscribed.contains(name));
        let held = self.routes.held.values().chain(self.listeners.held.values());
        let naming = held.chain(self.warming.values()).chain(self.rejected.values());
        let named = naming.flat_map(backends).cloned().collect();
        changes.push((Kind::Cluster, self.clusters.want(named)));
        let endpoints = self.clusters.held.values().filter_map(endpoints_name).cloned().collect();
        changes.push((Kind::Endpoints, self.endpoints.want(endpoints)));
        // Where its endpoints are may be known already, under the same name.
        self.warm_up(&mut step);
        if self.open {
            step.requests.extend(changes.into_iter().filter_map(|(kind, change)| subscription(kind, change)));
            self.answer(&mut step);
        }
        let config = self.config();
        if config != *self.config {
            self.config = Arc::new(config);
            step.config = Some(self.config.clone());
        }
        step
    }

    /// Puts everything that warms in force whose backends are known. What names a refused backend is refused with it, for
    /// good: both sides agree on what is in force, whatever becomes of that backend later.
    fn warm_up(&mut self, step: &mut Step) {
        let (clusters, endpoints) = (&self.clusters, &self.endpoints);
        let ready =
            |_: &(Kind, Arc<str>), held: &mut Held| backends(held).all(|name| resolved(clusters, endpoints, name));
        let ready: Vec<_> = self.warming.extract_if(.., ready).collect();
        let hopeless = |_: &(Kind, Arc<str>), held: &mut Held| {
            backends(held).any(|name| refusal(clusters, endpoints, name).is_some())
        };
        let hopeless: Vec<_> = self.warming.extract_if(.., hopeless).collect();
        let hopeless: Vec<_> = hopeless
            .into_iter()
            .map(|(key, held)| {
                let reasons: Vec<_> = backends(&held).filter_map(|name| refusal(clusters, endpoints, name)).collect();
                (key, Refused { version: held.version.clone(), reason: reasons.join("; ") }, held)
            })
            .collect();
        for ((kind, name), held) in ready {
            self.table_mut(kind).hold(name, held);
        }
        for ((kind, name), refusal, held) in hopeless {
            self.pending.iter_mut().for_each(|pending| pending.give_up(kind, &name, &refusal));
            self.table_mut(kind).refused.insert(name.clone(), refusal.clone());
            self.rejected.insert((kind, name.clone()), held);
            step.refused.push((kind, name, refusal));
        }
    }

    /// Answers the responses that nothing waits for any more.
    fn answer(&mut self, step: &mut Step) {
        let warming = &self.warming;
        for pending in &mut self.pending {
            let kind = pending.kind;
            pending.waiting_for.retain(|name| warming.contains_key(&(kind, name.clone())));
        }
        let done = self.pending.extract_if(.., |pending| pending.waiting_for.is_empty());
        step.requests.extend(done.map(Pending::into_request));
    }

    fn config(&self) -> Config {
        let door = |name| match &self.listeners.held.get(name)?.decoded {
            Decoded::Inbound(entrance) => Some(entrance.clone()),
            _ => None,
        };
        Config {
            inbound: self.inbound.iter().map(door).collect(),
            services: self.listeners.answers(|decoded| match decoded {
                Decoded::Service(service) => Some(service),
                _ => None,
            }),
            routes: self.routes.answers(|decoded| match decoded {
                Decoded::Routes(routes) => Some(routes),
                _ => None,
            }),
            clusters: self.clusters.answers(|decoded| match decoded {
                Decoded::Cluster(cluster) => Some(cluster),
                _ => None,
            }),
            endpoints: self.endpoints.answers(|decoded| match decoded {
                Decoded::Endpoints(endpoints) => Some(endpoints),
                _ => None,
            }),
        }
    }
}

/// The first request of a kind on a stream. One for nothing subscribes to nothing: empty lists would mean everything.
fn opening(kind: Kind, table: &Table) -> DeltaDiscoveryRequest {
    let names = |names: &BTreeSet<Arc<str>>| names.iter().map(ToString::to_string).collect();
    let nothing = table.subscribed.is_empty();
    DeltaDiscoveryRequest {
        type_url: kind.type_url().into(),
        resource_names_subscribe: if nothing { vec!["*".into()] } else { names(&table.subscribed) },
        resource_names_unsubscribe: if nothing { vec!["*".into()] } else { Vec::new() },
        initial_resource_versions: table.held.iter().map(|(n, held)| (n.to_string(), held.version.clone())).collect(),
        ..DeltaDiscoveryRequest::default()
    }
}

fn subscription(kind: Kind, Change { subscribe, unsubscribe }: Change) -> Option<DeltaDiscoveryRequest> {
    let names = |names: Vec<Arc<str>>| names.iter().map(ToString::to_string).collect();
    (!subscribe.is_empty() || !unsubscribe.is_empty()).then(|| DeltaDiscoveryRequest {
        type_url: kind.type_url().into(),
        resource_names_subscribe: names(subscribe),
        resource_names_unsubscribe: names(unsubscribe),
        ..DeltaDiscoveryRequest::default()
    })
}
