//! One request of the program: where it goes is decided once, under one configuration.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};
use tracing::debug;

use super::{Outbound, target::authority};
use crate::{
    config::{
        Backend, Config, Destination,
        cluster::{Cluster, Endpoint, Protocol},
        route::{Action, Route},
        split::Turn,
    },
    exchange::upstream::{Failure, Target},
    http::{Method, Request, Response, StatusCode, Upgrade, Version, headers},
    message::error::{Audience, NOT_OBEYED, NOT_TOLD, ProxyError, options},
    net::accept::Counted,
    telemetry::record::Record,
};

/// How many endpoints are tried before a call is given up. Each only if nothing was done with it at the one before.
const TRIES: usize = 3;

/// Where a request goes: all of it is said by one configuration.
struct Way {
    config: Arc<Config>,
    route: Arc<Route>,
    /// The backend whose turn it is; none: the route answers by itself.
    backend: Option<Arc<str>>,
    idle_timeout: Option<Duration>,
}

impl Outbound {
    /// Serves one request of the program.
    pub(super) async fn serve(&self, request: Request) -> Response {
        let audience = Audience { trusted: true, grpc: headers::is_grpc(request.headers()) };
        let mut record = Record::outbound(self.metrics.clone());
        let response = match self.answer(request, &mut record).await {
            Ok(response) => {
                record.answered(response.status().as_u16());
                response
            }
            Err(error) => {
                debug!(%error, "answered the program ourselves");
                record.answered(error.reason().status().as_u16());
                error.respond(audience)
            }
        };
        response.map(|body| body.holding(record))
    }

    async fn answer(&self, request: Request, record: &mut Record) -> Result<Response, ProxyError> {
        let (activity, load) = self.burden.take(&self.portion).ok_or(ProxyError::Overloaded)?;
        let pass = (self.in_flight.enter().ok_or(ProxyError::Overloaded)?, load);
        let mut request = request.map(|body| body.noted(&activity));
        let authority = authority(&request, &self.namespace)?;
        let Way { config, route, backend, idle_timeout } = self.way(&authority, path(&request)).await?;
        record.calls(&authority);
        let method = request.method().clone();
        if headers::count_hop(&method, request.headers_mut()) {
            return if method == Method::OPTIONS { Ok(options()) } else { Err(ProxyError::NoTrace) };
        }
        let (backend, missing_backend_status) = match (&route.action, backend) {
            (Action::Forward { missing_backend_status, .. }, Some(backend)) => (backend, *missing_backend_status),
            (Action::Forward { missing_backend_status: status, .. } | Action::Respond(status), _) => {
                return Err(ProxyError::RouteAnswers { authority, route: route.name.to_string(), status: *status });
            }
        };
        record.goes_to(backend.clone());
        let Backend::Found(cluster, endpoints) = config.backend(&backend) else {
            return Err(ProxyError::MissingBackend {
                authority,
                backend: backend.to_string(),
                status: missing_backend_status,
            });
        };
        let upgrade = match Upgrade::asked_for_by(&mut request) {
            Some(upgrade) => {
                let place = self.connections.enter().ok_or(ProxyError::Overloaded)?;
                Some((upgrade, (place, Counted::one_more(&self.metrics.outbound_upgrades))))
            }
            None => None,
        };
        let whom = || format!("a workload of {backend}");
        let turn = self.turns.of_backend(&backend);
        let mut tried = Vec::new();
        let mut last = Err(ProxyError::NoEndpoint { backend: backend.to_string() });
        while tried.len() < TRIES
            && let Some(picked) = self.aside.pick(endpoints, turn, &tried, Instant::now())
        {
            let (endpoint, target) = (picked.address, target(picked, cluster, request.version()));
            let stands_still = activity.clone().ceased(idle_timeout);
            let failure = match self.upstream.send(&target, cluster.connect_timeout, request, stands_still).await {
                Ok(response) => {
                    self.aside.answered_at(endpoint);
                    last = Ok(response);
                    break;
                }
                Err(_) if activity.is_given_up() => return Err(ProxyError::Overloaded),
                // The program broke its own request off: nobody there is at fault.
                Err(Failure::Broken(_)) if activity.is_broken() => return Err(ProxyError::BadBody),
                Err(failure) => failure,
            };
            self.aside.failed_at(endpoint, Instant::now());
            tried.push(endpoint);
            let Failure::Untouched(unsent, why) = failure else {
                last = failure.into_answer(&whom());
                debug!(%endpoint, error = last.as_ref().err().map(tracing::field::display), "a call failed there");
                break;
            };
            request = *unsent;
            last = why.into_answer(&whom());
            debug!(%endpoint, "nothing was done there; trying another endpoint, if there is one");
        }
        let mut response = last?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some((upgrade, place)) = upgrade
        {
            // Whether it may go on is for the other side to say.
            upgrade.join(&mut response, activity, idle_timeout, pending(), (place, pass));
            return Ok(response);
        }
        Ok(response.map(|body| body.limited(&activity, idle_timeout).holding(pass)))
    }

