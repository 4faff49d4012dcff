//! What becomes of a request, decided by nothing but what is given: its head, who asks, and what is in force. Nothing is done
//! about it here; whoever asks acts (`exchange`).
//!
//! - [`outbound`]: a call of the program; [`inbound`]: one that comes to it

pub mod inbound;
pub mod outbound;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::snapshot::backend::Backend;
use crate::message::edits::Edits;

/// What becomes of a request; `R` are the reasons to answer it here.
#[derive(Debug)]
pub enum Decision<R> {
    /// Nobody can say yet: the control plane has not told enough.
    Untold,
    /// It is answered here, and this is why.
    Answer(R),
    /// It goes on.
    Go(Way),
}

/// Where a request goes, and within which limits.
#[derive(Clone, Debug)]
pub struct Way {
    /// Where to.
    pub to: To,
    /// How long it may stand still before it is given up; none: for ever.
    pub idle_timeout: Option<Duration>,
    /// What whoever is there sees of it.
    pub edits: Edits,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub enum To {
    /// To this backend, which stands somewhere.
    Backend(Arc<Backend>),
    /// To the program beside this sidecar.
    Program(Program),
}

/// The program beside this sidecar.
#[derive(Clone, Debug)]
pub struct Program {
    /// Whose it is: `namespace/name`.
    pub of: Arc<str>,
    /// Where it listens.
    pub address: SocketAddr,
}

#[cfg(test)]
mod tests;
