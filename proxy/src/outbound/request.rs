//! One request of the program: where it goes is decided once, under one configuration.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};
use tracing::debug;

use super::{Outbound, target::authority};
use crate::{
    config::{
        Backend, Config, Destination,
        cluster::{Cluster, Endpoint, Protocol},
        route::{Action, Route},
    },
    error::{Audience, NOT_OBEYED, NOT_TOLD, ProxyError},
    http::{Activity, Request, Response, Version, headers},
    upstream::{Failure, Target},
};

/// How many endpoints are tried before a call is given up. Each only if nothing was done with it at the one before.
const TRIES: usize = 3;

/// What a request is counted under.
#[derive(Default)]
struct Labels {
    service: Option<String>,
    backend: Option<Arc<str>>,
}

/// Where a request goes.
struct Way {
    config: Arc<Config>,
    route: Arc<Route>,
    idle_timeout: Option<Duration>,
}

impl Outbound {
    /// Serves one request of the program.
    pub(super) async fn serve(&self, request: Request) -> Response {
        let audience = Audience { trusted: true, grpc: headers::is_grpc(request.headers()) };
        let mut labels = Labels::default();
        let response = match self.answer(request, &mut labels).await {
            Ok(response) => response,
            Err(error) => {
                debug!(service = labels.service, %error, "answered the program ourselves");
                error.respond(audience)
            }
        };
        // Names that are no resource's are not labels: the program could make up any number of them.
        let service = labels.service.as_deref().unwrap_or("unknown");
        let backend = labels.backend.as_deref().unwrap_or("none");
        self.metrics.outbound_request(service, backend, response.status().as_u16());
        response
    }

    async fn answer(&self, request: Request, labels: &mut Labels) -> Result<Response, ProxyError> {
        let pass = self.in_flight.enter().ok_or(ProxyError::Overloaded)?;
        let authority = authority(&request, &self.namespace)?;
        let way = self.way(&authority, request.uri().path()).await?;
        labels.service = Some(authority.clone());
        let (split, missing_backend_status) = match &way.route.action {
            Action::Forward { split, missing_backend_status } => (split, *missing_backend_status),
            Action::Respond(status) => {
                return Err(ProxyError::RouteAnswers { authority, route: way.route.name.to_string(), status: *status });
            }
        };
        let backend = split.pick(self.turns.of_route(&authority, &way.route)).clone();
        labels.backend = Some(backend.clone());
        let config = self.told(way.config, &backend).await?;
        let Backend::Found(cluster, endpoints) = config.backend(&backend) else {
            return Err(ProxyError::MissingBackend {
                authority,
                backend: backend.to_string(),
                status: missing_backend_status,
            });
        };
        let activity = Activity::default();
        let mut request = request.map(|body| body.noted(&activity));
        let turn = self.turns.of_backend(&backend);
        let mut tried = Vec::new();
        let mut last = Err(ProxyError::NoEndpoint { backend: backend.to_string() });
        while tried.len() < TRIES
            && let Some(picked) = self.aside.pick(endpoints, turn, &tried, Instant::now())
        {
            let (endpoint, target) = (picked.address, target(picked, cluster, request.version()));
            let stands_still = activity.clone().ceased(way.idle_timeout);
            let failure = match self.upstream.send(&target, cluster.connect_timeout, request, stands_still).await {
                Ok(response) => {
                    self.aside.answered_at(endpoint);
                    last = Ok(response);
                    break;
                }
                Err(failure) => failure,
            };
            self.aside.failed_at(endpoint, Instant::now());
            tried.push(endpoint);
            let Failure::Untouched(unsent, why) = failure else {
                last = failure.into_answer(endpoint);
                break;
            };
            request = *unsent;
            last = why.into_answer(endpoint);
            debug!(%endpoint, "nothing was done there; trying another endpoint, if there is one");
        }
        last.map(|response| response.map(|body| body.limited(&activity, way.idle_timeout).holding(pass)))
    }

    /// The way to `authority`; if the control plane has not been asked yet, the call waits for what it says.
    async fn way(&self, authority: &str, path: &str) -> Result<Way, ProxyError> {
        self.demand.call(authority);
        let look = |config: &Arc<Config>| match config.destination(authority, path) {
            Destination::Unknown => None,
            Destination::Refused => {
                Some(Err(ProxyError::NoConfiguration { of: authority.to_owned(), why: NOT_OBEYED }))
            }
            Destination::NoRoute => Some(Err(ProxyError::NoService { authority: authority.to_owned() })),
            Destination::Route(listener, route) => {
                Some(Ok(Way { config: config.clone(), route: route.clone(), idle_timeout: listener.idle_timeout }))
            }
        };
        if let Some(way) = look(&self.config.now()) {
            return way;
        }
        let no_answer = |_| Err(ProxyError::NoConfiguration { of: authority.to_owned(), why: NOT_TOLD });
        timeout(self.patience, self.config.find(look)).await.unwrap_or_else(no_answer)
    }

    /// A configuration that knows `backend`: `config`, unless the control plane is just about to tell.
    async fn told(&self, config: Arc<Config>, backend: &str) -> Result<Arc<Config>, ProxyError> {
        let look = |config: &Arc<Config>| match config.backend(backend) {
            Backend::Unknown => None,
            Backend::Missing | Backend::Found(..) => Some(config.clone()),
        };
        if let Some(config) = look(&config) {
            return Ok(config);
        }
        let no_answer = |_| ProxyError::NoConfiguration { of: backend.to_owned(), why: NOT_TOLD };
        timeout(self.patience, self.config.find(look)).await.map_err(no_answer)
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
