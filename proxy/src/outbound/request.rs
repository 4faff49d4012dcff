//! One request of the program: where it goes is decided once, under one configuration.

use std::{future::pending, sync::Arc};

use tokio::time::{Instant, timeout};
use tracing::debug;

use super::{Outbound, target::authority};
use crate::{
    config::{
        Answer, Snapshot,
        cluster::Protocol,
        snapshot::{
            backend::{Backend, Endpoint, Known},
            service::{Action, Service, Way},
        },
        split::Turn,
        turns::Turns,
    },
    exchange::upstream::{Failure, Target},
    message::{
        Method, Request, Response, StatusCode, Version,
        error::{Audience, NOT_OBEYED, NOT_TOLD, ProxyError, options},
        headers,
        upgrade::Upgrade,
    },
    net::accept::Counted,
    telemetry::record::Record,
};

/// How many endpoints are tried before a call is given up. Each only if nothing was done with it at the one before.
const TRIES: usize = 3;

/// Where a request goes: all of it is said by one configuration.
struct Leads {
    service: Arc<Service>,
    to: To,
}

/// What becomes of a request.
enum To {
    /// It goes there.
    Backend(Arc<Backend>),
    /// It is answered here, as this route says.
    Answer { route: Arc<str>, status: u16 },
    /// It is answered here, because this backend is missing.
    Missing { backend: Arc<str>, status: u16 },
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
        let Leads { service, to } = self.way(&authority, path(&request)).await?;
        let idle_timeout = service.idle_timeout;
        record.calls(&authority);
        let method = request.method().clone();
        if headers::count_hop(&method, request.headers_mut()) {
            return if method == Method::OPTIONS { Ok(options()) } else { Err(ProxyError::NoTrace) };
        }
        let backend = match to {
            To::Backend(backend) => backend,
            To::Answer { route, status } => {
                return Err(ProxyError::RouteAnswers { authority, route: route.to_string(), status });
            }
            To::Missing { backend, status } => {
                record.goes_to(backend.clone());
                return Err(ProxyError::MissingBackend { authority, backend: backend.to_string(), status });
            }
        };
        record.goes_to(backend.name.clone());
        let Known::Standing(standing) = &backend.known else {
            return Err(ProxyError::NoEndpoint { backend: backend.name.to_string() });
        };
        let upgrade = match Upgrade::asked_for_by(&mut request) {
            Some(upgrade) => {
                let place = self.connections.enter().ok_or(ProxyError::Overloaded)?;
                Some((upgrade, (place, Counted::one_more(&self.metrics.outbound_upgrades))))
            }
            None => None,
        };
        let whom = || format!("a workload of {}", backend.name);
        let turn = backend.turn();
        let mut tried = Vec::new();
        let mut last = Err(ProxyError::NoEndpoint { backend: backend.name.to_string() });
        while tried.len() < TRIES
            && let Some(picked) = self.aside.pick(&standing.endpoints, turn, &tried, Instant::now())
        {
            let (endpoint, target) = (picked.address, target(picked, request.version()));
            let stands_still = activity.clone().ceased(idle_timeout);
            let failure = match self.upstream.send(&target, standing.connect_timeout, request, stands_still).await {
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
    async fn way(&self, authority: &str, path: &str) -> Result<Leads, ProxyError> {
        let mut drawn: Option<(Arc<Turns>, Turn)> = None;
        let mut noted = false;
        let mut look = |config: &Arc<Snapshot>| {
            let service = match self.service(config, authority, &mut noted)? {
                Ok(service) => service,
                Err(error) => return Some(Err(error)),
            };
            let Some(route) = service.route(path) else {
                return Some(Err(ProxyError::NoRoute { authority: authority.to_owned(), path: path.to_owned() }));
            };
            let to = match &route.action {
                Action::Respond(status) => To::Answer { route: route.name().clone(), status: *status },
                Action::Forward { split, missing_backend_status: status } => {
                    // A request has one turn of a route, however often it looks.
                    let turn = match &drawn {
                        Some((known, turn)) if Arc::ptr_eq(known, &route.turns) => *turn,
                        _ => drawn.insert((route.turns.clone(), route.turns.take())).1,
                    };
                    let backend = split.pick(turn);
                    match backend.known {
                        Known::Untold => return None,
                        Known::Missing => To::Missing { backend: backend.name.clone(), status: *status },
                        Known::Standing(_) => To::Backend(backend.clone()),
                    }
                }
            };
            Some(Ok(Leads { service: service.clone(), to }))
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
        let mut noted = false;
        let look = |config: &Arc<Snapshot>| self.service(config, authority, &mut noted).map(|found| found.map(drop));
        let no_answer = |_| Err(ProxyError::NoConfiguration { of: authority.to_owned(), why: NOT_TOLD });
        timeout(self.patience, self.config.find(look)).await.unwrap_or_else(no_answer)
    }

    /// The service that is called so, if it is known where it leads, be it nowhere. That it is called, is `noted` once.
    fn service<'a>(
        &self,
        config: &'a Snapshot,
        authority: &str,
        noted: &mut bool,
    ) -> Option<Result<&'a Arc<Service>, ProxyError>> {
        let found = config.service(authority);
        if !std::mem::replace(noted, true) {
            match found {
                Some(Answer::Held(service)) => service.note_call(self.demand.number()),
                _ => self.demand.call(authority),
            }
        }
        let of = || authority.to_owned();
        Some(match found? {
            Answer::Absent => Err(ProxyError::NoService { authority: of() }),
            Answer::Refused => Err(ProxyError::NoConfiguration { of: of(), why: NOT_OBEYED }),
            Answer::Held(service) => match service.way {
                Way::Untold => return None,
                Way::Refused => Err(ProxyError::NoConfiguration { of: of(), why: NOT_OBEYED }),
                Way::Http(_) => Ok(service),
            },
        })
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

fn target(endpoint: &Endpoint, called_in: Version) -> Target {
    let version = match endpoint.speaks {
        Protocol::Http2 => Version::HTTP_2,
        Protocol::AsCalled if called_in == Version::HTTP_2 => Version::HTTP_2,
        // HTTP/1.0 is spoken by the caller alone.
        Protocol::AsCalled => Version::HTTP_11,
    };
    Target { address: endpoint.address, security: endpoint.identity.clone(), version }
}
