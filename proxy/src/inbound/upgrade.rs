//! How long a connection may go on in another protocol: as long as its caller may make the call that it began with.

use std::{future::pending, sync::Arc};

use super::{Inbound, connection::Peer};
use crate::{config::inbound::Incoming, message::Request};

/// The call that a connection began with, as the program has seen it: judged once more, it comes to the same.
pub struct Call {
    method: String,
    path: String,
}

impl Call {
    /// The call that `request` makes.
    pub fn of(request: &Request) -> Self {
        Self { method: request.method().to_string(), path: request.uri().path().to_owned() }
    }
}

impl Inbound {
    /// Returns when `peer` may not make `call` any more, or does not prove any more who it is.
    pub async fn forbids(self: Arc<Self>, peer: Arc<Peer>, call: Call) {
        let mut swapped = self.config.watch();
        let forbidden = async {
            while self.may(&peer, &call) {
                if swapped.changed().await.is_err() {
                    pending::<()>().await;
                }
            }
        };
        tokio::select! {
            () = forbidden => {}
            () = peer.clone().ends(self.identity.clone()) => {}
        }
    }

    fn may(&self, peer: &Peer, Call { method, path }: &Call) -> bool {
        let config = self.config.now();
        let Some(listener) = config.door(self.place) else { return false };
        let door = if peer.id.is_some() { &listener.mutual_tls } else { &listener.plaintext };
        let incoming = Incoming { peer: peer.id.as_ref(), remote: peer.address, method, path };
        let judged = door.as_ref().and_then(|door| door.judge(incoming).ok());
        judged.is_some_and(|judged| judged.judgement.verdict.passes())
    }
}
