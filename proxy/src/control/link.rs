//! The way to the control plane: one HTTP/2 connection, made anew with the newest identity whenever it breaks.

use std::{io, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, sync::watch, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

use tonic::{
    Code, Status,
    transport::{Channel, Endpoint, Uri},
};

use crate::identity::verify::in_words;

/// How long it may take to connect, TLS and all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a connection that is silent is asked whether it lives, and how long the answer may take.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));

/// How many connections have been made so far.
#[derive(Clone, Debug)]
pub struct Connections(watch::Sender<u64>);

impl Connections {
    /// Tells of every further one.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        *self.0.borrow()
    }

    /// What the control plane was told may be forgotten, as it may be after a new connection.
    pub fn as_if_new(&self) {
        self.0.send_modify(|count| *count += 1);
    }
}

/// A channel to `address` (`host:port`), which connects when it is first used. `tls` is asked for each connection.
pub fn channel<F>(address: &str, tls: F) -> (Channel, Connections)
where
    F: Fn() -> Result<Arc<ClientConfig>, rustls::Error> + Send + Sync + 'static,
{
    let connections = Connections(watch::Sender::new(0));
    let (made, tls, target) = (connections.clone(), Arc::new(tls), Arc::<str>::from(address));
    let connector = tower::service_fn(move |_: Uri| {
        let (made, tls, target) = (made.clone(), tls.clone(), target.clone());
        async move {
            let connection = timeout(CONNECT_TIMEOUT, connect(&target, tls()))
                .await
                .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer")))?;
            made.0.send_modify(|count| *count += 1);
            Ok::<_, io::Error>(TokioIo::new(connection))
        }
    });
    // The name only fills the :authority of requests; where to connect is the connector's to say.
    let endpoint = Endpoint::from_static("http://control-plane.sluice")
        .http2_keep_alive_interval(KEEPALIVE.0)
        .keep_alive_timeout(KEEPALIVE.1)
        .keep_alive_while_idle(true);
    (endpoint.connect_with_connector_lazy(connector), connections)
}

async fn connect(target: &str, tls: Result<Arc<ClientConfig>, rustls::Error>) -> io::Result<TlsStream<TcpStream>> {
    let tls = tls.map_err(io::Error::other)?;
    let stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    let peer = ServerName::IpAddress(stream.peer_addr()?.ip().into());
    TlsConnector::from(tls).connect(peer, stream).await.map_err(in_words)
}

/// Whether the control plane says that it knows no such sidecar: it may have been evicted, or another may have joined anew.
pub fn is_unknown_there(status: &Status) -> bool {
    matches!(status.code(), Code::NotFound | Code::PermissionDenied)
}

/// A status with its causes: "transport error" alone helps nobody.
pub fn reason(status: &Status) -> String {
    let mut text = format!("{}: {}", status.code(), status.message());
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
