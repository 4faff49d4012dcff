//! A request that comes to the program: who asks, may it, and what does the program see of it.

use std::{net::IpAddr, sync::Arc};

use super::{Decision, Program, To, Way};
use crate::{
    base::spiffe::SpiffeId,
    config::inbound::{Incoming, Judged, Judgement, Listener, Unjudgeable, Verdict},
    message::{
        edits::Edits,
        head::{BadHead, Head},
        reason::Reason,
    },
};

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// Who it proved to be; none: it proved nothing.
    pub peer: Option<&'a SpiffeId>,
    /// Where its connection comes from.
    pub remote: IpAddr,
}

/// What becomes of a request, and what it was judged to be if it came to that.
#[derive(Debug)]
pub struct Decided<'a> {
    /// What becomes of it.
    pub decision: Decision<Refusal<'a>>,
    /// To be counted, whatever becomes of it.
    pub judgement: Option<Judgement<'a>>,
}

/// Why a request is answered here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal<'a> {
    /// The control plane has told of no door.
    NoDoor,
    /// It asks for a tunnel.
    Tunnel,
    /// It can be read in two ways, or makes no sense.
    Head(BadHead),
    /// The door is shut to callers of this sort; it was open when the connection came.
    Shut,
    /// It cannot be judged.
    Unjudgeable(Unjudgeable),
    /// It was judged, and does not pass.
    Denied(Verdict<'a>),
    /// This is the last hop that it may take.
    LastHop,
    /// The program is not to be called.
    NoProgram,
}

impl<'a> From<Refusal<'a>> for Decided<'a> {
    fn from(refusal: Refusal<'a>) -> Self {
        Self { decision: Decision::Answer(refusal), judgement: None }
    }
}

impl Refusal<'_> {
    /// What machines know of it.
    pub const fn reason(self) -> Reason {
        match self {
            Self::NoDoor => Reason::NoConfiguration,
            Self::Tunnel => Reason::Tunnel,
            Self::Head(bad) => bad.reason(),
            Self::Unjudgeable(Unjudgeable::Path(_)) => Reason::BadPath,
            Self::Unjudgeable(Unjudgeable::Method) => Reason::BadRequest,
            Self::Shut | Self::Denied(_) => Reason::Denied,
            Self::LastHop => Reason::NoTrace,
            Self::NoProgram => Reason::NoEndpoint,
        }
    }
}

/// What becomes of a request at the port that `listener` guards. No `program`: it is not to be called.
pub fn decide<'a>(
    listener: Option<&'a Arc<Listener>>,
    head: &Head<'_>,
    Caller { peer, remote }: Caller<'_>,
    program: Option<Program>,
) -> Decided<'a> {
    let Some(listener) = listener else { return Refusal::NoDoor.into() };
    if head.is_connect() {
        return Refusal::Tunnel.into();
    }
    if let Err(bad) = head.read() {
        return Refusal::Head(bad).into();
    }
    let door = if peer.is_some() { &listener.mutual_tls } else { &listener.plaintext };
    let Some(door) = door else { return Refusal::Shut.into() };
    let path = head.path();
    let Judged { judgement, path: forwarded } =
        match door.judge(Incoming { peer, remote, method: head.method.as_str(), path }) {
            Ok(judged) => judged,
            Err(unjudgeable) => return Refusal::Unjudgeable(unjudgeable).into(),
        };
    let decision = match program {
        _ if !judgement.verdict.passes() => Decision::Answer(Refusal::Denied(judgement.verdict)),
        _ if head.is_last_hop() => Decision::Answer(Refusal::LastHop),
        None => Decision::Answer(Refusal::NoProgram),
        Some(program) => {
            let edits = Edits { path: (forwarded != path).then(|| forwarded.into_owned()), without_claims: true };
            Decision::Go(Way { to: To::Program(program), idle_timeout: door.idle_timeout, edits })
        }
    };
    Decided { decision, judgement: Some(judgement) }
}
