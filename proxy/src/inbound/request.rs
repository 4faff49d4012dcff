//! What the program's own door has to say of a request: it is judged under one configuration, then handed to the program.

use std::{
    sync::{Arc, atomic::Ordering},
    time::SystemTime,
};

use tracing::debug;

use super::{Inbound, connection::Peer, upgrade::Call};
use crate::{
    base::gate::Gate,
    config::{
        Snapshot,
        decide::{
            Decision, Program,
            inbound::{Caller, Decided, Refusal, decide},
        },
        inbound::{Entrance, Judgement, Verdict},
    },
    exchange::{
        burden::Portion,
        door::{Beyond, Door, Goes},
    },
    host::calls::Waiting,
    message::{
        Method, Request, Response,
        error::{self, Audience, Denial, NOT_TOLD, ProxyError, options},
        head::Head,
    },
    net::accept::Counted,
    telemetry::record::Record,
};

/// The door, to one of those who come in by it.
struct ToPeer<'a> {
    inbound: &'a Arc<Inbound>,
    peer: &'a Arc<Peer>,
}

impl Inbound {
    /// Serves one request under one configuration, whatever arrives meanwhile.
    pub(super) async fn serve(self: &Arc<Self>, request: Request, peer: &Arc<Peer>) -> Response {
        self.exchange.serve(&ToPeer { inbound: self, peer }, request).await
    }

    /// Lets the rules of a new configuration be counted, of which the door is in memory at `this` place.
    /// The other doors count in the same place: what is in force there stays as well.
    pub(super) fn note_rules(&self, this: usize, config: &Snapshot) {
        if self.rules_of.swap(this, Ordering::Relaxed) != this {
            self.metrics.keep_rules(config.told().inbound.iter().flatten().flat_map(Entrance::rules));
        }
    }

    /// Counts what was decided of a call.
    pub(super) fn count(&self, Judgement { verdict, audit }: Judgement<'_>) {
        self.metrics.decision(verdict.passes(), rule(verdict));
        if let Some(audit) = audit {
            self.metrics.audit(audit.passes(), rule(audit));
        }
    }

    /// The program, if it is to be called.
    fn program(&self) -> Option<Program> {
        let program = self.program.now();
        (!program.refused).then(|| Program { of: self.workload.clone(), address: program.address })
    }
}

impl Door for ToPeer<'_> {
    type Asked = Waiting;

    fn audience(&self, grpc: bool) -> Audience {
        let is_member = self.peer.id.is_some();
        Audience { trusted: is_member, sidecar: is_member, grpc }
    }

    fn record(&self) -> Record {
        Record::inbound(self.inbound.metrics.clone())
    }

    fn admit(&self) -> Result<(), ProxyError> {
        if self.peer.is_over(SystemTime::now()) {
            return Err(ProxyError::Expired);
        }
        if self.peer.proof.as_ref().is_some_and(|proof| !proof.holds(&self.inbound.identity.now())) {
            return Err(ProxyError::Distrusted);
        }
        Ok(())
    }

    fn portion(&self) -> &Arc<Portion> {
        &self.peer.portion
    }

    fn in_flight(&self) -> &Gate {
        &self.inbound.in_flight
    }

    async fn decide(&self, request: &Request, _: &mut Record) -> Result<Goes, ProxyError> {
        let Self { inbound, peer } = self;
        let config = inbound.config.now();
        let listener = config.door(inbound.place);
        if let Some(listener) = listener {
            inbound.note_rules(Arc::as_ptr(listener) as usize, &config);
        }
        let caller = Caller { peer: peer.id.as_ref(), remote: peer.address };
        let Decided { decision, judgement } = decide(listener, &Head::of(request), caller, inbound.program());
        if let Some(judgement) = judgement {
            inbound.count(judgement);
        }
        match decision {
            Decision::Go(way) => Ok(Goes::On(way)),
            Decision::Answer(Refusal::LastHop) if request.method() == Method::OPTIONS => Ok(Goes::Back(options())),
            Decision::Answer(refusal) => Err(self.fault(refusal, request)),
            Decision::Untold => Err(self.fault(Refusal::NoDoor, request)),
        }
    }

    /// It has a place beside that which it has until then, and goes on for as long as its caller may make this call.
    fn beyond(&self, request: &Request) -> Result<Beyond, ProxyError> {
        let Self { inbound, peer } = self;
        let place = match &peer.id {
            Some(id) => inbound.callers.member(peer.address, id),
            None => inbound.callers.stranger(peer.address),
        };
        let place = place.map_err(|_| ProxyError::Overloaded)?;
        let place = Box::new((place, Counted::one_more(&inbound.metrics.inbound_upgrades)));
        let forbidden = Box::pin(Arc::clone(inbound).forbids(Arc::clone(peer), Call::of(request)));
        Ok(Beyond { place, forbidden })
    }

    fn asked(&self) -> Waiting {
        self.inbound.calls.begin()
    }

    fn answered(&self, asked: Waiting) {
        asked.answered();
    }

    fn note(&self, error: &ProxyError) {
        debug!(caller = ?self.peer.id, remote = %self.peer.address, %error, "answered a caller ourselves");
    }
}

impl ToPeer<'_> {
    /// What the caller hears.
    fn fault(&self, refusal: Refusal<'_>, request: &Request) -> ProxyError {
        let workload = || self.inbound.workload.to_string();
        let (why, rule, closed_by) = match refusal {
            Refusal::NoDoor => return ProxyError::NoConfiguration { of: workload(), why: NOT_TOLD },
            Refusal::Tunnel => return ProxyError::Tunnel { authority: request.uri().to_string() },
            Refusal::Head(bad) => return bad.into(),
            Refusal::Unjudgeable(unjudgeable) => return unjudgeable.into(),
            Refusal::LastHop => return ProxyError::NoTrace,
            Refusal::NoProgram => return ProxyError::NoEndpoint { backend: workload() },
            Refusal::Shut => ("such callers are no longer listened to".to_owned(), None, &[][..]),
            Refusal::Denied(Verdict::Allowed(rule) | Verdict::Denied(rule)) => {
                (format!("rule {rule} denies it"), Some(rule.to_string()), &[][..])
            }
            Refusal::Denied(Verdict::NoRule { closed_by: [] }) => {
                ("the default of the mesh does not allow it".to_owned(), None, &[][..])
            }
            Refusal::Denied(Verdict::NoRule { closed_by }) => {
                (format!("no rule of {} allows it", closed_by.join(" or ")), None, closed_by)
            }
        };
        ProxyError::Denied(Box::new(Denial {
            caller: self.peer.id.clone().map_or(error::Caller::Unproven, error::Caller::Proven),
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            workload: workload(),
            why,
            rule,
            closed_by: closed_by.iter().map(ToString::to_string).collect(),
        }))
    }
}

fn rule(verdict: Verdict<'_>) -> Option<&str> {
    match verdict {
        Verdict::Allowed(rule) | Verdict::Denied(rule) => Some(rule.as_str()),
        Verdict::NoRule { .. } => None,
    }
}
