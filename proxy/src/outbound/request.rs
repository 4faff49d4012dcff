//! What the program's door has to say of one of its calls. Where that goes is decided once, under one configuration.

use std::{future::pending, sync::Arc};

use tokio::time::timeout;
use tracing::debug;

use super::Outbound;
use crate::{
    base::gate::Gate,
    config::{
        Answer, Snapshot,
        decide::{
            Decision, To, Way,
            outbound::{Refusal, called, decide, service as known},
        },
        snapshot::service::{self, Service},
        split::Turn,
        turns::Turns,
    },
    exchange::{
        burden::Portion,
        door::{Beyond, Door, Goes},
    },
    message::{
        Method, Request, Response,
        error::{Audience, NOT_OBEYED, NOT_TOLD, ProxyError, options},
        head::Head,
    },
    net::accept::Counted,
    telemetry::record::Record,
};

impl Outbound {
    /// Serves one request of the program.
    pub(super) async fn serve(&self, request: Request) -> Response {
        self.exchange.serve(self, request).await
    }

    /// Whether bytes are all that a service of this name is known for, if there is one; if the control plane has not been asked
    /// yet, the call waits for what it says.
    pub(super) async fn is_of_bytes(&self, authority: &str) -> Result<bool, ProxyError> {
        let mut noted = false;
        let look = |config: &Arc<Snapshot>| {
            let found = known(self.look_up(config, authority, &mut noted))?;
            let found = found.map(|service| matches!(service.way, service::Way::Bytes(_)));
            Some(found.map_err(|refusal| fault(refusal, authority, "/")))
        };
        self.wait(authority, look).await
    }

    /// What `look` finds in the first configuration in which it finds anything.
    pub(super) async fn wait<T>(
        &self,
        authority: &str,
        mut look: impl FnMut(&Arc<Snapshot>) -> Option<Result<T, ProxyError>>,
    ) -> Result<T, ProxyError> {
        if let Some(found) = look(&self.config.now()) {
            return found;
        }
        let no_answer = |_| Err(ProxyError::NoConfiguration { of: authority.to_owned(), why: NOT_TOLD });
        timeout(self.patience, self.config.find(look)).await.unwrap_or_else(no_answer)
    }

    /// What is called so. That it is called, is `noted` once.
    pub(super) fn look_up<'a>(
        &self,
        config: &'a Snapshot,
        authority: &str,
        noted: &mut bool,
    ) -> Option<&'a Answer<Service>> {
        let found = config.service(authority);
        if !std::mem::replace(noted, true) {
            match found {
                Some(Answer::Held(service)) => service.note_call(self.demand.number()),
                _ => self.demand.call(authority),
            }
        }
        found
    }
}

impl Door for Outbound {
    type Asked = ();

    fn audience(&self, grpc: bool) -> Audience {
        Audience { trusted: true, sidecar: false, grpc }
    }

    fn record(&self) -> Record {
        Record::outbound(self.metrics.clone())
    }

    /// The program is who it is.
    fn admit(&self) -> Result<(), ProxyError> {
        Ok(())
    }

    fn portion(&self) -> &Arc<Portion> {
        &self.portion
    }

    fn in_flight(&self) -> &Gate {
        &self.in_flight
    }

    /// If the control plane has not told enough yet, the call waits for what it says, and goes by the first configuration
    /// that knows all.
    async fn decide(&self, request: &Request, record: &mut Record) -> Result<Goes, ProxyError> {
        let head = Head::of(request);
        let authority = match called(&head, &self.namespace) {
            Ok(Ok(authority)) => authority,
            Ok(Err(authority)) => return Err(ProxyError::NoService { authority }),
            Err(refusal) => return Err(fault(refusal, &request.uri().to_string(), head.path())),
        };
        let (mut noted, mut drawn) = (false, None);
        let look = |config: &Arc<Snapshot>| {
            let found = self.look_up(config, &authority, &mut noted);
            let decision = decide(found, &head, |turns| one_turn(&mut drawn, turns));
            if let Some(Answer::Held(service)) = found {
                note(record, service, &decision);
            }
            Some(match decision {
                Decision::Untold => return None,
                Decision::Go(way) => Ok(Goes::On(way)),
                Decision::Answer(Refusal::LastHop) if request.method() == Method::OPTIONS => Ok(Goes::Back(options())),
                Decision::Answer(refusal) => Err(fault(refusal, &authority, head.path())),
            })
        };
        self.wait(&authority, look).await
    }

