//! The client's side of a connection of HTTP/2.

use std::{
    any::Any,
    future::{pending, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use bytes::Bytes;
use h2::{
    RecvStream,
    client::{self, ResponseFuture, SendRequest},
};
use http::{HeaderValue, Method, header};
use http_body::Body as _;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    incoming::Incoming,
    intake::{Intake, Metered},
    pings::vanished,
    pump::pump,
};
use crate::{
    base::ledger::Ledger,
    http::{
        Pings, SendFailure,
        bounds::{LARGEST_HEAD, SEND_BUFFER, SMALL_PARTS, STREAM_WINDOW, STREAMS, connection_window},
        interim::Interim,
    },
    message::{Body, Request, Response, answer::BadAnswer},
};

/// Sends requests on one connection.
pub struct Sender {
    requests: SendRequest<Bytes>,
    intake: Intake,
    end: Arc<End>,
}

/// How the connection ended, once it has.
#[derive(Debug, Default)]
struct End {
    over: AtomicBool,
    /// Nothing came back for too long.
    vanished: AtomicBool,
}

impl Sender {
    /// Greets the server at the other end of `io`. `guard` is dropped when the connection ends.
    pub(in crate::http) async fn open<T>(
        io: T,
        ledger: Arc<Ledger>,
        pings: Option<Pings>,
        guard: impl Any + Send,
    ) -> Result<Self, h2::Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let intake = Intake::of_answers(ledger);
        let (requests, mut connection) = client::Builder::new()
            .max_header_list_size(LARGEST_HEAD)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(connection_window(STREAMS))
            .initial_max_send_streams(STREAMS as usize)
            .max_send_buffer_size(SEND_BUFFER)
            .data_frame_budget(SMALL_PARTS)
            .enable_push(false)
            .handshake(Metered::new(io, intake.clone(), 0))
            .await?;
        let end = Arc::<End>::default();
        let (watched, told) = (intake.clone(), end.clone());
        tokio::spawn(async move {
            let asked = connection.ping_pong();
            let gone = async {
                match pings {
                    Some(Pings { every, patience }) => vanished(asked, watched, every, patience).await,
                    None => pending().await,
                }
                told.vanished.store(true, Ordering::Relaxed);
            };
            // How it ends is told to those who wait for responses on it.
            tokio::select! {
                _ = &mut connection => {}
                () = gone => {}
            }
            told.over.store(true, Ordering::Relaxed);
            drop((connection, guard));
        });
        Ok(Self { requests, intake, end })
    }

    /// Another handle to the same connection.
    pub(in crate::http) fn share(&self) -> Self {
        Self { requests: self.requests.clone(), intake: self.intake.clone(), end: self.end.clone() }
    }

    /// How many requests the server takes at once.
    pub(in crate::http) fn most(&self) -> usize {
        self.requests.current_max_send_streams()
    }

    /// Whether the connection is there.
    pub(in crate::http) fn is_ready(&self) -> bool {
        !self.end.over.load(Ordering::Relaxed)
    }

    /// Waits until it takes another request. `false`: it never will.
    pub(in crate::http) async fn ready(&mut self) -> bool {
        poll_fn(|context| self.requests.poll_ready(context)).await.is_ok()
    }

    /// Sends a request and waits for the head of its response.
    pub(in crate::http) async fn send(&mut self, request: Request) -> Result<Response, SendFailure> {
        if !self.ready().await {
            return Err(SendFailure::Unsent(Box::new(request)));
        }
        let (mut head, body) = request.into_parts();
        let is_over = body.is_end_stream();
        // RFC 9110 §8.6: a body that is empty is only told of where there could be one.
        let may_be_empty = matches!(head.method, Method::GET | Method::HEAD | Method::DELETE | Method::CONNECT);
        if let Some(length) = body.size_hint().exact().filter(|&length| length > 0 || !may_be_empty) {
            head.headers.entry(header::CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
        }
        let holder = body.holder();
        let sent = self.requests.send_request(http::Request::from_parts(head, ()), is_over);
        let (answer, out) = sent.map_err(|error| self.failure(&error))?;
        let reading = holder.map(|holder| self.intake.open(answer.stream_id().as_u32(), &holder));
        let mut pumping = (!is_over).then(|| Box::pin(pump(body, out)));
        let answer = {
            let mut answer = pin!(head_of(answer));
            poll_fn(|context| {
                if let Some(pump) = &mut pumping
                    && pump.as_mut().poll(context).is_ready()
                {
                    pumping = None;
                }
                answer.as_mut().poll(context)
            })
            .await
        };
        // An answer may come while there is more to send.
        if let (Some(pumping), Ok(_)) = (pumping, &answer) {
            tokio::spawn(pumping);
        }
        match answer {
            Ok(response) => {
                let (head, recv) = response.into_parts();
                let body = Body::coming(Incoming::new(recv, reading, &head.headers));
                Ok(Response::from_parts(head, body))
            }
            Err(Fault::Protocol(error)) => Err(self.failure(&error)),
            Err(Fault::Interim) => Err(SendFailure::BadAnswer(BadAnswer::Interim)),
        }
    }

    fn failure(&self, error: &h2::Error) -> SendFailure {
        let reason = error.to_string();
        if self.end.vanished.load(Ordering::Relaxed) || is_timeout(error) {
            return SendFailure::Vanished(reason);
        }
        match error.reason() {
            _ if error.is_io() => SendFailure::Ended(reason),
            // Streams that the server did process, and the connection broke under, end with an I/O error instead.
            _ if error.is_remote() && error.is_go_away() => SendFailure::GoingAway(reason),
            Some(h2::Reason::REFUSED_STREAM) if error.is_remote() => SendFailure::Refused(reason),
            _ => SendFailure::Broken(reason),
        }
    }
}

/// Why there is no head of a response.
enum Fault {
    Protocol(h2::Error),
    /// There is one interim answer after the other.
    Interim,
}

/// The head of a response, after some that are only interim.
async fn head_of(mut answer: ResponseFuture) -> Result<http::Response<RecvStream>, Fault> {
    let interim = Interim::default();
    poll_fn(|context| {
        while let Poll::Ready(Some(Ok(response))) = answer.poll_informational(context) {
            if interim.one_more(response.headers()) {
                return Poll::Ready(Err(Fault::Interim));
            }
        }
        Pin::new(&mut answer).poll(context).map_err(Fault::Protocol)
    })
    .await
}

/// Whether the system found out that the other side is gone.
fn is_timeout(error: &h2::Error) -> bool {
    error.get_io().is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut)
}
