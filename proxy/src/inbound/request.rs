//! One request of a caller: judged under one configuration, then handed to the program.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use tracing::debug;

use super::{Inbound, connection::Peer, upgrade::Call};
use crate::{
    config::{
        Snapshot,
        cluster::Security,
        inbound::{Door, Incoming, Judged, Judgement, Listener, Verdict},
    },
    exchange::upstream::{Failure, Target, UNTOUCHED},
    message::{
        HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
        error::{Audience, Caller, Denial, NOT_TOLD, ProxyError, options},
        head, headers,
        upgrade::Upgrade,
    },
    net::accept::Counted,
    telemetry::record::Record,
};

/// How long the program may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

impl Inbound {
    /// Serves one request under one configuration, whatever arrives meanwhile.
    pub(super) async fn serve(self: &Arc<Self>, request: Request, peer: &Arc<Peer>) -> Response {
        let audience = Audience { trusted: peer.id.is_some(), grpc: headers::is_grpc(request.headers()) };
        let mut record = Record::inbound(self.metrics.clone());
        let response = match self.answer(request, peer).await {
            Ok(response) => {
                record.answered(response.status().as_u16());
                response
            }
            Err(error) => {
                debug!(caller = ?peer.id, remote = %peer.address, %error, "answered a caller ourselves");
                record.answered(error.reason().status().as_u16());
                let mut response = error.respond(audience);
                // Its sidecar can go elsewhere then, and takes this out.
                if peer.id.is_some() && error.reason().is_untouched() {
                    response.headers_mut().insert(UNTOUCHED, HeaderValue::from_static("1"));
                }
                response
            }
        };
        response.map(|body| body.holding(record))
    }

    async fn answer(self: &Arc<Self>, mut request: Request, peer: &Arc<Peer>) -> Result<Response, ProxyError> {
        if peer.is_over(SystemTime::now()) {
            return Err(ProxyError::Expired);
        }
        if peer.proof.as_ref().is_some_and(|proof| !proof.holds(&self.identity.now())) {
            return Err(ProxyError::Distrusted);
        }
        let (activity, load) = self.burden.take(&peer.portion).ok_or(ProxyError::Overloaded)?;
        let pass = (self.in_flight.enter().ok_or(ProxyError::Overloaded)?, load);
        let config = self.config.now();
        let no_configuration = || ProxyError::NoConfiguration { of: self.workload.to_string(), why: NOT_TOLD };
        let listener = config.door(self.place).ok_or_else(no_configuration)?;
        if request.method() == Method::CONNECT {
            return Err(ProxyError::Tunnel { authority: request.uri().to_string() });
        }
        head::read(&request)?;
        self.note_rules(listener, &config);
        let door = if peer.id.is_some() { &listener.mutual_tls } else { &listener.plaintext };
        // The door was open when the connection came.
        let door =
            door.as_ref().ok_or_else(|| self.denied(&request, peer, "such callers are no longer listened to"))?;
        if let Some(path) = self.judge(door, &request, peer)? {
            *request.uri_mut() = path;
        }
        let method = request.method().clone();
        if headers::count_hop(&method, request.headers_mut()) {
            return if method == Method::OPTIONS { Ok(options()) } else { Err(ProxyError::NoTrace) };
        }
        headers::strip_claims(request.headers_mut());
        // HTTP/1.0 is spoken by the caller alone.
        let version = if request.version() == Version::HTTP_2 { Version::HTTP_2 } else { Version::HTTP_11 };
        let program = self.program.now();
        if program.refused {
            return Err(ProxyError::NoEndpoint { backend: self.workload.to_string() });
        }
        let target = Target { address: program.address, security: Security::Plaintext, version };
        let upgrade = match Upgrade::asked_for_by(&mut request) {
            Some(upgrade) => Some((upgrade, Call::of(&request), self.goes_on(peer)?)),
            None => None,
        };
        let request = request.map(|body| body.noted(&activity));
        let stands_still = activity.clone().ceased(door.idle_timeout);
        let waiting = self.calls.begin();
        let response = self.upstream.send(&target, CONNECT_TIMEOUT, request, stands_still).await;
        let mut response = response.or_else(|failure| match failure {
            _ if activity.is_given_up() => Err(ProxyError::Overloaded),
            Failure::Broken(_) if activity.is_broken() => Err(ProxyError::BadBody),
            failure => failure.into_answer(&format!("the program of {}", self.workload)),
        })?;
        waiting.answered();
        if response.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some((upgrade, call, place)) = upgrade
        {
            let forbidden = self.clone().forbids(peer.clone(), call);
            upgrade.join(&mut response, activity, door.idle_timeout, forbidden, (place, pass));
            return Ok(response);
        }
        Ok(response.map(|body| body.limited(&activity, door.idle_timeout).holding(pass)))
    }

