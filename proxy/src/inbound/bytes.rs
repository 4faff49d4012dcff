//! A connection of bytes: who connects is judged, and judged again whenever the door changes, for as long as it lasts.

use std::{
    future::pending,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{net::TcpStream, time::timeout};

use super::{Inbound, connection::Peer};
use crate::{
    config::{bytes::BytesDoor, inbound::Verdict},
    message::error::Caller,
    net::vanish::notice_when_it_vanishes,
    tcp::{carry::carry, glance::Glance, stream::Stream},
    telemetry::connection::Connection,
};

/// How long the program may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long what was sent to a caller may stay without an answer from its machine.
const UNANSWERED: Duration = Duration::from_mins(1);

/// Why a connection is cut off: a word for machines, and one for people.
struct Refused(&'static str, String);

impl Inbound {
    /// Carries a connection of `peer`, which comes from `remote`, to the program and back, to its end.
    pub(super) async fn bytes(self: Arc<Self>, mut stream: Stream, remote: SocketAddr, peer: Peer) {
        // If the system cannot, a machine that is gone holds a place until nothing has moved for too long.
        let _ = notice_when_it_vanishes(stream.socket(), remote, UNANSWERED);
        let mut record = Connection::inbound(self.metrics.clone(), self.port);
        record.peer(&peer.id.clone().map_or(Caller::Unproven, Caller::Proven));
        match self.pass(&mut stream, &Arc::new(peer), &mut record).await {
            Ok(()) => record.ends("whole"),
            Err(Refused(result, reason)) => {
                record.ends_because(result, &reason);
                stream.reset();
            }
        }
    }

    async fn pass(
        self: &Arc<Self>,
        stream: &mut Stream,
        peer: &Arc<Peer>,
        record: &mut Connection,
    ) -> Result<(), Refused> {
        if peer.is_over(SystemTime::now()) {
            return Err(Refused("expired", "the caller's certificate has expired".into()));
        }
        let overloaded = || Refused("overloaded", "too much is on its way".into());
        let (activity, _load) = self.exchange.burden.take(&peer.portion).ok_or_else(overloaded)?;
        let _pass = self.in_flight.enter().ok_or_else(overloaded)?;
        // From here on, no swap goes unheard.
        let mut swapped = self.config.watch();
        let door = self.judged(peer, record)?;
        let mut program = self.connect().await?;
        let meter = record.opened();
        let forbidden = async {
            let mut known = door.clone();
            loop {
                if swapped.changed().await.is_err() {
                    pending::<()>().await;
                }
                match self.bytes_door(peer) {
                    Some(door) if Arc::ptr_eq(&door, &known) => {}
                    Some(door) if door.judge(peer.id.as_ref(), peer.address).verdict.passes() => known = door,
                    _ => return,
                }
            }
        };
        let ended = tokio::select! {
            carried = carry(stream, &mut program, bytes::Bytes::new(), &activity, &meter, Glance::default()) => {
                carried.map_err(|cut| Refused("cut", cut.to_string()))
            }
            () = forbidden => Err(Refused("revoked", "it may not go on: the rules have changed".into())),
            () = peer.clone().ends(self.identity.clone()) => {
                Err(Refused("expired", "the caller does not prove any more who it is".into()))
            }
            () = activity.clone().ceased(door.idle_timeout) => Err(if activity.is_given_up() {
                Refused("given_up", "memory runs short, and what it holds stood still".into())
            } else {
                Refused("idle", "nothing has moved for too long".into())
            }),
        };
        if ended.is_err() {
            program.reset();
        }
        ended
    }

    /// The door by which `peer` may pass, as things are.
    fn judged(&self, peer: &Peer, record: &mut Connection) -> Result<Arc<BytesDoor>, Refused> {
        let config = self.config.now();
        let closed = || Refused("closed", "bytes do not come in here, or not from such callers".into());
        let door = self.bytes_door(peer).ok_or_else(closed)?;
        self.note_rules(Arc::as_ptr(&door) as usize, &config);
        let judgement = door.judge(peer.id.as_ref(), peer.address);
        self.count(judgement);
        let why = match judgement.verdict {
            Verdict::Allowed(rule) => {
                record.rule(rule);
                return Ok(door.clone());
            }
            Verdict::Denied(rule) => {
                record.rule(rule);
                format!("rule {rule} denies it")
            }
            Verdict::NoRule { closed_by: [] } => "the default of the mesh does not allow it".to_owned(),
            Verdict::NoRule { closed_by } => format!("no rule of {} allows it", closed_by.join(" or ")),
        };
        Err(Refused("denied", why))
    }

    fn bytes_door(&self, peer: &Peer) -> Option<Arc<BytesDoor>> {
        self.config.now().bytes_door(self.place)?.door(peer.id.is_some()).cloned()
    }

    async fn connect(&self) -> Result<Stream, Refused> {
        let program = self.program.now();
        let refused = |why: String| Refused("no_program", why);
        if program.refused {
            return Err(refused(program.fault.clone().unwrap_or_default()));
        }
        let connecting = timeout(CONNECT_TIMEOUT, TcpStream::connect(program.address));
        let connected = connecting.await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        let socket = connected.map_err(|error| refused(format!("the program takes no connection: {error}")))?;
        // Without it, small parts would wait for acknowledgements; the connection works all the same.
        let _ = socket.set_nodelay(true);
        Ok(Stream::Plain(socket))
    }
}
