//! The client's side of a connection.

use std::{any::Any, error::Error as _, io, sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode, Version, header};
use hyper::{client::conn::http1, ext::on_informational, upgrade::on};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    bounds::{HEAD_LINES, LARGEST_HEAD, STREAMS},
    http2::Sender,
    incoming,
    interim::Interim,
    leave::Leave,
    tunnel::let_go,
};
use crate::{
    base::ledger::Ledger,
    message::{
        Body, Request, Response,
        answer::{self, BadAnswer},
        headers,
        upgrade::{asked, lend},
    },
};

/// A connection on which requests can be sent.
pub enum Connection {
    /// One request at a time.
    Http1(http1::SendRequest<Body>),
    /// Many at once.
    Http2(Sender),
}

/// The other side hung up before anything was said.
#[derive(Clone, Copy, Debug)]
pub struct HungUp;

/// How a silent HTTP/2 connection is asked whether it lives. HTTP/1.1 has no such question.
#[derive(Clone, Copy, Debug)]
pub struct Pings {
    /// How often.
    pub every: Duration,
    /// How long the answer may take; then the connection is dead, and everything on it.
    pub patience: Duration,
}

/// Why no response came. What it means for sending the request once more is not for the engine to say.
pub enum SendFailure {
    /// Nothing of the request was sent.
    Unsent(Box<Request>),
    /// The server says that it did nothing with the request, and that others may fare better on this connection
    /// (RFC 9113 §8.7).
    Refused(String),
    /// The server says that it did nothing with the request, and takes no others on this connection (RFC 9113 §6.8).
    GoingAway(String),
    /// The connection ended. Whether anything was done, nobody knows.
    Ended(String),
    /// The connection ended because nothing came back for too long.
    Vanished(String),
    /// The server broke the request off, or what came makes no sense, or the request itself ended early.
    Broken(String),
    /// What came is no answer.
    BadAnswer(BadAnswer),
}

impl Connection {
    /// Greets the server at the other end of `io`. `guard` is dropped when the connection ends.
    pub async fn open<T>(
        io: T,
        version: Version,
        ledger: &Arc<Ledger>,
        pings: Option<Pings>,
        guard: impl Any + Send,
    ) -> Result<Self, HungUp>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // How the connection ends is told to those who wait for responses on it.
        if version == Version::HTTP_2 {
            let sender = Sender::open(io, ledger.clone(), pings, guard).await.map_err(|_| HungUp)?;
            return Ok(Self::Http2(sender));
        }
        let mut builder = http1::Builder::new();
        builder.max_buf_size(LARGEST_HEAD as usize).max_headers(HEAD_LINES);
        let (sender, connection) = builder.handshake(TokioIo::new(io)).await.map_err(|_| HungUp)?;
        tokio::spawn(async move {
            let _ = connection.with_upgrades().await;
            drop(guard);
        });
        Ok(Self::Http1(sender))
    }

    /// Another handle to the same connection, if it takes many requests at once.
    pub fn share(&self) -> Option<Self> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(sender) => Some(Self::Http2(sender.share())),
        }
    }

    /// How many requests it carries at once, if it is shared.
    pub fn most(&self) -> usize {
        match self {
            Self::Http1(_) => 1,
            Self::Http2(sender) => sender.most().clamp(1, STREAMS as usize),
        }
    }

    /// Whether it takes a request right now.
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_ready(),
            Self::Http2(sender) => sender.is_ready(),
        }
    }

    /// Waits until it takes another request. `false`: it never will.
    pub async fn ready(&mut self) -> bool {
        match self {
            Self::Http1(sender) => sender.ready().await.is_ok(),
            Self::Http2(sender) => sender.ready().await,
        }
    }

    /// Sends a request and waits for the head of its response, which can be read in one way alone.
    pub async fn send(&mut self, request: Request) -> Result<Response, SendFailure> {
        let asked = asked(&request);
        let response = match self {
            Self::Http1(sender) => send(sender, request).await?,
            Self::Http2(sender) => sender.send(request).await?,
        };
        answer::read(&response, asked.as_ref()).map_err(SendFailure::BadAnswer)?;
        Ok(response)
    }
}

/// Sends a request on a connection of HTTP/1.1.
async fn send(sender: &mut http1::SendRequest<Body>, request: Request) -> Result<Response, SendFailure> {
    let interim = Arc::<Interim>::default();
    let (request, leave) = as_http1(request, &interim);
    let sent = tokio::select! {
        sent = sender.try_send_request(request) => sent,
        // Whoever does not wait any more for an answer closes the connection.
        () = interim.too_much() => return Err(SendFailure::BadAnswer(BadAnswer::Interim)),
    };
    match sent {
        Ok(response) => {
            let mut response = response.map(incoming::body);
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                let connection = let_go(on(&mut response));
                lend(response.extensions_mut(), connection);
            }
            Ok(match leave {
                Some(leave) => response.map(|body| body.holding(leave.answered())),
                None => response,
            })
        }
        Err(mut failure) => Err(match failure.take_message() {
            Some(request) => SendFailure::Unsent(Box::new(request)),
            None => SendFailure::of(&failure.into_error()),
        }),
    }
}

impl SendFailure {
    fn of(error: &hyper::Error) -> Self {
        let reason = error.to_string();
        match error {
            _ if vanished(error) => Self::Vanished(reason),
            _ if error.is_parse() => Self::BadAnswer(BadAnswer::Unreadable),
            _ if error.is_user() => Self::Broken(reason),
            _ => Self::Ended(reason),
        }
    }
}

/// Whether time ran out, ours or that of the system.
fn vanished(error: &hyper::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        source = cause.source();
    }
    error.is_timeout()
}

/// A request as HTTP/1.1 has to be told of it: that it has a body, whatever its method, and whether that waits for leave.
fn as_http1(mut request: Request, interim: &Arc<Interim>) -> (Request, Option<Leave>) {
    let has_body = !http_body::Body::is_end_stream(request.body());
    if has_body && !request.headers().contains_key(header::CONTENT_LENGTH) {
        request.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let mut leave = None;
    if has_body && headers::expects_leave(request.headers()) {
        let waits;
        (request, waits) = {
            let (head, body) = request.into_parts();
            let (waits, waiting) = Leave::new();
            (Request::from_parts(head, body.waiting(waiting)), waits)
        };
        leave = Some(waits);
    }
    let (noted, given) = (interim.clone(), leave.clone());
    on_informational(&mut request, move |answer| {
        if answer.status() == StatusCode::CONTINUE
            && let Some(leave) = &given
        {
            leave.give();
        }
        noted.one_more(answer.headers());
    });
    (request, leave)
}
