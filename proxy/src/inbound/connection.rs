//! From a TCP connection to a caller who has proved something, or nothing.

use std::{
    future::pending,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::debug;

use super::{Inbound, waiting::Place};
use crate::{
    base::{published::Published, spiffe::SpiffeId, wall_clock::reached},
    exchange::burden::{Owner, Portion},
    http::serve_until,
    identity::{
        credentials::Credentials,
        leaf::Leaf,
        proof::{Proof, Side},
        verify::refusal_reason,
    },
    net::accept::Counted,
};

/// How long a caller may take to prove itself.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a caller that has proved nothing may be connected and ask for nothing, at most.
const IDLE_STRANGER: Duration = Duration::from_mins(1);

/// The first byte of a TLS connection: a handshake record (RFC 8446 §5.1). No method of HTTP begins so.
const TLS_HANDSHAKE: u8 = 0x16;

/// Who is at the other end of a connection.
#[derive(Debug)]
pub struct Peer {
    /// Who it proved to be; none: it proved nothing.
    pub id: Option<SpiffeId>,
    /// Where it calls from.
    pub address: IpAddr,
    /// When its proof ends; none: it proved nothing.
    pub not_after: Option<SystemTime>,
    /// What it proved.
    pub proof: Option<Arc<Proof>>,
    /// What it has on its way, over this connection and others.
    pub portion: Arc<Portion>,
}

impl Peer {
    /// Whether the proof has ended at `now`.
    pub fn is_over(&self, now: SystemTime) -> bool {
        self.not_after.is_some_and(|end| end <= now)
    }

    /// Returns when the proof ends, or is no longer believed.
    pub async fn ends(self: Arc<Self>, identity: Arc<Published<Credentials>>) {
        let (Some(moment), Some(proof)) = (self.not_after, &self.proof) else { return pending().await };
        tokio::select! {
            () = reached(moment, SystemTime::now) => {}
            () = proof.broken(&identity) => {}
        }
    }
}

/// What a connection turned out to be.
enum Greeting {
    Tls(Box<TlsStream<TcpStream>>, Leaf, Proof),
    Plaintext(TcpStream),
}

impl Inbound {
    /// Serves one connection to its end.
    pub(super) async fn connection(self: Arc<Self>, stream: TcpStream, remote: SocketAddr, mut place: Place) {
        let greeted = tokio::select! {
            greeted = timeout(HANDSHAKE_TIMEOUT, self.greet(stream, remote.ip())) => greeted,
            () = place.put_out() => return self.turn_away(remote, "too_many_handshakes"),
        };
        let greeting = match greeted {
            Ok(Ok(Some(greeting))) => greeting,
            Ok(Ok(None)) => return,
            Ok(Err(reason)) => return self.turn_away(remote, reason),
            Err(_) => return self.turn_away(remote, "handshake_timeout"),
        };
        let address = remote.ip();
        let portion = |id: Option<&SpiffeId>| self.exchange.burden.portion(Owner::caller(id, address));
        let admitted = match &greeting {
            Greeting::Tls(_, Leaf { id, .. }, _) => self.callers.member(address, id),
            Greeting::Plaintext(_) => self.callers.stranger(address),
        };
        let _admitted = match admitted {
            Ok(admitted) => (admitted, Counted::one_more(&self.metrics.inbound_connections)),
            Err(reason) => return self.turn_away(remote, reason),
        };
        drop(place);
        match greeting {
            Greeting::Tls(stream, Leaf { id, not_after, .. }, proof) => {
                let portion = portion(Some(&id));
                let (id, not_after, proof) = (Some(id), Some(not_after), Some(Arc::new(proof)));
                self.requests(*stream, Peer { id, address, not_after, proof, portion }).await;
            }
            Greeting::Plaintext(stream) => {
                let portion = portion(None);
                self.requests(stream, Peer { id: None, address, not_after: None, proof: None, portion }).await;
            }
        }
    }

    /// Serves the requests of `peer`, for as long as its proof is good.
    async fn requests(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: Peer) {
        let (mut settings, draining, metrics) = (self.settings, self.draining.clone(), self.metrics.clone());
        if peer.id.is_none() {
            settings.idle = settings.idle.min(IDLE_STRANGER);
        }
        let account = peer.portion.account.clone();
        let peer = Arc::new(peer);
        let end = peer.clone().ends(self.identity.clone());
        let handler = move |request| {
            let (inbound, peer) = (self.clone(), peer.clone());
            async move { inbound.serve(request, &peer).await }
        };
        let ended = serve_until(end, stream, &account, settings, draining, handler).await;
        if let Some(reason) = ended.refusal() {
            metrics.refused_head("inbound", reason);
        }
    }

    /// Finds out who calls. `None`: somebody only looked whether anybody listens.
    async fn greet(&self, stream: TcpStream, from: IpAddr) -> Result<Option<Greeting>, &'static str> {
        let mut first = [0];
        let is_tls = match stream.peek(&mut first).await {
            Ok(1) => first[0] == TLS_HANDSHAKE,
            _ => return Ok(None),
        };
        let config = self.config.now();
        let listener = config.door(self.place).ok_or("other")?;
        if !is_tls {
            return if listener.plaintext.is_some() { Ok(Some(Greeting::Plaintext(stream))) } else { Err("plaintext") };
        }
        if listener.mutual_tls.is_none() {
            return Err("other");
        }
        self.callers.would_admit(from)?;
        let us = self.identity.now();
        let acceptor = TlsAcceptor::from(us.server.clone());
        let stream = acceptor.accept(stream).await.map_err(|error| reason(&error))?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let leaf = Leaf::read(chain.first().ok_or("no_certificate")?).map_err(|_| "bad_identity")?;
        let proof = Proof::new(Side::Caller, chain, &us);
        Ok(Some(Greeting::Tls(Box::new(stream), leaf, proof)))
    }

    fn turn_away(&self, remote: SocketAddr, reason: &'static str) {
        debug!(%remote, reason, "turned a connection away");
        self.metrics.refused_connection(reason);
    }
}

fn reason(error: &io::Error) -> &'static str {
    debug!(%error, "a handshake failed");
    refusal_reason(error)
}
