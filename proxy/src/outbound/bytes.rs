//! A connection of the program of which bytes are all that is known: whom it means, which way, and on over mutual TLS.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tracing::debug;

use super::{
    Outbound,
    request::{fault, one_turn},
};
use crate::{
    base::gate::Pass,
    config::{
        Answer, Snapshot,
        authority::canonical,
        decide::{
            Decision, To, Way,
            outbound::{Refusal, connect},
        },
        snapshot::backend::Known,
    },
    exchange::{burden::Load, tries::TRIES, upstream::Untouched},
    message::{Activity, error::ProxyError},
    net::accept::accept,
    tcp::{
        carry::carry,
        glance::Glance,
        reach::{Reached, reach},
        stream::Stream,
    },
    telemetry::connection::Connection,
};

/// How a connection of the program came, and whom it means by that. Where packets are redirected, the place that they were for will be
/// a third way.
pub enum Arrival {
    /// By CONNECT, to this service in its canonical form.
    Asked(String),
    /// At a port of loopback that leads to one service, as a caller of our namespace calls it.
    Forwarded(Arc<str>),
}

/// A connection whose way on is open.
pub struct Opened {
    reached: Reached,
    record: Connection,
    activity: Activity,
    idle_timeout: Option<Duration>,
    glance: Glance,
    _places: (Load, Pass),
}

/// What a connection needs to be carried.
struct Found {
    reached: Reached,
    activity: Activity,
    idle_timeout: Option<Duration>,
    glance: Glance,
    places: (Load, Pass),
}

impl Outbound {
    /// Takes connections to the one service that is called `name`, for ever. As with [`Outbound::run`], `listener` must be on loopback.
    pub async fn forward(self: Arc<Self>, listener: TcpListener, name: Arc<str>) {
        let (connections, gauge) = (self.connections.clone(), self.metrics.outbound_connections.clone());
        accept(listener, connections, gauge, |stream, remote, open| {
            if !self.admits(&stream, remote) {
                return;
            }
            let (outbound, arrival) = (self.clone(), Arrival::Forwarded(name.clone()));
            tokio::spawn(async move {
                outbound.forwarded(stream, arrival).await;
                drop(open);
            });
        })
        .await;
    }

    async fn forwarded(&self, stream: TcpStream, arrival: Arrival) {
        let stream = Stream::Plain(stream);
        match self.open(arrival).await {
            Ok(opened) => self.carry_on(opened, stream, Bytes::new()).await,
            Err(error) => {
                debug!(%error, "a connection of the program leads nowhere");
                stream.reset();
            }
        }
    }

    /// Opens the way on. Nothing of the program's has been read, so that another endpoint is tried when one cannot be reached.
    pub(super) async fn open(&self, arrival: Arrival) -> Result<Opened, ProxyError> {
        let mut record = Connection::outbound(self.metrics.clone());
        let opened = self.find(arrival, &mut record).await;
        match opened {
            Ok(Found { reached, activity, idle_timeout, glance, places }) => {
                Ok(Opened { reached, record, activity, idle_timeout, glance, _places: places })
            }
            Err(error) => {
                record.ends_because(error.reason().code(), &error);
                Err(error)
            }
        }
    }

    async fn find(&self, arrival: Arrival, record: &mut Connection) -> Result<Found, ProxyError> {
        let authority = match arrival {
            Arrival::Asked(authority) => authority,
            Arrival::Forwarded(name) => canonical(&name, &self.namespace)
                .ok_or_else(|| ProxyError::NoService { authority: name.to_string() })?,
        };
        let (activity, load) = self.exchange.burden.take(&self.portion).ok_or(ProxyError::Overloaded)?;
        let places = (load, self.in_flight.enter().ok_or(ProxyError::Overloaded)?);
        let (way, glance) = self.way(&authority, record).await?;
        let To::Backend(backend) = way.to else { return Err(ProxyError::CarriesRequests { authority }) };
        let mut last = ProxyError::NoEndpoint { backend: backend.name.to_string() };
        let Known::Standing(standing) = &backend.known else { return Err(last) };
        let (turn, mut tried) = (backend.turn(), Vec::new());
        while tried.len() < TRIES
            && let Some(picked) = self.exchange.aside.pick(&standing.endpoints, turn, &tried, Instant::now())
        {
            let (place, limit) = (picked.address, standing.connect_timeout);
            match reach(place, &picked.identity, &self.identity, limit).await {
                Ok(reached) => {
                    self.exchange.aside.answered_at(place);
                    record.peer(&place);
                    return Ok(Found { reached, activity, idle_timeout: way.idle_timeout, glance, places });
                }
                Err(fault) => {
                    self.exchange.aside.failed_at(place, Instant::now());
                    tried.push(place);
                    let whom = format!("a workload of {}", backend.name);
                    if let Err(error) = Untouched::NoConnection(fault).into_answer(&whom) {
                        debug!(%place, %error, "no connection there; trying another endpoint, if there is one");
                        last = error;
                    }
                }
            }
        }
        Err(last)
    }

    /// The way to `authority`, by the first configuration that knows all of it.
    async fn way(&self, authority: &str, record: &mut Connection) -> Result<(Way, Glance), ProxyError> {
        let (mut noted, mut drawn) = (false, None);
        let look = |config: &Arc<Snapshot>| {
            let found = self.look_up(config, authority, &mut noted);
            let decision = connect(found, |turns| one_turn(&mut drawn, turns));
            match &decision {
                Decision::Untold => return None,
                Decision::Go(Way { to: To::Backend(backend), .. }) => record.goes_to(backend.name.clone()),
                Decision::Answer(Refusal::MissingBackend { backend, .. } | Refusal::NoEndpoint(backend)) => {
                    record.goes_to((*backend).clone());
                }
                Decision::Go(_) | Decision::Answer(_) => {}
            }
            let mut notes_names = false;
            if let Some(Answer::Held(service)) = found {
                record.calls(service.authority.clone());
                notes_names = service.notes_names();
            }
            Some(match decision {
                Decision::Untold => return None,
                Decision::Go(way) => Ok((way, Glance::new(notes_names))),
                Decision::Answer(refusal) => Err(fault(refusal, authority, "")),
            })
        };
        self.wait(authority, look).await
    }

    /// Carries what comes from the program, of which `ahead` has come already, and what comes back, to the end of both.
    pub(super) async fn carry_on(&self, opened: Opened, mut stream: Stream, ahead: Bytes) {
        let Opened { reached, mut record, activity, idle_timeout, glance, _places } = opened;
        let Reached { stream: mut other, proof } = reached;
        let meter = record.opened();
        let distrusted = async {
            match proof {
                Some(proof) => proof.broken(&self.identity).await,
                None => std::future::pending().await,
            }
        };
        let whole = tokio::select! {
            carried = carry(&mut stream, &mut other, ahead, &activity, &meter, glance) => match carried {
                Ok(()) => true,
                Err(cut) => {
                    record.ends_because("cut", &cut);
                    false
                }
            },
            () = distrusted => {
                record.ends_because("distrusted", &"the other side's certificate is no longer trusted");
                false
            }
            () = activity.clone().ceased(idle_timeout) => {
                if activity.is_given_up() {
                    record.ends_because("given_up", &"memory runs short, and what it holds stood still");
                } else {
                    record.ends_because("idle", &"nothing has moved for too long");
                }
                false
            }
        };
        if whole {
            return record.ends("whole");
        }
        stream.reset();
        other.reset();
    }
}
