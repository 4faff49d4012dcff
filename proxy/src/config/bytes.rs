//! The door to a port of the program at which bytes pass that nobody looks into: who may connect is all that is judged.

use std::{net::IpAddr, time::Duration};

use super::{
    inbound::{Guard, Judgement},
    rules::Call,
};
use crate::base::spiffe::SpiffeId;

/// How the connections of one transport are treated at a port that carries bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BytesDoor {
    /// Who may pass. No rule of it asks for a method or a path: there are none.
    pub guard: Guard,
    /// How long nothing may move before a connection is given up; none: for ever.
    pub idle_timeout: Option<Duration>,
}

impl BytesDoor {
    /// Judges one connection: by who connects, and from where.
    pub fn judge(&self, peer: Option<&SpiffeId>, remote: IpAddr) -> Judgement<'_> {
        self.guard.decide(Call { peer, remote, method: "", path: "", folded: "" })
    }
}