    /// Lets a request pass, and gives its target anew if the program is to see another one.
    fn judge(&self, door: &Door, request: &Request, peer: &Peer) -> Result<Option<Uri>, ProxyError> {
        let (method, path) = (request.method().as_str(), request.uri().path());
        let incoming = Incoming { peer: peer.id.as_ref(), remote: peer.address, method, path };
        let Judged { judgement: Judgement { verdict, audit }, path: forwarded } = door.judge(incoming)?;
        self.metrics.decision(verdict.passes(), rule(verdict));
        if let Some(audit) = audit {
            self.metrics.audit(audit.passes(), rule(audit));
        }
        match verdict {
            Verdict::Allowed(_) if forwarded == path => Ok(None),
            Verdict::Allowed(_) => Ok(Some(replace_path(request.uri(), &forwarded)?)),
            Verdict::Denied(rule) => {
                let why = format!("rule {rule} denies it");
                Err(self.denial(request, peer, why, Some(rule.to_string()), Vec::new()))
            }
            Verdict::NoRule { closed_by: [] } => {
                Err(self.denied(request, peer, "the default of the mesh does not allow it"))
            }
            Verdict::NoRule { closed_by } => {
                let why = format!("no rule of {} allows it", closed_by.join(" or "));
                let closed_by = closed_by.iter().map(ToString::to_string).collect();
                Err(self.denial(request, peer, why, None, closed_by))
            }
        }
    }

    /// A place for a connection that goes on in another protocol, beside that which it has until then.
    fn goes_on(&self, peer: &Peer) -> Result<impl Send + 'static + use<>, ProxyError> {
        let place = match &peer.id {
            Some(id) => self.callers.member(peer.address, id),
            None => self.callers.stranger(peer.address),
        };
        let place = place.map_err(|_| ProxyError::Overloaded)?;
        Ok((place, Counted::one_more(&self.metrics.inbound_upgrades)))
    }

    /// Lets the rules of a new configuration be counted.
    /// The other doors count in the same place: what is in force there stays as well.
    fn note_rules(&self, listener: &Arc<Listener>, config: &Snapshot) {
        let this = Arc::as_ptr(listener) as usize;
        if self.rules_of.swap(this, Ordering::Relaxed) != this {
            self.metrics.keep_rules(config.told().inbound.iter().flatten().flat_map(|door| door.rules()));
        }
    }

    fn denied(&self, request: &Request, peer: &Peer, why: &str) -> ProxyError {
        self.denial(request, peer, why.to_owned(), None, Vec::new())
    }

    fn denial(
        &self,
        request: &Request,
        peer: &Peer,
        why: String,
        rule: Option<String>,
        closed_by: Vec<String>,
    ) -> ProxyError {
        ProxyError::Denied(Box::new(Denial {
            caller: peer.id.clone().map_or(Caller::Unproven, Caller::Proven),
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            workload: self.workload.to_string(),
            why,
            rule,
            closed_by,
        }))
    }
}

/// The same target with another path; the query stays as it came.
fn replace_path(uri: &Uri, path: &str) -> Result<Uri, ProxyError> {
    let path_and_query = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    let bad = |_| ProxyError::BadRequest("the path cannot be written in its one form".into());
    parts.path_and_query = Some(path_and_query.parse().map_err(bad)?);
    Uri::from_parts(parts).map_err(|_| ProxyError::BadRequest("the target cannot be written anew".into()))
}

fn rule(verdict: Verdict<'_>) -> Option<&str> {
    match verdict {
        Verdict::Allowed(rule) | Verdict::Denied(rule) => Some(rule.as_str()),
        Verdict::NoRule { .. } => None,
    }
}
