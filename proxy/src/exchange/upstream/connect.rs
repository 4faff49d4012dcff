//! Opens one connection: TCP, then TLS if the other side has something to prove, then a greeting.

use std::{
    any::Any,
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

use super::{
    ConnectFault, Target, Upstream,
    severable::{Cut, Severable},
};
use crate::{
    base::published::Published,
    config::cluster::Security,
    http::{Connection, HungUp},
    identity::{
        credentials::{Credentials, HTTP_1, HTTP_2, server_name},
        leaf::Leaf,
        proof::{Proof, Side},
        verify::{Expected, in_words},
    },
    message::Version,
    net::vanish::notice_when_it_vanishes,
};

/// How long what was sent may stay without an answer from the other machine, HTTP/2 and HTTP/1.1. Of HTTP/1.1 it is also how
/// long the other side may take nothing in.
const UNANSWERED: (Duration, Duration) = (Duration::from_secs(20), Duration::from_mins(1));

/// A connection, and how long it is good for.
pub struct Opened {
    /// The connection.
    pub connection: Connection,
    /// When the first of the proofs ends on which it rests, theirs or ours; none: nothing was proved.
    pub ends: Option<SystemTime>,
    /// What the other side proved.
    pub proof: Option<Arc<Proof>>,
}

/// Opens a connection to `target`; all of it may take `limit`. `guard` is dropped when the connection ends.
pub async fn open(
    target: &Target,
    limit: Duration,
    upstream: &Upstream,
    guard: impl Any + Send,
) -> Result<Opened, ConnectFault> {
    timeout(limit, attempt(target, upstream, guard)).await.unwrap_or(Err(ConnectFault::Timeout))
}

async fn attempt(
    target: &Target,
    Upstream { identity, ledger, settings, .. }: &Upstream,
    guard: impl Any + Send,
) -> Result<Opened, ConnectFault> {
    let us = identity.now();
    let stream = TcpStream::connect(target.address).await.map_err(ConnectFault::Refused)?;
    stream.set_nodelay(true).map_err(ConnectFault::Refused)?;
    let unanswered = if target.version == Version::HTTP_2 { UNANSWERED.0 } else { UNANSWERED.1 };
    notice_when_it_vanishes(&stream, target.address, unanswered).map_err(ConnectFault::Refused)?;
    let names = match &target.security {
        Security::Plaintext => {
            // Programs may take pings for an attack (gRPC: `too_many_pings`).
            let connection = Connection::open(stream, target.version, ledger, None, guard).await.map_err(closed)?;
            return Ok(Opened { connection, ends: None, proof: None });
        }
        Security::MutualTls(names) => names.clone(),
    };
    let protocol = if target.version == Version::HTTP_2 { HTTP_2 } else { HTTP_1 };
    let config = us.client(Expected::OneOf(names), protocol).map_err(io::Error::other).map_err(ConnectFault::Tls)?;
    let connecting = TlsConnector::from(config).connect(server_name(target.address.ip()), stream);
    let stream = connecting.await.map_err(in_words).map_err(ConnectFault::Tls)?;
    if stream.get_ref().1.alpn_protocol() != Some(protocol) {
        let fault = io::Error::other("the endpoint does not speak this version of HTTP");
        return Err(ConnectFault::Tls(fault));
    }
    // Whoever answers has just been verified, so that there is a leaf and it can be read.
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let theirs = chain.first().and_then(|leaf| Leaf::read(leaf).ok());
    let ends = theirs.map(|theirs| theirs.not_after.min(us.leaf.not_after));
    let proof = Arc::new(Proof::new(Side::Server, chain, &us));
    let (stream, cut) = Severable::new(stream);
    tokio::spawn(cut_when_broken(proof.clone(), identity.clone(), settings.farewell, cut));
    let pings = Some(settings.pings);
    let connection = Connection::open(stream, target.version, ledger, pings, guard).await.map_err(closed)?;
    Ok(Opened { connection, ends, proof: Some(proof) })
}

/// Nothing new is sent on a connection whose proof is broken; what is on its way has until `farewell`.
async fn cut_when_broken(proof: Arc<Proof>, identity: Arc<Published<Credentials>>, farewell: Duration, mut cut: Cut) {
    let broken = async {
        proof.broken(&identity).await;
        sleep(farewell).await;
    };
    tokio::select! {
        () = broken => {}
        () = cut.closed() => return,
    }
    // It may have ended by itself just now.
    let _ = cut.send(());
}

fn closed(HungUp: HungUp) -> ConnectFault {
    ConnectFault::Closed
}