    /// The way to `authority`; if the control plane has not told all of it yet, the call waits for what it says, and goes
    /// by the first configuration that knows all.
    async fn way(&self, authority: &str, path: &str) -> Result<Way, ProxyError> {
        self.demand.call(authority);
        let mut drawn: Option<(Arc<Route>, Turn)> = None;
        let mut look = |config: &Arc<Config>| match config.destination(authority, path) {
            Destination::Unknown => None,
            Destination::Refused => {
                Some(Err(ProxyError::NoConfiguration { of: authority.to_owned(), why: NOT_OBEYED }))
            }
            Destination::NoService => Some(Err(ProxyError::NoService { authority: authority.to_owned() })),
            Destination::NoRoute => {
                Some(Err(ProxyError::NoRoute { authority: authority.to_owned(), path: path.to_owned() }))
            }
            Destination::Route(listener, route) => {
                let backend = match &route.action {
                    Action::Respond(_) => None,
                    Action::Forward { split, .. } => {
                        // A request has one turn of a route, however often it looks.
                        let turn = match &drawn {
                            Some((known, turn)) if Arc::ptr_eq(known, route) => *turn,
                            _ => drawn.insert((route.clone(), self.turns.of_route(authority, route))).1,
                        };
                        let backend = split.pick(turn);
                        if matches!(config.backend(backend), Backend::Unknown) {
                            return None;
                        }
                        Some(backend.clone())
                    }
                };
                let (config, route, idle_timeout) = (config.clone(), route.clone(), listener.idle_timeout);
                Some(Ok(Way { config, route, backend, idle_timeout }))
            }
        };
        if let Some(way) = look(&self.config.now()) {
            return way;
        }
        let no_answer = |_| Err(ProxyError::NoConfiguration { of: authority.to_owned(), why: NOT_TOLD });
        timeout(self.patience, self.config.find(look)).await.unwrap_or_else(no_answer)
    }

    /// Whether there is a service of this name; if the control plane has not been asked yet, the call waits for what it
    /// says.
    pub(super) async fn exists(&self, authority: &str) -> Result<(), ProxyError> {
        self.demand.call(authority);
        let look = |config: &Arc<Config>| match config.destination(authority, "/") {
            Destination::Unknown => None,
            Destination::Refused => {
                Some(Err(ProxyError::NoConfiguration { of: authority.to_owned(), why: NOT_OBEYED }))
            }
            Destination::NoService => Some(Err(ProxyError::NoService { authority: authority.to_owned() })),
            Destination::NoRoute | Destination::Route(..) => Some(Ok(())),
        };
        let no_answer = |_| Err(ProxyError::NoConfiguration { of: authority.to_owned(), why: NOT_TOLD });
        timeout(self.patience, self.config.find(look)).await.unwrap_or_else(no_answer)
    }
}

/// The path by which a request is routed. `OPTIONS *` speaks of the server as a whole, and goes where all that has no
/// route of its own goes.
fn path(request: &Request) -> &str {
    match request.uri().path() {
        "*" => "/",
        path => path,
    }
}

fn target(endpoint: &Endpoint, cluster: &Cluster, called_in: Version) -> Target {
    let version = match cluster.protocol {
        Protocol::Http2 => Version::HTTP_2,
        Protocol::AsCalled if called_in == Version::HTTP_2 => Version::HTTP_2,
        // HTTP/1.0 is spoken by the caller alone.
        Protocol::AsCalled => Version::HTTP_11,
    };
    Target { address: endpoint.address, security: cluster.security(endpoint), version }
}
