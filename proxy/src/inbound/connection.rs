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
    config::inbound::Entrance,
    exchange::burden::{Owner, Portion},
    http::serve_until,
    identity::{
        credentials::Credentials,
        leaf::Leaf,
        proof::{Proof, Side},
        verify::refusal_reason,
    },
    net::accept::Counted,
    tcp::stream::Stream,
};

/// How long a caller may take to prove itself.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a caller may say nothing where it may be one that waits for the program to speak first. It is known then as one who has
/// proved nothing.
const LONGEST_SILENCE: Duration = Duration::from_secs(1);

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

/// What comes in by a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carries {
    Requests,
    Bytes,
}

/// What comes first on a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    Byte(u8),
    /// Nothing: it has ended, or a half of it.
    End,
    /// Nothing yet.
    Silence,
}

/// The door that a caller finds, as far as it must be known before it is known who calls.
struct Found {
    carries: Carries,
    mutual_tls: bool,
    plaintext: bool,
}

impl Found {
    fn of(entrance: &Entrance) -> Self {
        let found = |carries, mutual_tls, plaintext| Self { carries, mutual_tls, plaintext };
        match entrance {
            Entrance::Requests(listener) => {
                found(Carries::Requests, listener.mutual_tls.is_some(), listener.plaintext.is_some())
            }
            Entrance::Bytes(listener) => {
                found(Carries::Bytes, listener.mutual_tls.is_some(), listener.plaintext.is_some())
            }
        }
    }
}

impl Inbound {
    /// Serves one connection to its end.
    pub(super) async fn connection(self: Arc<Self>, stream: TcpStream, remote: SocketAddr, mut place: Place) {
        let greeted = tokio::select! {
            greeted = timeout(HANDSHAKE_TIMEOUT, self.greet(stream, remote.ip())) => greeted,
            () = place.put_out() => return self.turn_away(remote, "too_many_handshakes"),
        };
        let (greeting, carries) = match greeted {
            Ok(Ok(Some(greeted))) => greeted,
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
                let peer = Peer { id, address, not_after, proof, portion };
                match carries {
                    Carries::Requests => self.requests(*stream, peer).await,
                    Carries::Bytes => self.bytes(Stream::Tls(Box::new((*stream).into())), remote, peer).await,
                }
            }
            Greeting::Plaintext(stream) => {
                let portion = portion(None);
                let peer = Peer { id: None, address, not_after: None, proof: None, portion };
                match carries {
                    Carries::Requests => self.requests(stream, peer).await,
                    Carries::Bytes => self.bytes(Stream::Plain(stream), remote, peer).await,
                }
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

    /// Finds out who calls, and what for. `None`: somebody only looked whether anybody listens.
    async fn greet(&self, stream: TcpStream, from: IpAddr) -> Result<Option<(Greeting, Carries)>, &'static str> {
        let Found { carries, mutual_tls, plaintext } = self.found()?;
        let first = self.first_byte(&stream, carries == Carries::Bytes && plaintext).await;
        if first != First::Byte(TLS_HANDSHAKE) {
            return match (first, carries) {
                (First::End, Carries::Requests) => Ok(None),
                _ if plaintext => Ok(Some((Greeting::Plaintext(stream), carries))),
                (First::End, Carries::Bytes) => Ok(None),
                _ => Err("plaintext"),
            };
        }
        if !mutual_tls {
            return Err("other");
        }
        self.callers.would_admit(from)?;
        let us = self.identity.now();
        let server = match carries {
            Carries::Requests => us.server.clone(),
            Carries::Bytes => us.server_of_bytes.clone(),
        };
        let stream = TlsAcceptor::from(server).accept(stream).await.map_err(|error| reason(&error))?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let leaf = Leaf::read(chain.first().ok_or("no_certificate")?).map_err(|_| "bad_identity")?;
        let proof = Proof::new(Side::Caller, chain, &us);
        Ok(Some((Greeting::Tls(Box::new(stream), leaf, proof), carries)))
    }

    fn found(&self) -> Result<Found, &'static str> {
        self.config.now().entrance(self.place).map(Found::of).ok_or("other")
    }

    /// What comes first. Where that `may_be_silent`, nothing may come: who calls waits for the program to speak first.
    async fn first_byte(&self, stream: &TcpStream, may_be_silent: bool) -> First {
        let mut first = [0];
        let looking = stream.peek(&mut first);
        let looked = if may_be_silent { timeout(LONGEST_SILENCE, looking).await } else { Ok(looking.await) };
        match looked {
            Ok(Ok(1)) => First::Byte(first[0]),
            Ok(_) => First::End,
            Err(_) => {
                self.metrics.connections.silent(self.port);
                First::Silence
            }
        }
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
