//! From a TCP connection to a caller who has proved something, or nothing.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::debug;

use super::Inbound;
use crate::{
    http::serve,
    identity::{leaf::Leaf, verify::refusal_reason},
    spiffe::SpiffeId,
};

/// How long a caller may take to prove itself.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The first byte of a TLS connection: a handshake record (RFC 8446 §5.1). No method of HTTP begins so.
const TLS_HANDSHAKE: u8 = 0x16;

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Who it proved to be; none: it proved nothing.
    pub id: Option<SpiffeId>,
    /// Where it calls from.
    pub address: IpAddr,
}

/// What a connection turned out to be.
enum Greeting {
    Tls(Box<TlsStream<TcpStream>>, Leaf),
    Plaintext(TcpStream),
}

impl Inbound {
    /// Serves one connection to its end.
    pub(super) async fn connection(self: Arc<Self>, stream: TcpStream, remote: SocketAddr) {
        let greeting = match timeout(HANDSHAKE_TIMEOUT, self.greet(stream)).await {
            Ok(Ok(Some(greeting))) => greeting,
            Ok(Ok(None)) => return,
            Ok(Err(reason)) => return self.turn_away(remote, reason),
            Err(_) => return self.turn_away(remote, "handshake_timeout"),
        };
        let settings = self.settings;
        let handler = |id| {
            let (inbound, peer) = (self.clone(), Arc::new(Peer { id, address: remote.ip() }));
            move |request| {
                let (inbound, peer) = (inbound.clone(), peer.clone());
                async move { inbound.serve(request, &peer).await }
            }
        };
        match greeting {
            Greeting::Tls(stream, leaf) => {
                let (over, ending) = watch::channel(false);
                let serving = serve(*stream, settings, ending, handler(Some(leaf.id)));
                tokio::select! {
                    () = serving => {}
                    () = self.end_with(leaf.not_after, over) => {}
                }
            }
            Greeting::Plaintext(stream) => serve(stream, settings, self.draining.clone(), handler(None)).await,
        }
    }

    /// Says that a connection is over when we drain, or when the proof ends on which it rests. Never returns.
    async fn end_with(&self, proof_ends: SystemTime, over: watch::Sender<bool>) {
        let mut draining = self.draining.clone();
        tokio::select! {
            Ok(_) = draining.wait_for(|&draining| draining) => {}
            () = sleep(proof_ends.duration_since(SystemTime::now()).unwrap_or_default()) => {}
        }
        over.send_replace(true);
        std::future::pending::<()>().await;
    }

    /// Finds out who calls. `None`: somebody only looked whether anybody listens.
    async fn greet(&self, stream: TcpStream) -> Result<Option<Greeting>, &'static str> {
        let mut first = [0];
        let is_tls = match stream.peek(&mut first).await {
            Ok(1) => first[0] == TLS_HANDSHAKE,
            _ => return Ok(None),
        };
        let config = self.config.now();
        let listener = config.inbound.as_ref().ok_or("other")?;
        if !is_tls {
            return if listener.plaintext.is_some() { Ok(Some(Greeting::Plaintext(stream))) } else { Err("plaintext") };
        }
        if listener.mutual_tls.is_none() {
            return Err("other");
        }
        let acceptor = TlsAcceptor::from(self.identity.now().server.clone());
        let stream = acceptor.accept(stream).await.map_err(|error| reason(&error))?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).ok_or("no_certificate")?;
        let leaf = Leaf::read(certificate).map_err(|_| "bad_identity")?;
        Ok(Some(Greeting::Tls(Box::new(stream), leaf)))
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
