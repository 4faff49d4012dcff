//! The program's calls: whom does it mean, which way, whose turn is it, and on over mutual TLS.
//!
//! - [`request`]: what this door has to say of a request, under one configuration
//! - [`target`]: whom a tunnel is to lead to

mod request;
mod target;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use target::of_tunnel;
use tokio::{
    io::{AsyncRead, AsyncWrite},
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
    message::{Method, Request, Response, error::Audience},
    net::accept::accept,
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
            let admitted =
                stream.local_addr().map_err(Stranger::from).and_then(|local| self.users.admit(remote, local));
            if let Err(stranger) = admitted {
                return self.turn_away(&stranger);
            }
            let outbound = self.clone();
            tokio::spawn(async move {
                outbound.connection(stream).await;
                drop(open);
            });
        })
        .await;
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
        let asked: Arc<Mutex<Option<Tunnel>>> = Arc::default();
        let handler = |asked: Option<Arc<Mutex<Option<Tunnel>>>>| {
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
        let tunnel = asked.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(inside) = opened(tunnel).await {
            self.note(serve(inside, account, settings, draining, handler(None)).await);
        }
    }

    fn note(&self, ended: Ended) {
        if let Some(reason) = ended.refusal() {
            self.metrics.refused_head("outbound", reason);
        }
    }

    /// Answers a CONNECT, and notes the tunnel that it is to have.
    async fn tunnel(&self, request: &mut Request, asked: &Mutex<Option<Tunnel>>) -> Response {
        let admitted = match of_tunnel(request, &self.namespace) {
            Ok(authority) => self.exists(&authority).await,
            Err(error) => Err(error),
        };
        match admitted {
            Ok(()) => {
                *asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Tunnel::asked_for_by(request));
                Response::default()
            }
            Err(error) => error.respond(Audience { trusted: true, sidecar: false, grpc: false }),
        }
    }
}

async fn opened(tunnel: Option<Tunnel>) -> Option<impl AsyncRead + AsyncWrite + Unpin + Send + 'static> {
    tunnel?.open().await
}
