//! Opens one connection: TCP, then TLS if the other side has something to prove, then a greeting.

use std::{
    any::Any,
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::Target;
use crate::{
    config::cluster::Security,
    http::{Connection, Version},
    identity::{
        credentials::{Credentials, HTTP_1, HTTP_2},
        leaf::Leaf,
        verify::{Expected, in_words},
    },
};

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectFault {
    /// Nobody listens there, or the way is barred.
    Refused(io::Error),
    /// Nobody answers.
    Timeout,
    /// The other side could not prove who it is, or does not believe who we are.
    Tls(io::Error),
    /// The other side hung up before anything was said.
    Closed,
}

/// A connection, and how long it is good for.
pub struct Opened {
    /// The connection.
    pub connection: Connection,
    /// When the first of the proofs ends on which it rests, theirs or ours; none: nothing was proved.
    pub ends: Option<SystemTime>,
}

/// Opens a connection to `target`; all of it may take `limit`. `guard` is dropped when the connection ends.
pub async fn open(
    target: &Target,
    limit: Duration,
    identity: Arc<Credentials>,
    guard: impl Any + Send,
) -> Result<Opened, ConnectFault> {
    timeout(limit, attempt(target, &identity, guard)).await.unwrap_or(Err(ConnectFault::Timeout))
}

async fn attempt(target: &Target, identity: &Credentials, guard: impl Any + Send) -> Result<Opened, ConnectFault> {
    let stream = TcpStream::connect(target.address).await.map_err(ConnectFault::Refused)?;
    stream.set_nodelay(true).map_err(ConnectFault::Refused)?;
    let names = match &target.security {
        Security::Plaintext => {
            let connection = Connection::open(stream, target.version, guard).await.map_err(closed)?;
            return Ok(Opened { connection, ends: None });
        }
        Security::MutualTls(names) => names.clone(),
    };
    let protocol = if target.version == Version::HTTP_2 { HTTP_2 } else { HTTP_1 };
    let config =
        identity.client(Expected::OneOf(names), protocol).map_err(io::Error::other).map_err(ConnectFault::Tls)?;
    let name = ServerName::IpAddress(target.address.ip().into());
    let stream = TlsConnector::from(config).connect(name, stream).await.map_err(in_words).map_err(ConnectFault::Tls)?;
    if stream.get_ref().1.alpn_protocol() != Some(protocol) {
        let fault = io::Error::other("the endpoint does not speak this version of HTTP");
        return Err(ConnectFault::Tls(fault));
    }
    // Whoever answers has just been verified, so that there is a leaf and it can be read.
    let theirs = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).and_then(|leaf| Leaf::read(leaf).ok());
    let ends = theirs.map(|theirs| theirs.not_after.min(identity.leaf.not_after));
    let connection = Connection::open(stream, target.version, guard).await.map_err(closed)?;
    Ok(Opened { connection, ends })
}

fn closed(_: hyper::Error) -> ConnectFault {
    ConnectFault::Closed
}
