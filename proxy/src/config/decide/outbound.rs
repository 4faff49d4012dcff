//! A call of the program: which service it means, which route wants it, whose turn it is.

use std::sync::Arc;

use super::{Decision, To, Way};
use crate::{
    config::{
        Answer,
        authority::canonical,
        cluster::Protocol,
        snapshot::{
            backend::Known,
            service::{self, Action, Route, Service},
        },
        split::Turn,
        turns::Turns,
    },
    message::{
        edits::Edits,
        head::{BadHead, Head},
        reason::Reason,
    },
};

/// Why a call is answered here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal<'a> {
    /// It can be read in two ways, or makes no sense.
    Head(BadHead),
    /// It asks for a tunnel.
    Tunnel,
    /// It asks for encryption, which is not for the program to make.
    Https,
    /// There is no service of that name.
    NoService,
    /// What the control plane told of it cannot be obeyed.
    NotObeyed,
    /// The service carries bytes, and it is a request.
    CarriesBytes,
    /// The service carries requests, and it is a connection of bytes.
    CarriesRequests,
    /// No route of the service wants it.
    NoRoute,
    /// This is the last hop that it may take.
    LastHop,
    /// Its route answers everything so.
    RouteAnswers {
        /// The object that wants it so.
        route: &'a Arc<str>,
        /// With this status.
        status: u16,
    },
    /// Its share goes to what does not exist.
    MissingBackend {
        /// What is missing.
        backend: &'a Arc<str>,
        /// What its route says to answer.
        status: u16,
    },
    /// Nobody at this backend takes calls.
    NoEndpoint(&'a Arc<str>),
}

impl From<BadHead> for Refusal<'_> {
    fn from(bad: BadHead) -> Self {
        Self::Head(bad)
    }
}

impl Refusal<'_> {
    /// What machines know of it.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Head(bad) => bad.reason(),
            Self::Tunnel => Reason::Tunnel,
            Self::Https => Reason::BadRequest,
            Self::NoService => Reason::NoService,
            Self::NotObeyed => Reason::NoConfiguration,
            Self::CarriesBytes => Reason::CarriesBytes,
            Self::CarriesRequests => Reason::CarriesRequests,
            Self::NoRoute => Reason::NoRoute,
            Self::LastHop => Reason::NoTrace,
            Self::RouteAnswers { status, .. } => Reason::RouteAnswers(status),
            Self::MissingBackend { status, .. } => Reason::MissingBackend(status),
            Self::NoEndpoint(_) => Reason::NoEndpoint,
        }
    }
}

/// The canonical authority of the service that a call means, in words of whoever calls from `namespace`. What no service can be
/// called, is given back as it was written.
pub fn called(head: &Head<'_>, namespace: &str) -> Result<Result<String, String>, Refusal<'static>> {
    if head.is_connect() {
        return Err(Refusal::Tunnel);
    }
    let host = head.read()?.ok_or(BadHead::NoHost)?;
    if head.is_https() {
        return Err(Refusal::Https);
    }
    Ok(canonical(host, namespace).ok_or_else(|| host.to_owned()))
}

/// The service that was looked up and `found`. None: whether there is one, or where it leads, has not been told.
pub fn service(found: Option<&Answer<Service>>) -> Option<Result<&Arc<Service>, Refusal<'static>>> {
    Some(match found? {
        Answer::Absent => Err(Refusal::NoService),
        Answer::Refused => Err(Refusal::NotObeyed),
        Answer::Held(service) => match service.way {
            service::Way::Untold => return None,
            service::Way::Refused => Err(Refusal::NotObeyed),
            service::Way::Http(_) | service::Way::Bytes(_) => Ok(service),
        },
    })
}

/// What becomes of a call to what was `found` under the name that it means. `draw` says whose turn it is.
pub fn decide<'a>(
    found: Option<&'a Answer<Service>>,
    head: &Head<'_>,
    draw: impl FnOnce(&Arc<Turns>) -> Turn,
) -> Decision<Refusal<'a>> {
    let service = match service(found) {
        None => return Decision::Untold,
        Some(Err(refusal)) => return Decision::Answer(refusal),
        Some(Ok(service)) => service,
    };
    if let service::Way::Bytes(_) = service.way {
        return Decision::Answer(Refusal::CarriesBytes);
    }
    let Some(route) = service.route(head.routed_path()) else { return Decision::Answer(Refusal::NoRoute) };
    if head.is_last_hop() {
        return Decision::Answer(Refusal::LastHop);
    }
    along(service, route, |protocol| protocol != Protocol::Bytes, draw)
}

/// What becomes of a connection of bytes to what was `found` under the name that it means. `draw` says whose turn it is.
pub fn connect(found: Option<&Answer<Service>>, draw: impl FnOnce(&Arc<Turns>) -> Turn) -> Decision<Refusal<'_>> {
    match service(found) {
        None => Decision::Untold,
        Some(Err(refusal)) => Decision::Answer(refusal),
        Some(Ok(service)) => match &service.way {
            service::Way::Bytes(route) => along(service, route, |protocol| protocol == Protocol::Bytes, draw),
            _ => Decision::Answer(Refusal::CarriesRequests),
        },
    }
}

/// Where `route` leads. A backend that does not carry what is to go there, which `carries` says of its protocol, is as good as
/// missing.
fn along<'a>(
    service: &'a Service,
    route: &'a Route,
    carries: impl FnOnce(Protocol) -> bool,
    draw: impl FnOnce(&Arc<Turns>) -> Turn,
) -> Decision<Refusal<'a>> {
    let (split, status) = match &route.action {
        Action::Forward { split, missing_backend_status } => (split, *missing_backend_status),
        Action::Respond(status) => {
            return Decision::Answer(Refusal::RouteAnswers { route: route.name(), status: *status });
        }
    };
    let backend = split.pick(draw(&route.turns));
    match &backend.known {
        Known::Untold => Decision::Untold,
        Known::Missing => Decision::Answer(Refusal::MissingBackend { backend: &backend.name, status }),
        Known::Standing(standing) if !carries(standing.protocol) => {
            Decision::Answer(Refusal::MissingBackend { backend: &backend.name, status })
        }
        Known::Standing(standing) if standing.endpoints.is_empty() => {
            Decision::Answer(Refusal::NoEndpoint(&backend.name))
        }
        Known::Standing(_) => Decision::Go(Way {
            to: To::Backend(backend.clone()),
            idle_timeout: service.idle_timeout,
            edits: Edits::default(),
        }),
    }
}
