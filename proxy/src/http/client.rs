//! The client's side of a connection.

use std::{
    any::Any,
    error::Error as _,
    future::poll_fn,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, StatusCode, Version, header};
use hyper::{
    client::conn::{http1, http2},
    ext::on_informational,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
};

use super::{
    Body, Request, Response,
    answer::{self, BadAnswer, INTERIM_BYTES, MOST_INTERIM},
    bounds::{HEAD_LINES, SEND_BUFFER, STREAM_WINDOW, STREAMS, connection_window},
    headers,
    leave::Leave,
    upgrade::asked,
};

/// How large the head of a response may be, in bytes, and of HTTP/1.1 how much is read before it is asked for.
const LARGEST_HEAD: u32 = 64 << 10;

/// A connection on which requests can be sent.
pub enum Connection {
    /// One request at a time.
    Http1(http1::SendRequest<Body>),
    /// Many at once; no more than so many, by what the server says of itself.
    Http2(http2::SendRequest<Body>, Arc<AtomicUsize>),
}

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
    Refused(hyper::Error),
    /// The server says that it did nothing with the request, and takes no others on this connection (RFC 9113 §6.8).
    GoingAway(hyper::Error),
    /// The connection ended. Whether anything was done, nobody knows.
    Ended(hyper::Error),
    /// The connection ended because nothing came back for too long.
    Vanished(hyper::Error),
    /// The server broke the request off, or what came makes no sense, or the request itself ended early.
    Broken(hyper::Error),
    /// What came is no answer.
    BadAnswer(BadAnswer),
}

impl Connection {
    /// Greets the server at the other end of `io`. `guard` is dropped when the connection ends.
    pub async fn open<T>(
        io: T,
        version: Version,
        pings: Option<Pings>,
        guard: impl Any + Send,
    ) -> Result<Self, hyper::Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(io);
        // How the connection ends is told to those who wait for responses on it.
        if version == Version::HTTP_2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .max_header_list_size(LARGEST_HEAD)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(connection_window(STREAMS))
                .initial_max_send_streams(STREAMS as usize)
                .max_send_buf_size(SEND_BUFFER);
            if let Some(Pings { every, patience }) = pings {
                // One that nobody uses is asked as well, so that nobody has to find out.
                builder.keep_alive_interval(every).keep_alive_timeout(patience).keep_alive_while_idle(true);
            }
            let (sender, connection) = builder.handshake(io).await?;
            let allowed = Arc::new(AtomicUsize::new(STREAMS as usize));
            let told = allowed.clone();
            tokio::spawn(async move {
                let mut connection = pin!(connection);
                // What the server allows comes in its own time, and may change.
                let _ = poll_fn(|context| {
                    let end = connection.as_mut().poll(context);
                    told.store(connection.current_max_send_streams(), Ordering::Relaxed);
                    end
                })
                .await;
                drop(guard);
            });
            return Ok(Self::Http2(sender, allowed));
        }
        let (sender, connection) =
            http1::Builder::new().max_buf_size(LARGEST_HEAD as usize).max_headers(HEAD_LINES).handshake(io).await?;
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
            Self::Http2(sender, allowed) => Some(Self::Http2(sender.clone(), allowed.clone())),
        }
    }

    /// How many requests it carries at once, if it is shared.
    pub fn most(&self) -> usize {
        match self {
            Self::Http1(_) => 1,
            Self::Http2(_, allowed) => allowed.load(Ordering::Relaxed).clamp(1, STREAMS as usize),
        }
    }

    /// Whether it takes a request right now.
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_ready(),
            Self::Http2(sender, _) => sender.is_ready(),
        }
    }

    /// Waits until it takes another request. `false`: it never will.
    pub async fn ready(&mut self) -> bool {
        match self {
            Self::Http1(sender) => sender.ready().await.is_ok(),
            Self::Http2(sender, _) => sender.ready().await.is_ok(),
        }
    }

    /// Sends a request and waits for the head of its response, which can be read in one way alone.
    pub async fn send(&mut self, request: Request) -> Result<Response, SendFailure> {
        let interim = Arc::<Interim>::default();
        let asked = asked(&request);
        let (request, leave) = match self {
            Self::Http1(_) => as_http1(request, &interim),
            Self::Http2(..) => (request, None),
        };
        let sending = async {
            match self {
                Self::Http1(sender) => sender.try_send_request(request).await,
                Self::Http2(sender, _) => sender.try_send_request(request).await,
            }
        };
        let sent = tokio::select! {
            sent = sending => sent,
            // Whoever does not wait any more for an answer on HTTP/1.1 closes the connection.
            () = interim.too_much.notified() => return Err(SendFailure::BadAnswer(BadAnswer::Interim)),
        };
        match sent {
            Ok(response) => {
                let response = response.map(Body::incoming);
                answer::read(&response, asked.as_ref()).map_err(SendFailure::BadAnswer)?;
                Ok(match leave {
                    Some(leave) => response.map(|body| body.holding(leave.answered())),
                    None => response,
                })
            }
            Err(mut failure) => Err(match failure.take_message() {
                Some(request) => SendFailure::Unsent(Box::new(request)),
                None => SendFailure::of(failure.into_error()),
            }),
        }
    }
}

impl SendFailure {
    fn of(error: hyper::Error) -> Self {
        if vanished(&error) {
            return Self::Vanished(error);
        }
        let reset = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
        match reset {
            Some(reset) if reset.is_io() => Self::Ended(error),
            // Streams that the server did process, and the connection broke under, end with an I/O error instead.
            Some(reset) if reset.is_remote() && reset.is_go_away() => Self::GoingAway(error),
            Some(reset) if reset.is_remote() && reset.reason() == Some(h2::Reason::REFUSED_STREAM) => {
                Self::Refused(error)
            }
            Some(_) => Self::Broken(error),
            None if error.is_parse() => Self::BadAnswer(BadAnswer::Unreadable),
            None if error.is_user() => Self::Broken(error),
            None => Self::Ended(error),
        }
    }
}

/// Whether time ran out, ours or that of the system.
fn vanished(error: &hyper::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        let io = cause.downcast_ref::<io::Error>().or_else(|| cause.downcast_ref::<h2::Error>()?.get_io());
        if io.is_some_and(|io| io.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        source = cause.source();
    }
    error.is_timeout()
}

/// What came before the answer.
#[derive(Default)]
struct Interim {
    count: AtomicUsize,
    bytes: AtomicUsize,
    too_much: Notify,
}

impl Interim {
    fn one_more(&self, bytes: usize) {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if count > MOST_INTERIM || bytes > INTERIM_BYTES {
            self.too_much.notify_one();
        }
    }
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
            let (body, waits) = body.waiting();
            (Request::from_parts(head, body), waits)
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
        noted.one_more(answer.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum());
    });
    (request, leave)
}
