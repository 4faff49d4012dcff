//! Makes a connection of bytes: TCP, then TLS if the other side has something to prove. Nothing of ours is sent on it, so that another
//! place may be tried when it fails.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::stream::Stream;
use crate::{
    base::published::Published,
    config::cluster::Security,
    exchange::upstream::ConnectFault,
    identity::{
        credentials::{BYTES, Credentials, server_name},
        proof::{Proof, Side},
        verify::{Expected, in_words},
    },
    net::vanish::notice_when_it_vanishes,
};

/// How long what was sent may stay without an answer from the other machine.
const UNANSWERED: Duration = Duration::from_mins(1);

/// A connection, and what rests on it.
pub struct Reached {
    /// The connection.
    pub stream: Stream,
    /// What the other side proved; none: nothing.
    pub proof: Option<Arc<Proof>>,
}

/// Makes a connection to `place`, which has to prove what `security` says; all of it may take `limit`.
pub async fn reach(
    place: SocketAddr,
    security: &Security,
    identity: &Published<Credentials>,
    limit: Duration,
) -> Result<Reached, ConnectFault> {
    timeout(limit, attempt(place, security, identity)).await.unwrap_or(Err(ConnectFault::Timeout))
}

async fn attempt(
    place: SocketAddr,
    security: &Security,
    identity: &Published<Credentials>,
) -> Result<Reached, ConnectFault> {
    let us = identity.now();
    let socket = TcpStream::connect(place).await.map_err(ConnectFault::Refused)?;
    socket.set_nodelay(true).map_err(ConnectFault::Refused)?;
    notice_when_it_vanishes(&socket, place, UNANSWERED).map_err(ConnectFault::Refused)?;
    let names = match security {
        Security::Plaintext => return Ok(Reached { stream: Stream::Plain(socket), proof: None }),
        Security::MutualTls(names) => names.clone(),
    };
    let config = us.client(Expected::OneOf(names), BYTES).map_err(io::Error::other).map_err(ConnectFault::Tls)?;
    let connecting = TlsConnector::from(config).connect(server_name(place.ip()), socket);
    let stream = connecting.await.map_err(in_words).map_err(ConnectFault::Tls)?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let proof = Arc::new(Proof::new(Side::Server, chain, &us));
    Ok(Reached { stream: Stream::Tls(Box::new(stream.into())), proof: Some(proof) })
}
