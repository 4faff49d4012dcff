//! Opens one connection: TCP, then TLS if the other side has something to prove, then a greeting.

use std::{any::Any, io, sync::Arc, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::Target;
use crate::{
    config::cluster::Security,
    http::{Connection, Version},
    identity::{
        credentials::{Credentials, HTTP_1, HTTP_2},
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

/// Opens a connection to `target`; all of it may take `limit`. `guard` is dropped when the connection ends.
pub async fn open(
    target: &Target,
    limit: Duration,
    identity: Arc<Credentials>,
    guard: impl Any + Send,
) -> Result<Connection, ConnectFault> {
    timeout(limit, attempt(target, &identity, guard)).await.unwrap_or(Err(ConnectFault::Timeout))
}

async fn attempt(target: &Target, identity: &Credentials, guard: impl Any + Send) -> Result<Connection, ConnectFault> {
    let stream = TcpStream::connect(target.address).await.map_err(ConnectFault::Refused)?;
    stream.set_nodelay(true).map_err(ConnectFault::Refused)?;
    let names = match &target.security {
        Security::Plaintext => return Connection::open(stream, target.version, guard).await.map_err(closed),
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
    Connection::open(stream, target.version, guard).await.map_err(closed)
}

fn closed(_: hyper::Error) -> ConnectFault {
    ConnectFault::Closed
}