    /// Whether it may go on is for the other side to say.
    fn beyond(&self, _: &Request) -> Result<Beyond, ProxyError> {
        let place = self.connections.enter().ok_or(ProxyError::Overloaded)?;
        let place = Box::new((place, Counted::one_more(&self.metrics.outbound_upgrades)));
        Ok(Beyond { place, forbidden: Box::pin(pending()) })
    }

    fn asked(&self) {}

    fn answered(&self, (): ()) {}

    fn note(&self, error: &ProxyError) {
        debug!(%error, "answered the program ourselves");
    }
}

/// The turn of a request at a route: one, however often it looks.
pub(super) fn one_turn(drawn: &mut Option<(Arc<Turns>, Turn)>, turns: &Arc<Turns>) -> Turn {
    match drawn {
        Some((known, turn)) if Arc::ptr_eq(known, turns) => *turn,
        _ => drawn.insert((turns.clone(), turns.take())).1,
    }
}

/// Notes what is called, where something of it answers, and what was chosen.
fn note(record: &mut Record, service: &Service, decision: &Decision<Refusal<'_>>) {
    match decision {
        Decision::Go(Way { to: To::Backend(backend), .. }) => record.goes_to(backend.name.clone()),
        Decision::Answer(Refusal::MissingBackend { backend, .. } | Refusal::NoEndpoint(backend)) => {
            record.goes_to((*backend).clone());
        }
        Decision::Answer(Refusal::LastHop | Refusal::RouteAnswers { .. }) => {}
        Decision::Go(_) | Decision::Answer(_) | Decision::Untold => return,
    }
    record.calls(service.authority.clone());
}

/// What the program hears of a call to `path` of `authority`.
pub(super) fn fault(refusal: Refusal<'_>, authority: &str, path: &str) -> ProxyError {
    let authority = authority.to_owned();
    match refusal {
        Refusal::Head(bad) => bad.into(),
        Refusal::Tunnel => ProxyError::Tunnel { authority },
        Refusal::Https => {
            let advice = "call http://, not https://: the connection between sidecars is encrypted";
            ProxyError::BadRequest(advice.into())
        }
        Refusal::NoService => ProxyError::NoService { authority },
        Refusal::NotObeyed => ProxyError::NoConfiguration { of: authority, why: NOT_OBEYED },
        Refusal::CarriesBytes => ProxyError::CarriesBytes { authority },
        Refusal::CarriesRequests => ProxyError::CarriesRequests { authority },
        Refusal::NoRoute => ProxyError::NoRoute { authority, path: path.to_owned() },
        Refusal::LastHop => ProxyError::NoTrace,
        Refusal::RouteAnswers { route, status } => {
            ProxyError::RouteAnswers { authority, route: route.to_string(), status }
        }
        Refusal::MissingBackend { backend, status } => {
            ProxyError::MissingBackend { authority, backend: backend.to_string(), status }
        }
        Refusal::NoEndpoint(backend) => ProxyError::NoEndpoint { backend: backend.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::head::BadHead;

    #[test]
    fn what_people_hear_is_what_machines_know() {
        let name = Arc::from("cart.shop:80");
        let every = [
            Refusal::Head(BadHead::NoHost),
            Refusal::Head(BadHead::Coding),
            Refusal::Tunnel,
            Refusal::Https,
            Refusal::NoService,
            Refusal::NotObeyed,
            Refusal::CarriesBytes,
            Refusal::CarriesRequests,
            Refusal::NoRoute,
            Refusal::LastHop,
            Refusal::RouteAnswers { route: &name, status: 500 },
            Refusal::MissingBackend { backend: &name, status: 404 },
            Refusal::NoEndpoint(&name),
        ];
        for refusal in every {
            assert_eq!(fault(refusal, &name, "/").reason(), refusal.reason(), "{refusal:?}");
        }
    }
}
