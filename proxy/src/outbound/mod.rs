//! The program's calls: whom does it mean, which way, whose turn is it, and on over mutual TLS.
//!
//! - [`request`]: what this door has to say of a request, under one configuration
//! - [`bytes`]: a connection that is none of HTTP
//! - [`target`]: whom a tunnel is to lead to

mod bytes;
mod request;
mod target;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{Arrival, Opened};
use target::{is_https, of_tunnel};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tracing::{debug, warn};

use crate::{
    base::{gate::Gate, published::Published},
    config::Snapshot,
    control::xds::demand::Demand,
    exchange::{Exchange, burden::Portion},
    host::users::{Stranger, Users},
    http::{Ended, ServerSettings, Tunnel, serve},
    identity::credentials::Credentials,
    message::{
        Method, Request, Response,
        error::{Audience, ProxyError},
    },
    net::accept::accept,
    tcp::stream::Stream,
    telemetry::metrics::Metrics,
};

/// What the program's calls are served with.
pub struct Outbound {
    /// What is in force.
    pub config: Arc<Published<Snapshot>>,
    /// Tells the control plane whom the program calls.
    pub demand: Arc<Demand>,
    /// What carries requests.
    pub exchange: Arc<Exchange>,
    /// Who we are, to those that connections of bytes go to.
    pub identity: Arc<Published<Credentials>>,
    /// The namespace in which bare names are looked up.
    pub namespace: Arc<str>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What a connection may take.
    pub settings: ServerSettings,
    /// How long a call may wait for the control plane to say where it goes.
    pub patience: Duration,
    /// How many requests may be in flight.
    pub in_flight: Gate,
    /// What the program has on its way.
    pub portion: Arc<Portion>,
    /// Whose calls are taken.
    pub users: Users,
    /// How many connections there may be.
    pub connections: Gate,
    /// Turns true when this sidecar ends.
    pub draining: watch::Receiver<bool>,
    /// Whether somebody was turned away already.
    pub told: AtomicBool,
}

impl Outbound {
    /// Serves whoever connects to `listener`, for ever. It must be on loopback: who reaches it speaks with our identity.
    pub async fn run(self: Arc<Self>, listener: TcpListener) {
        let (connections, gauge) = (self.connections.clone(), self.metrics.outbound_connections.clone());
        accept(listener, connections, gauge, |stream, remote, open| {
            if !self.admits(&stream, remote) {
                return;
            }
            let outbound = self.clone();
            tokio::spawn(async move {
                outbound.connection(stream).await;
                drop(open);
            });
        })
        .await;
    }

    /// Whether calls are taken on a connection from `remote`; if not, that is counted.
    fn admits(&self, stream: &TcpStream, remote: SocketAddr) -> bool {
        let admitted = stream.local_addr().map_err(Stranger::from).and_then(|local| self.users.admit(remote, local));
        admitted.inspect_err(|stranger| self.turn_away(stranger)).is_ok()
    }

    fn turn_away(&self, stranger: &Stranger) {
        self.metrics.refused_call(stranger.reason());
        // Whoever is turned away must not fill the log as well.
        if self.told.swap(true, Ordering::Relaxed) {
            debug!(%stranger, "turned away");
        } else {
            warn!(%stranger, "turned away; others will only be counted");
        }
    }

    /// Serves a connection to its end, and then the tunnel inside of it, if one was asked for.
    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let (settings, draining) = (self.settings, self.draining.clone());
        let account = &self.portion.account;
        let asked: Asked = Arc::default();
        let handler = |asked: Option<Asked>| {
            let outbound = self.clone();
            move |mut request: Request| {
                let (outbound, asked) = (outbound.clone(), asked.clone());
                async move {
                    match asked {
                        Some(asked) if request.method() == Method::CONNECT => {
                            outbound.tunnel(&mut request, &asked).await
                        }
                        _ => outbound.serve(request).await,
                    }
                }
            }
        };
        self.note(serve(stream, account, settings, draining.clone(), handler(Some(asked.clone()))).await);
        let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).take();
        match asked {
            None => {}
            Some((tunnel, Inside::Requests)) => {
                if let Some(inside) = tunnel.open().await {
                    self.note(serve(inside, account, settings, draining, handler(None)).await);
                }
            }
            Some((tunnel, Inside::Bytes(opened))) => {
                if let Some((stream, ahead)) = tunnel.open_bare().await {
                    self.carry_on(*opened, Stream::Plain(stream), ahead).await;
                }
            }
        }
    }

    fn note(&self, ended: Ended) {
        if let Some(reason) = ended.refusal() {
            self.metrics.refused_head("outbound", reason);
        }
    }

    /// Answers a CONNECT, and notes the tunnel that it is to have.
    async fn tunnel(&self, request: &mut Request, asked: &Mutex<Option<(Tunnel, Inside)>>) -> Response {
        match self.inside(request).await {
            Ok(inside) => {
                let tunnel = Tunnel::asked_for_by(request);
                *asked.lock().unwrap_or_else(PoisonError::into_inner) = Some((tunnel, inside));
                Response::default()
            }
            Err(error) => error.respond(Audience { trusted: true, sidecar: false, grpc: false }),
        }
    }

    /// What is inside of the tunnel that a CONNECT asks for. To a service for requests many clients ask for one even to speak plain
    /// HTTP; what comes through it is then routed call by call.
    async fn inside(&self, request: &Request) -> Result<Inside, ProxyError> {
        let authority = of_tunnel(request, &self.namespace)?;
        match self.is_of_bytes(&authority).await {
            Ok(true) => Ok(Inside::Bytes(Box::new(self.open(Arrival::Asked(authority)).await?))),
            Ok(false) if !is_https(request) => Ok(Inside::Requests),
            Err(error) if !is_https(request) => Err(error),
            _ => Err(ProxyError::Tunnel { authority: request.uri().to_string() }),
        }
    }
}

/// What a CONNECT was answered with 200 for.
enum Inside {
    Requests,
    Bytes(Box<Opened>),
}

/// The tunnel that was asked for on a connection, if one was.
type Asked = Arc<Mutex<Option<(Tunnel, Inside)>>>;
