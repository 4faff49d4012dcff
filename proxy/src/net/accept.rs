//! Takes connections, as many as there may be at once.

use std::{io, net::SocketAddr, time::Duration};

use prometheus_client::metrics::gauge::Gauge;
use tokio::net::{TcpListener, TcpStream};
use tracing::warn;

use crate::base::gate::{Gate, Pass};

/// How long to wait when the system has no room for another connection.
const PAUSE: Duration = Duration::from_millis(50);

/// Counts as an open connection.
pub struct Counted(Gauge);

impl Counted {
    /// One more.
    pub fn one_more(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// An open connection that has its place.
pub struct Open {
    _pass: Pass,
    _counted: Counted,
}

/// Gives every connection that comes to `each`; those that are too many are closed at once. Never ends.
pub async fn accept(listener: TcpListener, gate: Gate, gauge: Gauge, each: impl Fn(TcpStream, SocketAddr, Open)) {
    loop {
        let (stream, remote) = next(&listener).await;
        if let Some(pass) = gate.enter() {
            each(stream, remote, Open { _pass: pass, _counted: Counted::one_more(&gauge) });
        }
    }
}

/// The next connection that comes.
pub async fn next(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                // Without it, small answers would wait for acknowledgements; the connection works all the same.
                let _ = stream.set_nodelay(true);
                return (stream, remote);
            }
            Err(error) if is_theirs(&error) => {}
            Err(error) => {
                warn!(%error, "cannot take connections");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// A connection that was lost before it was taken.
fn is_theirs(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}
